// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Pointers that no heap handed out, and pointers that are not the begin of what one handed out: refused by name, in
// every class and for every page of a large allocation. Null is no misuse.
#define BOOST_TEST_MODULE death_foreign
#include "death.hpp"
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
import tslab.internal;

namespace {

constexpr char const* foreign = "tslab: free of foreign pointer {0} (heap \"h\")";

std::string interior(std::size_t size)
{
    return "tslab: free of interior pointer {0} (heap \"h\", epoch \"e\"" +
           (size != 0 ? ", class " + std::to_string(size) : std::string{}) + ")";
}

constexpr std::size_t page = 4096;

std::byte* begin_of_slab(tslab::allocator& heap, void* p) { return heap.state().slab_at(p)->base; }

/// Frees `offset` bytes behind the first of a slab of the class of `size`.
auto free_in_slab(std::size_t size, std::size_t offset)
{
    return [=](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        heap.set_label(heap.current_epoch(), "e");
        void* const wrong = begin_of_slab(heap, heap.malloc(size)) + offset;
        note(wrong);
        heap.free(wrong);
    };
}

/// Deallocates `offset` bytes behind an object of `size` through the resource it came from.
auto deallocate_behind(std::size_t size, std::size_t offset)
{
    return [=](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource r{heap, {.label = "e"}};
        void* const wrong = static_cast<std::byte*>(r.allocate(size)) + offset;
        note(wrong);
        r.deallocate(wrong, size);
    };
}

}

BOOST_AUTO_TEST_CASE(null_is_no_misuse)
{
    TSLAB_SURVIVES("", [](death::notes&) {
        tslab::allocator heap{{.name = "h"}};
        heap.free(nullptr);
        tslab::epoch_resource r{heap};
        r.deallocate(nullptr, 100);
        r.deallocate(nullptr, 100'000);
    });
}

BOOST_AUTO_TEST_CASE(a_pointer_into_the_stack)
{
    TSLAB_ABORTS(foreign, [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        alignas(64) std::array<std::byte, 64> local{};
        note(local.data());
        heap.free(local.data());
    });
}

BOOST_AUTO_TEST_CASE(memory_of_malloc)
{
    TSLAB_ABORTS(foreign, [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        void* const p = std::malloc(64);
        note(p);
        heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(memory_of_malloc_through_a_resource)
{
    TSLAB_ABORTS(foreign, [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource r{heap, {.label = "e"}};
        void* const p = std::malloc(64);
        note(p);
        r.deallocate(p, 64);
    });
}

BOOST_AUTO_TEST_CASE(static_memory_and_wild_numbers)
{
    static int something = 0;
    for (std::uintptr_t const address :
         {reinterpret_cast<std::uintptr_t>(&something), std::uintptr_t{1}, std::uintptr_t{page}, ~std::uintptr_t{0},
          ~std::uintptr_t{0} - page + 1, std::uintptr_t{1} << 63})
        TSLAB_ABORTS(foreign, [address](death::notes& note) {
            tslab::allocator heap{{.name = "h"}};
            auto* const p = reinterpret_cast<void*>(address);
            note(p);
            heap.free(p);
        });
}

// In the heap's own range: behind what is committed, and committed but never handed out.
BOOST_AUTO_TEST_CASE(inside_the_reserved_range_but_never_used)
{
    for (std::size_t const far : {std::size_t{128} << 20, std::size_t{512} << 10})
        TSLAB_ABORTS(foreign, [far](death::notes& note) {
            tslab::allocator heap{{.name = "h"}};
            void* const p = static_cast<std::byte*>(heap.malloc(64)) + far;
            note(p);
            heap.free(p);
        });
}

BOOST_AUTO_TEST_CASE(just_outside_the_reserved_range)
{
    TSLAB_ABORTS(foreign, [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        void* const p = reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(heap.malloc(64)) & ~(page - 1)) - 64);
        note(p);
        heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(inside_an_object_of_every_class)
{
    for (std::size_t const size : tslab::class_sizes) {
        std::size_t const last = tslab::bins[tslab::class_of(size)].slab_bytes() - 1;   // of the last page
        for (std::size_t const offset : {std::size_t{1}, size / 2, size - 1, size + 8, last, last / 2, last - size / 2})
            TSLAB_ABORTS(interior(size), free_in_slab(size, offset));
    }
}

BOOST_AUTO_TEST_CASE(inside_an_object_of_every_class_through_a_resource)
{
    for (std::size_t const size : tslab::class_sizes) {
        TSLAB_ABORTS(interior(size), deallocate_behind(size, 1));
        TSLAB_ABORTS(interior(size), deallocate_behind(size, size / 2));
    }
}

// Where the slots do not fill a block, the rest begins where one more slot would.
BOOST_AUTO_TEST_CASE(the_tail_of_a_subslab_is_no_slot)
{
    int classes = 0;
    for (std::size_t const size : tslab::class_sizes) {
        tslab::bin_geometry const& b = tslab::bins[tslab::class_of(size)];
        std::size_t const tail = std::size_t{b.slots} * size;
        std::size_t const block = std::size_t{b.offset_mask} + 1;
        if (tail == block)
            continue;
        ++classes;
        TSLAB_ABORTS(interior(size), free_in_slab(size, tail));
        TSLAB_ABORTS(interior(size), free_in_slab(size, block - 1));
        TSLAB_ABORTS(interior(size), free_in_slab(size, b.slab_bytes() - block + tail));   // of the last block
        TSLAB_ABORTS(interior(size), [=](death::notes& note) {
            tslab::allocator heap{{.name = "h"}};
            tslab::epoch_resource r{heap, {.label = "e"}};
            void* const wrong = begin_of_slab(heap, r.allocate(size)) + tail;
            note(wrong);
            r.deallocate(wrong, size);
        });
    }
    BOOST_TEST(classes == 25);
}

BOOST_AUTO_TEST_CASE(inside_a_slot_that_has_a_handle)
{
    TSLAB_ABORTS(interior(128), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        heap.set_label(heap.current_epoch(), "e");
        tslab::handle h;
        void* const wrong = static_cast<std::byte*>(heap.allocate(128, heap.current_epoch(), h)) + 8;
        note(wrong);
        heap.free(wrong);
    });
}

BOOST_AUTO_TEST_CASE(inside_a_large_allocation_on_its_first_page_and_later)
{
    for (std::size_t const offset :
         {std::size_t{1}, std::size_t{64}, page - 1, page, page + 16, 19 * page, 19 * page + 4095}) {
        TSLAB_ABORTS(interior(0), [=](death::notes& note) {
            tslab::allocator heap{{.name = "h"}};
            heap.set_label(heap.current_epoch(), "e");
            void* const wrong = static_cast<std::byte*>(heap.malloc(20 * page)) + offset;
            note(wrong);
            heap.free(wrong);
        });
        TSLAB_ABORTS(interior(0), deallocate_behind(20 * page, offset));
    }
}
