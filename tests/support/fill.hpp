// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Filling a phase up to its limit. Include it last: it imports tslab.
#pragma once
#include <cstddef>
#include <memory_resource>
#include <optional>
#include <vector>

#include "recorder.hpp"

namespace support {

inline constexpr std::size_t kib = 1024;
inline constexpr std::size_t mib = 1024 * kib;

/// Allocates objects of `bytes` until a limit refuses one; returns how many there were.
inline std::vector<void*> fill(std::pmr::memory_resource& r, std::size_t bytes,
                               std::optional<tslab::over_limit>* why = nullptr)
{
    std::vector<void*> all;
    try {
        for (;;)
            all.push_back(r.allocate(bytes));
    } catch (tslab::over_limit const& e) {
        if (why != nullptr)
            *why = e;
    }
    return all;
}

inline void free_all(std::pmr::memory_resource& r, std::vector<void*>& all, std::size_t bytes)
{
    for (void* const p : all)
        r.deallocate(p, bytes);
    all.clear();
}

}
