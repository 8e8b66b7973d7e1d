// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Leaving an epoch: a domain's exit, a resource's end and its release. Each is one short time under the epoch's lock.
module;
#include <atomic>
#include <cstdint>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

#include "count_close.hpp"

namespace tslab {

namespace {

/// Clears the owner of the large allocations that a resource leaves: a later resource may have the same address.
void disown_large(epoch_record& r, void const* owner) noexcept __attribute__((requires_capability(r.lock)))
{
    for (slab_meta* s = r.large.front(); s != nullptr; s = s->next)
        if (large_allocation{*s}.is_of(owner))
            s->owner.store(owner_ref::nowhere(), std::memory_order_relaxed);
}

}

/// Carries out the last exit of a domain of `r`, and closes the epoch if no other domain holds it and `close` is set.
/// `reclaim`: reclaims slabs in any case.
void allocator::leave_locked(epoch_record& r, thread_record* me, epoch_holder* holder, bool close, bool reclaim,
                             reclaim_result& done) noexcept
{
    done.place = holder != nullptr ? holder->stats->place.load(std::memory_order_relaxed) : source_places::unknown;
    r.note_exit(true, holder);
    bool const closing = close && r.holds.load(std::memory_order_relaxed) == 0;
    if (r.caches != nullptr || r.slab_count != 0) {
        if (closing || reclaim)
            r.reclaim_locked(me, closing,
                             done);   // may release the lock in between: the epoch may be gone afterwards
    } else if (closing) {
        if (r.state.load(std::memory_order_relaxed) == lifecycle::active)
            r.end_phase(done);
        r.set_state(lifecycle::closing);
    }
}

/// Begins an exit that closes the epoch if `closing`: one such close in 1,024 of each thread is timed from here on,
/// others from their first work on (see reclaim_result::begin_work).
void allocator::begin_end(thread_record* me, departure& under, bool closing) noexcept
{
    under.done.closing = under.done.brief = under.closed_before || closing;
    if (counting && closing && me != nullptr &&
        me->counts[heap_event::epoch_close].value() % stepping_counter::period == 0) [[unlikely]]
        under.done.begin_work();
}

/// Completes the exit of a domain after the epoch's lock is released: purges if due, counts, decays if due.
void allocator::note_left(thread_record* me, epoch_id e, departure& under) noexcept
{
    reclaim_result& done = under.done;
    state_.count(me, heap_event::domain_exit);
    if (!done.drained && done.recycled() != 0)
        state_.purge_if_due(done, false);
    state_.count_purged(done.label_id, done.purged);
    if (done.closed || under.closed_before) {
        std::uint64_t const ns = done.begin_ns != 0 ? note_timed_end(me, e, done) : 0;
        count_close(state_, me, done, ns);
    }
    if (me != nullptr)
        state_.decay_if_due(*me, me->clock_ns);
}

/// Calls `leave(record, under)` under the lock of the epoch `e`, and completes the exit when the lock is released.
/// Returns false, without a call, if `e` is gone.
template <class F> bool allocator::leave_epoch(epoch_id e, thread_record* me, F leave) noexcept
{
    fork_exclusion const section{me};
    if (e.index >= state_.prepared_slots())
        return false;
    epoch_record& r = record_of(e);
    departure under;
    {
        epoch_lock const guard{r, me, no_class, epoch_lock::then::purge_and_unused, &under.done};
        if (r.era.load(std::memory_order_relaxed) != e.era)
            return false;
        under.closed_before = r.state.load(std::memory_order_relaxed) == lifecycle::closing;
        under.done.label_id = r.label_id.load(std::memory_order_relaxed);
        leave.operator()(r, under);   // so spelled, the check of lock contracts knows which argument is which
    }
    note_left(me, e, under);
    return true;
}

void allocator::exit_domain(epoch_id e, epoch_holder* holder, bool last, bool close) noexcept
{
    // The current epoch: a new one must be opened before it closes; allocator::close does that.
    bool const is_current = last && close && e == current_epoch();
    thread_record* const me = state_.record();
    bool was_last = false;
    leave_epoch(e, me, [&](epoch_record& r, departure& under) __attribute__((requires_capability(r.lock))) {
        was_last = last && r.holds.load(std::memory_order_relaxed) == 1;
        begin_end(me, under, was_last && close && !is_current && !under.closed_before);
        if (last)
            leave_locked(r, me, holder, close && !is_current, false, under.done);
        else
            r.note_exit(false, holder);
    });
    if (is_current && was_last)
        this->close(e);
}

// Modelled: tests/models/era.pml, step end_alone
bool allocator::end_alone(epoch_id e, epoch_holder* holder, atomic<thread_cache*>& binding) noexcept
{
    std::uint64_t const now = tick_clock::stamp();
    thread_record* const known = state_.record();
    thread_cache& l = *binding.load(std::memory_order_relaxed);
    // A bound cache is attached to the epoch, unless its thread ends at this moment: then end_alone refuses. no_cache, where
    // none is bound, is attached to none.
    epoch_slabs* const home = l.attached();
    if (known == nullptr || home == nullptr || holder == nullptr) [[unlikely]]
        return false;
    thread_record& me = *known;
    auto& r = static_cast<epoch_record&>(*home);
    // Under `eager` a close purges; one close in 1,024 of each thread is timed.
    if (!state_.slabs().decays() || !state_.retains_slabs() ||
        me.retaining.load(std::memory_order_relaxed) >= thread_record::retaining_limit ||
        (counting && me.counts[heap_event::epoch_close].value() % stepping_counter::period == 0) ||
        r.large_count.load(std::memory_order_relaxed) != 0 || !l.keep_used(me)) [[unlikely]]
        return false;
    phase_cost cost;
    std::uint32_t cost_label = 0;
    std::uint32_t place = 0;
    fork_exclusion const section{&me};
    {
        lock_guard const guard{r.lock, r.site(&me, no_class)};
        if (!r.end_alone(e.era, l, me, now, cost))
            return false;
        cost_label = r.cost_label;
        place = holder->stats->place.load(std::memory_order_relaxed);
        r.note_exit(true, holder);
    }
    me.note_phase(cost_label, cost, place);
    me.keep_cache(l);
    if (section.nests() || !me.retain_slot(r))
        state_.free_slots().release(r.index);
    heap_counters& counts = me.counts;   // read once: see epoch_slabs::stats
    counts[heap_event::domain_exit].add();
    counts[heap_event::epoch_close].add();
    counts[heap_event::epoch_drained].add();
    state_.give_back_units_if_many(&me);
    state_.decay_if_due(me, me.clock_ns);
    return true;
}

live_count allocator::end_resource(epoch_id e, epoch_holder* holder, bool close, atomic<thread_cache*>& binding,
                                   leftovers what) noexcept
{
    thread_record* const me = state_.record();
    live_count leaked;
    leave_epoch(e, me, [&](epoch_record& r, departure& under) __attribute__((requires_capability(r.lock))) {
        std::uint64_t dropped = 0;
        begin_end(me, under, close && !under.closed_before && r.holds.load(std::memory_order_relaxed) == 1);
        if (thread_cache* const l = binding.load(std::memory_order_relaxed); l != &no_cache) {
            if (what == leftovers::dropped && me != nullptr)
                dropped += l->drop(*me, r);
            flush_ended(r, *l, me, nullptr, under);
        }
        leave_locked(r, me, holder, close, what == leftovers::leaked, under.done);
        if (r.era.load(std::memory_order_relaxed) == e.era) {   // leave_locked may have released the lock in between
            if (what == leftovers::dropped) {
                if (r.slab_count != 0 || r.large_count.load(std::memory_order_relaxed) != 0)
                    under.done.begin_work();
                dropped += r.drop_all(me);
            } else if (r.slab_count != 0 || r.large_count.load(std::memory_order_relaxed) != 0) {
                leaked += r.live();
            }
        }
        state_.count(me, heap_event::released, dropped);
    });
    state_.count(me, heap_event::leaked, leaked.objects);
    return leaked;
}

live_count allocator::end_sharing_resource(epoch_id e, epoch_holder* holder, atomic<thread_cache*>& binding,
                                           void const* owner, leftovers what) noexcept
{
    thread_record* const me = state_.record();
    live_count leaked;
    leave_epoch(e, me, [&](epoch_record& r, departure& under) __attribute__((requires_capability(r.lock))) {
        begin_end(me, under, false);
        live_count* const live = what == leftovers::leaked ? &leaked : nullptr;
        if (thread_cache* const l = binding.load(std::memory_order_relaxed); l != &no_cache) {
            if (live != nullptr)
                leaked += r.live_sampled_of(*l);
            r.disown_sampled(*l);
            flush_ended(r, *l, me, live, under);
        }
        if (live != nullptr) {
            leaked += r.live_large_of(owner);
            if (leaked.objects != 0)
                disown_large(r, owner);
        }
        r.note_exit(true, holder);
    });
    state_.count(me, heap_event::leaked, leaked.objects);
    return leaked;
}

/// Flushes the cache of a resource that ends, on any thread. `live`: if not null, the cache's live objects are added to
/// it.
// Modelled: tests/models/claims.pml, step flush_ended; tests/models/serial.pml, step flush_ended
void allocator::flush_ended(epoch_record& r, thread_cache& l, thread_record* me, live_count* live,
                            departure& under) noexcept
{
    if (l.record() == me || l.is_serial()) {   // no use of a serial resource overlaps its end, on whichever thread
        if (live != nullptr)
            *live += l.live();
        r.flush_cache(l, me, flush_mode::detach, under.done);
        heap_state::return_bound_cache(l, me);
    } else if (r.end_elsewhere(l, me, live, under.done)) {
        heap_state::return_bound_cache(l, me);
    }
    // end_elsewhere may have released the lock in between.
    under.closed_before = r.state.load(std::memory_order_relaxed) == lifecycle::closing;
}

// Modelled: tests/models/exclusive.pml, step flush_bound_cache
void allocator::flush_cache(epoch_id e, atomic<thread_cache*>& binding) noexcept
{
    thread_record* const me = state_.record();
    fork_exclusion const section{me};
    epoch_record& r = record_of(e);
    reclaim_result done;
    epoch_lock const guard{r, me, no_class, epoch_lock::then::purge_and_unused};
    thread_cache* const l = binding.load(std::memory_order_relaxed);
    if (l == &no_cache)
        return;
    if (r.flush_cache(*l, me, flush_mode::reclaim, done))
        heap_state::return_bound_cache(*l, me);
    if (r.state.load(std::memory_order_relaxed) == lifecycle::closing && me != nullptr)
        me->count_reclaimed(done);
}

void allocator::count_free() noexcept { state_.count(state_.record(), heap_event::counted_free); }

std::uint64_t allocator::release_epoch(epoch_id e, atomic<thread_cache*>& keep) noexcept
{
    thread_record* const me = state_.record();
    if (me == nullptr)
        return 0;
    fork_exclusion const section{me};
    epoch_record& r = record_of(e);
    reclaim_result done;
    std::uint64_t live = 0;
    {
        epoch_lock const guard{r, me};
        if (thread_cache* const l = keep.load(std::memory_order_relaxed); l != &no_cache)
            live += l->drop(*me, r);
        if (r.cache_count > 1 || (r.cache_count == 1 && keep.load(std::memory_order_relaxed) == &no_cache))
            r.reclaim_locked(me, false, done);
        if (r.era.load(std::memory_order_relaxed) == e.era)   // reclaim_locked may have released the lock in between
            live += r.drop_all(me);
    }
    state_.count(me, heap_event::released, live);
    state_.count_purged(label_id_of(e), state_.slabs().purge_if_due(false));
    return live;
}

std::uint64_t allocator::release_part(epoch_id e, atomic<thread_cache*>& keep, void const* owner) noexcept
{
    thread_record* const me = state_.record();
    if (me == nullptr)
        return 0;
    epoch_record& r = record_of(e);
    std::uint64_t live = 0;
    for (slab_meta* next = nullptr;;) {
        {
            fork_exclusion const section{me};
            lock_guard const guard{r.lock, r.site(me, no_class)};
            if (thread_cache* const l = keep.load(std::memory_order_relaxed); l != &no_cache)
                live += l->drop(*me, r) + r.drop_sampled(me, l);
            for (next = r.large.front(); next != nullptr && !large_allocation{*next}.is_of(owner);)
                next = next->next;
        }
        if (next == nullptr)
            break;
        static_cast<void>(state_.retire_large(*next));
        live += free_large(*next, me) ? 1 : 0;
    }
    state_.count(me, heap_event::released, live);
    state_.count_purged(label_id_of(e), state_.slabs().purge_if_due(false));
    return live;
}

}
