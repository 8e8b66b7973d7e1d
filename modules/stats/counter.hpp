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
    /// Sets a count that the writer knows otherwise; same condition as add. `n`: not less than the present value.
    inline void set(std::uint64_t n) noexcept
    {
        if constexpr (counting)
            value_.store(n, std::memory_order_relaxed);
    }
    [[nodiscard]] inline std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }
    /// For the writer only, when counting starts anew.
    inline void reset() noexcept { value_.store(0, std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// A counter for the fast path that also detects a step that was chosen beforehand, at most `limit` steps ahead. Same
/// conditions as counter::add. The lowest 16 bits hold 16 times the steps since the count in the bits above, which has
/// `limit` added so that it is never below 0; so one 16-bit addition counts, and sets the sign flag at the chosen step. A reader gets the exact number at any time.
class stepping_counter {
public:
    static constexpr std::uint64_t period = 1024;   ///< the usual distance of chosen steps
    static constexpr std::uint64_t limit = 2048;

    /// Counts one. True at the chosen step: then the caller must choose the next one. A new counter chose `limit`.
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
        return (now & step * limit) != 0;
#endif
    }
    /// Chooses the step that is `ahead`, 1 to `limit`. Does not change the number that readers see.
    inline void choose(std::uint64_t ahead) noexcept
    {
        word_.store((value() + ahead) << low_bits | (limit - ahead) * step, std::memory_order_relaxed);
    }
    [[nodiscard]] inline std::uint64_t value() const noexcept
    {
        std::uint64_t const word = word_.load(std::memory_order_relaxed);
        return (word >> low_bits) + (word & ((std::uint64_t{1} << low_bits) - 1)) / step - limit;
    }

private:
    static constexpr unsigned low_bits = 16;
    static constexpr std::uint64_t step = 16;
    static_assert(step * limit == std::uint64_t{1} << (low_bits - 1), "the sign bit of the low part");

    std::atomic<std::uint64_t> word_{limit << low_bits};
};

static_assert(sizeof(counter) == 8 && std::atomic<std::uint64_t>::is_always_lock_free);

// One enumerator for each event of figures.def.
#define TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_COUNTED(member, event, name, unit, help) event,
#define TSLAB_EVENT(event, help) event,

/// Events counted by size class, all of them on the slow path: the lines of figures.def.
enum class class_event : std::uint8_t {
#define TSLAB_OF_CLASS
#include "figures.def"
    count_   ///< number of events
};

/// Events counted by heap.
enum class heap_event : std::uint8_t {
#define TSLAB_OF_HEAP
#include "figures.def"
    count_   ///< number of events
};

inline constexpr std::size_t class_event_count = static_cast<std::size_t>(class_event::count_);
inline constexpr std::size_t heap_event_count = static_cast<std::size_t>(heap_event::count_);

/// Contention of one size class, or of epochs as a whole, under one label.
enum class contention_event : std::uint8_t {
#undef TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_OF_CONTENTION
#include "figures.def"
    count_   ///< number of events
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
