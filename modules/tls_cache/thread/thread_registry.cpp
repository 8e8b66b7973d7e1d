// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The registry of heaps and threads: hooks at thread exit, membarrier, the records that pass from ended threads to new
// ones, and the directory by which readers find heaps.
module;
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <linux/membarrier.h>
#include <new>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#if !defined(__has_feature)
#define __has_feature(x) 0
#endif
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "thread_registry.hpp"

namespace tslab {

namespace {

constinit atomic<std::uint64_t> thread_ids{0};
constinit atomic<bool> exit_key_made{false};
pthread_key_t exit_key;   // written once, before exit_key_made

void on_thread_exit(void*) { registry().thread_ends(); }
void on_fork_prepare() { registry().before_fork(); }
void on_fork_parent() { registry().after_fork_in_parent(); }
void on_fork_child() { registry().after_fork_in_child(); }

constinit bool fork_is_hooked = false;   // written before the program has threads, then under the registry's lock

bool hook_fork() noexcept
{
    if (!fork_is_hooked)
        fork_is_hooked = ::pthread_atfork(on_fork_prepare, on_fork_parent, on_fork_child) == 0;
    return fork_is_hooked;
}

/// Hooks fork before the program's static objects are made. The fork handlers that those register then run before this
/// library's prepare handler, and after its parent and child handlers: the gate is open when they run. If it fails, it is
/// tried again with the first heap.
[[gnu::constructor(101)]] void hook_fork_early() noexcept { static_cast<void>(hook_fork()); }

}

void ask_kernel_for_barriers() noexcept
{
    bool const ready = granted(os_call::ask_barriers) &&
                       ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    barrier_by_kernel.store(ready, std::memory_order_relaxed);
}

thread_registry& registry() noexcept
{
    alignas(thread_registry) static std::byte storage[sizeof(thread_registry)];
    static auto* const one = ::new (storage) thread_registry;
    return *one;
}

// Modelled: tests/models/claims.pml, step heavy_barrier
void heavy_barrier() noexcept
{
    if (schedule::barrier())
        return;
    if (barrier_by_kernel.load(std::memory_order_relaxed)) {
        // The kernel may need memory for the barrier that it does not have at this moment. Without the barrier a closer
        // could flush a cache that is in use; after many retries the program aborts rather than risk that.
        for (int retries_left = 10'000;
             !granted(os_call::barrier) || ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0;
             --retries_left) {
            if (retries_left == 0) {
                static constexpr std::string_view why = "tslab: the kernel refuses membarrier, which it granted when "
                                                        "the first heap was made; going on would not be safe\n";
                [[maybe_unused]] auto const written = ::write(STDERR_FILENO, why.data(), why.size());
                std::abort();
            }
            ::sched_yield();
        }
        return;
    }
#if __has_feature(thread_sanitizer)
    static constinit atomic<std::uint32_t> word{0};
    word.fetch_add(0, std::memory_order_seq_cst);
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

bool register_this_thread() noexcept
{
    if (this_thread.key == 0)
        this_thread.key = (thread_ids.fetch_add(1, std::memory_order_relaxed) + 1) | thread_key;
    // A pthread key's destructor rather than a thread_local's: it runs after those, and again if one of them used
    // tslab.
    return exit_key_made.load(std::memory_order_acquire) &&
           (::pthread_getspecific(exit_key) != nullptr ||
            (granted(os_call::hook_exit) && ::pthread_setspecific(exit_key, &this_thread) == 0));
}

thread_details* own_details() noexcept
{
    if (this_thread.more->list != nullptr)
        return this_thread.more;
    return register_this_thread() ? registry().own_details()
                                  : nullptr;   // without the hook, nothing would end the list
}

void count_escape(std::size_t bytes) noexcept
{
    entered_scope const* const inside = this_thread.more->innermost_scope();
    if (inside == nullptr)
        return;
    registry().with_record(inside->heap_number, [&, label_id = inside->label_id](thread_record& r) {
        r.stats.escapes[label_id].add();
        r.stats.escaped_bytes[label_id].add(bytes);
    });
}

sampling_stats this_thread_sampling() noexcept
{
    sampling_stats all;
    registry().for_each_own_record([&](thread_record const& r) {
        if (timing_stats_page const* const times = r.times.load(std::memory_order_relaxed)) {
            all.alloc.add(times->allocations.read_since(times->allocations_before));
            all.free.add(times->frees.read_since(times->frees_before));
            all.repair.add(times->repairs.read_since(times->repairs_before));
        }
        std::array<std::uint64_t, repair_reasons.size()> n{};
        for (std::size_t i = 0; i < n.size(); ++i)
            n[i] = r.sum(repair_reasons[i]) - r.stats.repairs_before[i].load(std::memory_order_relaxed);
        all.repair_reason_full_bitmap += n[0];
        all.repair_reason_list_mismatch += n[1];
        all.repair_reason_other += n[2];
        all.repair_count += n[0] + n[1] + n[2];
    });
    return all;
}

bool thread_registry::install_hooks() noexcept
{
    if (hooks_installed_)
        return true;
    if (!exit_key_made.load(std::memory_order_relaxed)) {
        if (!granted(os_call::make_exit_key) || ::pthread_key_create(&exit_key, on_thread_exit) != 0)
            return false;
        exit_key_made.store(true, std::memory_order_release);
    }
    if (!granted(os_call::hook_fork) || !hook_fork())
        return false;
    ask_kernel_for_barriers();
    hooks_installed_ = true;
    return true;
}

void heap_state::reserve_in_fork(std::array<mutex*, 3> const& locks) noexcept
{
    registry().with_lock([&] { upper_locks_ = locks; });   // a fork reads them
}

bool thread_registry::is_new_name(std::string_view name) noexcept
{
    std::uint64_t hash = 0xcbf29ce484222325;   // FNV-1a
    for (char const c : name)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash ^= hash >> 29;
    bool is_new = false;
    for (std::uint64_t const part : {hash, hash >> 32}) {
        std::uint64_t& word = names_[part / 64 % name_words];
        std::uint64_t const bit = std::uint64_t{1} << part % 64;
        is_new = is_new || (word & bit) == 0;
        word |= bit;
    }
    return is_new;
}

bool thread_registry::add(heap_state& h) noexcept
{
    lock_guard const guard{lock_};
    if (!install_hooks())
        return false;
    h.stats_.instance = is_new_name(fitting_prefix(h.name_, h.stats_.name.size() - 1)) ? 1 : h.number_;
    h.next_heap_ = heaps_;
    h.heap_link_ = &heaps_;
    if (heaps_ != nullptr)
        heaps_->heap_link_ = &h.next_heap_;
    heaps_ = &h;
    list_for_readers(h);
    return true;
}

/// Enters the heap into the directory for readers. Without memory for the directory, readers do not find the heap.
void thread_registry::list_for_readers(heap_state& h) noexcept
{
    if (!h.published_.is_published())
        return;
    std::size_t word = 0;
    std::size_t place = 0;
    while (word < listed_.size() && (place = static_cast<std::size_t>(std::countr_one(listed_[word]))) == 64)
        ++word;
    constexpr std::size_t words_of_one = heap_directory::capacity / 64;
    heap_directory* const in = word < listed_.size() ? directory(word / words_of_one) : nullptr;
    if (in == nullptr) {
        published_segment().note_missing();
        return;
    }
    listed_[word] |= std::uint64_t{1} << place;
    ++listed_count_;
    h.root_index_ = word * 64 + place;
    h.root_ = &in->heaps[h.root_index_ % heap_directory::capacity];
    h.stats_.number.store(h.number_, std::memory_order_release);   // the page is complete
    h.root_->stats.store(&h.stats_, std::memory_order_relaxed);
    h.root_->number.store(h.number_, std::memory_order_release);   // a reader that sees the number sees the heap's page
}

/// The n-th directory, made if needed; all before it exist. Null if there is no memory for it.
heap_directory* thread_registry::directory(std::size_t n) noexcept
{
    if (heap_directory* const there = directories_[n])
        return there;
    if (n == 0 && !published_.open(true, layout_number()))
        return nullptr;
    auto* const made = published_.make<heap_directory>();
    if (made == nullptr || !published_.is_published(made)) {
        if (n == 0)
            published_.close();
        return nullptr;
    }
    directories_[n] = made;
    if (n == 0)
        published_segment().set_root(made);
    else
        directories_[n - 1]->next.store(made, std::memory_order_release);   // release: a reader sees it empty
    return made;
}

void thread_registry::unlist_for_readers(heap_state& h) noexcept
{
    if (h.root_ == nullptr)
        return;
    // acq_rel: release, and acquire by those that use the heap's records next: the number is cleared before these are
    // reused.
    h.root_->number.exchange(0, std::memory_order_acq_rel);
    h.root_->stats.store(nullptr, std::memory_order_relaxed);
    listed_[h.root_index_ / 64] &= ~(std::uint64_t{1} << h.root_index_ % 64);
    if (--listed_count_ != 0)
        return;
    // The last heap: the segment is closed.
    published_segment().set_root(nullptr);
    directories_ = {};
    published_.close();
}

void thread_registry::remove(heap_state& h) noexcept
{
    lock_guard const guard{lock_};
    unlist_for_readers(h);
    *h.heap_link_ = h.next_heap_;
    if (h.next_heap_ != nullptr)
        h.next_heap_->heap_link_ = h.heap_link_;
    for (thread_record* r = h.first_record(); r != nullptr; r = r->next_of_heap) {
        if (r->list == nullptr)
            continue;
        *r->link_of_thread = r->next_of_thread;
        if (r->next_of_thread != nullptr)
            r->next_of_thread->link_of_thread = r->link_of_thread;
    }
}

/// Not by operator new: where the program's is served by a heap, it would come back here, for the same list.
record_list* thread_registry::make_list() noexcept
{
    static_assert(sizeof(record_list) % alignof(record_list) == 0);
    void* const memory =
        granted(os_call::keep_scope) ? std::aligned_alloc(alignof(record_list), sizeof(record_list)) : nullptr;
    return memory != nullptr ? ::new (memory) record_list : nullptr;
}

record_list* thread_registry::own_list() noexcept
{
    if (this_thread.more->list != nullptr)
        return this_thread.more->list;
    record_list* own = free_lists_;
    if (own != nullptr) {
        free_lists_ = own->next_free;
    } else {
        own = make_list();
        if (own == nullptr)
            return nullptr;
        own->details.list = own;
        own->next_of_all = all_lists_;
        all_lists_ = own;
    }
    own->life.take();
    own->details.tid = static_cast<std::uint32_t>(::gettid());
    this_thread.more = &own->details;
    return own;
}

thread_details* thread_registry::own_details() noexcept
{
    lock_guard const guard{lock_};
    record_list* const own = own_list();
    return own != nullptr ? &own->details : nullptr;
}

void thread_registry::end_records(record_list& list) noexcept
{
    for (thread_record* r = list.first; r != nullptr;) {
        thread_record* const next = r->next_of_thread;
        r->heap.thread_ends(*r);
        r->list = nullptr;
        r->next_of_thread = nullptr;
        r->link_of_thread = nullptr;
        r->in_use.store(false, std::memory_order_relaxed);
        r->stats.alive.store(0, std::memory_order_relaxed);
        r = next;
    }
    std::free(list.details.scopes);
    list.details = {.list = &list};
    list.first = nullptr;
    list.by_heap.clear();
    list.life.release();
    list.next_free = free_lists_;
    free_lists_ = &list;
}

void thread_registry::end_for_the_dead() noexcept
{
    constexpr int asked_at_once = 16;   // each new thread looks at some, so all lists are looked at in time
    for (int n = 0; n < asked_at_once; ++n) {
        if (asked_next_ == nullptr)
            asked_next_ = all_lists_;   // not empty: the caller's list is in it
        record_list& list = *std::exchange(asked_next_, asked_next_->next_of_all);
        if (list.life.was_left())
            end_records(list);
    }
}

thread_record* thread_registry::adopt_record(heap_state& h) noexcept
{
    if (!register_this_thread())   // without the hook the record would refer to an ended thread's list
        return nullptr;
    lock_guard const guard{lock_};
    record_list* const own = own_list();
    if (own == nullptr)
        return nullptr;
    if (thread_record* const known = own->by_heap.find(h.number()))
        return known;
    if (!own->by_heap.complete())
        for (thread_record* r = own->first; r != nullptr; r = r->next_of_thread)
            if (&r->heap == &h)
                return r;
    end_for_the_dead();
    thread_record* r = h.first_record();
    while (r != nullptr && r->in_use.load(std::memory_order_relaxed))
        r = r->next_of_heap;
    if (r == nullptr) {
        r = h.make_record();
        if (r == nullptr)
            return nullptr;
        r->next_of_heap = h.first_record();
        // Each record starts its search for ring slots at a slot of its own.
        r->slot_hint = r->next_of_heap != nullptr ? (r->next_of_heap->slot_start + 1) % h.slots() : 0;
        r->slot_start = r->slot_hint;
        h.records_.store(r, std::memory_order_release);   // publishes the record to statistics
    }
    r->in_use.store(true, std::memory_order_relaxed);
    r->vanished.store(false, std::memory_order_relaxed);
    r->clock_ns = now_ns_coarse();
    r->stats.clock_ns.store(r->clock_ns, std::memory_order_relaxed);
    r->decayed_ns.store(r->clock_ns, std::memory_order_relaxed);
    for (unsigned c = 0; c < class_count; ++c) {
        r->scans[c].restart();
        r->stats.rotated[c].store(0, std::memory_order_relaxed);
    }
    thread_stats_page& stats = r->stats;
    if (timing_stats_page* const times = r->times.load(std::memory_order_relaxed)) {
        times->allocations_before.begin_after(times->allocations);
        times->frees_before.begin_after(times->frees);
        times->repairs_before.begin_after(times->repairs);
    }
    // release: a reader that subtracts one of these sees a sum that is no smaller.
    for (std::size_t i = 0; i < repair_reasons.size(); ++i)
        stats.repairs_before[i].store(r->sum(repair_reasons[i]), std::memory_order_release);
    stats.allocations_before.store(r->allocations(), std::memory_order_release);
    stats.slow_paths_before.store(r->sum(class_event::slow_path), std::memory_order_release);
    auto const contention = r->contention();
    for (std::size_t i = 0; i < contention.size(); ++i)
        stats.contention_before[i].store(contention[i], std::memory_order_release);
    stats.thread_id.store(this_thread.id(), std::memory_order_relaxed);
    stats.tid.store(own->details.tid, std::memory_order_relaxed);
    stats.alive.store(1, std::memory_order_relaxed);
    r->list = own;
    r->next_of_thread = own->first;
    r->link_of_thread = &own->first;
    if (own->first != nullptr)
        own->first->link_of_thread = &r->next_of_thread;
    own->first = r;
    own->by_heap.add_first(*r);
    return r;
}

void thread_registry::thread_ends() noexcept
{
    lock_guard const guard{lock_};
    this_thread.end_visit();   // another thread may get the records
    // A later destructor may use tslab: then the thread gets a list anew, and the hook runs again.
    if (record_list* const own = std::exchange(this_thread.more, &no_details)->list)
        end_records(*own);
}

bool thread_registry::name_of_owner(void const* p, heap_state const* except, std::string& name) noexcept
{
    std::array<char, 256> found{};   // operator new may be served by a heap: none of it under the lock
    std::size_t length = 0;
    bool any = false;
    {
        lock_guard const guard{lock_};
        for (heap_state const* h = heaps_; h != nullptr && !any; h = h->next_heap_)
            if (h != except && h->pages().reserves(p)) {
                std::string_view const of = fitting_prefix(h->name(), found.size());
                length = of.copy(found.data(), found.size());
                any = true;
            }
    }
    try {
        name.assign(found.data(), length);
    } catch (std::bad_alloc const&) {
        name.clear();
    }
    return any;
}

}
