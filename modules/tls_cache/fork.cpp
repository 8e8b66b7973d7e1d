// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Fork: every thread leaves its fork-exclusion section, then every lock is taken in order, so that parent and child
// find consistent lists.
module;
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <sched.h>
#include <string>
#include <unistd.h>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "purge_thread.hpp"
#include "thread_registry.hpp"

namespace tslab {

// Modelled: tests/models/reach.pml, step wait_outside
void fork_exclusion::wait_outside() noexcept
{
    do {
        me_->activity.store(before_, std::memory_order_release);
        while (fork_under_way.load(std::memory_order_acquire))
            ::sched_yield();
        if (me_->reached.load(std::memory_order_relaxed))
            me_->heap.wait_until_not_reached();
        me_->activity.store(before_ | thread_record::changing_lists, std::memory_order_relaxed);
        light_barrier(me_->activity);
    } while (fork_under_way.load(std::memory_order_relaxed) || me_->reached.load(std::memory_order_acquire));
}

// Waits until no other thread changes lists, then takes every lock: parent and child find the lists consistent.
// Modelled: tests/models/reach.pml, step before_fork
void thread_registry::before_fork() noexcept
{
    lock_.lock();
    fork_exclusion::fork_under_way.store(true, std::memory_order_relaxed);
    heavy_barrier();
    for (heap_state* h = heaps_; h != nullptr; h = h->next_heap_)
        for (thread_record* r = h->first_record(); r != nullptr; r = r->next_of_heap)
            while (r->list != this_thread.records &&
                   (r->activity.load(std::memory_order_acquire) & thread_record::changing_lists) != 0)
                ::sched_yield();
    background().before_fork();   // the purge thread changes lists without a record
    for (heap_state* h = heaps_; h != nullptr; h = h->next_heap_)
        h->lock_for_fork();
    published_.lock_for_fork().lock();
    private_segment().lock_for_fork().lock();
    published_segment().lock_for_fork().lock();
    published_segment().copy_for_fork();
    process_window.lock_for_fork().lock();
    if constexpr (with_checks)
        lock_twins();
}

void thread_registry::after_fork(bool in_child) noexcept
{
    if constexpr (with_checks)
        unlock_twins();
    if (in_child)
        process_window.lock_for_fork().reset_after_fork();
    else
        process_window.lock_for_fork().unlock();
    for (mutex* const m :
         {&published_segment().lock_for_fork(), &private_segment().lock_for_fork(), &published_.lock_for_fork()})
        if (in_child)
            m->reset_after_fork();
        else
            m->unlock();
    for (heap_state* h = heaps_; h != nullptr; h = h->next_heap_)
        h->unlock_after_fork(in_child);
    if (in_child) {
        ask_kernel_for_barriers();
        for (record_list* list = all_lists_; list != nullptr; list = list->next_of_all)
            list->life.reset();
        if (this_thread.records != nullptr)
            this_thread.records->life.take();
        published_segment().renew();
        if (this_thread.id != 0)
            this_thread.tid = static_cast<std::uint32_t>(::gettid());
        // Threads that exist only in the parent: a closer flushes their caches without asking them.
        for (heap_state* h = heaps_; h != nullptr; h = h->next_heap_)
            for (thread_record* r = h->first_record(); r != nullptr; r = r->next_of_heap)
                if (r->list != nullptr && r->list == this_thread.records) {
                    r->stats.tid.store(this_thread.tid, std::memory_order_relaxed);
                } else if (r->list != nullptr) {
                    r->vanished.store(true, std::memory_order_relaxed);
                    // The thread may have been in an operation or a section; in the child nothing else clears that.
                    r->activity.store(0, std::memory_order_relaxed);
                    r->stats.alive.store(0, std::memory_order_relaxed);
                }
    }
    published_segment().drop_copy();
    background().after_fork(in_child);   // a child publishes the purge thread's state in its own segment
    fork_exclusion::fork_under_way.store(false, std::memory_order_release);
    if (in_child)
        lock_.reset_after_fork();
    else
        lock_.unlock();
}

void heap_state::lock_for_fork() noexcept
{
    reach_lock_.lock();
    for (std::uint32_t i = 0; i < prepared_slots(); ++i)
        epoch_slabs_at(i).lock.lock();
    for (unsigned c = 0; c < class_count; ++c)
        slabs_.lock_for_fork(c).lock();
    slabs_.pages().lock_for_fork().lock();
    meta_.lock_for_fork().lock();
    checks_.lock_for_fork().lock();
    history_lock_.lock();
    published_.lock_for_fork().lock();   // last: a row of counters may be made under any of the others
}

void heap_state::unlock_after_fork(bool in_child) noexcept
{
    auto const open = [in_child](mutex& m) __attribute__((no_thread_safety_analysis)) {
        if (in_child)
            m.reset_after_fork();
        else
            m.unlock();
    };
    open(published_.lock_for_fork());
    open(history_lock_);
    open(checks_.lock_for_fork());
    open(meta_.lock_for_fork());
    open(slabs_.pages().lock_for_fork());
    for (unsigned c = 0; c < class_count; ++c)
        open(slabs_.lock_for_fork(c));
    for (std::uint32_t i = prepared_slots(); i-- > 0;)
        open(epoch_slabs_at(i).lock);
    open(reach_lock_);
}

}
