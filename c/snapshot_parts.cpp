// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the records of a snapshot have beyond plain members: classes of an epoch, contention by label, what was timed, histograms.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <tslab/tslab.h>
#include <type_traits>
#include <vector>
import tslab.epoch;
import tslab.inspect;
import tslab.slab;
import tslab.stats;
import tslab.tls_cache;
#include "internal.hpp"
#include "snapshot.hpp"

using namespace tslab::c;

namespace {

// Without the table, since these structures do not grow.
tslab_histogram plain(tslab::log2_histogram const& s) noexcept
{
    static_assert(tslab::log2_histogram::bucket_count == TSLAB_HISTOGRAM_BUCKETS);
    tslab_histogram to{};
    std::ranges::copy(s.buckets, to.buckets);
    return to;
}

tslab_timing_stats plain(tslab::timing_stats const& s) noexcept
{
    return {.samples = s.samples,
            .wall_ns_sum = s.wall_ns_sum,
            .cpu_ns_sum = s.cpu_ns_sum,
            .wait_ns_sum = s.wait_ns_sum,
            .wall_ns_max = s.wall_ns_max,
            .cpu_ns_max = s.cpu_ns_max,
            .wait_ns_max = s.wait_ns_max,
            .wall = plain(s.wall),
            .wait = plain(s.wait)};
}

}

tslab_class_share tslab::c::plain(class_share const& s) noexcept
{
    tslab_class_share to{};
#define TSLAB_OF_SHARE
#include "../modules/stats/figures.def"
    return to;
}

tslab_lock_timing_stats tslab::c::plain(lock_timing_stats const& s) noexcept
{
    tslab_lock_timing_stats to{};
#define TSLAB_OF_LOCK_TIMES
#include "../modules/stats/figures.def"
    return to;
}

tslab_lock_histograms tslab::c::plain(lock_histogram_stats const& s) noexcept
{
    return {.wait = ::plain(s.wait), .hold = ::plain(s.hold)};
}

tslab_sampling_stats tslab::c::plain(sampling_stats const& s) noexcept
{
    tslab_sampling_stats to{};
    to.alloc = ::plain(s.alloc);
    to.free = ::plain(s.free);
    to.repair = ::plain(s.repair);
#undef TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_OF_SAMPLING
#include "../modules/stats/figures.def"
    return to;
}

std::size_t tslab_snapshot_epoch_classes(tslab_snapshot const* s, std::size_t epoch) noexcept
{
    if (is_null(s, "tslab_snapshot_epoch_classes: the snapshot is null") || epoch >= s->of.epochs.size())
        return 0;
    return s->of.epochs[epoch].classes.size();
}

bool tslab_snapshot_epoch_class(tslab_snapshot const* s, std::size_t epoch, std::size_t index, tslab_class_share* out,
                                std::size_t size) noexcept
{
    tslab::epoch_stats const* const of =
        is_null(s, "tslab_snapshot_epoch_class: the snapshot is null") ? nullptr : at(s->of.epochs, epoch);
    return of != nullptr && give(at(of->classes, index), out, size);
}

bool tslab_snapshot_class_label(tslab_snapshot const* s, std::size_t index, std::size_t label,
                                tslab_contention_stats* out, std::size_t size) noexcept
{
    tslab::class_stats const* const of =
        is_null(s, "tslab_snapshot_class_label: the snapshot is null") ? nullptr : at(s->of.classes, index);
    return of != nullptr && give(at(of->by_label, label), out, size);
}

bool tslab_snapshot_class_lock_timing(tslab_snapshot const* s, std::size_t index, tslab_lock_timing_stats* out,
                                      std::size_t size) noexcept
{
    tslab::class_stats const* const of =
        is_null(s, "tslab_snapshot_class_lock_timing: the snapshot is null") ? nullptr : at(s->of.classes, index);
    return of != nullptr && give(at(of->lock_timing), out, size);
}

bool tslab_snapshot_lock_timing(tslab_snapshot const* s, tslab_lock_timing_stats* out, std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_lock_timing: the snapshot is null") &&
           give(at(s->of.global.lock_timing), out, size);
}

bool tslab_snapshot_lock_histograms(tslab_snapshot const* s, tslab_lock_histograms* out, std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_lock_histograms: the snapshot is null") &&
           give(at(s->of.global.lock_histograms), out, size);
}

bool tslab_snapshot_label_last_close(tslab_snapshot const* s, std::size_t index, tslab_close_stats* out,
                                     std::size_t size) noexcept
{
    tslab::label_stats const* const of =
        is_null(s, "tslab_snapshot_label_last_close: the snapshot is null") ? nullptr : at(s->of.labels, index);
    return of != nullptr && give(at(of->last_close), out, size);
}

bool tslab_snapshot_sampling(tslab_snapshot const* s, tslab_sampling_stats* out, std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_sampling: the snapshot is null") && give(&s->of.sampled, out, size);
}

bool tslab_snapshot_thread_sampling(tslab_snapshot const* s, std::size_t index, tslab_sampling_stats* out,
                                    std::size_t size) noexcept
{
    tslab::thread_stats const* const of =
        is_null(s, "tslab_snapshot_thread_sampling: the snapshot is null") ? nullptr : at(s->of.threads, index);
    return of != nullptr && give(&of->sampling, out, size);
}

std::uint64_t tslab_histogram_quantile(tslab_histogram const* h, double q) noexcept
{
    if (is_null(h, "tslab_histogram_quantile: the histogram is null"))
        return 0;
    tslab::log2_histogram of;
    std::ranges::copy(h->buckets, of.buckets.begin());
    return of.quantile(q);
}

void tslab_this_thread_sampling(tslab_sampling_stats* out, std::size_t size) noexcept
{
    if (!is_null(out, "tslab_this_thread_sampling: the place for the statistics is null"))
        copy_out(plain(tslab::this_thread_sampling()), out, size);
}
