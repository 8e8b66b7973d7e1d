// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The program that docs/quick-start.md quotes: a request's memory lives in a scope, and the heap can say whose memory it holds.
#include <chrono>
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

        using namespace std::chrono_literals;
        for (tslab::leak const& l : heap.leaks(0s))   // not left yet, so it is reported to a caller who expects it gone
            std::puts(l.sentence().c_str());
    }   // left: its pages are empty together
    std::fputs(tslab::to_text(tslab::diagnose(heap.snapshot())).c_str(), stdout);
    std::printf("after: %llu objects\n", static_cast<unsigned long long>(heap.snapshot().global.live_objects));
}
