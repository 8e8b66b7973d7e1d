// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab serve: the page of a target, and its figures for programs, over HTTP.
#include "tslab/command.hpp"
#include "tslab/serve_duration.hpp"
#include "tslab/serve_frame.hpp"
#include "tslab/serve_http.hpp"
#include "tslab/serve_monitor.hpp"
#include "tslab/serve_site.hpp"
#include <algorithm>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace tslab::tool {

namespace {

struct serve_options {
    target from{};
    std::uint16_t port = 2112;
    std::string listen = "127.0.0.1";
    std::vector<std::string> hosts{};
    std::chrono::milliseconds interval{5'000};
    std::chrono::milliseconds keep{15 * 60'000};
    leak_rule leaks{};
};

std::unique_ptr<http_server> listen_on(serve_options const& o)
{
    try {
        return std::make_unique<http_server>(o.listen, o.port);
    } catch (std::system_error const& e) {
        throw failure{outcome::usage, "cannot listen on " + printable(e.what())};
    }
}

/// How a process that is gone is found again: by its name, if the target was a name, or the only process with a heap. A pid
/// names no process but the one that has it.
std::function<std::unique_ptr<source>()> reopening(target from, source const& first, invocation const& i)
{
    std::string const name = first.command();
    bool const pid = !from.what.empty() && from.what.find_first_not_of("0123456789") == std::string::npos;
    if (!first.live() || name.empty() || (pid && from.what != name))
        return {};
    if (from.what.empty())
        from.what = name;
    return [from = std::move(from), &i] { return from.open(i); };
}

void serve(serve_options const& o, invocation& i)
{
    auto const server = listen_on(o);   // before the target, so that a port in use costs it nothing
    auto const frames = static_cast<std::size_t>(std::clamp<std::int64_t>(o.keep / o.interval, 2, 5'000));
    auto first = o.from.open(i);
    auto reopen = reopening(o.from, *first, i);
    monitor watch{std::move(first),
                  {.interval = o.interval, .leaks = o.leaks, .keep = {.frames = frames}, .reopen = std::move(reopen)}};
    site const pages{watch, {.loopback = server->loopback(), .port = server->port(), .names = o.hosts}};
    watch.start();
    i.out << "serving " << printable(watch.target()) << " on " << server->url() << "/\n" << std::flush;
    server->run([&pages](request const& r) { return pages.handle(r); }, true);
}

}

void add_serve(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "serve", "A page that shows the heaps over time, and metrics, over HTTP",
                    "tslab serve request_server --port 2112 --interval 5s");
    auto const o = std::make_shared<serve_options>();
    o->from.add_to(command);
    add_number<std::uint16_t>(command, "--port", o->port, 0, "port to listen on; 0 picks one");
    command.add_option("--listen", o->listen, "address to listen on; any client that reaches it may read everything")
        .shows_default();
    command.add_option("--host", o->hosts, "further name the server may be called by, with or without a port")
        .takes_one_at_a_time();
    add_duration(command, "--interval", o->interval, "time between two samples, at least 10ms", least_interval)
        .shows_default("5s");
    add_duration(command, "--history", o->keep, "how far back the page goes").shows_default("15m");
    add_duration(command, "--leak-after", o->leaks.seconds, "after which an open epoch counts as forgotten")
        .shows_default("5m");
    command.add_option("--long-lived", o->leaks.long_lived, "label of a phase that is meant to last, which is no leak")
        .takes_one_at_a_time();
    command.callback([o, &i] { serve(*o, i); });
}

}
