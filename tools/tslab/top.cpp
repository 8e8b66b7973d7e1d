// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include "tslab/ranking.hpp"
#include "tslab/style.hpp"
#include "tslab/terminal.hpp"
#include <algorithm>
#include <memory>
#include <ostream>
#include <sstream>
#include <utility>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

constexpr double refresh_seconds = 1;

struct top_options {
    target from{};
    bool classes = false;
    bool epochs = false;
    bool labels = false;
    bool threads = false;
    bool phases = false;
    std::string by{};
    std::size_t most = 10;
    std::string window{};
    bool once = false;
    bool json = false;

    [[nodiscard]] record_kind kind() const noexcept
    {
        return classes   ? record_kind::classes
               : epochs  ? record_kind::epochs
               : threads ? record_kind::threads
               : phases  ? record_kind::phases
                         : record_kind::labels;
    }
    [[nodiscard]] std::string key() const
    {
        return !by.empty() ? by
               : classes   ? "allocations"
               : epochs    ? "estimated_rss_bytes"
               : threads   ? "allocations"
               : phases    ? "bytes_sum"
                           : "held_bytes";
    }
};

std::string_view title_of(record_kind kind) noexcept
{
    switch (kind) {
    case record_kind::labels: return "label";
    case record_kind::epochs: return "epoch";
    case record_kind::classes: return "size";
    case record_kind::phases: return "label";
    case record_kind::threads: break;
    }
    return "thread";
}

/// Shown beside the key.
std::vector<std::string_view> context_of(record_kind kind)
{
    switch (kind) {
    case record_kind::labels: return {"epochs", "refcount", "live_bytes", "held_bytes"};
    case record_kind::epochs: return {"age_sec", "refcount", "live_bytes", "estimated_rss_bytes"};
    case record_kind::classes: return {"allocations", "slow_path_hits", "live_bytes", "estimated_rss_bytes"};
    case record_kind::phases: return {"phases", "bytes_p50", "bytes_p99", "peak_bytes_p99", "wall_ns_p99"};
    case record_kind::threads: break;
    }
    return {"allocations", "slow_path_hits", "bitmap_alloc_cas_retries", "lock_contended", "alloc_samples"};
}

std::optional<double> value_in(ranked const& r, std::string_view name)
{
    for (figure_of const& f : r.figures)
        if (f.name == name)
            return f.value;
    return std::nullopt;
}

std::string text_of(top_options const& o, invocation const& i, std::vector<ranked> const& all, bool heaps, bool window)
{
    record_kind const kind = o.kind();
    std::string const key = o.key();
    bool const rate = window && grows(kind, key);
    std::vector<std::string_view> context = context_of(kind);
    if (!rate)
        std::erase(context, field_behind(kind, key));
    std::vector<table::column> columns{{"rank"}, {std::string{title_of(kind)}, table::side::left}};
    if (kind == record_kind::epochs)
        columns.push_back({"label", table::side::left});
    if (kind == record_kind::threads) {
        columns.push_back({"tid"});
        columns.push_back({"name", table::side::left});
    }
    columns.push_back({rate && key != "slow_path_rate" ? key + "/s" : key});
    for (std::string_view const name : context)
        columns.push_back({std::string{name}});
    if (heaps)
        columns.push_back({"heap", table::side::left});
    table t{std::move(columns)};
    for (std::size_t n = 0; n < all.size(); ++n) {
        ranked const& r = all[n];
        std::vector<table::cell> row{{std::to_string(n + 1), paint::dim}, {r.identity}};
        if (kind == record_kind::threads)
            row.push_back({r.tid});
        if (kind == record_kind::epochs || kind == record_kind::threads)
            row.push_back({r.note});
        bool const bytes = key.ends_with("_bytes") || key == "bytes_sum" || key == "peak_bytes_sum";
        row.push_back({rate && !bytes ? rate_text(r.value.value_or(0)) : figure_text(key, r.value), paint::bold});
        for (std::string_view const name : context)
            row.push_back({r.live_known || !needs_live(name) ? figure_text(name, value_in(r, name)) : "?"});
        if (heaps)
            row.push_back({escaped(r.heap)});
        t.add(std::move(row));
    }
    std::ostringstream text;
    t.print(text, i.color);
    return text.str();
}

std::string text_of_none(top_options const& o, std::vector<snapshot> const& looked_at)
{
    std::string const text = "nothing to rank by " + o.key();
    bool const unknown = needs_live(field_behind(o.kind(), o.key())) &&
                         std::ranges::any_of(looked_at, [](snapshot const& s) { return !s.live_known; });
    return text + (unknown ? ": it is not known, only what the process published can be read, not its memory\n" : "\n");
}

std::string json_of(top_options const& o, std::vector<ranked> const& all, bool window)
{
    std::string text;
    for (std::size_t n = 0; n < all.size(); ++n) {
        json_writer j;
        j.open('{').member("rank", n + 1).member("heap", all[n].heap).member("by", o.key());
        j.member("value", all[n].value.value_or(0)).member("per_second", window && grows(o.kind(), o.key()));
        j.member("live_known", all[n].live_known);
        text.append(j.text()).append(",").append(all[n].json).append("}\n");
    }
    return text;
}

void check(top_options const& o)
{
    if (o.classes + o.epochs + o.labels + o.threads + o.phases > 1)
        throw failure{outcome::usage, "--classes, --epochs, --labels, --phases and --threads exclude each other"};
    (void)field_behind(o.kind(), o.key());
}

void top(top_options const& o, invocation& i)
{
    check(o);
    bool const window = !o.window.empty();
    double const seconds = window ? seconds_of("--window", o.window) : refresh_seconds;
    auto const from = o.from.open(i);
    if (window && !from->live())
        throw failure{outcome::usage, "--window needs a live process: one snapshot has no rates"};
    if (window && seconds < 0.01)
        throw failure{outcome::usage, "--window is " + in_quotes(o.window) + ", but takes 10ms or more"};
    bool const stays = i.terminal && !o.once && !o.json && from->live();
    interruption const until;
    std::optional<screen> shown;
    std::vector<snapshot> before;
    if (window) {
        before = from->read(true);
        if (!until.wait(seconds))
            return;
    }
    if (stays)
        shown.emplace(i.out);
    for (;;) {
        std::vector<snapshot> now = from->read(true);
        std::vector<ranked> all = rank(o.kind(), o.key(), now, before);
        all.resize(std::min(all.size(), o.most));
        std::string const text = o.json        ? json_of(o, all, window)
                                 : all.empty() ? text_of_none(o, now)
                                               : text_of(o, i, all, now.size() > 1, window);
        if (!stays) {
            i.out << text << (o.json ? std::string{} : unpublished_note(now));
            return;
        }
        shown->show(from->name() + "\n\n" + text + unpublished_note(now));
        if (!i.out || !until.wait(seconds))
            return;
        if (window)
            before = std::move(now);
    }
}

}

void add_top(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "top", "Labels, epochs, size classes, phases or threads, ranked by any of their figures",
                    "tslab top 1234 --classes --by slow_path_rate --window 1s --n 5");
    auto const o = std::make_shared<top_options>();
    o->from.add_to(command);
    command.add_flag("--labels", o->labels, "rank labels (default)");
    command.add_flag("--epochs", o->epochs, "rank epochs that are open or closing");
    command.add_flag("--classes", o->classes, "rank size classes");
    command.add_flag("--phases", o->phases, "rank labels by what their phases cost");
    command.add_flag("--threads", o->threads, "rank threads; tid and name are those of top -H");
    command
        .add_option(
            "--by", o->by,
            "name of a field in the snapshot's JSON; also rss_bytes, and slow_path_rate: slow paths a second with "
            "--window, by allocation without. An unknown one lists them")
        .type_name("KEY");
    add_number<std::size_t>(command, "-n,--n", o->most, 1, "how many");
    command.add_option("--window", o->window, "rank counters by what they grow a second, over so long")
        .type_name("DURATION");
    command.add_flag("--once", o->once, "print once on a terminal too");
    command.add_flag("--json", o->json, "one object a line");
    command.callback([o, &i] { top(*o, i); });
}

}
