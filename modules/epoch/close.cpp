// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Closing and trimming epochs, and the report of it.
module;
#include <algorithm>
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

void set_purged(close_report& report, purge_result const& purged) noexcept
{
    report.madvise_calls = purged.calls;
    report.madvise_bytes = purged.bytes;
    report.madvise_failures = purged.failures;
    report.madvise_asked_bytes = purged.asked;
    report.madvise_gone_bytes = purged.gone;
    report.purge_nanoseconds = purged.nanoseconds;
}

/// Ends the timing of a close or a trim, and fills in its report.
void complete(close_report& report, reclaim_result const& done) noexcept
{
    report.nanoseconds = now_ns() - done.begin_ns;
    report.scanned_slabs = done.scanned() + done.kept;
    report.recycled_slabs = done.recycled() + done.kept;
    report.deferred_claims = done.deferred;
    set_purged(report, done.purged);
    report.rss_before = done.rss_before;
    report.rss_after = done.rss_before != 0 ? read_rss_bytes() : 0;
}

/// The heap's closes by label, made at the first call; null if there is no memory. The caller holds history_lock.
close_page* closes_of(heap_state& state) noexcept
{
    close_page* made = state.closes().load(std::memory_order_relaxed);
    if (made != nullptr)
        return made;
    made = state.make_stats_page<close_page>();
    if (made == nullptr)
        return nullptr;
    state.closes().store(made, std::memory_order_release);   // release: a reader of the pointer sees the zeroes
    if (state.published().is_published(made))
        state.stats().closes.store(made, std::memory_order_release);   // the same for readers outside
    return made;
}

/// Duration of a close without its purges.
std::uint64_t scan_ns(close_report const& report) noexcept
{
    return report.nanoseconds - std::min(report.nanoseconds, report.purge_nanoseconds);
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
    std::uint32_t const label_id = label_id_of(e);
    std::uint32_t const place =
        closing ? find_oldest_holder([&r](auto visit) { r.for_each_holder(visit); }).place : source_places::unknown;
    fork_exclusion const section{me};   // a fork waits: pages, and the slot, are in no set in between
    std::uint64_t const rss_before = read_rss_bytes();
    std::uint64_t const begin = now_ns();
    reclaim_result done = r.reclaim_epoch(me, e.era, closing);
    done.begin_ns = begin;
    done.rss_before = rss_before;
    done.label_id = label_id;
    done.place = place;
    report.found = done.found || closed_before;
    if (!report.found)
        return report;
    if (state_.slabs().is_cached()) {
        state_.reach_threads(me);
        if (me != nullptr)
            state_.flush_surplus(*me);
    }
    state_.purge_if_due(done, true);
    if (done.found && !done.drained && state_.slabs().purges_at_close())
        r.purge_unused(me, e.era, done);
    state_.give_back_units(me, page_heap::slack_pages, &done.purged);
    report.drained = done.drained || !done.found;   // not found: it drained before the lock was taken
    report.closed = closing;
    complete(report, done);
    state_.count_purged(label_id, done.purged);
    if (closing) {
        count_close(state_, me, done, scan_ns(report));
        count_timed(me, report);
        note_close(report, label, label_id, true);
    }
    return report;
}

void allocator::count_timed(thread_record* me, close_report const& report) noexcept
{
    state_.count(me, heap_event::close_timed);
    state_.count(me, heap_event::close_nanoseconds, scan_ns(report));
    state_.count(me, heap_event::close_purge_ns, report.purge_nanoseconds);
}

/// Counts and reports a timed close by the end of a scope, a resource or a domain. Returns its duration without purges.
std::uint64_t allocator::note_timed_end(thread_record* me, epoch_id e, reclaim_result const& done) noexcept
{
    close_report report{.epoch = e, .found = true, .closed = true, .drained = done.drained};
    complete(report, done);
    count_timed(me, report);
    shared_text::copy label = label_of(e);
    if (label.view().empty() && done.label_id != label_registry::unlabeled)   // its ring slot has been reopened
        label = labels_.name_of(done.label_id);
    note_close(report, label, done.label_id, false);
    return scan_ns(report);
}

/// Stores the report of a close for statistics. `explicitly`: the program asked for it. Other closes do not wait for
/// each other here: of two that end at the same time, one is stored.
void allocator::note_close(close_report const& report, shared_text::copy const& label, std::uint32_t label_id,
                           bool explicitly) noexcept
{
    thread_record* const me = state_.record();
    if (report.rss_before != 0 || report.madvise_calls != 0) {
        epoch_record& r = record_of(report.epoch);
        lock_guard const guard{r.lock, r.site(me, no_class)};
        if (r.era.load(std::memory_order_relaxed) == report.epoch.era) {   // else the slot has been reopened already
            r.has_close_figures = true;
            r.stats.rss_before_close.store(report.rss_before, std::memory_order_relaxed);
            r.stats.rss_after_close.store(report.rss_after, std::memory_order_relaxed);
            r.stats.closed_madvise_bytes.store(report.madvise_bytes, std::memory_order_relaxed);
            r.stats.closed_asked_bytes.store(report.madvise_asked_bytes, std::memory_order_relaxed);
            r.stats.closed_gone_bytes.store(report.madvise_gone_bytes, std::memory_order_relaxed);
        }
    }
    mutex& history = state_.history_lock();
    if (explicitly)
        history.lock();
    else if (!history.try_lock())
        return;
    auto const publish = [&, now = wall_clock_ns()](last_close_record& to) {
        to.publish(now, report.epoch.index, report.epoch.era, label.view(),
                   {report.nanoseconds, report.purge_nanoseconds, report.rss_before, report.rss_after,
                    report.scanned_slabs, report.recycled_slabs, report.madvise_calls, report.madvise_bytes,
                    report.madvise_failures, report.madvise_asked_bytes, report.madvise_gone_bytes});
    };
    publish(state_.stats().last_close);
    if (explicitly || report.madvise_calls != 0 || report.madvise_failures != 0)
        if (close_page* const closes = closes_of(state_))
            publish(closes->of_label[label_id]);
    history.unlock();
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
    reclaim_result all{.found = true};
    all.rss_before = read_rss_bytes();
    all.begin_ns = now_ns();
    thread_record* const me = state_.record();
    fork_exclusion const section{me};
    for (std::uint32_t i = 0; i < state_.prepared_slots(); ++i) {
        epoch_slabs& s = state_.epoch_slabs_at(i);
        lifecycle const state = s.state.load(std::memory_order_relaxed);
        if (state != lifecycle::active && state != lifecycle::closing)
            continue;
        std::uint64_t const era = s.era.load(std::memory_order_relaxed);
        reclaim_result one = s.reclaim_epoch(me, era, false);
        if (!one.drained)
            s.purge_unused(me, era, one);
        state_.count_purged(one.label_id, one.purged);
        all += one;
    }
    state_.reach_threads(me);
    if (me != nullptr)
        state_.flush_retained(*me);
    all.purged += state_.slabs().trim();
    while (state_.give_back_units(me, 0, &all.purged))
        ;   // one batch of units per call
    close_report report{.found = true};
    complete(report, all);
    return report;
}

}
