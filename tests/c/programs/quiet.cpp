// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Both headers without exceptions and run-time type information.
#include <cstdio>
#include <string_view>
#include <tslab/tslab.hpp>
#include <vector>

int main()
{
    tslab::allocator heap;
    {
        tslab::epoch_scope const scope{heap, "quiet"};
        std::pmr::vector<int> const some{1, 2, 3};
        std::pmr::vector<int> rows(some, scope.resource());
        if (rows[2] != 3 || heap.snapshot().global.live_objects != 1 || tslab::to_json(heap.snapshot()).size() < 1000)
            return 1;
    }
    void* const p = tslab_malloc(heap.c(), 64);
    tslab_free(heap.c(), p);
    tslab_resource r;
    tslab_resource_begin(&r, heap.c(), nullptr, 0, nullptr);
    tslab_epoch_close(heap.c(), tslab_resource_epoch(&r), nullptr, 0);
    if (tslab_resource_allocate(&r, 64, 8) != nullptr)   // refused, and not by an exception
        return 2;
    tslab_resource_end(&r);
    std::puts("all as it should be");
}
