// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A program that only allocates, and names what it needs of `import tslab.pmr;` alone. Exits 1 if what it stored is not there, or was
// not counted.
#include <memory_resource>
#include <numeric>
#include <thread>
#include <vector>

import tslab.pmr;

int main()
{
    tslab::allocator heap{{.name = "core"}};
    tslab::epoch_resource session{heap, {.label = "session"}};
    std::pmr::vector<int> numbers(1000, &session);
    std::iota(numbers.begin(), numbers.end(), 0);
    std::size_t length = 0;
    std::thread{[&] {
        tslab::epoch_scope scope{heap, "GET /"};
        std::pmr::vector<char> const text(100, 'x', scope.resource());
        length = text.size();
    }}.join();
    heap.set_soft_limit_handler([](tslab::soft_limit_event& e, void*) noexcept { e.fail = true; });
    tslab::handle name;
    bool const named =
        heap.allocate(100, session.epoch(), name) != nullptr && heap.free(name) == tslab::free_result::ok;
    bool const stored = std::reduce(numbers.begin(), numbers.end()) == 499'500 && length == 100;
    bool const counted = heap.snapshot().global.live_objects == 1;
    return named && stored && counted ? 0 : 1;
}
