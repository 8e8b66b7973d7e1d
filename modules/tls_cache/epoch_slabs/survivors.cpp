// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Purges the pages between live objects: in slabs of several pages, those that no live object touches go to the kernel.
// A slab is claimed under its epoch's lock, purged without it, and released under it; see docs/protocols.md, "Pages
// between live objects".
module;
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "orphans.hpp"

namespace tslab {

namespace {

/// Slabs that are purged between two holds of the epoch's lock.
constexpr std::size_t purge_batch = 64;

}

/// Claims up to a batch of slabs with pages to purge, so that no other thread acquires or recycles them. They stay on
/// their lists, for objects live in them, or did when they were claimed.
// Modelled: tests/models/survivors.pml, step claim_for_purge
std::size_t epoch_slabs::claim_for_purge(purge_position& at, std::span<slab_meta*> batch) noexcept
{
    std::size_t n = 0;
    for (; at.bin < bin_count && n < batch.size(); ++at.bin, at.begun = false) {
        if (!has_bin(several_pages_bins, at.bin))
            continue;
        slab_meta* s = at.begun ? at.next : partial[at.bin].front();
        at.begun = true;
        for (; s != nullptr && n < batch.size(); s = s->next) {
            // acquire: the note of the last thread that purged the slab is visible. Under this lock, only a thread that
            // recycles the slab, or releases it at once, claims it.
            if (!s->owner.load(std::memory_order_acquire).is_none() || !has_unused_pages(*s, bins[at.bin]))
                continue;
            owner_ref none;
            // seq_cst: as in claim_for_reclaim.
            if (s->owner.compare_exchange_strong(none, owner_ref::reclaiming(), std::memory_order_seq_cst,
                                                 std::memory_order_relaxed))
                batch[n++] = s;
        }
        if (s != nullptr)
            break;   // the batch is full; the position is set when the lock is taken again
    }
    being_purged += static_cast<std::uint32_t>(n);
    return n;
}

/// Releases a claimed slab, and does what others left undone because they saw it owned.
// Modelled: tests/models/survivors.pml, step end_purge
void epoch_slabs::end_purge_of(slab_meta& s, thread_record* me) noexcept
{
    unsigned const bin = s.bin();
    s.owner.exchange(owner_ref::none(), std::memory_order_seq_cst);   // seq_cst: as in claim_for_reclaim
    fill const now = remote_fill(s, bin);
    if (now.all) {
        unsigned repeated = 0;
        bool const won = claim_for_reclaim(s, repeated) == reclaim_claim::won;
        count_claim(this, bin, me, repeated);
        if (won) {
            unlist_slab(*this, s, bin);
            heap->recycle(s, me);
        }
        return;   // if another thread won, it waits for this lock
    }
    // A cache that failed to acquire it has moved it to the full list.
    if (now.any && s.where.load(std::memory_order_relaxed) == residence::orphan_full) {
        full[bin].remove(s);
        list_partial(s, bin);
    }
}

void epoch_slabs::end_purge(purge_position& at, std::span<slab_meta* const> batch, thread_record* me) noexcept
{
    being_purged -= static_cast<std::uint32_t>(batch.size());
    // Slabs behind the last one of the batch were not examined yet. If that one was moved meanwhile, the rest of its
    // list is left to the next close: this happens only while threads allocate from the epoch.
    slab_meta* const last = batch.back();
    at.next = last->where.load(std::memory_order_relaxed) == residence::orphan_partial ? last->next : nullptr;
    for (slab_meta* const s : batch)
        end_purge_of(*s, me);
}

// Modelled: tests/models/survivors.pml, step purge_unused
void epoch_slabs::purge_unused(thread_record* me, std::uint64_t for_era, reclaim_result& done) noexcept
{
    if (with_checks && heap->checks().on())
        return;   // the contents of free slots are checked when they are allocated
    std::array<slab_meta*, purge_batch> batch{};
    purge_position at;
    std::uint64_t const refused_before = done.purged.failures;
    for (std::size_t n = 0;;) {
        {
            epoch_lock const guard{*this, me, no_class, epoch_lock::then::keep, &done};
            if (n != 0)
                end_purge(at, std::span{batch}.first(n), me);
            bool const goes_on = is_open(for_era) && done.purged.failures == refused_before;
            n = goes_on ? claim_for_purge(at, batch) : 0;
            if (n != 0)
                done.label_id = label_id.load(std::memory_order_relaxed);
        }
        if (n == 0)
            return;
        done.begin_purge(n);
        for (std::size_t i = 0; i < n && done.purged.failures == refused_before; ++i)
            heap->slabs().purge_unused(*batch[i], done.purged);
    }
}

void heap_state::purge_survivors(epoch_slabs& s, std::uint64_t era, thread_record* me, reclaim_result& done) noexcept
{
    if (!slabs_.purges_at_once())
        return;
    s.purge_unused(me, era, done);
    if (done.drained) {
        purge_if_due(done, false);
        give_back_units(me, page_heap::slack_pages, &done.purged);
    }
}

void heap_state::purge_closed(thread_record* me, std::uint64_t now) noexcept
{
    for (std::uint32_t i = 0; i < prepared_slots(); ++i) {
        epoch_slabs& s = epoch_slabs_at(i);
        // Hints: purge_unused compares the era under the lock.
        std::uint64_t const era = s.era.load(std::memory_order_relaxed);
        std::uint64_t const since = s.closing_ns.load(std::memory_order_relaxed);
        if (s.state.load(std::memory_order_relaxed) != lifecycle::closing || since == 0 || since + decay_ns_ > now)
            continue;
        reclaim_result done;
        s.purge_unused(me, era, done);
        count_purged(done.label_id, done.purged);
    }
}

}
