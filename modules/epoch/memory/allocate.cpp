// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Allocations that the inline path does not carry out: large ones, and those that are refused.
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

namespace tslab {

unsigned allocator::class_of_rare(std::size_t bytes, std::size_t alignment) noexcept
{
    return class_of(bytes, alignment);
}

void* allocator::refuse_early(unsigned bin, epoch_id e, refusal& why) noexcept
{
    thread_record* const me = state_.record();
    if (e.index >= state_.slots() || e.era == closed_key) {   // no such ring slot, or no era
        why = refusal::closed;
        state_.counts_of(me, class_of_bin(bin))[class_event::epoch_closed].add();
    } else {
        why = refusal::out_of_memory;
        state_.counts_of(me, class_of_bin(bin))[class_event::out_of_memory].add();
        // If the record could not be made a moment ago and exists now, this is no call from inside an operation.
        if (me != nullptr && me->activity.load(std::memory_order_relaxed) != 0 && !me->profile.walking)
            state_.misused({.kind = misuse::reentry});
    }
    return nullptr;
}

refusal allocator::refused(thread_record& me, unsigned bin, bool closed, bool had_cache, bool retried) noexcept
{
    class_counters& counts = me.classes[class_of_bin(bin)];
    if (!closed && had_cache && me.apart.refused)
        return refusal::limited;   // take_refusal says by which limit
    if (closed && !retried)
        counts[class_event::epoch_closed].add();
    else if (!closed && !had_cache)
        counts[class_event::out_of_memory].add();   // a refill without memory has counted that itself
    return closed ? refusal::closed : refusal::out_of_memory;
}

/// Allocates in the current epoch, after `closed` was that and refused the allocation: another thread has advanced.
void* allocator::malloc_again(std::size_t bytes, epoch_id closed) noexcept
{
    for (;; spin_pause()) {
        epoch_id const now = current_epoch();
        if (now == closed)   // its successor was stored before it was closed, and is seen soon
            continue;
        refusal why = refusal::retried;
        void* const p = allocate_bytes(bytes, fast_alignment, now, why);
        if (p != nullptr || why != refusal::closed)
            return p;
        closed = now;
    }
}

void* allocator::allocate_large(std::size_t bytes, std::size_t alignment, epoch_id e, void const* owner, refusal& why,
                                bool by_handle) noexcept
{
    thread_record* const me = state_.record();
    profiled_site* const site = me != nullptr && state_.profiler().on() ? choose_profiled(*me, bytes, e) : nullptr;
    std::uint32_t const one_in = me != nullptr ? state_.sample_one_in() : 0;
    // Here no operation ends whose end would look. A resource looks itself, when it has counted the object.
    auto const looked = [me, owner](void* p) {
        if (me != nullptr && owner == nullptr)
            after_operation(*me);
        return p;
    };
    if (one_in == 0)
        return looked(take_large(bytes, alignment, e, owner, me, why, by_handle, site));
    // A countdown that began at another rate, or while sampling was off, is cut to what this rate can choose.
    me->large_to_sample = std::min(me->large_to_sample, 2 * one_in - 1);
    if (--me->large_to_sample != 0)
        return looked(take_large(bytes, alignment, e, owner, me, why, by_handle, site));
    me->large_to_sample = me->choose_sample();
    tick_clock::calibrate();
    sample_timer timer;
    timer.expect_wait();
    void* const p = take_large(bytes, alignment, e, owner, me, why, by_handle, site);
    me->note_allocation(timer.read());
    return looked(p);
}

/// Counts a large allocation down to the next one that the heap profile samples. Returns the entry of the calling thread's
/// stack if it is this one.
[[gnu::noinline]] profiled_site* allocator::choose_profiled(thread_record& me, std::size_t bytes, epoch_id e) noexcept
{
    if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) || inside_operation() ||
        e.index >= state_.prepared_slots() || !is_active(e))
        return nullptr;   // it will be refused
    me.profile.to_large -= static_cast<double>(std::max<std::size_t>(bytes, 1));
    if (me.profile.to_large > 0)
        return nullptr;
    me.profile.to_large = state_.profiler().draw(me.profile.seed);
    return state_.profiler().find_site(me, bin_count,
                                       state_.epoch_slabs_at(e.index).label_id.load(std::memory_order_relaxed));
}

void* allocator::take_large(std::size_t bytes, std::size_t alignment, epoch_id e, void const* owner, thread_record* me,
                            refusal& why, bool by_handle, profiled_site* site) noexcept
{
    class_counters& counts = state_.counts_of(me, large_class);
    auto const is_closed = [&counts, retried = why == refusal::retried] {
        if (!retried)
            counts[class_event::epoch_closed].add();
        return refusal::closed;
    };
    why = refusal::out_of_memory;
    if (me != nullptr)
        me->apart.refused = {};
    if (bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) ||
        !std::has_single_bit(alignment)) {
        counts[class_event::out_of_memory].add();
        return nullptr;
    }
    if (inside_operation()) {
        state_.misused({.kind = misuse::reentry});
        return nullptr;
    }
    if (!is_active(e)) {
        why = is_closed();
        return nullptr;
    }
    std::size_t const pages = std::max<std::size_t>((bytes + page_bytes - 1) >> page_shift, 1);
    fork_exclusion const section{me};
    epoch_slabs& home = state_.epoch_slabs_at(e.index);
    limit_refusal limit;
    if (home.count.on() && !home.admits_large(e.era, pages, me, limit)) [[unlikely]] {
        why = refusal::limited;
        return nullptr;
    }
    if (me != nullptr)
        state_.decay_sometimes(*me);
    auto const take = [&] {
        return state_.pages().take(static_cast<std::uint32_t>(pages), std::max(alignment, page_bytes),
                                   home.site(me, large_class), by_handle ? 1 : 0);
    };
    slab_meta* s = pages <= state_.pages().max_pages() ? take() : nullptr;
    if (s == nullptr && pages <= state_.pages().max_pages()) {
        state_.empty_caches(me);
        s = take();
        if (s == nullptr && state_.make_room(me))
            s = take();
    }
    if (s == nullptr) {
        counts[class_event::out_of_memory].add();
        return nullptr;
    }
    state_.report_late_frees(*s);
    if (std::uint32_t const page = page_heap::index_of(*s); !by_handle && page_heap::has_generations(page))
        static_cast<void>(retire_generation(*s, 0));   // a handle that a heap left behind names nothing here
    large_allocation::make(*s, bytes, static_cast<std::uint32_t>(pages), owner);
    large_allocation::set_sampled(*s, site != nullptr ? site->hash : 0);
    if (!home.add_large(*s, e.era, me, limit)) {
        large_allocation::set_sampled(*s, 0);
        state_.pages().give(*s, static_cast<std::uint32_t>(pages), true);
        if (limit)
            home.note_refused(limit, me);
        why = limit ? refusal::limited : is_closed();
        return nullptr;
    }
    if (site != nullptr)
        state_.profiler().note_sample(*site, bytes);
    state_.count(me, heap_event::large_allocation);
    why = refusal::none;
    return s->base;
}

}
