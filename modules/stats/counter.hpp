// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Counters with one writer: it does a plain load, add and store, and any thread may read at any time. Each thread has
// its own block of counters; a total is the sum over all blocks, exact while no thread is counting.
#pragma once

export namespace tslab {

/// False in a build that measures the cost of counting (TSLAB_COUNTERS=OFF): then every count stays 0.
#if defined(TSLAB_WITHOUT_COUNTERS)
inline constexpr bool counting = false;
#else
inline constexpr bool counting = true;
#endif

/// A count that one thread at a time advances and every thread may read. The caller of `add` must be the only writer
/// (of its own block, or by a lock); `add_shared` may be called by any thread.
class counter {
public:
    inline void add(std::uint64_t n = 1) noexcept
    {
        if constexpr (counting)
            value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    inline void add_shared(std::uint64_t n = 1) noexcept
    {
        if constexpr (counting)
            value_.fetch_add(n, std::memory_order_relaxed);
    }
    /// Keeps the maximum of the values given; same condition as add.
    inline void raise(std::uint64_t n) noexcept
    {
        if (n > value_.load(std::memory_order_relaxed))
            value_.store(n, std::memory_order_relaxed);
    }
    [[nodiscard]] inline std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }
    /// For the writer only, when counting starts anew.
    inline void reset() noexcept { value_.store(0, std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// A counter for the fast path that also detects every 1,024th step. Same conditions as counter::add. The lowest 16
/// bits hold 32 times the steps since the last 1,024th, so that one 16-bit addition counts and sets the sign flag; the
/// bits above count the blocks of 1,024. A reader gets the exact number at any time.
class stepping_counter {
public:
    static constexpr std::uint64_t period = 1024;

    /// Counts one. True at every 1,024th: then the caller must call `carry`.
    [[nodiscard]] inline bool add() noexcept
    {
        if constexpr (!counting)
            return false;
#if defined(__x86_64__) && !defined(TSLAB_NO_INLINE_ASSEMBLY)
        bool full = false;
        asm("addw %2, %1" : "=@ccs"(full), "+m"(word_) : "i"(step));
        return full;
#else
        std::uint64_t const now = word_.load(std::memory_order_relaxed) + step;
        word_.store(now, std::memory_order_relaxed);
        return (now & step * period) != 0;
#endif
    }
    inline void carry() noexcept
    {
        word_.store(word_.load(std::memory_order_relaxed) - step * period + (std::uint64_t{1} << low_bits),
                    std::memory_order_relaxed);
    }
    [[nodiscard]] inline std::uint64_t value() const noexcept
    {
        std::uint64_t const word = word_.load(std::memory_order_relaxed);
        return (word >> low_bits) * period + (word & ((std::uint64_t{1} << low_bits) - 1)) / step;
    }

private:
    static constexpr unsigned low_bits = 16;
    static constexpr std::uint64_t step = 32;
    static_assert(step * period == std::uint64_t{1} << (low_bits - 1), "the sign bit of the low part");

    std::atomic<std::uint64_t> word_{0};
};

static_assert(sizeof(counter) == 8 && std::atomic<std::uint64_t>::is_always_lock_free);

/// Events counted by size class, all of them on the slow path.
enum class class_event : std::uint8_t {
    slow_path,           ///< a cache's current slab had no free slot
    current_null,        ///< of those: the thread cache had no slab of the class
    current_full,        ///< of those: it had one, with every slot allocated
    epoch_closed,        ///< an allocation was refused because its epoch is CLOSING
    out_of_memory,       ///< an allocation was refused because no page could be had
    collect,             ///< the slab's owner collected slots that other threads had freed
    adopt_attempt,       ///< a thread cache tried to claim a slab without an owner
    adopt,               ///< and got its free slots
    adopt_lost,          ///< and lost it to a thread that reclaimed the slab
    adopt_mismatch,      ///< and found no free slot in it, though it was listed with some
    bypassed,            ///< slabs without an owner were passed over, since so far each had only about one free slot
    flushed,             ///< slabs that a thread cache flushed
    cache_hit,           ///< an empty slab came from a thread's or the heap's slab cache
    cache_miss,          ///< neither had one: a page was taken from the page heap
    new_slab,            ///< and a slab was cut from it
    recycled,            ///< an empty slab went into a slab cache
    overflowed,          ///< an empty slab found the caches full, and its pages were freed
    partial_to_full,     ///< a slab's last free slot was allocated
    full_to_partial,     ///< a full slab got its first free slot back
    remote_free,         ///< a free by a thread that does not own the slab
    repair_twice,        ///< a slot was in both words: two threads had freed it at the same time
    close_retained,      ///< a close left the only slab of the class, empty, with its thread cache: a close call, one
                         ///< slab scanned, one reclaimed, one recycled
    close_call,          ///< a close that looked at a slab of the class
    close_scanned,       ///< slabs of the class looked at by closes
    close_recycled,      ///< slabs of the class reclaimed by closes
    close_nanoseconds,   ///< whole duration of the timed closes that looked at a slab of the class
    scan_check,    ///< a window of slow paths ended, and the search order for slabs without an owner was reconsidered
    scan_switch,   ///< and changed
    count_         ///< number of events
};

/// Events counted by heap.
enum class heap_event : std::uint8_t {
    epoch_open,          ///< a ring slot turned ACTIVE
    epoch_advance,       ///< `advance` moved the current epoch
    epoch_close,         ///< an epoch turned CLOSING
    close_scanned,       ///< slabs looked at by closes
    close_recycled,      ///< slabs reclaimed by closes
    close_timed,         ///< timed closes: explicit ones
    close_nanoseconds,   ///< time spent in those
    close_deferred,      ///< claims a close had to leave to their owner
    epoch_drained,       ///< a closed epoch gave back its last slab
    ring_exhausted,      ///< no free ring slot: a scope shares the current epoch
    domain_enter,        ///< every enter of a domain
    domain_exit,         ///< every exit of a domain
    large_allocation,    ///< allocations above the largest size class
    large_free,          ///< frees of those
    counted_free,        ///< deallocations that a count-only resource counted only
    released,            ///< objects still live when `release` gave them back
    leaked,              ///< objects still live when their resource ended
    stale_handle,        ///< handle operations refused, whatever the reason
    count_
};

inline constexpr std::size_t class_event_count = static_cast<std::size_t>(class_event::count_);
inline constexpr std::size_t heap_event_count = static_cast<std::size_t>(heap_event::count_);

/// Contention of one size class, or of epochs as a whole, under one label.
enum class contention_event : std::uint8_t {
    lock_fast,        ///< a lock was free
    lock_contended,   ///< a lock was held and had to be waited for
    alloc_retry,      ///< a claim of a shared slab was spoiled by another thread
    free_retry,       ///< the claim of an emptied slab for reclaim was lost or repeated
    count_
};
inline constexpr std::size_t contention_event_count = static_cast<std::size_t>(contention_event::count_);

struct contention_counters {
    std::array<counter, contention_event_count> events;

    inline counter& operator[](contention_event e) noexcept { return events[static_cast<std::size_t>(e)]; }
    inline counter const& operator[](contention_event e) const noexcept { return events[static_cast<std::size_t>(e)]; }
};

/// The events of one size class.
struct class_counters {
    std::array<counter, class_event_count> events;

    inline counter& operator[](class_event e) noexcept { return events[static_cast<std::size_t>(e)]; }
    inline counter const& operator[](class_event e) const noexcept { return events[static_cast<std::size_t>(e)]; }
};

/// The events of a heap.
struct heap_counters {
    std::array<counter, heap_event_count> events;

    inline counter& operator[](heap_event e) noexcept { return events[static_cast<std::size_t>(e)]; }
    inline counter const& operator[](heap_event e) const noexcept { return events[static_cast<std::size_t>(e)]; }
};

}
