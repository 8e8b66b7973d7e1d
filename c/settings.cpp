// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Settings of a heap and of the process, and what is read from the system.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <source_location>
#include <string_view>
#include <tslab/tslab.h>
import tslab.epoch;
import tslab.pmr;
import tslab.slab;
import tslab.stats;
import tslab.tls_cache;
#include "internal.hpp"

using namespace tslab::c;

void tslab_heap_set_sampling(tslab_heap* heap, bool on) noexcept
{
    if (!is_null(heap, "tslab_heap_set_sampling: the heap is null"))
        of(heap).set_sampling(on);
}

bool tslab_heap_sampling(tslab_heap const* heap) noexcept
{
    return !is_null(heap, "tslab_heap_sampling: the heap is null") && of(heap).sampling();
}

void tslab_set_lock_timing(std::uint32_t one_in) noexcept { tslab::set_lock_timing(one_in); }
std::uint32_t tslab_lock_timing() noexcept { return tslab::lock_timing(); }

bool tslab_set_escape_detection(bool on) noexcept
{
    try {
        tslab::set_escape_detection(on);
        return true;
    } catch (std::bad_alloc const&) {
        return false;
    }
}
bool tslab_escape_detection() noexcept { return tslab::escape_detection(); }

std::uint64_t tslab_now_ns() noexcept { return tslab::now_ns(); }
std::uint64_t tslab_now_ns_coarse() noexcept { return tslab::now_ns_coarse(); }
std::uint64_t tslab_read_rss_bytes() noexcept { return tslab::read_rss_bytes(); }
std::uint64_t tslab_this_thread() noexcept { return tslab::this_thread_number(); }
