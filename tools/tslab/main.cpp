// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include <iostream>

int main(int argc, char** argv)
{
    using namespace tslab::tool;
    invocation i{std::cout, std::cerr, std::cin};
    CLI::App app{"Looks into the heaps of a live process"};
    app.require_subcommand(1);
    add_stats(app, i);
    add_export(app, i);
    add_serve(app, i);
    add_record(app, i);
    add_report(app, i);
    try {
        CLI11_PARSE(app, argc, argv);
    } catch (failure const& f) {
        i.err << "tslab: " << f.what() << '\n';
        return static_cast<int>(f.code());
    }
    return static_cast<int>(i.result);
}
