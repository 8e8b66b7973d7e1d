// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory_resource>
#include <thread>
#include <vector>
import tslab;

int main()
{
    tslab::allocator first;
    tslab::allocator second{{.name = "second"}};
    for (tslab::allocator* const heap : {&first, &second}) {
        tslab::epoch_scope const scope{*heap, "main"};
        std::pmr::vector<int> v(100, scope.resource());
        std::thread{[&] { heap->free(heap->malloc(5000)); }}.join();
        v.resize(100'000);
    }
    std::puts(first.snapshot().global.misuses + second.snapshot().global.misuses == 0 ? "works" : "misused");
}
