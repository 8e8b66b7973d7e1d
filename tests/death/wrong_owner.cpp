// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory given back as something else than it is, or to another owner than it came from: another size class, another
// size of a large allocation, another heap, another resource. The line names both sides.
#define BOOST_TEST_MODULE death_wrong_owner
#include "death.hpp"
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <string>
#include <thread>
import tslab.internal;

namespace {

std::string in_class(std::size_t size)
{
    return " (heap \"h\", epoch \"e\"" + (size != 0 ? ", class " + std::to_string(size) : std::string{}) + ")";
}

/// The line for a free with the wrong size. The line names an alignment too where `given` bytes at that alignment have slots
/// of `size`.
std::string wrong_size(std::size_t given, std::size_t size)
{
    std::string line = "tslab: free of {0} with the wrong size " + std::to_string(given);
    for (std::size_t alignment = 16; alignment <= 4096; alignment *= 2)
        if (unsigned const c = tslab::class_of(given, alignment);
            c != tslab::large_class && tslab::class_sizes[c] == size) {
            line += ", or without its alignment " + std::to_string(alignment);
            break;
        }
    return line + in_class(size);
}

std::string wrong_alignment(std::size_t given, std::size_t size)
{
    return "tslab: free of {0} with the wrong alignment " + std::to_string(given) + in_class(size);
}

auto allocate_then_deallocate_at(std::size_t bytes, std::size_t alignment, std::size_t given)
{
    return [=](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource r{heap, {.label = "e"}};
        void* const p = r.allocate(bytes, alignment);
        note(p);
        r.deallocate(p, bytes, given);
    };
}

auto allocate_then_deallocate(std::size_t bytes, std::size_t given)
{
    return [=](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource r{heap, {.label = "e"}};
        void* const p = r.allocate(bytes);
        note(p);
        r.deallocate(p, given);
    };
}

}

BOOST_AUTO_TEST_CASE(the_next_and_the_last_class_for_every_class)
{
    auto const& sizes = tslab::class_sizes;
    for (std::size_t c = 0; c < sizes.size(); ++c) {
        if (c + 1 < sizes.size())
            TSLAB_ABORTS(wrong_size(sizes[c] + 1U, sizes[c]), allocate_then_deallocate(sizes[c], sizes[c] + 1U));
        if (c > 0)
            TSLAB_ABORTS(wrong_size(sizes[c - 1], sizes[c]), allocate_then_deallocate(sizes[c], sizes[c - 1]));
    }
}

BOOST_AUTO_TEST_CASE(another_size_of_the_same_class_is_no_misuse)
{
    TSLAB_SURVIVES("", allocate_then_deallocate(113, 128));
}

BOOST_AUTO_TEST_CASE(another_alignment_that_means_another_class)
{
    TSLAB_ABORTS("tslab: free of {0} with the wrong size 64, or without its alignment 128" + in_class(128),
                 allocate_then_deallocate_at(64, 128, 16));   // both are possible
    TSLAB_ABORTS(wrong_alignment(128, 64), allocate_then_deallocate_at(64, 16, 128));
    TSLAB_ABORTS(wrong_alignment(4096, 112), allocate_then_deallocate_at(100, 16, 4096));
}

BOOST_AUTO_TEST_CASE(another_alignment_that_means_a_large_allocation)
{
    TSLAB_ABORTS(wrong_alignment(8192, 112), allocate_then_deallocate_at(100, 16, 8192));
    TSLAB_ABORTS(wrong_alignment(16, 0), allocate_then_deallocate_at(100, 8192, 16));
}

BOOST_AUTO_TEST_CASE(an_alignment_that_is_no_power_of_two)
{
    TSLAB_ABORTS(wrong_alignment(48, 112), allocate_then_deallocate_at(100, 16, 48));
    TSLAB_ABORTS(wrong_alignment(48, 0), allocate_then_deallocate_at(100'000, 16, 48));
}

BOOST_AUTO_TEST_CASE(large_as_another_large_size)
{
    TSLAB_ABORTS(wrong_size(80'000, 0), allocate_then_deallocate(70'000, 80'000));
    TSLAB_ABORTS(wrong_size(70'001, 0), allocate_then_deallocate(70'000, 70'001));
}

BOOST_AUTO_TEST_CASE(large_as_small_and_small_as_large)
{
    TSLAB_ABORTS(wrong_size(64, 0), allocate_then_deallocate(70'000, 64));
    TSLAB_ABORTS(wrong_size(70'000, 64), allocate_then_deallocate(64, 70'000));
}

BOOST_AUTO_TEST_CASE(wrong_size_on_another_thread)
{
    TSLAB_ABORTS(wrong_size(700, 128), [](death::notes& note) {
        tslab::allocator heap{{.name = "h"}};
        tslab::epoch_resource r{heap, {.label = "e"}};
        void* const p = r.allocate(128);
        note(p);
        std::thread{[&] { r.deallocate(p, 700); }}.join();
    });
}

BOOST_AUTO_TEST_CASE(another_heap_is_named)
{
    TSLAB_ABORTS("tslab: free of {0} in the wrong heap: it belongs to heap \"owner\" (heap \"other\")",
                 [](death::notes& note) {
                     tslab::allocator owner{{.name = "owner"}};
                     tslab::allocator other{{.name = "other"}};
                     tslab::allocator third{{.name = "third"}};
                     void* const p = owner.malloc(64);
                     note(p);
                     other.free(p);
                 });
}

BOOST_AUTO_TEST_CASE(another_heap_through_a_resource_and_for_large_memory)
{
    for (std::size_t const bytes : {std::size_t{16}, std::size_t{64}, std::size_t{50'000}, std::size_t{500'000}})
        TSLAB_ABORTS("tslab: free of {0} in the wrong heap: it belongs to heap \"owner\" (heap \"other\")",
                     [bytes](death::notes& note) {
                         tslab::allocator owner{{.name = "owner"}};
                         tslab::allocator other{{.name = "other"}};
                         tslab::epoch_resource from{owner};
                         tslab::epoch_resource into{other};
                         void* const p = from.allocate(bytes);
                         note(p);
                         into.deallocate(p, bytes);
                     });
}

BOOST_AUTO_TEST_CASE(another_resource_is_named)
{
    TSLAB_ABORTS("tslab: free of {0} through the wrong resource \"second\" (heap \"h\", epoch \"first\", class 128)",
                 [](death::notes& note) {
                     tslab::allocator heap{{.name = "h"}};
                     tslab::epoch_resource first{heap, {.label = "first"}};
                     tslab::epoch_resource second{heap, {.label = "second"}};
                     void* const p = first.allocate(128);
                     note(p);
                     second.deallocate(p, 128);
                 });
}

BOOST_AUTO_TEST_CASE(another_resource_for_large_memory)
{
    TSLAB_ABORTS("tslab: free of {0} through the wrong resource \"second\" (heap \"h\", epoch \"first\")",
                 [](death::notes& note) {
                     tslab::allocator heap{{.name = "h"}};
                     tslab::epoch_resource first{heap, {.label = "first"}};
                     tslab::epoch_resource second{heap, {.label = "second"}};
                     void* const p = first.allocate(90'000);
                     note(p);
                     second.deallocate(p, 90'000);
                 });
}

BOOST_AUTO_TEST_CASE(another_resource_whose_thread_is_another)
{
    TSLAB_ABORTS("tslab: free of {0} through the wrong resource \"second\" (heap \"h\", epoch \"first\", class 64)",
                 [](death::notes& note) {
                     tslab::allocator heap{{.name = "h"}};
                     tslab::epoch_resource second{heap, {.label = "second"}};
                     std::thread{[&] {
                         tslab::epoch_resource first{heap, {.label = "first"}};
                         void* const p = first.allocate(64);
                         note(p);
                         second.deallocate(p, 64);
                     }}.join();
                 });
}

// The name of a heap is data: what a terminal would obey does not reach it.
BOOST_AUTO_TEST_CASE(control_characters_in_names_are_shown_as_question_marks)
{
    TSLAB_ABORTS("tslab: double free of {0} (heap \"a?[31mb\", epoch \"x?y\", class 64)", [](death::notes& note) {
        tslab::allocator heap{{.name = "a\033[31mb"}};
        heap.set_label(heap.current_epoch(), "x\ny");
        void* const p = heap.malloc(64);
        note(p);
        heap.free(p);
        heap.free(p);
    });
}
