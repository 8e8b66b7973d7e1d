// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A file that imports the module, in one program with mixed_header.cpp, which includes the header and may be another compiler's.
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <new>
import tslab;

extern "C" {
struct tslab_heap;

/// Makes a heap, and a closed resource in it; the header's file uses both.
void* module_heap()
{
    static tslab::allocator heap{{.name = "of the module"}};
    return &heap;
}
void* module_closed_resource()
{
    static tslab::epoch_resource r{*static_cast<tslab::allocator*>(module_heap()), {.label = "closed"}};
    static_cast<tslab::allocator*>(module_heap())->close(r.epoch());
    return static_cast<std::pmr::memory_resource*>(&r);
}
/// Calls `f` inside a scope of the module's.
void module_in_a_scope(void (*f)())
{
    tslab::epoch_scope const scope{*static_cast<tslab::allocator*>(module_heap()), "scope of the module"};
    f();
}
/// Live objects of a heap of the header's, as the module sees it.
std::uint64_t module_live_objects(tslab_heap* heap)
{
    return reinterpret_cast<tslab::allocator*>(heap)->snapshot().global.live_objects;
}
/// Allocates from a resource of the header's: 0 for a pointer, 1 for tslab::epoch_closed, 2 for another exception.
int module_allocates(void* resource)
{
    try {
        auto* const r = static_cast<std::pmr::memory_resource*>(resource);
        r->deallocate(r->allocate(64), 64);
        return 0;
    } catch (tslab::epoch_closed const&) {
        return 1;
    } catch (...) {
        return 2;
    }
}
}
