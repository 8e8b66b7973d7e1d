// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the count of an epoch should be. Include it last: it imports tslab.
#pragma once
#include <atomic>
#include <cstdint>
import tslab.internal;

namespace support {

/// The pages of an epoch while no thread uses the heap: of the slabs on its lists, those in thread caches, and its large
/// allocations.
inline std::uint64_t pages_in(tslab::allocator& heap, std::uint32_t slot)
{
    tslab::epoch_slabs const* const e = &heap.state().epoch_slabs_at(slot);
    std::uint64_t pages = 0;
    heap.state().pages().for_each_run([&](tslab::unit_run r) {
        for (std::uint32_t i = r.first * tslab::unit_pages; i < (r.first + r.count) * tslab::unit_pages; ++i) {
            tslab::slab_meta const& s = tslab::page_heap::at(i);
            auto const where = s.where.load(std::memory_order_relaxed);
            if (where == tslab::residence::unused || where == tslab::residence::cached || tslab::home_of(s) != e)
                continue;
            pages += where == tslab::residence::large ? tslab::large_allocation{s}.pages() : tslab::bins[s.bin()].pages;
        }
    });
    return pages;
}

/// What is wrong with the counts of a heap with a limit while no thread uses it; null if nothing.
inline char const* wrong_count_in(tslab::allocator& heap)
{
    std::uint64_t all = 0;
    for (std::uint32_t i = 0; i < heap.state().prepared_slots(); ++i) {
        std::uint64_t const pages = pages_in(heap, i);
        if (pages != heap.state().epoch_slabs_at(i).count.pages())
            return "the pages of an epoch are miscounted";
        all += pages;
    }
    return heap.state().limits().table()->heap.held() == all ? nullptr : "the pages of the heap are miscounted";
}

}
