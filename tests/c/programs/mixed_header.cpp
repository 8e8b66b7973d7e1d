// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A file that includes the header, in one program with mixed_module.cpp, which imports the module: the same heaps, the same
// exceptions, the same domains.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <tslab/tslab.hpp>

extern "C" {
void* module_heap();
void* module_closed_resource();
void module_in_a_scope(void (*f)());
std::uint64_t module_live_objects(tslab_heap* heap);
int module_allocates(void* resource);
}

namespace {

int failures = 0;
#define CHECK(x) ((x) ? (void)0 : (void)(++failures, std::printf("%s:%d: %s\n", __FILE__, __LINE__, #x)))

void inside()
{
    tslab::epoch_domain* const d = tslab::epoch_domain::current();
    CHECK(d != nullptr && d->heap().c() == module_heap());
    if (d == nullptr)
        return;
    tslab::allocator& heap = d->heap();
    CHECK(heap.name() == "of the module" && &heap == &d->heap());
    bool found = false;
    for (auto const& e : heap.snapshot().epochs)
        found = found || (e.label == "scope of the module" && e.era == d->epoch().era);
    CHECK(found);
}

}

int main()
{
    tslab::allocator heap;
    {
        tslab::epoch_scope const scope{heap, "of the header"};
        void* const p = scope.resource()->allocate(64);
        CHECK(module_live_objects(heap.c()) == 1);
        scope.resource()->deallocate(p, 64);
        CHECK(module_allocates(static_cast<std::pmr::memory_resource*>(scope.resource())) == 0);
        heap.close(scope.epoch());
        CHECK(module_allocates(static_cast<std::pmr::memory_resource*>(scope.resource())) == 1);
    }
    auto* const theirs = static_cast<std::pmr::memory_resource*>(module_closed_resource());
    bool caught = false;
    try {
        static_cast<void>(theirs->allocate(64));
    } catch (tslab::epoch_closed const& e) {
        caught = std::strcmp(e.what(), "tslab: allocation in the closed epoch \"closed\"") == 0;
    }
    CHECK(caught);
    module_in_a_scope(&inside);
    CHECK(tslab::epoch_domain::current() == nullptr);
    if (failures == 0)
        std::puts("all as it should be");
    return failures != 0 ? 1 : 0;
}
