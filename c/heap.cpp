// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Heaps: their options, beginning and end.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tslab/tslab.h>
import tslab.epoch;
import tslab.slab;
import tslab.stats;
import tslab.tls_cache;
#include "internal.hpp"

namespace tslab::c {

namespace {

constexpr tslab_heap_options defaults() noexcept
{
    return {.name = nullptr,
            .epoch_count = 256,
            .reclaim = TSLAB_RECLAIM_CACHED,
            .slab_cache = TSLAB_UNSET,
            .reserve_bytes = 0,
            .decay_ms = TSLAB_UNSET,
            .thread_cache = TSLAB_UNSET,
            .background_purge = TSLAB_UNSET,
            .guard_sampling = TSLAB_UNSET,
            .checks = TSLAB_CHECKS_AUTOMATIC,
            .purge_on_pressure = true,
            .strict = false,
            .sampling = false,
            .huge_pages = false,
            .publish = true,
            .cost_labels = 0,
            .limit = TSLAB_UNSET};
}

[[noreturn]] void refuse(char const* option, std::int64_t value)
{
    throw std::invalid_argument{std::string{"tslab: the option "} + option +
                                " is out of range: " + std::to_string(value)};
}

/// An optional number of at most `most`.
template <class T> std::optional<T> number(char const* option, std::int64_t value, std::uint64_t most)
{
    if (value == TSLAB_UNSET)
        return std::nullopt;
    if (value < 0 || static_cast<std::uint64_t>(value) > most)
        refuse(option, value);
    return static_cast<T>(value);
}

static_assert(static_cast<int>(reclaim_policy::never) == TSLAB_RECLAIM_NEVER);
static_assert(static_cast<int>(check_mode::forward) == TSLAB_CHECKS_FORWARD);

/// Throws std::invalid_argument; the allocator throws it for what only it knows.
allocator_options options_of(tslab_heap_options const& o)
{
    if (auto const r = static_cast<std::int64_t>(o.reclaim); r < 0 || r > TSLAB_RECLAIM_NEVER)
        refuse("reclaim", r);
    if (auto const c = static_cast<std::int64_t>(o.checks); c < 0 || c > TSLAB_CHECKS_FORWARD)
        refuse("checks", c);
    allocator_options to;
    if (o.name != nullptr)
        to.name = o.name;
    to.epoch_count = o.epoch_count;
    to.reclaim = static_cast<reclaim_policy>(o.reclaim);
    to.slab_cache = number<std::uint32_t>("slab_cache", o.slab_cache, std::numeric_limits<std::uint32_t>::max());
    to.reserve_bytes = o.reserve_bytes;
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (auto const decay = number<std::int64_t>("decay_ms", o.decay_ms, most))
        to.decay = std::chrono::milliseconds{*decay};
    to.thread_cache = number<std::size_t>("thread_cache", o.thread_cache, most);
    to.background_purge = number<bool>("background_purge", o.background_purge, 1);
    to.guard_sampling =
        number<std::uint32_t>("guard_sampling", o.guard_sampling, std::numeric_limits<std::uint32_t>::max());
    to.checks = static_cast<check_mode>(o.checks);
    to.purge_on_pressure = o.purge_on_pressure;
    to.strict = o.strict;
    to.sampling = o.sampling;
    to.huge_pages = o.huge_pages;
    to.publish = o.publish;
    to.cost_labels = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(o.cost_labels, std::numeric_limits<std::uint32_t>::max()));   // refused if too many
    to.limit = number<std::size_t>("limit", o.limit, most);
    return to;
}

}

}

using namespace tslab::c;

void tslab_heap_options_init_sized(tslab_heap_options* o, std::size_t size) noexcept
{
    if (is_null(o, "tslab_heap_options_init: the options are null"))
        return;
    if (size > sizeof(tslab_heap_options))
        std::memset(static_cast<void*>(o), 0, size);   // tslab_heap_create refuses it
    copy_out(defaults(), o, size);
}

tslab_heap* tslab_heap_create_abi(unsigned abi, char const* version, tslab_heap_options const* o, std::size_t size,
                                  tslab_failure* why) noexcept
{
    fail(why, TSLAB_OK, "");
    if (!is_our_abi(abi, version, why))
        return nullptr;
    tslab_heap_options given = defaults();
    if (!copy_in(given, o, size)) {
        char text[200];
        std::snprintf(text, sizeof text, "headers of tslab %.40s have more options than the library, tslab %s, knows",
                      version != nullptr ? version : "(no version)", TSLAB_VERSION);
        fail(why, TSLAB_ABI_MISMATCH, text);
        return nullptr;
    }
    try {
        return handle_of(*new tslab::allocator{options_of(given)});
    } catch (std::invalid_argument const& e) {
        fail(why, TSLAB_INVALID, e.what());
    } catch (std::bad_alloc const&) {
        fail(why, TSLAB_OUT_OF_MEMORY, "tslab: memory, address space or a hook of the system cannot be had");
    } catch (std::exception const& e) {
        fail(why, TSLAB_FAILED, e.what());
    } catch (...) {
        fail(why, TSLAB_FAILED, "tslab: unknown failure");
    }
    return nullptr;
}

void tslab_heap_destroy(tslab_heap* heap) noexcept
{
    if (heap != nullptr)
        delete &of(heap);
}

char const* tslab_heap_name(tslab_heap const* heap) noexcept
{
    return is_null(heap, "tslab_heap_name: the heap is null") ? "" : of(heap).name().c_str();
}

std::uint32_t tslab_heap_epoch_count(tslab_heap const* heap) noexcept
{
    return is_null(heap, "tslab_heap_epoch_count: the heap is null") ? 0 : of(heap).epoch_count();
}

void* tslab_heap_front(tslab_heap const* heap) noexcept
{
    return is_null(heap, "tslab_heap_front: the heap is null") ? nullptr : of(heap).front();
}

void tslab_heap_set_front(tslab_heap* heap, void* object) noexcept
{
    if (!is_null(heap, "tslab_heap_set_front: the heap is null"))
        of(heap).set_front(object);
}
