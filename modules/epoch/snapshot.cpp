// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Taking a snapshot: counters are summed over the threads' records, slabs are counted by walking the descriptors.
// No lock is taken; a slot that is opened anew during the walk is told by its era.
module;
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <unistd.h>
#include <vector>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

namespace tslab {

namespace {

void add_class(class_stats& to, class_counters const& from) noexcept
{
    to.slow_path_hits += from[class_event::slow_path].value();
    to.slow_path_cache_miss += from[class_event::cache_miss].value();
    to.slow_path_epoch_closed += from[class_event::epoch_closed].value();
    to.out_of_memory += from[class_event::out_of_memory].value();
    to.cache_hits += from[class_event::cache_hit].value();
    to.collects += from[class_event::collect].value();
    to.adoptions += from[class_event::adopt].value();
    to.empty_slab_recycled += from[class_event::recycled].value();
    to.empty_slab_overflowed += from[class_event::overflowed].value();
    to.list_move_partial_to_full += from[class_event::partial_to_full].value();
    to.list_move_full_to_partial += from[class_event::full_to_partial].value();
    to.remote_frees += from[class_event::remote_free].value();
    to.repairs += from[class_event::adopt_mismatch].value();
}

void add_heap(global_stats& to, heap_counters const& from) noexcept
{
    to.epoch_opens += from[heap_event::epoch_open].value();
    to.epoch_advances += from[heap_event::epoch_advance].value();
    to.epoch_closes += from[heap_event::epoch_close].value();
    to.epoch_drains += from[heap_event::epoch_drained].value();
    to.epoch_close_scanned_slabs += from[heap_event::close_scanned].value();
    to.epoch_close_recycled_slabs += from[heap_event::close_recycled].value();
    to.epoch_close_deferred += from[heap_event::close_deferred].value();
    to.epoch_close_total_ns += from[heap_event::close_nanoseconds].value();
    to.ring_exhausted += from[heap_event::ring_exhausted].value();
    to.domain_enters += from[heap_event::domain_enter].value();
    to.domain_exits += from[heap_event::domain_exit].value();
    to.counted_frees += from[heap_event::counted_free].value();
    to.released_objects += from[heap_event::released].value();
    to.leaked_objects += from[heap_event::leaked].value();
    to.refused_handles += from[heap_event::stale_handle].value();
}

/// The counters of all threads, and what each lane handed out.
void sum_records(heap_core const& core, snapshot& s)
{
    for (thread_record const* r = core.first_record(); r != nullptr; r = r->next_of_heap) {
        thread_stats t;
        t.thread_id = r->thread_id.load(std::memory_order_relaxed);
        t.alive = r->in_use.load(std::memory_order_relaxed) && !r->vanished.load(std::memory_order_relaxed);
        t.allocations = r->allocations() - r->allocations_before.load(std::memory_order_relaxed);
        t.slow_path_hits = r->slow_paths() - r->slow_paths_before.load(std::memory_order_relaxed);
        for (unsigned c = 0; c <= class_count; ++c)
            add_class(s.classes[c], r->classes[c]);
        add_heap(s.global, r->counts);
        s.classes[large_class].allocations += r->counts[heap_event::large_allocation].value();
        core.for_each_lane(*r, [&](lane const& l) {
            for (unsigned bin = 0; bin < bin_count; ++bin)
                s.classes[class_of_bin(bin)].allocations += l.allocations(bin).value();
            s.global.counted_frees += l.counted_frees.value();
        });
        s.threads.push_back(t);
    }
    for (unsigned c = 0; c <= class_count; ++c)
        add_class(s.classes[c], core.strays(c));
}

/// Counts one page into its class and, through `of_slot`, its epoch.
void add_page(heap_core const& core, slab const& page, std::vector<epoch_stats*> const& of_slot, snapshot& s) noexcept
{
    residence const where = page.where.load(std::memory_order_relaxed);
    if (where == residence::unused)
        return;
    auto const* const home = static_cast<shelf const*>(page.home.load(std::memory_order_relaxed));
    std::uint32_t const slot = home != nullptr ? core.slot_of(*home) : core.slots();
    epoch_stats* const epoch = slot < of_slot.size() ? of_slot[slot] : nullptr;
    if (where == residence::large) {
        std::uint64_t const pages = page.pages.load(std::memory_order_relaxed);
        std::uint64_t const bytes = page.local.load(std::memory_order_relaxed);
        s.global.large_pages += pages;
        ++s.classes[large_class].live_objects;
        s.global.live_bytes += bytes;
        if (epoch != nullptr) {
            epoch->large_pages += pages;
            ++epoch->live_objects;
            epoch->live_bytes += bytes;
        }
        return;
    }
    unsigned const bin = page.bin();
    if (bin >= bin_count)
        return;   // given back while we looked
    class_stats& c = s.classes[class_of_bin(bin)];
    if (where == residence::cached) {
        ++c.cached_slabs;
        ++s.global.slabs_cached;
        return;
    }
    std::uint64_t const free = page.shared.load(std::memory_order_relaxed) | page.local.load(std::memory_order_relaxed);
    auto const live = static_cast<std::uint64_t>(std::popcount(bins[bin].full_mask & ~free));
    ++(live == bins[bin].slots ? c.full_slabs : c.partial_slabs);
    c.empty_slabs += live == 0 ? 1 : 0;
    ++s.global.slabs_in_use;
    c.live_objects += live;
    s.global.live_bytes += live * bins[bin].size;
    if (epoch != nullptr) {
        ++epoch->slabs;
        epoch->empty_slabs += live == 0 ? 1 : 0;
        epoch->live_objects += live;
        epoch->live_bytes += live * bins[bin].size;
    }
}

epoch_stats read_epoch(epoch_record const& r, std::uint64_t now)
{
    epoch_stats e;
    e.index = r.index;
    e.era = r.era.load(std::memory_order_acquire);
    e.lifecycle = r.state.load(std::memory_order_relaxed);
    e.state = e.lifecycle == lifecycle::active ? epoch_state::active : epoch_state::closing;
    e.label = r.label.read().view();
    e.label_id = r.label_id.load(std::memory_order_relaxed);
    e.refcount = r.holds.load(std::memory_order_relaxed);
    e.enters = r.enters.value();
    e.exits = r.exits.value();
    e.allocations = r.allocations.value();
    std::uint64_t const opened = r.opened_ns.load(std::memory_order_relaxed);
    e.age_seconds = now > opened ? static_cast<double>(now - opened) * 1e-9 : 0;
    e.opened_at = r.oldest_entry();
    e.rss_before_close = r.rss_before_close.load(std::memory_order_relaxed);
    e.rss_after_close = r.rss_after_close.load(std::memory_order_relaxed);
    e.madvise_bytes = r.closed_madvise_bytes.load(std::memory_order_relaxed);
    return e;
}

}

tslab::snapshot allocator::snapshot() const
{
    tslab::snapshot s;
    s.name = core_.name();
    s.timestamp_ns = wall_clock_ns();
    s.pid = ::getpid();
    s.page_size = page_bytes;
    s.epoch_count = core_.slots();
    s.current_epoch = current_epoch().index;
    s.classes.resize(class_count + 1);
    for (unsigned c = 0; c <= class_count; ++c) {
        s.classes[c].class_index = c;
        s.classes[c].object_size = c < class_count ? class_sizes[c] : 0;
    }
    std::uint32_t const opened = core_.prepared_slots();
    std::uint64_t const now = now_ns_coarse();
    s.epochs.reserve(opened);
    std::vector<epoch_stats*> of_slot(opened, nullptr);
    for (std::uint32_t i = 0; i < opened; ++i) {
        epoch_record const& r = record_of({i, 0});
        if (r.state.load(std::memory_order_relaxed) == lifecycle::idle)
            continue;   // a higher slot was opened first
        of_slot[i] = &s.epochs.emplace_back(read_epoch(r, now));
        s.global.active_epochs += s.epochs.back().lifecycle == lifecycle::active ? 1 : 0;
        s.global.closing_epochs += s.epochs.back().lifecycle == lifecycle::closing ? 1 : 0;
        s.global.lock_fast_acquire += r.lock.fast_acquires();
        s.global.lock_contended += r.lock.contended_acquires();
    }
    sum_records(core_, s);
    for (std::uint32_t i = 0; i < core_.pages().used_pages(); ++i)
        add_page(core_, core_.pages().at(i), of_slot, s);
    for (thread_record const* r = core_.first_record(); r != nullptr; r = r->next_of_heap)
        core_.for_each_lane(*r, [&](lane const& l) {
            epoch_stats* const e = l.slot() < opened ? of_slot[l.slot()] : nullptr;
            if (e != nullptr && e->era == l.era())
                e->allocations += l.allocations_of_era();
        });
    global_stats& g = s.global;
    for (class_stats const& c : s.classes) {
        g.allocations += c.allocations;
        g.live_objects += c.live_objects;
        g.slow_path_hits += c.slow_path_hits;
        g.slow_path_cache_miss += c.slow_path_cache_miss;
        g.slow_path_epoch_closed += c.slow_path_epoch_closed;
        g.out_of_memory += c.out_of_memory;
    }
    g.frees = g.allocations > g.live_objects ? g.allocations - g.live_objects : 0;
    g.free_resident_pages = core_.pages().free_resident_pages();
    g.free_purged_pages = core_.pages().free_purged_pages();
    g.metadata_bytes = core_.pages().metadata_bytes() + core_.meta().committed_bytes();
    g.rss_bytes = read_rss_bytes();
    purge_result const purged = core_.pages().purged();
    g.madvise_calls = purged.calls;
    g.madvise_bytes = purged.bytes;
    g.madvise_failures = purged.failures;
    g.labels_in_overflow = labels_.overflows();
    g.labels_cut = labels_.cut();
    for (std::size_t k = 0; k < misuse_count; ++k)
        g.misuses += core_.misuses(static_cast<misuse>(k));
    return s;
}

}
