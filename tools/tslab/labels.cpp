// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/figures.hpp"
#include "tslab/heaps.hpp"
#include "tslab/phase_costs.hpp"
#include "tslab/style.hpp"
#include "tslab/terminal.hpp"
#include <algorithm>
#include <memory>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

struct labels_options {
    target from{};
    bool watch = false;
    std::string window{};
    std::size_t most = 40;
    bool json = false;
};

/// A label of a heap: what its phases cost, since the look before if there was one.
struct row {
    snapshot const* heap;
    phase_cost_stats cost;
    double seconds = 0;   ///< since that look; 0: since the start
};

/// The labels of all heaps, those that allocated most first.
std::vector<row> rows_of(std::vector<snapshot> const& now, std::vector<snapshot> const& before)
{
    std::vector<row> all;
    for (std::size_t h = 0; h < now.size(); ++h) {
        snapshot const* const earlier = same_heap(before, now, h);
        double const seconds = earlier != nullptr ? seconds_between(*earlier, now[h]) : 0;
        for (phase_cost_stats const& c : now[h].phase_costs) {
            phase_cost_stats const* const then = earlier != nullptr ? cost_of_label(*earlier, c) : nullptr;
            all.push_back({&now[h], then != nullptr ? since(c, *then) : c, seconds});
        }
    }
    std::ranges::sort(all, [](row const& a, row const& b) {
        return a.cost.bytes_sum != b.cost.bytes_sum ? a.cost.bytes_sum > b.cost.bytes_sum : a.cost.label < b.cost.label;
    });
    return all;
}

std::string place_of(source_entry const& at)
{
    if (at == source_entry{})
        return "-";
    std::string_view file = at.file;
    file.remove_prefix(file.rfind('/') + 1);   // npos + 1 is 0
    return escaped(std::string{file}) + ":" + std::to_string(at.line);
}

std::string text_of(invocation const& i, std::vector<row> const& all, std::size_t most, bool heaps, bool window)
{
    using side = table::side;
    std::vector<table::column> columns{{"label", side::left}, {"phases"}};
    if (window)
        columns.insert(columns.end(), {{"phases/s"}, {"bytes/s"}});
    else
        columns.push_back({"bytes"});
    for (char const* const title :
         {"bytes p50", "p99", "max", "peak p99", "max", "objects p50", "p99", "max", "time p50", "p99", "max"})
        columns.push_back({title});
    columns.push_back({"largest at", side::left});
    if (heaps)
        columns.push_back({"heap", side::left});
    table t{std::move(columns)};
    for (std::size_t n = 0; n < std::min(all.size(), most); ++n) {
        row const& r = all[n];
        phase_cost_stats const& c = r.cost;
        bool const any = c.phases != 0;   // else nothing of the window is known but that
        auto const cell = [&](quarter_histogram const& of, double q, std::uint64_t max, auto text) {
            auto const known = any ? of.known_quantile(q, max, c.phases) : std::nullopt;
            return table::cell{known ? text(*known) : "-"};
        };
        auto const bytes = [](std::uint64_t b) { return bytes_text(b); };
        auto const number = [](std::uint64_t b) { return grouped(b); };
        auto const time = [](std::uint64_t ns) { return ns_text(ns); };
        std::vector<table::cell> cells{{label_or_none(c.label), paint::bold}, {grouped(c.phases)}};
        if (window) {
            cells.push_back({rate_text(per_second(c.phases, r.seconds))});
            cells.push_back({bytes_text(static_cast<std::uint64_t>(per_second(c.bytes_sum, r.seconds)))});
        } else {
            cells.push_back({bytes_text(c.bytes_sum)});
        }
        std::vector<table::cell> const costs{cell(c.bytes, 0.5, c.bytes_max, bytes),
                                             cell(c.bytes, 0.99, c.bytes_max, bytes),
                                             {bytes(c.bytes_max)},
                                             cell(c.peak_bytes, 0.99, c.peak_bytes_max, bytes),
                                             {bytes(c.peak_bytes_max)},
                                             cell(c.objects, 0.5, c.objects_max, number),
                                             cell(c.objects, 0.99, c.objects_max, number),
                                             {number(c.objects_max)},
                                             cell(c.wall_ns, 0.5, c.wall_ns_max, time),
                                             cell(c.wall_ns, 0.99, c.wall_ns_max, time),
                                             {time(c.wall_ns_max)},
                                             {place_of(c.largest_at)}};
        cells.insert(cells.end(), costs.begin(), costs.end());
        if (heaps)
            cells.push_back({heap_text(*r.heap)});
        t.add(std::move(cells));
    }
    if (t.empty())
        return "no phase has ended yet\n";
    std::ostringstream text;
    t.print(text, i.color);
    if (all.size() > most)
        text << all.size() - most << " more labels; -n shows them\n";
    return text.str();
}

std::string json_of(std::vector<row> const& all, std::size_t most)
{
    std::string text;
    for (std::size_t n = 0; n < std::min(all.size(), most); ++n) {
        row const& r = all[n];
        json_writer j;
        j.open('{').member("heap", unique_name(*r.heap)).member("interval_sec", r.seconds);
        if (r.seconds > 0)
            j.member("phases_per_sec", per_second(r.cost.phases, r.seconds))
                .member("objects_per_sec", per_second(r.cost.objects_sum, r.seconds))
                .member("bytes_per_sec", per_second(r.cost.bytes_sum, r.seconds));
        add_figures(j, r.cost, r.heap->page_size);
        text.append(j.member("largest_file", r.cost.largest_at.file)
                        .member("largest_line", r.cost.largest_at.line)
                        .close('}')
                        .text())
            .append("\n");
    }
    return text;
}

void labels(labels_options const& o, invocation& i)
{
    bool const window = o.watch || !o.window.empty();
    double const seconds = o.window.empty() ? 1 : seconds_of("--window", o.window);
    if (seconds < 0.01)
        throw failure{outcome::usage, "--window is " + in_quotes(o.window) + ", but takes 10ms or more"};
    auto const from = o.from.open(i);
    if (window && !from->live())
        throw failure{outcome::usage, std::string{o.watch ? "--watch" : "--window"} +
                                          " needs a live process: one snapshot has no rates"};
    interruption const until;
    std::vector<snapshot> before;
    if (window) {
        before = from->read(false);
        if (!until.wait(seconds))
            return;
    }
    std::optional<screen> shown;
    if (o.watch && i.terminal && !o.json)
        shown.emplace(i.out);
    for (;;) {
        std::vector<snapshot> now = from->read(false);
        std::vector<row> const all = rows_of(now, before);
        std::string const text =
            o.json ? json_of(all, o.most) : text_of(i, all, o.most, now.size() > 1, window) + unpublished_note(now);
        if (shown)
            shown->show(from->name() + "\n\n" + text);
        else
            i.out << text << std::flush;
        if (!o.watch || !i.out || !until.wait(seconds))
            return;
        before = std::move(now);
    }
}

}

void add_labels(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "labels", "What phases cost by label: bytes, objects and time of one, and the rate of bytes",
                    "tslab labels 1234 --watch");
    auto const o = std::make_shared<labels_options>();
    o->from.add_to(command);
    command.add_flag("--watch", o->watch, "look again every second, or as --window says, until interrupted");
    command
        .add_option("--window", o->window,
                    "look twice, so far apart: rates, and the percentiles of what ended in between")
        .type_name("DURATION");
    add_number<std::size_t>(command, "-n,--n", o->most, 1, "how many labels");
    command.add_flag("--json", o->json, "one object a line");
    command.callback([o, &i] { labels(*o, i); });
}

}
