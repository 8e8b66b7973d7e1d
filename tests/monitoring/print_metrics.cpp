// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Prints the metrics of a snapshot in which every field has a value, and with the argument `two` of two processes; with
// `protobuf` in that format.
#include "tslab/exposition.hpp"
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "filled_snapshot.hpp"

int main(int argc, char** argv)
{
    std::vector<tslab::snapshot> heaps{support::filled_snapshot()};
    std::string_view const argument = argc == 2 ? argv[1] : "";
    if (argument == "two") {
        heaps.push_back(support::filled_snapshot());
        heaps.back().pid = 17;
    }
    std::string const printed =
        argument == "protobuf" ? tslab::tool::protobuf_exposition(heaps) : tslab::tool::exposition(heaps);
    return std::fwrite(printed.data(), 1, printed.size(), stdout) == printed.size() ? 0 : 1;
}
