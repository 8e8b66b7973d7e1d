// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Small heaps, of which a process can have thousands, and the descriptors of the segment that they share. Include it last: it imports
// tslab.
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "recorder.hpp"

namespace small_heaps {

inline std::unique_ptr<tslab::allocator> small_heap(std::string_view name)
{
    return std::make_unique<tslab::allocator>(
        tslab::allocator_options{.name = std::string{name}, .epoch_count = 4, .reserve_bytes = std::size_t{16} << 20});
}

/// Allocates in the heap and frees.
inline void use(tslab::allocator& heap) { heap.free(heap.malloc(64)); }

/// The number of file descriptors for published statistics in this process.
inline std::size_t descriptors()
{
    std::size_t n = 0;
    for (auto const& one : std::filesystem::directory_iterator{"/proc/self/fd"}) {
        std::error_code gone;
        n += std::filesystem::read_symlink(one.path(), gone).string().starts_with("/memfd:tslab") ? 1U : 0U;
    }
    return n;
}

}
