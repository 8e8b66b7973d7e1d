// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The atomic words that threads share, and the calls by which a thread waits for another. In the library they are the
// standard library's and the kernel's, at no cost. A test compiles the library with TSLAB_SCHEDULED: then its own
// scheduler is called before every access, and runs one interleaving after another (docs/scheduler-and-properties.md).
#pragma once

#if !defined(TSLAB_SCHEDULED)

export namespace tslab {

template <class T> using atomic = std::atomic<T>;
template <class T> using atomic_ref = std::atomic_ref<T>;

namespace schedule {
/// Each returns true if a scheduler did it, so that the kernel is not called.
constexpr bool sleep(void const*) noexcept { return false; }
constexpr bool wake(void const*) noexcept { return false; }
constexpr bool pause() noexcept { return false; }
constexpr bool barrier() noexcept { return false; }
inline constexpr bool compiled_in = false;
}

}

#else

export namespace tslab {

namespace schedule {

inline constexpr bool compiled_in = true;

enum class access : std::uint8_t { load, store, change, barrier };

/// The scheduler, which decides which thread runs. Called on the thread before an access; returns when the access is to
/// be made.
class seam {
public:
    virtual void step(void const* word, access what) noexcept = 0;
    /// The thread sleeps at `word` until another thread wakes a sleeper there.
    virtual void sleep(void const* word) noexcept = 0;
    virtual void wake(void const* word) noexcept = 0;
    /// The thread cannot go on before another thread makes a step.
    virtual void pause() noexcept = 0;

protected:
    ~seam() = default;
};

/// The scheduler of the calling thread; a thread without one runs freely.
inline constinit thread_local seam* of_this_thread = nullptr;

/// Faults that a test plants, to check that they are found: read-modify-writes of that kind become a load and a store.
enum class fault : std::uint8_t { none, torn_compare_exchange, torn_exchange, torn_or, torn_and };
inline constinit fault planted = fault::none;

inline bool sleep(void const* word) noexcept
{
    if (of_this_thread == nullptr)
        return false;
    of_this_thread->sleep(word);
    return true;
}
inline bool wake(void const* word) noexcept
{
    if (of_this_thread == nullptr)
        return false;
    of_this_thread->wake(word);
    return true;
}
inline bool pause() noexcept
{
    if (of_this_thread == nullptr)
        return false;
    of_this_thread->pause();
    return true;
}
inline void step(void const* word, access what) noexcept
{
    if (of_this_thread != nullptr)
        of_this_thread->step(word, what);
}
/// Replaces every fence and barrier: a change of turns synchronises, so nothing else is needed.
inline bool barrier() noexcept
{
    step(nullptr, access::barrier);
    return true;
}

}

/// The part of std::atomic that tslab uses.
template <class T> class atomic : private std::atomic<T> {
    using base = std::atomic<T>;

public:
    using base::is_always_lock_free;

    constexpr atomic() noexcept = default;
    constexpr atomic(T value) noexcept : base{value} {}   // NOLINT: as std::atomic
    atomic(atomic const&) = delete;
    atomic& operator=(atomic const&) = delete;

    T load(std::memory_order order) const noexcept
    {
        schedule::step(this, schedule::access::load);
        return base::load(order);
    }
    void store(T value, std::memory_order order) noexcept
    {
        schedule::step(this, schedule::access::store);
        base::store(value, order);
    }
    T exchange(T value, std::memory_order order) noexcept
    {
        schedule::step(this, schedule::access::change);
        if (schedule::planted == schedule::fault::torn_exchange)
            return torn([value](T) { return value; });
        return base::exchange(value, order);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order success, std::memory_order failure) noexcept
    {
        schedule::step(this, schedule::access::change);
        if (schedule::planted == schedule::fault::torn_compare_exchange &&
            base::load(std::memory_order_relaxed) == expected) {
            torn([desired](T) { return desired; });
            return true;
        }
        return base::compare_exchange_strong(expected, desired, success, failure);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order order) noexcept
    {
        return compare_exchange_strong(expected, desired, order, std::memory_order_relaxed);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success, std::memory_order failure) noexcept
    {
        return compare_exchange_strong(expected, desired, success, failure);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order order) noexcept
    {
        return compare_exchange_strong(expected, desired, order, std::memory_order_relaxed);
    }
    T fetch_add(T value, std::memory_order order) noexcept
    {
        schedule::step(this, schedule::access::change);
        return base::fetch_add(value, order);
    }
    T fetch_sub(T value, std::memory_order order) noexcept
    {
        schedule::step(this, schedule::access::change);
        return base::fetch_sub(value, order);
    }
    T fetch_or(T value, std::memory_order order) noexcept
    {
        schedule::step(this, schedule::access::change);
        if (schedule::planted == schedule::fault::torn_or)
            return torn([value](T before) { return static_cast<T>(before | value); });
        return base::fetch_or(value, order);
    }
    T fetch_and(T value, std::memory_order order) noexcept
    {
        schedule::step(this, schedule::access::change);
        if (schedule::planted == schedule::fault::torn_and)
            return torn([value](T before) { return static_cast<T>(before & value); });
        return base::fetch_and(value, order);
    }

private:
    template <class F> T torn(F change) noexcept
    {
        T const before = base::load(std::memory_order_seq_cst);
        schedule::step(this, schedule::access::store);
        base::store(change(before), std::memory_order_seq_cst);
        return before;
    }
};

template <class T> using atomic_ref = std::atomic_ref<T>;

}

#endif

export namespace tslab {

/// Whether `word` has the value `value` now: a relaxed load and a comparison, in one instruction where the compiler would
/// make two. Made at its place between fences, as any access of an atomic word.
template <class T> [[nodiscard, gnu::always_inline]] inline bool is_now(atomic<T> const& word, T value) noexcept
{
#if defined(__x86_64__) && !defined(TSLAB_NO_INLINE_ASSEMBLY) && !defined(TSLAB_SCHEDULED)
    static_assert(sizeof(word) == sizeof(T) && (sizeof(T) == 1 || sizeof(T) == 4 || sizeof(T) == 8));
    bool other = false;
    if constexpr (sizeof(T) == 1)
        asm volatile("cmpb %2, %1" : "=@ccne"(other) : "m"(word), "qi"(value));
    else if constexpr (sizeof(T) == 4)
        asm volatile("cmpl %2, %1" : "=@ccne"(other) : "m"(word), "ri"(value));
    else
        asm volatile("cmpq %2, %1" : "=@ccne"(other) : "m"(word), "re"(value));
    return !other;
#else
    return word.load(std::memory_order_relaxed) == value;
#endif
}

// Relaxed loads and what is done with them, in one instruction likewise. As a relaxed load the compiler may make them
// elsewhere, but not across a fence or an access that it may not cross.

/// Whether `word` has the value `value`.
template <class T> [[nodiscard, gnu::always_inline]] inline bool has_value(atomic<T> const& word, T value) noexcept
{
#if defined(__x86_64__) && !defined(TSLAB_NO_INLINE_ASSEMBLY) && !defined(TSLAB_SCHEDULED)
    static_assert(sizeof(word) == 8 && sizeof(T) == 8);
    bool other = false;
    asm("cmpq %2, %1" : "=@ccne"(other) : "m"(word), "re"(value));
    return !other;
#else
    return word.load(std::memory_order_relaxed) == value;
#endif
}

/// Whether `word` has one of `bits`.
[[nodiscard, gnu::always_inline]] inline bool has_any(atomic<std::uint64_t> const& word, std::uint64_t bits) noexcept
{
#if defined(__x86_64__) && !defined(TSLAB_NO_INLINE_ASSEMBLY) && !defined(TSLAB_SCHEDULED)
    bool any = false;
    asm("testq %2, %1" : "=@ccnz"(any) : "m"(word), "r"(bits));
    return any;
#else
    return (word.load(std::memory_order_relaxed) & bits) != 0;
#endif
}

/// `bits`, and those of `word`.
[[nodiscard, gnu::always_inline]] inline std::uint64_t with_bits(std::uint64_t bits,
                                                                 atomic<std::uint64_t> const& word) noexcept
{
#if defined(__x86_64__) && !defined(TSLAB_NO_INLINE_ASSEMBLY) && !defined(TSLAB_SCHEDULED)
    asm("orq %1, %0" : "+r"(bits) : "m"(word) : "cc");
    return bits;
#else
    return bits | word.load(std::memory_order_relaxed);
#endif
}

}
