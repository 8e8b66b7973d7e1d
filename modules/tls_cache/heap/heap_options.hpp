// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

export namespace tslab {

/// What the allocator makes a heap_state with: allocator_options, complete.
struct heap_options {
    std::string_view name;
    std::uint32_t slots;
    reclaim_policy policy;
    std::uint32_t slab_cache;
    std::size_t reserve_bytes;
    bool huge_pages;
    bool publish;   ///< whether other processes may read the stats pages: see segment
    std::uint64_t decay_ns;
    std::uint64_t thread_cache_bytes;
    bool background_purge = false;
    bool purge_on_pressure = false;
    check_mode checks = check_mode::off;
    std::optional<std::uint32_t> guard_sampling{};
    heap_profiler::options profile{};
};

}
