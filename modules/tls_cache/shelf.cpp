// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Lock order: registry, shelf, slab cache, page heap. A holder of every slot of a slab may recycle it; a slab on a
// shelf's list is unlinked under the shelf's lock first.
module;
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

namespace {

enum class election : std::uint8_t { won, lost, let_go };

/// Slabs that are purged between two times under their shelf's lock.
constexpr std::size_t purge_batch = 64;

/// Takes an empty slab that is on a shelf out of everybody's reach. Exactly one of those who see it empty wins; who comes
/// late, and finds the slab taken back and in use again on some shelf, lets go of it: what others left undone in
/// between because they saw it owned, he must do (see relist).
/// seq_cst: he gives up `owner` and then looks at `shared`; a freer changes `shared` and then looks at `owner`. One of them
/// must see the other.
/// `repeated` counts how often it was lost or had to be tried again.
// Modelled: tests/models/blocks.pml, step elect
// Modelled: tests/models/close.pml, step elect
// Modelled: tests/models/survivors.pml, step elect
election elect(slab& s, unsigned& repeated) noexcept
{
    for (;; ++repeated) {
        void const* none = nullptr;
        if (!s.owner.compare_exchange_strong(none, &reclaiming, std::memory_order_seq_cst, std::memory_order_relaxed)) {
            ++repeated;
            return election::lost;
        }
        auto const empty = [&] {
            unsigned const bin = s.bin();
            return bin < bin_count && shared_fill(s, bin).all;
        };
        if (empty())
            return election::won;
        s.owner.exchange(nullptr, std::memory_order_seq_cst);
        if (!empty()) {
            ++repeated;
            return election::let_go;
        }
    }
}

/// Counts what elections lost or repeated, under the label of the shelf.
void count_election(shelf const* home, unsigned bin, thread_record* me, unsigned repeated) noexcept
{
    if (repeated != 0 && me != nullptr && home != nullptr)
        (*home->site(me, class_of_bin(bin)).counts)[contention_event::free_retry].add(repeated);
}

slab_list& list_of(shelf& home, slab const& s, unsigned bin) noexcept
{
    return s.where.load(std::memory_order_relaxed) == residence::shelved_full ? home.full[bin] : home.partial[bin];
}

/// release: whoever sees on which kind of list a slab is sees of which shelf, see relist.
void set_where(slab& s, residence r) noexcept { s.where.store(r, std::memory_order_release); }

}

// Modelled: tests/models/era.pml, step attach
bool shelf::attach(lane& l, std::uint64_t for_era, std::uint64_t key, atomic<lane*>* binding) noexcept
{
    lock_guard const guard{lock, site(l.record_, no_class)};
    if (era.load(std::memory_order_relaxed) != for_era || state.load(std::memory_order_relaxed) != lifecycle::active)
        return false;
    link(l, for_era, key, binding);
    return true;
}

void shelf::link(lane& l, std::uint64_t for_era, std::uint64_t key, atomic<lane*>* binding) noexcept
{
    l.binding_ = binding;
    l.era_.store(for_era, std::memory_order_relaxed);
    l.slot_.store(index, std::memory_order_relaxed);
    l.told_->slot.store(index, std::memory_order_relaxed);
    l.told_->era.store(for_era, std::memory_order_relaxed);
    l.prev_ = nullptr;
    l.next_ = lanes;
    if (lanes != nullptr)
        lanes->prev_ = &l;
    lanes = &l;
    ++lane_count;
    l.attached_.store(this, std::memory_order_relaxed);
    l.key_.store(key, std::memory_order_relaxed);   // from here on a closer revokes it, under this lock
    if (binding != nullptr)
        binding->store(&l, std::memory_order_release);   // others read the key through it, of a lane that may be new
}

// Modelled: tests/models/blocks.pml, step hand_back
// Modelled: tests/models/claims.pml, step hand_back
// Modelled: tests/models/close.pml, step hand_back
// Modelled: tests/models/era.pml, step hand_back
// Modelled: tests/models/exclusive.pml, step hand_back
// Modelled: tests/models/kept.pml, step hand_back
void shelf::hand_back(lane& l, thread_record* me, take_back_result& done) noexcept
{
    l.key_.store(closed_key, std::memory_order_relaxed);
    if (l.binding_ != nullptr)
        l.binding_->store(&no_lane, std::memory_order_relaxed);
    l.binding_ = nullptr;
    // A lane that goes back to its own thread keeps what is empty: its next epoch begins with it.
    bool const keeping = me == l.record_ && heap->keeps_slabs() &&
                         me->keeping.load(std::memory_order_relaxed) < thread_record::keeping_limit;
    std::uint64_t told = 0;
    for (bin_set used = l.used_bins_; used != 0; used &= used - 1) {
        auto const bin = static_cast<unsigned>(std::countr_zero(used));
        std::uint64_t const of_bin = l.settle_allocations(bin);
        told += of_bin;
        if (keeping && l.is_kept_as_it_is(bin)) [[likely]] {
            if (of_bin == 0)
                continue;
            if (done.closing && l.shelves_[bin].held.size() == 1) [[likely]]
                me->classes[bin][class_event::close_kept].add();   // stands for four others, see there
            else
                note_kept(l, bin, *me, done);
            continue;
        }
        if (keeping && l.can_keep(bin)) {
            if (of_bin != 0)
                note_kept(l, bin, *me, done);
            continue;
        }
        std::uint64_t flushed = 0;
        l.for_each_slab_of(bin, [&](slab& s, unsigned) __attribute__((no_thread_safety_analysis)) {
            put_down(s, bin, me, done);
            ++flushed;
        });
        heap->counts_of(me, class_of_bin(bin))[class_event::flushed].add(flushed);
        l.forget_slabs(bin);
        l.used_bins_ &= ~only_bin(bin);
    }
    if (keeping && l.used_bins_ != 0) {
        // Counted here, so that no number of lanes handed back at once keeps more.
        me->keeping.store(me->keeping.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        l.used_ns_ = me->clock_ns;
    }
    face.allocations.add(told);
    l.armed_bins_ = 0;
    (l.prev_ != nullptr ? l.prev_->next_ : lanes) = l.next_;
    if (l.next_ != nullptr)
        l.next_->prev_ = l.prev_;
    --lane_count;
    l.told_->counted_frees.raise(l.counted_frees.value());
    l.told_->era.store(0, std::memory_order_relaxed);
    l.attached_.store(nullptr, std::memory_order_release);   // see flush_retained
}

/// Counts what a lane keeps of a bin: it was looked at, and is as good as in a cache.
void shelf::note_kept(lane const& l, unsigned bin, thread_record& me, take_back_result& done) noexcept
{
    unsigned const c = class_of_bin(bin);
    std::uint32_t const n = l.shelves_[bin].held.size();
    me.classes[c][class_event::recycled].add(n);
    done.note(c, n, n);
}

void shelf::list_partial(slab& s, unsigned bin) noexcept
{
    set_where(s, residence::shelved_partial);
    partial[bin].push(s);
    partial_bins.store(partial_bins.load(std::memory_order_relaxed) | only_bin(bin), std::memory_order_relaxed);
}

// Modelled: tests/models/exclusive.pml, step give_up
bool shelf::give_up(lane& l, thread_record* me, take_back_result& done) noexcept
{
    if (!l.exclusive_) {
        hand_back(l, me, done);
        return true;
    }
    l.key_.store(closed_key, std::memory_order_relaxed);
    slab_list kept;
    l.for_each_slab([&](slab& s, unsigned bin) {
        bool const empty = heap->claim_slab(s, bin).all;
        done.note(class_of_bin(bin), 1, empty ? 1 : 0);
        s.ready = false;   // see below
        if (empty)
            heap->recycle(s, me);
        else
            kept.push(s);   // for_each_slab has read the link it goes on by
    });
    for (bin_set used = l.used_bins_; used != 0; used &= used - 1) {
        l.forget_slabs(static_cast<unsigned>(std::countr_zero(used)));
    }
    l.armed_bins_ = 0;
    while (slab* const s = kept.pop()) {
        unsigned const bin = s->bin();
        l.shelves_[bin].held.push(*s);
        l.tell_held(bin);
        if (live_slots(*s, bin) != bins[bin].slab_slots())
            l.shelves_[bin].push_ready(*s);
    }
    return false;
}

// Modelled: tests/models/exclusive.pml, step reopen
bool shelf::reopen(lane& l, std::uint64_t key) noexcept
{
    lock_guard const guard{lock, site(l.record_, no_class)};
    if (l.attached_.load(std::memory_order_relaxed) != this ||
        state.load(std::memory_order_relaxed) != lifecycle::active)
        return false;
    l.key_.store(key, std::memory_order_relaxed);
    return true;
}

/// A lane lets go of a slab: recycled when empty, else listed. The lane's lists no longer hold it.
// Modelled: tests/models/blocks.pml, step put_down
// Modelled: tests/models/close.pml, step put_down
// Modelled: tests/models/survivors.pml, step put_down
void shelf::put_down(slab& s, unsigned bin, thread_record* me, take_back_result& done) noexcept
{
    unsigned const c = class_of_bin(bin);
    done.note(c, 1, 0);
    if (heap->claim_slab(s, bin).all) {
        heap->recycle(s, me);   // no object is live, so nobody has a right to touch it
        done.note(c, 0, 1);
        return;
    }
    // First the list, then the slots, then the owner: a freer that sees no owner waits for our lock and finds the slab
    // listed; what a freer that still saw one left undone, we see when we look at the words again.
    s.home.store(this, std::memory_order_relaxed);
    list_partial(s, bin);
    ++slab_count;
    face.listed[bin].store(++listed[bin], std::memory_order_relaxed);
    for_each_block(s, bin, [](slab& block) {
        std::uint64_t const free = block.local.load(std::memory_order_relaxed);
        block.shared.fetch_or(free, std::memory_order_release);   // release: with the slots goes what was done in them
        block.local.store(0, std::memory_order_release);          // release: who sees the bits gone sees them in shared
    });
    if (has_blocks(bin))
        for_each_block(s, bin, [](slab& block) { block.owner.store(nullptr, std::memory_order_relaxed); });
    s.owner.exchange(nullptr, std::memory_order_seq_cst);   // seq_cst: as in elect
    fill const now = shared_fill(s, bin);
    unsigned repeated = 0;
    bool const won = now.all && elect(s, repeated) == election::won;
    count_election(this, bin, me, repeated);
    if (won) {
        partial[bin].remove(s);
        unlist(bin);
        heap->recycle(s, me);
        done.note(c, 0, 1);
    } else if (!now.any) {
        partial[bin].remove(s);
        set_where(s, residence::shelved_full);
        full[bin].push(s);
    }
}

/// Where a thread begins to look: at the slab listed last, or, in rotated order, some places behind it.
slab* shelf::first_to_adopt(unsigned bin, thread_record const& me) const noexcept
{
    constexpr std::uint64_t places = 8;
    slab* const front = partial[bin].front();
    if (front == nullptr || !me.scans[class_of_bin(bin)].rotated())
        return front;
    slab* s = front;
    for (std::uint64_t skip = me.face.thread_id.load(std::memory_order_relaxed) % places; skip != 0; --skip)
        s = s->next != nullptr ? s->next : front;
    return s;
}

/// Puts a slab that could not be adopted where it belongs: it is being taken back by somebody who waits for our lock, or it
/// has no free slot.
void shelf::repair_adoption(slab& s, unsigned bin, bool claimed) noexcept
{
    partial[bin].remove(s);
    set_where(s, residence::shelved_full);
    full[bin].push(s);
    if (!claimed)
        return;
    s.owner.exchange(nullptr, std::memory_order_seq_cst);
    if (shared_fill(s, s.bin()).any) {   // freed into while we had it: it was for us to move it
        full[bin].remove(s);
        list_partial(s, bin);
    }
}

// Modelled: tests/models/blocks.pml, step adopt
// Modelled: tests/models/close.pml, step adopt
// Modelled: tests/models/survivors.pml, step adopt
slab* shelf::adopt(lane& l, unsigned bin) noexcept
{
    thread_record& me = *l.record_;
    unsigned const c = class_of_bin(bin);
    class_counters& counts = me.classes[c];
    lock_guard const guard{lock, site(&me, c)};
    while (slab* const s = first_to_adopt(bin, me)) {
        counts[class_event::adopt_attempt].add();
        void const* none = nullptr;
        // seq_cst: as in elect.
        lane_bin* const taker = &l.bins_[bin].bin;
        bool const claimed =
            s->owner.compare_exchange_strong(none, taker, std::memory_order_seq_cst, std::memory_order_relaxed);
        if (claimed && heap->claim_slab(*s, bin).any) [[likely]] {
            s->partly_purged = false;   // from here on its pages come back as they are touched
            partial[bin].remove(*s);
            unlist(bin);
            if (has_blocks(bin))
                for_each_block(*s, bin, [&](slab& block) { block.owner.store(taker, std::memory_order_relaxed); });
            set_where(*s, residence::held);
            counts[class_event::adopt].add();
            return s;
        }
        counts[claimed ? class_event::adopt_mismatch : class_event::adopt_lost].add();
        if (!claimed) {
            me.scans[c].note_spoiled();
            if (contention_counters* const counted = site(&me, c).counts)
                (*counted)[contention_event::alloc_retry].add();
        }
        if (heap->sampling()) {
            stopwatch const watch;
            repair_adoption(*s, bin, claimed);
            me.note_repair(watch.read());
        } else {
            repair_adoption(*s, bin, claimed);
        }
    }
    partial_bins.store(partial_bins.load(std::memory_order_relaxed) & ~only_bin(bin), std::memory_order_relaxed);
    return nullptr;
}

// Modelled: tests/models/claims.pml, step revoke_lanes
// Modelled: tests/models/close.pml, step revoke_lanes
void shelf::revoke_lanes(thread_record* me, bool& others, lanes_of whose) noexcept
{
    for (lane* l = lanes; l != nullptr; l = l->next_) {
        if (whose == lanes_of::others && (l->record_ == me || l->binding_ != nullptr))
            continue;
        l->key_.store(closed_key, std::memory_order_relaxed);
        if (l->binding_ == nullptr && l->record_ != me) {
            l->record_->wanted_back.store(true, std::memory_order_release);   // who sees it sees the closed key
            others = true;
        }
    }
}

int shelf::wait_for_others() noexcept
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

/// A resource ends on a thread that did not make it. The thread that did may be freeing one of its objects by the general way
/// at this moment, and trusts the lane then. So the lane becomes like one of its own in a closed epoch: taken from a thread
/// that is not inside, handed back by one that is. True when it was handed back, and must be returned.
// Modelled: tests/models/exclusive.pml, step end_elsewhere
bool shelf::end_elsewhere(lane& l, thread_record* me, live_count* live, take_back_result& done) noexcept
{
    thread_record const& r = *l.record_;
    l.key_.store(closed_key, std::memory_order_relaxed);
    if (live != nullptr) {
        // Its lists are looked at, so its thread must be outside. As long as it is bound nobody but that thread's end takes it.
        atomic<lane*> const* const binding = l.binding_;
        heavy_barrier();
        for (int used = 0; is_inside(r) && used < patience;) {
            used += wait_for_others();
            if (l.binding_ != binding)
                return false;
        }
        if (!is_inside(r)) {
            *live += l.live();
            hand_back(l, me, done);
            return true;
        }
    }
    l.binding_->store(&no_lane, std::memory_order_relaxed);
    l.binding_ = nullptr;
    l.exclusive_ = false;
    l.record_->wanted_back.store(true, std::memory_order_release);   // as in revoke_lanes
    heavy_barrier();
    if (is_inside(r))
        return false;
    hand_back(l, me, done);
    return true;
}

/// Hands back the lanes nobody is using; returns how many threads' lanes are in use. `again`: the caller waited for those.
// Modelled: tests/models/claims.pml, step take_idle_lanes
// Modelled: tests/models/close.pml, step take_idle_lanes
// Modelled: tests/models/exclusive.pml, step take_idle_lanes
// Modelled: tests/models/kept.pml, step take_idle_lanes
std::uint64_t shelf::take_idle_lanes(thread_record* me, bool again, take_back_result& done, lanes_of whose) noexcept
{
    std::uint64_t busy = 0;
    for (lane* l = lanes; l != nullptr;) {
        lane* const next = l->next_;
        thread_record const& r = *l->record_;
        if (whose == lanes_of::others && (&r == me || l->binding_ != nullptr)) {
            l = next;
            continue;
        }
        bool const gone = r.vanished.load(std::memory_order_relaxed);
        bool const bound_elsewhere = l->binding_ != nullptr && &r != me && !gone;
        bool const in_use = l->binding_ == nullptr && &r != me && is_inside(r);
        bool const gave_up = again && l->exclusive_ && !gone;   // an exclusive lane stays attached when it has
        if (l->key() == closed_key && !bound_elsewhere && !gave_up) {
            if (in_use) {
                ++busy;
            } else {
                if (gone)
                    hand_back(*l, me, done);
                if (gone || give_up(*l, me, done))
                    heap_core::return_lane(*l);
            }
        }
        l = next;
    }
    return busy;
}

// Modelled: tests/models/close.pml, step sweep
void shelf::sweep(thread_record* me, take_back_result& done) noexcept
{
    for (unsigned bin = 0; bin < bin_count; ++bin) {
        unsigned const c = class_of_bin(bin);
        done.note(c, listed[bin], 0);
        for (slab* s = partial[bin].front(); s != nullptr;) {
            slab* const next = s->next;
            unsigned repeated = 0;
            bool const won = shared_fill(*s, bin).all && elect(*s, repeated) == election::won;
            count_election(this, bin, me, repeated);
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
void shelf::begin_closing() noexcept
{
    if (state.load(std::memory_order_relaxed) == lifecycle::active)
        set_state(lifecycle::closing);
    bool others = false;
    revoke_lanes(nullptr, others);   // the caller's own lane too: its next operation hands it back
}

// Modelled: tests/models/claims.pml, step take_back_locked
// Modelled: tests/models/close.pml, step take_back_locked
void shelf::take_back_locked(thread_record* me, bool closing, take_back_result& done) noexcept
{
    done.found = true;
    if (closing && state.load(std::memory_order_relaxed) == lifecycle::active) {
        set_state(lifecycle::closing);
        done.closed = true;
    }
    sweep(me, done);
    bool others = false;
    revoke_lanes(me, others);
    if (others)
        heavy_barrier();   // from here on a thread that is not inside cannot have missed the revocation
    if (!wait_for_busy_lanes(me, take_idle_lanes(me, false, done), done, lanes_of::all))
        return;
    done.deferred = std::uint64_t{lane_count} + being_purged;
    done.drained = settle();
}

/// Gives threads that are in an operation some time to end it, and takes their lanes then. False when the epoch was drained and opened
/// anew meanwhile: then nothing of ours is left.
bool shelf::wait_for_busy_lanes(thread_record* me, std::uint64_t busy, take_back_result& done, lanes_of whose) noexcept
{
    std::uint64_t const this_era = era.load(std::memory_order_relaxed);
    // Slabs that are being purged are taken back by who does that, if they are empty by then.
    for (int used = 0; (busy != 0 || being_purged != 0) && used < patience;) {
        used += wait_for_others();
        if (era.load(std::memory_order_relaxed) != this_era)
            return false;
        if (busy != 0)
            busy = take_idle_lanes(me, true, done, whose);
    }
    return true;
}

bool shelf::take_back_of_others(thread_record* me) noexcept
{
    take_back_result done;
    lock_guard const guard{lock, site(me, no_class)};
    lifecycle const now = state.load(std::memory_order_relaxed);
    if (lanes == nullptr || (now != lifecycle::active && now != lifecycle::closing))
        return false;
    bool others = false;
    revoke_lanes(me, others, lanes_of::others);
    if (!others)
        return false;
    heavy_barrier();   // as in take_back_locked
    if (!wait_for_busy_lanes(me, take_idle_lanes(me, false, done, lanes_of::others), done, lanes_of::others))
        return false;
    if (now == lifecycle::closing && me != nullptr)
        me->count_taken_back(done);
    return settle();
}

// Modelled: tests/models/claims.pml, step take_back
// Modelled: tests/models/era.pml, step take_back
// Modelled: tests/models/large.pml, step take_back
take_back_result shelf::take_back(thread_record* me, std::uint64_t for_era, bool closing) noexcept
{
    take_back_result done;
    restructuring_section const section{me};
    lock_guard const guard{lock, site(me, no_class)};
    if (era.load(std::memory_order_relaxed) == for_era && state.load(std::memory_order_relaxed) != lifecycle::drained)
        take_back_locked(me, closing, done);
    return done;
}

/// Takes up to a batch of slabs with pages to be given back out of everybody's reach. They stay on their lists, for objects live
/// in them, or did when they were taken.
// Modelled: tests/models/survivors.pml, step claim_for_purge
std::size_t shelf::claim_for_purge(purge_position& at, std::span<slab*> batch) noexcept
{
    std::size_t n = 0;
    for (; at.bin < bin_count && n < batch.size(); ++at.bin, at.begun = false) {
        if (!has_bin(several_pages_bins, at.bin))
            continue;
        slab* s = at.begun ? at.next : partial[at.bin].front();
        at.begun = true;
        for (; s != nullptr && n < batch.size(); s = s->next) {
            // acquire: what the last one to purge it noted. Under our lock only those take it who take it back, or give it up at
            // once.
            if (s->owner.load(std::memory_order_acquire) != nullptr || !has_unused_pages(*s, bins[at.bin]))
                continue;
            void const* none = nullptr;
            // seq_cst: as in elect.
            if (s->owner.compare_exchange_strong(none, &reclaiming, std::memory_order_seq_cst,
                                                 std::memory_order_relaxed))
                batch[n++] = s;
        }
        if (s != nullptr)
            break;   // the batch is full; where to go on is seen when the lock is taken again
    }
    being_purged += static_cast<std::uint32_t>(n);
    return n;
}

/// Puts a slab back into everybody's reach, and does what others left undone because they saw it owned.
// Modelled: tests/models/survivors.pml, step end_purge
void shelf::end_purge_of(slab& s, thread_record* me) noexcept
{
    unsigned const bin = s.bin();
    s.owner.exchange(nullptr, std::memory_order_seq_cst);   // seq_cst: as in elect
    fill const now = shared_fill(s, bin);
    if (now.all) {
        unsigned repeated = 0;
        bool const won = elect(s, repeated) == election::won;
        count_election(this, bin, me, repeated);
        if (won) {
            list_of(*this, s, bin).remove(s);
            unlist(bin);
            heap->recycle(s, me);
        }
        return;   // else whoever won waits for our lock
    }
    // Who tried to adopt it took it for one without free slots.
    if (now.any && s.where.load(std::memory_order_relaxed) == residence::shelved_full) {
        full[bin].remove(s);
        list_partial(s, bin);
    }
}

void shelf::end_purge(purge_position& at, std::span<slab* const> batch, thread_record* me) noexcept
{
    being_purged -= static_cast<std::uint32_t>(batch.size());
    // What follows the last one of the batch was not looked at yet. If that one has been moved, the rest of its list is left to
    // the next close: it happens where threads allocate from the epoch at this moment.
    slab* const last = batch.back();
    at.next = last->where.load(std::memory_order_relaxed) == residence::shelved_partial ? last->next : nullptr;
    for (slab* const s : batch)
        end_purge_of(*s, me);
}

// Modelled: tests/models/survivors.pml, step purge_unused
bool shelf::purge_unused(thread_record* me, std::uint64_t for_era, bool look, purge_result& done) noexcept
{
    if (with_checks && heap->checks().on())
        return false;   // what stands in free slots is looked at when they are handed out
    std::array<slab*, purge_batch> batch{};
    purge_position at;
    for (std::size_t n = 0;;) {
        {
            lock_guard const guard{lock, site(me, no_class)};
            if (n != 0) {
                end_purge(at, std::span{batch}.first(n), me);
                if (settle())
                    return true;
            } else if (era.load(std::memory_order_relaxed) != for_era ||
                       state.load(std::memory_order_relaxed) == lifecycle::drained) {
                return false;
            }
            if (done.failures != 0)
                return false;
            n = claim_for_purge(at, batch);
        }
        if (n == 0)
            return false;
        for (std::size_t i = 0; i < n && done.failures == 0; ++i)
            heap->slabs().purge_unused(*batch[i], look, done);
    }
}

live_count shelf::live_large_of(void const* owner) const noexcept
{
    live_count all;
    for (slab const* s = large.front(); s != nullptr; s = s->next)
        if (s->owner.load(std::memory_order_relaxed) == large_owner(owner))
            all += {1, s->local.load(std::memory_order_relaxed)};
    return all;
}

live_count shelf::live() const noexcept
{
    live_count all;
    for (unsigned bin = 0; bin < bin_count; ++bin)
        for (slab_list const* const list : {&partial[bin], &full[bin]})
            for (slab const* s = list->front(); s != nullptr; s = s->next)
                all += live_in(*s, bin);
    for (slab const* s = large.front(); s != nullptr; s = s->next)
        all += {1, s->local.load(std::memory_order_relaxed)};
    return all;
}

// Modelled: tests/models/large.pml, step drop_all
// Modelled: tests/models/survivors.pml, step drop_all
std::uint64_t shelf::drop_all(thread_record* me) noexcept
{
    std::uint64_t live = 0;
    for (unsigned bin = 0; slab_count != 0 && bin < bin_count; ++bin) {
        for (slab_list* const list : {&partial[bin], &full[bin]}) {
            for (slab* s = list->front(); s != nullptr;) {
                slab* const next = s->next;
                live += heap->retire_live(*s, bin);
                void const* none = nullptr;
                if (!s->owner.compare_exchange_strong(none, &reclaiming, std::memory_order_seq_cst,
                                                      std::memory_order_relaxed)) {
                    // Another thread has claimed it (see purge_unused), and finds it empty when it gives it back.
                    for_each_block(*s, bin, [bin](slab& block) {
                        block.shared.fetch_or(bins[bin].full_mask, std::memory_order_seq_cst);   // seq_cst: as in elect
                    });
                } else {
                    list->remove(*s);
                    unlist(bin);
                    heap->recycle(*s, me);
                }
                s = next;
            }
        }
    }
    while (slab* const s = large.pop()) {
        live += heap->retire_large(*s);
        std::uint32_t const pages = s->pages.load(std::memory_order_relaxed);
        note_large(-1, pages);
        s->tag.store(tag_none, std::memory_order_relaxed);
        set_where(*s, residence::unused);
        heap->give_large(*s, pages, site(me, large_class));
    }
    return live;
}

// Modelled: tests/models/large.pml, step take_large
bool shelf::add_large(slab& s, std::uint64_t for_era, thread_record* me) noexcept
{
    lock_guard const guard{lock, site(me, large_class)};
    if (era.load(std::memory_order_relaxed) != for_era || state.load(std::memory_order_relaxed) != lifecycle::active)
        return false;
    s.home.store(this, std::memory_order_relaxed);
    set_where(s, residence::large);
    s.tag.store(tag_large, std::memory_order_release);   // release: who sees the tag sees whose it is
    large.push(s);
    note_large(1, s.pages.load(std::memory_order_relaxed));
    face.allocations.add();
    return true;
}

// Modelled: tests/models/blocks.pml, step settle
// Modelled: tests/models/close.pml, step settle
// Modelled: tests/models/era.pml, step settle
// Modelled: tests/models/exclusive.pml, step settle
// Modelled: tests/models/large.pml, step settle
// Modelled: tests/models/survivors.pml, step settle
bool shelf::settle() noexcept
{
    if (state.load(std::memory_order_relaxed) != lifecycle::closing || lanes != nullptr || slab_count != 0 ||
        large_count != 0 || holds.load(std::memory_order_relaxed) != 0) {
        if (state.load(std::memory_order_relaxed) == lifecycle::closing &&
            face.closing_ns.load(std::memory_order_relaxed) == 0)
            face.closing_ns.store(now_ns_coarse(), std::memory_order_relaxed);
        return false;
    }
    set_state(lifecycle::drained);
    return true;
}

namespace {

/// Puts a slab that has free slots, and is listed as full, on the partial list.
// Modelled: tests/models/blocks.pml, step relist
// Modelled: tests/models/close.pml, step relist
// Modelled: tests/models/large.pml, step relist
// Modelled: tests/models/survivors.pml, step relist
void relist(slab& s, unsigned its_bin, thread_record* me) noexcept
{
    auto* const home = static_cast<shelf*>(s.home.load(std::memory_order_relaxed));
    if (home == nullptr)
        return;
    lock_guard const guard{home->lock, home->site(me, class_of_bin(its_bin))};
    // It may have been taken back or moved meanwhile, be held by a lane that can let it go at any moment, or be no slab any more.
    // First on which list it is, then of which shelf: to ours it comes under our lock only, so the two are true together
    // then, and stay so. acquire: pairs with set_where.
    if (s.where.load(std::memory_order_acquire) != residence::shelved_full ||
        s.home.load(std::memory_order_relaxed) != home)
        return;
    unsigned const bin = s.bin();
    if (!shared_fill(s, bin).any)
        return;
    home->full[bin].remove(s);
    home->list_partial(s, bin);
    home->heap->counts_of(me, class_of_bin(bin))[class_event::full_to_partial].add();
}

/// A free was the first into a slab nobody holds, or the last: move or recycle it.
// Modelled: tests/models/blocks.pml, step shelved_slab_changed
// Modelled: tests/models/close.pml, step shelved_slab_changed
// Modelled: tests/models/survivors.pml, step shelved_slab_changed
[[gnu::noinline]] void shelved_slab_changed(slab& s, unsigned bin, thread_record* me) noexcept
{
    restructuring_section const section{me};
    if (!shared_fill(s, bin).all)
        return relist(s, bin, me);
    unsigned repeated = 0;
    auto* const home_before = static_cast<shelf const*>(s.home.load(std::memory_order_relaxed));
    election const result = elect(s, repeated);
    count_election(home_before, bin, me, repeated);
    if (result == election::let_go)
        return relist(s, bin, me);
    if (result == election::lost)
        return;   // somebody else takes it; it is no longer ours to look at
    // Every slot is ours, so the slab is where it was, on one of its shelf's lists.
    auto* const home = static_cast<shelf*>(s.home.load(std::memory_order_relaxed));
    unsigned const its_bin = s.bin();
    bool drained = false;
    {
        lock_guard const guard{home->lock, home->site(me, class_of_bin(its_bin))};
        list_of(*home, s, its_bin).remove(s);
        home->unlist(its_bin);
        home->heap->recycle(s, me);
        drained = home->settle();
    }
    if (drained)
        home->heap->slot_drained(*home, me);
}

}

namespace {

// Modelled: tests/models/words.pml, step note_freed_into
void note_freed_into(lane_bin& b) noexcept
{
    if (b.freed_into.load(std::memory_order_seq_cst) == 0)   // seq_cst: after the free; see scan_held
        b.freed_into.store(1, std::memory_order_release);    // release: who sees it sees the freed slot
}

}

// Modelled: tests/models/blocks.pml, step free_remote
// Modelled: tests/models/chunks.pml, step free_remote
// Modelled: tests/models/close.pml, step free_remote
// Modelled: tests/models/kept.pml, step free_remote
// Modelled: tests/models/words.pml, step free_remote
// Modelled: tests/models/survivors.pml, step free_remote
bool free_remote(heap_core& heap, slab& block, unsigned bin, unsigned slot, thread_record* me) noexcept
{
    std::uint64_t const bit = std::uint64_t{1} << slot;
    // shared first, acquire: bits that have left it are in local by then.
    if ((block.shared.load(std::memory_order_acquire) & bit) != 0 ||
        (block.local.load(std::memory_order_relaxed) & bit) != 0)
        return false;
    slab& s = slab_of(block, bin);
    // Out of reach: a free that comes twice, and late, can meet a cached slab or a large allocation.
    if (void const* const owner = s.owner.load(std::memory_order_relaxed);
        owner != nullptr && owner != &reclaiming && !is_lane(owner))
        return false;
    heap.counts_of(me, class_of_bin(bin))[class_event::remote_free].add();
    // release: this thread's use of the slot ends before anyone hands it out again. seq_cst: as in elect.
    std::uint64_t const before = block.shared.fetch_or(bit, std::memory_order_seq_cst);
    if ((before & bit) != 0)
        return false;
    if (before != 0 && (before | bit) != bins[bin].full_mask) [[likely]]
        return true;
    void const* const owner = s.owner.load(std::memory_order_seq_cst);
    if (owner == nullptr)
        shelved_slab_changed(s, bin, me);
    else if (is_lane(owner))
        // It may be another lane's by now: then that one looks in vain, and this slab waits for its next first free.
        note_freed_into(*static_cast<lane_bin*>(const_cast<void*>(owner)));
    return true;
}

// Modelled: tests/models/large.pml, step free_large
bool free_large(slab& s, thread_record* me) noexcept
{
    restructuring_section const section{me};
    auto* const home = static_cast<shelf*>(s.home.load(std::memory_order_relaxed));
    if (home == nullptr)
        return false;
    bool drained = false;
    std::uint32_t pages = 0;
    {
        lock_guard const guard{home->lock, home->site(me, large_class)};
        // First what it is, then whose: see relist. acquire: pairs with add_large.
        if (s.tag.load(std::memory_order_acquire) != tag_large || s.home.load(std::memory_order_relaxed) != home)
            return false;
        home->large.remove(s);
        pages = s.pages.load(std::memory_order_relaxed);
        home->note_large(-1, pages);
        s.tag.store(tag_none, std::memory_order_relaxed);
        set_where(s, residence::unused);
        s.home.store(nullptr, std::memory_order_relaxed);
        drained = home->settle();
    }
    heap_core& heap = *home->heap;
    heap.give_large(s, pages, home->site(me, large_class));
    heap.count(me, heap_event::large_free);
    if (drained)
        heap.slot_drained(*home, me);
    return true;
}

}
