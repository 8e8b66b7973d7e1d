// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Epochs with objects in them. Include it last: it imports tslab.
#pragma once
#include <cstddef>
#include <cstring>
#include <vector>

#include "recorder.hpp"

namespace filled {

/// Allocates `n` objects of `bytes` in epoch `e` and writes to each byte.
inline std::vector<void*> fill(tslab::allocator& heap, tslab::epoch_id e, std::size_t n, std::size_t bytes)
{
    std::vector<void*> all;
    for (std::size_t i = 0; i < n; ++i)
        all.push_back(std::memset(heap.malloc(bytes, e), 1, bytes));
    return all;
}

}
