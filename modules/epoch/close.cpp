// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Closing and trimming epochs, and the report of it.
module;
#include <atomic>
#include <cstdint>
#include <string_view>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

#include "count_close.hpp"

namespace tslab {

namespace {

void publish_purged(close_report& report, purge_result const& purged) noexcept
{
    report.madvise_calls = purged.calls;
    report.madvise_bytes = purged.bytes;
    report.madvise_failures = purged.failures;
    report.madvise_asked_bytes = purged.asked;
    report.madvise_gone_bytes = purged.gone;
}

}

close_report allocator::reclaim_epoch(epoch_id e, bool closing, bool closed_before) noexcept
{
    close_report report{.epoch = e};
    if (e.index >= state_.prepared_slots() || e.era == 0)
        return report;
    epoch_record& r = record_of(e);
    thread_record* const me = state_.record();
    shared_text::copy const label = label_of(e);
    fork_exclusion const section{me};   // a fork waits: pages, and the slot, are in no set in between
    std::uint64_t const begin = now_ns();
    report.rss_before = read_rss_bytes();
    reclaim_result const done = r.reclaim_epoch(me, e.era, closing);
    report.found = done.found || closed_before;
    if (!report.found)
        return report;
    if (state_.slabs().is_cached()) {
        state_.reach_threads(me);
        if (me != nullptr)
            state_.flush_surplus(*me);
    }
    purge_result purged = state_.slabs().purge_if_due(true);
    bool drained = done.drained;
    if (done.found && !drained && state_.slabs().purges_at_close()) {
        purge_result unused;
        drained = r.purge_unused(me, e.era, true, unused);
        purged += unused;
    }
    state_.give_back_units(me);
    report.drained = drained || !done.found;   // not found: it drained before the lock was taken
    report.closed = closing;
    report.scanned_slabs = done.scanned();
    report.recycled_slabs = done.recycled();
    report.deferred_claims = done.deferred;
    publish_purged(report, purged);
    report.rss_after = read_rss_bytes();
    report.nanoseconds = now_ns() - begin;
    if (closing) {
        count_close(state_, me, done, report.nanoseconds);
        state_.count(me, heap_event::close_timed);
        state_.count(me, heap_event::close_nanoseconds, report.nanoseconds);
        note_close(report, label);
    }
    return report;
}

/// Stores the report of a close for statistics. Only statistics and closes take the history lock.
void allocator::note_close(close_report const& report, shared_text::copy const& label) noexcept
{
    thread_record* const me = state_.record();
    {
        epoch_record& r = record_of(report.epoch);
        lock_guard const guard{r.lock, r.site(me, no_class)};
        if (r.era.load(std::memory_order_relaxed) == report.epoch.era) {   // else the slot has been reopened already
            r.stats.rss_before_close.store(report.rss_before, std::memory_order_relaxed);
            r.stats.rss_after_close.store(report.rss_after, std::memory_order_relaxed);
            r.stats.closed_madvise_bytes.store(report.madvise_bytes, std::memory_order_relaxed);
            r.stats.closed_asked_bytes.store(report.madvise_asked_bytes, std::memory_order_relaxed);
            r.stats.closed_gone_bytes.store(report.madvise_gone_bytes, std::memory_order_relaxed);
        }
    }
    lock_guard const guard{state_.history_lock()};
    state_.stats().last_close.publish(wall_clock_ns(), report.epoch.index, report.epoch.era, label.view(),
                                      {report.nanoseconds, report.rss_before, report.rss_after, report.scanned_slabs,
                                       report.recycled_slabs, report.madvise_calls, report.madvise_bytes,
                                       report.madvise_failures, report.madvise_asked_bytes, report.madvise_gone_bytes});
}

close_report allocator::close(epoch_id e) noexcept
{
    bool closed = false;
    if (e == current_epoch()) {
        fork_exclusion const section{state_.record()};
        lock_guard const guard{advance_lock_};
        if (e == current_epoch())
            closed = advance_locked() != e;
    }
    // Still current: no ring slot was free, and the current epoch stays ACTIVE; only its empty slabs are reclaimed. If
    // advance has closed it, it may be gone already, because it held nothing or another thread released the last of it:
    // then only pages remain to be purged.
    return reclaim_epoch(e, e != current_epoch(), closed);
}

close_report allocator::trim(epoch_id e) noexcept { return reclaim_epoch(e, false, false); }

close_report allocator::trim() noexcept
{
    close_report all{.found = true};
    all.rss_before = read_rss_bytes();
    std::uint64_t const begin = now_ns();
    thread_record* const me = state_.record();
    fork_exclusion const section{me};
    purge_result purged;
    for (std::uint32_t i = 0; i < state_.prepared_slots(); ++i) {
        epoch_slabs& s = state_.epoch_slabs_at(i);
        lifecycle const state = s.state.load(std::memory_order_relaxed);
        if (state != lifecycle::active && state != lifecycle::closing)
            continue;
        std::uint64_t const era = s.era.load(std::memory_order_relaxed);
        reclaim_result const one = s.reclaim_epoch(me, era, false);
        purge_result unused;
        if (!one.drained)
            static_cast<void>(s.purge_unused(me, era, true, unused));
        purged += unused;
        all.scanned_slabs += one.scanned();
        all.recycled_slabs += one.recycled();
        all.deferred_claims += one.deferred;
    }
    state_.reach_threads(me);
    if (me != nullptr)
        state_.flush_retained(*me);
    purged += state_.slabs().trim();
    publish_purged(all, purged);
    while (state_.give_back_units(me, 0))
        ;   // one batch of units per call
    all.rss_after = read_rss_bytes();
    all.nanoseconds = now_ns() - begin;
    return all;
}

}
