// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Fork. Before it, every thread leaves its fork-exclusion section, and every lock is reserved, in order; from then on
// lists change in passes of the fork gate only, which exclude the moment of the fork. So parent and child find
// consistent lists, whatever the handlers of other libraries do, before and after these. In the child the locks are made
// free, and what the parent's other threads had announced is cleared.
module;
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <sched.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "../heap/purge_thread.hpp"
#include "thread_registry.hpp"

namespace tslab {

namespace {

/// How long a fork waits, in all, for threads that change lists or hold a lock. A thread stays there longer only if
/// something that it calls does, such as an error handler that waits for a lock which the forking thread holds. Then
/// the fork goes on without it: a child that may miss what that thread was changing is better than a program that hangs.
class fork_patience {
public:
    /// Waits a moment; false when the time is over.
    [[nodiscard]] bool wait() noexcept
    {
        ::sched_yield();
        return !over_ && !(over_ = now_ns() - begin_ >= most_ns);
    }

private:
    static constexpr std::uint64_t most_ns = 2'000'000'000;
    std::uint64_t begin_ = now_ns();
    bool over_ = false;
};

void reserve(mutex& m, fork_patience& patience) noexcept
{
    while (!m.reserve() && patience.wait()) {
    }
}

}

// Modelled: tests/models/reach.pml, step wait_outside
// Modelled: tests/models/fork.pml, step wait_outside
std::uint32_t fork_exclusion::wait_outside(thread_record& me, std::uint32_t before) noexcept
{
    for (;;) {
        me.activity.store(before, std::memory_order_release);
        bool const passes = fork_gate::enter();
        if (me.reached.load(std::memory_order_relaxed))
            me.heap.wait_until_not_reached();
        me.activity.store(before | thread_record::changing_lists, std::memory_order_relaxed);
        light_barrier(me.activity);
        if ((passes || fork_gate::is_open()) && !me.reached.load(std::memory_order_acquire))
            return passes ? before | in_pass : before;
        if (passes)
            fork_gate::leave();
    }
}

[[gnu::cold, gnu::noinline]] void fork_exclusion::end_pass(thread_record& me, std::uint32_t before) noexcept
{
    me.activity.store(before & ~in_pass, std::memory_order_release);
    fork_gate::leave();
}

// Waits until no other thread changes lists, then reserves every lock. The registry's comes first: a thread that holds
// it may begin a section.
// Modelled: tests/models/reach.pml, step before_fork
// Modelled: tests/models/fork.pml, step before_fork
void thread_registry::before_fork() noexcept
{
    fork_gate::settle_child = []() noexcept { registry().after_fork_in_child(); };
    bool over = false;   // the lock's holder does not release it: the fork goes on without its reservation
    for (fork_patience patience;;) {
        bool const reserved = reserve_first();
        if ((reserved || over) && fork_gate::close())
            break;
        if (reserved)
            lock_.end_reservation();
        if (fork_gate::join())   // another thread's fork has prepared everything
            return;
        if (!fork_gate::is_open())
            fork_gate::wait_a_turn();
        else
            over = over || !patience.wait();
    }
    heavy_barrier();
    fork_patience patience;
    for (heap_state* h = heaps_; h != nullptr; h = h->next_heap_)
        for (thread_record* r = h->first_record(); r != nullptr; r = r->next_of_heap)
            while (r->list != this_thread.more->list &&
                   (r->activity.load(std::memory_order_acquire) & thread_record::changing_lists) != 0 &&
                   patience.wait()) {
            }
    for_each_lock([&patience](mutex& m) noexcept { reserve(m, patience); });
    fork_gate::prepared();
    if (fork_gate::enter()) {   // another thread may pass by now, and renew the copy
        published_segment().copy_for_fork();
        fork_gate::leave();
    }
}

template <class F>
void heap_state::for_each_lock_in_fork(F visit) noexcept __attribute__((no_thread_safety_analysis))
{
    for (mutex* const m : upper_locks_)
        if (m != nullptr)
            visit(*m);
    visit(reach_lock_);
    visit(limits_.lock);
    for (std::uint32_t i = 0; i < prepared_slots(); ++i)
        visit(epoch_slabs_at(i).lock);
    for (unsigned c = 0; c < class_count; ++c)
        visit(slabs_.lock_for_fork(c));
    visit(slabs_.pages().lock_for_fork());
    visit(places_.lock_for_fork());     // tables and texts are made under it
    visit(profiler_.lock_for_fork());   // likewise, and records of sampled slabs
    visit(meta_.lock_for_fork());
    visit(checks_.lock_for_fork());
    visit(history_lock_);
    visit(published_.lock_for_fork());   // last: a row of counters may be made under any of the others
}

/// Calls `visit` for every lock but the registry's own: a thread that holds one of them takes only later ones.
template <class F> void thread_registry::for_each_lock(F visit) noexcept
{
    background().for_each_lock(visit);   // the purge thread changes lists without a record
    for (heap_state* h = heaps_; h != nullptr; h = h->next_heap_)
        h->for_each_lock_in_fork(visit);
    visit(published_.lock_for_fork());
    visit(private_segment().lock_for_fork());
    visit(published_segment().lock_for_fork());
    visit(process_window.lock_for_fork());
    if constexpr (with_checks)
        visit(lock_of_twins());
}

// Modelled: tests/models/fork.pml, step after_fork_in_parent
void thread_registry::after_fork_in_parent() noexcept
{
    if (fork_gate::is_open() || !fork_gate::end())
        return;
    bool const passes = fork_gate::enter();
    for_each_lock([](mutex& m) noexcept { m.end_reservation(); });
    published_segment().drop_copy();
    lock_.end_reservation();
    fork_gate::open();
    if (passes)
        fork_gate::leave();
}

void thread_registry::after_fork_in_child() noexcept
{
    if (fork_gate::is_open())   // it has run already, since a handler of another library allocated before this one
        return;
    for_each_lock([](mutex& m) __attribute__((no_thread_safety_analysis)) { m.reset_after_fork(); });
    if (hooks_installed_)
        ask_kernel_for_barriers();
    this_thread.end_visit();   // the kernel may have refused
    for (record_list* list = all_lists_; list != nullptr; list = list->next_of_all)
        list->life.reset();
    if (this_thread.more->list != nullptr)
        this_thread.more->list->life.take();
    published_segment().renew();
    record_list* const own = this_thread.more->list;
    if (own != nullptr)
        own->details.tid = static_cast<std::uint32_t>(::gettid());
    // Threads that exist only in the parent: a closer flushes their caches without asking them.
    for (heap_state* h = heaps_; h != nullptr; h = h->next_heap_)
        for (thread_record* r = h->first_record(); r != nullptr; r = r->next_of_heap)
            if (r->list != nullptr && r->list == own) {
                r->stats.tid.store(own->details.tid, std::memory_order_relaxed);
            } else if (r->list != nullptr) {
                r->vanished.store(true, std::memory_order_relaxed);
                // The thread may have been in an operation or a section; in the child nothing else clears that.
                r->activity.store(0, std::memory_order_relaxed);
                r->reached.store(false, std::memory_order_relaxed);
                r->stats.alive.store(0, std::memory_order_relaxed);
            }
    published_segment().drop_copy();
    background().after_fork_in_child();   // publishes the purge thread's state in the child's own segment
    lock_.reset_after_fork();
    fork_gate::reset_in_child();
}

}
