// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a thread leaves when it ends: its claims, its retained slabs and its record serve the others, and its last
// destructors may still allocate and free.
#define BOOST_TEST_MODULE thread_ends
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include "objects.hpp"
#include "recorder.hpp"

using support::on_other_thread;
using support::page_of;
using support::stats_of;
using support::take;

BOOST_AUTO_TEST_CASE(a_thread_that_ends_hands_its_claims_back)
{
    tslab::allocator heap;
    std::vector<void*> left;
    on_other_thread([&] {
        auto const all = take(heap, 640, 64);
        for (std::size_t i = 0; i < all.size(); ++i)
            if (i % 64 == 0 && i < 320)
                left.push_back(all[i]);
            else
                heap.free(all[i]);
    });
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.slabs_in_use == 5u);   // those with a live object; the others are cached
    BOOST_TEST(s.classes[0].empty_slabs == 0u);
    BOOST_TEST(s.global.slabs_cached == 5u);
    BOOST_TEST(s.threads.size() == 2u);   // this one and that one
    BOOST_TEST(std::count_if(s.threads.begin(), s.threads.end(), [](auto const& t) { return t.alive; }) == 1);
    for (void* p : left)
        heap.free(p);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);   // each was recycled by the free that emptied it
}

BOOST_AUTO_TEST_CASE(the_retained_slabs_of_a_thread_that_ended_serve_the_others)
{
    tslab::allocator heap;
    on_other_thread([&] {
        for (void* p : take(heap, 64 * 4, 64))
            heap.free(p);
    });
    BOOST_TEST(heap.snapshot().classes[0].slow_path_cache_miss == 4u);
    for (void* p : take(heap, 64 * 4, 64))
        heap.free(p);
    BOOST_TEST(heap.snapshot().classes[0].slow_path_cache_miss == 4u);
    heap.close(heap.current_epoch());
    heap.trim();
    BOOST_TEST(heap.snapshot().global.slabs_cached == 0u);
}

BOOST_AUTO_TEST_CASE(a_record_is_used_again_by_the_next_thread)
{
    tslab::allocator heap;
    for (int i = 0; i < 50; ++i)
        on_other_thread([&] { heap.free(heap.malloc(64)); });
    BOOST_TEST(heap.snapshot().threads.size() == 2u);   // this thread's, and one for all of them
    BOOST_TEST(heap.snapshot().global.allocations == 50u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
}

namespace {

tslab::allocator* late_heap = nullptr;

struct allocates_at_exit {
    void* kept = nullptr;
    ~allocates_at_exit()
    {
        void* const p = late_heap->malloc(100);   // the thread's hook may have run already
        late_heap->free(kept);
        late_heap->free(p);
    }
};

}

BOOST_AUTO_TEST_CASE(destructors_of_thread_locals_may_still_allocate_and_free)
{
    tslab::allocator heap;
    late_heap = &heap;
    for (int i = 0; i < 10; ++i)
        on_other_thread([&] {
            thread_local allocates_at_exit local;
            local.kept = heap.malloc(50);
        });
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.slabs_in_use == 0u);
    BOOST_TEST(s.global.misuses == 0u);
    BOOST_TEST(s.threads.size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_thread_may_end_after_its_heap)
{
    support::worker w;
    {
        tslab::allocator heap;
        w([&] { heap.free(heap.malloc(10)); });
    }
    tslab::allocator next;
    w([&] { next.free(next.malloc(10)); });
    BOOST_TEST(next.snapshot().global.allocations == 1u);
}
