// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Whether a thread cache looks for partial slabs of its epoch.
#pragma once

export namespace tslab {

/// Decides whether a cache acquires partial slabs of its epoch. A slab with a single free slot costs a lock and serves
/// one allocation; where most are like that, the gate closes and the cache takes empty slabs for a while. It decides by
/// windows of allocations, without a clock. Only for the cache's thread.
class acquire_gate {
public:
    static constexpr std::uint64_t window = 256;     ///< allocations
    static constexpr std::uint64_t pause = 8192;     ///< allocations for which the gate stays closed
    static constexpr std::uint64_t least_hits = 2;   ///< the least allocations of 100 that need no refill, to stay open

    /// Counts a refill that could acquire a partial slab, after `allocations` of the cache's bin; returns false if it
    /// should not.
    [[nodiscard]] inline bool open(std::uint64_t allocations) noexcept
    {
        if (allocations < closed_until_)
            return false;
        ++refills_;
        std::uint64_t const n = allocations - begin_;
        if (n < window)
            return true;
        bool const rare = (n - std::min(n, refills_)) * 100 < n * least_hits;
        begin_ = allocations;
        refills_ = 0;
        if (rare)
            closed_until_ = begin_ = allocations + pause;
        return !rare;
    }

private:
    std::uint64_t begin_ = 0;
    std::uint64_t refills_ = 0;
    std::uint64_t closed_until_ = 0;
};

}
