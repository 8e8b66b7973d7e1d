// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Where a slow path looks for a slab, decided by counts and without a clock: the order in which a thread searches the
// partial slabs of an epoch, and whether a cache acquires any of them. Each object belongs to one thread.
#pragma once

export namespace tslab {

/// The order in which a thread searches an epoch's partial slabs of a class. In sequence, it starts at the slab listed
/// last, which is the warmest. When too many of its attempts to acquire a slab are lost to other threads, it rotates:
/// it starts some places further on, at an offset of its own, until losses are rare again. It decides at the end of
/// each window of slow-path allocations, without a clock, and keeps a change for `dwell` windows. Used by its thread
/// alone, which publishes `rotated`.
class scan_order {
public:
    static constexpr std::uint32_t window = 64;         ///< slow-path allocations
    static constexpr std::uint32_t dwell = 4;           ///< windows for which a change is kept
    static constexpr std::uint32_t rotate_above = 30;   ///< lost attempts per 100 allocations of a window
    static constexpr std::uint32_t straighten_below = 10;

    /// Counts an attempt that was lost to another thread.
    inline void note_spoiled() noexcept { ++spoiled_; }
    /// Counts a slow-path allocation. Returns true at the end of a window: then call decide().
    [[nodiscard]] inline bool note_allocation() noexcept { return ++allocations_ >= window; }
    /// Ends a window; decisions and changes are counted in `counts`. Returns whether the order changed.
    bool decide(class_counters& counts) noexcept
    {
        std::uint32_t const per_hundred = spoiled_ * 100 / allocations_;
        allocations_ = 0;
        spoiled_ = 0;
        counts[class_event::scan_check].add();
        if (quiet_ != 0) {
            --quiet_;
            return false;
        }
        if (rotated_ ? per_hundred >= straighten_below : per_hundred <= rotate_above)
            return false;
        rotated_ = !rotated_;
        quiet_ = dwell;
        counts[class_event::scan_switch].add();
        return true;
    }
    /// Starts over in sequence, for the record's next thread.
    inline void restart() noexcept { *this = {}; }
    [[nodiscard]] inline bool rotated() const noexcept { return rotated_; }

private:
    std::uint32_t allocations_ = 0;
    std::uint32_t spoiled_ = 0;
    std::uint32_t quiet_ = 0;
    bool rotated_ = false;
};

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
