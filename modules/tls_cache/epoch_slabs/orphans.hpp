// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Orphans: slabs that no thread cache owns. A thread gains the exclusive right to one by compare-exchange of its
// `owner` from none. Included by the units that take slabs from an epoch's lists.
#pragma once

namespace tslab {

/// Result of claim_for_reclaim: the caller holds every slot; another thread owns the slab; the slab is not empty and
/// was released.
enum class reclaim_claim : std::uint8_t { won, lost, yielded };

/// Claims an empty slab on an epoch's list for recycling. Of all threads that see it empty exactly one wins and then
/// holds every slot. A late caller may claim a slab that has been recycled and reused since, on the lists of some
/// epoch: it finds the slab not empty, releases it and returns `yielded`. It must then do what other threads left
/// undone while they saw the slab owned (see relist).
/// seq_cst: the caller clears `owner` and then reads `remote_free`; a freer changes `remote_free` and then reads
/// `owner`. One of them must see the other's change.
/// `repeated` is raised by one for each lost or repeated attempt. Thread safe; lock-free. Complexity: one round, unless
/// the slab becomes empty during the release.
// Modelled: tests/models/subslabs.pml, step claim_for_reclaim
// Modelled: tests/models/close.pml, step claim_for_reclaim
// Modelled: tests/models/survivors.pml, step claim_for_reclaim
inline reclaim_claim claim_for_reclaim(slab_meta& s, unsigned& repeated) noexcept
{
    for (;; ++repeated) {
        owner_ref none;
        if (!s.owner.compare_exchange_strong(none, owner_ref::reclaiming(), std::memory_order_seq_cst,
                                             std::memory_order_relaxed)) {
            ++repeated;
            return reclaim_claim::lost;
        }
        auto const empty = [&] {
            unsigned const bin = s.bin();
            return bin < bin_count && remote_fill(s, bin).all;
        };
        if (empty())
            return reclaim_claim::won;
        s.owner.exchange(owner_ref::none(), std::memory_order_seq_cst);
        if (!empty()) {
            ++repeated;
            return reclaim_claim::yielded;
        }
    }
}

/// Counts `repeated` attempts as contention of the class, under the label of the epoch `home`. No effect if `home` or
/// `me` is null.
inline void count_claim(epoch_slabs const* home, unsigned bin, thread_record* me, unsigned repeated) noexcept
{
    if (repeated != 0 && me != nullptr && home != nullptr)
        (*home->site(me, class_of_bin(bin)).counts)[contention_event::free_retry].add(repeated);
}

/// The list of `home` that a listed slab is on. Requires: the epoch's lock.
inline slab_list& list_of(epoch_slabs& home, slab_meta const& s, unsigned bin) noexcept
{
    residence const where = s.where.load(std::memory_order_relaxed);
    return where == residence::sampled       ? home.sampled
           : where == residence::orphan_full ? home.full[bin]
                                             : home.partial[bin];
}

/// Sets which kind of list a slab is on. release: a thread that sees the new value also sees the slab's `home` of that
/// time, see relist.
inline void set_where(slab_meta& s, residence r) noexcept { s.where.store(r, std::memory_order_release); }

/// Takes a listed slab that the caller has claimed off its list. Requires: the epoch's lock.
inline void unlist_slab(epoch_slabs& home, slab_meta& s, unsigned bin) noexcept
    __attribute__((requires_capability(home.lock)))
{
    list_of(home, s, bin).remove(s);
    home.unlist(bin);
    if (s.where.load(std::memory_order_relaxed) == residence::sampled) [[unlikely]]
        home.heap->profiler().give_slots(*home.heap->profiler().slots_of(s));
}

}
