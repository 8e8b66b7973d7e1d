// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Epochs, memory by pointer, memory by handle.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string_view>
#include <tslab/tslab.h>
import tslab.epoch;
import tslab.slab;
import tslab.stats;
import tslab.tls_cache;
#include "internal.hpp"

using namespace tslab::c;

namespace {

bool give(tslab::close_report const& r, tslab_close_report* report, std::size_t size) noexcept
{
    copy_out(tslab_close_report{.epoch = of(r.epoch),
                                .found = r.found,
                                .closed = r.closed,
                                .drained = r.drained,
                                .scanned_slabs = r.scanned_slabs,
                                .recycled_slabs = r.recycled_slabs,
                                .deferred_claims = r.deferred_claims,
                                .nanoseconds = r.nanoseconds,
                                .purge_nanoseconds = r.purge_nanoseconds,
                                .rss_before = r.rss_before,
                                .rss_after = r.rss_after,
                                .madvise_calls = r.madvise_calls,
                                .madvise_bytes = r.madvise_bytes,
                                .madvise_failures = r.madvise_failures,
                                .madvise_asked_bytes = r.madvise_asked_bytes,
                                .madvise_gone_bytes = r.madvise_gone_bytes},
             report, size);
    return r.found;
}

static_assert(static_cast<int>(tslab::refusal::closed) == TSLAB_REFUSED_CLOSED);
static_assert(static_cast<int>(tslab::refusal::out_of_memory) == TSLAB_REFUSED_OUT_OF_MEMORY);
static_assert(static_cast<int>(tslab::refusal::limited) == TSLAB_REFUSED_LIMITED);
static_assert(static_cast<int>(tslab::free_result::corrupt) == TSLAB_FREE_CORRUPT);

}

tslab_epoch tslab_epoch_current(tslab_heap const* heap) noexcept
{
    return is_null(heap, "tslab_epoch_current: the heap is null") ? tslab_epoch{} : of(of(heap).current_epoch());
}

tslab_epoch tslab_epoch_advance(tslab_heap* heap) noexcept
{
    return is_null(heap, "tslab_epoch_advance: the heap is null") ? tslab_epoch{} : of(of(heap).advance());
}

bool tslab_epoch_open(tslab_heap* heap, char const* label, tslab_epoch* e) noexcept
{
    if (is_null(heap, "tslab_epoch_open: the heap is null") ||
        is_null(e, "tslab_epoch_open: the place for the epoch is null", &of(heap)))
        return false;
    auto const opened = of(heap).open_epoch(text_of(label), false, std::source_location{});
    *e = of(opened.epoch);
    return !opened.shared;
}

bool tslab_epoch_close(tslab_heap* heap, tslab_epoch e, tslab_close_report* report, std::size_t size) noexcept
{
    return !is_null(heap, "tslab_epoch_close: the heap is null") && give(of(heap).close(of(e)), report, size);
}

bool tslab_epoch_trim(tslab_heap* heap, tslab_epoch e, tslab_close_report* report, std::size_t size) noexcept
{
    return !is_null(heap, "tslab_epoch_trim: the heap is null") && give(of(heap).trim(of(e)), report, size);
}

void tslab_heap_trim(tslab_heap* heap, tslab_close_report* report, std::size_t size) noexcept
{
    if (!is_null(heap, "tslab_heap_trim: the heap is null"))
        give(of(heap).trim(), report, size);
}

bool tslab_epoch_set_label(tslab_heap* heap, tslab_epoch e, char const* label) noexcept
{
    return !is_null(heap, "tslab_epoch_set_label: the heap is null") && of(heap).set_label(of(e), text_of(label));
}

bool tslab_epoch_is_active(tslab_heap const* heap, tslab_epoch e) noexcept
{
    return !is_null(heap, "tslab_epoch_is_active: the heap is null") && of(heap).is_active(of(e));
}

std::uint32_t tslab_epoch_refcount(tslab_heap const* heap, tslab_epoch e) noexcept
{
    return is_null(heap, "tslab_epoch_refcount: the heap is null") ? 0 : of(heap).refcount(of(e));
}

void tslab_size_class_of(std::size_t bytes, bool by_handle, tslab_size_class* out, std::size_t size) noexcept
{
    if (is_null(out, "tslab_size_class_of: the place for the class is null"))
        return;
    tslab_size_class c{.class_index = tslab::large_class, .object_size = 0, .objects_per_slab = 0, .pages_per_slab = 0};
    if (bytes <= (by_handle ? tslab::max_handle_size : tslab::max_class_size)) {
        unsigned const bin = by_handle ? tslab::handle_bin_of(bytes) : tslab::class_of(bytes);
        tslab::bin_geometry const& b = tslab::bins[bin];
        c = {.class_index = tslab::class_of_bin(bin),
             .object_size = b.size,
             .objects_per_slab = b.slab_slots(),
             .pages_per_slab = b.pages};
    }
    copy_out(c, out, size);
}

namespace {

std::optional<std::size_t> limit_of(std::uint64_t bytes) noexcept
{
    return bytes != TSLAB_NO_LIMIT ? std::optional<std::size_t>{bytes} : std::nullopt;
}

}

tslab_status tslab_set_limit(tslab_heap* heap, char const* label, std::uint64_t bytes) noexcept
{
    if (is_null(heap, "tslab_set_limit: the heap is null"))
        return TSLAB_INVALID;
    try {
        of(heap).set_limit(text_of(label), limit_of(bytes));
        return TSLAB_OK;
    } catch (std::bad_alloc const&) {
        return TSLAB_OUT_OF_MEMORY;
    } catch (std::length_error const&) {
        return TSLAB_INVALID;
    }
}

tslab_status tslab_epoch_set_limit(tslab_heap* heap, tslab_epoch e, std::uint64_t bytes) noexcept
{
    if (is_null(heap, "tslab_epoch_set_limit: the heap is null"))
        return TSLAB_INVALID;
    try {
        return of(heap).set_limit(of(e), limit_of(bytes)) ? TSLAB_OK : TSLAB_INVALID;
    } catch (std::bad_alloc const&) {
        return TSLAB_OUT_OF_MEMORY;
    }
}

void* tslab_malloc(tslab_heap* heap, std::size_t bytes) noexcept
{
    return is_null(heap, "tslab_malloc: the heap is null") ? nullptr : of(heap).malloc(bytes);
}

void* tslab_malloc_in(tslab_heap* heap, std::size_t bytes, tslab_epoch e) noexcept
{
    return is_null(heap, "tslab_malloc_in: the heap is null") ? nullptr : of(heap).malloc(bytes, of(e));
}

void* tslab_aligned_malloc_in(tslab_heap* heap, std::size_t alignment, std::size_t bytes, tslab_epoch e,
                              tslab_refusal* why) noexcept
{
    if (is_null(heap, "tslab_aligned_malloc_in: the heap is null"))
        return nullptr;
    tslab::refusal refused = tslab::refusal::out_of_memory;
    void* p = nullptr;
    if (std::has_single_bit(alignment) &&
        bytes <= static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max())) {
        refused = tslab::refusal::none;
        p = of(heap).allocate_bytes(bytes, alignment, of(e), refused);
    }
    if (why != nullptr)
        *why = p != nullptr ? TSLAB_REFUSED_NOT : static_cast<tslab_refusal>(refused);
    return p;
}

void tslab_free(tslab_heap* heap, void* pointer) noexcept
{
    if (pointer != nullptr && !is_null(heap, "tslab_free: the heap is null"))
        of(heap).free(pointer);
}

void* tslab_allocate(tslab_heap* heap, std::size_t bytes, tslab_epoch e, tslab_handle* handle) noexcept
{
    if (is_null(heap, "tslab_allocate: the heap is null") ||
        is_null(handle, "tslab_allocate: the place for the handle is null", &of(heap)))
        return nullptr;
    tslab::handle h;
    void* const p = of(heap).allocate(bytes, of(e), h);
    *handle = h.bits();
    return p;
}

tslab_free_result tslab_free_handle(tslab_heap* heap, tslab_handle handle) noexcept
{
    if (is_null(heap, "tslab_free_handle: the heap is null"))
        return TSLAB_FREE_FOREIGN;
    return static_cast<tslab_free_result>(of(heap).free(tslab::handle{handle}));
}
