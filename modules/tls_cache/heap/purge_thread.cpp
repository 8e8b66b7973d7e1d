// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <new>
#include <optional>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "purge_thread.hpp"

namespace tslab {

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t tick_ns = 10'000'000;   // the coarse clock may lag by as much
constexpr std::uint64_t longest_look_ns =
    second_ns;   // between two looks at the group; and no two purges for it within that time
constexpr std::size_t stack_bytes = std::size_t{256} << 10;

void wake(int event) noexcept
{
    std::uint64_t const one = 1;
    [[maybe_unused]] auto const written = ::write(event, &one, sizeof one);
}

/// Sleeps until `due`, or until `event` or the group signals. Returns true if tasks of the group stalled for memory.
bool sleep_until(std::uint64_t due, int event, memory_group::descriptors group) noexcept
{
    std::uint64_t const now = now_ns_coarse();
    std::uint64_t const wait = due > now ? due - now : 0;
    constexpr std::uint64_t longest_ns = 3600 * second_ns;
    auto const ms = static_cast<int>((std::min(wait, longest_ns) + tick_ns) / 1'000'000);
    std::array<pollfd, 3> fds{pollfd{event, POLLIN, 0}, pollfd{group.limits, POLLPRI, 0},
                              pollfd{group.stalls, POLLPRI, 0}};   // poll ignores a negative descriptor
    if (::poll(fds.data(), fds.size(), ms) < 0 && errno != EINTR) {
        timespec const pause{.tv_sec = 1, .tv_nsec = 0};   // poll is denied: do not spin
        ::nanosleep(&pause, nullptr);
        return false;
    }
    if ((fds[0].revents & POLLIN) != 0) {
        std::uint64_t signals = 0;
        [[maybe_unused]] auto const got = ::read(event, &signals, sizeof signals);
    }
    return (fds[2].revents & POLLPRI) != 0;
}

}

purge_thread& background() noexcept
{
    alignas(purge_thread) static std::byte storage[sizeof(purge_thread)];
    static auto* const one = ::new (storage) purge_thread;
    return *one;
}

void purge_thread::add(heap_state& h) noexcept
{
    lock_guard const pass{pass_lock_};
    if (h.purges_on_pressure_)
        open_group();
    lock_guard const guard{lock_};
    h.next_purged_ = heaps_;
    heaps_ = &h;
    h.in_background_ = true;
    watching_ += h.purges_on_pressure_ ? 1 : 0;
    if (!running_.load(std::memory_order_relaxed))
        return start();
    h.stats().background.store(background_state::on, std::memory_order_relaxed);
    wake(wake_);   // it may sleep for longer than this heap's interval
}

void purge_thread::remove(heap_state& h) noexcept
{
    bool ends = false;
    pthread_t thread{};
    int event = -1;
    {
        lock_guard const guard{lock_};
        if (!std::exchange(h.in_background_, false))
            return;
        for (heap_state** at = &heaps_; *at != nullptr; at = &(*at)->next_purged_)
            if (*at == &h) {
                *at = h.next_purged_;
                break;
            }
        if (next_ == &h)
            next_ = h.next_purged_;
        watching_ -= h.purges_on_pressure_ ? 1 : 0;
        ends = heaps_ == nullptr && running_.load(std::memory_order_relaxed);
        if (ends) {
            ++generation_;
            running_.store(false, std::memory_order_relaxed);
            thread = thread_;
            event = std::exchange(wake_, -1);
        }
    }
    {
        lock_guard const wait_for_pass{pass_lock_};
    }
    if (!ends)
        return;
    wake(event);
    ::pthread_join(thread, nullptr);
    ::close(event);
    lock_guard const pass{pass_lock_};
    lock_guard const guard{lock_};
    if (!running_.load(std::memory_order_relaxed))   // else a heap was added meanwhile, and its thread uses the group
        close_group();
}

void purge_thread::close_group() noexcept
{
    group_.close();
    group_tried_ = false;
}

void purge_thread::publish_state(background_state state) noexcept
{
    for (heap_state* h = heaps_; h != nullptr; h = h->next_purged_)
        h->stats().background.store(state, std::memory_order_relaxed);
}

void purge_thread::start() noexcept
{
    wake_ = granted(os_call::make_event) ? above_streams(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) : -1;
    bool const started = wake_ >= 0 && create_thread();
    if (!started && wake_ >= 0)
        ::close(std::exchange(wake_, -1));
    running_.store(started, std::memory_order_relaxed);
    publish_state(started ? background_state::on : background_state::failed);
}

bool purge_thread::create_thread() noexcept
{
    ++generation_;
    // Signals are for the program's own threads to handle.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, stack_bytes);
    auto* const argument = reinterpret_cast<void*>(std::uintptr_t{generation_});   // NOLINT: a number, not an address
    int error = EAGAIN;
    if (granted(os_call::start_thread)) {
        error = ::pthread_create(&thread_, &attributes, entry, argument);
        if (error == EINVAL)   // the program's thread-local objects do not fit the stack
            error = ::pthread_create(&thread_, nullptr, entry, argument);
    }
    ::pthread_attr_destroy(&attributes);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return error == 0;
}

[[gnu::cold, gnu::noinline]] void purge_thread::start_again() noexcept
{
    lock_guard const pass{pass_lock_};
    lock_guard const guard{lock_};
    if (heaps_ == nullptr || running_.load(std::memory_order_relaxed))
        return;
    if (watching_ != 0)
        open_group();
    start();
}

void* purge_thread::entry(void* generation) noexcept
{
    ::pthread_setname_np(::pthread_self(), "tslab-purge");
    background().run(static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(generation)));
    return nullptr;
}

void purge_thread::run(std::uint32_t generation) noexcept
{
    int event = -1;
    {
        lock_guard const guard{lock_};
        if (generation_ != generation)
            return;
        event = wake_;
    }
    std::uint64_t purged_ns = 0;   // when it last purged because of the group
    bool wanted = false;           // the group is short of memory
    bool kept = true;              // some heap had purgeable memory in the last round
    while (begin_round(generation)) {
        memory_group::descriptors watched = watch();
        round r{.now = now_ns_coarse()};
        bool const watching = watched.limits >= 0;
        wanted = wanted || (watching && kept && is_near_limit());
        if (wanted && r.now - purged_ns >= longest_look_ns) {
            r.pressed = true;
            wanted = false;
            purged_ns = r.now;
        }
        while (work_on_next(r, generation)) {
        }
        kept = r.keeps;
        if (watching)
            r.due = std::min(r.due, r.now + longest_look_ns);
        if (wanted || !kept)   // a signal of the group would change nothing, and stay pending
            watched = {-1, -1};
        wanted = sleep_until(r.due, event, watched) || wanted;
    }
}

/// Begins a round; returns false if the thread must end.
bool purge_thread::begin_round(std::uint32_t generation) noexcept
{
    lock_guard const guard{lock_};
    next_ = heaps_;
    return generation_ == generation;
}

bool purge_thread::work_on_next(round& r, std::uint32_t generation) noexcept
{
    lock_guard const pass{pass_lock_};
    heap_state* h = nullptr;
    bool pressed = false;
    {
        lock_guard const guard{lock_};
        if (generation_ != generation || next_ == nullptr)
            return false;
        h = next_;
        next_ = h->next_purged_;
        pressed = r.pressed && h->purges_on_pressure_;
        if (h->purges_on_pressure_)
            h->stats().pressure.store(group_.is_open() ? pressure_state::watching : pressure_state::unavailable,
                                      std::memory_order_relaxed);
    }
    if (pressed)
        h->purge_at_once();
    else
        h->decay_heap(nullptr, r.now);
    bool const keeps = h->keeps_anything();
    r.keeps = r.keeps || keeps;
    r.due = std::min(r.due, h->next_decay_ns(r.now, keeps));
    return true;
}

/// Opens the group's files, once. By a thread of the program in a call of its own, and not by the purge thread: a
/// descriptor has the lowest free number for a moment, which another thread may expect for itself.
void purge_thread::open_group() noexcept
{
    if (!std::exchange(group_tried_, true))
        static_cast<void>(group_.open());
}

/// What to poll for the group, if a heap requests it.
memory_group::descriptors purge_thread::watch() noexcept
{
    lock_guard const pass{pass_lock_};
    lock_guard const guard{lock_};
    return watching_ != 0 && group_.is_open() ? group_.to_poll() : memory_group::descriptors{-1, -1};
}

bool purge_thread::is_near_limit() noexcept
{
    lock_guard const pass{pass_lock_};
    if (!group_.is_open())
        return false;
    std::optional<bool> const near = group_.is_near_limit();
    if (!near)
        group_.close();
    return near.value_or(false);
}

void purge_thread::after_fork_in_child() noexcept
{
    // A heap of the child starts another thread at its next decay.
    ++generation_;
    if (running_.exchange(false, std::memory_order_relaxed))
        ::close(std::exchange(wake_, -1));
    close_group();
    publish_state(background_state::pending);
}

}
