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

#define TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_FIGURE(type, member, name, kind, unit, help) to.member = s.member;

tslab_class_share plain(tslab::class_share const& s) noexcept
{
    tslab_class_share to{};
#define TSLAB_OF_SHARE
#include "../modules/stats/figures.def"
    return to;
}

tslab_lock_timing_stats plain(tslab::lock_timing_stats const& s) noexcept
{
    tslab_lock_timing_stats to{};
#define TSLAB_OF_LOCK_TIMES
#include "../modules/stats/figures.def"
    return to;
}

// Without the table, since these structures do not grow.
tslab_histogram plain(tslab::log2_histogram const& s) noexcept
{
    static_assert(tslab::log2_histogram::bucket_count == TSLAB_HISTOGRAM_BUCKETS);
    tslab_histogram to{};
    std::copy(s.buckets.begin(), s.buckets.end(), to.buckets);
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

tslab_close_stats plain(tslab::close_stats const& s) noexcept { return close_of(s); }

tslab_sampling_stats plain(tslab::sampling_stats const& s) noexcept
{
    tslab_sampling_stats to{};
    to.alloc = plain(s.alloc);
    to.free = plain(s.free);
    to.repair = plain(s.repair);
#undef TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_OF_SAMPLING
#include "../modules/stats/figures.def"
    return to;
}

/// Copies a record that may be absent; returns whether it is there.
template <class T, class Out> bool give(std::optional<T> const& from, Out* out, std::size_t size) noexcept
{
    if (!from.has_value())
        return false;
    copy_out(plain(*from), out, size);
    return true;
}

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
    if (is_null(s, "tslab_snapshot_epoch_class: the snapshot is null") || epoch >= s->of.epochs.size() ||
        index >= s->of.epochs[epoch].classes.size())
        return false;
    copy_out(plain(s->of.epochs[epoch].classes[index]), out, size);
    return true;
}

bool tslab_snapshot_class_label(tslab_snapshot const* s, std::size_t index, std::size_t label,
                                tslab_contention_stats* out, std::size_t size) noexcept
{
    if (is_null(s, "tslab_snapshot_class_label: the snapshot is null") || index >= s->of.classes.size() ||
        label >= s->of.classes[index].by_label.size())
        return false;
    copy_out(contention_of(s->of.classes[index].by_label[label]), out, size);
    return true;
}

bool tslab_snapshot_class_lock_timing(tslab_snapshot const* s, std::size_t index, tslab_lock_timing_stats* out,
                                      std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_class_lock_timing: the snapshot is null") && index < s->of.classes.size() &&
           give(s->of.classes[index].lock_timing, out, size);
}

bool tslab_snapshot_lock_timing(tslab_snapshot const* s, tslab_lock_timing_stats* out, std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_lock_timing: the snapshot is null") && give(s->of.global.lock_timing, out, size);
}

bool tslab_snapshot_lock_histograms(tslab_snapshot const* s, tslab_lock_histograms* out, std::size_t size) noexcept
{
    if (is_null(s, "tslab_snapshot_lock_histograms: the snapshot is null") || !s->of.global.lock_histograms.has_value())
        return false;
    tslab::lock_histogram_stats const& of = *s->of.global.lock_histograms;
    copy_out(tslab_lock_histograms{.wait = plain(of.wait), .hold = plain(of.hold)}, out, size);
    return true;
}

bool tslab_snapshot_label_last_close(tslab_snapshot const* s, std::size_t index, tslab_close_stats* out,
                                     std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_label_last_close: the snapshot is null") && index < s->of.labels.size() &&
           give(s->of.labels[index].last_close, out, size);
}

bool tslab_snapshot_sampling(tslab_snapshot const* s, tslab_sampling_stats* out, std::size_t size) noexcept
{
    if (is_null(s, "tslab_snapshot_sampling: the snapshot is null"))
        return false;
    copy_out(plain(s->of.sampled), out, size);
    return true;
}

bool tslab_snapshot_thread_sampling(tslab_snapshot const* s, std::size_t index, tslab_sampling_stats* out,
                                    std::size_t size) noexcept
{
    if (is_null(s, "tslab_snapshot_thread_sampling: the snapshot is null") || index >= s->of.threads.size())
        return false;
    copy_out(plain(s->of.threads[index].sampling), out, size);
    return true;
}

std::uint64_t tslab_histogram_quantile(tslab_histogram const* h, double q) noexcept
{
    if (is_null(h, "tslab_histogram_quantile: the histogram is null"))
        return 0;
    tslab::log2_histogram of;
    std::copy(std::begin(h->buckets), std::end(h->buckets), of.buckets.begin());
    return of.quantile(q);
}

void tslab_this_thread_sampling(tslab_sampling_stats* out, std::size_t size) noexcept
{
    if (!is_null(out, "tslab_this_thread_sampling: the place for the statistics is null"))
        copy_out(plain(tslab::this_thread_sampling()), out, size);
}
