// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// An allocation by handle that must succeed. The includer has Boost.Test, and tslab imported.
#pragma once
#include <cstddef>

/// In the current epoch. `where`: if not null, receives the address.
inline tslab::handle take(tslab::allocator& heap, std::size_t bytes, void** where = nullptr)
{
    tslab::handle h;
    void* const p = heap.allocate(bytes, heap.current_epoch(), h);
    BOOST_REQUIRE(p != nullptr);
    BOOST_REQUIRE(bool(h));
    if (where != nullptr)
        *where = p;
    return h;
}
