// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The heap's empty slabs: a cache for each size class, resident and warm, above the page heap. It also cuts new slabs,
// and applies the reclaim policy. All functions are thread safe.
#pragma once

export namespace tslab {

/// What happens to pages whose slab is empty.
enum class reclaim_policy : std::uint8_t {
    eager,    ///< nothing is cached; every close purges all free pages
    cached,   ///< empty slabs stay while they are used, see allocator_options::decay; an explicit close leaves
              ///< `slab_cache` pages of them a class, and no free resident pages
    never     ///< pages stay resident for reuse
};

class slab_cache {
public:
    /// `capacity`: pages of slabs cached for each size class. `reserve_bytes`, `huge_pages`: see page_heap. Throws
    /// std::bad_alloc. `published`, `published_cached`: where its figures and the numbers of cached slabs by class are
    /// published; null: not at all.
    slab_cache(reclaim_policy policy, std::uint32_t capacity, std::size_t reserve_bytes, bool huge_pages = false,
               page_figures* published = nullptr, atomic<std::uint32_t>* published_cached = nullptr);

    /// An empty slab of `bin`: every slot free in `local_free`, no owner, no home. Null when out of memory. A bit in
    /// `remote_free` is the trace of a free that raced with the one that emptied the slab; the caller removes and
    /// reports it. `counts`, `site`: the caller's counters of the class. `again`: a second try after a miss, which is
    /// not counted again.
    [[nodiscard]] slab_meta* take(unsigned bin, class_counters& counts, lock_site const& site = {},
                                  bool again = false) noexcept;
    /// Up to `most` cached slabs of the class, chained by `next`, for the caller; null if there are none. Their bin may
    /// be either of the class's two.
    [[nodiscard]] slab_meta* take_cached(unsigned c, std::uint32_t most, std::uint32_t& taken,
                                         lock_site const& site) noexcept;
    /// Converts an empty slab to `bin`, a bin of the same class; false if there is no memory for its generations, or its
    /// page serves no handles any more.
    [[nodiscard]] bool turn_into(slab_meta& s, unsigned bin) noexcept;
    /// Converts an empty slab of handles whose page serves none any more to the bin of its class for pointers.
    static void retire_from_handles(slab_meta& s, unsigned bin) noexcept;
    /// Cuts an empty slab of the caller's anew, for another class whose slabs have as many pages. `bin`: not one for
    /// handles.
    void recut(slab_meta& s, unsigned bin) noexcept;

    /// Takes an empty slab that the caller holds, has unlinked and marked empty. True if it was cached, false if the
    /// cache was full and its pages were freed.
    bool put(slab_meta& s, lock_site const& site = {}) noexcept;
    /// The same for a chain of slabs of one class; returns how many were cached.
    std::uint32_t put_chain(slab_meta* first, lock_site const& site) noexcept;

    /// Whether a close has free pages to purge at its end, as the policy says. `asked`: the close is explicit, so under
    /// `cached` too they are purged at once.
    [[nodiscard]] inline bool is_purge_due(bool asked) const noexcept
    {
        return (purges_at_once() || (is_cached() && asked)) && pages_.free_resident_pages() != 0;
    }
    /// Purges free pages if that is due.
    purge_result purge_if_due(bool asked) noexcept;

    /// Whether unused memory decays.
    [[nodiscard]] inline bool decays() const noexcept { return is_cached() && !without_delay_; }
    [[nodiscard]] inline bool is_cached() const noexcept { return policy_ == reclaim_policy::cached; }
    /// Sets whether free pages are purged at the end of each close, as under `eager`: the decay is 0. Call it before
    /// the first close.
    inline void set_without_delay(bool without) noexcept { without_delay_ = without; }
    /// Frees the pages of those cached slabs that were not needed since the last call, and begins a new period.
    void decay() noexcept;
    /// Whether an explicit close, or the trim of one epoch, purges pages.
    [[nodiscard]] inline bool purges_at_close() const noexcept { return policy_ != reclaim_policy::never; }
    /// Whether every close does, including the end of a scope.
    [[nodiscard]] inline bool purges_at_once() const noexcept
    {
        return policy_ == reclaim_policy::eager || (is_cached() && without_delay_);
    }
    /// Purges the pages of a slab of several pages that only free slots touch, except those purged before, and adds the
    /// result to `done`; they read as zero afterwards. If the kernel refuses, the rest stays. The caller has claimed
    /// the slab, so no slot of it is allocated meanwhile; other threads may free into it.
    void purge_unused(slab_meta& s, purge_result& done) noexcept;

    /// Frees the pages of every cached slab.
    void empty() noexcept;
    /// The same, then purges every free page, whatever the policy, and measures residency.
    purge_result trim() noexcept;

    [[nodiscard]] inline page_heap& pages() noexcept { return pages_; }
    [[nodiscard]] inline page_heap const& pages() const noexcept { return pages_; }
    /// How many slabs of class `c` may be cached: the same number of pages for every class, at least one slab.
    [[nodiscard]] inline std::uint32_t capacity(unsigned c) const noexcept
    {
        return capacity_ == 0 ? 0 : std::max(capacity_ / class_shapes[c].pages, 1U);
    }
    [[nodiscard]] inline std::uint32_t cached(unsigned c) const noexcept
    {
        return per_class_[c].count.load(std::memory_order_relaxed);
    }
    [[nodiscard]] inline mutex& lock_for_fork(unsigned c) noexcept { return per_class_[c].lock; }

    /// Sets whether slabs are cut with memory_checks' words in their slots. Call it before the first slab is cut.
    inline void set_clears_slots(bool clears) noexcept { clears_slots_ = clears; }

private:
    struct alignas(64) class_cache {
        mutex lock;
        slab_list slabs __attribute__((guarded_by(lock)));
        std::uint32_t fewest __attribute__((guarded_by(lock))) = 0;   // fewest slabs since the last decay
        atomic<std::uint32_t> count{0};                               // written under the lock, read by statistics
    };

    void note_count(class_cache& cache) noexcept __attribute__((requires_capability(cache.lock)));
    [[nodiscard]] slab_meta* cut(unsigned bin, lock_site const& site) noexcept;
    void shape(slab_meta& s, unsigned bin) const noexcept;
    void discard(slab_meta& s, lock_site const& site) noexcept;
    void discard_chain(slab_meta* first, lock_site const& site) noexcept;
    void make_plain(slab_meta& s) noexcept;
    void give_pages(slab_meta& s, unsigned bin, lock_site const& site) noexcept;
    [[nodiscard]] bool has_late_frees(slab_meta const& page) const noexcept;

    page_heap pages_;
    atomic<std::uint32_t>* const published_cached_;
    std::array<class_cache, class_count> per_class_;
    reclaim_policy const policy_;
    std::uint32_t const capacity_;
    bool clears_slots_ = false;
    bool without_delay_ = false;
};

/// Marks a slab empty, so that no thread can claim it. Requires: the caller holds every slot. Calls `found(subslab,
/// slots)` with slots that were in both words: two threads freed them at the same time. A bit that such a free sets
/// later stays in `remote_free` and is found there.
// Modelled: tests/models/subslabs.pml, step mark_empty
// Modelled: tests/models/retained.pml, step mark_empty
template <class F> inline void mark_empty(slab_meta& s, unsigned bin, F found) noexcept
{
    s.owner.store(owner_ref::nowhere(), std::memory_order_relaxed);
    for_each_subslab(s, bin, [&](slab_meta& subslab) {
        subslab.owner.store(owner_ref::nowhere(), std::memory_order_relaxed);
        std::uint64_t const mine = subslab.local_free.load(std::memory_order_relaxed);
        subslab.local_free.store(bins[bin].full_mask, std::memory_order_relaxed);
        std::uint64_t const freed = subslab.remote_free.load(std::memory_order_relaxed);
        if (freed == 0) [[likely]]
            return;
        subslab.remote_free.fetch_and(~freed, std::memory_order_acq_rel);   // release: after local_free, see slab_meta
        if ((mine & freed) != 0)
            found(subslab, mine & freed);
    });
    s.home.store(nullptr, std::memory_order_relaxed);
}

}
