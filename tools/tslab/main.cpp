// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/main_streams.hpp"
#include <iostream>

int main(int argc, char** argv)
{
    using namespace tslab::tool;
    main_streams streams;
    invocation i{streams.out, std::cerr, std::cin, streams.terminal()};
    int const code = run(argc, argv, i);
    return streams.finish(i, "tslab", code);
}
