// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/style.hpp"
#include <algorithm>
#include <memory>
#include <ostream>
#include <utility>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

/// One line of the list.
struct process {
    pid_t pid = 0;
    std::string command{};
    std::string fault{};   ///< why it could not be read; empty if it was
    std::size_t heaps = 0;
    bool live_known = true;
    std::uint64_t live_bytes = 0;
    std::uint64_t rss_bytes = 0;
    std::uint64_t missing_exits = 0;
};

process look_at(pid_t pid)
{
    process p{.pid = pid, .command = command_of(pid)};
    try {
        for (snapshot const& s : observer{pid}.read({.residency = false})) {
            ++p.heaps;
            p.live_bytes += s.global.live_bytes;
            p.live_known = p.live_known && s.live_known;
            p.rss_bytes = std::max(p.rss_bytes, s.global.rss_bytes);
            for (leak const& l : find_leaks(s, doctor_thresholds{}.leak_seconds))
                p.missing_exits += l.missing_exits;
        }
    } catch (observe_error const& e) {
        p.fault = e.what();
    }
    return p;
}

std::string json_of(process const& p)
{
    json_writer j;
    j.open('{').member("pid", p.pid).member("command", p.command);
    if (!p.fault.empty())
        return j.member("error", p.fault).close('}').text();
    j.member("heaps", p.heaps).member("live_known", p.live_known).member("live_bytes", p.live_bytes);
    j.member("rss_bytes", p.rss_bytes);
    return j.member("missing_exits", p.missing_exits).close('}').text();
}

void list_processes(bool json, invocation& i)
{
    std::vector<process> all;
    for (pid_t const pid : processes_with_heaps())
        all.push_back(look_at(pid));
    if (json) {
        for (process const& p : all)
            i.out << json_of(p) << '\n';
        return;
    }
    if (all.empty()) {
        i.out << "no process of yours has a heap\n";
        return;
    }
    using side = table::side;
    bool const faults = std::ranges::any_of(all, [](process const& p) { return !p.fault.empty(); });
    std::vector<table::column> columns{{"pid"}, {"heaps"}, {"live"}, {"RSS"}, {"leaks"}, {"command", side::left}};
    if (faults)   // behind the command, which is a target as it stands there
        columns.push_back({"not read, because", side::left});
    table t{std::move(columns)};
    for (process const& p : all) {
        std::vector<table::cell> row{{std::to_string(p.pid)}};
        if (p.fault.empty()) {
            row.push_back({grouped(p.heaps)});
            row.push_back({p.live_known ? bytes_text(p.live_bytes) : "?"});
            row.push_back({bytes_text(p.rss_bytes)});
            row.push_back({grouped(p.missing_exits), p.missing_exits != 0 ? paint::red : paint::none});
        } else {
            row.insert(row.end(), 4, {"-"});
        }
        row.push_back({shown_command(p.command)});
        if (faults)
            row.push_back({escaped(p.fault), paint::dim});
        t.add(std::move(row));
    }
    t.print(i.out, i.color);
}

}

void add_ps(CLI::App& app, invocation& i)
{
    command_line const command = add_command(
        app, "ps", "Processes that have heaps; leaks are exits missing for five minutes or longer", "tslab ps --json");
    auto const json = std::make_shared<bool>(false);
    command.add_flag("--json", *json, "one object a line");
    command.callback([json, &i] { list_processes(*json, i); });
}

}
