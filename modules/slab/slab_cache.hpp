// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Where empty slabs wait and where new ones come from: a cache per size class, still resident and warm, above the
// page heap. The reclaim policy decides what stays resident. Everything here is thread safe.
#pragma once

export namespace tslab {

/// What happens to pages whose slab is empty.
enum class reclaim_policy : std::uint8_t {
    eager,   ///< nothing is cached; every close hands all free pages to the kernel
    cached,   ///< what is empty stays for as long as it is wanted, see allocator_options::decay; an explicit close leaves
              ///< `slab_cache` pages of it a class, and no free pages
    never     ///< pages stay resident for reuse
};

class slab_cache {
public:
    /// `capacity`: pages of slabs kept per size class. `reserve_bytes`, `huge_pages`: see page_heap. Throws std::bad_alloc.
    /// `published`, `published_cached`: where its figures go, and the numbers of cached slabs by class; null: nowhere else.
    slab_cache(reclaim_policy policy, std::uint32_t capacity, std::size_t reserve_bytes, bool huge_pages = false,
               page_figures* published = nullptr, atomic<std::uint32_t>* published_cached = nullptr);

    /// An empty slab of `bin`: every slot free in `local_free`, no owner, no home. Null when out of memory. A bit in `remote_free` is
    /// the trace of a free that raced with the one that emptied the slab; the caller removes and reports it.
    /// `counts`, `site`: the caller's own counters of the class.
    /// `again`: it is tried once more for a miss that was counted.
    [[nodiscard]] slab_meta* take(unsigned bin, class_counters& counts, lock_site const& site = {},
                                  bool again = false) noexcept;
    /// Up to `most` cached slabs of the class, chained by `next`, for the caller to keep; null when there are none. Their
    /// bin may be either of the class's.
    [[nodiscard]] slab_meta* take_cached(unsigned c, std::uint32_t most, std::uint32_t& taken,
                                         lock_site const& site) noexcept;
    /// Makes an empty slab one of `bin`, a bin of the same class; false when there is no memory for its generations.
    [[nodiscard]] bool turn_into(slab_meta& s, unsigned bin) noexcept;
    /// Makes an empty slab in the caller's hands one of another class whose slabs have as many pages. `bin`: not one for handles.
    void recut(slab_meta& s, unsigned bin) noexcept;

    /// Takes an empty slab back that the caller holds, has unlinked and marked empty. True when it is kept, false when the
    /// cache was full and its pages were given back.
    bool put(slab_meta& s, lock_site const& site = {}) noexcept;
    /// The same for a chain of slabs of one class; returns how many were kept.
    std::uint32_t put_chain(slab_meta* first, lock_site const& site) noexcept;

    /// Purges free pages at the end of a close, as the policy says. `asked`: the program called for it, so under `cached` too
    /// they go at once, and residency is measured afterwards.
    purge_result purge_if_due(bool asked) noexcept;

    /// Whether what nobody wants for a while goes.
    [[nodiscard]] inline bool decays() const noexcept { return is_cached() && !without_delay_; }
    [[nodiscard]] inline bool is_cached() const noexcept { return policy_ == reclaim_policy::cached; }
    /// Whether free pages go at the end of each close, as under `eager`: the decay is 0. Call it before the first.
    inline void set_without_delay(bool without) noexcept { without_delay_ = without; }
    /// Puts those cached slabs among the free pages that nobody wanted since the last call, and begins a new period.
    void decay() noexcept;
    /// Whether an explicit close, or the trim of one epoch, gives pages back.
    [[nodiscard]] inline bool purges_at_close() const noexcept { return policy_ != reclaim_policy::never; }
    /// Whether every close does, the end of a scope too.
    [[nodiscard]] inline bool purges_at_once() const noexcept
    {
        return policy_ == reclaim_policy::eager || (is_cached() && without_delay_);
    }
    /// Hands the pages of a slab of several pages that only free slots touch to the kernel, but for those that went before, and
    /// adds what came of it to `done`; they read as zero afterwards. Where the kernel refuses, the rest stays. The caller keeps
    /// everybody from claiming slots of the slab; others may free there. `look`: as of page_heap::purge.
    void purge_unused(slab_meta& s, bool look, purge_result& done) noexcept;

    /// Puts every cached slab among the free pages.
    void empty() noexcept;
    /// The same, and hands every free page to the kernel, whatever the policy, and looks what became of it.
    purge_result trim() noexcept;

    [[nodiscard]] inline page_heap& pages() noexcept { return pages_; }
    [[nodiscard]] inline page_heap const& pages() const noexcept { return pages_; }
    /// How many slabs of class `c` are kept: as many pages for every class, one slab at least.
    [[nodiscard]] inline std::uint32_t capacity(unsigned c) const noexcept
    {
        return capacity_ == 0 ? 0 : std::max(capacity_ / class_shapes[c].pages, 1U);
    }
    [[nodiscard]] inline std::uint32_t cached(unsigned c) const noexcept
    {
        return per_class_[c].count.load(std::memory_order_relaxed);
    }
    [[nodiscard]] inline mutex& lock_for_fork(unsigned c) noexcept { return per_class_[c].lock; }
    [[nodiscard]] inline mutex const& lock_for_counts(unsigned c) const noexcept { return per_class_[c].lock; }

    /// Whether slabs are cut with memory_checks' words in their slots. Call it before the first is.
    inline void set_clears_slots(bool clears) noexcept { clears_slots_ = clears; }

private:
    struct alignas(64) class_cache {
        mutex lock;
        slab_list slabs __attribute__((guarded_by(lock)));
        std::uint32_t fewest __attribute__((guarded_by(lock))) = 0;   // slabs in it since the last decay
        atomic<std::uint32_t> count{0};                               // written under the lock, read by statistics
    };

    void note_count(class_cache& cache) noexcept __attribute__((requires_capability(cache.lock)));
    [[nodiscard]] slab_meta* cut(unsigned bin, lock_site const& site) noexcept;
    void shape(slab_meta& s, unsigned bin) noexcept;
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

/// Makes a slab whose every slot the caller holds an empty one that is out of reach. Calls `found(subslab, slots)` with slots
/// that were in both words: two threads freed them at the same time. What such a free sets later stays in `remote_free`, to be
/// found there.
// Modelled: tests/models/subslabs.pml, step mark_empty
// Modelled: tests/models/retained.pml, step mark_empty
template <class F> inline void mark_empty(slab_meta& s, unsigned bin, F found) noexcept
{
    s.owner.store(&nowhere, std::memory_order_relaxed);
    for_each_subslab(s, bin, [&](slab_meta& subslab) {
        subslab.owner.store(&nowhere, std::memory_order_relaxed);
        std::uint64_t const mine = subslab.local_free.load(std::memory_order_relaxed);
        subslab.local_free.store(bins[bin].full_mask, std::memory_order_relaxed);
        std::uint64_t const freed = subslab.remote_free.load(std::memory_order_relaxed);
        if (freed == 0) [[likely]]
            return;
        subslab.remote_free.fetch_and(~freed, std::memory_order_acq_rel);   // release: after local, see slab
        if ((mine & freed) != 0)
            found(subslab, mine & freed);
    });
    s.home.store(nullptr, std::memory_order_relaxed);
}

}
