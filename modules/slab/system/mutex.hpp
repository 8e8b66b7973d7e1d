// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A mutex of one futex word. One atomic exchange to lock, which tells whether the mutex was free (a trylock probe, no
// clock), and one to unlock; a fork can reserve it, see fork_gate. lock_guard counts acquisitions for its caller. With
// lock timing on, one acquisition in N is timed: the wait and the hold.
#pragma once

export namespace tslab {

/// Times one lock acquisition in `one_in` of each thread, in every heap of the process; 0, as at the start, times none.
/// 1,024 is meant for production, 1 for a test. Thread safe.
void set_lock_timing(std::uint32_t one_in) noexcept;
[[nodiscard]] std::uint32_t lock_timing() noexcept;

/// Timed acquisitions; one thread at a time writes, any may read.
class lock_times {
public:
    inline void note_wait(std::uint64_t ns) noexcept
    {
        samples_.add();
        wait_.add(ns);
        wait_max_.raise(ns);
    }
    inline void note_hold(std::uint64_t ns) noexcept
    {
        hold_.add(ns);
        hold_max_.raise(ns);
    }
    inline void add_to(lock_timing_stats& to) const noexcept
    {
        to.samples += samples_.value();
        to.wait_ns += wait_.value();
        to.hold_ns += hold_.value();
        to.wait_ns_max = to.wait_ns_max > wait_max_.value() ? to.wait_ns_max : wait_max_.value();
        to.hold_ns_max = to.hold_ns_max > hold_max_.value() ? to.hold_ns_max : hold_max_.value();
    }

private:
    counter samples_, wait_, hold_, wait_max_, hold_max_;
};

/// Timed acquisitions by duration; one thread at a time writes, any may read.
struct lock_histograms {
    histogram_counters wait;
    histogram_counters hold;

    inline void add_to(lock_histogram_stats& to) const noexcept
    {
        wait.add_to(to.wait);
        hold.add_to(to.hold);
    }
};

/// Gives the histograms of one thread, which it has for all purposes together.
class histogram_source {
public:
    histogram_source(histogram_source const&) = delete;
    histogram_source& operator=(histogram_source const&) = delete;
    /// The histograms, made at the first call; null if there is no memory. Called by the thread, with any lock held for which
    /// there is a lock_site.
    [[nodiscard]] inline lock_histograms* histograms() noexcept { return get_(*this); }

protected:
    using getter = lock_histograms* (*)(histogram_source&) noexcept;
    // No virtual function: to check an object that has one, UBSan asks the system for a pipe, and takes the object for a
    // wrong one where the process is out of descriptors.
    explicit histogram_source(getter get) noexcept : get_{get} {}
    ~histogram_source() = default;

private:
    getter const get_;
};

/// Where an acquisition is counted and its times are added, by its purpose. All may be null; what they point at belongs to
/// the calling thread.
struct lock_site {
    contention_counters* counts = nullptr;
    lock_times* times = nullptr;
    histogram_source* by_duration = nullptr;   ///< used where `times` is
};

/// How long a caller waits for a lock.
enum class patience : std::uint8_t {
    endless,
    brief   ///< a few tries, and a few turns for other threads: not for a holder that is interrupted
};

/// Not recursive, not fair. Waiters sleep in the kernel after a short spin.
class [[clang::capability("mutex")]] mutex {
public:
    constexpr mutex() noexcept = default;
    mutex(mutex const&) = delete;
    mutex& operator=(mutex const&) = delete;
    ~mutex() = default;

    /// Returns whether the lock was free at once.
    inline bool lock() noexcept __attribute__((acquire_capability(), no_thread_safety_analysis))
    {
        if (timed_one_in.load(std::memory_order_relaxed) != 0) [[unlikely]]
            return lock_timed();
        return acquire();
    }

    /// Locks if the lock is free, without waiting and untimed; returns whether it did.
    [[nodiscard]] inline bool try_lock() noexcept
        __attribute__((try_acquire_capability(true), no_thread_safety_analysis))
    {
        std::uint32_t expected = free;
        // acquire: as in acquire().
        return state_.compare_exchange_strong(expected, held, std::memory_order_acquire, std::memory_order_relaxed);
    }

    /// Locks, if that takes no longer than `p` allows; returns whether it did. A brief wait is not timed; while a fork is under
    /// way, it is for the fork too.
    [[nodiscard]] inline bool lock_within(patience p) noexcept
        __attribute__((try_acquire_capability(true), no_thread_safety_analysis))
    {
        if (p == patience::brief)
            return try_lock() || lock_briefly();
        lock();
        return true;
    }

    /// Returns how long the lock was held, in nanoseconds, if this acquisition was timed; else 0.
    inline std::uint64_t unlock() noexcept __attribute__((release_capability()))
    {
        if (since_ != 0) [[unlikely]]
            return unlock_rare();
        // release: publishes what was done under the lock.
        if (state_.exchange(free, std::memory_order_release) == held_with_waiters) [[unlikely]]
            wake(1);
        return 0;
    }

    /// For the forking thread: reserves the mutex if it is free. From then on it is acquired in passes of the fork gate
    /// only, and is reserved again when such a holder unlocks it. Returns false if it is held, or reserved.
    [[nodiscard]] inline bool reserve() noexcept
    {
        std::uint32_t now = free;
        // acquire: the forking thread reads what the last holder wrote.
        return state_.compare_exchange_strong(now, reserved, std::memory_order_acquire, std::memory_order_relaxed);
    }
    /// Makes it free again, if it is reserved. The caller is in a pass.
    inline void end_reservation() noexcept
    {
        std::uint32_t now = reserved;
        state_.compare_exchange_strong(now, free, std::memory_order_release, std::memory_order_relaxed);
    }

    /// Makes the mutex free in a forked child, whose only thread has reserved every lock since before the fork.
    inline void reset_after_fork() noexcept __attribute__((release_capability(), no_thread_safety_analysis))
    {
        since_ = 0;
        state_.store(free, std::memory_order_relaxed);
    }

    /// For the holder: whether this acquisition is timed, and how long it was waited for.
    [[nodiscard]] inline bool timed() const noexcept { return since_ > in_pass; }
    [[nodiscard]] inline std::uint64_t waited_ns() const noexcept { return waited_; }

    static inline constinit atomic<std::uint32_t> timed_one_in{0};

private:
    static constexpr std::uint32_t free = 0;
    static constexpr std::uint32_t held = 1;
    static constexpr std::uint32_t held_with_waiters = 2;
    static constexpr std::uint32_t reserved = 3;
    static constexpr std::uint64_t in_pass = 1;   // since_ of a holder that is in a pass of the fork gate

    inline bool acquire() noexcept
    {
        std::uint32_t expected = free;
        // acquire: the last holder's writes are visible from here on.
        if (state_.compare_exchange_strong(expected, held, std::memory_order_acquire, std::memory_order_relaxed))
            [[likely]]
            return true;
        wait();
        return false;
    }
    bool lock_timed() noexcept;
    bool lock_briefly() noexcept __attribute__((no_thread_safety_analysis));
    std::uint64_t unlock_rare() noexcept __attribute__((no_thread_safety_analysis));
    void wait() noexcept;
    void wake(int waiters) noexcept;

    atomic<std::uint32_t> state_{free};
    // Used by the holder only.
    std::uint64_t since_ = 0;   // when the present holder acquired it; 0: not timed; or in_pass
    std::uint64_t waited_ = 0;
};

/// Says that the caller of a lock_guard has locked its mutex.
struct already_locked {};

/// Holds a mutex for a scope, and counts the acquisition in `site`.
class [[clang::scoped_lockable]] lock_guard {
public:
    // `site` by value, and the functions below static: so a guard and its site have no address, and live in registers.
    inline explicit lock_guard(mutex& m, lock_site site = {}) noexcept __attribute__((acquire_capability(m)))
        : mutex_{&m}
    {
        bool const fast = m.lock();
        if (site.counts != nullptr)
            (*site.counts)[fast ? contention_event::lock_fast : contention_event::lock_contended].add();
        if (m.timed() && site.times != nullptr) [[unlikely]] {
            times_ = site.times;
            by_duration_ = site.by_duration;
            note_wait(*times_, by_duration_, m.waited_ns());
        }
    }
    /// Holds a mutex that the caller has locked.
    inline lock_guard(mutex& m, already_locked) noexcept __attribute__((requires_capability(m))) : mutex_{&m} {}
    inline ~lock_guard() __attribute__((release_capability()))
    {
        if (mutex_ != nullptr)
            unlock();
    }
    /// Releases the mutex before the scope ends. Precondition: it was not called before.
    inline void unlock() noexcept __attribute__((release_capability()))
    {
        std::uint64_t const held_ns = std::exchange(mutex_, nullptr)->unlock();
        if (times_ != nullptr) [[unlikely]]
            note_hold(*times_, by_duration_, held_ns);
    }
    lock_guard(lock_guard const&) = delete;
    lock_guard& operator=(lock_guard const&) = delete;

private:
    static void note_wait(lock_times& times, histogram_source* by_duration, std::uint64_t ns) noexcept;
    static void note_hold(lock_times& times, histogram_source* by_duration, std::uint64_t ns) noexcept;

    mutex* mutex_;
    lock_times* times_ = nullptr;
    histogram_source* by_duration_ = nullptr;
};

/// Hints to the processor that this is a spin loop.
inline void spin_pause() noexcept
{
    if (schedule::pause())
        return;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

}
