// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// protobuf's arenas in a heap of tslab. An arena takes its blocks by two functions that have no argument of the program's: so they
// find the phase by the thread's current domain, and the heap by `arena_heap`. To be copied into a program that uses both.
#pragma once

#include <google/protobuf/arena.h>

#include <cstddef>
#include <new>

import tslab.pmr;

namespace shop {

/// The heap of all arenas made with `arena_options`. Set it before the first one is made; it must outlive the last one.
inline tslab::allocator* arena_heap = nullptr;

/// A block in the epoch of the innermost scope that the thread is in, or in the current epoch outside of all scopes. An arena has one
/// block list for each thread, so a block belongs to the scope of the thread that needed it. Throws std::bad_alloc, as operator new.
inline void* take_block(std::size_t bytes)
{
    tslab::epoch_domain const* const phase = tslab::epoch_domain::current();
    bool const ours = phase != nullptr && &phase->heap() == arena_heap;
    void* const block = ours ? arena_heap->malloc(bytes, phase->epoch()) : arena_heap->malloc(bytes);
    if (block == nullptr)
        throw std::bad_alloc{};
    return block;
}

/// Any thread, in any scope: the heap knows the block's epoch.
inline void return_block(void* block, std::size_t) { arena_heap->free(block); }

/// Options for arenas whose blocks are of the phase. The first block is taken when the arena is made: so make it inside the scope. A block of 64 KiB is the largest that is in a slab.
inline google::protobuf::ArenaOptions arena_options()
{
    google::protobuf::ArenaOptions o;
    o.start_block_size = 1024;
    o.max_block_size = std::size_t{64} << 10;
    o.block_alloc = take_block;
    o.block_dealloc = return_block;
    return o;
}

}
