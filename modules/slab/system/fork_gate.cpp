// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <ctime>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
module tslab.slab;

import tslab.stats;

// The lock of the C library's list of streams, which is recursive. glibc's fork() takes it after the last prepare
// handler, in every process with threads, and releases it before the first parent or child handler. So a thread that
// holds it is not interrupted by a fork. Weak: another C library may have none.
extern "C" {
[[gnu::weak]] void _IO_list_lock();     // NOLINT: the C library's name
[[gnu::weak]] void _IO_list_unlock();   // NOLINT
}

namespace tslab {

namespace {

// ThreadSanitizer has a fork handler too, which runs after this library's: every other thread stops at its next access to
// memory. In a pass it would stop with the list locked, for which fork() waits. So under it the gate is not lifted.
#if __has_feature(thread_sanitizer)
constexpr bool may_be_lifted = false;
#else
constexpr bool may_be_lifted = true;
#endif

constinit atomic<std::uintptr_t> closer{0};       // the thread that closed the gate: pthread_self
constinit atomic<std::uint64_t> forking_pid{0};   // the process in which the gate was closed
constinit atomic<std::uint32_t> passes{0};        // of the thread that holds the list's lock

bool is_mine() noexcept
{
    return closer.load(std::memory_order_relaxed) == static_cast<std::uintptr_t>(::pthread_self());
}

long futex(int operation, std::uint32_t value, timespec const* timeout) noexcept
{
    return ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&fork_gate::state), operation, value, timeout, nullptr,
                     0);
}

void hold_list() noexcept
{
    if (_IO_list_lock != nullptr)
        _IO_list_lock();
    passes.fetch_add(1, std::memory_order_acq_rel);   // the last pass's writes are visible, to ThreadSanitizer too
}

void drop_list() noexcept
{
    passes.fetch_sub(1, std::memory_order_acq_rel);
    if (_IO_list_unlock != nullptr)
        _IO_list_unlock();
}

}

// Modelled: tests/models/fork.pml, step enter
bool fork_gate::enter() noexcept
{
    std::uint64_t const begin = now_ns();
    for (;;) {
        std::uint32_t const now = state.load(std::memory_order_acquire);   // acquire: pairs with open()
        if (now == open_state)
            return false;
        if (forking_pid.load(std::memory_order_relaxed) != static_cast<std::uint64_t>(::getpid())) {
            if (settle_child == nullptr)
                return false;
            settle_child();
            continue;
        }
        if ((now & phases) == lifted || is_mine()) {
            hold_list();
            // Again, under the lock: while the thread waited for it that fork may have ended, and another one prepares.
            std::uint32_t const then = state.load(std::memory_order_acquire);
            if ((then & phases) == lifted || (then != open_state && is_mine()))
                return true;
            drop_list();
            continue;
        }
        std::uint64_t const waited = now_ns() - begin;
        if (may_be_lifted && waited >= patience_ns && (now & phases) == closed) {
            std::uint32_t expected = now;
            if (state.compare_exchange_strong(expected, (now & ~phases) | lifted, std::memory_order_relaxed))
                futex(FUTEX_WAKE_PRIVATE, ~std::uint32_t{0} >> 1, nullptr);
            continue;
        }
        constexpr std::uint64_t look_again_ns = 1'000'000;   // for a preparation that takes longer than the patience
        std::uint64_t const left_ns = waited < patience_ns ? patience_ns - waited : look_again_ns;
        timespec const left{.tv_sec = 0, .tv_nsec = static_cast<long>(left_ns)};
        futex(FUTEX_WAIT_PRIVATE, now, &left);
    }
}

// Modelled: tests/models/fork.pml, step leave
void fork_gate::leave() noexcept
{
    if (passes.load(std::memory_order_relaxed) == 1)
        published_segment().refresh_copy();   // the child's figures are those of the moment of the fork
    drop_list();
}

bool fork_gate::join() noexcept
{
    std::uint32_t now = state.load(std::memory_order_acquire);
    for (;;) {
        bool const may = (now & phases) == lifted || ((now & phases) == closed && is_mine());
        if (!may || now < one_fork)   // no fork left: the last parent handler is about to open the gate
            return false;
        // acquire: what was prepared, by the fork that is joined and no other: a later one is in another phase.
        if (state.compare_exchange_weak(now, now + one_fork, std::memory_order_acquire))
            return true;
    }
}

bool fork_gate::close() noexcept
{
    forking_pid.store(static_cast<std::uint64_t>(::getpid()), std::memory_order_relaxed);   // equal for all who try
    std::uint32_t open = open_state;
    // release: the process. By exchange: a fork whose patience is over has no reservation that excludes others.
    if (!state.compare_exchange_strong(open, one_fork | preparing, std::memory_order_acq_rel))
        return false;
    closer.store(static_cast<std::uintptr_t>(::pthread_self()), std::memory_order_relaxed);   // only it compares equal
    return true;
}

void fork_gate::prepared() noexcept
{
    state.store(one_fork | closed,
                std::memory_order_release);   // release: what was prepared. No other thread changes it
}

bool fork_gate::end() noexcept { return state.fetch_sub(one_fork, std::memory_order_relaxed) / one_fork == 1; }

void fork_gate::open() noexcept
{
    closer.store(0, std::memory_order_relaxed);
    state.store(open_state, std::memory_order_release);   // release: the reservations are gone
    futex(FUTEX_WAKE_PRIVATE, ~std::uint32_t{0} >> 1, nullptr);
}

void fork_gate::wait_a_turn() noexcept
{
    if (enter())
        leave();
    ::sched_yield();
}

void fork_gate::reset_in_child() noexcept
{
    passes.store(0, std::memory_order_relaxed);
    closer.store(0, std::memory_order_relaxed);
    state.store(open_state, std::memory_order_release);
}

}
