// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Frees of slots that no thread cache of the caller owns, and of large allocations. A freer changes `remote_free` and
// then reads `owner`; a thread that clears `owner` reads `remote_free` afterwards. One of them sees the other's change.
module;
#include <atomic>
#include <bit>
#include <cstdint>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "orphans.hpp"

namespace tslab {

namespace {

/// Moves a slab with free slots from the full list to the partial list.
// Modelled: tests/models/subslabs.pml, step relist
// Modelled: tests/models/close.pml, step relist
// Modelled: tests/models/large.pml, step relist
// Modelled: tests/models/survivors.pml, step relist
void relist(slab_meta& s, unsigned its_bin, thread_record* me) noexcept
{
    auto* const home = static_cast<epoch_slabs*>(s.home.load(std::memory_order_relaxed));
    if (home == nullptr)
        return;
    lock_guard const guard{home->lock, home->site(me, class_of_bin(its_bin))};
    // The slab may have been recycled or moved meanwhile, be owned by a thread cache that can orphan it at any moment,
    // or be no slab any more. First `where` is read, then `home`: a slab comes to this epoch's lists only under this
    // lock, so if both match they are true together, and stay so. acquire: pairs with set_where.
    if (s.where.load(std::memory_order_acquire) != residence::orphan_full ||
        s.home.load(std::memory_order_relaxed) != home)
        return;
    unsigned const bin = s.bin();
    if (!remote_fill(s, bin).any)
        return;
    home->full[bin].remove(s);
    home->list_partial(s, bin);
    home->heap->counts_of(me, class_of_bin(bin))[class_event::full_to_partial].add();
}

/// A free was the first into an orphan, or its last: moves or recycles the slab.
// Modelled: tests/models/subslabs.pml, step orphan_changed
// Modelled: tests/models/close.pml, step orphan_changed
// Modelled: tests/models/survivors.pml, step orphan_changed
[[gnu::noinline]] void orphan_changed(slab_meta& s, unsigned bin, thread_record* me) noexcept
{
    if (me != nullptr)
        me->expect_wait();
    fork_exclusion const section{me};
    if (!remote_fill(s, bin).all)
        return relist(s, bin, me);
    unsigned repeated = 0;
    auto* const home_before = static_cast<epoch_slabs const*>(s.home.load(std::memory_order_relaxed));
    reclaim_claim const result = claim_for_reclaim(s, repeated);
    count_claim(home_before, bin, me, repeated);
    if (result == reclaim_claim::yielded)
        return relist(s, bin, me);
    if (result == reclaim_claim::lost)
        return;   // another thread claimed it; this one may not look at it again
    // Every slot is this thread's, so the slab is still on one of its epoch's lists.
    auto* const home = static_cast<epoch_slabs*>(s.home.load(std::memory_order_relaxed));
    unsigned const its_bin = s.bin();
    epoch_lock const guard{*home, me, class_of_bin(its_bin)};
    unlist_slab(*home, s, its_bin);
    home->heap->recycle(s, me);
}

/// Whether the owner of a slab has to be notified of a free that was neither the first one into `remote_free` nor the
/// last. In a slab for handles the first bits there may be slots that are used up, which the owner set aside: no freer saw
/// the word empty. So each free notifies from half on, where scan_owned takes the slab.
bool notifies_from_half(std::uint64_t freed, unsigned bin) noexcept
{
    return bin >= class_count && static_cast<std::uint32_t>(std::popcount(freed)) * 2 >= bins[bin].slots;
}

/// A free into a slab of sampled objects. Only a claim for reclaim owns such a slab.
// Modelled: tests/models/sampled.pml, step free_profiled
[[gnu::cold, gnu::noinline]] bool free_profiled(heap_state& heap, slab_meta& subslab, slab_meta& s, unsigned bin,
                                                unsigned slot, thread_record* me) noexcept
{
    std::uint64_t const bit = std::uint64_t{1} << slot;
    sampled_slots const* const slots = heap.profiler().slots_of(s);
    // Read before the slot is free: then another object may be sampled there.
    profiled_site const* const site = slots != nullptr ? slots->of[slot].load(std::memory_order_relaxed) : nullptr;
    std::uint64_t const before = subslab.remote_free.fetch_or(bit, std::memory_order_seq_cst);   // as in free_remote
    if ((before & bit) != 0)
        return false;
    if (site != nullptr)
        heap.profiler().note_free(*site, bins[bin].size);
    if ((before | bit) == bins[bin].full_mask && s.owner.load(std::memory_order_seq_cst).is_none())
        orphan_changed(s, bin, me);
    return true;
}

// Modelled: tests/models/words.pml, step note_freed_into
void note_freed_into(fast_bin& b) noexcept
{
    if (b.freed_into.load(std::memory_order_seq_cst) == 0)   // seq_cst: read after the free; see scan_owned
        b.freed_into.store(1, std::memory_order_release);    // release: a thread that sees the flag sees the freed slot
}

}

// Modelled: tests/models/subslabs.pml, step free_remote
// Modelled: tests/models/chunks.pml, step free_remote
// Modelled: tests/models/close.pml, step free_remote
// Modelled: tests/models/retained.pml, step free_remote
// Modelled: tests/models/words.pml, step free_remote
// Modelled: tests/models/survivors.pml, step free_remote
bool free_remote(heap_state& heap, slab_meta& subslab, unsigned bin, unsigned slot, thread_record* me) noexcept
{
    free_sample const sampled{me};
    std::uint64_t const bit = std::uint64_t{1} << slot;
    // remote_free first, acquire: bits that have left it are in local_free by then.
    if ((subslab.remote_free.load(std::memory_order_acquire) & bit) != 0 ||
        (subslab.local_free.load(std::memory_order_relaxed) & bit) != 0)
        return false;
    slab_meta& s = slab_of(subslab, bin);
    if (s.where.load(std::memory_order_relaxed) == residence::sampled) [[unlikely]]
        return free_profiled(heap, subslab, s, bin, slot, me);
    // The slab is not in use: a late double free can meet a cached slab or a large allocation.
    if (owner_ref const owner = s.owner.load(std::memory_order_relaxed);
        !owner.is_none() && !owner.is_reclaiming() && !owner.is_cache_bin())
        return false;
    heap.counts_of(me, class_of_bin(bin))[class_event::remote_free].add();
    // release: this thread's use of the slot ends before the slot is allocated again. seq_cst: as in claim_for_reclaim.
    std::uint64_t const before = subslab.remote_free.fetch_or(bit, std::memory_order_seq_cst);
    if ((before & bit) != 0)
        return false;
    bool const first_or_last = before == 0 || (before | bit) == bins[bin].full_mask;
    if (!first_or_last && !notifies_from_half(before | bit, bin)) [[likely]]
        return true;
    owner_ref const owner = s.owner.load(std::memory_order_seq_cst);
    if (owner.is_cache_bin())
        // The slab may have another owner by now: then that cache scans in vain, and this slab waits for its next first
        // free.
        note_freed_into(owner.bin<fast_bin>());
    else if (owner.is_none() && first_or_last)
        orphan_changed(s, bin, me);
    return true;
}

// Modelled: tests/models/large.pml, step free_large
bool free_large(slab_meta& s, thread_record* me) noexcept
{
    free_sample const sampled{me};
    if (me != nullptr)
        me->expect_wait();
    fork_exclusion const section{me};
    auto* const home = static_cast<epoch_slabs*>(s.home.load(std::memory_order_relaxed));
    if (home == nullptr)
        return false;
    epoch_lock guard{*home, me, large_class};
    // First the tag, then `home`: see relist. acquire: pairs with add_large.
    if (s.tag.load(std::memory_order_acquire) != tag_large || s.home.load(std::memory_order_relaxed) != home)
        return false;
    home->large.remove(s);
    home->heap->note_large_freed(s);
    std::uint32_t const pages = large_allocation{s}.pages();
    home->note_large(-1, pages);
    if (home->count.on()) [[unlikely]]
        home->give_counted(pages);
    s.tag.store(tag_none, std::memory_order_relaxed);
    set_where(s, residence::unused);
    s.home.store(nullptr, std::memory_order_relaxed);
    guard.unlock();
    heap_state& heap = *home->heap;
    heap.give_large(s, pages, home->site(me, large_class));
    heap.count(me, heap_event::large_free);
    return true;
}

}
