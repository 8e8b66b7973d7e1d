// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/comparison.hpp"
#include "tslab/figures.hpp"
#include "tslab/heaps.hpp"
#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
import tslab;

namespace tslab::tool {

namespace {

double as_double(std::uint64_t n) noexcept { return static_cast<double>(n); }

bool grew_beyond(double before, double after, double fraction) noexcept { return after > before * (1 + fraction); }

bool same_run(snapshot const& a, snapshot const& b) noexcept
{
    return a.pid == b.pid && seconds_between(a, b) > 0 && a.global.allocations <= b.global.allocations;
}

bool is_open(epoch_stats const& e) noexcept
{
    return e.lifecycle == lifecycle::active || e.lifecycle == lifecycle::closing;
}

/// What of a snapshot can be there or not.
std::set<std::pair<std::string, std::string>> parts_of(snapshot const& s, bool one_run)
{
    std::set<std::pair<std::string, std::string>> all;
    for (class_stats const& c : s.classes)
        if (c.allocations != 0 || c.live_objects != 0)
            all.emplace("class", c.object_size != 0 ? std::to_string(c.object_size) + " bytes" : "large allocations");
    for (label_stats const& l : s.labels)
        if (l.label_id != 0 && l.label_id != label_buckets - 1)   // those two are always there
            all.emplace("label", l.name);
    for (epoch_stats const& e : s.epochs)
        if (is_open(e))
            all.emplace("epoch", one_run ? std::to_string(e.index) + ", era " + std::to_string(e.era) +
                                               (e.label.empty() ? "" : ", label " + e.label)
                                         : "open, " + (e.label.empty() ? "without a label" : "label " + e.label));
    if (s.live_known)
        all.emplace("figure", "live objects");
    if (s.waterfall)
        all.emplace("figure", "resident memory by use");
    if (s.global.lock_timing)
        all.emplace("figure", "lock timing");
    return all;
}

void note_unmatched(snapshot const& a, snapshot const& b, comparison& to)
{
    auto const before = parts_of(a, to.same_run), after = parts_of(b, to.same_run);
    auto const only_in = [](auto const& one, auto const& other, std::vector<unmatched>& found) {
        for (auto const& [kind, name] : one)
            if (!other.contains({kind, name}))
                found.push_back({kind, name});
    };
    only_in(before, after, to.gone);
    only_in(after, before, to.added);
}

}

bool comparison::worse() const noexcept
{
    return std::ranges::any_of(changes, [](change const& c) { return c.worse; });
}

comparison compare(snapshot const& a, snapshot const& b, limits_of_change const& limits)
{
    comparison all;
    all.same_run = same_run(a, b);
    auto const happened = [&](std::uint64_t global_stats::* counter) {   // in the run of b, or since a
        return all.same_run ? gained(b.global.*counter, a.global.*counter) : b.global.*counter;
    };
    auto const add = [&](std::string_view name, double before, double after, bool worse = false) {
        if (before != after || worse)
            all.changes.push_back({std::string{name}, before, after, worse});
    };
    auto const gauge = [&](std::uint64_t global_stats::* field, std::optional<double> growth = {}) {
        double const before = as_double(a.global.*field), after = as_double(b.global.*field);
        add(name_of_figure(field), before, after, growth && grew_beyond(before, after, *growth));
    };
    auto const counter = [&](std::uint64_t global_stats::* field) {
        add(name_of_figure(field), as_double(a.global.*field), as_double(b.global.*field));
    };

    std::uint64_t const allocations = happened(&global_stats::allocations);
    double const rate_before = ratio(a.global.slow_path_hits, a.global.allocations);
    double const rate_after = ratio(happened(&global_stats::slow_path_hits), allocations);
    bool const enough = std::min(a.global.allocations, allocations) >= limits.least_allocations;
    add("slow_path_rate", rate_before, rate_after,
        enough && grew_beyond(rate_before, rate_after, limits.slow_path_growth));

    auto const fault = [&](std::uint64_t global_stats::* field, std::uint64_t most, bool relative) {
        std::uint64_t const before = a.global.*field;
        std::uint64_t const now = happened(field);
        std::uint64_t const beyond = relative && !all.same_run ? (now > before ? now - before : 0) : now;
        add(name_of_figure(field), as_double(before), as_double(b.global.*field), beyond > most);
    };
    fault(&global_stats::madvise_failures, limits.madvise_failures, false);
    fault(&global_stats::leaked_objects, limits.leaked_objects, true);
    fault(&global_stats::misuses, 0, true);
    fault(&global_stats::out_of_memory, 0, true);

    bool const live_known = a.live_known && b.live_known;   // else the figures are 0, on one side or both
    if (live_known)
        gauge(&global_stats::live_bytes, limits.live_growth);
    gauge(&global_stats::rss_bytes, limits.rss_growth);
    if (live_known)
        gauge(&global_stats::live_objects);
    gauge(&global_stats::committed_bytes);
    if (live_known)
        gauge(&global_stats::empty_held_bytes);
    gauge(&global_stats::slabs_in_use);
    gauge(&global_stats::slabs_cached);
    gauge(&global_stats::active_epochs);
    gauge(&global_stats::closing_epochs);
    counter(&global_stats::allocations);
    counter(&global_stats::slow_path_hits);
    counter(&global_stats::slow_path_cache_miss);
    counter(&global_stats::slow_path_epoch_closed);
    counter(&global_stats::cache_overflows);
    counter(&global_stats::slabs_allocated);
    counter(&global_stats::madvise_bytes);
    counter(&global_stats::epoch_closes);
    counter(&global_stats::lock_contended);
    counter(&global_stats::bitmap_alloc_cas_retries);
    counter(&global_stats::ring_exhausted);
    counter(&global_stats::escapes);
    note_unmatched(a, b, all);
    return all;
}

}
