// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A program in C++17 that uses the installed header.
#include <cstdio>
#include <memory_resource>
#include <string>
#include <tslab/tslab.hpp>
#include <vector>

int main()
{
    tslab::allocator::options options;
    options.name = "orders in C++";
    tslab::allocator heap{options};
    std::size_t letters = 0;
    {
        tslab::epoch_scope scope{heap, "GET /orders"};
        std::pmr::vector<std::pmr::string> rows{scope.resource()};
        for (int i = 0; i < 100; ++i)
            rows.emplace_back("a row that is longer than the string's own buffer");
        for (std::pmr::string const& row : rows)
            letters += row.size();
    }
    std::string const json = tslab::to_json(heap.snapshot());
    bool const named = json.find("\"GET /orders\"") != std::string::npos;
    bool const empty = json.find("\"live_objects\":0") != std::string::npos;
    std::printf("in C++: %zu letters in a phase, statistics with its label: %s, empty afterwards: %s\n", letters,
                named ? "yes" : "no", empty ? "yes" : "no");
    return letters == 4900 && named && empty ? 0 : 1;
}
