// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reading an observed heap: its lists from the copy of the segment, its descriptors from memory. Included by
// observer.cpp alone.
#pragma once
#include "observed_heap.hpp"

namespace tslab {

namespace {

/// The clocks now, as the process sees them; of a process that is gone: at its last sign of life.
clock_reading seen_heap::clocks() const noexcept
{
    segment_header const& h = copy_.header();
    if (offset_ns_)
        return {now_ns() + static_cast<std::uint64_t>(*offset_ns_), wall_clock_ns(), h.boot};
    std::uint64_t const last = last_sign_of_life();
    return {last, h.started_ns + (last - h.started_monotonic_ns), h.boot};
}

/// The latest time that the process published of this heap, CLOCK_MONOTONIC: threads publish it when they look at the
/// clock. Not before the segment was made.
std::uint64_t seen_heap::last_sign_of_life() const noexcept
{
    std::uint64_t last = std::max(copy_.header().started_monotonic_ns, stats().made_ns);
    for (thread const& t : threads_)
        last = std::max(last, t.stats->clock_ns.load(std::memory_order_relaxed));
    for (std::uint32_t i = 0; i < prepared_; ++i)
        if (epoch_stats_page const* const e = epoch(i))
            last = std::max(
                {last, e->opened_ns.load(std::memory_order_relaxed), e->closing_ns.load(std::memory_order_relaxed)});
    return last;
}

void seen_heap::read_caches()
{
    // The bounds end lists that are cyclic.
    std::size_t const most_threads = copy_.bytes_used() / sizeof(thread_stats_page);
    std::size_t const most_caches = copy_.bytes_used() / sizeof(cache_stats_page);
    for (thread_stats_page const* t = copy_.at(stats().threads.load(std::memory_order_relaxed));
         t != nullptr && threads_.size() < most_threads; t = copy_.at(t->next.load(std::memory_order_relaxed))) {
        std::size_t const first = caches_.size();
        for (cache_stats_page const* l = copy_.at(t->caches.load(std::memory_order_relaxed));
             l != nullptr && caches_.size() < most_caches; l = copy_.at(l->next.load(std::memory_order_relaxed)))
            caches_.push_back({l->cache.load(std::memory_order_relaxed), l, caches_.size()});
        threads_.push_back({t, first, caches_.size()});
    }
    for (seen_cache const& l : caches_)
        by_address_.push_back(&l - caches_.data());
    std::ranges::sort(by_address_, [this](auto a, auto b) { return cache_at(a).address < cache_at(b).address; });
}

void seen_heap::read_epochs()
{
    epochs_.resize(prepared_);
    auto address = reinterpret_cast<std::uintptr_t>(stats().epochs.load(std::memory_order_relaxed));
    auto const* e = copy_.at<epoch_stats_page>(address);
    for (std::size_t left = copy_.bytes_used() / sizeof(epoch_stats_page); e != nullptr && left != 0; --left) {
        if (std::uint32_t const i = e->index.load(std::memory_order_relaxed); i < prepared_)
            epochs_[i] = address;
        address = reinterpret_cast<std::uintptr_t>(e->next.load(std::memory_order_relaxed));
        e = copy_.at<epoch_stats_page>(address);
    }
}

void seen_heap::read_places()
{
    // From the second copy: what the first one says of a holder was published after the text of its place.
    heap_stats_page const* const stats_again = again_.counterpart(copy_, stats_);
    if (stats_again == nullptr)
        return;
    std::size_t left = again_.bytes_used() / sizeof(place_page);   // ends a list that is cyclic
    std::size_t const most = left * place_page::capacity;
    for (place_page const* p = again_.at(stats_again->places.load(std::memory_order_relaxed));
         p != nullptr && left-- != 0; p = again_.at(p->next.load(std::memory_order_relaxed))) {
        if (p->first >= most)
            continue;
        places_.resize(std::max<std::size_t>(places_.size(), p->first + place_page::capacity));
        for (std::uint32_t i = 0; i < place_page::capacity; ++i)
            places_[p->first + i] = &p->places[i];
    }
}

bool seen_heap::read_runs()
{
    constexpr std::uint64_t most_units = (std::uint64_t{1} << 26) / unit_pages;   // 256 GiB of pages
    std::uint64_t const known = stats().max_units;
    std::uint64_t lowest = 0;
    std::uint64_t total = 0;
    for (std::uint64_t at = stats().pages.first_run.load(std::memory_order_relaxed); at != 0;) {
        std::array<std::uint32_t, 2> link{};   // the count, and the next run
        static_assert(sizeof(link) == sizeof(unit_link));
        std::uint64_t const first = at - 1;
        if (first < lowest || first >= known ||
            !memory_.read(stats().unit_links + first * sizeof(link), link.data(), sizeof(link)) || link[0] == 0 ||
            link[0] > known - first)
            return false;
        total += link[0];
        if (total > most_units)
            return false;
        order_.add({static_cast<std::uint32_t>(first), link[0]});
        lowest = first + link[0];
        at = link[1];
    }
    return true;
}

bool seen_heap::read_memory()
{
    std::array<std::byte, sizeof(slab_meta)> last{};   // read first, before memory is allocated for an implausible size
    if (!read_runs() || (order_.size() != 0 &&
                         !memory_.read(stats().descriptors + order_.page_of(order_.size() - 1) * sizeof(slab_meta),
                                       last.data(), last.size()))) {
        order_ = {};
        return false;
    }
    pages_ = order_.size();
    descriptors_ = bytes{std::size_t{pages_} * sizeof(slab_meta)};
    std::size_t const words = pages_ / unit_pages;
    free_resident_.resize(words);
    free_large_.resize(words);
    std::vector<std::uint64_t> addresses;
    addresses.reserve(caches_.size());
    for (seen_cache const& l : caches_)
        addresses.push_back(l.address);
    cache_memory_ = bytes{caches_.size() * sizeof(thread_cache)};
    bool read = memory_.read_each(addresses, {cache_memory_.data()}, sizeof(thread_cache)) && read_descriptors();
    order_.for_each_run([&](unit_run r, std::uint32_t begin) {
        auto const words_of = [&](std::uint64_t table, std::vector<std::uint64_t>& to) {
            constexpr std::size_t each = sizeof(std::uint64_t);
            return memory_.read(table + r.first * each, to.data() + begin / unit_pages, r.count * each);
        };
        read = read && words_of(stats().free_resident_words, free_resident_) &&
               words_of(stats().free_large_words, free_large_);
    });
    if (!read) {
        forget_memory();
        return false;
    }
    addresses.clear();
    for (std::uint32_t i = 0; i < pages_; ++i)
        if (unsigned const bin = at(i).bin(); bin < bin_count && has_subslabs(bin)) {
            subslab_pages_.push_back(i);
            addresses.push_back(stats().subslabs + std::uint64_t{order_.page_of(i)} * max_subslabs * sizeof(slab_meta));
        }
    subslabs_ = bytes{subslab_pages_.size() * max_subslabs * sizeof(slab_meta)};
    bytes again{subslabs_.size()};
    if (memory_.read_each(addresses, {subslabs_.data(), again.data()}, max_subslabs * sizeof(slab_meta))) {
        for (std::size_t i = 0; i < subslab_pages_.size() * max_subslabs; ++i)
            join_words(slab_in(subslabs_, i), slab_in(again, i), true);
        return true;
    }
    forget_memory();
    return false;
}

void seen_heap::forget_memory()
{
    pages_ = 0;
    order_ = {};
    cache_memory_ = bytes{0};
}

bool seen_heap::read_descriptors()
{
    // One unit at a time, so that the second copy follows the first closely.
    bytes again{descriptors_.size()};
    std::vector<std::uint64_t> addresses;
    order_.for_each_run([&](unit_run r, std::uint32_t) {
        for (std::uint64_t u = r.first; u < std::uint64_t{r.first} + r.count; ++u)
            addresses.push_back(stats().descriptors + u * address_window::slab_bytes_of_unit);
    });
    if (!memory_.read_each(addresses, {descriptors_.data(), again.data()}, address_window::slab_bytes_of_unit))
        return false;
    for (std::uint32_t i = 0; i < pages_; ++i) {
        slab_meta& first = slab_in(descriptors_, i);
        slab_meta const& second = slab_in(again, i);
        unsigned const bin = first.bin();
        if (bin < bin_count && second.bin() == bin)
            join_words(first, second, !has_subslabs(bin));   // else `local_free` is not a set of slots
    }
    return true;
}

}

}
