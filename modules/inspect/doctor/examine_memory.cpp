// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor's rules on memory: what closes purge, its effect on residency, and memory held without use.
module;
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
module tslab.inspect;

import tslab.stats;

#include "examination.hpp"

namespace tslab {

namespace {

void examine_kernel(examination& x)
{
    global_stats const& g = x.change.global;
    if (auto const how = examination::judge(x.limits.madvise_failures, g.madvise_failures))
        x.add("madvise_failures", *how, "heap",
              {{"total_madvise_failures", static_cast<double>(g.madvise_failures)},
               {"total_madvise_calls", static_cast<double>(g.madvise_calls)}},
              joined(g.madvise_failures, " of ", counted(g.madvise_calls, "call", "calls"), " of madvise failed ",
                     x.span(), "; nothing is lost, but the pages stay resident."),
              "The kernel refuses for memory that is locked (mlock, mlockall) and under some seccomp filters. Lift "
              "that, or use "
              "reclaim_policy::never, so that no close tries.");

    std::uint64_t const asked = g.madvise_asked_bytes, gone = g.madvise_gone_bytes;
    if (auto const how = x.judge_low(x.limits.cooperation, static_cast<double>(gone), static_cast<double>(asked)))
        x.add("madvise_stays", *how, "heap",
              {{"total_madvise_asked_bytes", static_cast<double>(asked)},
               {"total_madvise_gone_bytes", static_cast<double>(gone)},
               {"cooperation_pct", 100 * ratio(gone, asked)}},
              joined("Of ", bytes_text(asked), " handed to madvise ", x.span(), " ", bytes_text(gone), " (",
                     percent_text(ratio(gone, asked)), ") was no longer resident afterwards."),
              "Look whether the memory is locked, and whether other threads took the pages again at once: then the "
              "phases need "
              "them, and a larger allocator_options::slab_cache saves the kernel the work.");
}

void examine_closes(examination& x)
{
    global_stats const& g = x.change.global;
    auto const scanned = static_cast<double>(g.epoch_close_scanned_slabs);
    auto const recycled = static_cast<double>(g.epoch_close_recycled_slabs);
    if (auto const how = x.judge_low(x.limits.reclaim_yield, recycled, scanned)) {
        class_stats const* worst = nullptr;
        for (class_stats const& c : x.change.classes) {
            auto const kept = [](class_stats const& k) {
                return k.epoch_close_scanned_slabs -
                       std::min(k.epoch_close_scanned_slabs, k.epoch_close_recycled_slabs);
            };
            if (kept(c) != 0 && (worst == nullptr || kept(c) > kept(*worst)))
                worst = &c;
        }
        x.add("low_reclaim_yield", *how, "heap",
              {{"total_epoch_close_scanned_slabs", scanned},
               {"total_epoch_close_recycled_slabs", recycled},
               {"reclamation_yield", recycled / scanned},
               {"total_epoch_closes", static_cast<double>(g.epoch_closes)}},
              joined("Closes looked at ", g.epoch_close_scanned_slabs, " slabs ", x.span(), " and took ",
                     g.epoch_close_recycled_slabs, " back (", percent_text(recycled / scanned), ")",
                     worst != nullptr ? joined("; most stay in ", class_text(worst->object_size)) : std::string{}, "."),
              "The phases close while their objects live. Close later, free earlier, or keep what lives longer in a "
              "resource of "
              "its own; if closes are repeated to collect, close less often.");
    }
    if (g.epoch_close_timed >= std::max<std::uint64_t>(x.limits.slow_close_floor, 1)) {
        double const average = ratio(g.epoch_close_total_ns, g.epoch_close_timed) * 1e-6;
        if (average > x.limits.slow_close_ms)
            x.add("slow_close", average > x.limits.slow_close_critical_ms ? severity::critical : severity::warning,
                  "heap",
                  {{"total_epoch_close_timed", static_cast<double>(g.epoch_close_timed)},
                   {"total_epoch_close_ns", static_cast<double>(g.epoch_close_total_ns)},
                   {"total_epoch_close_purge_ns", static_cast<double>(g.epoch_close_purge_ns)},
                   {"avg_epoch_close_latency_ms", average},
                   {"avg_scanned_per_close", ratio(g.epoch_close_scanned_slabs, g.epoch_closes)}},
                  joined(g.epoch_close_timed, " timed closes took ", decimal_text(average, 3), " ms on average ",
                         x.span(), ", time for the kernel to take pages not included."),
                  "Looking at slabs is the bottleneck: make phases smaller, free within the phase rather than at its "
                  "end, or call allocator::close from a thread that no request waits for; allocator::advance closes "
                  "without looking.");
    }
}

void examine_holdings(examination& x)
{
    global_stats const& g = x.now.global;
    auto const empty = static_cast<double>(g.empty_held_bytes);
    auto const live = static_cast<double>(std::max<std::uint64_t>(g.live_bytes, 1));
    if (g.empty_held_bytes >= x.limits.empty_held.floor && empty >= x.limits.empty_held.warning * live)
        x.add(
            "empty_held", empty >= x.limits.empty_held.critical * live ? severity::critical : severity::warning, "heap",
            {{"empty_held_bytes", empty},
             {"live_bytes", static_cast<double>(g.live_bytes)},
             {"slabs_cached", static_cast<double>(g.slabs_cached)},
             {"free_resident_pages", static_cast<double>(g.free_resident_pages)}},
            joined(bytes_text(g.empty_held_bytes), " is held without a live object, beside ", bytes_text(g.live_bytes),
                   " of live ", "objects: ", g.slabs_cached, " cached slabs, ", g.free_resident_pages,
                   " free pages, and empty slabs of open "
                   "epochs."),
            "Call allocator::trim after a peak, or, for a heap that falls idle, set "
            "allocator_options::background_purge "
            "(TSLAB_BACKGROUND_PURGE=1): while threads use the heap, what they do not need goes by itself. With "
            "reclaim_policy::eager every close gives pages back, with reclaim_policy::never none does.");
    std::uint64_t const heap = g.committed_bytes + g.metadata_bytes;
    std::uint64_t const rest = g.rss_bytes - std::min(g.rss_bytes, heap);
    if (heap >= x.limits.rss_heap_floor && rest >= x.limits.rss_rest_floor &&
        static_cast<double>(g.rss_bytes) > x.limits.rss_ratio * static_cast<double>(heap))
        x.add("rss_unexplained", severity::hint, "process",
              {{"rss_bytes_current", static_cast<double>(g.rss_bytes)},
               {"committed_bytes", static_cast<double>(g.committed_bytes)},
               {"metadata_bytes", static_cast<double>(g.metadata_bytes)}},
              joined("The process has ", bytes_text(g.rss_bytes), " resident, and this heap accounts for at most ",
                     bytes_text(heap), " of it."),
              "The rest is other heaps, malloc, stacks and mapped files: look there before looking here. The "
              "snapshot's waterfall "
              "has the terms.");
}

}

void examine_memory(examination& x)
{
    examine_kernel(x);
    examine_closes(x);
    examine_holdings(x);
}

}
