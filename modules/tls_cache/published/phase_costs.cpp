// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Costs of phases: what an epoch's phase cost up to now, and the rows in which its thread counts it.
module;
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

phase_cost epoch_slabs::cost_so_far() const noexcept
{
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
    std::uint64_t pages = 0;
    for (thread_cache const* l = caches; l != nullptr; l = l->next_) {
        pages += l->peak_pages_.load(std::memory_order_relaxed);
        l->for_each_bin_of_era([&](unsigned bin, std::uint64_t n) {
            objects += n;
            bytes += n * bins[bin].size;
        });
    }
    phase_cost c = cost_with(bytes, pages, tick_clock::stamp());
    of(c, cost::objects) += objects;
    return c;
}

void epoch_slabs::end_phase(reclaim_result& done) const noexcept
{
    done.closed = true;
    done.cost = cost_so_far();
    done.cost_label = cost_label;
}

bool label_costs::note_used(thread_record& me, std::uint32_t place, std::uint64_t objects, std::uint64_t bytes,
                            std::uint64_t peak) noexcept
{
    counter* const of_objects = find_bucket(cost::objects, objects);
    counter* const of_bytes = find_bucket(cost::bytes, bytes);
    counter* const of_peak = find_bucket(cost::peak, peak);
    if (of_objects == nullptr || of_bytes == nullptr || of_peak == nullptr) [[unlikely]]
        return bucket_for(me, cost::objects, objects) != nullptr && bucket_for(me, cost::bytes, bytes) != nullptr &&
               bucket_for(me, cost::peak, peak) != nullptr && note_used(me, place, objects, bytes, peak);
    of_objects->add();
    of_bytes->add();
    of_peak->add();
    cost_row& r = *row_;
    r[cost::objects].note(objects);
    r[cost::bytes].note(bytes);
    r[cost::peak].note(peak);
    if (bytes > r.largest_bytes.load(std::memory_order_relaxed)) [[unlikely]]
        note_largest(bytes, place);
    return true;
}

[[clang::preserve_most]] void label_costs::note_largest(std::uint64_t bytes, std::uint32_t place) noexcept
{
    cost_row& r = *row_;
    std::uint32_t const before = r.version.load(std::memory_order_relaxed);
    r.version.store(before + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);   // a reader that sees a new figure sees the odd version
    r.largest_bytes.store(bytes, std::memory_order_relaxed);
    r.largest_ns.store(now_ns_coarse(), std::memory_order_relaxed);
    r.largest_place.store(place, std::memory_order_relaxed);
    r.version.store(before + 2, std::memory_order_release);
}

/// The bucket, in a new group.
[[clang::preserve_most]] counter* label_costs::make_bucket(thread_record& me, cost c, std::size_t bucket) noexcept
{
    auto* const made = me.heap.make_stats_page_briefly<cost_buckets>();
    if (made == nullptr)
        return nullptr;
    auto const of = static_cast<std::size_t>(c);
    std::size_t const g = bucket / cost_buckets::size;
    groups_[of][g].store(made, std::memory_order_release);   // release: a reader of the pointer sees the zeroes
    // The same for readers outside. One that finds no record there knows that it does not see all.
    row_->buckets[of][g].store(made, std::memory_order_release);
    return &made->counts[bucket % cost_buckets::size];
}

label_costs* thread_record::make_costs(std::uint32_t label) noexcept
{
    std::atomic<label_costs*>* place = nullptr;
    if (label < label_buckets) {
        place = &costs.of_bucket[label];
    } else {
        std::uint32_t const further = label - label_buckets;
        auto& group = costs.further[further / cost_table::group_size];
        cost_table::row_group* rows = group.load(std::memory_order_relaxed);
        if (rows == nullptr) {
            rows = heap.make_private_briefly<cost_table::row_group>();
            if (rows == nullptr)
                return nullptr;
            group.store(rows, std::memory_order_release);   // release: as in make_bucket
        }
        place = &(*rows)[further % cost_table::group_size];
    }
    // The row is made last: see heap_state::make_record.
    if (costs.spare == nullptr)
        costs.spare = heap.make_private_briefly<label_costs>();
    auto* const row = costs.spare != nullptr ? heap.make_stats_page_briefly<cost_row>() : nullptr;
    if (row == nullptr)
        return nullptr;
    row->label = label;
    label_costs* const made = costs.spare;
    costs.spare = nullptr;
    made->row_ = row;
    place->store(made, std::memory_order_release);   // release: a reader sees the row
    if (heap.published().is_published(row)) {
        row->next.store(stats.costs.load(std::memory_order_relaxed), std::memory_order_relaxed);
        stats.costs.store(row, std::memory_order_release);   // publishes it to other processes
    }
    return made;
}

}
