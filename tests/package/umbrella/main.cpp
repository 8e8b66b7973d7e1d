// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A user's program that looks at its heap. Exits 1 if what it reads back is not what it wrote. It does not compile if tslab shows
// what is internal: names that it has too would be ambiguous.
#include <chrono>
#include <string>

import tslab;

namespace user {

struct mutex {};
struct arena {};
struct thread_cache {};
struct epoch_slabs {};
struct heap_state {};
struct slab_meta {};
struct thread_record {};
struct page_heap {};
struct os_calls {};
inline void set_os_calls() {}
inline void os() {}
inline void published_segment() {}

}

void use_own_names()
{
    using namespace tslab;
    using namespace user;
    [[maybe_unused]] mutex m;
    [[maybe_unused]] arena a;
    [[maybe_unused]] thread_cache l;
    [[maybe_unused]] epoch_slabs s;
    [[maybe_unused]] heap_state h;
    [[maybe_unused]] slab_meta d;
    [[maybe_unused]] thread_record t;
    [[maybe_unused]] page_heap p;
    [[maybe_unused]] os_calls c;
    set_os_calls();
    os();
    published_segment();
}

int main()
{
    use_own_names();
    tslab::allocator heap{{.name = "umbrella"}};
    tslab::snapshot const s = heap.snapshot();
    std::string const text = tslab::to_json(s);
    return tslab::from_json(text) == s && heap.leaks(std::chrono::minutes{5}).empty() ? 0 : 1;
}
