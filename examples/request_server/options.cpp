// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <thread>

namespace request_server {
namespace {

// A forgotten scope stays on the stack of the worker that entered it, and such a stack may be as
// shallow as 32: half of it remains for the requests to come, even if one worker forgets them all.
constexpr unsigned most_forgotten_scopes = 16;

constexpr char const* about =
    "An HTTP service on 127.0.0.1 whose requests each live in a tslab epoch_scope.\n"
    "Without --serve it drives itself from client threads over real sockets, forgets a few scopes\n"
    "on purpose, and reports throughput, latency, memory by label, and the leak.";

unsigned default_threads() { return std::clamp(std::thread::hardware_concurrency(), 2U, 8U); }

void declare(CLI::App& app, options& to)
{
    app.add_option("--seconds", to.seconds, "How long to drive the server")
        ->check(CLI::Range(1U, 86'400U))
        ->capture_default_str();
    app.add_option("--threads", to.threads, "Worker threads of the server")
        ->check(CLI::Range(1U, 256U))
        ->capture_default_str();
    app.add_option("--clients", to.clients, "Client threads, one connection each [as --threads]")
        ->check(CLI::Range(1U, 1'024U));
    app.add_option("--data", to.data_file,
                   "Serve this JSON file instead of the ISO sets: an array of objects, or an "
                   "object that holds one")
        ->type_name("FILE");
    app.add_option("--port", to.port, "Port on 127.0.0.1; 0 takes any free one")
        ->check(CLI::Range(0U, 65'535U))
        ->capture_default_str();
    app.add_option("--forget", to.forget, "How many requests to GET /forget lose their scope")
        ->check(CLI::Range(0U, most_forgotten_scopes))
        ->capture_default_str();
    CLI::Option* const serve = app.add_flag("--serve", to.serve, "Serve until Ctrl-C, no load");
    serve->excludes("--seconds")->excludes("--clients");
}

}

parsed_options parse_options(int argc, char const* const* argv)
{
    options chosen;
    chosen.threads = default_threads();
    CLI::App app{about, "request_server"};
    declare(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (CLI::Success const& asked_for_help) {
        return {std::nullopt, app.exit(asked_for_help)};
    } catch (CLI::ParseError const& mistake) {
        std::cerr << "request_server: " << mistake.what() << " (see --help)\n";
        return {std::nullopt, 2};
    }
    if (chosen.clients == 0)
        chosen.clients = chosen.threads;
    return {chosen, 0};
}

}
