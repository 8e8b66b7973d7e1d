// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the begin and the end of every scope do to a thread cache and an epoch, inline: the functions that
// allocator::open_epoch and allocator::end_alone are made of.
#pragma once

export namespace tslab {

// Modelled: tests/models/retained.pml, step take_cache
inline thread_cache* heap_state::take_cache(thread_record& me) noexcept
{
    thread_cache* const l = me.spare;
    if (l == nullptr) [[unlikely]]
        return take_further_cache(me);
    me.spare = l->next_spare_;
    if (l->used_bins_ != 0)
        me.retaining.store(me.retaining.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    return l;
}

inline void heap_state::return_bound_cache(thread_cache& l, thread_record* me) noexcept
{
    if (!l.admits_frees_of(me))   // another thread's, or a serial resource's
        return return_cache(l);
    me->keep_cache(l);
}

inline void thread_record::keep_cache(thread_cache& l) noexcept
{
    l.exclusive_ = false;
    l.next_spare_ = spare;
    spare = &l;
}

inline void heap_state::note_large_freed(slab_meta& s) noexcept
{
    large_allocation const a{s};
    if (a.sampled() == 0) [[likely]]
        return;
    if (profiled_site const* const site = profiler_.find(a.sampled()))
        profiler_.note_free(*site, a.bytes());
    large_allocation::set_sampled(s, 0);
}

inline void heap_state::give_back_units_if_many(thread_record* me) noexcept
{
    if (pages().free_purged_pages() > page_heap::slack_pages + page_heap::slack_pages / 2) [[unlikely]]
        give_back_units(me);
}

inline void thread_cache::note_kept(thread_record& me) noexcept
{
    if (used_bins_ == 0)
        return;
    // Counted here, so that no more caches retain slabs however many are detached at once.
    me.retaining.store(me.retaining.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    used_ns_ = me.clock_ns;
}

inline bool thread_cache::keep_used(thread_record& me) noexcept
{
    if (key() != this_thread.key || !admits_frees_of(&me))   // revoked, another thread's, or a serial resource's
        return false;
    return used_bins_ == 0 || keep_used_bins(me);
}

/// Publishes the allocations of a bin of class `c`, whose slabs stay, and counts the slabs. `slabs`: how many it has.
inline void thread_cache::keep_bin(std::size_t bin, unsigned c, std::uint32_t slabs, thread_record& me,
                                   era_sums& sums) noexcept
{
    slow_bin& of = slow_bins_[bin];
    fast_bin const& b = bins_[bin].bin;
    std::uint64_t const all = b.allocations.value();
    std::uint64_t const n = all - of.flushed_allocations.value();
    if (n == 0) {   // the slabs were counted when the cache retained them
        sums.carried += slabs * bins[bin].pages;
        return;
    }
    sums.objects += n;
    sums.bytes += n * b.size;
    of.flushed_allocations.set(all);
    published_->allocations[bin].set(all);
    class_counters& counts = me.classes[c];
    if (slabs == 1) [[likely]]
        counts[class_event::close_retained].add();   // stands for four events, see there
    else if (slabs != 0)
        count_kept(counts, me, slabs);
}

/// keep_used of a cache that has used bins. The bins that most scopes use come first: there a bin is its class.
// Modelled: tests/models/retained.pml, step is_retained_whole
inline bool thread_cache::keep_used_bins(thread_record& me) noexcept
{
    era_sums sums;
    bin_set used = used_bins_ & retainable_bins;
    for (; used != 0; used &= used - 1) {
        auto const bin = static_cast<std::size_t>(std::countr_zero(used));
        auto const c = static_cast<unsigned>(bin);
        slow_bin const& of = slow_bins_[bin];
        if (of.owned.size() == 1 && of.empty == 0 && is_current_empty(bin))
            [[likely]] {   // the common case of the next one
            keep_bin(bin, c, 1, me, sums);
            continue;
        }
        if (!is_retained_whole(c) && !can_retain(c)) [[unlikely]]
            break;
        keep_bin(bin, c, of.owned.size(), me, sums);
    }
    bool kept = used == 0;
    if (kept)
        for (used = used_bins_ & ~retainable_bins; used != 0; used &= used - 1) {
            auto const bin = static_cast<unsigned>(std::countr_zero(used));
            kept = can_retain(bin);
            if (!kept)
                break;
            keep_bin(bin, class_of_bin(bin), slow_bins_[bin].owned.size(), me, sums);
        }
    unpublished_ += sums.objects;
    unpublished_bytes_ += sums.bytes;
    if (kept && sums.carried != 0 && !dropped_)
        peak_pages_.store(peak_pages_.load(std::memory_order_relaxed) - sums.carried, std::memory_order_relaxed);
    return kept;
}

[[gnu::always_inline]] inline void epoch_slabs::link(thread_cache& l, std::uint64_t for_era, std::uint64_t key,
                                                     atomic<thread_cache*>* binding) noexcept
{
    cache_stats_page& published = *l.published_;
    std::uint32_t const slot = index;
    thread_cache* const next = caches;
    l.binding_ = binding;
    l.era_.store(for_era, std::memory_order_relaxed);
    l.slot_.store(slot, std::memory_order_relaxed);
    published.slot.store(slot, std::memory_order_relaxed);
    published.era.store(for_era, std::memory_order_relaxed);
    l.peak_pages_.store(l.held_pages_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    l.dropped_ = false;
    l.prev_ = nullptr;
    l.next_ = next;
    if (next != nullptr)
        next->prev_ = &l;
    caches = &l;
    ++cache_count;
    l.attached_.store(this, std::memory_order_release);   // release: see home_of
    l.key_.store(key, std::memory_order_relaxed);         // last: from here on a closer may revoke it, under this lock
    if (binding != nullptr)
        binding->store(
            &l, std::memory_order_release);   // release: others read the key of a cache that may be new through it
}

// Modelled: tests/models/era.pml, step end_alone
[[gnu::always_inline]] inline bool epoch_slabs::end_alone(std::uint64_t of_era, thread_cache& l, thread_record& me,
                                                          std::uint64_t now, phase_cost& cost) noexcept
{
    if (era.load(std::memory_order_relaxed) != of_era || state.load(std::memory_order_relaxed) != lifecycle::active ||
        holds.load(std::memory_order_relaxed) != 1 || caches != &l || l.next_ != nullptr ||
        (slab_count | large_count.load(std::memory_order_relaxed)) != 0) [[unlikely]]
        return false;
    if (count.on()) [[unlikely]]
        end_counting(&l);
    epoch_stats_page& published = stats;   // read once: see epoch_slabs::stats
    cache_stats_page& of_cache = *l.published_;
    l.key_.store(closed_key, std::memory_order_relaxed);
    l.binding_ = nullptr;   // the resource ends
    l.note_kept(me);
    std::uint64_t bytes = 0;
    if (std::uint64_t const n = std::exchange(l.unpublished_, 0); n != 0) {
        published.allocations.add(n);
        bytes = std::exchange(l.unpublished_bytes_, 0);
    }
    std::uint64_t const pages = l.peak_pages_.load(std::memory_order_relaxed);
    caches = nullptr;
    cache_count = 0;
    of_cache.counted_frees.raise(l.counted_frees_.value());
    of_cache.era.store(0, std::memory_order_relaxed);
    l.attached_.store(nullptr, std::memory_order_release);   // release: pairs with the acquire in flush_retained
    state.store(lifecycle::drained, std::memory_order_relaxed);
    published.state.store(lifecycle::drained, std::memory_order_relaxed);
    cost = cost_with(bytes, pages, now);
    return true;
}

}
