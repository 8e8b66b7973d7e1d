// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor's rules on rates: slow paths, caches, locks, races, and a shared processor.
module;
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
module tslab.inspect;

import tslab.stats;

#include "examination.hpp"

namespace tslab {

namespace {

std::uint64_t slots_of(class_stats const& c, snapshot const& s) noexcept
{
    if (c.objects_per_slab != 0)
        return c.objects_per_slab;
    return c.object_size != 0 ? std::max<std::uint64_t>(s.page_size / c.object_size, 1) : 0;
}

/// Slow paths of a class beyond one for each slab that its allocations fill, which no slab allocator avoids.
double avoidable(class_stats const& c, snapshot const& s) noexcept
{
    std::uint64_t const slots = slots_of(c, s);
    if (slots == 0)
        return 0;
    return std::max(0.0, static_cast<double>(c.slow_path_hits) -
                             static_cast<double>(c.allocations) / static_cast<double>(slots));
}

void examine_slow_path(examination& x)
{
    double beyond = 0, allocations = 0;
    std::uint64_t hits = 0, misses = 0, none = 0;
    class_stats const* worst = nullptr;
    for (class_stats const& c : x.change.classes) {
        if (c.object_size == 0)
            continue;   // a large allocation has no other path
        beyond += avoidable(c, x.now);
        allocations += static_cast<double>(c.allocations);
        hits += c.slow_path_hits;
        misses += c.slow_path_cache_miss;
        none += c.current_partial_null;
        if (worst == nullptr || avoidable(c, x.now) > avoidable(*worst, x.now))
            worst = &c;
    }
    auto how = x.judge(x.limits.slow_path, beyond, allocations);
    if (!how)
        return;
    // A slow path that finds an empty slab in a cache costs little; one that takes a new page costs a page fault.
    auto const paid = x.judge(x.limits.slow_path_miss, static_cast<double>(misses), static_cast<double>(hits));
    how = paid ? std::min(*how, *paid) : severity::hint;
    x.add("slow_path_rate", *how, "heap",
          {{"total_slow_path_hits", static_cast<double>(hits)},
           {"allocations", allocations},
           {"avoidable_rate", beyond / allocations},
           {"slow_path_rate", static_cast<double>(hits) / allocations},
           {"cache_miss_pct", 100 * ratio(misses, hits)},
           {"current_partial_null", static_cast<double>(none)}},
          joined(percent_text(static_cast<double>(hits) / allocations), " of the allocations ", x.span(),
                 " took the slow path, ", percent_text(beyond / allocations), " beyond what filling slabs needs; ",
                 percent_text(ratio(misses, hits)),
                 " of the slow paths needed a new page. Worst: ", class_text(worst->object_size), "."),
          "Each phase needs a first slab of every class it uses. Let phases allocate more before they end, keep an "
          "epoch_resource "
          "and call release instead of opening a scope for a few objects, or share an epoch "
          "(resource_options::share_epoch).");
}

void examine_caches(examination& x)
{
    if (x.now.reclaim == "eager")
        return;   // that policy caches nothing
    global_stats const& g = x.now.global;
    std::uint64_t pages = g.slab_pages + g.large_pages + g.free_resident_pages + g.free_purged_pages;
    for (class_stats const& c : x.now.classes)
        pages += c.cached_slabs * c.pages_per_slab;
    // What was not needed for so long that it went back would have gone from a larger cache as well: of a burst nothing may be left
    // but this. With a decay of 0 pages go at each close, needed or not.
    if (x.now.decay_ms != 0)
        pages += x.change.global.madvise_bytes / std::max<std::uint64_t>(x.now.page_size, 1);
    std::uint64_t taken_pages = 0;
    for (class_stats const& c : x.change.classes)
        taken_pages += c.slow_path_cache_miss * c.pages_per_slab;
    // A heap that grew and shrank once overflows and misses too. Only a heap that takes each page many times is meant.
    if (static_cast<double>(taken_pages) < x.limits.cache_turnover * static_cast<double>(pages))
        return;
    std::vector<class_stats const*> classes;
    classes.reserve(x.change.classes.size());
    for (class_stats const& c : x.change.classes)
        classes.push_back(&c);
    std::ranges::sort(classes, [](class_stats const* a, class_stats const* b) {
        return a->slow_path_cache_miss != b->slow_path_cache_miss ? a->slow_path_cache_miss > b->slow_path_cache_miss
                                                                  : a->class_index < b->class_index;
    });
    for (class_stats const* const c : classes) {
        auto const overflowed = static_cast<double>(c->empty_slab_overflowed);
        auto const emptied = overflowed + static_cast<double>(c->empty_slab_recycled);
        auto const misses = static_cast<double>(c->slow_path_cache_miss);
        auto const taken = misses + static_cast<double>(c->cache_hits);
        if (!x.enough(x.limits.cache_overflow, overflowed) || !x.enough(x.limits.cache_miss, misses))
            continue;
        auto const level = [](ratio_limits const& l, double part, double whole) -> std::optional<severity> {
            if (part < l.warning * whole)
                return std::nullopt;
            return part < l.critical * whole ? severity::warning : severity::critical;
        };
        auto const out = level(x.limits.cache_overflow, overflowed, emptied);
        auto const in = level(x.limits.cache_miss, misses, taken);
        if (!out || !in)
            continue;
        x.add("cache_too_small", std::min(*out, *in), class_text(c->object_size),
              {{"empty_slab_overflowed", overflowed},
               {"empty_slab_recycled", static_cast<double>(c->empty_slab_recycled)},
               {"overflow_rate", overflowed / emptied},
               {"slow_path_cache_miss", misses},
               {"cache_hits", static_cast<double>(c->cache_hits)},
               {"cache_miss_rate", misses / taken},
               {"cache_capacity", static_cast<double>(c->cache_capacity)}},
              joined(percent_text(overflowed / emptied), " of the slabs that became empty ", x.span(),
                     " found the cache of ", c->cache_capacity, " full, and ", percent_text(misses / taken),
                     " of the slabs asked for were not in it: the same pages go out and come back."),
              joined("Raise allocator_options::slab_cache, for a try to ",
                     std::max<std::uint64_t>(64, 2 * c->cache_capacity * c->pages_per_slab),
                     "; it may keep that many pages of each class resident."));
    }
}

/// A sentence with the label under which most of `what` was counted.
std::string mostly_under(examination const& x, class_stats const& c, std::uint64_t contention_stats::* what)
{
    auto const worst =
        std::ranges::max_element(c.by_label, [&](auto const& a, auto const& b) { return a.*what < b.*what; });
    if ((*worst).*what == 0)
        return {};
    return joined(" Most under ", x.label_name(static_cast<std::uint32_t>(worst - c.by_label.begin())), " (",
                  (*worst).*what, ").");
}

constexpr std::string_view own_resources = "Give each thread an epoch_resource or epoch_scope of its own, made on that "
                                           "thread, and free where was allocated: then threads "
                                           "meet only where slabs change hands.";

void examine_locks(examination& x)
{
    bool reported = false;
    auto const judge = [&](std::string subject, std::uint64_t waited, std::uint64_t fast,
                           std::optional<lock_timing_stats> const& timing, std::string const& more) {
        std::uint64_t const all = waited + fast;
        auto const how = x.judge(x.limits.lock_contended, static_cast<double>(waited), static_cast<double>(all));
        if (!how)
            return;
        reported = true;
        x.add("lock_contention", *how, std::move(subject),
              {{"lock_contended", static_cast<double>(waited)},
               {"lock_fast_acquire", static_cast<double>(fast)},
               {"lock_contention_rate", ratio(waited, all)}},
              joined(waited, " of ", all, " acquisitions ", x.span(), " had to wait (",
                     percent_text(ratio(waited, all)), ")",
                     timing && timing->samples != 0
                         ? joined(", ", timing->wait_ns / timing->samples, " ns on average of those timed")
                         : std::string{},
                     ".", more),
              std::string{own_resources});
    };
    for (class_stats const& c : x.change.classes)
        judge(class_text(c.object_size), c.contention.lock_contended, c.contention.lock_fast_acquire, c.lock_timing,
              mostly_under(x, c, &contention_stats::lock_contended));
    // The locks of the heap include those of the classes: they are reported only where no class explains it.
    global_stats const& g = x.change.global;
    if (!reported)
        judge("heap", g.lock_contended, g.lock_fast_acquire, g.lock_timing, {});
}

void examine_races(examination& x)
{
    struct race {
        std::string_view code, happened, part_name, whole_name, rate_name;
        ratio_limits const& limits;
        std::uint64_t (*part)(class_stats const&);
        std::uint64_t class_stats::* whole;
        std::uint64_t contention_stats::* by_label;
    };
    std::array const races{
        race{"claim_retries_alloc", " claims had to be repeated ", "bitmap_alloc_cas_retries", "bitmap_alloc_attempts",
             "avg_alloc_cas_retries_per_attempt", x.limits.claim_retries_alloc,
             [](class_stats const& c) { return c.contention.bitmap_alloc_cas_retries; },
             &class_stats::bitmap_alloc_attempts, &contention_stats::bitmap_alloc_cas_retries},
        race{"claim_retries_free", " frees had to be repeated or lost a race ", "bitmap_free_cas_retries",
             "bitmap_free_attempts", "avg_free_cas_retries_per_attempt", x.limits.claim_retries_free,
             [](class_stats const& c) { return c.contention.bitmap_free_cas_retries; },
             &class_stats::bitmap_free_attempts, &contention_stats::bitmap_free_cas_retries},
        race{"lost_races", " tries to get a slab were lost to another thread ", "current_partial_lost_races",
             "current_partial_cas_attempts", "lost_race_rate", x.limits.lost_races,
             [](class_stats const& c) { return c.current_partial_lost_races; },
             &class_stats::current_partial_cas_attempts, nullptr},
    };
    for (race const& r : races)
        for (class_stats const& c : x.change.classes) {
            std::uint64_t const part = r.part(c), whole = c.*r.whole;
            auto const how = x.judge(r.limits, static_cast<double>(part), static_cast<double>(whole));
            if (!how)
                continue;
            x.add(r.code, *how, class_text(c.object_size),
                  {{std::string{r.part_name}, static_cast<double>(part)},
                   {std::string{r.whole_name}, static_cast<double>(whole)},
                   {std::string{r.rate_name}, ratio(part, whole)}},
                  joined(part, r.happened, x.span(), ", for ", whole, " attempts (",
                         decimal_text(ratio(part, whole), 4), " each).",
                         r.by_label != nullptr ? mostly_under(x, c, r.by_label) : std::string{}),
                  std::string{own_resources});
        }
}

void examine_scheduler(examination& x)
{
    timing_stats const& t = x.change.sampled.alloc;
    auto const wall = static_cast<double>(t.wall_ns_sum), cpu = static_cast<double>(t.cpu_ns_sum);
    auto const samples = static_cast<double>(t.samples), wait = static_cast<double>(t.wait_ns_sum);
    if (!x.enough(x.limits.wall_per_cpu, samples) || wait < static_cast<double>(x.limits.wait_ns_floor) * samples ||
        wall <= x.limits.wall_per_cpu.warning * cpu)
        return;
    severity const how = wall > x.limits.wall_per_cpu.critical * cpu ? severity::critical : severity::warning;
    x.add("scheduler_interference", how, "process",
          {{"alloc_samples", samples},
           {"alloc_wall_ns_sum", wall},
           {"alloc_cpu_ns_sum", cpu},
           {"alloc_wait_ns_sum", wait},
           {"alloc_wall_cpu_ratio", ratio(t.wall_ns_sum, t.cpu_ns_sum)}},
          joined(t.samples, " timed allocations ", x.span(), " took ", t.wall_ns_sum / t.samples,
                 " ns on average, of which ", t.wait_ns_sum / t.samples, " ns were waiting: wall time is ",
                 decimal_text(ratio(t.wall_ns_sum, t.cpu_ns_sum), 2), " times processor time."),
          "Unless lock_contention is found too, this is the machine, not the heap: more runnable threads than "
          "processors, a "
          "processor quota of the control group, or a busy host. Do not read the latencies of this run as tslab's.");
}

/// Labels of which the large phases cost far more bytes than the usual ones.
void examine_phases(examination& x)
{
    for (phase_cost_stats const& c : x.change.phase_costs) {
        quarter_histogram used = c.bytes;
        used.buckets[0] = 0;   // those that allocated nothing
        std::uint64_t const phases = used.total();
        std::uint64_t const median = used.quantile(0.5, c.bytes_max);
        std::uint64_t const large = used.quantile(0.99, c.bytes_max);
        double const times = ratio(large, median);
        if (phases < x.limits.uneven_floor_phases || large < x.limits.uneven_floor_bytes || times < x.limits.uneven)
            continue;
        std::string const where = c.largest_at == source_entry{}
                                      ? std::string{}
                                      : joined(" The largest so far, of ", bytes_text(c.bytes_max), ", was entered at ",
                                               printable(c.largest_at.file), ":", c.largest_at.line, ".");
        x.add(
            "uneven_phases", times >= x.limits.uneven_warning ? severity::warning : severity::hint, label_text(c.label),
            {{"bytes_p50", static_cast<double>(median)},
             {"bytes_p99", static_cast<double>(large)},
             {"bytes_max", static_cast<double>(c.bytes_max)},
             {"phases", static_cast<double>(phases)}},
            joined("Of ", phases, " phases with allocations ", x.span(), " the 99th percentile is ", bytes_text(large),
                   ", ", decimal_text(times, 0), " times the median of ", bytes_text(median), ".", where),
            "Look at what these phases do differently: a query without a limit, a body that is read as a whole. Two "
            "kinds of "
            "phases under one label need two labels.");
    }
}

}

void examine_speed(examination& x)
{
    examine_phases(x);
    examine_caches(x);
    examine_slow_path(x);
    examine_locks(x);
    examine_races(x);
    examine_scheduler(x);
}

}
