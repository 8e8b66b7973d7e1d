// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A plug-in that has tslab inside and does not say so: a heap, used by whichever thread calls.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>
import tslab;

namespace {
std::unique_ptr<tslab::allocator> heap;
}

extern "C" {

[[gnu::visibility("default")]] void plugin_begin() { heap = std::make_unique<tslab::allocator>(); }

[[gnu::visibility("default")]] void plugin_work(std::size_t objects)
{
    tslab::epoch_scope const scope{*heap, "plug-in"};
    std::vector<void*> all;
    for (std::size_t i = 0; i < objects; ++i) {
        all.push_back(scope.resource()->allocate(i % 1000 + 1));
        heap->free(heap->malloc(100));
    }
    for (std::size_t i = 0; i < objects; ++i)
        scope.resource()->deallocate(all[i], i % 1000 + 1);
}

/// How many objects it ever made; all ones if the figures do not add up.
[[gnu::visibility("default")]] std::uint64_t plugin_end()
{
    tslab::global_stats const g = heap->snapshot().global;
    heap.reset();
    return g.live_objects == 0 && g.frees == g.allocations && g.misuses == 0 && g.domain_enters == g.domain_exits
               ? g.allocations
               : ~std::uint64_t{0};
}
}
