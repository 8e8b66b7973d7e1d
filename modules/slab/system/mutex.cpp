// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <atomic>
#include <cstdint>
#include <limits>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
module tslab.slab;

import tslab.stats;

namespace tslab {

namespace {

long futex(atomic<std::uint32_t>& word, int operation, std::uint32_t value) noexcept
{
    static_assert(sizeof(atomic<std::uint32_t>) == sizeof(std::uint32_t));
    return ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, nullptr, nullptr, 0);
}

}

// Modelled: tests/models/fork.pml, step locking
// The three-state futex lock of U. Drepper, "Futexes Are Tricky" (2011), section 5, after a short spin.
[[gnu::cold, gnu::noinline]] void mutex::wait() noexcept
{
    constexpr int spins = schedule::compiled_in ? 0 : 64;
    for (int i = 0; i < spins; ++i) {
        std::uint32_t expected = free;
        if (state_.load(std::memory_order_relaxed) == free &&
            state_.compare_exchange_strong(expected, held, std::memory_order_acquire, std::memory_order_relaxed))
            return;
        spin_pause();
    }
    // acquire: as in lock(). The word is "with waiters" from now on, since other threads may sleep already.
    for (;;) {
        std::uint32_t now = state_.load(std::memory_order_relaxed);
        if (now == reserved) {
            if (!fork_gate::enter()) {
                ::sched_yield();   // the fork begins or ends at this moment
            } else if (state_.compare_exchange_strong(now, held_with_waiters, std::memory_order_acquire,
                                                      std::memory_order_relaxed)) {
                since_ = in_pass;   // unlock_rare ends the pass, and wakes those that slept before the fork
                return;
            } else {
                fork_gate::leave();
            }
            continue;
        }
        if (!state_.compare_exchange_strong(now, held_with_waiters, std::memory_order_acquire,
                                            std::memory_order_relaxed))
            continue;
        if (now == free)
            return;
        if (!schedule::sleep(&state_))
            futex(state_, FUTEX_WAIT_PRIVATE, held_with_waiters);
    }
}

[[gnu::cold, gnu::noinline]] bool mutex::lock_briefly() noexcept
{
    constexpr int spins = schedule::compiled_in ? 2 : 64;
    constexpr int turns = 4;
    for (int i = 0; i < spins + turns; ++i) {
        if (state_.load(std::memory_order_relaxed) == reserved) {
            wait();   // for the fork: see fork_gate::patience_ns
            return true;
        }
        if (try_lock())
            return true;
        if (i < spins)
            spin_pause();
        else
            ::sched_yield();
    }
    return false;
}

void set_lock_timing(std::uint32_t one_in) noexcept { mutex::timed_one_in.store(one_in, std::memory_order_relaxed); }
std::uint32_t lock_timing() noexcept { return mutex::timed_one_in.load(std::memory_order_relaxed); }

[[gnu::cold, gnu::noinline]] bool mutex::lock_timed() noexcept
{
    static constinit thread_local std::uint32_t passed = 0;
    if (++passed < timed_one_in.load(std::memory_order_relaxed))
        return acquire();
    passed = 0;
    std::uint64_t const begin = now_ns();
    bool const fast = acquire();
    if (since_ == in_pass)   // waits for a fork are not timed
        return fast;
    since_ = now_ns();
    waited_ = since_ - begin;
    return fast;
}

[[gnu::cold, gnu::noinline]] void lock_guard::note_wait(lock_times& times, histogram_source* by_duration,
                                                        std::uint64_t ns) noexcept
{
    times.note_wait(ns);
    if (lock_histograms* const all = by_duration != nullptr ? by_duration->histograms() : nullptr)
        all->wait.note(ns);
}

[[gnu::cold, gnu::noinline]] void lock_guard::note_hold(lock_times& times, histogram_source* by_duration,
                                                        std::uint64_t ns) noexcept
{
    times.note_hold(ns);
    if (lock_histograms* const all = by_duration != nullptr ? by_duration->histograms() : nullptr)
        all->hold.note(ns);
}

// Modelled: tests/models/fork.pml, step locking
[[gnu::cold, gnu::noinline]] std::uint64_t mutex::unlock_rare() noexcept
{
    std::uint64_t const since = since_;
    since_ = 0;
    if (since == in_pass) {
        std::uint32_t const then = fork_gate::is_open() ? free : reserved;
        if (state_.exchange(then, std::memory_order_release) == held_with_waiters)
            wake(std::numeric_limits<int>::max());   // each goes to the gate
        fork_gate::leave();
        return 0;
    }
    std::uint64_t const held_ns = now_ns() - since;
    if (state_.exchange(free, std::memory_order_release) == held_with_waiters)
        wake(1);
    return held_ns;
}

[[gnu::cold, gnu::noinline]] void mutex::wake(int waiters) noexcept
{
    if (!schedule::wake(&state_))
        futex(state_, FUTEX_WAKE_PRIVATE, static_cast<std::uint32_t>(waiters));
}

}
