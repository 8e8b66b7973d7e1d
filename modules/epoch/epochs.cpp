// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The allocator's epochs: opening, advancing, entering, leaving, closing. Each holds one epoch's lock for a short time.
module;
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <string_view>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

#include "count_close.hpp"

namespace tslab {

/// The record of a claimed slot. Records are made in order, so that every slot below `prepared_slots` has one. Returns
/// null, and releases the slot, if there is no memory for a stats page. Returns null and keeps the slot, so that no
/// thread claims it again, if its eras are used up.
inline epoch_record* allocator::prepare_slot(std::uint32_t index) noexcept
{
    if (index >= state_.prepared_slots() && !make_records(index)) [[unlikely]] {
        state_.free_slots().release(index);
        return nullptr;
    }
    auto& r = static_cast<epoch_record&>(state_.epoch_slabs_at(index));
    return has_eras_left(r) ? &r : nullptr;
}

/// Makes the records up to that of slot `index`; false if there is no memory.
[[gnu::cold, gnu::noinline]] bool allocator::make_records(std::uint32_t index) noexcept
{
    {
        lock_guard const guard{prepare_lock_};
        for (std::uint32_t i = state_.prepared_slots(); i <= index; ++i) {
            auto* const stats = state_.make_row(i) ? state_.make_stats_page<epoch_stats_page>() : nullptr;
            if (stats == nullptr)
                return false;
            auto* const r = std::construct_at(&static_cast<epoch_record&>(state_.epoch_slabs_at(i)), *stats);
            stats->index.store(i, std::memory_order_relaxed);
            if (state_.published().is_published(stats)) {
                stats->next.store(state_.stats().epochs.load(std::memory_order_relaxed), std::memory_order_relaxed);
                state_.stats().epochs.store(stats, std::memory_order_release);   // publishes it to other processes
            }
            r->index = i;
            r->heap = &state_;
            state_.set_prepared_slots(i + 1);
        }
    }
    return true;
}

/// Claims a free ring slot, the first at or after `from`; where none is left, one that a thread retains for its next
/// scope. Returns its record, null if there is none.
// Modelled: tests/models/era.pml, step claim_slot
epoch_record* allocator::claim_slot(std::uint32_t from) noexcept
{
    if (std::uint32_t const index = state_.free_slots().claim(from); index != slot_set::none)
        return prepare_slot(index);
    for (thread_record* r = state_.first_record(); r != nullptr; r = r->next_of_heap)
        if (epoch_slabs* const slot = r->take_retained_slot())
            return prepare_slot(slot->index);
    return nullptr;
}

/// Turns a claimed slot ACTIVE, with the new era `era`; `fill` completes what the epoch begins with. The caller holds the lock,
/// or the thread retained the slot (see open_epoch). `era`: greater than last_era_of(r). `now`, `stamp`: of now_ns_coarse and
/// of tick_clock.
// Modelled: tests/models/era.pml, step begin_epoch
// Modelled: tests/models/large.pml, step begin_epoch
template <class F>
[[gnu::always_inline]] inline epoch_id allocator::begin_epoch(epoch_record& r, std::uint64_t era, std::uint64_t now,
                                                              std::uint64_t stamp, F fill) noexcept
    __attribute__((no_thread_safety_analysis))
{
    // No era while the fields change. release: a reader that sees a new field sees that the old era is over (see
    // read_epoch, and epoch_slabs::is_of).
    epoch_stats_page& published = r.stats;   // read once: see epoch_slabs::stats
    r.era.store(0, std::memory_order_relaxed);
    published.era.store(0, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    published.opened_ns.store(now, std::memory_order_relaxed);
    published.enters.reset();
    published.exits.reset();
    published.allocations.reset();
    r.use = {.begun = stamp};
    if (r.has_close_figures) [[unlikely]] {
        r.has_close_figures = false;
        r.stats.rss_before_close.store(0, std::memory_order_relaxed);
        r.stats.rss_after_close.store(0, std::memory_order_relaxed);
        r.stats.closed_madvise_bytes.store(0, std::memory_order_relaxed);
        r.stats.closed_asked_bytes.store(0, std::memory_order_relaxed);
        r.stats.closed_gone_bytes.store(0, std::memory_order_relaxed);
    }
    if (r.closing_ns.load(std::memory_order_relaxed) != 0) [[unlikely]]
        r.set_closing_ns(0);
    r.state.store(lifecycle::active, std::memory_order_relaxed);
    published.state.store(lifecycle::active, std::memory_order_relaxed);
    fill();
    r.era.store(era, std::memory_order_release);   // release, and last: a reader that sees the era sees its fields
    published.era.store(era, std::memory_order_release);
    return {r.index, era};
}

/// Whether the epoch of the slot before had the label, and so has its number and words. Further labels are counted at each use.
[[gnu::always_inline]] inline bool allocator::has_usual_label(epoch_record const& r, std::string_view label) noexcept
{
    return r.label_id.load(std::memory_order_relaxed) != label_registry::other && r.had_label(label);
}

/// A label's numbers and words, for an epoch of a slot that had another one.
struct allocator::looked_up {
    shared_text::packed words;
    std::uint32_t id;
    std::uint32_t for_costs;
};
[[gnu::cold, gnu::noinline]] void allocator::look_up(std::string_view label, looked_up& to) noexcept
{
    to.words = shared_text::pack(label);
    to.id = labels_.number_of(label, to.words);
    to.for_costs = labels_.cost_number_of(to.id, to.words);
}

/// Opens an epoch in a claimed slot, `How`. That is `usual` for most scopes; the other ways are functions of their own, so that
/// this one has no lock and few registers to save. `last`: last_era_of(r), unless the slot is claimed `elsewhere`.
// Modelled: tests/models/era.pml, step open_epoch
template <allocator::opening How>
[[gnu::always_inline]] inline allocator::opened
allocator::open_in(epoch_record& r, thread_record* me, std::string_view label, bool enter,
                   std::source_location const& at, atomic<thread_cache*>* binding, std::uint64_t last) noexcept
    __attribute__((no_thread_safety_analysis))
{
    constexpr bool retained = How != opening::elsewhere;
    std::uint64_t const stamp = tick_clock::stamp();
    std::uint32_t label_id = r.label_id.load(std::memory_order_relaxed);
    bool had_label = true;
    looked_up other;
    if (How != opening::usual && !has_usual_label(r, label)) [[unlikely]] {
        look_up(label, other);
        label_id = other.id;
        had_label = false;
    }
    std::uint32_t const place = enter ? state_.places().number_of(at, r.last_place) : source_places::unknown;
    thread_cache* const l = binding != nullptr && me != nullptr ? state_.take_cache(*me) : nullptr;
    std::uint64_t const now = retained || me != nullptr ? me->read_clock_by(stamp) : now_ns_coarse();
    epoch_holder* holder = nullptr;
    epoch_id const epoch = [&]() __attribute__((always_inline, no_thread_safety_analysis)) {
        std::optional<lock_guard> guard;
        // A retained slot is opened without the lock: this thread closed its last epoch itself (end_alone), and no thread has
        // had the slot since. A thread that has a name of the old epoch, or walks over the slots, finds no era under the lock
        // before everything is in place.
        if constexpr (!retained)
            guard.emplace(r.lock, me != nullptr ? me->site(no_class, label_id) : lock_site{});
        std::uint64_t const era = (retained ? last : last_era_of(r)) + 1;
        return begin_epoch(r, era, now, stamp, [&]() __attribute__((always_inline, no_thread_safety_analysis)) {
            if (!had_label) [[unlikely]]
                r.set_label(other.words, label_id, other.for_costs);
            if (l != nullptr) [[likely]]
                r.link(*l, era, this_thread.key, binding);
            if (enter) [[likely]]
                holder = r.note_enter(true, place, now);
        });
    }();
    if constexpr (retained)
        light_barrier(me->activity);   // the era is visible before `counts` is read: see set_limit
    if (state_.limits().counts(label_id)) [[unlikely]]
        begin_counting(r, epoch.era, l, me);
    if (retained || me != nullptr) [[likely]] {
        heap_counters& counts = me->counts;   // read once: see epoch_slabs::stats
        counts[heap_event::epoch_open].add();
        if (enter)
            counts[heap_event::domain_enter].add();
        me->slot_hint = epoch.index;
    } else {
        state_.count(nullptr, heap_event::epoch_open);
        if (enter)
            state_.count(nullptr, heap_event::domain_enter);
    }
    return {.epoch = epoch, .holder = holder, .label_id = label_id, .shared = false};
}

/// The same in a slot that `me` retained.
[[gnu::noinline]] allocator::opened allocator::open_retained(epoch_record& r, thread_record& me, std::string_view label,
                                                             bool enter, std::source_location const& at,
                                                             atomic<thread_cache*>* binding) noexcept
{
    return open_in<opening::retained>(r, &me, label, enter, at, binding, last_era_of(r));
}

/// The same without a slot that `me` retains, if there is a free one; else shares the current epoch.
[[gnu::noinline]] allocator::opened allocator::open_elsewhere(thread_record* me, std::string_view label, bool enter,
                                                              std::source_location const& at,
                                                              atomic<thread_cache*>* binding) noexcept
{
    if (epoch_record* const claimed = claim_slot(me != nullptr ? me->slot_hint : 0); claimed != nullptr) [[likely]]
        return open_in<opening::elsewhere>(*claimed, me, label, enter, at, binding);
    state_.count(me, heap_event::ring_exhausted);
    return share_current(enter, at);
}

allocator::opened allocator::share_current(bool enter, std::source_location const& at) noexcept
{
    opened result;
    result.shared = true;
    do
        result.epoch = current_epoch();
    while (enter && !enter_epoch(result.epoch, true, at, result.holder));   // another thread advanced: the new one then
    result.label_id = label_id_of(result.epoch);
    return result;
}

allocator::opened allocator::open_epoch(std::string_view label, bool enter, std::source_location const& at,
                                        atomic<thread_cache*>* binding) noexcept
{
    thread_record* const me = state_.record();
    fork_exclusion const section{me};
    if (me != nullptr) [[likely]]
        if (auto* const retained = static_cast<epoch_record*>(me->take_retained_slot()); retained != nullptr) [[likely]]
            if (std::uint64_t const last = last_era_of(*retained); last < last_era) [[likely]] {
                if (enter && binding != nullptr && has_usual_label(*retained, label)) [[likely]]
                    return open_in<opening::usual>(*retained, me, label, true, at, binding, last);
                return open_retained(*retained, *me, label, enter, at, binding);
            }
    return open_elsewhere(me, label, enter, at, binding);
}

bool allocator::enter_epoch(epoch_id e, bool first, std::source_location const& at, epoch_holder*& holder) noexcept
{
    if (e.index >= state_.prepared_slots())
        return false;
    thread_record* const me = state_.record();
    fork_exclusion const section{me};
    std::uint32_t const place = first ? state_.places().number_of(at) : source_places::unknown;
    epoch_record& r = record_of(e);
    lock_guard const guard{r.lock, r.site(me, no_class)};
    if (!r.is_open(e.era))
        return false;
    epoch_holder* const got = r.note_enter(first, place, now_ns_coarse());
    if (first)
        holder = got;
    state_.count(me, heap_event::domain_enter);
    return true;
}

epoch_id allocator::advance() noexcept
{
    fork_exclusion const section{state_.record()};
    lock_guard const guard{advance_lock_};
    return advance_locked();
}

// Modelled: tests/models/era.pml, step advance
epoch_id allocator::advance_locked() noexcept
{
    thread_record* const me = state_.record();
    epoch_id const before = current_epoch();
    std::uint32_t const from = before.era == 0 ? 0 : (before.index + 1) % state_.slots();
    if (me != nullptr)   // the slots from `from` on, in order
        if (epoch_slabs const* const retained = me->take_retained_slot())
            state_.free_slots().release(retained->index);
    epoch_record* const claimed = claim_slot(from);
    if (claimed == nullptr) {
        state_.count(me, heap_event::ring_exhausted);
        return before;
    }
    epoch_record& next = *claimed;
    epoch_id now;
    {
        lock_guard const guard{next.lock, next.site(me, no_class)};
        now = begin_epoch(next, last_era_of(next) + 1, now_ns_coarse(), tick_clock::stamp(),
                          [&]() __attribute__((requires_capability(next.lock))) {
                              next.set_label({}, label_registry::unlabeled, label_registry::unlabeled);
                          });
        if (state_.limits().counts(label_registry::unlabeled)) [[unlikely]]
            next.begin_counting(nullptr);
    }
    eras_.store(now.era, std::memory_order_relaxed);
    state_.count(me, heap_event::epoch_open);
    // release: a reader of the new epoch finds its slot open.
    current_.store(std::uint64_t{now.index} | now.era << 16, std::memory_order_release);
    state_.stats().current.store(std::uint64_t{now.index} | now.era << 16, std::memory_order_relaxed);
    if (before.era == 0)
        return now;
    state_.count(me, heap_event::epoch_advance);
    epoch_record& old = record_of(before);
    reclaim_result ended;
    {
        epoch_lock const guard{old, me, no_class, epoch_lock::then::keep};   // advance makes no system call
        if (!old.is_active(before.era))
            return now;   // another thread has closed it since, and its slot may have been reopened
        state_.count(me, heap_event::epoch_close);
        old.begin_closing(ended);
    }
    note_phase(state_, me, ended);
    return now;
}

bool allocator::set_label(epoch_id e, std::string_view label) noexcept
{
    if (e.index >= state_.prepared_slots())
        return false;
    thread_record* const me = state_.record();
    fork_exclusion const section{me};
    shared_text::packed const words = shared_text::pack(label);
    std::uint32_t const label_id = labels_.number_of(label, words);
    std::uint32_t const cost_label = labels_.cost_number_of(label_id, words);
    epoch_record& r = record_of(e);
    lock_guard const guard{r.lock, r.site(me, no_class)};
    if (!r.is_open(e.era))
        return false;
    r.set_label(words, label_id, cost_label);
    if (r.count.on() || state_.limits().counts(label_id)) [[unlikely]] {
        r.begin_counting(nullptr);
        r.move_to_account();
    }
    return true;
}

bool allocator::is_active(epoch_id e) const noexcept
{
    if (e.index >= state_.prepared_slots())
        return false;
    epoch_slabs const& s = state_.epoch_slabs_at(e.index);
    // acquire: the state first, then the era; see epoch_slabs::is_of.
    return s.state.load(std::memory_order_acquire) == lifecycle::active &&
           s.era.load(std::memory_order_relaxed) == e.era;
}

std::uint32_t allocator::refcount(epoch_id e) const noexcept
{
    if (e.index >= state_.prepared_slots())
        return 0;
    epoch_slabs const& s = state_.epoch_slabs_at(e.index);
    // acquire: the count is read before the era, so that it is none of a later epoch.
    std::uint32_t const n = s.holds.load(std::memory_order_acquire);
    return s.era.load(std::memory_order_relaxed) == e.era ? n : 0;
}

shared_text::copy allocator::label_of(epoch_id e) const noexcept
{
    if (e.index >= state_.prepared_slots() ||
        state_.epoch_slabs_at(e.index).era.load(std::memory_order_relaxed) != e.era)
        return {};
    return state_.epoch_slabs_at(e.index).stats.label.read();
}

std::uint32_t allocator::label_id_of(epoch_id e) const noexcept
{
    if (e.index >= state_.prepared_slots() ||
        state_.epoch_slabs_at(e.index).era.load(std::memory_order_relaxed) != e.era)
        return label_registry::unlabeled;
    return state_.epoch_slabs_at(e.index).label_id.load(std::memory_order_relaxed);
}

}
