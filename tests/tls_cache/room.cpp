// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// How many empty slabs a thread cache holds: as many as it needs again and again, within limits; trims and want of memory
// take them.
#define BOOST_TEST_MODULE room
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "objects.hpp"
#include "recorder.hpp"

using support::take;

namespace {

constexpr std::size_t size = 128;
constexpr std::size_t in_page = tslab::page_bytes / size;

std::uint64_t recycled(tslab::allocator& heap) { return heap.snapshot().global.slabs_recycled; }

std::uint32_t room_of_this_thread(tslab::allocator& heap)
{
    return heap.state().record()->room.load(std::memory_order_relaxed);
}

/// Allocates so many pages, and frees them.
void cycle(tslab::allocator& heap, std::size_t pages)
{
    for (void* const p : take(heap, pages * in_page, size))
        heap.free(p);
}

void cycle(tslab::epoch_resource& r, std::size_t pages)
{
    std::vector<void*> all;
    for (std::size_t i = 0; i < pages * in_page; ++i)
        all.push_back(r.allocate(size));
    for (void* const p : all)
        r.deallocate(p, size);
}

}

BOOST_AUTO_TEST_CASE(what_is_taken_back_again_and_again_stays)
{
    tslab::allocator heap;
    cycle(heap, 40);
    BOOST_TEST(recycled(heap) > 0u);
    BOOST_TEST(room_of_this_thread(heap) == 0u);   // one burst is no reason
    for (int i = 0; i < 4; ++i)
        cycle(heap, 40);
    std::uint64_t const before = recycled(heap);
    for (int i = 0; i < 10; ++i)
        cycle(heap, 40);
    BOOST_TEST(recycled(heap) == before);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 40u);
    BOOST_TEST(room_of_this_thread(heap) <= 48u);   // twice and twice again: 64 pages
}

BOOST_AUTO_TEST_CASE(beyond_half_a_mebibyte_it_goes_to_the_thread_all_the_same)
{
    tslab::allocator heap;
    for (int i = 0; i < 20; ++i)
        cycle(heap, 400);
    std::uint64_t const before = recycled(heap);
    cycle(heap, 400);
    BOOST_TEST(recycled(heap) > before);
    BOOST_TEST(heap.snapshot().global.slabs_in_use <= 129u);   // and the current one
    BOOST_TEST(room_of_this_thread(heap) == 112u);
}

BOOST_AUTO_TEST_CASE(the_thread_caches_of_a_thread_share_a_mebibyte)
{
    tslab::allocator heap;
    std::array<std::unique_ptr<tslab::epoch_resource>, 8> resources;
    for (auto& r : resources)
        r = std::make_unique<tslab::epoch_resource>(heap);
    for (int i = 0; i < 20; ++i)
        for (auto const& r : resources)
            cycle(*r, 120);
    std::uint32_t const room = room_of_this_thread(heap);
    BOOST_TEST(room <= tslab::thread_record::room_limit);
    BOOST_TEST(room > tslab::thread_record::room_limit / 2);
    BOOST_TEST(heap.snapshot().global.slabs_in_use <=
               room + resources.size() * (tslab::thread_record::cache_pages + 1));
    for (auto& r : resources)
        r.reset();
    heap.trim();
    BOOST_TEST(room_of_this_thread(heap) == 0u);
}

BOOST_AUTO_TEST_CASE(what_it_holds_serves_other_classes_before_memory_grows)
{
    tslab::allocator heap;
    for (int i = 0; i < 5; ++i)
        cycle(heap, 100);
    std::uint64_t const before = heap.snapshot().global.slabs_allocated;
    auto const others = take(heap, 80 * tslab::page_bytes / 64, 64);
    BOOST_TEST(heap.snapshot().global.slabs_allocated == before);
    support::give(heap, others);
}

BOOST_AUTO_TEST_CASE(slabs_of_another_number_of_pages_and_of_handles_are_no_reason_to_share)
{
    tslab::allocator heap;
    for (int i = 0; i < 5; ++i)
        cycle(heap, 100);
    heap.free(heap.malloc(8000));
    tslab::handle h{};
    BOOST_TEST(heap.allocate(100, heap.current_epoch(), h) != nullptr);
    heap.free(h);
    BOOST_TEST(heap.snapshot().classes[2].cached_slabs == 0u);
}

BOOST_AUTO_TEST_CASE(caches_that_keep_nothing_leave_the_room_to_others)
{
    support::recorder const seen;   // what the resources leave
    tslab::allocator heap;
    for (int round = 0; round < 3; ++round) {
        std::vector<void*> left;
        {
            std::array<tslab::epoch_resource, 3> resources{
                {tslab::epoch_resource{heap}, tslab::epoch_resource{heap}, tslab::epoch_resource{heap}}};
            for (auto& r : resources) {
                for (int i = 0; i < 6; ++i)
                    cycle(r, 120);
                left.push_back(r.allocate(size));
            }
            BOOST_TEST(room_of_this_thread(heap) == 240u);   // 112, 112 and 16
        }
        BOOST_TEST(room_of_this_thread(heap) == 0u);
        for (void* const p : left)
            heap.free(p);
    }
}

BOOST_AUTO_TEST_CASE(a_small_thread_cache_has_small_room)
{
    tslab::allocator heap{{.thread_cache = 20 * tslab::page_bytes}};
    for (int i = 0; i < 10; ++i)
        cycle(heap, 100);
    BOOST_TEST(room_of_this_thread(heap) <= 20u);
}

BOOST_AUTO_TEST_CASE(a_trim_takes_the_room)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap, {.share_epoch = true}};
    for (int i = 0; i < 5; ++i)
        cycle(r, 100);
    BOOST_TEST(room_of_this_thread(heap) > 0u);
    heap.trim(r.epoch());
    cycle(r, 1);   // a trim on this thread or another one leaves the flush to the cache's next use
    BOOST_TEST(room_of_this_thread(heap) == 0u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 1u);
}

BOOST_AUTO_TEST_CASE(a_heap_that_caches_nothing_gives_no_room)
{
    tslab::allocator heap{{.slab_cache = 0}};
    for (int i = 0; i < 5; ++i)
        cycle(heap, 100);
    BOOST_TEST(room_of_this_thread(heap) == 0u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use <= 3u);
}
