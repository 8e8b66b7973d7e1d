// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/comparison.hpp"
#include "tslab/figures.hpp"
#include "tslab/heaps.hpp"
#include <algorithm>
#include <string_view>
import tslab;

namespace tslab::tool {

namespace {

double as_double(std::uint64_t n) noexcept { return static_cast<double>(n); }

bool grew_beyond(double before, double after, double fraction) noexcept { return after > before * (1 + fraction); }

bool same_run(snapshot const& a, snapshot const& b) noexcept
{
    return a.pid == b.pid && a.timestamp_ns < b.timestamp_ns && a.global.allocations <= b.global.allocations;
}

}

bool comparison::worse() const noexcept
{
    return std::any_of(changes.begin(), changes.end(), [](change const& c) { return c.worse; });
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

    gauge(&global_stats::live_bytes, limits.live_growth);
    gauge(&global_stats::rss_bytes, limits.rss_growth);
    gauge(&global_stats::live_objects);
    gauge(&global_stats::committed_bytes);
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
    return all;
}

}
