// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The slabs that a thread cache owns: acquiring them, keeping empty ones, returning all of them.
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <utility>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

#include "owned_slabs.hpp"

namespace tslab {

/// Makes this cache the owner of an empty slab.
// Modelled: tests/models/subslabs.pml, step take_ownership
void thread_cache::take_ownership(slab_meta& s, unsigned bin) noexcept
{
    owner_ref const me = owner_ref::of_bin(&bins_[bin].bin);
    s.where.store(residence::owned, std::memory_order_relaxed);
    // release: statistics and remote frees follow the pointer to the cache, which may be a new one (see cache_owning).
    s.owner.store(me, std::memory_order_release);
    if (has_subslabs(bin)) [[unlikely]]
        for_each_subslab(s, bin, [me](slab_meta& subslab) { subslab.owner.store(me, std::memory_order_relaxed); });
    s.partial = false;
    s.partly_purged = false;   // purged pages become resident as they are touched
    slow_bins_[bin].owned.push(s);
    note_held(bin, 1);
}

/// Moves the free slots of the current slab that are used up to `remote_free`: there they are free, for statistics and
/// for a flush, and are not allocated before they are claimed again. If the slab has no other slot, those are claimed
/// that other threads have freed. A slab without any is left; if it is empty it is recycled, and its page serves
/// pointers from then on.
void thread_cache::set_used_up_aside(unsigned bin) noexcept
{
    fork_exclusion const section{record_};
    slab_meta*& current = bins_[bin].bin.current;
    slab_meta& s = *current;   // the slabs of handles have one subslab
    std::uint32_t const page = page_heap::index_of(s);
    auto const used_up_of = [page](std::uint64_t word) {
        std::uint64_t used_up = 0;
        for (std::uint64_t left = word; left != 0; left &= left - 1)
            if (page_heap::is_used_up(page, static_cast<std::uint32_t>(std::countr_zero(left))))
                used_up |= left & (0 - left);
        return used_up;
    };
    for (;;) {
        std::uint64_t const word = s.local_free.load(std::memory_order_relaxed);
        std::uint64_t const used_up = used_up_of(word);
        std::uint64_t const freed = s.remote_free.fetch_or(used_up, std::memory_order_relaxed);   // no object was there
        s.local_free.store(
            word & ~used_up,
            std::memory_order_release);   // release: a thread that sees the bits gone sees them in remote_free
        if (word != used_up)
            return;
        if (used_up_of(freed) == freed) {
            current = &no_slab;
            if ((freed | used_up) == bins[bin].full_mask && !s.partial) {
                slow_bins_[bin].owned.remove(s);
                note_held(bin, 0U - 1);
                publish_owned(bin);
                record_->heap.recycle(s, record_);
            }
            return;
        }
        record_->classes[class_of_bin(bin)][class_event::collect].add();
        static_cast<void>(record_->heap.claim(s, bin));   // a slot that is not used up is among them: one more turn
    }
}

void thread_cache::forget_slabs(unsigned bin) noexcept
{
    bins_[bin].bin.current = &no_slab;
    slow_bin& b = slow_bins_[bin];
    note_held(bin, 0U - b.owned.size());
    b.owned = {};
    b.partial = nullptr;
    b.partial_count = 0;
    note_empty(bin, 0U - b.empty);
    b.parked = nullptr;
    b.to_scan = 0;
    publish_owned(bin);
    give_up_room();
}

void thread_cache::forget_slabs() noexcept
{
    for (bin_set used = used_bins_; used != 0; used &= used - 1)
        forget_slabs(static_cast<unsigned>(std::countr_zero(used)));
}

[[clang::preserve_most]] bool thread_cache::can_retain(unsigned bin) const noexcept
{
    slow_bin const& b = slow_bins_[bin];
    auto const idle = [bin](slab_meta const& s) {
        auto const free_of = [](slab_meta const& subslab) {
            return subslab.remote_free.load(std::memory_order_relaxed) == 0
                       ? subslab.local_free.load(std::memory_order_relaxed)
                       : 0;
        };
        return has_subslabs(bin) ? fill_of(s, bin, free_of).all : free_of(s) == bins[bin].full_mask;
    };
    if (bins[bin].pages > thread_record::batch_pages / 2 ||
        b.owned.size() > std::max(b.empty, b.partial_count) + 1)   // then some slabs are in use
        return false;
    for (slab_meta const* s = b.owned.front(); s != nullptr; s = s->next)
        if (!idle(*s))
            return false;
    return true;
}

/// Counts the slabs of a bin that stay with their cache at a close, where close_retained does not stand for them.
[[clang::preserve_most]] void thread_cache::count_kept(class_counters& counts, thread_record& me,
                                                       std::uint32_t slabs) noexcept
{
    counts[class_event::close_call].add();
    counts[class_event::close_scanned].add(slabs);
    counts[class_event::close_recycled].add(slabs);
    counts[class_event::recycled].add(slabs);
    me.counts[heap_event::close_scanned].add(slabs);
    me.counts[heap_event::close_recycled].add(slabs);
}

void thread_cache::flush_retained() noexcept
{
    for_each_slab([this](slab_meta& s, unsigned bin) {
        record_->heap.reset_slab(s, bin);
        record_->heap.slabs().put(s);
    });
    forget_slabs();
    used_bins_ = 0;
}

/// Takes the empty slabs, all but the first `keep`, off the partial stack, in order, and calls `give` with each.
template <class F> void thread_cache::give_empty(unsigned bin, std::uint32_t keep, F give) noexcept
{
    slow_bin& b = slow_bins_[bin];
    slab_meta* rest = std::exchange(b.partial, nullptr);
    slab_meta* last = nullptr;
    b.partial_count = 0;
    note_empty(bin, 0U - b.empty);
    while (rest != nullptr) {
        slab_meta& s = *rest;
        rest = next_partial(s);
        bool const empty = has_only_free(s, bin);
        if (empty && b.empty >= keep) {
            b.owned.remove(s);
            note_held(bin, 0U - 1);
            give(s);
            continue;
        }
        if (empty)
            note_empty(bin, 1);
        ++b.partial_count;
        set_next_partial(s, nullptr);
        if (last != nullptr)
            set_next_partial(*last, &s);
        else
            b.partial = &s;
        last = &s;
    }
    publish_owned(bin);
}

void thread_cache::flush_empty() noexcept
{
    give_up_room();
    for (bin_set used = used_bins_; used != 0; used &= used - 1) {
        auto const bin = static_cast<unsigned>(std::countr_zero(used));
        auto const give = [&](slab_meta& s) {
            if (!unused_in_era(bin))   // else it was counted when it was retained
                record_->classes[class_of_bin(bin)][class_event::recycled].add();
            record_->heap.reset_slab(s, bin);
            record_->heap.slabs().put(s);
            if (counted_) [[unlikely]]
                attached()->give_counted(bins[bin].pages);
        };
        give_empty(bin, 0, give);
        slab_meta*& current = bins_[bin].bin.current;
        if (current == &no_slab)
            continue;
        if (slab_meta& s = slab_of(*current, bin); has_only_free(s, bin)) {
            current = &no_slab;
            slow_bins_[bin].owned.remove(s);
            note_held(bin, 0U - 1);
            publish_owned(bin);
            give(s);
        }
    }
}

/// Whether a bin has empty slabs to give away, where those of all bins are more than `beyond` pages: empty_limit() slabs of each stay.
/// The walk over the stack pays when a good part of it is empty.
bool thread_cache::has_spare(unsigned bin, std::uint32_t beyond) const noexcept
{
    slow_bin const& b = slow_bins_[bin];
    return empty_pages_ > beyond &&
           b.empty > std::max(record_->heap.empty_limit(class_of_bin(bin)), b.partial_count / 4);
}

/// Recycles empty slabs of the partial stack, except for half of what the cache may hold, to the calling thread, whose
/// record is `to`. Every slot of theirs is in `local_free`, so no other thread has an object in them.
void thread_cache::recycle_empty(unsigned bin, thread_record& to) noexcept
{
    has_recycled_ = true;
    give_empty(bin, to.heap.empty_limit(class_of_bin(bin)) / 2, [&to](slab_meta& s) { to.heap.recycle(s, &to); });
}

namespace {

/// Whether every listed slab without an object has been counted. One has not where a signal handler has interrupted a free between its
/// store and restock_rare, which counts it then: it may neither be given away nor be counted here.
bool are_counted(slow_bin const& b, unsigned bin) noexcept
{
    std::uint32_t empty = 0;
    for (slab_meta const* s = b.partial; s != nullptr; s = next_partial(*s))
        empty += has_only_free(*s, bin) ? 1 : 0;
    return empty == b.empty;
}

}

/// The cache is about to take an empty slab of `bin`. If it has recycled some, and the thread has one of them still, it may hold
/// twice as many from now on: up to eight times cache_pages(), within what the heap and room_limit permit the thread's caches
/// together. If the thread has none of so many pages, of any class, half of those that this cache has of another class go to it, to be
/// cut anew, as long as the cache holds more than cache_pages().
[[gnu::noinline]] void thread_cache::adjust_room(unsigned bin, thread_record& me) noexcept
{
    constexpr std::uint8_t most = 3;
    heap_state const& heap = record_->heap;
    std::uint32_t const least = heap.cache_pages();
    if (me.retained.first(class_of_bin(bin)) != nullptr) {
        if (!std::exchange(has_recycled_, false) || room_ == most)
            return;
        std::uint32_t const more = least << room_;
        atomic<std::uint32_t>& room = home_->room;
        if (room.fetch_add(more, std::memory_order_relaxed) + more <=
            std::min(thread_record::room_limit, heap.thread_cache_pages()))
            ++room_;
        else
            room.fetch_sub(more, std::memory_order_relaxed);
        return;
    }
    std::uint32_t const pages = bins[bin].pages;
    if (bin >= class_count)   // slabs for handles are not cut from others
        return;
    for (unsigned c = 0; c < class_count; ++c)
        if (class_shapes[c].pages == pages && me.retained.count(c) != 0)
            return;
    for (bin_set used = used_bins_; used != 0; used &= used - 1) {
        auto const of = static_cast<unsigned>(std::countr_zero(used));
        // Slabs that were carried over from an earlier epoch have been counted as recycled: they stay.
        if (bins[of].pages != pages || unused_in_era(of) || !has_spare(of, least) || !are_counted(slow_bins_[of], of))
            continue;
        std::uint32_t const keep = std::max(heap.empty_limit(class_of_bin(of)), slow_bins_[of].empty) / 2;
        return give_empty(of, keep, [&me](slab_meta& s) { me.heap.recycle(s, &me); });
    }
}

/// Slabs have left the cache for want of memory or of use, or with its epoch: it may hold as many as at first.
void thread_cache::give_up_room() noexcept
{
    has_recycled_ = false;
    if (room_ == 0)
        return;
    std::uint32_t const least = home_->heap.cache_pages();
    home_->room.fetch_sub((least << room_) - least, std::memory_order_relaxed);
    room_ = 0;
}

/// Empties an owned slab with its live objects; returns their number.
inline std::uint64_t thread_cache::rewind(slab_meta& s, unsigned bin) noexcept
{
    heap_state& heap = record_->heap;
    bool const checked = with_checks && heap.checks().on();
    if (!checked && !has_subslabs(bin) && bin < class_count && s.remote_free.load(std::memory_order_relaxed) == 0)
        [[likely]] {
        std::uint32_t const live = live_slots(s, bin);
        s.local_free.store(bins[bin].full_mask, std::memory_order_relaxed);
        return live;
    }
    for_each_subslab(s, bin, [&](slab_meta& subslab) {
        if (subslab.remote_free.load(std::memory_order_relaxed) != 0) [[unlikely]]
            static_cast<void>(heap.claim(subslab, bin));
    });
    std::uint64_t const live = heap.retire_live(s, bin);
    for_each_subslab(s, bin, [bin](slab_meta& subslab) {
        subslab.local_free.store(bins[bin].full_mask, std::memory_order_relaxed);
    });
    return live;
}

std::uint64_t thread_cache::drop(thread_record& me, epoch_slabs& of) noexcept
{
    fork_exclusion const section{&me};
    dropped_ = true;
    std::uint64_t live = 0;
    for (bin_set used = used_bins_; used != 0; used &= used - 1) {
        auto const bin = static_cast<unsigned>(std::countr_zero(used));
        slow_bin& b = slow_bins_[bin];
        std::uint64_t const of_bin = flush_alloc_count(bin);   // from here on its slabs are carried over, not in use
        of.stats.allocations.add(of_bin);
        of.use.bytes += of_bin * bins[bin].size;
        b.to_scan = 0;
        slab_meta* const current = bins_[bin].bin.current != &no_slab ? bins_[bin].bin.current : b.parked;
        slab_meta const* const in_use = current != nullptr ? &slab_of(*current, bin) : nullptr;
        for (slab_meta* s = b.owned.front(); s != nullptr; s = s->next) {
            live += rewind(*s, bin);
            if (s != in_use && !s->partial)
                b.push_partial(*s);
        }
        note_empty(bin, b.partial_count - b.empty);
        if (has_spare(bin, record_->heap.cache_pages() << room_))
            recycle_empty(bin, me);
        if (of_bin != 0)
            me.classes[class_of_bin(bin)][class_event::recycled].add(b.owned.size());
    }
    return live;
}

live_count thread_cache::live() const noexcept
{
    live_count all;
    const_cast<thread_cache*>(this)->for_each_slab([&](slab_meta const& s, unsigned bin) { all += live_in(s, bin); });
    return all;
}

}
