// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
module tslab.slab;

import tslab.stats;

namespace tslab {

arena::~arena()
{
    for (arena_piece* p = pieces_.load(std::memory_order_relaxed); p != nullptr;) {
        auto* const next = reinterpret_cast<arena_piece*>(p->next);
        release_for_good(p, p->bytes);
        p = next;
    }
}

/// Makes a piece for at least `bytes`, as large as all pieces so far, within bounds.
bool arena::add_piece(std::size_t bytes) noexcept
{
    constexpr std::size_t page = 4096;
    std::size_t const have = committed_.load(std::memory_order_relaxed);
    std::size_t const want = (sizeof(arena_piece) + bytes + page - 1) / page * page;
    auto const mapped = [](std::size_t size) noexcept -> void* {
        void* const memory = os().reserve(size);
        if (memory != nullptr && !os().commit(memory, size)) {
            release_for_good(memory, size);
            return nullptr;
        }
        return memory;
    };
    // A generous piece first; if that is refused, exactly what is needed.
    std::size_t size = std::max(want, std::clamp(have, first_piece, largest_piece));
    void* memory = mapped(size);
    if (memory == nullptr) {
        size = want;
        memory = mapped(size);
    }
    if (memory == nullptr)
        return false;
    auto* const before = pieces_.load(std::memory_order_relaxed);
    auto* const piece = ::new (memory) arena_piece{size, reinterpret_cast<std::uintptr_t>(before)};
    pieces_.store(piece, std::memory_order_release);   // see pieces
    committed_.store(have + size, std::memory_order_relaxed);
    used_ = sizeof(arena_piece);
    return true;
}

void* arena::allocate(std::size_t bytes, std::size_t alignment, patience how_long) noexcept
{
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 4;
    if (bytes > most || alignment > most)
        return nullptr;
    if (!lock_.lock_within(how_long))
        return nullptr;
    lock_guard const guard{lock_, already_locked{}};
    for (bool again = true;; again = false) {
        arena_piece* const piece = pieces_.load(std::memory_order_relaxed);
        std::size_t const begin = (used_ + alignment - 1) & ~(alignment - 1);
        if (piece != nullptr && begin <= piece->bytes && bytes <= piece->bytes - begin) {
            used_ = begin + bytes;
            return reinterpret_cast<std::byte*>(piece) + begin;
        }
        if (!again || !add_piece(bytes + alignment))
            return nullptr;
    }
}

std::uint64_t arena::resident_bytes_now() const noexcept
{
    std::uint64_t n = 0;
    for (arena_piece const* p = pieces(); p != nullptr; p = reinterpret_cast<arena_piece const*>(p->next))
        n += resident_bytes(p, p->bytes);
    return n;
}

}
