// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The program the README quotes: a request's memory lives in a scope, and the heap can say whose memory it holds.
#include <cstdio>
#include <memory_resource>
#include <string>
#include <vector>

import tslab;

int main()
{
    tslab::allocator heap{{.name = "orders"}};
    {
        tslab::epoch_scope scope{heap, "GET /orders"};               // an epoch of its own, entered here
        std::pmr::vector<std::pmr::string> rows{scope.resource()};   // any std::pmr container
        for (int i = 0; i < 1000; ++i)
            rows.emplace_back("an order with a description that does not fit into the string itself");

        for (tslab::epoch_stats const& e : heap.snapshot().epochs)
            if (e.refcount != 0)
                std::printf("%s: %llu objects, %llu bytes, entered at line %u\n", e.label.c_str(),
                            static_cast<unsigned long long>(e.live_objects),
                            static_cast<unsigned long long>(e.live_bytes), e.opened_at.line);
    }   // left: its pages are empty together
    std::printf("after: %llu objects\n", static_cast<unsigned long long>(heap.snapshot().global.live_objects));
}
