// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Decay: empty slabs and free pages that were not used for an interval, or while much was allocated, go to the heap's
// caches and to the kernel. See docs/decisions/0007-decay.md.
module;
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "purge_thread.hpp"

namespace tslab {

/// Flushes what the calling thread did not use since its last decay to the heap's caches. Then decays the heap, unless
/// another thread has done so in this interval.
[[gnu::cold, gnu::noinline]] void heap_state::decay(thread_record& me, std::uint64_t now) noexcept
{
    std::uint64_t const before = me.decayed_ns.load(std::memory_order_relaxed);
    me.decayed_ns.store(now, std::memory_order_relaxed);
    if (!slabs_.decays())
        return;
    {
        fork_exclusion const section{&me};
        for (unsigned c = 0; c < class_count; ++c)
            if (std::uint32_t const n = me.retained.unwanted(c); n != 0)
                slabs_.put_chain(me.retained.take_oldest(c, n), {});
        for (thread_cache* l = me.all_caches.load(std::memory_order_relaxed); l != nullptr; l = l->next_of_record_)
            // acquire, and first: a closer that detached the cache no longer touches it.
            if (l->attached_.load(std::memory_order_acquire) == nullptr && l->used_bins_ != 0 && l->used_ns_ < before) {
                l->flush_retained();
                me.retaining.store(me.retaining.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
            }
    }
    decay_heap(&me, now);
    if (asks_background_)
        background().ensure_started();
}

void heap_state::decay_heap(thread_record* me, std::uint64_t now) noexcept
{
    std::uint64_t last = decayed_ns_.load(std::memory_order_relaxed);
    // One thread an interval. relaxed: only the right to decay is passed on, no data.
    if (!slabs_.decays() || !is_due(now, last) ||
        !decayed_ns_.compare_exchange_strong(last, now, std::memory_order_relaxed))
        return;
    fork_exclusion const section{me};
    purge_closed(me, now);
    slabs_.decay();
    if (now > 2 * decay_ns_) {
        std::uint64_t const idle_since = now - 2 * decay_ns_;
        reach_threads(me, idle_since);
        // What other threads freed in slabs that an idle thread owns in an open epoch: only its owner would find it. `key`
        // leaves out resources' caches, whose claims nobody else may take, and those revoked already.
        auto const was_freed_into = [](thread_cache const& l) {
            return (l.key() & thread_key) == 0 && std::ranges::any_of(l.bins_, [](auto const& b) {
                       return b.bin.freed_into.load(std::memory_order_relaxed) != 0;
                   });
        };
        for (thread_record const* r = first_record(); r != nullptr; r = r->next_of_heap) {
            if (r == me || r->decayed_ns.load(std::memory_order_relaxed) >= idle_since)
                continue;
            for (thread_cache const* l = r->all_caches.load(std::memory_order_acquire); l != nullptr;
                 l = l->next_of_record_)
                if (epoch_slabs* const home = l->attached(); home != nullptr && was_freed_into(*l))
                    home->reclaim_from_others(me);
        }
    }
    if (std::uint32_t const unwanted = pages().unwanted_pages(page_heap::watcher::of_time); unwanted != 0)
        purge_unwanted(me != nullptr ? purge_cause::time : purge_cause::background, unwanted);
    give_back_units(me);
}

void heap_state::purge_unwanted(purge_cause cause, std::uint64_t most) noexcept
{
    if (pages().purge(most).calls != 0)
        stats_.purge_passes[static_cast<std::size_t>(cause)].add_shared();
}

void heap_state::purge_at_once() noexcept
{
    purge_closed(nullptr, never);
    revoke_thread_caches(nullptr);
    slabs_.empty();
    purge_unwanted(purge_cause::pressure, ~std::uint64_t{0});
}

bool heap_state::keeps_anything() const noexcept
{
    if (pages().free_resident_pages() != 0)
        return true;
    for (unsigned c = 0; c < class_count; ++c)
        if (slabs_.cached(c) != 0)
            return true;
    for (thread_record const* r = first_record(); r != nullptr; r = r->next_of_heap)
        if (r->retained.pages() != 0 || r->retaining.load(std::memory_order_relaxed) != 0)
            return true;
    return false;
}

std::uint64_t heap_state::next_decay_ns(std::uint64_t now, bool keeps) const noexcept
{
    if (decay_ns_ == never)
        return never;
    return keeps ? std::max(now, decayed_ns_.load(std::memory_order_relaxed) + decay_ns_) : now + decay_ns_;
}

void heap_state::note_work(thread_record& me) noexcept
{
    decay_if_due(me, now_ns_coarse());
    constexpr std::uint64_t half = 256;           // periods of allocations, together a quarter of a million objects
    constexpr std::uint32_t least_pages = 2048;   // 8 MiB: fewer pages wait for the decay by time
    if (me.slabs_taken != me.slabs_taken_before) {
        // A thread that takes slabs may need the free pages next, once it has used up its own empty slabs.
        me.slabs_taken_before = me.slabs_taken;
        work_.store(0, std::memory_order_relaxed);
        return;
    }
    std::uint64_t const n = work_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (n % half != 0 || !slabs_.decays()) [[likely]]
        return;
    // The first call of unwanted_pages begins a period, the second one ends it.
    std::uint32_t const unwanted = pages().unwanted_pages(page_heap::watcher::of_work);
    if (n % (2 * half) != 0 || unwanted < least_pages)
        return;
    fork_exclusion const section{&me};
    purge_unwanted(purge_cause::work, unwanted);
    give_back_units(&me);
}

}
