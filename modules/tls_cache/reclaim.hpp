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
    std::uint64_t deferred = 0;   ///< caches and slabs left to other threads, which were using them
    bool closing = false;         ///< set by the caller: part of an untimed close
    bool found = false;           ///< the ring slot held the epoch
    bool closed = false;          ///< this call turned it from ACTIVE to CLOSING
    bool drained = false;         ///< this call drained the epoch: set by the release of its epoch_lock

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
