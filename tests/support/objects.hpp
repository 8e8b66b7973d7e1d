// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Many objects at once, and where they lie. Include it last: it imports tslab.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>
import tslab.internal;

namespace support {

inline std::uintptr_t page_of(void const* p) { return reinterpret_cast<std::uintptr_t>(p) / tslab::page_bytes; }

inline std::vector<void*> take(tslab::allocator& heap, std::size_t n, std::size_t bytes)
{
    std::vector<void*> all;
    for (std::size_t i = 0; i < n; ++i)
        all.push_back(heap.malloc(bytes));
    return all;
}

inline void give(tslab::allocator& heap, std::vector<void*> const& all)
{
    for (void* const p : all)
        heap.free(p);
}

}
