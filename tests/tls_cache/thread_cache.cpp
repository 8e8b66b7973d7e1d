// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Thread caches as the allocator uses them: the fast path takes no slow path, remote frees are found by the owner, and
// the slabs of a thread that ends are flushed, orphaned and acquired by others. The counters show it.
#define BOOST_TEST_MODULE thread_cache
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "objects.hpp"
#include "recorder.hpp"

using support::on_other_thread;
using support::page_of;
using support::scaled;
using support::stats_of;
using support::take;

BOOST_AUTO_TEST_CASE(a_common_allocate_and_free_never_goes_the_slow_path)
{
    tslab::allocator heap;
    heap.free(heap.malloc(128));
    auto const before = heap.snapshot();
    for (int i = 0; i < 10'000; ++i)
        heap.free(heap.malloc(128));
    auto const after = heap.snapshot();
    BOOST_TEST(after.global.allocations == before.global.allocations + 10'000);
    BOOST_TEST(after.global.slow_path_hits == before.global.slow_path_hits);
    BOOST_TEST(after.global.lock_fast_acquire == before.global.lock_fast_acquire);
    BOOST_TEST(after.classes[2].remote_frees == 0u);
    BOOST_TEST(after.classes[2].empty_slab_recycled == 0u);   // the current slab stays although it is empty
    BOOST_TEST(after.global.slabs_in_use == 1u);
}

BOOST_AUTO_TEST_CASE(the_slow_path_is_taken_once_a_slab)
{
    tslab::allocator heap;
    auto const all = take(heap, 64 * 100, 64);
    auto const s = heap.snapshot();
    BOOST_TEST(s.classes[0].slow_path_hits == 100u);
    BOOST_TEST(s.classes[0].list_move_partial_to_full == 99u);
    for (void* p : all)
        heap.free(p);
    BOOST_TEST(heap.snapshot().classes[0].remote_frees == 0u);
    // The first free leaves the current slab, which is full, for the one that it freed into: then that was the hundredth.
    BOOST_TEST(heap.snapshot().classes[0].list_move_partial_to_full == 100u);
    BOOST_TEST(heap.snapshot().classes[0].list_move_full_to_partial == 100u);
}

BOOST_AUTO_TEST_CASE(a_free_into_a_full_slab_serves_the_next_allocation_if_the_current_one_is_full)
{
    tslab::allocator heap;
    auto const all = take(heap, 64 * 3, 64);   // the third slab is the current one, and full
    auto const before = heap.snapshot().classes[0];
    for (std::size_t const i : {std::size_t{5}, std::size_t{70}, std::size_t{6}, std::size_t{100}}) {
        heap.free(all[i]);
        BOOST_TEST(heap.malloc(64) == all[i]);
    }
    auto const after = heap.snapshot().classes[0];
    BOOST_TEST(after.slow_path_hits == before.slow_path_hits);
    BOOST_TEST(after.list_move_full_to_partial - before.list_move_full_to_partial == 4u);
    BOOST_TEST(after.list_move_partial_to_full - before.list_move_partial_to_full == 4u);
    for (void* p : all)
        heap.free(p);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_free_into_a_full_slab_does_not_leave_a_current_one_with_free_slots)
{
    tslab::allocator heap;
    auto const all = take(heap, 64 * 3 - 2, 64);
    auto const before = heap.snapshot().classes[0];
    heap.free(all[5]);
    std::set<void*> const next{heap.malloc(64), heap.malloc(64)};
    BOOST_TEST(!next.contains(all[5]));
    BOOST_TEST(heap.snapshot().classes[0].slow_path_hits == before.slow_path_hits);
    BOOST_TEST(heap.malloc(64) == all[5]);
}

BOOST_AUTO_TEST_CASE(slots_freed_here_are_handed_out_before_a_new_slab_is_taken)
{
    tslab::allocator heap;
    auto all = take(heap, 64 * 4, 64);
    std::set<void*> freed;
    for (std::size_t i = 0; i < all.size(); i += 2) {
        freed.insert(all[i]);
        heap.free(all[i]);
    }
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 4u);
    for (std::size_t i = 0; i < freed.size(); ++i) {
        void* const p = heap.malloc(64);
        BOOST_TEST(freed.contains(p));
        all[i * 2] = p;
    }
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 4u);
    BOOST_TEST((std::set<void*>{all.begin(), all.end()}.size()) == all.size());
    for (void* p : all)
        heap.free(p);
}

BOOST_AUTO_TEST_CASE(frees_of_other_threads_are_counted_and_collected_by_the_owner)
{
    tslab::allocator heap;
    auto const all = take(heap, 64, 64);
    on_other_thread([&] {
        for (void* p : all)
            heap.free(p);
    });
    auto s = heap.snapshot();
    BOOST_TEST(s.classes[0].remote_frees == 64u);
    BOOST_TEST(s.classes[0].collects == 0u);
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.slabs_in_use == 1u);   // another thread's free does not take the owner's slab
    auto const again = take(heap, 64, 64);
    s = heap.snapshot();
    BOOST_TEST(s.classes[0].collects == 1u);
    BOOST_TEST(s.global.slabs_in_use == 1u);
    BOOST_TEST(page_of(again[0]) == page_of(all[0]));
    for (void* p : again)
        heap.free(p);
}

BOOST_AUTO_TEST_CASE(a_producer_lives_on_what_its_consumer_frees)
{
    tslab::allocator heap;
    support::worker consumer;
    std::vector<void*> batch(1000);
    for (int round = 0; round < 50; ++round) {
        for (void*& p : batch)
            p = heap.malloc(100);
        consumer([&] {
            for (void* p : batch)
                heap.free(p);
        });
    }
    auto const s = heap.snapshot();
    BOOST_TEST(s.classes[tslab::class_of(100)].remote_frees == 50'000u);
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.slabs_in_use <= 2 * (1000u / 32 + 1));   // no growth from round to round
}

// A slab that is half freed by other threads is found, however many slabs are full and in whatever order they are
// freed. So there are never more than twice as many slabs as the live objects need.
BOOST_AUTO_TEST_CASE(full_slabs_that_others_freed_into_are_found_again)
{
    std::mt19937 random{11};
    for (unsigned const c : {0U, 2U, 7U, 8U, 9U, 10U, 15U}) {
        tslab::allocator heap;
        support::worker consumer;
        std::size_t const slabs = tslab::bins[c].pages > 8 ? 6 : 40;
        std::size_t const n = slabs * tslab::bins[c].slab_slots();
        std::size_t const bytes = tslab::class_sizes[c];
        std::vector<void*> all = take(heap, n, bytes);
        for (int round = 0; round < 20; ++round) {
            // A few here and there, all of them, or one object of each slab.
            std::size_t const part = round % 3 == 0 ? n / 10 : round % 3 == 1 ? n : slabs;
            std::shuffle(all.begin(), all.end(), random);
            consumer([&] {
                for (std::size_t i = 0; i < part; ++i)
                    heap.free(all[i]);
            });
            all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(part));
            for (std::size_t i = 0; i < part; ++i)
                all.push_back(heap.malloc(bytes));
            BOOST_REQUIRE(heap.snapshot().classes[c].new_slab_count <= 2 * slabs + 1);
        }
        BOOST_TEST((std::set<void*>{all.begin(), all.end()}.size()) == n);
        for (void* p : all)
            heap.free(p);
    }
}

BOOST_AUTO_TEST_CASE(a_producer_beside_its_consumers_does_not_grow)
{
    for (std::size_t const bytes : {std::size_t{16}, std::size_t{64}, std::size_t{768}}) {
        tslab::allocator heap;
        std::mutex lock;
        std::vector<void*> queue;
        std::atomic<bool> over{false};
        std::vector<std::thread> consumers;
        for (int t = 0; t < 2; ++t)
            consumers.emplace_back([&] {
                std::vector<void*> mine;
                while (true) {
                    {
                        std::lock_guard const guard{lock};
                        mine.insert(mine.end(), queue.begin(), queue.end());
                        queue.clear();
                    }
                    for (void* p : mine)
                        heap.free(p);
                    mine.clear();
                    std::lock_guard const guard{lock};
                    if (over.load() && queue.empty())
                        break;
                }
            });
        constexpr std::size_t most = 2000;   // objects between producers and consumers
        for (std::size_t i = 0; i < scaled(300'000);) {
            std::unique_lock guard{lock};
            if (queue.size() >= most) {
                guard.unlock();
                std::this_thread::yield();
                continue;
            }
            for (int k = 0; k < 100; ++k, ++i)
                queue.push_back(heap.malloc(bytes));
        }
        over = true;
        for (std::thread& t : consumers)
            t.join();
        auto const s = heap.snapshot();
        unsigned const c = tslab::class_of(bytes);
        BOOST_TEST(s.global.live_objects == 0u);
        // The consumers' objects, those between, and as much again for slots that are freed in another order.
        BOOST_TEST(s.classes[c].new_slab_count <= 8 * (most / tslab::bins[c].slab_slots() + 2));
    }
}

BOOST_AUTO_TEST_CASE(slabs_without_an_owner_are_acquired_before_new_ones_are_taken)
{
    tslab::allocator heap;
    std::vector<void*> left;
    on_other_thread([&] {
        auto const all = take(heap, 64 * 6, 64);
        for (std::size_t i = 0; i < all.size(); ++i)
            if (i % 64 == 5)
                left.push_back(all[i]);
            else
                heap.free(all[i]);
    });
    std::set<std::uintptr_t> pages;
    for (void* p : left)
        pages.insert(page_of(p));
    auto const all = take(heap, 63 * 6, 64);
    for (void* p : all) {
        BOOST_REQUIRE(pages.contains(page_of(p)));
        BOOST_REQUIRE(std::find(left.begin(), left.end(), p) == left.end());
    }
    auto const s = heap.snapshot();
    BOOST_TEST(s.classes[0].adoptions == 6u);
    BOOST_TEST(s.global.slabs_in_use == 6u);
    void* const p = heap.malloc(64);
    BOOST_TEST(!pages.contains(page_of(p)));
    heap.free(p);
    for (void* q : all)
        heap.free(q);
    for (void* q : left)
        heap.free(q);
}

BOOST_AUTO_TEST_CASE(a_full_slab_without_an_owner_is_listed_again_by_its_first_free)
{
    tslab::allocator heap;
    std::vector<void*> all;
    on_other_thread([&] { all = take(heap, 64, 64); });
    BOOST_TEST(heap.snapshot().classes[0].full_slabs == 1u);
    heap.free(all[10]);
    BOOST_TEST(heap.snapshot().classes[0].list_move_full_to_partial == 1u);
    BOOST_TEST(heap.snapshot().classes[0].partial_slabs == 1u);
    BOOST_TEST(heap.malloc(64) == all[10]);
    BOOST_TEST(heap.snapshot().classes[0].adoptions == 1u);
    for (void* p : all)
        heap.free(p);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(an_exclusive_thread_cache_acquires_no_slab_of_the_epoch)
{
    tslab::allocator heap;
    std::vector<void*> all;
    on_other_thread([&] { all = take(heap, 10, 64); });
    {
        tslab::epoch_resource shared{heap, {.share_epoch = true}};
        void* const p = shared.allocate(64);
        BOOST_TEST(page_of(p) != page_of(all[0]));
        BOOST_TEST(heap.snapshot().classes[0].adoptions == 0u);
        BOOST_TEST(shared.release() == 1u);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 10u);
    for (void* p : all)
        heap.free(p);
}

BOOST_AUTO_TEST_CASE(a_few_empty_slabs_stay_with_their_threads_thread_cache)
{
    tslab::allocator heap;
    for (int round = 0; round < 100; ++round) {
        auto const e = heap.current_epoch();
        for (void* p : take(heap, 100, 64))
            heap.free(p);
        heap.close(e);
    }
    auto const s = heap.snapshot();
    BOOST_TEST(s.classes[0].slow_path_cache_miss == 2u);   // the first round's; later rounds use the same two pages
    BOOST_TEST(s.classes[0].cache_hits == 0u);   // no cache of empty slabs is asked: the thread cache holds them
    BOOST_TEST(s.classes[0].slow_path_hits == 2u + 99);   // and starts each round with one of them
    BOOST_TEST(s.classes[0].empty_slab_recycled == 200u);
    BOOST_TEST(s.classes[0].empty_slab_overflowed == 0u);
    BOOST_TEST(s.global.slabs_cached == 2u);
    BOOST_TEST(s.global.madvise_calls == 0u);
    on_other_thread([&] {
        heap.free(heap.malloc(64));   // they are the other thread's own
        BOOST_TEST(heap.snapshot().classes[0].slow_path_cache_miss == 3u);
    });
}

BOOST_AUTO_TEST_CASE(objects_passed_among_threads_stay_whole)
{
    support::recorder const seen;
    tslab::allocator heap{{.epoch_count = 16}};
    struct object {
        unsigned char* p;
        std::size_t n;
        unsigned char tag;
    };
    std::mutex lock;
    std::vector<object> pool;
    std::atomic<std::uint64_t> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random{t * 17 + 1};
            for (std::size_t i = 0; i < scaled(50'000); ++i) {
                if (random() % 2 == 0) {
                    object o{nullptr, 1 + random() % 768, static_cast<unsigned char>(random())};
                    o.p = static_cast<unsigned char*>(heap.malloc(o.n));
                    if (o.p == nullptr)
                        continue;   // the epoch closed in between
                    std::memset(o.p, o.tag, o.n);
                    std::lock_guard const guard{lock};
                    pool.push_back(o);
                } else {
                    object o{};
                    {
                        std::lock_guard const guard{lock};
                        if (pool.empty())
                            continue;
                        std::swap(pool[random() % pool.size()], pool.back());
                        o = pool.back();
                        pool.pop_back();
                    }
                    wrong +=
                        static_cast<std::uint64_t>(o.n) - static_cast<std::uint64_t>(std::count(o.p, o.p + o.n, o.tag));
                    heap.free(o.p);
                }
                if (t == 0 && i % 2000 == 0)
                    heap.close(heap.current_epoch());
            }
        });
    for (auto& t : threads)
        t.join();
    BOOST_TEST(wrong == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == pool.size());
    for (auto const& o : pool)
        heap.free(o.p);
    heap.close(heap.current_epoch());
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.slabs_in_use == 0u);
    BOOST_TEST(s.global.closing_epochs == 0u);
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_thread_cache_of_an_epoch_is_not_open_to_the_thread_whose_number_is_its_era)
{
    tslab::allocator heap;
    heap.free(heap.malloc(10));   // from here on the thread has a number
    while (heap.current_epoch().era < tslab::this_thread.id())
        heap.advance();
    auto const e = heap.current_epoch();
    BOOST_REQUIRE(e.era == tslab::this_thread.id());
    heap.free(heap.malloc(10));
    tslab::thread_cache const* const l = heap.state().record()->caches[e.index].load(std::memory_order_relaxed);
    BOOST_REQUIRE(l != nullptr);
    BOOST_TEST(l->key() == e.era);
    BOOST_TEST(l->key() != tslab::this_thread.key);
}
