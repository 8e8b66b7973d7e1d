// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reclaim: returns the slots that thread caches own to their epoch. A cache is open, revoked or flushed; `lock` is the
// epoch's lock.
//
//   from     event                                  by, under     to       made safe by
//   flushed  the cache is attached to an epoch      owner, lock   open     `key_` is stored last, under the lock (link)
//   open     a close or trim revokes the key        closer, lock  revoked  `key_`, `flush_requested`; a heavy barrier
//                                                                          (revoke_caches, reclaim_locked)
//   revoked  the owner is in no operation           closer, lock  flushed  `activity` read with acquire: what the owner
//                                                                          did is seen (reclaim_idle_caches)
//   revoked  the owner is in an operation           closer        revoked  the closer waits some turns, then defers it
//   revoked  the owner leaves its operation         owner, lock   flushed  `flush_requested` is taken by an exchange
//                                                                          (flush_requested_caches)
//   open     its resource ends on its thread        owner, lock   flushed  no other thread may use the resource
//   open     its resource ends on another thread    other, lock   revoked  as a closer's revocation (end_elsewhere)
//   open     its thread ends                        owner, lock   flushed  the owner does nothing after it
//   revoked  an exclusive cache was flushed of its  owner, lock   open     the epoch is ACTIVE (reopen)
//            empty slabs, and is used again
//   any      another thread uses a serial resource  that, lock    same     no use overlaps another, as its users
//                                                                          promise; the lock excludes closers (take_over)
//
// Invariant: the owner touches the cache's slabs only inside an operation in which it saw the key open. The thread of a
// resource's cache announces no operation on its fast path and only compares the key; a closer revokes such a cache and
// leaves the flush to that thread.
// The owner of a serial resource's cache is the thread that used it last; no shared path touches the cache. That thread
// may flush it under the lock while it is in no use, since the next user takes it over under the lock.
// A slab that leaves a cache goes to the slab pool if every slot is free, otherwise to the epoch's lists (orphan_slab).
module;
#include <atomic>
#include <bit>
#include <cstdint>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "orphans.hpp"

namespace tslab {

// Modelled: tests/models/subslabs.pml, step flush_cache; tests/models/claims.pml, step flush_cache
// Modelled: tests/models/close.pml, step flush_cache; tests/models/era.pml, step flush_cache
// Modelled: tests/models/exclusive.pml, step flush_cache
// Modelled: tests/models/retained.pml, step flush_cache; tests/models/serial.pml, step flush_cache
bool epoch_slabs::flush_cache(thread_cache& l, thread_record* me, flush_mode mode, reclaim_result& done) noexcept
{
    if (mode == flush_mode::reclaim && l.exclusive_) {
        flush_empty_slabs(l, me, done);
        return false;
    }
    detach_cache(l, me, done);
    return true;
}

void epoch_slabs::detach_cache(thread_cache& l, thread_record* me, reclaim_result& done) noexcept
{
    l.key_.store(closed_key, std::memory_order_relaxed);
    if (count.on() && !l.counted_) [[unlikely]]
        l.begin_counted(*this, true);
    if (l.binding_ != nullptr)
        l.binding_->store(&no_cache, std::memory_order_relaxed);
    l.binding_ = nullptr;
    std::uint32_t kept = 0;
    std::uint32_t const peak = l.peak_pages_.load(std::memory_order_relaxed);
    // A cache that its own thread flushes retains empty slabs: its next epoch starts with them.
    bool const retaining = me == l.home_ && heap->retains_slabs() &&
                           me->retaining.load(std::memory_order_relaxed) < thread_record::retaining_limit;
    std::uint64_t published = std::exchange(l.unpublished_, 0);
    std::uint64_t bytes = std::exchange(l.unpublished_bytes_, 0);
    for (bin_set used = l.used_bins_; used != 0; used &= used - 1) {
        auto const bin = static_cast<unsigned>(std::countr_zero(used));
        std::uint64_t const of_bin = l.flush_alloc_count(bin);
        published += of_bin;
        bytes += of_bin * bins[bin].size;
        if (retaining && l.is_retained_whole(bin)) [[likely]] {
            if (of_bin == 0)
                continue;
            if (done.brief && l.slow_bins_[bin].owned.size() == 1) [[likely]] {
                me->classes[bin][class_event::close_retained].add();   // stands for four events, see there
                ++kept;
            } else {
                note_retained(l, bin, *me, done);
            }
            continue;
        }
        if (retaining && l.can_retain(bin)) {
            if (of_bin != 0)
                note_retained(l, bin, *me, done);
            continue;
        }
        flush_bin(l, bin, me, done);
    }
    if (std::exchange(l.counted_, false)) [[unlikely]]
        if (std::uint64_t const retained = l.owned_pages(); retained != 0)
            give_counted(retained);
    if (retaining)
        l.note_kept(*me);
    done.kept += kept;
    stats.allocations.add(published);
    use.bytes += bytes;
    use.cache_pages += peak;
    (l.prev_ != nullptr ? l.prev_->next_ : caches) = l.next_;
    if (l.next_ != nullptr)
        l.next_->prev_ = l.prev_;
    --cache_count;
    l.published_->counted_frees.raise(l.counted_frees_.value());
    l.published_->era.store(0, std::memory_order_relaxed);
    l.attached_.store(nullptr, std::memory_order_release);   // release: pairs with the acquire in flush_retained
}

/// Takes a detached cache's slabs of a bin. Apart, so that the loop over bins that stay keeps its registers.
[[gnu::noinline]] void epoch_slabs::flush_bin(thread_cache& l, unsigned bin, thread_record* me,
                                              reclaim_result& done) noexcept
{
    done.begin_work();
    std::uint64_t flushed = 0;
    l.for_each_slab_of(bin, [&](slab_meta& s, unsigned) __attribute__((no_thread_safety_analysis)) {
        orphan_slab(s, bin, me, done);
        ++flushed;
    });
    heap->counts_of(me, class_of_bin(bin))[class_event::flushed].add(flushed);
    l.forget_slabs(bin);
    l.used_bins_ &= ~only_bin(bin);
}

/// Counts the slabs that a detached cache retains in a bin as scanned and recycled.
void epoch_slabs::note_retained(thread_cache const& l, unsigned bin, thread_record& me, reclaim_result& done) noexcept
{
    unsigned const c = class_of_bin(bin);
    std::uint32_t const n = l.slow_bins_[bin].owned.size();
    me.classes[c][class_event::recycled].add(n);
    done.note(c, n, n);
}

// Modelled: tests/models/exclusive.pml, step flush_empty_slabs
void epoch_slabs::flush_empty_slabs(thread_cache& l, thread_record* me, reclaim_result& done) const noexcept
{
    l.key_.store(closed_key, std::memory_order_relaxed);
    done.begin_work();
    slab_list kept;
    l.for_each_slab([&](slab_meta& s, unsigned bin) {
        bool const empty = heap->claim_slab(s, bin).all;
        done.note(class_of_bin(bin), 1, empty ? 1 : 0);
        s.partial = false;   // pushed again below if it has free slots
        if (empty)
            heap->recycle(s, me);
        else
            kept.push(s);   // for_each_slab has read the next link already
    });
    for (bin_set used = l.used_bins_; used != 0; used &= used - 1)
        l.forget_slabs(static_cast<unsigned>(std::countr_zero(used)));
    while (slab_meta* const s = kept.pop()) {
        unsigned const bin = s->bin();
        l.slow_bins_[bin].owned.push(*s);
        l.note_held(bin, 1);
        l.publish_owned(bin);
        if (live_slots(*s, bin) != bins[bin].slab_slots())
            l.slow_bins_[bin].push_partial(*s);
    }
}

// Modelled: tests/models/exclusive.pml, step reopen
bool epoch_slabs::reopen(thread_cache& l, std::uint64_t key) noexcept
{
    lock_guard const guard{lock, site(l.record_, no_class)};
    if (l.attached_.load(std::memory_order_relaxed) != this ||
        state.load(std::memory_order_relaxed) != lifecycle::active)
        return false;
    l.key_.store(key, std::memory_order_relaxed);
    return true;
}

// Modelled: tests/models/claims.pml, step revoke_caches
// Modelled: tests/models/close.pml, step revoke_caches
void epoch_slabs::revoke_caches(thread_record* me, bool& others, caches_of whose) const noexcept
{
    for (thread_cache* l = caches; l != nullptr; l = l->next_) {
        if (whose == caches_of::others && (l->record_ == me || l->binding_ != nullptr))
            continue;
        l->key_.store(closed_key, std::memory_order_relaxed);
        if (l->binding_ == nullptr && l->record_ != me) {
            l->record_->flush_requested.store(true, std::memory_order_release);   // release: publishes the closed key
            others = true;
        }
    }
}

int epoch_slabs::wait_for_others() noexcept
{
    lock.unlock();
    spin_pause();
    return lock.lock() ? 1 : patience_for_lock;
}

namespace {

bool is_inside(thread_record const& r) noexcept
{
    // acquire: pairs with leave(), whose release makes the last operation's work visible.
    return !r.vanished.load(std::memory_order_relaxed) &&
           (r.activity.load(std::memory_order_acquire) & thread_record::inside) != 0;
}

}

/// Ends the cache of a resource that is destroyed on a thread other than the cache's. The cache's thread may be freeing
/// one of its objects by the shared path at this moment, and trusts the cache then. So the cache becomes one of that
/// thread's own caches in a closed epoch: this thread flushes it if that thread is in no operation, otherwise that
/// thread does. True if it was flushed; then it must be returned to its record.
// Modelled: tests/models/exclusive.pml, step end_elsewhere
bool epoch_slabs::end_elsewhere(thread_cache& l, thread_record* me, live_count* live, reclaim_result& done) noexcept
{
    thread_record const& r = *l.record_;
    l.key_.store(closed_key, std::memory_order_relaxed);
    done.begin_work();
    if (live != nullptr) {
        // live() walks the cache's lists, so its thread must be in no operation. While the cache is bound, only that
        // thread's end flushes it.
        atomic<thread_cache*> const* const binding = l.binding_;
        heavy_barrier();
        for (int used = 0; is_inside(r) && used < patience;) {
            used += wait_for_others();
            if (l.binding_ != binding)
                return false;
        }
        if (!is_inside(r)) {
            *live += l.live();
            return flush_cache(l, me, flush_mode::detach, done);
        }
    }
    l.binding_->store(&no_cache, std::memory_order_relaxed);
    l.binding_ = nullptr;
    l.exclusive_ = false;
    l.record_->flush_requested.store(true, std::memory_order_release);   // as in revoke_caches
    heavy_barrier();
    if (is_inside(r))
        return false;
    return flush_cache(l, me, flush_mode::detach, done);
}

/// Flushes revoked caches that are not in use; returns the number of caches that are. `again`: the caller has waited
/// for those.
// Modelled: tests/models/claims.pml, step reclaim_idle_caches
// Modelled: tests/models/close.pml, step reclaim_idle_caches
// Modelled: tests/models/exclusive.pml, step reclaim_idle_caches
// Modelled: tests/models/retained.pml, step reclaim_idle_caches; tests/models/serial.pml, step reclaim_idle_caches
std::uint64_t epoch_slabs::reclaim_idle_caches(thread_record* me, bool again, reclaim_result& done,
                                               caches_of whose) noexcept
{
    std::uint64_t busy = 0;
    for (thread_cache* l = caches; l != nullptr;) {
        thread_cache* const next = l->next_;
        thread_record const& r = *l->record_;
        if (whose == caches_of::others && (&r == me || l->binding_ != nullptr)) {
            l = next;
            continue;
        }
        bool const gone = r.vanished.load(std::memory_order_relaxed);
        bool const bound_elsewhere = l->binding_ != nullptr && &r != me && !gone;
        bool const in_use = l->binding_ == nullptr && &r != me && is_inside(r);
        bool const gave_up = again && l->exclusive_ && !gone;   // an exclusive cache stays attached after its flush
        if (l->key() == closed_key && !bound_elsewhere && !gave_up) {
            if (in_use) {
                ++busy;
            } else {
                if (flush_cache(*l, me, gone ? flush_mode::detach : flush_mode::reclaim, done))
                    heap_state::return_cache(*l);
            }
        }
        l = next;
    }
    return busy;
}

// Modelled: tests/models/close.pml, step sweep
void epoch_slabs::sweep(thread_record* me, reclaim_result& done) noexcept
{
    for (unsigned bin = 0; bin < bin_count; ++bin) {
        unsigned const c = class_of_bin(bin);
        done.note(c, listed[bin], 0);
        for (slab_meta* s = partial[bin].front(); s != nullptr;) {
            slab_meta* const next = s->next;
            unsigned repeated = 0;
            bool const won = remote_fill(*s, bin).all && claim_for_reclaim(*s, repeated) == reclaim_claim::won;
            count_claim(this, bin, me, repeated);
            if (won) {
                partial[bin].remove(*s);
                unlist(bin);
                heap->recycle(*s, me);
                done.note(c, 0, 1);
            }
            s = next;
        }
    }
}

// Modelled: tests/models/era.pml, step begin_closing
void epoch_slabs::begin_closing(reclaim_result& done) noexcept
{
    if (state.load(std::memory_order_relaxed) == lifecycle::active)
        set_state(lifecycle::closing);
    bool others = false;
    revoke_caches(nullptr, others);   // the caller's own caches too: its next operation flushes them
    end_phase(done);
}

// Modelled: tests/models/claims.pml, step reclaim_locked
// Modelled: tests/models/close.pml, step reclaim_locked
void epoch_slabs::reclaim_locked(thread_record* me, bool closing, reclaim_result& done) noexcept
{
    done.found = true;
    done.begin_work();
    bool const ends = closing && state.load(std::memory_order_relaxed) == lifecycle::active;
    if (ends)
        set_state(lifecycle::closing);
    sweep(me, done);
    bool others = false;
    revoke_caches(me, others);
    if (others)
        heavy_barrier();   // from here on a thread in no operation has seen, or will see, the revocation
    std::uint64_t const busy = reclaim_idle_caches(me, false, done);
    if (ends)   // before the lock is released: the epoch may be gone afterwards
        end_phase(done);
    if (!wait_for_busy_caches(me, busy, done, caches_of::all))
        return;
    done.deferred = std::uint64_t{cache_count} + being_purged;
}

/// Waits a bounded time for threads in an operation, and flushes their caches then. Returns false if the epoch was
/// drained and its slot reopened meanwhile: then nothing of this epoch is left.
bool epoch_slabs::wait_for_busy_caches(thread_record* me, std::uint64_t busy, reclaim_result& done,
                                       caches_of whose) noexcept
{
    std::uint64_t const this_era = era.load(std::memory_order_relaxed);
    // The thread that purges a slab recycles it afterwards, if it is empty by then.
    for (int used = 0; (busy != 0 || being_purged != 0) && used < patience;) {
        used += wait_for_others();
        if (era.load(std::memory_order_relaxed) != this_era)
            return false;
        if (busy != 0)
            busy = reclaim_idle_caches(me, true, done, whose);
    }
    return true;
}

void epoch_slabs::reclaim_from_others(thread_record* me) noexcept
{
    reclaim_result done;
    epoch_lock const guard{*this, me, no_class, epoch_lock::then::keep};
    lifecycle now{};
    if (!is_of(any_era, now) || caches == nullptr)
        return;
    bool others = false;
    revoke_caches(me, others, caches_of::others);
    if (!others)
        return;
    heavy_barrier();   // as in reclaim_locked
    if (wait_for_busy_caches(me, reclaim_idle_caches(me, false, done, caches_of::others), done, caches_of::others) &&
        now == lifecycle::closing && me != nullptr)
        me->count_reclaimed(done);
}

// Modelled: tests/models/claims.pml, step reclaim_epoch
// Modelled: tests/models/era.pml, step reclaim_epoch
// Modelled: tests/models/large.pml, step reclaim_epoch
reclaim_result epoch_slabs::reclaim_epoch(thread_record* me, std::uint64_t for_era, bool closing) noexcept
{
    reclaim_result done;
    fork_exclusion const section{me};
    {
        epoch_lock const guard{*this, me, no_class, epoch_lock::then::keep, &done};
        if (is_open(for_era))
            reclaim_locked(me, closing, done);
    }
    return done;
}

/// Flushes a cache of the calling thread, whichever epoch it is attached to; `only_revoked`: if it is revoked and unbound.
// Modelled: tests/models/claims.pml, step flush_revoked_cache
// Modelled: tests/models/close.pml, step flush_revoked_cache
// Modelled: tests/models/era.pml, step flush_revoked_cache
// Modelled: tests/models/exclusive.pml, step flush_revoked_cache
// Modelled: tests/models/retained.pml, step flush_revoked_cache; tests/models/serial.pml, step flush_revoked_cache
void heap_state::flush_revoked_cache(thread_cache& l, thread_record& me, bool only_revoked) noexcept
{
    epoch_slabs* const home = l.attached_.load(std::memory_order_relaxed);
    if (home == nullptr)
        return;
    reclaim_result done;
    epoch_lock const guard{*home, &me, no_class, epoch_lock::then::purge_and_unused};
    // Another record: the cache is a serial resource's, and another thread used that last.
    bool const still = l.attached_.load(std::memory_order_relaxed) == home && l.record_ == &me;
    if (!still || (only_revoked && (l.key() != closed_key || l.binding_ != nullptr)))
        return;
    home->flush_cache(l, &me, flush_mode::detach, done);
    if (home->state.load(std::memory_order_relaxed) == lifecycle::closing)
        me.count_reclaimed(done);
    return_cache(l);
}

// Modelled: tests/models/era.pml, step flush_requested_caches; tests/models/claims.pml, step flush_requested_caches
[[gnu::noinline]] void thread_record::flush_requested_caches() noexcept
{
    // An exchange rather than a store: a store that waits in the store buffer could overwrite the request of a second
    // closer, whose closed keys the loads below, and those of the next operation, would still see open. acquire: pairs
    // with revoke_caches.
    flush_requested.exchange(false, std::memory_order_acq_rel);
    {
        fork_exclusion const section{this};
        for (thread_cache* l = all_caches.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_)
            if (l->key() == closed_key)
                heap_state::flush_revoked_cache(*l, *this, true);
    }
    if (has_crossed())
        call_soft_limit_handler();
}

void epoch_lock::tail::look() noexcept
{
    if (epoch_.try_drain())
        drained_ = true;
    else
        unused_ = what_ == then::purge_and_unused &&
                  epoch_.state.load(std::memory_order_relaxed) == lifecycle::closing && epoch_.may_have_unused_pages();
    era_ = epoch_.era.load(std::memory_order_relaxed);
}

void epoch_lock::tail::run() noexcept
{
    if (done_ != nullptr)
        return run(*done_);
    reclaim_result done;
    done.label_id = epoch_.label_id.load(std::memory_order_relaxed);   // until then the slot is not released
    run(done);
    epoch_.heap->count_purged(done.label_id, done.purged);
}

void epoch_lock::tail::run(reclaim_result& done) noexcept
{
    if (!drained_)
        return epoch_.heap->purge_survivors(epoch_, era_, me_, done);
    done.drained = true;
    epoch_.heap->slot_drained(epoch_, me_, done, what_ != then::keep);
}

}
