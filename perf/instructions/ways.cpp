// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Allocates and frees 128 bytes N times, by one of the ways into libtslab.so: what script/instructions counts beside `pair`. It
// includes <tslab/tslab.hpp>, so any compiler can make it. usage: ways N resource|polymorphic|c-resource|malloc|malloc-in|handle
#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <string_view>
#include <tslab/tslab.hpp>

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
        std::fputs("usage: ways N resource|polymorphic|c-resource|malloc|malloc-in|handle\n", stderr);
        return 2;
    }
    long const n = std::strtol(argv[1], nullptr, 10);
    std::string_view const way{argv[2]};
    tslab::allocator heap;
    tslab::resource_options o;
    o.label = "pair";
    tslab::epoch_resource own{heap, o};
    tslab_heap* const c = heap.c();
    tslab_epoch const e = tslab_epoch_current(c);
    if (way == "resource") {
        std::pmr::memory_resource* resource = &own;
        asm volatile("" : "+r"(resource));   // the calls stay virtual
        repeat(n, [=] { return resource->allocate(128, 16); }, [=](void* p) { resource->deallocate(p, 128, 16); });
    } else if (way == "polymorphic") {
        std::pmr::memory_resource* resource = &own;
        asm volatile("" : "+r"(resource));
        std::pmr::polymorphic_allocator<char> a{resource};
        repeat(
            n, [&] { return static_cast<void*>(a.allocate(128)); },
            [&](void* p) { a.deallocate(static_cast<char*>(p), 128); });
    } else if (way == "c-resource") {
        repeat(
            n, [&] { return tslab_resource_allocate(own.c(), 128, 16); },
            [&](void* p) { tslab_resource_deallocate(own.c(), p, 128, 16); });
    } else if (way == "malloc") {
        repeat(n, [=] { return tslab_malloc(c, 128); }, [=](void* p) { tslab_free(c, p); });
    } else if (way == "malloc-in") {
        repeat(n, [=] { return tslab_malloc_in(c, 128, e); }, [=](void* p) { tslab_free(c, p); });
    } else if (way == "handle") {
        tslab_handle h = 0;
        repeat(n, [&] { return tslab_allocate(c, 128, e, &h); }, [&](void*) { tslab_free_handle(c, h); });
    } else {
        return 2;
    }
}
