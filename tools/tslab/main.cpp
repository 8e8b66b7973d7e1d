// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/source.hpp"
#include <CLI/CLI.hpp>

int main(int argc, char** argv)
{
    CLI::App app{"Looks into the heaps of a live process"};
    CLI11_PARSE(app, argc, argv);
    return 0;
}
