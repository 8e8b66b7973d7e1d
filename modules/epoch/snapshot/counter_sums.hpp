// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Sums the threads' counters for a snapshot: by class, by label, for the heap and for each thread. Included by
// assembly.hpp.
#pragma once

namespace tslab {

// The sums over events, as the lines of figures.def name them.
#define TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_COUNTED(member, event, name, unit, help) to.member += n(event);
#define TSLAB_SUMMED(member, name, unit, help, sum) to.member += (sum);

inline void add_class(class_stats& to, class_counters const& from) noexcept
{
    using enum class_event;
    auto const n = [&](class_event e) { return from[e].value(); };
#define TSLAB_OF_CLASS
#include "../../stats/figures.def"
}

inline void add_heap(global_stats& to, heap_counters const& from) noexcept
{
    using enum heap_event;
    auto const n = [&](heap_event e) { return from[e].value(); };
#define TSLAB_OF_HEAP
#include "../../stats/figures.def"
}

inline void add_contention(contention_stats& to, contention_counters const& from) noexcept
{
    using enum contention_event;
    auto const n = [&](contention_event e) { return from[e].value(); };
#undef TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_OF_CONTENTION
#include "../../stats/figures.def"
}

/// Adds a class's figures to those of the heap that are sums over the classes.
inline void add_class_to_heap(global_stats& to, class_stats const& from) noexcept
{
#define TSLAB_CLASS_SUM(member, of_class, name, kind, unit, help) to.member += from.of_class;
#define TSLAB_OF_HEAP
#include "../../stats/figures.def"
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
    std::array<std::uint64_t, thread_contention_count> contention_before{};
    for (std::size_t i = 0; i < contention_before.size(); ++i)
        contention_before[i] = r.contention_before[i].load(std::memory_order_acquire);
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
    t.tid = alive ? static_cast<std::uint32_t>(r.tid.load(std::memory_order_relaxed)) : 0;
    t.allocations = since(allocations, allocations_before);
    t.slow_path_hits = since(sum_of_classes(class_event::slow_path, row), slow_paths_before);
    auto contention = sum_of_contention(row, labels);
    for (std::size_t i = 0; i < contention.size(); ++i)
        contention[i] = since(contention[i], contention_before[i]);
    auto const event = [&](contention_event e) { return contention[static_cast<std::size_t>(e)]; };
    t.lock_fast_acquire = event(contention_event::lock_fast);
    t.lock_contended = event(contention_event::lock_contended);
    t.bitmap_alloc_cas_retries = event(contention_event::alloc_retry);
    t.bitmap_free_cas_retries = event(contention_event::free_retry);
    t.bitmap_alloc_attempts = contention[contention_event_count];
    t.bitmap_free_attempts = contention[contention_event_count + 1];
    if (times != nullptr) {
        t.sampling.alloc = times->allocations.read_since(times->allocations_before);
        t.sampling.free = times->frees.read_since(times->frees_before);
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
        s.sampled.free.add(times->frees.read());
        s.sampled.repair.add(times->repairs.read());
    }
    s.threads.push_back(std::move(t));
}

}
