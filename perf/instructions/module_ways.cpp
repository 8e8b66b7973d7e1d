// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Allocates and frees 128 bytes N times, by one of the ways into the module: what script/instructions counts beside `pair`; `ways` has those
// into libtslab.so. usage: module_ways N own-type|resource|polymorphic|malloc|malloc-in|handle
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <string_view>

import tslab;

namespace {

template <class Allocate, class Free> void repeat(long n, Allocate allocate, Free free)
{
    for (long i = 0; i < n; ++i) {
        void* p = allocate();
        asm volatile("" : "+r"(p) : : "memory");
        free(p);
    }
}

}

int main(int argc, char** argv)
{
    if (argc < 3) {
        std::fputs("usage: module_ways N own-type|resource|polymorphic|malloc|malloc-in|handle\n", stderr);
        return 2;
    }
    long const n = std::strtol(argv[1], nullptr, 10);
    std::string_view const way{argv[2]};
    tslab::allocator heap;
    tslab::epoch_resource own{heap, {.label = "pair"}};
    tslab::epoch_id const e = heap.current_epoch();
    if (way == "own-type") {
        repeat(n, [&] { return own.allocate(128, 16); }, [&](void* p) { own.deallocate(p, 128, 16); });
    } else if (way == "resource") {
        std::pmr::memory_resource* resource = &own;
        asm volatile("" : "+r"(resource));   // the calls stay virtual
        repeat(n, [=] { return resource->allocate(128, 16); }, [=](void* p) { resource->deallocate(p, 128, 16); });
    } else if (way == "polymorphic") {
        std::pmr::memory_resource* resource = &own;
        asm volatile("" : "+r"(resource));
        std::pmr::polymorphic_allocator<std::byte> a{resource};
        repeat(
            n, [&] { return static_cast<void*>(a.allocate(128)); },
            [&](void* p) { a.deallocate(static_cast<std::byte*>(p), 128); });
    } else if (way == "malloc") {
        repeat(n, [&] { return heap.malloc(128); }, [&](void* p) { heap.free(p); });
    } else if (way == "malloc-in") {
        repeat(n, [&] { return heap.malloc(128, e); }, [&](void* p) { heap.free(p); });
    } else if (way == "handle") {
        tslab::handle h;
        repeat(n, [&] { return heap.allocate(128, e, h); }, [&](void*) { heap.free(h); });
    } else {
        return 2;
    }
}
