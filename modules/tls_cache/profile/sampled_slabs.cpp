// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Objects that the heap profile samples. They lie in slabs that no thread cache owns, on a list of their epoch that no cache
// acquires slabs from. So the comparison with which every fast free begins fails, and the free is counted on the shared
// path; all else is done to these slabs as to any orphan (see epoch_slabs.cpp).
module;
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "../epoch_slabs/orphans.hpp"

namespace tslab {

namespace {

/// The free slots of a subslab of which one may be allocated: without those that no handle may name again.
std::uint64_t usable_slots(slab_meta const& subslab, unsigned bin, std::uint64_t free) noexcept
{
    if (bin < class_count)
        return free;
    std::uint64_t usable = 0;
    for (; free != 0; free &= free - 1)
        if (!page_heap::is_used_up(page_heap::index_of(subslab), static_cast<std::uint32_t>(std::countr_zero(free))))
            usable |= free & (0 - free);
    return usable;
}

std::byte* address_of(slab_meta const& subslab, unsigned bin, unsigned slot) noexcept
{
    return subslab.base + std::size_t{slot} * bins[bin].size;
}

}

/// Allocates a slot of a slab that has sampled objects already.
// Modelled: tests/models/sampled.pml, step share_sampled
void* epoch_slabs::share_sampled(thread_cache const* of, unsigned bin, profiled_site& at) const noexcept
{
    constexpr int most = 16;   // slabs to look at
    int left = most;
    for (slab_meta* s = sampled.front(); s != nullptr && left-- != 0; s = s->next) {
        sampled_slots* const slots = heap->profiler().slots_of(*s);
        if (s->bin() != bin || slots->cache != of)
            continue;
        slab_meta& subslab = *first_subslab(*s, bin);
        if (usable_slots(subslab, bin, subslab.remote_free.load(std::memory_order_relaxed)) == 0)
            continue;
        // As a purge does: while this thread has the slab, no other one reclaims it.
        owner_ref none;
        if (!s->owner.compare_exchange_strong(none, owner_ref::reclaiming(), std::memory_order_seq_cst,
                                              std::memory_order_relaxed))
            continue;   // it is empty, and its last freer waits for the lock
        // acquire: the freeing thread's use of the slot has ended.
        std::uint64_t const usable =
            usable_slots(subslab, bin, subslab.remote_free.load(std::memory_order_acquire));   // frees only add to it
        auto const slot = static_cast<unsigned>(std::countr_zero(usable));
        slots->of[slot].store(&at, std::memory_order_relaxed);
        subslab.remote_free.fetch_and(~(std::uint64_t{1} << slot), std::memory_order_seq_cst);
        // Not looked at again: this object lives, so no freer has left a reclaim to this thread.
        s->owner.exchange(owner_ref::none(), std::memory_order_seq_cst);
        return address_of(subslab, bin, slot);
    }
    return nullptr;
}

void* epoch_slabs::allocate_sampled(thread_cache const& l, unsigned bin, thread_record& me, profiled_site& at) noexcept
{
    unsigned const c = class_of_bin(bin);
    thread_cache const* const of = l.is_exclusive() ? &l : nullptr;
    {
        lock_guard const guard{lock, site(&me, c)};
        if (void* const p = share_sampled(of, bin, at))
            return p;
    }
    // As in next_counted. What a limit refuses here is not sampled; the allocation that follows says why it is refused.
    bool const counted = count.on();
    if (counted && reserve(bins[bin].pages)) [[unlikely]]
        return nullptr;
    sampled_slots* const slots = heap->profiler().take_slots();
    slab_meta* const s =
        slots != nullptr ? heap->take_slab(bin, me, me.classes[c], label_id.load(std::memory_order_relaxed)) : nullptr;
    if (s == nullptr) {
        if (counted)
            give_counted(bins[bin].pages);
        if (slots != nullptr)
            heap->profiler().give_slots(*slots);
        return nullptr;
    }
    slab_meta& subslab = *first_subslab(*s, bin);
    std::uint64_t const usable =
        usable_slots(subslab, bin, subslab.local_free.load(std::memory_order_relaxed));   // a slab has some
    auto const slot = static_cast<unsigned>(std::countr_zero(usable));
    slots->of[slot].store(&at, std::memory_order_relaxed);
    slots->cache = of;
    lock_guard const guard{lock, site(&me, c)};
    if (counted)
        look_at_soft_limit(me);
    else if (count.on())   // begun meanwhile, without this slab, which was not listed yet
        force(bins[bin].pages);
    s->home.store(this, std::memory_order_relaxed);
    s->partial = false;
    s->partly_purged = false;
    set_sampled_index(*s, slots->index);
    set_where(*s, residence::sampled);
    sampled.push(*s);
    ++slab_count;
    stats.listed[bin].store(++listed[bin], std::memory_order_relaxed);
    // As in orphan_slab. The slot is in neither word from here on: it is allocated.
    for_each_subslab(*s, bin, [&](slab_meta& part) {
        std::uint64_t const taken = &part == &subslab ? std::uint64_t{1} << slot : 0;
        part.remote_free.fetch_or(part.local_free.load(std::memory_order_relaxed) & ~taken, std::memory_order_release);
        part.local_free.store(0, std::memory_order_release);
        part.owner.store(owner_ref::none(), std::memory_order_relaxed);
    });
    s->owner.exchange(owner_ref::none(), std::memory_order_seq_cst);
    return address_of(subslab, bin, slot);
}

live_count epoch_slabs::live_sampled_of(thread_cache const& l) const noexcept
{
    live_count all;
    for (slab_meta const* s = sampled.front(); s != nullptr; s = s->next)
        if (heap->profiler().slots_of(*s)->cache == &l)
            all += live_in(*s, s->bin());
    return all;
}

void epoch_slabs::disown_sampled(thread_cache const& l) const noexcept
{
    for (slab_meta const* s = sampled.front(); s != nullptr; s = s->next)
        if (sampled_slots* const slots = heap->profiler().slots_of(*s); slots->cache == &l)
            slots->cache = nullptr;
}

std::uint64_t epoch_slabs::drop_sampled(thread_record* me, thread_cache const* l) noexcept
{
    std::uint64_t live = 0;
    for (slab_meta* s = sampled.front(); s != nullptr;) {
        slab_meta* const next = s->next;
        heap_profiler& profiler = heap->profiler();
        sampled_slots const* const slots = profiler.slots_of(*s);
        if (l == nullptr || slots->cache == l) {
            unsigned const bin = s->bin();
            live += heap->retire_live(*s, bin);
            slab_meta const& subslab = *first_subslab(*s, bin);
            std::uint64_t left = bins[bin].full_mask & ~subslab.remote_free.load(std::memory_order_relaxed);
            for (; left != 0; left &= left - 1)
                if (profiled_site const* const site =
                        slots->of[static_cast<unsigned>(std::countr_zero(left))].load(std::memory_order_relaxed))
                    profiler.note_free(*site, bins[bin].size);
            owner_ref none;
            if (s->owner.compare_exchange_strong(none, owner_ref::reclaiming(), std::memory_order_seq_cst,
                                                 std::memory_order_relaxed)) {
                unlist_slab(*this, *s, bin);
                heap->recycle(*s, me);
            } else {
                // A free that was late has claimed it, and reclaims it when it finds it empty: see drop_all.
                for_each_subslab(*s, bin, [bin](slab_meta& part) {
                    part.remote_free.fetch_or(bins[bin].full_mask, std::memory_order_seq_cst);
                });
            }
        }
        s = next;
    }
    return live;
}

/// Allocates an object that the heap profile samples, and draws the next one. Null if it cannot be sampled.
[[gnu::noinline]] void* thread_cache::allocate_profiled(unsigned bin, thread_record& me) noexcept
{
    epoch_slabs& home = *attached_.load(std::memory_order_relaxed);
    profiled_site* const site = me.heap.profiler().find_site(me, bin, home.label_id.load(std::memory_order_relaxed));
    // This allocation is the first of the distance, so the next one is `draw` further on.
    std::uint32_t const draw = me.choose_profiled(bins[bin].size);
    choose_profiled(bin, draw != heap_profiler::no_sample ? draw + 1 : draw);
    if (site == nullptr)
        return nullptr;
    void* p = nullptr;
    {
        fork_exclusion const section{&me};
        used_bins_ |= only_bin(bin);   // it has allocations to publish
        p = home.allocate_sampled(*this, bin, me, *site);
    }
    if (p == nullptr) {
        me.heap.stats().profile.samples_dropped.add_shared();
        return nullptr;
    }
    me.heap.profiler().note_sample(*site, bins[bin].size);
    if (bins_[bin].bin.allocations.add())
        request_sample(bins_[bin].bin);
    return p;
}

}
