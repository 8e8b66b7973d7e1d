// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a checked heap says when it finds a fault, and where a guarded object makes the process stop.
#include "death.hpp"
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory_resource>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>
import tslab.internal;

namespace {

struct checked_heap {
    explicit checked_heap(std::uint32_t guard_sampling = 0)
        : heap{{.name = "h", .checks = tslab::check_mode::canaries, .guard_sampling = guard_sampling}},
          resource{heap, {.label = "e"}}
    {
    }
    tslab::allocator heap;
    tslab::epoch_resource resource;
};

/// The compiler must neither see where an object ends nor that it has been freed.
std::byte* unknown(void* p)
{
    asm volatile("" : "+r"(p) : : "memory");
    return static_cast<std::byte*>(p);
}

/// The child died by a fault, with nothing said.
void faults(death::outcome const& end)
{
    BOOST_TEST(end.end == "SIGSEGV");
    BOOST_TEST(end.text == "");
}

}

BOOST_AUTO_TEST_CASE(an_overflow)
{
    TSLAB_ABORTS("tslab: write past the end of {0} (heap \"h\", epoch \"e\", class 48)", [](death::notes& note) {
        checked_heap h;
        void* const p = h.resource.allocate(40);
        note(p);
        unknown(p)[40] = std::byte{7};
        h.resource.deallocate(p, 40);
    });
}

BOOST_AUTO_TEST_CASE(a_string_one_too_long)
{
    TSLAB_ABORTS("tslab: write past the end of {0} (heap \"h\", epoch \"e\", class 32)", [](death::notes& note) {
        checked_heap h;
        void* const p = h.resource.allocate(20);
        note(p);
        unknown(p)[20] = std::byte{0};   // the terminator
        h.heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(an_overflow_into_a_neighbour)
{
    TSLAB_ABORTS("tslab: write past the end of {0} (heap \"h\", epoch \"e\", class 64)", [](death::notes& note) {
        checked_heap h;
        void* const p = h.resource.allocate(56);
        note(p);
        for (std::size_t i = 56; i < 100; ++i)
            unknown(p)[i] = std::byte{0};
        h.resource.deallocate(p, 56);
    });
}

BOOST_AUTO_TEST_CASE(an_overflow_of_a_large_object)
{
    TSLAB_ABORTS("tslab: write past the end of {0} (heap \"h\", epoch \"e\")", [](death::notes& note) {
        checked_heap h;
        void* const p = h.resource.allocate(100'000);
        note(p);
        unknown(p)[100'000] = std::byte{7};
        h.resource.deallocate(p, 100'000);
    });
}

BOOST_AUTO_TEST_CASE(a_write_after_the_free)
{
    TSLAB_ABORTS("tslab: write to {0} after it was freed (heap \"h\", epoch \"e\", class 48)", [](death::notes& note) {
        checked_heap h;
        void* const p = h.resource.allocate(40);
        note(p);
        h.resource.deallocate(p, 40);
        unknown(p)[0] = std::byte{7};
        while (h.resource.allocate(40) != p) {
        }
    });
}

BOOST_AUTO_TEST_CASE(a_list_link_corrupted_after_the_free)
{
    TSLAB_ABORTS("tslab: write to {0} after it was freed (heap \"h\", epoch \"e\", class 32)", [](death::notes& note) {
        checked_heap h;
        std::array<void*, 64> all{};
        for (void*& p : all)
            p = h.resource.allocate(24);
        for (void* const p : all)
            h.resource.deallocate(p, 24);
        note(all[13]);
        *reinterpret_cast<void**>(unknown(all[13])) = &all;
        for (void*& p : all)
            p = h.resource.allocate(24);
    });
}

BOOST_AUTO_TEST_CASE(an_overflow_in_an_object_that_release_gives_back)
{
    TSLAB_ABORTS("tslab: write past the end of {0} (heap \"h\", class 48)", [](death::notes& note) {
        checked_heap h;
        void* const p = h.resource.allocate(40);
        note(p);
        unknown(p)[40] = std::byte{7};
        h.resource.release();
    });
}

BOOST_AUTO_TEST_CASE(a_size_of_the_same_class)
{
    TSLAB_ABORTS("tslab: free of {0} with the wrong size 33 (heap \"h\", epoch \"e\", class 48)",
                 [](death::notes& note) {
                     checked_heap h;
                     void* const p = h.resource.allocate(40);
                     note(p);
                     h.resource.deallocate(p, 33);
                 });
}

BOOST_AUTO_TEST_CASE(another_alignment)
{
    TSLAB_ABORTS("tslab: free of {0} with the wrong alignment 8 (heap \"h\", epoch \"e\", class 48)",
                 [](death::notes& note) {
                     checked_heap h;
                     void* const p = h.resource.allocate(40, 16);
                     note(p);
                     h.resource.deallocate(p, 40, 8);
                 });
}

BOOST_AUTO_TEST_CASE(double_frees_are_called_that)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"h\", epoch \"e\", class 48)", [](death::notes& note) {
        checked_heap h;
        void* const p = h.resource.allocate(40);
        note(p);
        h.resource.deallocate(p, 40);
        h.resource.deallocate(p, 40);
    });
}

BOOST_AUTO_TEST_CASE(an_access_past_a_guarded_object_faults_at_once)
{
    faults(death::of([](death::notes&) {
        checked_heap h{1};
        void* const p = h.resource.allocate(64);
        unknown(p)[64] = std::byte{7};
    }));
    faults(death::of([](death::notes&) {
        checked_heap h{1};
        void* const p = h.heap.malloc(4000);
        static_cast<void>(*static_cast<std::byte volatile*>(unknown(p) + 4000));
    }));
}

BOOST_AUTO_TEST_CASE(an_access_to_a_guarded_object_that_was_freed_faults_at_once)
{
    faults(death::of([](death::notes&) {
        checked_heap h{1};
        void* const p = h.resource.allocate(64);
        h.resource.deallocate(p, 64);
        static_cast<void>(*static_cast<std::byte volatile*>(unknown(p)));
    }));
    faults(death::of([](death::notes&) {
        checked_heap h{1};
        void* const p = h.resource.allocate(64);
        h.resource.release();
        unknown(p)[0] = std::byte{7};
    }));
}

BOOST_AUTO_TEST_CASE(a_guarded_object_freed_twice)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"h\")", [](death::notes& note) {
        checked_heap h{1};
        void* const p = h.resource.allocate(64);
        note(p);
        h.resource.deallocate(p, 64);
        h.resource.deallocate(p, 64);
    });
}

BOOST_AUTO_TEST_CASE(a_write_before_a_guarded_object)
{
    TSLAB_ABORTS("tslab: write past the end of {0} (heap \"h\", epoch \"e\")", [](death::notes& note) {
        checked_heap h{1};
        void* const p = h.resource.allocate(64);
        note(p);
        unknown(p)[-1] = std::byte{7};
        h.resource.deallocate(p, 64);
    });
}
