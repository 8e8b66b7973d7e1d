// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Allocates and frees 128 bytes N times, by one of the ways in: what script/instructions counts beside `pair`. It includes
// <tslab/tslab.hpp>, so any compiler can make it, and links libtslab.so; compiled with TSLAB_BY_MODULE it imports the module.
// usage: ways N resource|polymorphic|c-resource|malloc|malloc-in|handle
//        module_ways N own-type|resource|polymorphic|malloc|malloc-in|handle
#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <string_view>
#if defined(TSLAB_BY_MODULE)
import tslab;
#else
#include <tslab/tslab.hpp>
#endif

namespace {

template <class Allocate, class Free> void repeat(long n, Allocate allocate, Free free)
{
    for (long i = 0; i < n; ++i) {
        void* p = allocate();
        asm volatile("" : "+r"(p) : : "memory");
        free(p);
    }
}

#if defined(TSLAB_BY_MODULE)
constexpr char const* usage = "usage: module_ways N own-type|resource|polymorphic|malloc|malloc-in|handle\n";

/// Returns false if there is no such way.
bool repeat_by(std::string_view way, long n, tslab::allocator& heap, tslab::epoch_resource& own)
{
    tslab::epoch_id const e = heap.current_epoch();
    tslab::handle h;
    if (way == "own-type")
        repeat(n, [&] { return own.allocate(128, 16); }, [&](void* p) { own.deallocate(p, 128, 16); });
    else if (way == "malloc")
        repeat(n, [&] { return heap.malloc(128); }, [&](void* p) { heap.free(p); });
    else if (way == "malloc-in")
        repeat(n, [&] { return heap.malloc(128, e); }, [&](void* p) { heap.free(p); });
    else if (way == "handle")
        repeat(n, [&] { return heap.allocate(128, e, h); }, [&](void*) { heap.free(h); });
    else
        return false;
    return true;
}
#else
constexpr char const* usage = "usage: ways N resource|polymorphic|c-resource|malloc|malloc-in|handle\n";

/// Returns false if there is no such way.
bool repeat_by(std::string_view way, long n, tslab::allocator& heap, tslab::epoch_resource& own)
{
    tslab_heap* const c = heap.c();
    tslab_epoch const e = tslab_epoch_current(c);
    tslab_handle h = 0;
    if (way == "c-resource")
        repeat(
            n, [&] { return tslab_resource_allocate(own.c(), 128, 16); },
            [&](void* p) { tslab_resource_deallocate(own.c(), p, 128, 16); });
    else if (way == "malloc")
        repeat(n, [=] { return tslab_malloc(c, 128); }, [=](void* p) { tslab_free(c, p); });
    else if (way == "malloc-in")
        repeat(n, [=] { return tslab_malloc_in(c, 128, e); }, [=](void* p) { tslab_free(c, p); });
    else if (way == "handle")
        repeat(n, [&] { return tslab_allocate(c, 128, e, &h); }, [&](void*) { tslab_free_handle(c, h); });
    else
        return false;
    return true;
}
#endif

}

int main(int argc, char** argv)
{
    if (argc < 3) {
        std::fputs(usage, stderr);
        return 2;
    }
    long const n = std::strtol(argv[1], nullptr, 10);
    std::string_view const way{argv[2]};
    tslab::allocator heap;
    tslab::resource_options o;
    o.label = "pair";
    tslab::epoch_resource own{heap, o};
    std::pmr::memory_resource* resource = &own;
    if (way == "resource") {
        asm volatile("" : "+r"(resource));   // the calls stay virtual
        repeat(n, [=] { return resource->allocate(128, 16); }, [=](void* p) { resource->deallocate(p, 128, 16); });
    } else if (way == "polymorphic") {
        asm volatile("" : "+r"(resource));
        std::pmr::polymorphic_allocator<char> a{resource};
        repeat(
            n, [&] { return static_cast<void*>(a.allocate(128)); },
            [&](void* p) { a.deallocate(static_cast<char*>(p), 128); });
    } else if (!repeat_by(way, n, heap, own)) {
        std::fputs(usage, stderr);
        return 2;
    }
}
