// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// request_server: see options.cpp for the command line and demo.hpp for what it does. Exit codes: 0,
// 1 if the demo found a wrong answer or a wrong leak report, 2 for a mistake of the caller's.
#include "data.hpp"
#include "demo.hpp"
#include "options.hpp"

#include <exception>
#include <iostream>

namespace {

using namespace request_server;

int run(options const& chosen)
{
    catalog const data = chosen.data_file.empty() ? load_iso_sets() : load_file(chosen.data_file);
    if (!chosen.serve)
        return run_demo(chosen, data) ? 0 : 1;
    run_service(chosen, data);
    return 0;
}

int complain(std::exception const& about, int exit_code)
{
    std::cerr << "request_server: " << about.what() << '\n';
    return exit_code;
}

}

int main(int argc, char** argv)
{
    try {
        parsed_options const parsed = parse_options(argc, argv);
        return parsed.chosen ? run(*parsed.chosen) : parsed.exit_code;
    } catch (usage_error const& mistake) {
        return complain(mistake, 2);
    } catch (std::exception const& failure) {
        return complain(failure, 1);
    }
}
