// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Snapshots: the structures, JSON, leaks. The members of the structures are the figures of the table.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
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

tslab_global_stats tslab::c::plain(global_stats const& s) noexcept
{
    tslab_global_stats to{};
#define TSLAB_OF_HEAP
#include "../modules/stats/figures.def"
    return to;
}

tslab_class_stats tslab::c::plain(class_stats const& s) noexcept
{
    tslab_class_stats to{};
    to.contention = plain(s.contention);
#define TSLAB_OF_CLASS
#include "../modules/stats/figures.def"
    return to;
}

tslab_epoch_stats tslab::c::plain(epoch_stats const& s) noexcept
{
    tslab_epoch_stats to{};
    to.state = static_cast<std::uint32_t>(s.state);
    to.lifecycle = static_cast<std::uint32_t>(s.lifecycle);
    to.file = plain(s.opened_at.file);
    to.function = plain(s.opened_at.function);
    to.line = s.opened_at.line;
#define TSLAB_OF_EPOCH
#include "../modules/stats/figures.def"
    return to;
}

tslab_label_stats tslab::c::plain(label_stats const& s) noexcept
{
    tslab_label_stats to{};
    to.contention = plain(s.contention);
#define TSLAB_OF_LABEL
#include "../modules/stats/figures.def"
    return to;
}

tslab_thread_stats tslab::c::plain(thread_stats const& s) noexcept
{
    tslab_thread_stats to{};
#define TSLAB_OF_THREAD
#include "../modules/stats/figures.def"
    return to;
}

tslab_close_stats tslab::c::plain(close_stats const& s) noexcept
{
    tslab_close_stats to{};
#define TSLAB_OF_CLOSE
#include "../modules/stats/figures.def"
    return to;
}

tslab_waterfall_stats tslab::c::plain(waterfall_stats const& s) noexcept
{
    tslab_waterfall_stats to{};
#undef TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_OF_WATERFALL
#include "../modules/stats/figures.def"
    return to;
}

static_assert(static_cast<int>(tslab::lifecycle::drained) == 3 && static_cast<int>(tslab::epoch_state::closing) == 1);

tslab_snapshot* tslab_snapshot_take(tslab_heap const* heap, bool residency) noexcept
{
    if (is_null(heap, "tslab_snapshot_take: the heap is null"))
        return nullptr;
    try {
        return new tslab_snapshot{of(heap).snapshot({.residency = residency})};
    } catch (std::bad_alloc const&) {
        return nullptr;
    }
}

void tslab_snapshot_free(tslab_snapshot* s) noexcept { delete s; }

bool tslab_snapshot_about(tslab_snapshot const* s, tslab_snapshot_info* out, std::size_t size) noexcept
{
    if (is_null(s, "tslab_snapshot_about: the snapshot is null"))
        return false;
    tslab::snapshot const& of = s->of;
    copy_out(tslab_snapshot_info{.name = plain(of.name),
                                 .instance = of.instance,
                                 .timestamp_ns = of.timestamp_ns,
                                 .monotonic_ns = of.monotonic_ns,
                                 .pid = of.pid,
                                 .page_size = of.page_size,
                                 .epoch_count = of.epoch_count,
                                 .current = {of.current_epoch, of.current_era},
                                 .reclaim = plain(of.reclaim),
                                 .decay_ms = of.decay_ms,
                                 .thread_cache_bytes = of.thread_cache_bytes,
                                 .background_purge = plain(of.background_purge),
                                 .pressure_watch = plain(of.pressure_watch),
                                 .sampling = of.sampling},
             out, size);
    return true;
}

bool tslab_snapshot_global(tslab_snapshot const* s, tslab_global_stats* out, std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_global: the snapshot is null") && give(&s->of.global, out, size);
}

bool tslab_snapshot_last_close(tslab_snapshot const* s, tslab_close_stats* out, std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_last_close: the snapshot is null") && s->of.last_close.timestamp_ns != 0 &&
           give(&s->of.last_close, out, size);
}

bool tslab_snapshot_waterfall(tslab_snapshot const* s, tslab_waterfall_stats* out, std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_waterfall: the snapshot is null") && give(at(s->of.waterfall), out, size);
}

std::size_t tslab_snapshot_classes(tslab_snapshot const* s) noexcept
{
    return is_null(s, "tslab_snapshot_classes: the snapshot is null") ? 0 : s->of.classes.size();
}

bool tslab_snapshot_class(tslab_snapshot const* s, std::size_t index, tslab_class_stats* out, std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_class: the snapshot is null") && give(at(s->of.classes, index), out, size);
}

std::size_t tslab_snapshot_epochs(tslab_snapshot const* s) noexcept
{
    return is_null(s, "tslab_snapshot_epochs: the snapshot is null") ? 0 : s->of.epochs.size();
}

bool tslab_snapshot_epoch(tslab_snapshot const* s, std::size_t index, tslab_epoch_stats* out, std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_epoch: the snapshot is null") && give(at(s->of.epochs, index), out, size);
}

std::size_t tslab_snapshot_labels(tslab_snapshot const* s) noexcept
{
    return is_null(s, "tslab_snapshot_labels: the snapshot is null") ? 0 : s->of.labels.size();
}

bool tslab_snapshot_label(tslab_snapshot const* s, std::size_t index, tslab_label_stats* out, std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_label: the snapshot is null") && give(at(s->of.labels, index), out, size);
}

std::size_t tslab_snapshot_threads(tslab_snapshot const* s) noexcept
{
    return is_null(s, "tslab_snapshot_threads: the snapshot is null") ? 0 : s->of.threads.size();
}

bool tslab_snapshot_thread(tslab_snapshot const* s, std::size_t index, tslab_thread_stats* out,
                           std::size_t size) noexcept
{
    return !is_null(s, "tslab_snapshot_thread: the snapshot is null") && give(at(s->of.threads, index), out, size);
}

std::uint64_t tslab_snapshot_misuses(tslab_snapshot const* s, tslab_misuse kind) noexcept
{
    if (is_null(s, "tslab_snapshot_misuses: the snapshot is null"))
        return 0;
    auto const name = tslab::name_of(static_cast<tslab::misuse>(kind));
    auto const at =
        std::ranges::find_if(s->of.misuses, [&](tslab::named_count const& one) { return one.name == name; });
    return at != s->of.misuses.end() ? at->count : 0;
}

bool tslab_heap_stats(tslab_heap const* heap, tslab_global_stats* out, std::size_t size) noexcept
{
    if (is_null(heap, "tslab_heap_stats: the heap is null"))
        return false;
    try {
        copy_out(plain(of(heap).snapshot({.residency = false}).global), out, size);
        return true;
    } catch (std::bad_alloc const&) {
        return false;
    }
}

std::size_t tslab_snapshot_json(tslab_snapshot const* s, char* out, std::size_t size) noexcept
{
    if (is_null(s, "tslab_snapshot_json: the snapshot is null") ||
        is_null(size != 0 ? out : "", "tslab_snapshot_json: the buffer is null"))
        return 0;
    try {
        std::string const text = tslab::to_json(s->of);
        if (text.size() < size)
            std::memcpy(out, text.c_str(), text.size() + 1);
        return text.size();
    } catch (std::bad_alloc const&) {
        return 0;
    }
}

bool tslab_snapshot_write_json(tslab_snapshot const* s, tslab_writer write, void* context) noexcept
{
    if (is_null(s, "tslab_snapshot_write_json: the snapshot is null") ||
        is_null(reinterpret_cast<void const*>(write), "tslab_snapshot_write_json: the function is null"))
        return false;
    std::string text;
    try {
        text = tslab::to_json(s->of);
    } catch (std::bad_alloc const&) {
        return false;
    }
    write(text.data(), text.size(), context);
    return true;
}

std::int64_t tslab_find_leaks(tslab_snapshot const* s, double older_than_seconds, tslab_leak_visitor visit,
                              void* context) noexcept
{
    if (is_null(s, "tslab_find_leaks: the snapshot is null"))
        return 0;
    std::vector<tslab::leak> found;
    std::vector<std::string> sentences;
    try {
        found = tslab::find_leaks(s->of, older_than_seconds);
        for (tslab::leak const& one : found)
            sentences.push_back(one.sentence());
    } catch (std::bad_alloc const&) {
        return -1;
    }
    for (std::size_t i = 0; visit != nullptr && i < found.size(); ++i) {
        tslab::leak const& one = found[i];
        tslab_leak const leak{.epoch = {one.epoch, one.era},
                              .label = plain(one.label),
                              .lifecycle = static_cast<std::uint32_t>(one.lifecycle),
                              .refcount = one.refcount,
                              .age_seconds = one.age_seconds,
                              .closing_seconds = one.closing_seconds,
                              .entered_seconds = one.entered_seconds,
                              .missing_exits = one.missing_exits,
                              .live_objects = one.live_objects,
                              .live_bytes = one.live_bytes,
                              .held_bytes = one.held_bytes,
                              .file = plain(one.entered_at.file),
                              .function = plain(one.entered_at.function),
                              .line = one.entered_at.line,
                              .sentence = plain(sentences[i])};
        visit(&leak, context);
    }
    return static_cast<std::int64_t>(found.size());
}
