// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Assembles a snapshot or a map from a heap's stats pages and descriptors, in its own process or in another one. Not
// exported. Counters are summed over the threads' stats pages; slabs are counted by walking the descriptors. It takes
// no lock that an allocation waits for; a ring slot that is reopened during the walk is detected by its era. Access to
// the data is by a readable_heap.
#pragma once
#include "readable_heap.hpp"

#include "cost_sums.hpp"
#include "counter_sums.hpp"
#include "page_walk.hpp"

namespace tslab {

/// A duration that is known: never 0, which means that it is not.
inline double seconds_at_least_1ns(std::uint64_t ns) noexcept
{
    return static_cast<double>(std::max<std::uint64_t>(ns, 1)) * 1e-9;
}

template <readable_heap Heap>
epoch_stats read_fields(Heap& heap, std::uint32_t index, epoch_stats_page const& r, std::uint64_t now,
                        std::uint64_t wall)
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
    e.open_since_ns = wall > age ? wall - age : 0;
    std::uint64_t const closing = r.closing_ns.load(std::memory_order_relaxed);
    e.closing_seconds =
        e.lifecycle == lifecycle::closing && closing != 0 ? static_cast<double>(since(closing)) * 1e-9 : 0;
    e.unlisted_holders = r.unlisted_holders.load(std::memory_order_relaxed);
    oldest_holder const oldest = heap.oldest_holder_of(index, r);
    if (oldest.entered_ns != 0) {
        e.opened_at = entry_of(heap.place(oldest.place));
        e.entered_seconds = seconds_at_least_1ns(since(oldest.entered_ns));
    } else if (e.refcount != 0 && e.unlisted_holders == 0) {
        e.entered_seconds = seconds_at_least_1ns(0);   // those inside entered or left during this read
    }
    e.rss_before_close = r.rss_before_close.load(std::memory_order_relaxed);
    e.rss_after_close = r.rss_after_close.load(std::memory_order_relaxed);
    e.madvise_bytes = r.closed_madvise_bytes.load(std::memory_order_relaxed);
    e.madvise_asked_bytes = r.closed_asked_bytes.load(std::memory_order_relaxed);
    e.madvise_gone_bytes = r.closed_gone_bytes.load(std::memory_order_relaxed);
    if (std::uint64_t const limit = r.limit_bytes.load(std::memory_order_relaxed); limit != 0)
        e.limit_bytes = limit - 1;
    e.limit_refusals = r.limit_refusals.value();
    return e;
}

/// Reads the fields of one era; reads again if the slot is being reopened. That takes some nanoseconds, or as long as
/// the reopening thread is preempted; if it takes too long, the slot is left out (era 0).
template <readable_heap Heap>
epoch_stats read_epoch(Heap& heap, std::uint32_t index, epoch_stats_page const& r, std::uint64_t now,
                       std::uint64_t wall)
{
    constexpr int spins = 100;
    constexpr int yields = 100;
    for (int i = 0; i < spins + yields; ++i) {
        epoch_stats e = read_fields(heap, index, r, now, wall);
        std::atomic_thread_fence(std::memory_order_acquire);   // the fields are read before the era is read again
        if (e.era != 0 && r.era.load(std::memory_order_relaxed) == e.era)
            return e;
        if (i < spins)
            spin_pause();
        else
            std::this_thread::yield();
    }
    return {};
}

/// Computes what follows from the rest: sums over classes, and labels from their epochs.
inline void total_up(snapshot& s)
{
    global_stats& g = s.global;
    for (class_stats const& c : s.classes)
        add_class_to_heap(g, c);
    g.current_partial_cas_failures = g.current_partial_lost_races + g.current_partial_mismatches;
    g.frees = g.allocations > g.live_objects ? g.allocations - g.live_objects : 0;

    for (epoch_stats const& e : s.epochs) {
        if (e.lifecycle != lifecycle::active && e.lifecycle != lifecycle::closing)
            continue;
        label_stats& l = s.labels[e.label_id];
        ++l.epochs;
        g.unlisted_holders += e.unlisted_holders;
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
        g.lock_fast_acquire += l.contention.lock_fast_acquire;
        g.lock_contended += l.contention.lock_contended;
        g.escapes += l.escapes;
        g.escaped_bytes += l.escaped_bytes;
    }
}

inline std::string_view text_of(std::array<char, 64> const& name) noexcept
{
    return {name.data(), static_cast<std::size_t>(std::ranges::find(name, '\0') - name.begin())};
}

/// Fills in the limit of a label or of the heap, and what is counted against it.
template <class Stats> void read_account(account_stats const& from, Stats& to) noexcept
{
    if (std::uint64_t const limit = from.limit_bytes.load(std::memory_order_relaxed); limit != 0)
        to.limit_bytes = limit - 1;
    // Threads add to it after they have changed the count, in any order: for a moment it may be below 0.
    auto const pages = static_cast<std::int64_t>(from.held.value());
    to.limit_held_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(pages, 0)) * page_bytes;
}

/// The names of labels by number; empty for an unused number.
inline std::vector<std::string> label_names(heap_stats_page const& page)
{
    std::vector<std::string> names(label_buckets);
    std::uint32_t const used = std::min(page.labels_used.load(std::memory_order_acquire), label_buckets - 2);
    names.front() = "unlabeled";
    names.back() = "other";
    for (std::uint32_t i = 0; i < used; ++i)
        names[i + 1] = page.labels[i].read().view();
    return names;
}

inline close_stats read_close(last_close_record const& record)
{
    close_stats c;
    for (int patience = 100; patience > 0; --patience) {
        std::uint32_t const version = record.version.load(std::memory_order_acquire);
        c = {.timestamp_ns = record.timestamp_ns.load(std::memory_order_relaxed),
             .index = static_cast<std::uint32_t>(record.index.load(std::memory_order_relaxed)),
             .era = record.era.load(std::memory_order_relaxed),
             .label = std::string{record.label.read().view()}};
        std::size_t i = 0;
        for (std::uint64_t* const to :
             {&c.nanoseconds, &c.purge_nanoseconds, &c.rss_before, &c.rss_after, &c.scanned_slabs, &c.recycled_slabs,
              &c.madvise_calls, &c.madvise_bytes, &c.madvise_failures, &c.madvise_asked_bytes, &c.madvise_gone_bytes})
            *to = record.figures[i++].load(std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);   // the figures are read before the version is read again
        if (version % 2 == 0 && record.version.load(std::memory_order_relaxed) == version)
            return c;
        spin_pause();
    }
    return {};
}

/// Sums the timed acquisitions of locks for each class, and for the heap with those for an epoch as a whole.
template <readable_heap Heap> void add_lock_times(Heap const& heap, snapshot& s)
{
    lock_timing_stats all;
    lock_histogram_stats by_duration;
    std::vector<lock_timing_stats> of_class(class_count + 1);
    heap.for_each_thread([&](thread_stats_page const&, auto row, auto, thread_times times, auto) {
        if (times.locks != nullptr)
            times.locks->add_to(by_duration);
        for (unsigned c = 0; c <= no_class; ++c)
            if (class_stats_page const* const of = row(c)) {
                of->waits.add_to(all);
                if (c < of_class.size())
                    of->waits.add_to(of_class[c]);
            }
    });
    if (!heap.locks_are_timed(all.samples))
        return;
    s.global.lock_timing = all;
    s.global.lock_histograms = by_duration;
    for (std::size_t c = 0; c < of_class.size(); ++c)
        s.classes[c].lock_timing = of_class[c];
}

/// Assembles a snapshot of a heap. Throws std::bad_alloc.
template <readable_heap Heap> snapshot assemble(Heap& heap, snapshot_options const& o)
{
    snapshot s;
    heap_stats_page const& stats = heap.stats();
    s.name = heap.name();
    s.instance = stats.instance;
    clock_reading const clocks = heap.clocks();
    s.timestamp_ns = clocks.wall_ns;
    s.monotonic_ns = clocks.monotonic_ns;
    s.boot_id = clocks.boot.view();
    s.pid = heap.pid();
    s.page_size = page_bytes;
    s.epoch_count = stats.epoch_count;
    std::uint64_t const current = stats.current.load(std::memory_order_acquire);
    s.current_epoch = static_cast<std::uint32_t>(current & 0xffff);
    s.current_era = current >> 16;
    constexpr std::array policies{"eager", "cached", "never"};
    s.reclaim = policies[std::min<std::size_t>(stats.reclaim, policies.size() - 1)];
    s.decay_ms = stats.decay_ns / 1'000'000;
    s.thread_cache_bytes = stats.thread_cache_bytes;
    constexpr std::array background{"off", "on", "failed", "pending"};
    s.background_purge = background[std::min<std::size_t>(
        static_cast<std::size_t>(stats.background.load(std::memory_order_relaxed)), background.size() - 1)];
    constexpr std::array watch{"off", "watching", "unavailable"};
    s.pressure_watch = watch[std::min<std::size_t>(
        static_cast<std::size_t>(stats.pressure.load(std::memory_order_relaxed)), watch.size() - 1)];
    s.sampling = stats.sampling.load(std::memory_order_relaxed) != 0;
    s.live_known = heap.live_known();
    s.classes.resize(class_count + 1);
    for (unsigned c = 0; c <= class_count; ++c) {
        class_stats& of = s.classes[c];
        of.class_index = c;
        of.madvise_calls = stats.pages.purges[c].calls.value();
        of.madvise_bytes = stats.pages.purges[c].bytes.value();
        of.madvise_failures = stats.pages.purges[c].failures.value();
        if (c == large_class)
            continue;
        of.object_size = class_sizes[c];
        of.objects_per_slab = bins[c].slab_slots();
        of.pages_per_slab = bins[c].pages;
        of.cache_size = stats.cached[c].load(std::memory_order_relaxed);
        of.cache_capacity = stats.slab_cache == 0 ? 0 : std::max(stats.slab_cache / class_shapes[c].pages, 1U);
    }
    s.labels.resize(label_buckets);
    heap.for_each_thread([&s](thread_stats_page const& t, auto row, auto labels, thread_times times, auto sums) {
        add_thread(t, row, labels, times.sampled, sums, s);
    });
    if (o.residency)
        for (thread_stats& t : s.threads)
            if (t.tid != 0)
                t.name = heap.thread_name(t.tid);
    for (unsigned c = 0; c <= class_count; ++c)
        add_class(s.classes[c], stats.strays[c]);
    add_heap(s.global, stats.stray_events);
    s.classes[large_class].allocations += stats.stray_events[heap_event::large_allocation].value();

    std::uint32_t const opened = heap.prepared_epochs();
    std::uint64_t const now = s.monotonic_ns;
    s.epochs.reserve(opened);   // of_slot points into it
    std::vector<epoch_stats*> of_slot(opened, nullptr);
    for (std::uint32_t i = 0; i < opened; ++i) {
        epoch_stats_page const* const r = heap.epoch(i);
        if (r == nullptr || r->state.load(std::memory_order_relaxed) == lifecycle::idle)
            continue;   // prepared, but never opened
        epoch_stats e = read_epoch(heap, i, *r, now, s.timestamp_ns);
        if (e.era == 0)
            continue;
        of_slot[i] = &s.epochs.emplace_back(std::move(e));
        s.global.active_epochs += s.epochs.back().lifecycle == lifecycle::active ? 1 : 0;
        s.global.closing_epochs += s.epochs.back().lifecycle == lifecycle::closing ? 1 : 0;
    }
    global_stats& g = s.global;
    g.free_resident_pages = stats.pages.free_resident.load(std::memory_order_relaxed);
    g.free_purged_pages = stats.pages.free_purged.load(std::memory_order_relaxed);
    g.unwanted_pages = stats.pages.unwanted.load(std::memory_order_relaxed);
    for (auto const& [to, cause] :
         {std::pair{&g.purges_by_time, purge_cause::time}, std::pair{&g.purges_by_work, purge_cause::work},
          std::pair{&g.purges_by_background, purge_cause::background},
          std::pair{&g.purges_by_pressure, purge_cause::pressure}})
        *to = stats.purge_passes[static_cast<std::size_t>(cause)].value();
    if (s.live_known)
        page_walk<Heap>{heap, s, of_slot, o.residency && heap.residency_known()}.run();
    else
        heap.add_held(s, of_slot);
    heap.for_each_cache_at_work([&](std::uint32_t slot, std::uint64_t era, auto allocations) {
        epoch_stats* const e = slot < opened ? of_slot[slot] : nullptr;
        if (e == nullptr || e->era != era)
            return;
        if (auto const [n, still] = allocations(); still)   // the cache is still attached to this epoch
            e->allocations += n;
    });
    total_up(s);
    s.global.frees = s.live_known ? heap.never_less(s.global.frees) : 0;
    add_lock_times(heap, s);
    g.metadata_bytes = heap.metadata_bytes();
    g.madvise_calls = stats.pages.madvise_calls.load(std::memory_order_relaxed);
    g.madvise_bytes = stats.pages.madvise_bytes.load(std::memory_order_relaxed);
    g.madvise_failures = stats.pages.madvise_failures.load(std::memory_order_relaxed);
    g.madvise_asked_bytes = stats.pages.madvise_asked.load(std::memory_order_relaxed);
    g.madvise_gone_bytes = stats.pages.madvise_gone.load(std::memory_order_relaxed);
    g.purge_ns = stats.pages.purge_ns.load(std::memory_order_relaxed);
    g.unmap_failures = stats.pages.unmap_failures.load(std::memory_order_relaxed);
    g.labels_in_overflow = stats.labels_in_overflow.value();
    g.labels_cut = stats.labels_cut.value();
    g.cost_labels_in_overflow = stats.further_labels_missing.value();
    g.places_missing = stats.places_missing.value();
    g.unpublished_chunks = heap.missing_chunks();
    g.profile_interval = stats.profile.interval;
    g.profile_samples = stats.profile.samples.value();
    g.profile_samples_dropped = stats.profile.samples_dropped.value();
    g.profile_stacks = stats.profile.stacks.load(std::memory_order_relaxed);
    g.profile_stacks_dropped = stats.profile.stacks_dropped.value();
    g.profile_stacks_cut = stats.profile.stacks_cut.value();
    read_account(stats.accounts[label_buckets], g);
    for (std::size_t k = 0; k < misuse_count; ++k) {
        std::uint64_t const n = stats.misuses[k].value();
        s.misuses.push_back({std::string{name_of(static_cast<misuse>(k))}, n});
        g.misuses += n;
    }
    // Names last, so that every number counted above has one; a number without a name has no counts.
    std::vector<std::string> names = label_names(stats);
    add_costs(heap, s, names);
    close_page const* const closes = heap.closes();
    for (std::uint32_t i = 0; i < label_buckets; ++i) {
        s.labels[i].label_id = i;
        s.labels[i].name = std::move(names[i]);
        s.labels[i].madvise_asked_bytes = stats.madvise_asked[i].value();
        s.labels[i].madvise_gone_bytes = stats.madvise_gone[i].value();
        read_account(stats.accounts[i], s.labels[i]);
        s.labels[i].limit_refusals = stats.accounts[i].refused.value();
        if (closes != nullptr)
            if (close_stats last = read_close(closes->of_label[i]); last.timestamp_ns != 0)
                s.labels[i].last_close = std::move(last);
    }
    std::erase_if(s.labels, [](label_stats const& l) { return l.name.empty(); });
    s.last_close = read_close(stats.last_close);
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

/// Sets the epoch and the label of a run that begins with `page`; no effect if its epoch was opened after the epochs were
/// read, or is being reopened.
template <class Heap> void attribute(Heap const& heap, slab_meta const& page, std::uint32_t opened, map_run& r)
{
    epoch_id const home = heap.home_of(page, opened);
    epoch_stats_page const* const e = home.index < opened ? heap.epoch(home.index) : nullptr;
    if (e == nullptr || home.era == 0)
        return;
    std::uint32_t const label = std::min(e->label_id.load(std::memory_order_relaxed), label_buckets - 1);
    std::atomic_thread_fence(std::memory_order_acquire);   // the label is read before the era
    if (e->era.load(std::memory_order_relaxed) != home.era)
        return;
    r.epoch = home.index;
    r.era = home.era;
    r.label_id = label;
}

/// Assembles a map of a heap's pages. Throws std::bad_alloc.
template <readable_heap Heap> heap_map assemble_map(Heap& heap)
{
    heap_map m;
    m.name = heap.name();
    m.instance = heap.stats().instance;
    m.page_size = page_bytes;
    m.live_known = heap.live_known();
    m.label_names = label_names(heap.stats());
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
        slab_meta const& page = heap.at(i);
        residence const where = page.where.load(std::memory_order_relaxed);
        unsigned const bin = page.bin();
        map_run r{.first_page = i, .pages = 1};
        if (where == residence::large) {
            r.pages = std::clamp(large_allocation{page}.pages(), 1U, pages - i);
            r.use = page_use::large;
            r.class_index = large_class;
            r.slots = r.live = 1;
        } else if (where == residence::unused || bin >= bin_count) {
            r.use = heap.free_resident_class(i) <= class_count ? page_use::free_resident : page_use::free_purged;
        } else {
            r.pages = std::min<std::uint32_t>(bins[bin].pages, pages - i);
            r.use = where == residence::cached || heap.is_retained(page, bin) ? page_use::cached : page_use::slab;
            r.class_index = class_of_bin(bin);
            r.slots = bins[bin].slab_slots();
            r.live = std::min(heap.live(page, bin), r.slots);
            if (page.bin() != bin)   // re-cut during the read, as in page_walk
                r = {.first_page = i, .pages = 1, .use = page_use::free_resident};
        }
        if (r.use == page_use::slab || r.use == page_use::large) {
            constexpr int tries = 8;   // the epoch may be reopened between the two loads of its era
            for (int n = 0; n < tries && r.era == 0; ++n)
                attribute(heap, page, opened, r);
            if (r.era == 0) {
                r.label_id = label_buckets;
                m.label_names.resize(label_buckets + 1, "unattributed");
            }
        }
        add(r);
        i += r.pages;
    }
    return m;
}

}
