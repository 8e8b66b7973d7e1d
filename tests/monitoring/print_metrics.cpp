// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Prints the metrics of a snapshot in which every field has a value, and with the argument `two` of two processes.
#include "tslab/exposition.hpp"
#include <cstdio>
#include <string_view>
#include <vector>

#include "filled_snapshot.hpp"

int main(int argc, char** argv)
{
    std::vector<tslab::snapshot> heaps{support::filled_snapshot()};
    if (argc == 2 && std::string_view{argv[1]} == "two") {
        heaps.push_back(support::filled_snapshot());
        heaps.back().pid = 17;
    }
    std::fputs(tslab::tool::exposition(heaps).c_str(), stdout);
    return 0;
}
