// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// How a snapshot and a map are made of what is told of a heap, in the process itself or from outside. Not exported.
// Counters are summed over the threads' faces, slabs are counted by walking the descriptors. No lock is taken that an
// allocation waits for; a slot that is opened anew during the walk is told by its era. A `Heap` says where things are:
// own_heap in snapshot.cpp, seen_heap in observer.cpp.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>
module tslab.epoch:assembly;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import :ring;

namespace tslab {

using pages_by_class = std::array<class_share, class_count + 1>;

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
    std::uint64_t const kept = n(class_event::close_kept);
    to.empty_slab_recycled += n(class_event::recycled) + kept;
    to.empty_slab_overflowed += n(class_event::overflowed);
    to.list_move_partial_to_full += n(class_event::partial_to_full);
    to.list_move_full_to_partial += n(class_event::full_to_partial);
    to.remote_frees += n(class_event::remote_free);
    to.repairs += n(class_event::adopt_mismatch) + n(class_event::adopt_lost) + n(class_event::repair_twice);
    to.epoch_close_calls += n(class_event::close_call) + kept;
    to.epoch_close_scanned_slabs += n(class_event::close_scanned) + kept;
    to.epoch_close_recycled_slabs += n(class_event::close_recycled) + kept;
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

/// What a thread's lanes handed out.
struct lane_sums {
    std::array<std::uint64_t, class_count> allocations{};
    std::uint64_t counted_frees = 0;

    template <class Allocations> void add(Allocations const& of, std::uint64_t frees) noexcept
    {
        for (unsigned bin = 0; bin < bin_count; ++bin)
            allocations[class_of_bin(bin)] += of(bin);
        counted_frees += frees;
    }
};

/// One thread's counters: into the classes, the labels, the global ones and, for its present thread, its own. `sums` is called
/// for what its lanes handed out; `row(c)` is what it counted of a class, `labels(c, group)` of that under a group of labels, `times` what
/// sampling found, and each may be null.
template <class Row, class Labels, class Sums>
void add_thread(thread_face const& r, Row row, Labels labels, timing_face const* times, Sums sums, snapshot& s)
{
    for (unsigned c = 0; c <= class_count; ++c)
        if (class_face const* const of_class = row(c)) {
            add_class(s.classes[c], of_class->events);
            std::uint64_t const kept = of_class->events[class_event::close_kept].value();
            s.global.epoch_close_scanned_slabs += kept;
            s.global.epoch_close_recycled_slabs += kept;
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
    // What was before its present thread is read before the sums, which only grow.
    std::array<std::uint64_t, repair_reasons.size()> repairs_before{};
    for (std::size_t i = 0; i < repairs_before.size(); ++i)
        repairs_before[i] = r.repairs_before[i].load(std::memory_order_acquire);
    std::uint64_t const allocations_before = r.allocations_before.load(std::memory_order_acquire);
    std::uint64_t const slow_paths_before = r.slow_paths_before.load(std::memory_order_acquire);
    auto const since = [](std::uint64_t now, std::uint64_t before) { return now > before ? now - before : 0; };
    bool const alive = r.alive.load(std::memory_order_relaxed) != 0;
    for (unsigned c = 0; c < class_count; ++c)
        s.classes[c].scan_rotated_threads += alive && r.scans[c].rotated() ? 1 : 0;

    lane_sums const lanes = sums();
    std::uint64_t allocations = r.counts[heap_event::large_allocation].value();
    for (unsigned c = 0; c < class_count; ++c) {
        s.classes[c].allocations += lanes.allocations[c];
        allocations += lanes.allocations[c];
    }
    s.global.counted_frees += lanes.counted_frees;

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

/// The pages of a heap in their order, from 0 on, whatever lies between its units.
class page_order {
public:
    void add(unit_run r)
    {
        if (r.count == 0)
            return;
        runs_.push_back({r, size_});
        size_ += r.count * unit_pages;
    }
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    /// The number in the window of page `i`. Precondition: i < size().
    [[nodiscard]] std::uint32_t page_of(std::uint32_t i) const noexcept
    {
        auto const behind = std::upper_bound(runs_.begin(), runs_.end(), i,
                                             [](std::uint32_t at, placed const& r) { return at < r.begin; });
        placed const& r = *(behind - 1);
        return r.run.first * unit_pages + (i - r.begin);
    }
    template <class F> void for_each_run(F visit) const
    {
        for (placed const& r : runs_)
            visit(r.run, r.begin);
    }

private:
    struct placed {
        unit_run run;
        std::uint32_t begin;   ///< which page of the order is its first
    };
    std::vector<placed> runs_;
    std::uint32_t size_ = 0;
};

/// Walks the pages ever used and puts each where it belongs: its class, its epoch, its term of the waterfall.
template <class Heap> class page_walk {
public:
    page_walk(Heap& heap, snapshot& s, std::vector<epoch_stats*> const& of_slot, bool residency)
        : heap_{heap}, s_{s}, of_slot_{of_slot}, shares_(of_slot.size()), pages_{heap.used_pages()}
    {
        if (residency)
            resident_ = heap.resident_pages();
        if (residency && resident_.size() == pages_) {   // else the system's pages are larger than ours
            s.waterfall.emplace();
            for (class_stats& c : s.classes)
                c.resident_bytes = 0;
            for (epoch_stats& e : s.epochs)
                e.resident_bytes = 0;
        }
    }

    void run()
    {
        for (std::uint32_t i = 0; i < pages_;)
            i += add(i);
        for (std::size_t slot = 0; slot < shares_.size(); ++slot)
            if (of_slot_[slot] != nullptr)
                for (class_share const& share : shares_[slot])
                    if (share.pages != 0)
                        of_slot_[slot]->classes.push_back(share);
        std::uint64_t const idle = (cached_pages_ + s_.global.free_resident_pages) * page_bytes;
        s_.global.committed_bytes = idle + (s_.global.slab_pages + s_.global.large_pages) * page_bytes;
        s_.global.empty_held_bytes += idle;
    }

private:
    /// Adds what begins at page `i`; returns how many pages that is.
    std::uint32_t add(std::uint32_t i) noexcept
    {
        slab const& page = heap_.at(i);
        residence const where = page.where.load(std::memory_order_relaxed);
        unsigned const bin = page.bin();
        if (where == residence::large)
            return add_large(i, page);
        if (where == residence::unused || bin >= bin_count) {   // or given back while we looked
            add_free(i);
            return 1;
        }
        std::uint32_t const pages = std::min<std::uint32_t>(bins[bin].pages, pages_ - i);
        if (where == residence::cached || heap_.is_kept(page, bin)) {
            add_cached(i, pages, class_of_bin(bin));
            return pages;
        }
        std::uint64_t const live = std::min(heap_.live(page, bin), bins[bin].slab_slots());
        // Its words were read with acquire: if they are those of a slab of another bin that was cut here meanwhile, that tag is seen
        // too, or none.
        if (page.bin() != bin) {
            add_free(i);
            return 1;
        }
        add_slab(i, pages, page, bin, live);
        return pages;
    }

    void add_free(std::uint32_t i) noexcept
    {
        unsigned const c = heap_.free_resident_class(i);
        if (c < class_count)
            ++s_.classes[c].cache_overflow_len;
        if (s_.waterfall)
            s_.waterfall->free_bytes += resident(i);
    }

    void add_cached(std::uint32_t first, std::uint32_t pages, unsigned c) noexcept
    {
        ++s_.classes[c].cached_slabs;
        ++s_.global.slabs_cached;
        cached_pages_ += pages;
        if (s_.waterfall)
            s_.waterfall->cached_bytes += resident(first, pages);
    }

    void add_slab(std::uint32_t first, std::uint32_t pages, slab const& page, unsigned bin, std::uint64_t live) noexcept
    {
        unsigned const index = class_of_bin(bin);
        std::uint64_t const bytes = std::uint64_t{pages} * page_bytes;
        std::uint64_t const live_bytes = live * bins[bin].size;
        bool const full = live == bins[bin].slab_slots();
        class_stats& c = s_.classes[index];
        ++(full ? c.full_slabs : c.partial_slabs);
        c.empty_slabs += live == 0 ? 1 : 0;
        c.live_objects += live;
        c.live_bytes += live_bytes;
        ++s_.global.slabs_in_use;
        s_.global.slab_pages += pages;
        s_.global.empty_held_bytes += live == 0 ? bytes : 0;
        std::uint32_t const slot = slot_of(page);   // asked once: the slab may be taken back meanwhile
        if (epoch_stats* const e = epoch_at(slot)) {
            ++e->slabs;
            e->slab_pages += pages;
            ++(full ? e->full_slabs : e->partial_slabs);
            e->empty_slabs += live == 0 ? 1 : 0;
            e->empty_slab_pages += live == 0 ? pages : 0;
            share(slot, index, 1, pages, live, live_bytes);
        }
        if (!s_.waterfall)
            return;
        add_to_waterfall(first, pages, bin, live_bytes);
        add_resident(slot, index, resident(first, pages));
    }

    /// A slab's resident bytes: of its slots, as many are said to be live as can be. Untouched pages hold no live object.
    void add_to_waterfall(std::uint32_t first, std::uint32_t pages, unsigned bin, std::uint64_t live_bytes) noexcept
    {
        waterfall_stats& w = *s_.waterfall;
        std::uint64_t const bytes = std::uint64_t{pages} * page_bytes;
        std::uint64_t const there = resident(first, pages);
        std::uint64_t const tail = bytes - std::uint64_t{bins[bin].slab_slots()} * bins[bin].size;
        std::uint64_t const live = std::min(live_bytes, there);
        std::uint64_t const slack = resident(first + pages - 1) != 0 ? std::min(tail, there - live) : 0;
        w.untouched_bytes += bytes - there;
        w.live_bytes += live;
        w.slack_bytes += slack;
        w.empty_slot_bytes += there - live - slack;
    }

    std::uint32_t add_large(std::uint32_t first, slab const& page) noexcept
    {
        std::uint32_t const pages = std::min(std::max(page.pages.load(std::memory_order_relaxed), 1U), pages_ - first);
        std::uint64_t const bytes =
            std::min(page.local.load(std::memory_order_relaxed), std::uint64_t{pages} << page_shift);
        std::atomic_thread_fence(std::memory_order_acquire);   // its size before what it is, again
        if (page.tag.load(std::memory_order_relaxed) != tag_large) {
            add_free(first);   // freed while we looked
            return 1;
        }
        class_stats& c = s_.classes[large_class];
        c.large_pages += pages;
        ++c.live_objects;
        c.live_bytes += bytes;
        s_.global.large_pages += pages;
        std::uint32_t const slot = slot_of(page);
        if (epoch_stats* const e = epoch_at(slot)) {
            e->large_pages += pages;
            share(slot, large_class, 0, pages, 1, bytes);
        }
        if (!s_.waterfall)
            return pages;
        std::uint64_t const there = resident(first, pages);
        std::uint64_t const all = std::uint64_t{pages} * page_bytes;
        std::uint64_t const tail =
            bytes < all && resident(first + pages - 1) != 0 ? std::min(all - bytes, page_bytes) : 0;
        s_.waterfall->untouched_bytes += all - there;
        s_.waterfall->slack_bytes += tail;
        s_.waterfall->live_bytes += there - tail;
        add_resident(slot, large_class, there);
        return pages;
    }

    /// The ring slot of the epoch a page belongs to; past the end when to none, or to one that was opened after the epochs
    /// were read: such pages are in the totals, and in no epoch.
    [[nodiscard]] std::uint32_t slot_of(slab const& page) const noexcept
    {
        epoch_id const home = heap_.home_of(page, static_cast<std::uint32_t>(of_slot_.size()));
        epoch_stats const* const read = epoch_at(home.index);
        return read != nullptr && home.era != 0 && read->era == home.era ? home.index : no_slot;
    }
    [[nodiscard]] epoch_stats* epoch_at(std::uint32_t slot) const noexcept
    {
        return slot < of_slot_.size() ? of_slot_[slot] : nullptr;
    }
    void share(std::uint32_t slot, unsigned c, std::uint64_t slabs, std::uint64_t pages, std::uint64_t live,
               std::uint64_t bytes) noexcept
    {
        of_slot_[slot]->live_objects += live;
        of_slot_[slot]->live_bytes += bytes;
        class_share& of = shares_[slot][c];
        of.class_index = c;
        of.slabs += slabs;
        of.pages += pages;
        of.live_objects += live;
        of.live_bytes += bytes;
    }
    void add_resident(std::uint32_t slot, unsigned c, std::uint64_t bytes) noexcept
    {
        *s_.classes[c].resident_bytes += bytes;
        if (epoch_stats* const e = epoch_at(slot))
            *e->resident_bytes += bytes;
    }
    [[nodiscard]] std::uint64_t resident(std::uint32_t i) const noexcept { return resident_[i] != 0 ? page_bytes : 0; }
    [[nodiscard]] std::uint64_t resident(std::uint32_t first, std::uint32_t pages) const noexcept
    {
        std::uint64_t bytes = 0;
        for (std::uint32_t i = first; i < first + pages; ++i)
            bytes += resident(i);
        return bytes;
    }

    static constexpr std::uint32_t no_slot = ~std::uint32_t{0};

    Heap& heap_;
    snapshot& s_;
    std::vector<epoch_stats*> const& of_slot_;
    std::vector<pages_by_class> shares_;
    std::vector<unsigned char> resident_;
    std::uint64_t cached_pages_ = 0;
    std::uint32_t pages_;
};

template <class Heap>
epoch_stats read_fields(Heap& heap, std::uint32_t index, epoch_face const& r, std::uint64_t now, std::uint64_t wall)
{
    auto const since = [now](std::uint64_t then) { return now > then ? now - then : 0; };
    epoch_stats e;
    e.index = index;
    e.era = r.era.load(std::memory_order_acquire);
    e.lifecycle = std::min(r.state.load(std::memory_order_relaxed), lifecycle::drained);
    e.state = e.lifecycle == lifecycle::active ? epoch_state::active : epoch_state::closing;
    e.label = r.label.read().view();
    e.label_id = std::min(r.label_id.load(std::memory_order_relaxed), label_buckets - 1);
    e.refcount = r.holds.load(std::memory_order_relaxed);
    e.enters = r.enters.value();
    e.exits = r.exits.value();
    e.allocations = r.allocations.value();
    std::uint64_t const age = since(r.opened_ns.load(std::memory_order_relaxed));
    e.age_seconds = static_cast<double>(age) * 1e-9;
    e.open_since_ns = wall - age;
    std::uint64_t const closing = r.closing_ns.load(std::memory_order_relaxed);
    e.closing_seconds =
        e.lifecycle == lifecycle::closing && closing != 0 ? static_cast<double>(since(closing)) * 1e-9 : 0;
    epoch_record::oldest entry = heap.oldest_entry(index, r);
    e.opened_at = std::move(entry.place);
    if (entry.entered_ns != 0)   // known, and be it of this tick
        e.entered_seconds = static_cast<double>(std::max<std::uint64_t>(since(entry.entered_ns), 1)) * 1e-9;
    e.rss_before_close = r.rss_before_close.load(std::memory_order_relaxed);
    e.rss_after_close = r.rss_after_close.load(std::memory_order_relaxed);
    e.madvise_bytes = r.closed_madvise_bytes.load(std::memory_order_relaxed);
    e.madvise_asked_bytes = r.closed_asked_bytes.load(std::memory_order_relaxed);
    e.madvise_gone_bytes = r.closed_gone_bytes.load(std::memory_order_relaxed);
    return e;
}

/// The fields of one era: read again when the slot was opened anew meanwhile. That takes some nanoseconds, or as long as the
/// thread that does it is kept from running; then the slot is left out: era 0.
template <class Heap>
epoch_stats read_epoch(Heap& heap, std::uint32_t index, epoch_face const& r, std::uint64_t now, std::uint64_t wall)
{
    constexpr int spins = 100;
    constexpr int yields = 100;
    for (int i = 0; i < spins + yields; ++i) {
        epoch_stats e = read_fields(heap, index, r, now, wall);
        std::atomic_thread_fence(std::memory_order_acquire);   // the fields before the era again
        if (e.era != 0 && r.era.load(std::memory_order_relaxed) == e.era)
            return e;
        if (i < spins)
            spin_pause();
        else
            std::this_thread::yield();
    }
    return {};
}

/// What follows from the rest: sums over classes, and labels from their epochs.
inline void total_up(snapshot& s)
{
    global_stats& g = s.global;
    for (class_stats const& c : s.classes) {
        g.allocations += c.allocations;
        g.live_objects += c.live_objects;
        g.live_bytes += c.live_bytes;
        g.slow_path_hits += c.slow_path_hits;
        g.slow_path_cache_miss += c.slow_path_cache_miss;
        g.slow_path_epoch_closed += c.slow_path_epoch_closed;
        g.out_of_memory += c.out_of_memory;
        g.slabs_allocated += c.new_slab_count;
        g.slabs_recycled += c.empty_slab_recycled;
        g.cache_overflows += c.empty_slab_overflowed;
        g.bitmap_alloc_attempts += c.bitmap_alloc_attempts;
        g.bitmap_alloc_cas_retries += c.contention.bitmap_alloc_cas_retries;
        g.bitmap_free_attempts += c.bitmap_free_attempts;
        g.bitmap_free_cas_retries += c.contention.bitmap_free_cas_retries;
        g.current_partial_cas_attempts += c.current_partial_cas_attempts;
        g.current_partial_lost_races += c.current_partial_lost_races;
        g.current_partial_mismatches += c.current_partial_mismatches;
    }
    g.current_partial_cas_failures = g.current_partial_lost_races + g.current_partial_mismatches;
    g.frees = g.allocations > g.live_objects ? g.allocations - g.live_objects : 0;

    for (epoch_stats const& e : s.epochs) {
        if (e.lifecycle != lifecycle::active && e.lifecycle != lifecycle::closing)
            continue;
        label_stats& l = s.labels[e.label_id];
        ++l.epochs;
        l.refcount += e.refcount;
        l.live_objects += e.live_objects;
        l.live_bytes += e.live_bytes;
        l.held_bytes += (e.slab_pages + e.large_pages) * s.page_size;
        if (e.resident_bytes)
            l.resident_bytes = l.resident_bytes.value_or(0) + *e.resident_bytes;
    }
    for (label_stats& l : s.labels) {
        if (s.waterfall && !l.resident_bytes)
            l.resident_bytes = 0;
        g.escapes += l.escapes;
        g.escaped_bytes += l.escaped_bytes;
    }
}

inline std::string_view text_of(std::array<char, 64> const& name) noexcept
{
    return {name.data(), static_cast<std::size_t>(std::find(name.begin(), name.end(), '\0') - name.begin())};
}

/// The names of labels by number; empty where a number is not in use.
inline std::vector<std::string> label_names(heap_face const& told)
{
    std::vector<std::string> names(label_buckets);
    std::uint32_t const used = std::min(told.labels_used.load(std::memory_order_acquire), label_buckets - 2);
    names.front() = "unlabeled";
    names.back() = "other";
    for (std::uint32_t i = 0; i < used; ++i)
        names[i + 1] = told.labels[i].read().view();
    return names;
}

inline close_stats read_last_close(last_close_face const& told)
{
    close_stats c;
    for (int patience = 100; patience > 0; --patience) {
        std::uint32_t const version = told.version.load(std::memory_order_acquire);
        c = {.timestamp_ns = told.timestamp_ns.load(std::memory_order_relaxed),
             .index = static_cast<std::uint32_t>(told.index.load(std::memory_order_relaxed)),
             .era = told.era.load(std::memory_order_relaxed),
             .label = std::string{told.label.read().view()}};
        std::size_t i = 0;
        for (std::uint64_t* const to :
             {&c.nanoseconds, &c.rss_before, &c.rss_after, &c.scanned_slabs, &c.recycled_slabs, &c.madvise_calls,
              &c.madvise_bytes, &c.madvise_failures, &c.madvise_asked_bytes, &c.madvise_gone_bytes})
            *to = told.figures[i++].load(std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);   // the figures before the version again
        if (version % 2 == 0 && told.version.load(std::memory_order_relaxed) == version)
            return c;
        spin_pause();
    }
    return {};
}

/// One moment of a heap.
template <class Heap> snapshot assemble(Heap& heap, snapshot_options const& o)
{
    snapshot s;
    heap_face const& told = heap.face();
    s.name = heap.name();
    s.timestamp_ns = wall_clock_ns();
    s.pid = heap.pid();
    s.page_size = page_bytes;
    s.epoch_count = told.epoch_count;
    std::uint64_t const current = told.current.load(std::memory_order_acquire);
    s.current_epoch = static_cast<std::uint32_t>(current & 0xffff);
    s.current_era = current >> 16;
    constexpr std::array policies{"eager", "cached", "never"};
    s.reclaim = policies[std::min<std::size_t>(told.reclaim, policies.size() - 1)];
    s.decay_ms = told.decay_ns / 1'000'000;
    s.thread_cache_bytes = told.thread_cache_bytes;
    constexpr std::array background{"off", "on", "failed", "pending"};
    s.background_purge = background[std::min<std::size_t>(
        static_cast<std::size_t>(told.background.load(std::memory_order_relaxed)), background.size() - 1)];
    constexpr std::array watch{"off", "watching", "unavailable"};
    s.pressure_watch = watch[std::min<std::size_t>(
        static_cast<std::size_t>(told.pressure.load(std::memory_order_relaxed)), watch.size() - 1)];
    s.sampling = told.sampling.load(std::memory_order_relaxed) != 0;
    s.live_known = heap.live_known();
    s.classes.resize(class_count + 1);
    for (unsigned c = 0; c <= class_count; ++c) {
        class_stats& of = s.classes[c];
        of.class_index = c;
        of.madvise_calls = told.pages.purges[c].calls.value();
        of.madvise_bytes = told.pages.purges[c].bytes.value();
        of.madvise_failures = told.pages.purges[c].failures.value();
        if (c == large_class)
            continue;
        of.object_size = class_sizes[c];
        of.objects_per_slab = bins[c].slab_slots();
        of.pages_per_slab = bins[c].pages;
        of.cache_size = told.cached[c].load(std::memory_order_relaxed);
        of.cache_capacity = told.slab_cache == 0 ? 0 : std::max(told.slab_cache / class_shapes[c].pages, 1U);
    }
    s.labels.resize(label_buckets);
    heap.for_each_thread([&s](thread_face const& t, auto row, auto labels, timing_face const* times, auto sums) {
        add_thread(t, row, labels, times, sums, s);
    });
    for (unsigned c = 0; c <= class_count; ++c)
        add_class(s.classes[c], told.strays[c]);
    add_heap(s.global, told.stray_events);
    s.classes[large_class].allocations += told.stray_events[heap_event::large_allocation].value();

    std::uint32_t const opened = heap.prepared_epochs();
    std::uint64_t const now = now_ns_coarse();
    s.epochs.reserve(opened);   // of_slot points into it
    std::vector<epoch_stats*> of_slot(opened, nullptr);
    for (std::uint32_t i = 0; i < opened; ++i) {
        epoch_face const* const r = heap.epoch(i);
        if (r == nullptr || r->state.load(std::memory_order_relaxed) == lifecycle::idle)
            continue;   // a higher slot was opened first
        epoch_stats e = read_epoch(heap, i, *r, now, s.timestamp_ns);
        if (e.era == 0)
            continue;
        of_slot[i] = &s.epochs.emplace_back(std::move(e));
        s.global.active_epochs += s.epochs.back().lifecycle == lifecycle::active ? 1 : 0;
        s.global.closing_epochs += s.epochs.back().lifecycle == lifecycle::closing ? 1 : 0;
    }
    global_stats& g = s.global;
    g.free_resident_pages = told.pages.free_resident.load(std::memory_order_relaxed);
    g.free_purged_pages = told.pages.free_purged.load(std::memory_order_relaxed);
    g.unwanted_pages = told.pages.unwanted.load(std::memory_order_relaxed);
    for (auto const& [to, cause] :
         {std::pair{&g.purges_by_time, purge_cause::time}, std::pair{&g.purges_by_work, purge_cause::work},
          std::pair{&g.purges_by_background, purge_cause::background},
          std::pair{&g.purges_by_pressure, purge_cause::pressure}})
        *to = told.purge_passes[static_cast<std::size_t>(cause)].value();
    if (s.live_known)
        page_walk<Heap>{heap, s, of_slot, o.residency && heap.residency_known()}.run();
    else
        heap.add_held(s, of_slot);
    heap.for_each_lane_at_work([&](std::uint32_t slot, std::uint64_t era, auto allocations) {
        epoch_stats* const e = slot < opened ? of_slot[slot] : nullptr;
        if (e == nullptr || e->era != era)
            return;
        if (auto const [n, still] = allocations(); still)   // it was not handed on meanwhile
            e->allocations += n;
    });
    total_up(s);
    s.global.frees = s.live_known ? heap.never_less(s.global.frees) : 0;
    heap.sum_locks(s);
    g.metadata_bytes = heap.metadata_bytes();
    g.madvise_calls = told.pages.madvise_calls.load(std::memory_order_relaxed);
    g.madvise_bytes = told.pages.madvise_bytes.load(std::memory_order_relaxed);
    g.madvise_failures = told.pages.madvise_failures.load(std::memory_order_relaxed);
    g.unmap_failures = told.pages.unmap_failures.load(std::memory_order_relaxed);
    g.labels_in_overflow = told.labels_in_overflow.value();
    g.labels_cut = told.labels_cut.value();
    for (std::size_t k = 0; k < misuse_count; ++k) {
        std::uint64_t const n = told.misuses[k].value();
        s.misuses.push_back({std::string{name_of(static_cast<misuse>(k))}, n});
        g.misuses += n;
    }
    // Names last, so that every number counted above has one; numbers without a name have nothing to say.
    std::vector<std::string> names = label_names(told);
    for (std::uint32_t i = 0; i < label_buckets; ++i) {
        s.labels[i].label_id = i;
        s.labels[i].name = std::move(names[i]);
    }
    std::erase_if(s.labels, [](label_stats const& l) { return l.name.empty(); });
    s.last_close = read_last_close(told.last_close);
    g.rss_bytes = heap.rss_bytes();
    if (s.waterfall) {
        waterfall_stats& w = *s.waterfall;
        w.rss_bytes = g.rss_bytes;
        w.metadata_bytes = heap.resident_metadata_bytes();
        w.not_tslab_bytes = static_cast<std::int64_t>(w.rss_bytes) -
                            static_cast<std::int64_t>(w.live_bytes + w.slack_bytes + w.empty_slot_bytes +
                                                      w.cached_bytes + w.free_bytes + w.metadata_bytes);
    }
    return s;
}

/// One moment of a heap's pages.
template <class Heap> heap_map assemble_map(Heap& heap)
{
    heap_map m;
    m.name = heap.name();
    m.page_size = page_bytes;
    m.live_known = heap.live_known();
    m.label_names = label_names(heap.face());
    std::uint32_t const pages = heap.used_pages();
    std::uint32_t const opened = heap.prepared_epochs();
    auto const add = [&m](map_run const& r) {
        if (!m.runs.empty()) {
            map_run& last = m.runs.back();
            bool const both_free = r.use <= page_use::free_resident && last.use == r.use;
            if (both_free) {
                last.pages += r.pages;
                return;
            }
        }
        m.runs.push_back(r);
    };
    for (std::uint32_t i = 0; i < pages;) {
        slab const& page = heap.at(i);
        residence const where = page.where.load(std::memory_order_relaxed);
        unsigned const bin = page.bin();
        map_run r{.first_page = i, .pages = 1};
        if (where == residence::large) {
            r.pages = std::clamp(page.pages.load(std::memory_order_relaxed), 1U, pages - i);
            r.use = page_use::large;
            r.class_index = large_class;
            r.slots = r.live = 1;
        } else if (where == residence::unused || bin >= bin_count) {
            r.use = heap.free_resident_class(i) <= class_count ? page_use::free_resident : page_use::free_purged;
        } else {
            r.pages = std::min<std::uint32_t>(bins[bin].pages, pages - i);
            r.use = where == residence::cached || heap.is_kept(page, bin) ? page_use::cached : page_use::slab;
            r.class_index = class_of_bin(bin);
            r.slots = bins[bin].slab_slots();
            r.live = std::min(heap.live(page, bin), r.slots);
            if (page.bin() != bin)   // cut anew while we looked, as in page_walk
                r = {.first_page = i, .pages = 1, .use = page_use::free_resident};
        }
        if (r.use == page_use::slab || r.use == page_use::large) {
            epoch_id const home = heap.home_of(page, opened);
            epoch_face const* const e = home.index < opened ? heap.epoch(home.index) : nullptr;
            if (e != nullptr && e->era.load(std::memory_order_relaxed) == home.era) {
                r.epoch = home.index;
                r.era = home.era;
                r.label_id = std::min(e->label_id.load(std::memory_order_relaxed), label_buckets - 1);
            }
        }
        add(r);
        i += r.pages;
    }
    return m;
}

}
