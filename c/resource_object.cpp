// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The virtual functions of the resource of <tslab/tslab.hpp>. They are what the module's are: the fast path inline.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <new>
#include <source_location>
#include <string_view>
#include <tslab/cpp/resource.hpp>
#include <tslab/tslab.h>
import tslab.epoch;
import tslab.pmr;
import tslab.slab;
import tslab.stats;
import tslab.tls_cache;
#include "internal.hpp"
#include "storage.hpp"

namespace tslab::v0 {

namespace {

// Apart, so that the inlined fast path has one use of the inner object's address, on its slow side: that saves an instruction.
[[gnu::cold, gnu::noinline]] void deallocate_aligned(tslab_resource* r, void* p, std::size_t bytes,
                                                     std::size_t alignment)
{
    c::inner(r).deallocate(p, bytes, alignment);
}

}

epoch_resource::epoch_resource(tslab_heap* heap, tslab_resource_options const& o, std::size_t size,
                               tslab_place const& at) noexcept
{
    tslab_resource_begin(&c_, heap, &o, size, &at);
}

epoch_resource::~epoch_resource() { tslab_resource_end(&c_); }

void* epoch_resource::do_allocate(std::size_t bytes, std::size_t alignment)
{
    return c::inner(&c_).allocate(bytes, alignment);
}

void epoch_resource::do_deallocate(void* p, std::size_t bytes, std::size_t alignment)
{
    if (alignment > fast_alignment) [[unlikely]]
        return deallocate_aligned(&c_, p, bytes, alignment);
    c::inner(&c_).deallocate(p, bytes, alignment);
}

bool epoch_resource::do_is_equal(std::pmr::memory_resource const& other) const noexcept { return this == &other; }

}
