// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A second free is found in whatever state the first one left the slab, on whichever thread either happens, and the
// process ends with the line that names the address, the heap, the epoch and the class.
#define BOOST_TEST_MODULE death_double_free
#include "death.hpp"
#include <array>
#include <boost/test/unit_test.hpp>
#include <string>
#include <thread>
#include <vector>
import tslab.internal;

namespace {

std::string line_for(std::size_t size)
{
    return "tslab: double free of {0} (heap \"h\", epoch \"e\", class " + std::to_string(size) + ")";
}

}

BOOST_AUTO_TEST_CASE(by_pointer_on_one_thread_in_every_class)
{
    for (std::size_t const size : tslab::class_sizes)
        TSLAB_ABORTS(line_for(size), [size](death::notes& note) {
            tslab::allocator heap{{.name = "h"}};
            tslab::epoch_id const e = heap.current_epoch();
            heap.set_label(e, "e");
            void* const p = heap.malloc(size, e);
            note(p);
            heap.free(p);
            heap.free(p);
        });
}

BOOST_AUTO_TEST_CASE(with_neighbours_live_and_the_slab_not_current)
{
    TSLAB_ABORTS(line_for(768), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        heap.set_label(heap.current_epoch(), "e");
        std::array<void*, 12> p{};
        for (void*& one : p)
            one = heap.malloc(768);
        note(p[1]);
        heap.free(p[1]);
        heap.free(p[2]);
        heap.free(p[1]);
    });
}

BOOST_AUTO_TEST_CASE(freed_by_another_thread_first)
{
    TSLAB_ABORTS(line_for(128), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        heap.set_label(heap.current_epoch(), "e");
        void* const p = heap.malloc(128);
        note(p);
        std::thread{[&] { heap.free(p); }}.join();
        heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(freed_by_another_thread_second)
{
    TSLAB_ABORTS(line_for(128), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        heap.set_label(heap.current_epoch(), "e");
        void* const p = heap.malloc(128);
        note(p);
        heap.free(p);
        std::thread{[&] { heap.free(p); }}.join();
    });
}

BOOST_AUTO_TEST_CASE(freed_twice_by_threads_that_do_not_own_it)
{
    TSLAB_ABORTS(line_for(192), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        heap.set_label(heap.current_epoch(), "e");
        void* const p = heap.malloc(192);
        note(p);
        std::thread{[&] { heap.free(p); }}.join();
        std::thread{[&] { heap.free(p); }}.join();
    });
}

BOOST_AUTO_TEST_CASE(of_a_slab_whose_thread_has_ended)
{
    TSLAB_ABORTS(line_for(64), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        heap.set_label(heap.current_epoch(), "e");
        std::array<void*, 3> p{};
        std::thread{[&] {
            for (void*& one : p)
                one = heap.malloc(64);
        }}.join();
        note(p[1]);
        heap.free(p[1]);
        heap.free(p[1]);
    });
}

// The slab is in a slab cache: it has a class, and no epoch any more.
BOOST_AUTO_TEST_CASE(of_a_slab_that_waits_in_the_cache)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"h\", class 128)", [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_id const e = heap.current_epoch();
        void* const p = heap.malloc(128, e);
        note(p);
        heap.free(p);
        heap.close(e);
        heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(of_a_page_that_went_back_to_the_kernel)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"h\")", [](death::notes& note) {
        tslab::allocator heap{{.name = "h", .reclaim = tslab::reclaim_policy::eager}};
        tslab::epoch_id const e = heap.current_epoch();
        void* const p = heap.malloc(128, e);
        note(p);
        heap.free(p);
        heap.close(e);
        heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(after_the_epoch_ended_with_a_neighbour_live)
{
    TSLAB_ABORTS(line_for(256), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_id const e = heap.current_epoch();
        heap.set_label(e, "e");
        void* const p = heap.malloc(256, e);
        void* const neighbour = heap.malloc(256, e);
        heap.close(e);
        note(p);
        heap.free(p);   // late, and legal
        heap.free(p);
        heap.free(neighbour);
    });
}

BOOST_AUTO_TEST_CASE(of_an_object_of_an_ended_scope)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"h\")", [](death::notes& note) {
        tslab::allocator heap{{.name = "h", .reclaim = tslab::reclaim_policy::eager}};
        void* p = nullptr;
        {
            tslab::epoch_scope const scope{heap, "e"};
            p = scope.resource()->allocate(100);
            note(p);
            scope.resource()->deallocate(p, 100);
        }
        heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(through_a_resource)
{
    TSLAB_ABORTS(line_for(112), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource r{heap, {.label = "e"}};
        void* const p = r.allocate(100);
        note(p);
        r.deallocate(p, 100);
        r.deallocate(p, 100);
    });
}

BOOST_AUTO_TEST_CASE(through_a_resource_on_another_thread)
{
    TSLAB_ABORTS(line_for(112), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource r{heap, {.label = "e"}};
        void* const p = r.allocate(100);
        note(p);
        r.deallocate(p, 100);
        std::thread{[&] { r.deallocate(p, 100); }}.join();
    });
}

BOOST_AUTO_TEST_CASE(of_what_a_release_gave_back)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"h\", epoch \"e\", class 112)", [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource r{heap, {.label = "e"}};
        void* const p = r.allocate(100);
        note(p);
        r.release();
        r.deallocate(p, 100);
    });
}

BOOST_AUTO_TEST_CASE(of_a_large_allocation)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"h\")", [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        void* const p = heap.malloc(100'000);
        note(p);
        heap.free(p);
        heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(of_a_large_allocation_through_a_resource)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"h\")", [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource r{heap, {.label = "e"}};
        void* const p = r.allocate(100'000);
        note(p);
        r.deallocate(p, 100'000);
        r.deallocate(p, 100'000);
    });
}

BOOST_AUTO_TEST_CASE(of_a_handles_slot_by_pointer)
{
    TSLAB_ABORTS(line_for(384), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        heap.set_label(heap.current_epoch(), "e");
        tslab::handle h;
        void* const p = heap.allocate(300, heap.current_epoch(), h);
        note(p);
        heap.free(p);
        heap.free(p);
    });
}

BOOST_AUTO_TEST_CASE(of_a_handles_slot_by_handle_and_then_by_pointer)
{
    TSLAB_ABORTS(line_for(384), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        heap.set_label(heap.current_epoch(), "e");
        tslab::handle h;
        void* const p = heap.allocate(300, heap.current_epoch(), h);
        note(p);
        if (heap.free(h) == tslab::free_result::ok)
            heap.free(p);
    });
}
