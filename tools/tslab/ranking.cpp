// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/ranking.hpp"
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include "tslab/style.hpp"
#include "tslab/suggestion.hpp"
#include <algorithm>
#include <cmath>
import tslab;

namespace tslab::tool {

namespace {

/// slow_path_hits a second over a window, and by allocation where there is none.
constexpr std::string_view slow_path_rate = "slow_path_rate";

template <class Visit> auto with_kind(record_kind kind, Visit&& visit)
{
    switch (kind) {
    case record_kind::labels: return visit(label_stats{});
    case record_kind::epochs: return visit(epoch_stats{});
    case record_kind::classes: return visit(class_stats{});
    case record_kind::phases: return visit(phase_cost_stats{});
    case record_kind::threads: break;
    }
    return visit(thread_stats{});
}

std::vector<figure_of> figures_of_kind(record_kind kind)
{
    return with_kind(kind, [](auto const& empty) { return figures_of(empty, 1); });
}

bool has_slow_paths(record_kind kind) { return kind == record_kind::classes || kind == record_kind::threads; }

std::vector<label_stats> const& records(snapshot const& s, label_stats const&) { return s.labels; }
std::vector<epoch_stats> const& records(snapshot const& s, epoch_stats const&) { return s.epochs; }
std::vector<class_stats> const& records(snapshot const& s, class_stats const&) { return s.classes; }
std::vector<phase_cost_stats> const& records(snapshot const& s, phase_cost_stats const&) { return s.phase_costs; }
std::vector<thread_stats> const& records(snapshot const& s, thread_stats const&) { return s.threads; }

bool same(label_stats const& a, label_stats const& b) { return a.label_id == b.label_id && a.name == b.name; }
bool same(epoch_stats const& a, epoch_stats const& b) { return a.index == b.index && a.era == b.era; }
bool same(class_stats const& a, class_stats const& b) { return a.class_index == b.class_index; }
bool same(phase_cost_stats const& a, phase_cost_stats const& b)
{
    return a.label_id == b.label_id && a.label == b.label;
}
bool same(thread_stats const& a, thread_stats const& b) { return a.thread_id == b.thread_id; }

std::string identity_of(label_stats const& l) { return label_or_none(l.name); }
std::string identity_of(epoch_stats const& e) { return std::to_string(e.index); }
std::string identity_of(class_stats const& c) { return size_text(c); }
std::string identity_of(phase_cost_stats const& c) { return label_or_none(c.label); }
std::string identity_of(thread_stats const& t) { return std::to_string(t.thread_id) + (t.alive ? "" : " (ended)"); }

bool is_shown(epoch_stats const& e) { return e.lifecycle == lifecycle::active || e.lifecycle == lifecycle::closing; }
template <class S> bool is_shown(S const&) { return true; }

figure_of const* find(std::vector<figure_of> const& all, std::string_view name)
{
    auto const at = std::ranges::find_if(all, [&](figure_of const& f) { return f.name == name; });
    return at != all.end() ? &*at : nullptr;
}

/// The value to rank by; `before` is null where there is no window.
std::optional<double> value_of(std::string_view field, std::vector<figure_of> const& now,
                               std::vector<figure_of> const* before, double seconds)
{
    bool const rate = field == slow_path_rate;
    figure_of const* const f = find(now, rate ? "slow_path_hits" : field);
    if (f == nullptr || !f->value)
        return std::nullopt;
    if (before == nullptr && !rate)
        return f->value;
    if (before == nullptr) {
        double const allocations = find(now, "allocations")->value.value_or(0);
        return allocations > 0 ? *f->value / allocations : 0;
    }
    if (f->kind != field_kind::counter)
        return f->value;
    figure_of const* const earlier = find(*before, f->name);
    double const then = earlier != nullptr ? earlier->value.value_or(0) : 0;
    double const growth = *f->value >= then ? *f->value - then : *f->value;   // it began anew
    return seconds > 0 ? growth / seconds : 0;
}

template <class S> void add_records(std::vector<ranked>& to, S const& kind, std::string_view field, snapshot const& now,
                                    snapshot const* before)
{
    for (S const& one : records(now, kind)) {
        if (!is_shown(one))
            continue;
        ranked r{.heap = now.name,
                 .identity = identity_of(one),
                 .figures = figures_of(one, now.page_size),
                 .live_known = now.live_known};
        for (figure_of& f : r.figures)
            if (!now.live_known && needs_live(f.name))
                f.value.reset();
        if constexpr (std::is_same_v<S, epoch_stats>)
            r.note = label_or_none(one.label);
        if constexpr (std::is_same_v<S, thread_stats>) {
            r.note = one.name.empty() ? "-" : escaped(one.name);
            r.tid = one.tid != 0 ? std::to_string(one.tid) : "-";
        }
        std::vector<figure_of> earlier;
        if (before != nullptr)
            for (S const& then : records(*before, kind))
                if (same(then, one))
                    earlier = figures_of(then, before->page_size);
        r.value = value_of(field, r.figures, before != nullptr ? &earlier : nullptr,
                           before != nullptr ? seconds_between(*before, now) : 0);
        if (!r.value || (*r.value == 0 && !std::is_same_v<S, epoch_stats>))
            continue;
        json_writer j;
        add_figures(j, one, now.page_size);
        r.json = j.text();
        to.push_back(std::move(r));
    }
}

}

std::vector<std::string_view> keys_of(record_kind kind)
{
    std::vector<std::string_view> keys;
    for (figure_of const& f : figures_of_kind(kind))
        keys.push_back(f.name);
    if (kind != record_kind::threads && kind != record_kind::phases)
        keys.emplace_back("rss_bytes");
    if (has_slow_paths(kind))
        keys.push_back(slow_path_rate);
    return keys;
}

std::string_view field_behind(record_kind kind, std::string_view key)
{
    std::vector<std::string_view> const keys = keys_of(kind);
    auto const at = std::ranges::find(keys, key);
    if (at == keys.end()) {
        std::string const near = did_you_mean(key, keys);
        throw failure{outcome::usage,
                      "there is no key " + in_quotes(key) +
                          (near.empty() ? "; the keys are:" : near + " The keys are:"),
                      wrapped(keys)};
    }
    if (key == "rss_bytes")
        return kind == record_kind::labels ? "held_bytes" : "estimated_rss_bytes";
    return *at;
}

bool grows(record_kind kind, std::string_view key)
{
    std::vector<figure_of> const all = figures_of_kind(kind);
    figure_of const* const f = find(all, key);
    return key == slow_path_rate || (f != nullptr && f->kind == field_kind::counter);
}

std::vector<ranked> rank(record_kind kind, std::string_view key, std::vector<snapshot> const& now,
                         std::vector<snapshot> const& before)
{
    std::string_view const field = field_behind(kind, key);
    std::vector<ranked> all;
    for (std::size_t h = 0; h < now.size(); ++h) {
        snapshot const* const earlier = same_heap(before, now, h);
        if (!before.empty() && earlier == nullptr)
            continue;   // it is new, so there is no rate yet
        with_kind(kind, [&](auto const& empty) { add_records(all, empty, field, now[h], earlier); });
    }
    std::ranges::sort(all, [](ranked const& a, ranked const& b) {
        return *a.value != *b.value ? *a.value > *b.value : a.identity < b.identity;
    });
    return all;
}

std::string figure_text(std::string_view name, std::optional<double> value)
{
    if (!value)
        return "-";
    double const v = *value;
    bool const of_phase = name.starts_with("bytes_") || name.starts_with("peak_bytes_");
    if (v >= 0 && (name.ends_with("_bytes") || name.starts_with("rss_") || of_phase))
        return bytes_text(static_cast<std::uint64_t>(std::min(v, 1e19)));
    if (name.ends_with("_sec"))
        return duration_text(v);
    if (v >= 0 && name.starts_with("wall_ns_"))
        return ns_text(static_cast<std::uint64_t>(std::min(v, 1e19)));
    if (v >= 0 && v < 1e19 && v == std::floor(v))
        return grouped(static_cast<std::uint64_t>(v));
    return decimal_text(v, std::fabs(v) < 1 ? 4 : 1);
}

}
