// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The allocator's epochs: opening, advancing, entering, leaving, closing. Each is one short time under one shelf's lock.
module;
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <source_location>
#include <string_view>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

namespace tslab {

namespace {

void tell_purged(close_report& report, purge_result const& purged) noexcept
{
    report.madvise_calls = purged.calls;
    report.madvise_bytes = purged.bytes;
    report.madvise_failures = purged.failures;
    report.madvise_asked_bytes = purged.asked;
    report.madvise_gone_bytes = purged.gone;
}

/// Counts a close, `nanoseconds` of which took what a timed one did.
void count_close(heap_core& core, thread_record* me, take_back_result const& done,
                 std::uint64_t nanoseconds = 0) noexcept
{
    core.count(me, heap_event::epoch_close, done.closed ? 1 : 0);
    core.count(me, heap_event::close_deferred, done.deferred);
    if (me == nullptr)
        return;
    me->count_taken_back(done);
    done.for_each_class([&](unsigned c) {
        me->classes[c][class_event::close_call].add();
        if (nanoseconds != 0)
            me->classes[c][class_event::close_nanoseconds].add(nanoseconds);
    });
}

}

/// The record of a claimed slot. Records are made in order, so that every slot below `prepared_slots` has one. Null, and the
/// claim is undone, when there is no memory for what is told of it.
epoch_record* allocator::prepare_slot(std::uint32_t index) noexcept
{
    if (index >= core_.prepared_slots()) {
        lock_guard const guard{prepare_lock_};
        for (std::uint32_t i = core_.prepared_slots(); i <= index; ++i) {
            auto* const face = core_.make_row(i) ? core_.make_face<epoch_face>() : nullptr;
            if (face == nullptr) {
                core_.free_slots().release(index);
                return nullptr;
            }
            auto* const r = std::construct_at(&static_cast<epoch_record&>(core_.shelf_at(i)), *face);
            face->index.store(i, std::memory_order_relaxed);
            if (core_.told().tells(face)) {
                face->next.store(core_.face().epochs.load(std::memory_order_relaxed), std::memory_order_relaxed);
                core_.face().epochs.store(face, std::memory_order_release);   // publishes it to readers outside
            }
            r->index = i;
            r->heap = &core_;
            core_.set_prepared_slots(i + 1);
        }
    }
    return &static_cast<epoch_record&>(core_.shelf_at(index));
}

/// Turns a claimed slot ACTIVE with a new era.
// Modelled: tests/models/era.pml, step begin_epoch
// Modelled: tests/models/large.pml, step begin_epoch
epoch_id allocator::begin_epoch(epoch_record& r, shared_text::packed const& label, std::uint32_t label_id) noexcept
{
    // Later than every era of this slot, and than those of current epochs before; another slot may have the same one.
    std::uint64_t const era =
        std::max(eras_.load(std::memory_order_relaxed), r.era.load(std::memory_order_relaxed)) + 1;
    epoch_id const now{r.index, era};
    // No era while the fields change; release: whoever sees a new field sees that the old era is over (see read_epoch).
    r.set_era(0, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    r.face.label.assign(label);
    r.set_label_id(label_id);
    r.face.opened_ns.store(now_ns_coarse(), std::memory_order_relaxed);
    r.face.enters.reset();
    r.face.exits.reset();
    r.face.allocations.reset();
    r.face.rss_before_close.store(0, std::memory_order_relaxed);
    r.face.rss_after_close.store(0, std::memory_order_relaxed);
    r.face.closed_madvise_bytes.store(0, std::memory_order_relaxed);
    r.face.closed_asked_bytes.store(0, std::memory_order_relaxed);
    r.face.closed_gone_bytes.store(0, std::memory_order_relaxed);
    r.face.closing_ns.store(0, std::memory_order_relaxed);
    r.set_state(lifecycle::active);
    r.set_era(now.era, std::memory_order_release);   // whoever sees the era sees its fields
    return now;
}

// Modelled: tests/models/era.pml, step open_epoch
allocator::opened allocator::open_epoch(std::string_view label, bool enter, std::source_location const& at,
                                        atomic<lane*>* binding) noexcept
{
    thread_record* const me = core_.record();
    restructuring_section const section{me};
    std::uint32_t const index = core_.free_slots().claim(me != nullptr ? me->slot_hint : 0);
    epoch_record* const claimed = index != slot_set::none ? prepare_slot(index) : nullptr;
    opened result;
    if (claimed == nullptr) {
        core_.count(me, heap_event::ring_exhausted);
        result.shared = true;
        do
            result.epoch = current_epoch();
        while (enter &&
               !enter_epoch(result.epoch, true, at, result.place));   // advanced away under us: the new one then
        return result;
    }
    if (me != nullptr)
        me->slot_hint = index;
    shared_text::packed const words = shared_text::pack(label);
    std::uint32_t const label_id = labels_.number_of(label, words);
    std::uint32_t const told = enter ? core_.place_of(at) : 0;
    epoch_record& r = *claimed;
    lane* const l = binding != nullptr && me != nullptr ? core_.take_lane(*me) : nullptr;
    lock_guard const guard{r.lock, me != nullptr ? me->site(no_class, label_id) : lock_site{}};
    result.epoch = begin_epoch(r, words, label_id);
    core_.count(me, heap_event::epoch_open);
    if (me != nullptr)
        me->clock_ns = r.face.opened_ns.load(std::memory_order_relaxed);
    if (l != nullptr)
        r.link(*l, result.epoch.era, this_thread.key, binding);
    if (enter) {
        result.place = r.note_enter(true, at, told, r.face.opened_ns.load(std::memory_order_relaxed));
        core_.count(me, heap_event::domain_enter);
    }
    return result;
}

bool allocator::enter_epoch(epoch_id e, bool first, std::source_location const& at, std::uint32_t& place) noexcept
{
    if (e.index >= core_.prepared_slots())
        return false;
    thread_record* const me = core_.record();
    restructuring_section const section{me};
    std::uint32_t const told = first ? core_.place_of(at) : 0;
    epoch_record& r = record_of(e);
    lock_guard const guard{r.lock, r.site(me, no_class)};
    if (r.era.load(std::memory_order_relaxed) != e.era || r.state.load(std::memory_order_relaxed) == lifecycle::drained)
        return false;
    std::uint32_t const got = r.note_enter(first, at, told, now_ns_coarse());
    if (first)
        place = got;
    core_.count(me, heap_event::domain_enter);
    return true;
}

namespace {

/// What a resource leaves behind is nobody's: the next one may be made at the same address.
void disown_large(epoch_record& r, void const* owner) noexcept __attribute__((requires_capability(r.lock)))
{
    for (slab* s = r.large.front(); s != nullptr; s = s->next)
        if (s->owner.load(std::memory_order_relaxed) == large_owner(owner))
            s->owner.store(&nowhere, std::memory_order_relaxed);
}

}

allocator::left allocator::leave_epoch(leaving const& how) noexcept
{
    if (how.last && how.close && how.epoch == current_epoch()) {
        // A domain around the current epoch: there must be a new one before this one closes, which close sees to.
        leaving stay = how;
        stay.close = false;
        left const result = leave_epoch(stay);
        if (result.was_last)
            close(how.epoch);
        return result;
    }
    thread_record* const me = core_.record();
    restructuring_section const section{me};
    if (how.epoch.index >= core_.prepared_slots())
        return {};
    epoch_record& r = record_of(how.epoch);
    take_back_result done;
    left result;
    bool const counts_its_part = how.count_leaks && !how.own;   // of an epoch that others live in too
    bool closed_before = false;                                 // then what is handed back is part of that close
    bool survivors = false;
    lane* detached = nullptr;
    {
        lock_guard const guard{r.lock, r.site(me, no_class)};
        auto const gone = [&] { return r.era.load(std::memory_order_relaxed) != how.epoch.era; };
        if (gone())
            return {};
        closed_before = r.state.load(std::memory_order_relaxed) == lifecycle::closing;
        lane* const l = how.binding != nullptr ? how.binding->load(std::memory_order_relaxed) : &no_lane;
        done.closing = closed_before || (how.last && how.close && r.holds.load(std::memory_order_relaxed) == 1);
        if (l != &no_lane) {
            if (how.drop && me != nullptr)
                result.dropped_objects += l->drop(*me, r.face.allocations);
            // Modelled: tests/models/claims.pml, step leave_epoch
            if (l->record() != me) {
                if (r.end_elsewhere(*l, me, counts_its_part ? &result.leaked : nullptr, done))
                    detached = l;
                closed_before = r.state.load(std::memory_order_relaxed) == lifecycle::closing;   // it may have waited
            } else {
                if (counts_its_part)
                    result.leaked += l->live();
                r.hand_back(*l, me, done);
                detached = l;
            }
        }
        if (counts_its_part) {
            result.leaked += r.live_large_of(how.owner);
            if (result.leaked.objects != 0)
                disown_large(r, how.owner);
        }
        r.note_exit(how.last, how.place);
        result.was_last = r.holds.load(std::memory_order_relaxed) == 0;
        bool const closing = how.last && how.close && result.was_last;
        if (r.lanes != nullptr || r.slab_count != 0) {
            if (closing || (how.own && how.count_leaks && how.last))
                r.take_back_locked(me, closing, done);   // may let go of the lock: the epoch may be gone afterwards
        } else if (closing) {
            done.closed = r.state.load(std::memory_order_relaxed) == lifecycle::active;
            r.set_state(lifecycle::closing);
        }
        if (!gone()) {
            if (how.drop && how.own)
                result.dropped_objects += r.drop_all(me);
            if (how.count_leaks && how.own && (r.slab_count != 0 || r.large_count != 0))
                result.leaked += r.live();
            done.drained = r.settle() || done.drained;
            survivors = r.state.load(std::memory_order_relaxed) == lifecycle::closing && r.may_have_unused_pages();
        }
    }
    if (detached != nullptr)
        heap_core::return_bound_lane(*detached, me);
    core_.count(me, heap_event::domain_exit);
    core_.count(me, heap_event::released, result.dropped_objects);
    core_.count(me, heap_event::leaked, result.leaked.objects);
    if (done.closed || closed_before)
        count_close(core_, me, done);
    if (done.drained)
        core_.slot_drained(r, me);
    else if (done.recycled() != 0)
        core_.slabs().settle(false);
    if (survivors && !done.drained)
        core_.purge_survivors(r, how.epoch.era, me);
    if (me != nullptr)
        core_.decay_if_due(*me, me->clock_ns);
    return result;
}

// Modelled: tests/models/exclusive.pml, step hand_back_bound
void allocator::hand_back(epoch_id e, atomic<lane*>& binding) noexcept
{
    thread_record* const me = core_.record();
    restructuring_section const section{me};
    epoch_record& r = record_of(e);
    take_back_result done;
    bool closing = false;
    bool survivors = false;
    lane* detached = nullptr;
    {
        lock_guard const guard{r.lock, r.site(me, no_class)};
        lane* const l = binding.load(std::memory_order_relaxed);
        if (l == &no_lane)
            return;
        closing = r.state.load(std::memory_order_relaxed) == lifecycle::closing;
        if (r.give_up(*l, me, done))
            detached = l;
        survivors = closing && r.may_have_unused_pages();
        done.drained = r.settle();
    }
    if (detached != nullptr)
        heap_core::return_bound_lane(*detached, me);
    if (closing && me != nullptr)
        me->count_taken_back(done);
    if (done.drained)
        core_.slot_drained(r, me);
    else if (survivors)
        core_.purge_survivors(r, e.era, me);
}

void allocator::count_free() noexcept { core_.count(core_.record(), heap_event::counted_free); }

std::uint64_t allocator::release_epoch(epoch_id e, atomic<lane*>& keep) noexcept
{
    thread_record* const me = core_.record();
    if (me == nullptr)
        return 0;
    restructuring_section const section{me};
    epoch_record& r = record_of(e);
    take_back_result done;
    std::uint64_t live = 0;
    {
        lock_guard const guard{r.lock, r.site(me, no_class)};
        if (lane* const l = keep.load(std::memory_order_relaxed); l != &no_lane)
            live += l->drop(*me, r.face.allocations);
        if (r.lane_count > 1 || (r.lane_count == 1 && keep.load(std::memory_order_relaxed) == &no_lane))
            r.take_back_locked(me, false, done);
        if (r.era.load(std::memory_order_relaxed) == e.era) {   // taking back may have let go of the lock
            live += r.drop_all(me);
            done.drained = r.settle() || done.drained;
        }
    }
    core_.count(me, heap_event::released, live);
    core_.slabs().settle(false);
    if (done.drained)
        core_.slot_drained(r, me);
    return live;
}

std::uint64_t allocator::release_part(epoch_id e, atomic<lane*>& keep, void const* owner) noexcept
{
    thread_record* const me = core_.record();
    if (me == nullptr)
        return 0;
    epoch_record& r = record_of(e);
    std::uint64_t live = 0;
    for (slab* next = nullptr;;) {
        {
            restructuring_section const section{me};
            lock_guard const guard{r.lock, r.site(me, no_class)};
            if (lane* const l = keep.load(std::memory_order_relaxed); l != &no_lane)
                live += l->drop(*me, r.face.allocations);
            for (next = r.large.front();
                 next != nullptr && next->owner.load(std::memory_order_relaxed) != large_owner(owner);)
                next = next->next;
        }
        if (next == nullptr)
            break;
        static_cast<void>(core_.retire_large(*next));
        live += free_large(*next, me) ? 1 : 0;
    }
    core_.count(me, heap_event::released, live);
    core_.slabs().settle(false);
    return live;
}

epoch_id allocator::advance() noexcept
{
    restructuring_section const section{core_.record()};
    lock_guard const guard{advance_lock_};
    return advance_locked();
}

// Modelled: tests/models/era.pml, step advance
epoch_id allocator::advance_locked() noexcept
{
    thread_record* const me = core_.record();
    epoch_id const before = current_epoch();
    std::uint32_t const from = before.era == 0 ? 0 : (before.index + 1) % core_.slots();
    std::uint32_t const index = core_.free_slots().claim(from);
    epoch_record* const claimed = index != slot_set::none ? prepare_slot(index) : nullptr;
    if (claimed == nullptr) {
        core_.count(me, heap_event::ring_exhausted);
        return before;
    }
    epoch_record& next = *claimed;
    epoch_id now;
    {
        lock_guard const guard{next.lock, next.site(me, no_class)};
        now = begin_epoch(next, {}, label_registry::unlabeled);
    }
    eras_.store(now.era, std::memory_order_relaxed);
    core_.count(me, heap_event::epoch_open);
    // release: whoever reads the new epoch finds its slot open.
    current_.store(std::uint64_t{now.index} | now.era << 16, std::memory_order_release);
    core_.face().current.store(std::uint64_t{now.index} | now.era << 16, std::memory_order_relaxed);
    if (before.era == 0)
        return now;
    core_.count(me, heap_event::epoch_advance);
    epoch_record& old = record_of(before);
    bool drained = false;
    {
        lock_guard const guard{old.lock, old.site(me, no_class)};
        if (old.state.load(std::memory_order_relaxed) == lifecycle::active)
            core_.count(me, heap_event::epoch_close);
        old.begin_closing();
        drained = old.settle();
    }
    if (drained) {   // not slot_drained: nothing here may call into the kernel
        core_.count(me, heap_event::epoch_drained);
        core_.free_slots().release(old.index);
    }
    return now;
}

close_report allocator::take_back(epoch_id e, bool closing, bool closed_before) noexcept
{
    close_report report{.epoch = e};
    if (e.index >= core_.prepared_slots() || e.era == 0)
        return report;
    epoch_record& r = record_of(e);
    thread_record* const me = core_.record();
    shared_text::copy const label = label_of(e);
    restructuring_section const section{me};   // a fork waits: pages and slot are in nobody's hands in between
    std::uint64_t const begin = now_ns();
    report.rss_before = read_rss_bytes();
    take_back_result const done = r.take_back(me, e.era, closing);
    report.found = done.found || closed_before;
    if (!report.found)
        return report;
    if (core_.slabs().is_cached()) {
        core_.reach_threads(me);
        if (me != nullptr)
            core_.flush_surplus(*me);
    }
    purge_result purged = core_.slabs().settle(true);
    bool drained = done.drained;
    if (done.found && !drained && core_.slabs().purges_at_close()) {
        purge_result unused;
        drained = r.purge_unused(me, e.era, true, unused);
        purged += unused;
    }
    core_.give_back_units(me);
    if (drained)
        core_.slot_drained(r, me);
    report.drained = drained || !done.found;   // else it went before we came to it
    report.closed = closing;
    report.scanned_slabs = done.scanned();
    report.recycled_slabs = done.recycled();
    report.deferred_claims = done.deferred;
    tell_purged(report, purged);
    report.rss_after = read_rss_bytes();
    report.nanoseconds = now_ns() - begin;
    if (closing) {
        count_close(core_, me, done, report.nanoseconds);
        core_.count(me, heap_event::close_timed);
        core_.count(me, heap_event::close_nanoseconds, report.nanoseconds);
        note_close(report, label);
    }
    return report;
}

/// Keeps the report of a close for the statistics. Nobody but them and other closes takes the last lock.
void allocator::note_close(close_report const& report, shared_text::copy const& label) noexcept
{
    thread_record* const me = core_.record();
    {
        epoch_record& r = record_of(report.epoch);
        lock_guard const guard{r.lock, r.site(me, no_class)};
        if (r.era.load(std::memory_order_relaxed) == report.epoch.era) {   // else the slot has been opened anew already
            r.face.rss_before_close.store(report.rss_before, std::memory_order_relaxed);
            r.face.rss_after_close.store(report.rss_after, std::memory_order_relaxed);
            r.face.closed_madvise_bytes.store(report.madvise_bytes, std::memory_order_relaxed);
            r.face.closed_asked_bytes.store(report.madvise_asked_bytes, std::memory_order_relaxed);
            r.face.closed_gone_bytes.store(report.madvise_gone_bytes, std::memory_order_relaxed);
        }
    }
    lock_guard const guard{core_.history_lock()};
    core_.face().last_close.tell(wall_clock_ns(), report.epoch.index, report.epoch.era, label.view(),
                                 {report.nanoseconds, report.rss_before, report.rss_after, report.scanned_slabs,
                                  report.recycled_slabs, report.madvise_calls, report.madvise_bytes,
                                  report.madvise_failures, report.madvise_asked_bytes, report.madvise_gone_bytes});
}

close_report allocator::close(epoch_id e) noexcept
{
    bool closed = false;
    if (e == current_epoch()) {
        restructuring_section const section{core_.record()};
        lock_guard const guard{advance_lock_};
        if (e == current_epoch())
            closed = advance_locked() != e;
    }
    // Still current: no slot was free for another, and the current epoch is always ACTIVE. What is empty comes back.
    // If advancing has closed it, it may be gone already, because it held nothing or since another thread gave back the last of
    // it: then what is left to do is to give pages back.
    return take_back(e, e != current_epoch(), closed);
}

close_report allocator::trim(epoch_id e) noexcept { return take_back(e, false, false); }

close_report allocator::trim() noexcept
{
    close_report all{.found = true};
    all.rss_before = read_rss_bytes();
    std::uint64_t const begin = now_ns();
    thread_record* const me = core_.record();
    restructuring_section const section{me};
    purge_result purged;
    for (std::uint32_t i = 0; i < core_.prepared_slots(); ++i) {
        shelf& s = core_.shelf_at(i);
        lifecycle const state = s.state.load(std::memory_order_relaxed);
        if (state != lifecycle::active && state != lifecycle::closing)
            continue;
        std::uint64_t const era = s.era.load(std::memory_order_relaxed);
        take_back_result const one = s.take_back(me, era, false);
        purge_result unused;
        if (one.drained || s.purge_unused(me, era, true, unused))
            core_.slot_drained(s, me, false);
        purged += unused;
        all.scanned_slabs += one.scanned();
        all.recycled_slabs += one.recycled();
        all.deferred_claims += one.deferred;
    }
    core_.reach_threads(me);
    if (me != nullptr)
        core_.flush_retained(*me);
    purged += core_.slabs().trim();
    tell_purged(all, purged);
    while (core_.give_back_units(me, 0))
        ;   // a batch at a time
    all.rss_after = read_rss_bytes();
    all.nanoseconds = now_ns() - begin;
    return all;
}

bool allocator::set_label(epoch_id e, std::string_view label) noexcept
{
    if (e.index >= core_.prepared_slots())
        return false;
    thread_record* const me = core_.record();
    restructuring_section const section{me};
    std::uint32_t const label_id = labels_.number_of(label);
    epoch_record& r = record_of(e);
    lock_guard const guard{r.lock, r.site(me, no_class)};
    if (r.era.load(std::memory_order_relaxed) != e.era || r.state.load(std::memory_order_relaxed) == lifecycle::drained)
        return false;
    r.face.label.assign(label);
    r.set_label_id(label_id);
    return true;
}

bool allocator::is_active(epoch_id e) const noexcept
{
    if (e.index >= core_.prepared_slots())
        return false;
    shelf const& s = core_.shelf_at(e.index);
    return s.state.load(std::memory_order_relaxed) == lifecycle::active &&
           s.era.load(std::memory_order_relaxed) == e.era;
}

shared_text::copy allocator::label_of(epoch_id e) const noexcept
{
    if (e.index >= core_.prepared_slots() || core_.shelf_at(e.index).era.load(std::memory_order_relaxed) != e.era)
        return {};
    return core_.shelf_at(e.index).face.label.read();
}

std::uint32_t allocator::label_id_of(epoch_id e) const noexcept
{
    if (e.index >= core_.prepared_slots() || core_.shelf_at(e.index).era.load(std::memory_order_relaxed) != e.era)
        return label_registry::unlabeled;
    return core_.shelf_at(e.index).label_id.load(std::memory_order_relaxed);
}

}
