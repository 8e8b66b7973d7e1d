// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread's record in a heap: finding and making it, its thread caches, its counters.
module;
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "thread_registry.hpp"

namespace tslab {

thread_cache* heap_state::take_further_cache(thread_record& me) noexcept
{
    take_over_returned(me);
    if (me.spare != nullptr)
        return take_cache(me);
    // The stats page is made last: see make_record.
    void* const place =
        me.first_cache != nullptr ? me.first_cache : meta_.allocate(sizeof(thread_cache), alignof(thread_cache));
    auto* const stats = place != nullptr ? make_stats_page<cache_stats_page>() : nullptr;
    if (stats == nullptr)
        return nullptr;
    me.first_cache = nullptr;
    auto* const l = ::new (place) thread_cache(me, *stats);
    publish_arena();
    stats->cache.store(reinterpret_cast<std::uintptr_t>(l), std::memory_order_relaxed);
    if (published_.is_published(stats)) {
        stats->next.store(me.stats.caches.load(std::memory_order_relaxed), std::memory_order_relaxed);
        me.stats.caches.store(stats, std::memory_order_release);   // the same for readers outside
    }
    l->next_of_record_ = me.all_caches.load(std::memory_order_relaxed);
    me.all_caches.store(l, std::memory_order_release);   // publishes the cache to statistics
    return l;
}

void heap_state::return_cache(thread_cache& l) noexcept
{
    if (l.is_serial()) [[unlikely]] {
        l.record_ = l.home_;
        l.freer_.store(l.home_, std::memory_order_relaxed);
    }
    auto& stack = l.home_->returned;
    thread_cache* head = stack.load(std::memory_order_relaxed);
    do
        l.next_spare_ = head;
    while (!stack.compare_exchange_weak(head, &l, std::memory_order_release, std::memory_order_relaxed));
}

void heap_state::put_cache_back(thread_cache& l, thread_record& me) noexcept
{
    if (l.used_bins_ != 0)
        me.retaining.store(me.retaining.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return_bound_cache(l, &me);
}

// Modelled: tests/models/era.pml, step take_over_returned
void heap_state::take_over_returned(thread_record& me) noexcept
{
    // acquire: pairs with return_cache. The whole stack is taken at once, so no cache can return in between (no ABA).
    thread_cache* l = me.returned.exchange(nullptr, std::memory_order_acquire);
    while (l != nullptr) {
        thread_cache* const next = l->next_spare_;
        if (me.caches[l->slot()].load(std::memory_order_relaxed) == l)
            me.caches[l->slot()].store(nullptr, std::memory_order_relaxed);
        l->exclusive_ = false;
        l->next_spare_ = me.spare;
        me.spare = l;
        l = next;
    }
}

// Modelled: tests/models/era.pml, step attach_cache
[[gnu::noinline]] thread_cache* heap_state::attach_cache(thread_record& me, std::uint32_t slot, std::uint64_t era,
                                                         bool& closed) noexcept
{
    fork_exclusion const section{&me};
    if (thread_cache* const old = me.caches[slot].load(std::memory_order_relaxed))
        flush_revoked_cache(*old, me, true);   // if its epoch was closed meanwhile
    take_over_returned(me);
    if (slot >= prepared_slots()) {   // the slot was never opened
        closed = true;
        return nullptr;
    }
    epoch_slabs& home = epoch_slabs_at(slot);
    if (home.era.load(std::memory_order_relaxed) != era ||
        home.state.load(std::memory_order_relaxed) != lifecycle::active) {
        closed = true;
        return nullptr;
    }
    thread_cache* const l = take_cache(me);
    if (l == nullptr)
        return nullptr;
    this_thread.end_visit();   // of an earlier epoch of this cache, in another slot: its era may be the same number
    if (!home.attach(*l, era, era, nullptr)) {
        put_cache_back(*l, me);
        closed = true;
        return nullptr;
    }
    me.caches[slot].store(l, std::memory_order_relaxed);
    return l;
}

void thread_record::decide_scan_order(unsigned c, class_counters& of_class) noexcept
{
    if (scans[c].decide(of_class))
        stats.rotated[c].store(scans[c].rotated() ? 1 : 0, std::memory_order_relaxed);
}

void thread_record::count_reclaimed(reclaim_result const& done) noexcept
{
    if (done.classes == 0)
        return;
    counts[heap_event::close_scanned].add(done.scanned());
    counts[heap_event::close_recycled].add(done.recycled());
    done.for_each_class([&](unsigned c) {
        classes[c][class_event::close_scanned].add(done.scanned_of[c]);
        classes[c][class_event::close_recycled].add(done.recycled_of[c]);
    });
}

std::uint64_t thread_record::allocations() const noexcept
{
    std::uint64_t n = counts[heap_event::large_allocation].value();
    for (thread_cache const* l = all_caches.load(std::memory_order_acquire); l != nullptr; l = l->next_of_record_)
        for (unsigned bin = 0; bin < bin_count; ++bin)
            n += l->allocations(bin).value();
    return n;
}

std::array<std::uint64_t, thread_contention_count> thread_record::contention() const noexcept
{
    // Where no lock was taken yet, as in a new record, the rows by label, which are memory of their own, are not looked at.
    bool any = false;
    for (unsigned c = 0; c < thread_stats_page::rows && !any; ++c)
        any = classes.row(c) != nullptr;
    if (!any)
        return {};
    return sum_of_contention([this](unsigned c) { return classes.row(c); },
                             [this](unsigned c, std::uint32_t group) { return classes.labels(c, group); });
}

// Modelled: tests/models/claims.pml, step thread_ends
void heap_state::thread_ends(thread_record& r) noexcept
{
    fork_exclusion const section{&r};
    for (thread_cache* l = r.all_caches.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_)
        flush_revoked_cache(*l, r, false);
    take_over_returned(r);
    flush_retained(r);
    if (epoch_slabs const* const slot = r.take_retained_slot())
        free_slots_.release(slot->index);
}

namespace {

/// Offsets of records within a page, in cache lines; heaps with successive numbers use them in turn. With one offset
/// for all, the records of many heaps would share few sets of the processor's caches.
constexpr std::size_t record_colours = 16;

/// A table of at most this many bytes lies between the record and its first thread cache; a larger one lies behind that
/// cache.
constexpr std::size_t small_table = 256;

constexpr std::size_t line = 64;
static_assert(sizeof(thread_record) + small_table + thread_cache::hot_bytes + (record_colours - 1) * line <=
              page_bytes);

}

/// Allocates the record, its table of thread caches and its first thread cache in one piece. What an operation touches
/// of them lies in one page: a thread that uses a thousand heaps in turn would otherwise miss the TLB more often.
thread_record* heap_state::make_record() noexcept
{
    std::size_t const table_bytes = (slots_ * sizeof(atomic<thread_cache*>) + line - 1) / line * line;
    std::size_t const before_cache = sizeof(thread_record) + (table_bytes <= small_table ? table_bytes : 0);
    std::size_t const before_table = sizeof(thread_record) + (table_bytes <= small_table ? 0 : sizeof(thread_cache));
    std::size_t const colour = number_ % record_colours * line;
    // The stats page is made last: the segment may have memory when the arena has none, and each retry would take more
    // of it.
    auto* place = static_cast<std::byte*>(meta_.allocate(page_bytes + colour + sizeof(thread_record) + table_bytes +
                                                             sizeof(thread_cache) + sizeof(thread_record::cold_part),
                                                         line));
    auto* const stats = place != nullptr ? make_stats_page<thread_stats_page>() : nullptr;
    publish_arena();
    if (stats == nullptr)
        return nullptr;
    std::size_t const offset = reinterpret_cast<std::uintptr_t>(place) % page_bytes;
    bool const fits = offset + colour + before_cache + thread_cache::hot_bytes <= page_bytes;
    place += colour + (fits ? 0 : page_bytes - offset);
    auto* const table = reinterpret_cast<atomic<thread_cache*>*>(place + before_table);
    std::uninitialized_value_construct_n(table, slots_);
    auto* const cold =
        ::new (place + sizeof(thread_record) + table_bytes + sizeof(thread_cache)) thread_record::cold_part{};
    auto* const r = ::new (place) thread_record(*this, table, *cold, *stats);
    r->first_cache = place + before_cache;
    r->frees_to_sample = r->choose_sample();
    r->large_to_sample = r->choose_sample();
    r->profile.seed = profiler_.next_seed();
    r->profile.to_large = profiler_.draw(r->profile.seed);
    if (published_.is_published(stats)) {
        stats->next.store(stats_.threads.load(std::memory_order_relaxed), std::memory_order_relaxed);
        stats_.threads.store(stats, std::memory_order_release);   // publishes it to other processes
    }
    return r;
}

[[clang::preserve_most]] class_stats_page* class_rows::make(unsigned row) noexcept
{
    auto* const made = of_.heap.make_stats_page<class_stats_page>();
    class_stats_page* there = nullptr;
    // release: a reader of the pointer sees the zeroes. Only the record's thread makes rows; if a second thread did
    // too, one row would win.
    if (made == nullptr ||
        !rows_[row].compare_exchange_strong(there, made, std::memory_order_release, std::memory_order_relaxed))
        return there;
    if (of_.heap.published().is_published(made))
        of_.stats.classes[row].store(made, std::memory_order_release);   // the same for readers outside
    return made;
}

[[clang::preserve_most]] label_rows* class_rows::make_labels(class_stats_page& of_row, unsigned row,
                                                             std::uint32_t group) noexcept
{
    auto* const made = of_.heap.make_stats_page<label_rows>();
    label_rows* there = nullptr;
    if (made == nullptr ||   // as in make
        !locks_.labels[row][group].compare_exchange_strong(there, made, std::memory_order_release,
                                                           std::memory_order_relaxed))
        return there;
    if (of_.heap.published().is_published(made))
        of_row.contention[group].store(made, std::memory_order_release);   // the same for readers outside
    return made;
}

[[clang::preserve_most]] class_counters& class_rows::make_events(unsigned c) noexcept
{
    // By a usual call, so that registers are saved: clang 19 takes a preserve_most function that saves none for one that may
    // pop its alignment into a register of the caller's.
    auto const make_row = [this](unsigned row) __attribute__((noinline)) { return make(row); };
    class_stats_page* const row = make_row(c);
    return row != nullptr ? row->events : of_.heap.stats_.strays[c];
}

timing_stats_page* thread_record::get_times() noexcept
{
    timing_stats_page* made = times.load(std::memory_order_relaxed);
    if (made != nullptr)
        return made;
    made = heap.make_stats_page<timing_stats_page>();
    if (made == nullptr)
        return nullptr;
    times.store(made, std::memory_order_release);   // release: as in class_rows::make
    if (heap.published().is_published(made))
        stats.times.store(made, std::memory_order_release);
    return made;
}

lock_histograms* thread_lock_times::get(histogram_source& of) noexcept
{
    auto& self = static_cast<thread_lock_times&>(of);
    lock_histograms* made = self.made_.load(std::memory_order_relaxed);
    if (made != nullptr)
        return made;
    made = self.of_->heap.make_stats_page<lock_histograms>();
    if (made == nullptr)
        return nullptr;
    self.made_.store(made, std::memory_order_release);   // release: as in class_rows::make
    if (self.of_->heap.published().is_published(made))
        self.of_->stats.locks.store(made, std::memory_order_release);
    return made;
}

void thread_record::note_allocation(stopwatch::reading const& r) noexcept
{
    if (timing_stats_page* const to = get_times())
        to->allocations.note(r);
}

std::uint32_t thread_record::choose_sample() noexcept
{
    std::uint32_t const one_in = heap.sample_one_in();
    if (one_in == 0)
        return stepping_counter::period;
    // Numerical Recipes' generator: its upper bits are good, and the distances need only be unrelated to the program's loops.
    sample_seed = sample_seed * 1664525U + 1013904223U;
    std::uint64_t const most = 2 * std::uint64_t{one_in} - 1;   // from 1 to this, `one_in` on average
    return static_cast<std::uint32_t>((std::uint64_t{sample_seed} * most >> 32) + 1);
}

std::uint32_t thread_record::choose_profiled(std::uint32_t bytes) noexcept
{
    return heap.profiler().draw_objects(profile.seed, bytes);
}

void free_sample::begin(thread_record& me) noexcept
{
    me.frees_to_sample = me.choose_sample();
    if (!me.heap.sampling() || me.timer != nullptr)
        return;
    tick_clock::calibrate();
    of_ = &me;
    me.timer = &timer_.emplace();
}

void free_sample::end() noexcept
{
    of_->timer = nullptr;
    if (timer_.has_value())
        of_->note_free(timer_->read());
}

void thread_record::note_free(stopwatch::reading const& r) noexcept
{
    if (timing_stats_page* const to = get_times())
        to->frees.note(r);
}

void thread_record::note_repair(stopwatch::reading const& r) noexcept
{
    if (timing_stats_page* const to = get_times())
        to->repairs.note(r);
}

thread_record* heap_state::known_record() const noexcept
{
    thread_details const& mine = *this_thread.more;
    auto const& recent = mine.recent[number_ % thread_details::recent_count];
    if (recent.number == number_)
        return recent.record;
    return mine.list != nullptr ? mine.list->by_heap.find(number_) : nullptr;
}

// Not cold: a thread that uses many heaps in turn calls this each time.
[[gnu::noinline]] thread_record* heap_state::find_or_make_record() noexcept
{
    record_list const* const own = this_thread.more->list;
    thread_record* r = own != nullptr ? own->by_heap.find(number_) : nullptr;
    if (r == nullptr) [[unlikely]]
        r = registry().adopt_record(*this);
    if (r != nullptr) [[likely]]   // then the thread has a list
        this_thread.more->recent[number_ % thread_details::recent_count] = {number_, r};
    return r;
}

}
