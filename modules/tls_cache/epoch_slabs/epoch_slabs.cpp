// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The lists of an epoch: slabs that no thread cache owns, large allocations, attached caches. Lock order: registry,
// epoch, slab cache, page heap. A thread that holds every slot of a slab may recycle it; a slab on an epoch's list is
// unlinked first, under the epoch's lock.
module;
#include <atomic>
#include <cstdint>
#include <initializer_list>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "orphans.hpp"

namespace tslab {

// Modelled: tests/models/era.pml, step attach
bool epoch_slabs::attach(thread_cache& l, std::uint64_t for_era, std::uint64_t key,
                         atomic<thread_cache*>* binding) noexcept
{
    lock_guard const guard{lock, site(l.record_, no_class)};
    if (!is_active(for_era))
        return false;
    link(l, for_era, key, binding);
    if (count.on()) [[unlikely]]
        l.begin_counted(*this, false);
    return true;
}

// Modelled: tests/models/serial.pml, step take_over
thread_cache* epoch_slabs::take_over(atomic<thread_cache*> const& binding, thread_record& me,
                                     std::uint64_t key) noexcept
{
    lock_guard const guard{lock, site(&me, no_class)};
    thread_cache* const l = binding.load(std::memory_order_relaxed);
    if (l == &no_cache)
        return nullptr;
    l->record_ = &me;
    if (l->key() != closed_key)
        l->key_.store(key, std::memory_order_relaxed);
    return l;
}

void epoch_slabs::list_partial(slab_meta& s, unsigned bin) noexcept
{
    set_where(s, residence::orphan_partial);
    partial[bin].push(s);
    partial_bins.store(partial_bins.load(std::memory_order_relaxed) | only_bin(bin), std::memory_order_relaxed);
}

/// Takes a slab from a thread cache, which has unlinked it: recycles it if it is empty, otherwise puts it on a list of
/// the epoch.
// Modelled: tests/models/subslabs.pml, step orphan_slab
// Modelled: tests/models/close.pml, step orphan_slab
// Modelled: tests/models/survivors.pml, step orphan_slab
void epoch_slabs::orphan_slab(slab_meta& s, unsigned bin, thread_record* me, reclaim_result& done) noexcept
{
    unsigned const c = class_of_bin(bin);
    done.note(c, 1, 0);
    if (heap->claim_slab(s, bin).all) {
        heap->recycle(s, me);   // no object is live, so no other thread may touch the slab
        done.note(c, 0, 1);
        return;
    }
    // Order: the list, the slots, the owner. A freer that sees no owner waits for this lock and finds the slab listed;
    // what a freer that still saw an owner left undone is found by reading the words again below.
    s.home.store(this, std::memory_order_relaxed);
    list_partial(s, bin);
    ++slab_count;
    stats.listed[bin].store(++listed[bin], std::memory_order_relaxed);
    for_each_subslab(s, bin, [](slab_meta& subslab) {
        std::uint64_t const free = subslab.local_free.load(std::memory_order_relaxed);
        subslab.remote_free.fetch_or(free,
                                     std::memory_order_release);   // release: publishes the use of the slots
        subslab.local_free.store(
            0, std::memory_order_release);   // release: a thread that sees the bits gone sees them in remote_free
    });
    if (has_subslabs(bin))
        for_each_subslab(s, bin,
                         [](slab_meta& subslab) { subslab.owner.store(owner_ref::none(), std::memory_order_relaxed); });
    s.owner.exchange(owner_ref::none(), std::memory_order_seq_cst);   // seq_cst: as in claim_for_reclaim
    fill const now = remote_fill(s, bin);
    unsigned repeated = 0;
    bool const won = now.all && claim_for_reclaim(s, repeated) == reclaim_claim::won;
    count_claim(this, bin, me, repeated);
    if (won) {
        partial[bin].remove(s);
        unlist(bin);
        heap->recycle(s, me);
        done.note(c, 0, 1);
    } else if (!now.any) {
        partial[bin].remove(s);
        set_where(s, residence::orphan_full);
        full[bin].push(s);
    }
}

/// The slab at which a thread starts its search: the one listed last or, in rotated order, some places behind it.
slab_meta* epoch_slabs::first_partial_for(unsigned bin, thread_record const& me) const noexcept
{
    constexpr std::uint64_t places = 8;
    slab_meta* const front = partial[bin].front();
    if (front == nullptr || !me.scans[class_of_bin(bin)].rotated())
        return front;
    slab_meta* s = front;
    for (std::uint64_t skip = this_thread.id() % places; skip != 0; --skip)
        s = s->next != nullptr ? s->next : front;
    return s;
}

/// Moves a slab that could not be acquired to the full list: another thread is reclaiming it and waits for this lock,
/// or, if `claimed`, the slab has no free slot.
void epoch_slabs::repair_partial(slab_meta& s, unsigned bin, bool claimed) noexcept
{
    partial[bin].remove(s);
    set_where(s, residence::orphan_full);
    full[bin].push(s);
    if (!claimed)
        return;
    s.owner.exchange(owner_ref::none(), std::memory_order_seq_cst);
    if (remote_fill(s, s.bin()).any) {   // freed into while we owned it: the freer left the move to us
        full[bin].remove(s);
        list_partial(s, bin);
    }
}

// Modelled: tests/models/subslabs.pml, step acquire_partial
// Modelled: tests/models/close.pml, step acquire_partial
// Modelled: tests/models/survivors.pml, step acquire_partial
slab_meta* epoch_slabs::acquire_partial(thread_cache& l, unsigned bin) noexcept
{
    thread_record& me = *l.record_;
    unsigned const c = class_of_bin(bin);
    class_counters& counts = me.classes[c];
    me.expect_wait();
    lock_guard const guard{lock, site(&me, c)};
    if (count.on() && !l.counted_) [[unlikely]]
        l.begin_counted(*this, false);
    while (slab_meta* const s = first_partial_for(bin, me)) {
        counts[class_event::adopt_attempt].add();
        owner_ref none;
        // seq_cst: as in claim_for_reclaim.
        owner_ref const taker = owner_ref::of_bin(&l.bins_[bin].bin);
        bool const claimed =
            s->owner.compare_exchange_strong(none, taker, std::memory_order_seq_cst, std::memory_order_relaxed);
        if (claimed && heap->claim_slab(*s, bin).any) [[likely]] {
            s->partly_purged = false;   // purged pages become resident as they are touched
            partial[bin].remove(*s);
            unlist(bin);
            if (has_subslabs(bin))
                for_each_subslab(*s, bin,
                                 [&](slab_meta& subslab) { subslab.owner.store(taker, std::memory_order_relaxed); });
            set_where(*s, residence::owned);
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
            sample_timer const timer;   // it takes no lock: this one is held
            repair_partial(*s, bin, claimed);
            me.note_repair(timer.read());
        } else {
            repair_partial(*s, bin, claimed);
        }
    }
    partial_bins.store(partial_bins.load(std::memory_order_relaxed) & ~only_bin(bin), std::memory_order_relaxed);
    return nullptr;
}

live_count epoch_slabs::live_large_of(void const* owner) const noexcept
{
    live_count all;
    for (slab_meta const* s = large.front(); s != nullptr; s = s->next)
        if (large_allocation const a{*s}; a.is_of(owner))
            all += {1, a.bytes()};
    return all;
}

live_count epoch_slabs::live() const noexcept
{
    live_count all;
    for (unsigned bin = 0; bin < bin_count; ++bin)
        for (slab_list const* const list : {&partial[bin], &full[bin]})
            for (slab_meta const* s = list->front(); s != nullptr; s = s->next)
                all += live_in(*s, bin);
    for (slab_meta const* s = sampled.front(); s != nullptr; s = s->next)
        all += live_in(*s, s->bin());
    for (slab_meta const* s = large.front(); s != nullptr; s = s->next)
        all += {1, large_allocation{*s}.bytes()};
    return all;
}

// Modelled: tests/models/large.pml, step drop_all
// Modelled: tests/models/survivors.pml, step drop_all
std::uint64_t epoch_slabs::drop_all(thread_record* me) noexcept
{
    std::uint64_t live = sampled.front() != nullptr ? drop_sampled(me, nullptr) : 0;
    for (unsigned bin = 0; slab_count != 0 && bin < bin_count; ++bin) {
        for (slab_list* const list : {&partial[bin], &full[bin]}) {
            for (slab_meta* s = list->front(); s != nullptr;) {
                slab_meta* const next = s->next;
                live += heap->retire_live(*s, bin);
                owner_ref none;
                if (!s->owner.compare_exchange_strong(none, owner_ref::reclaiming(), std::memory_order_seq_cst,
                                                      std::memory_order_relaxed)) {
                    // Another thread has claimed it (see purge_unused) and recycles it when it finds it empty.
                    for_each_subslab(*s, bin, [bin](slab_meta& subslab) {
                        subslab.remote_free.fetch_or(bins[bin].full_mask,
                                                     std::memory_order_seq_cst);   // seq_cst: as in claim_for_reclaim
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
    while (slab_meta* const s = large.pop()) {
        live += heap->retire_large(*s);
        heap->note_large_freed(*s);
        std::uint32_t const pages = large_allocation{*s}.pages();
        note_large(-1, pages);
        if (count.on())
            give_counted(pages);
        s->tag.store(tag_none, std::memory_order_relaxed);
        set_where(*s, residence::unused);
        heap->give_large(*s, pages, site(me, large_class));
    }
    return live;
}

// Modelled: tests/models/large.pml, step take_large
bool epoch_slabs::add_large(slab_meta& s, std::uint64_t for_era, thread_record* me, limit_refusal& why) noexcept
{
    lock_guard const guard{lock, site(me, large_class)};
    if (!is_active(for_era))
        return false;
    if (count.on()) [[unlikely]] {
        why = reserve(large_allocation{s}.pages());
        if (why)
            return false;
        if (me != nullptr)
            look_at_soft_limit(*me);
    }
    s.home.store(this, std::memory_order_relaxed);
    set_where(s, residence::large);
    s.tag.store(tag_large, std::memory_order_release);   // release: a thread that sees the tag sees `home`
    large.push(s);
    note_large(1, large_allocation{s}.pages());
    use.bytes += large_allocation{s}.bytes();
    stats.allocations.add();
    return true;
}

// Modelled: tests/models/subslabs.pml, step try_drain
// Modelled: tests/models/close.pml, step try_drain
// Modelled: tests/models/era.pml, step try_drain
// Modelled: tests/models/exclusive.pml, step try_drain
// Modelled: tests/models/large.pml, step try_drain
// Modelled: tests/models/survivors.pml, step try_drain; tests/models/serial.pml, step try_drain
bool epoch_slabs::try_drain() noexcept
{
    if (state.load(std::memory_order_relaxed) != lifecycle::closing || caches != nullptr || slab_count != 0 ||
        large_count.load(std::memory_order_relaxed) != 0 || holds.load(std::memory_order_relaxed) != 0) {
        if (state.load(std::memory_order_relaxed) == lifecycle::closing &&
            closing_ns.load(std::memory_order_relaxed) == 0)
            set_closing_ns(now_ns_coarse());
        return false;
    }
    if (count.on()) [[unlikely]]
        end_counting(nullptr);
    set_state(lifecycle::drained);
    return true;
}

// Modelled: tests/models/close.pml, step slot_drained
// Modelled: tests/models/era.pml, step slot_drained
void heap_state::slot_drained(epoch_slabs& s, thread_record* me, reclaim_result& done, bool give_back) noexcept
{
    count(me, heap_event::epoch_drained);
    free_slots_.release(s.index);
    if (give_back) {
        purge_if_due(done, false);
        give_back_units(me, page_heap::slack_pages, &done.purged);
    }
}

}
