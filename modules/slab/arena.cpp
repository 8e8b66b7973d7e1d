// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
module tslab.slab;

import tslab.stats;

namespace tslab {

namespace {
constexpr std::size_t arena_step = std::size_t{256} << 10;
constexpr std::size_t smallest_arena = std::size_t{4} << 20;
}

arena::arena(std::size_t reserve_bytes)
{
    for (bytes_ = std::max(reserve_bytes, smallest_arena); base_ == nullptr && bytes_ >= smallest_arena;) {
        base_ = static_cast<std::byte*>(os().reserve(bytes_));
        if (base_ == nullptr)
            bytes_ /= 2;
    }
    if (base_ == nullptr)
        throw std::bad_alloc{};
}

arena::~arena() { os().release(base_, bytes_); }

void* arena::allocate(std::size_t bytes, std::size_t alignment) noexcept
{
    lock_guard const guard{lock_};
    std::size_t const begin = (used_ + alignment - 1) & ~(alignment - 1);
    if (begin > bytes_ || bytes > bytes_ - begin)
        return nullptr;
    std::size_t const end = begin + bytes;
    std::size_t const have = committed_.load(std::memory_order_relaxed);
    if (end > have) {
        std::size_t const want = std::min(bytes_, (end + arena_step - 1) / arena_step * arena_step);
        if (!os().commit(base_ + have, want - have))
            return nullptr;
        committed_.store(want, std::memory_order_relaxed);
    }
    used_ = end;
    return base_ + begin;
}

std::uint64_t arena::resident_bytes_now() const noexcept { return resident_bytes(base_, committed_bytes()); }

}
