// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Snapshots taken in the heap's own process: records are read directly, residency is asked of the kernel.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

#include "assembly.hpp"

namespace tslab {

namespace {

/// Returns the largest count published so far, `now` included: allocations made during the page walk can make `now` too
/// small.
std::uint64_t largest_published(atomic<std::uint64_t>& published, std::uint64_t now) noexcept
{
    std::uint64_t before = published.load(std::memory_order_relaxed);
    while (before < now && !published.compare_exchange_weak(before, now, std::memory_order_relaxed)) {
    }
    return std::max(before, now);
}

/// A heap of this process, as `assemble` reads it.
class own_heap {
public:
    own_heap(heap_state const& state, label_registry const& labels, atomic<std::uint64_t>& frees_published)
        : state_{state}, labels_{labels}, pins_{state}, frees_published_{frees_published}
    {
        state.pages().for_each_run([this](unit_run r) { order_.add(r); });
    }

    [[nodiscard]] heap_stats_page const& stats() const noexcept { return state_.stats(); }
    [[nodiscard]] std::string const& name() const noexcept { return state_.name(); }
    [[nodiscard]] std::int64_t pid() const noexcept { return ::getpid(); }
    [[nodiscard]] bool live_known() const noexcept { return true; }
    [[nodiscard]] static clock_reading clocks() noexcept { return {now_ns(), wall_clock_ns(), read_boot_id()}; }

    template <class F> void for_each_thread(F visit) const
    {
        for (thread_record const* r = state_.first_record(); r != nullptr; r = r->next_of_heap)
            visit(
                r->stats, [r](unsigned c) { return r->classes.row(c); },
                [r](unsigned c, std::uint32_t group) { return r->classes.labels(c, group); },
                thread_times{r->times.load(std::memory_order_acquire), r->classes.times().made()},
                [&] {
                    cache_sums sums;
                    state_.for_each_cache(*r, [&](thread_cache const& l) {
                        sums.add([&l](unsigned bin) { return l.allocations(bin).value(); }, l.counted_frees().value());
                    });
                    return sums;
                });
    }
    template <class F> void for_each_cache_at_work(F visit) const
    {
        for (thread_record const* r = state_.first_record(); r != nullptr; r = r->next_of_heap)
            state_.for_each_cache(*r, [&](thread_cache const& l) {
                std::uint64_t const era = l.era();
                visit(l.slot(), era, [&l, era] {
                    std::uint64_t const n = l.allocations_of_era();
                    return std::pair{n, l.era() == era};
                });
            });
    }

    template <class F> void for_each_cost_row(F visit) const
    {
        for (thread_record const* r = state_.first_record(); r != nullptr; r = r->next_of_heap)
            r->costs.for_each([&](label_costs const& of) {
                visit(of.row(), [&of](cost c, std::size_t g) { return seen_buckets{of.group(c, g)}; });
            });
    }
    template <class F> void for_each_further_names(F visit) const { labels_.for_each_further(visit); }

    [[nodiscard]] std::string thread_name(std::uint32_t tid) const { return read_thread_name(::getpid(), tid); }

    [[nodiscard]] std::uint32_t prepared_epochs() const noexcept { return state_.prepared_slots(); }
    [[nodiscard]] epoch_stats_page const* epoch(std::uint32_t i) const noexcept
    {
        return &state_.epoch_slabs_at(i).stats;
    }
    [[nodiscard]] oldest_holder oldest_holder_of(std::uint32_t i, epoch_stats_page const&) const
    {
        auto const& r = static_cast<epoch_record const&>(state_.epoch_slabs_at(i));
        return find_oldest_holder([&r](auto visit) { r.for_each_holder(visit); });
    }
    [[nodiscard]] close_page const* closes() const noexcept { return std::as_const(state_).closes(); }
    [[nodiscard]] published_place const* place(std::uint32_t number) const noexcept
    {
        return state_.places().text_of(number);
    }

    [[nodiscard]] std::uint32_t used_pages() const noexcept { return order_.size(); }
    [[nodiscard]] slab_meta const& at(std::uint32_t i) const noexcept { return page_heap::at(order_.page_of(i)); }
    [[nodiscard]] std::uint32_t live(slab_meta const& page, unsigned bin) const noexcept
    {
        return live_slots(page, bin);
    }
    /// Whether a thread cache retains the slab for its next epoch, or carries it over into one that has not used it.
    [[nodiscard]] bool is_retained(slab_meta const& page, unsigned bin) const noexcept
    {
        thread_cache const* const l = cache_owning(page);
        return l != nullptr && (l->attached() == nullptr || l->unused_in_era(bin)) && live_slots(page, bin) == 0;
    }
    /// The epoch that a page belongs to; none for a slot that is not below `known`: its record may be under
    /// construction.
    [[nodiscard]] epoch_id home_of(slab_meta const& page, std::uint32_t known) const noexcept
    {
        epoch_slabs const* const home = tslab::home_of(page);
        std::uint32_t const slot = home != nullptr ? state_.slot_of(*home) : known;
        return slot < known ? epoch_id{slot, home->era.load(std::memory_order_relaxed)} : epoch_id{};
    }
    [[nodiscard]] unsigned free_resident_class(std::uint32_t i) const noexcept
    {
        return state_.pages().free_resident_class(order_.page_of(i));
    }

    [[nodiscard]] bool residency_known() const noexcept { return tslab::residency_known(); }
    [[nodiscard]] std::vector<unsigned char> resident_pages() const
    {
        std::vector<unsigned char> all;
        order_.for_each_run([&all](unit_run r, std::uint32_t) {
            std::vector<unsigned char> const of =
                tslab::resident_pages(page_heap::address_of(r.first * unit_pages), std::size_t{r.count} << unit_shift);
            all.insert(all.end(), of.begin(), of.end());
        });
        return all;
    }
    [[nodiscard]] std::uint64_t rss_bytes() const noexcept { return read_rss_bytes(); }
    [[nodiscard]] std::uint64_t metadata_bytes() const noexcept
    {
        return state_.pages().metadata_bytes() + state_.meta().committed_bytes() + state_.published().committed_bytes();
    }
    [[nodiscard]] std::uint64_t missing_chunks() const noexcept { return state_.published().missing_chunks(); }
    [[nodiscard]] std::uint64_t resident_metadata_bytes() const noexcept
    {
        return state_.pages().resident_metadata_bytes() + state_.meta().resident_bytes_now() +
               state_.published().resident_bytes_now();
    }
    [[nodiscard]] std::uint64_t never_less(std::uint64_t frees) const noexcept
    {
        return largest_published(frees_published_, frees);
    }
    void add_held(snapshot&, std::vector<epoch_stats*> const&) const noexcept {}   // never called: live_known() is true

    /// Whether locks are timed now, whatever was timed before.
    [[nodiscard]] bool locks_are_timed(std::uint64_t) const noexcept { return lock_timing() != 0; }

private:
    heap_state const& state_;
    label_registry const& labels_;
    heap_state::pinned_units const pins_;   // the heap returns no units during the walk
    page_order order_;
    atomic<std::uint64_t>& frees_published_;
};
static_assert(readable_heap<own_heap>);

}

tslab::snapshot allocator::snapshot(snapshot_options const& o) const
{
    own_heap heap{state_, labels_, frees_published_};
    return assemble(heap, o);
}

heap_map allocator::map() const
{
    own_heap heap{state_, labels_, frees_published_};
    return assemble_map(heap);
}

}
