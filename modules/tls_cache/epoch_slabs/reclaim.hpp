// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The result of a close, or of reclaiming the slabs of an epoch: plain counts, filled by one thread.
#pragma once

export namespace tslab {

/// Counts of a close or a reclaim.
struct reclaim_result {
    std::array<std::uint32_t, class_count> scanned_of{};    ///< slabs looked at, by class
    std::array<std::uint32_t, class_count> recycled_of{};   ///< slabs recycled, by class
    bin_set classes = 0;                                    ///< classes of which a slab was looked at
    std::uint64_t deferred = 0;     ///< caches and slabs left to other threads, which were using them
    std::uint64_t begin_ns = 0;     ///< now_ns when its timing began; 0: it is not timed, or not yet
    std::uint64_t rss_before = 0;   ///< resident bytes of the process before its first purge; 0: not read
    purge_result purged{};
    std::uint32_t kept = 0;         ///< slabs that stayed with their cache and are in no count above
    std::uint32_t label_id = 0;     ///< of the epoch
    std::uint32_t cost_label = 0;   ///< if `closed`: number of the label that the phase's cost is counted under
    std::uint32_t place =
        ~std::uint32_t{0};   ///< likewise: the source place that entered the epoch; else that is not known
    phase_cost cost{};       ///< likewise
    bool closing = false;    ///< set by the caller: part of a close
    bool brief = false;      ///< of a close that is not timed, or not yet: slabs that stay are counted in one event
    bool found = false;      ///< the ring slot held the epoch
    bool closed = false;     ///< this call turned it from ACTIVE to CLOSING
    bool drained = false;    ///< this call drained the epoch: set by the release of its epoch_lock

    /// Starts to time a close, unless that has started. Called before the first work that most closes do not have: a slab
    /// that leaves its cache, a list, a purge. Reading the clock at the start of every close would make the end of a scope
    /// without such work more than 2 % slower.
    inline void begin_work() noexcept
    {
        if (closing && begin_ns == 0) {
            begin_ns = now_ns();
            brief = false;
        }
    }
    /// The same before a purge of at least `pages`. Reads the resident size only if they are many: that makes three system
    /// calls, which cost more than a purge of few pages, and the kernel's count is exact to some tens of pages only.
    inline void begin_purge(std::uint64_t pages) noexcept
    {
        constexpr std::uint64_t many = 64;
        begin_work();
        if (closing && rss_before == 0 && pages >= many)
            rss_before = read_rss_bytes();
    }
    inline void note(unsigned c, std::uint32_t scanned, std::uint32_t recycled) noexcept
    {
        if (scanned != 0)
            classes |= only_bin(c);
        scanned_of[c] += scanned;
        recycled_of[c] += recycled;
    }
    /// Calls `visit(c)` for every class of which a slab was looked at.
    template <class F> inline void for_each_class(F visit) const
    {
        for (bin_set left = classes; left != 0; left &= left - 1)
            visit(static_cast<unsigned>(std::countr_zero(left)));
    }
    /// Adds the slabs and purges of another reclaim.
    inline reclaim_result& operator+=(reclaim_result const& more) noexcept
    {
        more.for_each_class([&](unsigned c) { note(c, more.scanned_of[c], more.recycled_of[c]); });
        deferred += more.deferred;
        purged += more.purged;
        kept += more.kept;
        return *this;
    }
    [[nodiscard]] inline std::uint64_t scanned() const noexcept { return sum(scanned_of); }
    [[nodiscard]] inline std::uint64_t recycled() const noexcept { return sum(recycled_of); }

private:
    [[nodiscard]] inline std::uint64_t sum(std::array<std::uint32_t, class_count> const& of) const noexcept
    {
        std::uint64_t n = 0;
        for_each_class([&](unsigned c) { n += of[c]; });
        return n;
    }
};

}
