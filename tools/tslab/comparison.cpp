// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/comparison.hpp"
#include "tslab/heaps.hpp"
#include <algorithm>
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
    auto const add = [&](char const* name, double before, double after, bool worse = false) {
        if (before != after || worse)
            all.changes.push_back({name, before, after, worse});
    };
    auto const gauge = [&](char const* name, std::uint64_t global_stats::* field, std::optional<double> growth = {}) {
        double const before = as_double(a.global.*field), after = as_double(b.global.*field);
        add(name, before, after, growth && grew_beyond(before, after, *growth));
    };
    auto const counter = [&](char const* name, std::uint64_t global_stats::* field) {
        add(name, as_double(a.global.*field), as_double(b.global.*field));
    };

    std::uint64_t const allocations = happened(&global_stats::allocations);
    double const rate_before = ratio(a.global.slow_path_hits, a.global.allocations);
    double const rate_after = ratio(happened(&global_stats::slow_path_hits), allocations);
    bool const enough = std::min(a.global.allocations, allocations) >= limits.least_allocations;
    add("slow_path_rate", rate_before, rate_after,
        enough && grew_beyond(rate_before, rate_after, limits.slow_path_growth));

    auto const fault = [&](char const* name, std::uint64_t global_stats::* field, std::uint64_t most, bool relative) {
        std::uint64_t const before = a.global.*field;
        std::uint64_t const now = happened(field);
        std::uint64_t const beyond = relative && !all.same_run ? (now > before ? now - before : 0) : now;
        add(name, as_double(before), as_double(b.global.*field), beyond > most);
    };
    fault("total_madvise_failures", &global_stats::madvise_failures, limits.madvise_failures, false);
    fault("total_leaked_objects", &global_stats::leaked_objects, limits.leaked_objects, true);
    fault("total_misuses", &global_stats::misuses, 0, true);
    fault("total_out_of_memory", &global_stats::out_of_memory, 0, true);

    gauge("live_bytes", &global_stats::live_bytes, limits.live_growth);
    gauge("rss_bytes_current", &global_stats::rss_bytes, limits.rss_growth);
    gauge("live_objects", &global_stats::live_objects);
    gauge("committed_bytes", &global_stats::committed_bytes);
    gauge("empty_held_bytes", &global_stats::empty_held_bytes);
    gauge("slabs_in_use", &global_stats::slabs_in_use);
    gauge("slabs_cached", &global_stats::slabs_cached);
    gauge("active_epoch_count", &global_stats::active_epochs);
    gauge("closing_epoch_count", &global_stats::closing_epochs);
    counter("total_allocations", &global_stats::allocations);
    counter("total_slow_path_hits", &global_stats::slow_path_hits);
    counter("total_slow_cache_miss", &global_stats::slow_path_cache_miss);
    counter("total_slow_epoch_closed", &global_stats::slow_path_epoch_closed);
    counter("total_cache_overflows", &global_stats::cache_overflows);
    counter("total_slabs_allocated", &global_stats::slabs_allocated);
    counter("total_madvise_bytes", &global_stats::madvise_bytes);
    counter("total_epoch_closes", &global_stats::epoch_closes);
    counter("total_lock_contended", &global_stats::lock_contended);
    counter("total_bitmap_alloc_cas_retries", &global_stats::bitmap_alloc_cas_retries);
    counter("total_ring_exhausted", &global_stats::ring_exhausted);
    counter("total_escapes", &global_stats::escapes);
    return all;
}

}
