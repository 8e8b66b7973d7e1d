// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the templates of assembly.hpp and page_walk.hpp require of a heap that they read: own_heap in snapshot.cpp reads a heap of this
// process, seen_heap in inspect/observer/observed_heap.hpp a copy of another one's. Included by assembly.hpp.
#pragma once

namespace tslab {

/// A thread's times; either is null if none was taken.
struct thread_times {
    timing_stats_page const* sampled;
    lock_histograms const* locks;
};

/// A visitor of `for_each_thread`: the thread's stats page; row(c), its counters of class c or null; labels(c, group), those under a
/// group of labels or null; its times; sums(), the cache_sums of its thread caches.
struct thread_visitor {
    template <class Row, class Labels, class Sums>
    void operator()(thread_stats_page const&, Row, Labels, thread_times, Sums) const;
};

/// A visitor of `for_each_cache_at_work`: ring slot and era of the epoch that the cache is attached to; allocations(), its allocations
/// in that epoch, and whether it is still attached to it.
struct cache_visitor {
    template <class Allocations> void operator()(std::uint32_t slot, std::uint64_t era, Allocations) const;
};

/// A group of a row's buckets, as a reader sees it.
struct seen_buckets {
    cost_buckets const* counts = nullptr;   ///< null: nothing was counted, or it is not known
    bool known = true;                      ///< false: they found no room in the segment
};

/// A visitor of `for_each_cost_row`: the row, and group(c, g), a group of its buckets.
struct cost_visitor {
    template <class Group> void operator()(cost_row const&, Group) const;
};
/// A visitor of `for_each_further_names`: the number of the first name, and the names.
struct further_names_visitor {
    void operator()(std::uint32_t first, further_label_names const&) const;
};

/// A heap that a snapshot or a map can be made of. What it returns may change from call to call while the heap is used, and need not be
/// plausible: another process wrote it. `page`: a descriptor that at(i) returned; `i`: a page below used_pages(), or an epoch below
/// prepared_epochs(). The pages are those ever used, numbered without gaps.
template <class H>
concept readable_heap =
    requires(H& heap, H const& h, std::uint32_t i, slab_meta const& page, unsigned bin, epoch_stats_page const& epoch,
             std::uint64_t n, snapshot& s, std::vector<epoch_stats*> const& of_slot) {
        { h.stats() } noexcept -> std::same_as<heap_stats_page const&>;
        { h.name() } -> std::convertible_to<std::string>;
        { h.pid() } noexcept -> std::same_as<std::int64_t>;
        { h.clocks() } noexcept -> std::same_as<clock_reading>;   // ages are up to then
        { h.live_known() } noexcept -> std::same_as<bool>;   // else add_held is called instead of walking the pages

        h.for_each_thread(thread_visitor{});
        h.for_each_cache_at_work(cache_visitor{});
        h.for_each_cost_row(cost_visitor{});
        h.for_each_further_names(further_names_visitor{});
        {
            h.thread_name(i)
        } -> std::same_as<std::string>;   // of the thread with that number in the system; may be empty
        { h.locks_are_timed(n) } noexcept -> std::same_as<bool>;   // given the number of samples that were found

        // Epochs. Null if a slot was being reopened.
        { h.prepared_epochs() } noexcept -> std::same_as<std::uint32_t>;
        { h.epoch(i) } noexcept -> std::same_as<epoch_stats_page const*>;
        { h.oldest_holder_of(i, epoch) } -> std::same_as<oldest_holder>;
        { h.closes() } noexcept -> std::same_as<close_page const*>;        // null if there was none that it has
        { h.place(i) } noexcept -> std::same_as<published_place const*>;   // by its number; null if it is not known

        // Pages. home_of returns no epoch for a slot that is not below its second argument.
        { h.used_pages() } noexcept -> std::same_as<std::uint32_t>;
        { h.at(i) } noexcept -> std::same_as<slab_meta const&>;
        { h.live(page, bin) } noexcept -> std::same_as<std::uint32_t>;
        { h.is_retained(page, bin) } noexcept -> std::same_as<bool>;
        { h.home_of(page, i) } noexcept -> std::same_as<epoch_id>;
        { h.free_resident_class(i) } noexcept -> std::same_as<unsigned>;
        h.add_held(s, of_slot);

        // Residency, and what is not counted by pages.
        { h.residency_known() } noexcept -> std::same_as<bool>;
        { h.resident_pages() } -> std::same_as<std::vector<unsigned char>>;   // empty, or one entry for each page
        { h.rss_bytes() } -> std::same_as<std::uint64_t>;
        { h.metadata_bytes() } noexcept -> std::same_as<std::uint64_t>;
        { h.missing_chunks() } noexcept -> std::same_as<std::uint64_t>;   // of statistics that readers do not find
        { h.resident_metadata_bytes() } -> std::same_as<std::uint64_t>;
        {
            heap.never_less(n)
        } noexcept -> std::same_as<std::uint64_t>;   // n, or what was returned before if that is more
    };

}
