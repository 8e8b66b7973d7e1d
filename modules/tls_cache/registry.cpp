// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <linux/membarrier.h>
#include <memory>
#include <new>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#if !defined(__has_feature)
#define __has_feature(x) 0
#endif
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;
import :purge_thread;
import :registry;

namespace tslab {

namespace {

constinit atomic<std::uint64_t> thread_ids{0};
constinit atomic<bool> exit_key_made{false};
pthread_key_t exit_key;   // written once, before exit_key_made

void ask_kernel_for_barriers() noexcept
{
    bool const ready = granted(os_call::ask_barriers) &&
                       ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    barrier_by_kernel.store(ready, std::memory_order_relaxed);
}

void on_thread_exit(void*) { registry().thread_ends(); }
void on_fork_prepare() { registry().before_fork(); }
void on_fork_parent() { registry().after_fork(false); }
void on_fork_child() { registry().after_fork(true); }

}

thread_registry& registry() noexcept
{
    alignas(thread_registry) static std::byte storage[sizeof(thread_registry)];
    static thread_registry* const one = ::new (storage) thread_registry;
    return *one;
}

// Modelled: tests/models/claims.pml, step heavy_barrier
void heavy_barrier() noexcept
{
    if (schedule::barrier())
        return;
    if (barrier_by_kernel.load(std::memory_order_relaxed)) {
        // The kernel may want memory for it that it does not have for a moment. Without the barrier a closer could take a
        // claim that is in use: rather no program than that one.
        constexpr int most_tries = 10'000;
        for (int tries = 0;
             !granted(os_call::barrier) || ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0;
             ++tries) {
            if (tries == most_tries)
                std::abort();
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

void register_this_thread() noexcept
{
    if (this_thread.id == 0) {
        this_thread.id = thread_ids.fetch_add(1, std::memory_order_relaxed) + 1;
        this_thread.key = this_thread.id | thread_key;
    }
    // A key's destructor and not a thread_local's: it runs after those, and again if one of them used tslab.
    if (!this_thread.hooked && exit_key_made.load(std::memory_order_acquire))
        this_thread.hooked = granted(os_call::hook_exit) && ::pthread_setspecific(exit_key, &this_thread) == 0;
}

void count_escape(std::size_t bytes) noexcept
{
    if (this_thread.scope_count == 0)
        return;
    entered_scope const inside = this_thread.scopes[this_thread.scope_count - 1];
    registry().with_record(inside.heap_number, [&](thread_record& r) {
        r.face.escapes[inside.label_id].add();
        r.face.escaped_bytes[inside.label_id].add(bytes);
    });
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
    if (!granted(os_call::hook_fork) || ::pthread_atfork(on_fork_prepare, on_fork_parent, on_fork_child) != 0)
        return false;
    ask_kernel_for_barriers();
    hooks_installed_ = true;
    return true;
}

bool thread_registry::add(heap_core& h) noexcept
{
    lock_guard const guard{lock_};
    if (!install_hooks())
        return false;
    h.next_heap_ = heaps_;
    h.heap_link_ = &heaps_;
    if (heaps_ != nullptr)
        heaps_->heap_link_ = &h.next_heap_;
    heaps_ = &h;
    list_for_readers(h);
    return true;
}

/// Where readers find the heap. Without memory for that they do not.
void thread_registry::list_for_readers(heap_core& h) noexcept
{
    if (!h.told_.published())
        return;
    std::size_t block = 0;
    std::size_t place = 0;
    while (block < listed_.size() && (place = static_cast<std::size_t>(std::countr_one(listed_[block]))) == 64)
        ++block;
    constexpr std::size_t blocks_of_one = heap_directory::capacity / 64;
    heap_directory* const in = block < listed_.size() ? directory(block / blocks_of_one) : nullptr;
    if (in == nullptr) {
        published_segment().note_missing();
        return;
    }
    listed_[block] |= std::uint64_t{1} << place;
    ++listed_count_;
    h.root_index_ = block * 64 + place;
    h.root_ = &in->heaps[h.root_index_ % heap_directory::capacity];
    h.face_.number.store(h.number_, std::memory_order_release);   // all else is there
    h.root_->face.store(&h.face_, std::memory_order_relaxed);
    h.root_->number.store(h.number_, std::memory_order_release);   // who sees it sees all that is told of the heap
}

/// The n-th of the directories; all before it are there. Null when there is no memory for it.
heap_directory* thread_registry::directory(std::size_t n) noexcept
{
    if (heap_directory* const there = directories_[n])
        return there;
    if (n == 0 && !told_.open(true, layout_number()))
        return nullptr;
    auto* const made = told_.make<heap_directory>();
    if (made == nullptr || !told_.tells(made)) {
        if (n == 0)
            told_.close();
        return nullptr;
    }
    directories_[n] = made;
    if (n == 0)
        published_segment().set_root(made);
    else
        directories_[n - 1]->next.store(made, std::memory_order_release);   // it is empty
    return made;
}

void thread_registry::unlist_for_readers(heap_core& h) noexcept
{
    if (h.root_ == nullptr)
        return;
    // release, and acquire of those who use the heap's records next: the number is gone before they are.
    h.root_->number.exchange(0, std::memory_order_acq_rel);
    h.root_->face.store(nullptr, std::memory_order_relaxed);
    listed_[h.root_index_ / 64] &= ~(std::uint64_t{1} << h.root_index_ % 64);
    if (--listed_count_ != 0)
        return;
    // The last one: the segment goes with it.
    published_segment().set_root(nullptr);
    directories_ = {};
    told_.close();
}

void thread_registry::remove(heap_core& h) noexcept
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

void record_table::put(std::uint64_t number, thread_record& r) noexcept
{
    std::size_t const last = (std::size_t{1} << bits()) - 1;
    place* const all = places();
    std::size_t i = first_place(number, bits());
    while (all[i].number.load(std::memory_order_relaxed) != 0)
        i = (i + 1) & last;
    all[i].record.store(&r, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);   // a handler that sees the number sees the record
    all[i].number.store(number, std::memory_order_relaxed);
    ++used_;
}

bool record_table::grow(unsigned bits) noexcept
{
    bits = std::max(bits, mapped_bits);
    std::size_t const bytes = sizeof(place) << bits;
    if (bits - mapped_bits >= mapped_.size())
        return false;
    void* const memory = os().reserve(bytes);
    if (memory == nullptr)
        return false;
    if (!os().commit(memory, bytes)) {
        release_for_good(memory, bytes);
        return false;
    }
    auto* const fresh = static_cast<place*>(memory);   // zeroes, and those are empty places
    std::uninitialized_default_construct_n(fresh, std::size_t{1} << bits);
    mapped_[bits - mapped_bits] = fresh;
    now_.store(reinterpret_cast<std::uintptr_t>(fresh) | bits, std::memory_order_relaxed);
    return true;
}

void record_table::add_first(thread_record& first) noexcept
{
    std::size_t const room = std::size_t{1} << bits();
    if (complete_ && 2 * (used_ + 1) <= room)
        return put(first.heap.number(), first);
    std::size_t living = 0;
    for (thread_record const* r = &first; r != nullptr; r = r->next_of_thread)
        ++living;
    // A quarter full at most after this: as many as there are now can come before it is done again.
    bool const larger = 4 * living > room && grow(static_cast<unsigned>(std::bit_width(4 * living - 1)));
    if (!larger && 2 * living > room) {
        complete_ = false;   // no memory: what is not here is looked for in the list
        return;
    }
    if (!larger)
        for (std::size_t i = 0; i < room; ++i)
            places()[i].number.store(0, std::memory_order_relaxed);
    used_ = 0;
    complete_ = true;
    for (thread_record* r = &first; r != nullptr; r = r->next_of_thread)
        put(r->heap.number(), *r);
}

void record_table::clear() noexcept
{
    now_.store(reinterpret_cast<std::uintptr_t>(few_.data()) | first_bits, std::memory_order_relaxed);
    for (place& p : few_)
        p.number.store(0, std::memory_order_relaxed);
    used_ = 0;
    complete_ = true;
    for (std::size_t i = 0; i < mapped_.size(); ++i)
        if (place* const memory = std::exchange(mapped_[i], nullptr))
            release_for_good(memory, sizeof(place) << (i + mapped_bits));
}

record_list* thread_registry::own_list() noexcept
{
    record_list*& own = this_thread.records;
    if (own != nullptr)
        return own;
    if (free_lists_ != nullptr) {
        own = free_lists_;
        free_lists_ = own->next_free;
    } else if ((own = new (std::nothrow) record_list) != nullptr) {
        own->next_of_all = all_lists_;
        all_lists_ = own;
    }
    if (own != nullptr) {
        own->life.take();
        own->scopes = this_thread.scopes;
    }
    return own;
}

void lifeline::reset() noexcept
{
    pthread_mutexattr_t robust;
    ::pthread_mutexattr_init(&robust);   // none of these can fail in glibc
    ::pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&held_, &robust);
    ::pthread_mutexattr_destroy(&robust);
}

bool lifeline::was_left() noexcept
{
    int const got = ::pthread_mutex_trylock(&held_);
    if (got == EOWNERDEAD)
        return ::pthread_mutex_consistent(&held_) == 0;
    if (got == 0)
        let_go();
    return false;
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
        r->face.alive.store(0, std::memory_order_relaxed);
        r = next;
    }
    std::free(std::exchange(list.scopes, nullptr));
    list.first = nullptr;
    list.by_heap.clear();
    list.life.let_go();
    list.next_free = free_lists_;
    free_lists_ = &list;
}

void thread_registry::end_for_the_dead() noexcept
{
    constexpr int asked_at_once = 16;   // each thread that comes asks some, so all are asked in the end
    for (int n = 0; n < asked_at_once; ++n) {
        if (asked_next_ == nullptr)
            asked_next_ = all_lists_;   // the caller's is among them
        record_list& list = *std::exchange(asked_next_, asked_next_->next_of_all);
        if (list.life.was_left())
            end_records(list);
    }
}

thread_record* thread_registry::adopt_record(heap_core& h) noexcept
{
    register_this_thread();
    if (!this_thread.hooked)   // nobody would be told of the thread's end: the record would point to what is gone
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
        // Threads look for ring slots from places of their own.
        r->slot_hint = r->next_of_heap != nullptr ? (r->next_of_heap->slot_start + 1) % h.slots() : 0;
        r->slot_start = r->slot_hint;
        h.records_.store(r, std::memory_order_release);   // publishes the record to readers of statistics
    }
    r->in_use.store(true, std::memory_order_relaxed);
    r->vanished.store(false, std::memory_order_relaxed);
    r->clock_ns = now_ns_coarse();
    r->decayed_ns.store(r->clock_ns, std::memory_order_relaxed);
    for (scan_order& of_class : r->scans)
        of_class.restart();
    thread_face& told = r->face;
    if (timing_face* const times = r->times.load(std::memory_order_relaxed)) {
        times->allocations_before.begin_after(times->allocations);
        times->repairs_before.begin_after(times->repairs);
    }
    // release: whoever subtracts one of them sees the sum that it was.
    for (std::size_t i = 0; i < repair_reasons.size(); ++i)
        told.repairs_before[i].store(r->sum(repair_reasons[i]), std::memory_order_release);
    told.allocations_before.store(r->allocations(), std::memory_order_release);
    told.slow_paths_before.store(r->sum(class_event::slow_path), std::memory_order_release);
    told.thread_id.store(this_thread.id, std::memory_order_relaxed);
    told.alive.store(1, std::memory_order_relaxed);
    r->list = own;
    r->next_of_thread = own->first;
    r->link_of_thread = &own->first;
    if (own->first != nullptr)
        own->first->link_of_thread = &r->next_of_thread;
    own->first = r;
    own->by_heap.add_first(*r);
    return r;
}

thread_record* heap_core::make_record() noexcept
{
    // The face last: where others have no memory it may have some, and each further try would take more of it.
    auto* const table = meta_.make_array<atomic<lane*>>(slots_);
    void* const place = table != nullptr ? meta_.allocate(sizeof(thread_record), alignof(thread_record)) : nullptr;
    auto* const face = place != nullptr ? make_face<thread_face>() : nullptr;
    auto* const r = face != nullptr ? ::new (place) thread_record(*this, table, *face) : nullptr;
    tell_arena();
    if (r != nullptr && told_.tells(face)) {
        face->next.store(face_.threads.load(std::memory_order_relaxed), std::memory_order_relaxed);
        face_.threads.store(face, std::memory_order_release);   // publishes it to readers outside
    }
    return r;
}

class_face* class_rows::make(unsigned row) noexcept
{
    auto* const made = of_.heap.make_face<class_face>();
    class_face* there = nullptr;
    // release: who sees it sees the zeroes. Whoever counts here is alone; should it be two all the same, one row is kept.
    if (made == nullptr ||
        !rows_[row].compare_exchange_strong(there, made, std::memory_order_release, std::memory_order_relaxed))
        return there;
    if (of_.heap.told().tells(made))
        of_.face.classes[row].store(made, std::memory_order_release);   // the same for readers outside
    return made;
}

label_rows* class_rows::make_labels(class_face& of_row, unsigned row, std::uint32_t group) noexcept
{
    auto* const made = of_.heap.make_face<label_rows>();
    label_rows* there = nullptr;
    if (made == nullptr ||   // as in make
        !labels_[row][group].compare_exchange_strong(there, made, std::memory_order_release, std::memory_order_relaxed))
        return there;
    if (of_.heap.told().tells(made))
        of_row.contention[group].store(made, std::memory_order_release);   // the same for readers outside
    return made;
}

class_counters& class_rows::make_events(unsigned c) noexcept
{
    class_face* const row = make(c);
    return row != nullptr ? row->events : of_.heap.face_.strays[c];
}

timing_face* thread_record::get_times() noexcept
{
    timing_face* made = times.load(std::memory_order_relaxed);
    if (made == nullptr && (made = heap.make_face<timing_face>()) != nullptr) {
        times.store(made, std::memory_order_release);   // as in class_rows::make
        if (heap.told().tells(made))
            face.times.store(made, std::memory_order_release);
    }
    return made;
}

void thread_record::note_allocation(stopwatch::reading const& r) noexcept
{
    if (timing_face* const to = get_times())
        to->allocations.note(r);
}

void thread_record::note_repair(stopwatch::reading const& r) noexcept
{
    if (timing_face* const to = get_times())
        to->repairs.note(r);
}

thread_record* heap_core::known_record() const noexcept
{
    auto const& recent = this_thread.recent[number_ % thread_state::recent_count];
    if (recent.number == number_)
        return recent.record;
    return this_thread.records != nullptr ? this_thread.records->by_heap.find(number_) : nullptr;
}

// Not cold: a thread that uses many heaps in turn comes here each time.
[[gnu::noinline]] thread_record* heap_core::find_or_make_record() noexcept
{
    record_list const* const own = this_thread.records;
    thread_record* r = own != nullptr ? own->by_heap.find(number_) : nullptr;
    if (r == nullptr) [[unlikely]]
        r = registry().adopt_record(*this);
    if (r != nullptr) [[likely]]
        this_thread.recent[number_ % thread_state::recent_count] = {number_, r};
    return r;
}

void thread_registry::thread_ends() noexcept
{
    lock_guard const guard{lock_};
    if (this_thread.records != nullptr)
        end_records(*std::exchange(this_thread.records, nullptr));   // and its scopes
    else
        std::free(this_thread.scopes);
    this_thread.recent = {};
    this_thread.scopes = nullptr;
    this_thread.scope_count = this_thread.scope_capacity = 0;
    this_thread.hooked = false;   // a destructor that runs after this one may use tslab again: then we are called again
}

bool thread_registry::name_of_owner(void const* p, heap_core const* except, std::string& name) noexcept
{
    lock_guard const guard{lock_};
    for (heap_core const* h = heaps_; h != nullptr; h = h->next_heap_)
        if (h != except && h->pages().reserves(p)) {
            try {
                name = h->name();
            } catch (std::bad_alloc const&) {
                name.clear();
            }
            return true;
        }
    return false;
}

// Modelled: tests/models/reach.pml, step wait_outside
void restructuring_section::wait_outside() noexcept
{
    do {
        me_->activity.store(before_, std::memory_order_release);
        while (fork_under_way.load(std::memory_order_acquire))
            ::sched_yield();
        if (me_->reached.load(std::memory_order_relaxed))
            me_->heap.wait_until_not_reached();
        me_->activity.store(before_ | thread_record::restructuring, std::memory_order_relaxed);
        light_barrier(me_->activity);
    } while (fork_under_way.load(std::memory_order_relaxed) || me_->reached.load(std::memory_order_acquire));
}

// Before a fork every thread finishes what it is doing to lists, then every lock is taken: the child finds both whole.
// Modelled: tests/models/reach.pml, step before_fork
void thread_registry::before_fork() noexcept
{
    lock_.lock();
    restructuring_section::fork_under_way.store(true, std::memory_order_relaxed);
    heavy_barrier();
    for (heap_core* h = heaps_; h != nullptr; h = h->next_heap_)
        for (thread_record* r = h->first_record(); r != nullptr; r = r->next_of_heap)
            while (r->list != this_thread.records &&
                   (r->activity.load(std::memory_order_acquire) & thread_record::restructuring) != 0)
                ::sched_yield();
    background().before_fork();   // its thread changes lists without a record
    for (heap_core* h = heaps_; h != nullptr; h = h->next_heap_)
        h->lock_for_fork();
    told_.lock_for_fork().lock();
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
         {&published_segment().lock_for_fork(), &private_segment().lock_for_fork(), &told_.lock_for_fork()})
        if (in_child)
            m->reset_after_fork();
        else
            m->unlock();
    for (heap_core* h = heaps_; h != nullptr; h = h->next_heap_)
        h->unlock_after_fork(in_child);
    if (in_child) {
        ask_kernel_for_barriers();
        for (record_list* list = all_lists_; list != nullptr; list = list->next_of_all)
            list->life.reset();
        if (this_thread.records != nullptr)
            this_thread.records->life.take();
        published_segment().renew();
        // Threads that did not come along: whoever closes an epoch takes their claims without asking.
        for (heap_core* h = heaps_; h != nullptr; h = h->next_heap_)
            for (thread_record* r = h->first_record(); r != nullptr; r = r->next_of_heap)
                if (r->list != nullptr && r->list != this_thread.records) {
                    r->vanished.store(true, std::memory_order_relaxed);
                    // It may have been inside, or have announced what it would have waited with: nobody takes that back here.
                    r->activity.store(0, std::memory_order_relaxed);
                    r->face.alive.store(0, std::memory_order_relaxed);
                }
    }
    published_segment().drop_copy();
    background().after_fork(in_child);   // a child tells in its own segment what became of the thread
    restructuring_section::fork_under_way.store(false, std::memory_order_release);
    if (in_child)
        lock_.reset_after_fork();
    else
        lock_.unlock();
}

void heap_core::lock_for_fork() noexcept
{
    reach_lock_.lock();
    for (std::uint32_t i = 0; i < prepared_slots(); ++i)
        shelf_at(i).lock.lock();
    for (unsigned c = 0; c < class_count; ++c)
        slabs_.lock_for_fork(c).lock();
    slabs_.pages().lock_for_fork().lock();
    meta_.lock_for_fork().lock();
    checks_.lock_for_fork().lock();
    history_lock_.lock();
    told_.lock_for_fork().lock();   // last: a row of counters may be made under any of the others
}

void heap_core::unlock_after_fork(bool in_child) noexcept
{
    auto const open = [in_child](mutex& m) __attribute__((no_thread_safety_analysis)) {
        if (in_child)
            m.reset_after_fork();
        else
            m.unlock();
    };
    open(told_.lock_for_fork());
    open(history_lock_);
    open(checks_.lock_for_fork());
    open(meta_.lock_for_fork());
    open(slabs_.pages().lock_for_fork());
    for (unsigned c = 0; c < class_count; ++c)
        open(slabs_.lock_for_fork(c));
    for (std::uint32_t i = prepared_slots(); i-- > 0;)
        open(shelf_at(i).lock);
    open(reach_lock_);
}

}
