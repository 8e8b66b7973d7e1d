// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A mutex of one futex word that counts, under itself, how often it was free and how often it had to be waited for
// (the trylock probe: no clock). One atomic exchange to take it, one to give it back; it can be reset after a fork.
module;
#include <atomic>
#include <cstdint>
export module tslab.slab:mutex;

import tslab.stats;

export namespace tslab {

/// Not recursive, not fair. Waiters sleep in the kernel after a short spin.
class [[clang::capability("mutex")]] mutex {
public:
    constexpr mutex() noexcept = default;
    mutex(mutex const&) = delete;
    mutex& operator=(mutex const&) = delete;

    inline void lock() noexcept __attribute__((acquire_capability()))
    {
        std::uint32_t expected = free;
        // acquire: what the last holder wrote is visible from here on.
        if (state_.compare_exchange_strong(expected, held, std::memory_order_acquire, std::memory_order_relaxed))
            [[likely]] {
            fast_.add();
            return;
        }
        wait();
        contended_.add();
    }

    inline void unlock() noexcept __attribute__((release_capability()))
    {
        // release: publishes what was done under the lock.
        if (state_.exchange(free, std::memory_order_release) == held_with_waiters) [[unlikely]]
            wake();
    }

    /// Makes the mutex free in a forked child, whose only thread holds every lock since before the fork.
    inline void reset_after_fork() noexcept __attribute__((release_capability(), no_thread_safety_analysis))
    {
        state_.store(free, std::memory_order_relaxed);
    }

    [[nodiscard]] inline std::uint64_t fast_acquires() const noexcept { return fast_.value(); }
    [[nodiscard]] inline std::uint64_t contended_acquires() const noexcept { return contended_.value(); }

private:
    static constexpr std::uint32_t free = 0;
    static constexpr std::uint32_t held = 1;
    static constexpr std::uint32_t held_with_waiters = 2;

    void wait() noexcept;
    void wake() noexcept;

    std::atomic<std::uint32_t> state_{free};
    counter fast_;        // written by the holder only
    counter contended_;
};

/// Holds a mutex for a scope.
class [[clang::scoped_lockable]] lock_guard {
public:
    inline explicit lock_guard(mutex& m) noexcept __attribute__((acquire_capability(m))) : mutex_{m} { m.lock(); }
    inline ~lock_guard() __attribute__((release_capability())) { mutex_.unlock(); }
    lock_guard(lock_guard const&) = delete;
    lock_guard& operator=(lock_guard const&) = delete;

private:
    mutex& mutex_;
};

/// Tells the processor that this is a spin loop.
inline void spin_pause() noexcept
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

}
