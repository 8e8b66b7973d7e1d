// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include "tslab/style.hpp"
#include "tslab/terminal.hpp"
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <ostream>
#include <sstream>
#include <utility>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

constexpr double least_interval = 0.01;

struct watch_options {
    target from{};
    std::string interval = "1";
    std::uint64_t count = 0;   ///< 0: until interrupted
    bool json = false;
};

/// What happened to one heap between two readings.
struct step {
    snapshot const* now;
    double seconds = 0;
    std::uint64_t allocations = 0;
    std::uint64_t frees = 0;
    std::uint64_t slow_paths = 0;
    std::uint64_t opens = 0;
    std::uint64_t closes = 0;
    std::uint64_t madvise_bytes = 0;
};

step step_of(snapshot const* before, snapshot const& now)
{
    step s{&now};
    if (before == nullptr || seconds_between(*before, now) <= 0)
        return s;
    global_stats const& a = before->global;
    global_stats const& b = now.global;
    s.seconds = seconds_between(*before, now);
    s.allocations = gained(b.allocations, a.allocations);
    s.frees = gained(b.frees, a.frees);
    s.slow_paths = gained(b.slow_path_hits, a.slow_path_hits);
    s.opens = gained(b.epoch_opens, a.epoch_opens);
    s.closes = gained(b.epoch_closes, a.epoch_closes);
    s.madvise_bytes = gained(b.madvise_bytes, a.madvise_bytes);
    return s;
}

std::string json_of(step const& s)
{
    global_stats const& g = s.now->global;
    json_writer j;
    j.open('{').member("timestamp_ns", s.now->timestamp_ns).member("pid", s.now->pid).member("heap", s.now->name);
    j.member("interval_sec", s.seconds);
    auto const counter = [&](std::string const& name, std::uint64_t total, std::uint64_t growth) {
        j.member("total_" + name, total).member(name + "_delta", growth);
        j.member(name + "_per_sec", per_second(growth, s.seconds));
    };
    counter("allocations", g.allocations, s.allocations);
    counter("frees", g.frees, s.frees);
    counter("slow_path_hits", g.slow_path_hits, s.slow_paths);
    counter("epoch_opens", g.epoch_opens, s.opens);
    counter("epoch_closes", g.epoch_closes, s.closes);
    counter("madvise_bytes", g.madvise_bytes, s.madvise_bytes);
    j.member("live_known", s.now->live_known).member("live_objects", g.live_objects).member("live_bytes", g.live_bytes);
    j.member("committed_bytes", g.committed_bytes).member("rss_bytes_current", g.rss_bytes);
    j.member("active_epoch_count", g.active_epochs).member("closing_epoch_count", g.closing_epochs);
    return j.close('}').text();
}

std::vector<table::cell> row_of(step const& s)
{
    auto const rate = [&](std::uint64_t growth) { return rate_text(per_second(growth, s.seconds)); };
    global_stats const& g = s.now->global;
    return {{clock_text(s.now->timestamp_ns), paint::dim},
            {rate(s.allocations)},
            {live_text(*s.now, rate(s.frees))},
            {rate(s.slow_paths)},
            {live_text(*s.now, bytes_text(g.live_bytes))},
            {bytes_text(g.rss_bytes)},
            {grouped(s.opens)},
            {grouped(s.closes)},
            {bytes_text(s.madvise_bytes)},
            {label_or_none(unique_name(*s.now))}};
}

std::vector<table::column> columns()
{
    return {{"time"}, {"allocs/s"}, {"frees/s"}, {"slow/s"},     {"live"},
            {"RSS"},  {"opened"},   {"closed"},  {"given back"}, {"heap", table::side::left}};
}

/// Prints steps: as JSON, as lines of fixed columns, or as a table that stays on the screen.
class printer {
public:
    printer(invocation& i, bool json) : i_{i}, json_{json}
    {
        if (!json && i.terminal)
            screen_.emplace(i.out);
    }

    void print(std::vector<step> const& steps)
    {
        if (screen_)
            refresh(steps);
        else
            for (step const& s : steps)
                json_ ? void(i_.out << json_of(s) << '\n') : print_line(s);
        i_.out.flush();
    }

private:
    void print_line(step const& s)
    {
        if (std::exchange(heading_, false))
            i_.out << "    time     allocs/s      frees/s       slow/s        live         RSS  opened  closed  "
                      "given back  heap\n";
        constexpr std::array widths{8, 13, 13, 13, 12, 12, 8, 8, 12};
        std::vector<table::cell> const row = row_of(s);
        for (std::size_t c = 0; c < widths.size(); ++c) {
            auto const width = static_cast<std::size_t>(widths[c]);
            i_.out << std::string(width - std::min(width, row[c].text.size() + (c == 0 ? 0 : 1)), ' ')
                   << (c == 0 ? "" : " ") << row[c].text;
        }
        i_.out << "  " << row.back().text << '\n';
    }

    void refresh(std::vector<step> const& steps)
    {
        for (step const& s : steps)
            rows_.push_back(row_of(s));
        std::size_t const room = std::max(size_of_terminal().rows, 4U) - 2;
        while (rows_.size() > room)
            rows_.pop_front();
        table t{columns()};
        for (auto const& row : rows_)
            t.add(row);
        std::ostringstream text;
        t.print(text, i_.color);
        if (screen_)
            screen_->show(text.str());
    }

    invocation& i_;
    bool json_;
    bool heading_ = true;
    std::deque<std::vector<table::cell>> rows_;
    std::optional<screen> screen_;
};

void watch(watch_options const& o, invocation& i)
{
    double const interval = seconds_of("--interval", o.interval);
    if (interval < least_interval)
        throw failure{outcome::usage, "--interval is " + in_quotes(o.interval) + ", but takes 10ms or more"};
    auto const from = o.from.open(i);
    std::vector<snapshot> before = from->read(false);
    interruption const until;
    printer to{i, o.json};
    for (std::uint64_t n = 0; o.count == 0 || n < o.count; ++n) {
        if (from->live() && !until.wait(interval))
            break;
        std::vector<snapshot> now = from->read(false);
        std::vector<step> steps;
        steps.reserve(now.size());
        for (std::size_t h = 0; h < now.size(); ++h)
            steps.push_back(step_of(same_heap(before, now, h), now[h]));
        to.print(steps);
        if (!i.out || !from->live())   // the output has no reader, or nothing new will come
            break;
        before = std::move(now);
    }
}

}

void add_watch(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "watch", "What happens a second, step by step, until interrupted", "tslab watch 1234 0.5 10");
    auto const o = std::make_shared<watch_options>();
    o->from.add_to(command);
    command.add_option("interval,--interval", o->interval, "time between two steps, at least 10ms")
        .type_name("DURATION")
        .shows_default();
    add_number<std::uint64_t>(command, "count,--count", o->count, 0, "how many steps; 0: until interrupted");
    command.add_flag("--json", o->json, "one object a line: totals, growth, and rates");
    command.callback([o, &i] { watch(*o, i); });
}

}
