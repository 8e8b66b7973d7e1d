// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Sums the threads' counters for a snapshot: by class, by label, for the heap and for each thread. Included by
// assembly.hpp.
#pragma once

namespace tslab {

inline void add_class(class_stats& to, class_counters const& from) noexcept
{
    auto const n = [&](class_event e) { return from[e].value(); };
    to.slow_path_hits += n(class_event::slow_path);
    to.slow_path_cache_miss += n(class_event::cache_miss);
    to.slow_path_epoch_closed += n(class_event::epoch_closed);
    to.out_of_memory += n(class_event::out_of_memory);
    to.current_partial_null += n(class_event::current_null);
    to.current_partial_full += n(class_event::current_full);
    to.new_slab_count += n(class_event::new_slab);
    to.cache_hits += n(class_event::cache_hit);
    to.collects += n(class_event::collect);
    to.adoptions += n(class_event::adopt);
    to.bypassed += n(class_event::bypassed);
    to.flushed += n(class_event::flushed);
    std::uint64_t const retained = n(class_event::close_retained);
    to.empty_slab_recycled += n(class_event::recycled) + retained;
    to.empty_slab_overflowed += n(class_event::overflowed);
    to.list_move_partial_to_full += n(class_event::partial_to_full);
    to.list_move_full_to_partial += n(class_event::full_to_partial);
    to.remote_frees += n(class_event::remote_free);
    to.repairs += n(class_event::adopt_mismatch) + n(class_event::adopt_lost) + n(class_event::repair_twice);
    to.epoch_close_calls += n(class_event::close_call) + retained;
    to.epoch_close_scanned_slabs += n(class_event::close_scanned) + retained;
    to.epoch_close_recycled_slabs += n(class_event::close_recycled) + retained;
    to.epoch_close_total_ns += n(class_event::close_nanoseconds);
    to.bitmap_alloc_attempts += n(class_event::collect) + n(class_event::adopt_attempt);
    to.bitmap_free_attempts += n(class_event::remote_free);
    to.current_partial_cas_attempts += n(class_event::adopt_attempt);
    to.current_partial_lost_races += n(class_event::adopt_lost);
    to.current_partial_mismatches += n(class_event::adopt_mismatch);
    to.scan_adapt_checks += n(class_event::scan_check);
    to.scan_adapt_switches += n(class_event::scan_switch);
}

inline void add_heap(global_stats& to, heap_counters const& from) noexcept
{
    auto const n = [&](heap_event e) { return from[e].value(); };
    to.epoch_opens += n(heap_event::epoch_open);
    to.epoch_advances += n(heap_event::epoch_advance);
    to.epoch_closes += n(heap_event::epoch_close);
    to.epoch_drains += n(heap_event::epoch_drained);
    to.epoch_close_scanned_slabs += n(heap_event::close_scanned);
    to.epoch_close_recycled_slabs += n(heap_event::close_recycled);
    to.epoch_close_deferred += n(heap_event::close_deferred);
    to.epoch_close_timed += n(heap_event::close_timed);
    to.epoch_close_total_ns += n(heap_event::close_nanoseconds);
    to.ring_exhausted += n(heap_event::ring_exhausted);
    to.domain_enters += n(heap_event::domain_enter);
    to.domain_exits += n(heap_event::domain_exit);
    to.counted_frees += n(heap_event::counted_free);
    to.released_objects += n(heap_event::released);
    to.leaked_objects += n(heap_event::leaked);
    to.refused_handles += n(heap_event::stale_handle);
}

inline void add_contention(contention_stats& to, contention_counters const& from) noexcept
{
    to.lock_fast_acquire += from[contention_event::lock_fast].value();
    to.lock_contended += from[contention_event::lock_contended].value();
    to.bitmap_alloc_cas_retries += from[contention_event::alloc_retry].value();
    to.bitmap_free_cas_retries += from[contention_event::free_retry].value();
}

/// The allocations of a thread's caches.
struct cache_sums {
    std::array<std::uint64_t, class_count> allocations{};
    std::uint64_t counted_frees = 0;

    template <class Allocations> void add(Allocations const& of, std::uint64_t frees) noexcept
    {
        for (unsigned bin = 0; bin < bin_count; ++bin)
            allocations[class_of_bin(bin)] += of(bin);
        counted_frees += frees;
    }
};

/// Adds one thread's counters to the classes, the labels, the global figures, and an entry for its present thread.
/// `sums()` returns the allocations of its caches; `row(c)` its counters of class c, `labels(c, group)` those under a
/// group of labels, `times` its sampled times; each of the three may be null.
template <class Row, class Labels, class Sums>
void add_thread(thread_stats_page const& r, Row row, Labels labels, timing_stats_page const* times, Sums sums,
                snapshot& s)
{
    for (unsigned c = 0; c <= class_count; ++c)
        if (class_stats_page const* const of_class = row(c)) {
            add_class(s.classes[c], of_class->events);
            std::uint64_t const retained = of_class->events[class_event::close_retained].value();
            s.global.epoch_close_scanned_slabs += retained;
            s.global.epoch_close_recycled_slabs += retained;
        }
    add_heap(s.global, r.counts);
    s.classes[large_class].allocations += r.counts[heap_event::large_allocation].value();
    for (unsigned c = 0; c <= no_class; ++c)
        for (std::uint32_t label = 0; label < label_buckets; ++label) {
            label_rows const* const group = labels(c, label / label_rows::labels);
            if (group == nullptr)
                continue;
            contention_counters const& from = group->of[label % label_rows::labels];
            add_contention(s.labels[label].contention, from);
            if (c == no_class)
                continue;
            add_contention(s.classes[c].by_label[label], from);
            add_contention(s.classes[c].contention, from);
        }
    for (std::uint32_t label = 0; label < label_buckets; ++label) {
        s.labels[label].escapes += r.escapes[label].value();
        s.labels[label].escaped_bytes += r.escaped_bytes[label].value();
    }
    // The counts before its present thread are read before the sums, which only grow.
    std::array<std::uint64_t, repair_reasons.size()> repairs_before{};
    for (std::size_t i = 0; i < repairs_before.size(); ++i)
        repairs_before[i] = r.repairs_before[i].load(std::memory_order_acquire);
    std::uint64_t const allocations_before = r.allocations_before.load(std::memory_order_acquire);
    std::uint64_t const slow_paths_before = r.slow_paths_before.load(std::memory_order_acquire);
    auto const since = [](std::uint64_t now, std::uint64_t before) { return now > before ? now - before : 0; };
    bool const alive = r.alive.load(std::memory_order_relaxed) != 0;
    for (unsigned c = 0; c < class_count; ++c)
        s.classes[c].scan_rotated_threads += alive && r.rotated[c].load(std::memory_order_relaxed) != 0 ? 1 : 0;

    cache_sums const caches = sums();
    std::uint64_t allocations = r.counts[heap_event::large_allocation].value();
    for (unsigned c = 0; c < class_count; ++c) {
        s.classes[c].allocations += caches.allocations[c];
        allocations += caches.allocations[c];
    }
    s.global.counted_frees += caches.counted_frees;

    thread_stats t;
    t.thread_id = r.thread_id.load(std::memory_order_relaxed);
    t.alive = alive;
    t.allocations = since(allocations, allocations_before);
    t.slow_path_hits = since(sum_of_classes(class_event::slow_path, row), slow_paths_before);
    if (times != nullptr) {
        t.sampling.alloc = times->allocations.read_since(times->allocations_before);
        t.sampling.repair = times->repairs.read_since(times->repairs_before);
    }
    t.retained_bytes = std::uint64_t{r.retained_pages.load(std::memory_order_relaxed)} * page_bytes;
    s.global.retained_bytes += t.retained_bytes;
    std::array<std::uint64_t, repair_reasons.size()> all{};
    std::array<std::uint64_t, repair_reasons.size()> own{};
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i] = sum_of_classes(repair_reasons[i], row);
        own[i] = since(all[i], repairs_before[i]);
    }
    auto const set_reasons = [](sampling_stats& of, auto const& n) {
        of.repair_reason_full_bitmap += n[0];
        of.repair_reason_list_mismatch += n[1];
        of.repair_reason_other += n[2];
        of.repair_count += n[0] + n[1] + n[2];
    };
    set_reasons(t.sampling, own);
    set_reasons(s.sampled, all);
    if (times != nullptr) {
        s.sampled.alloc.add(times->allocations.read());
        s.sampled.repair.add(times->repairs.read());
    }
    s.threads.push_back(std::move(t));
}

}
