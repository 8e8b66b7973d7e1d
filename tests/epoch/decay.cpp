// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Unused memory is purged, by time and by work; used memory stays; and what idle threads retain can be reached.
#define BOOST_TEST_MODULE decay
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <latch>
#include <stdexcept>
#include <thread>
#include <vector>

#include "recorder.hpp"

import tslab.internal;

using namespace std::chrono_literals;

namespace {

constexpr auto never = std::chrono::hours{24};   // longer than any test

/// Allocates `total` bytes of `size` in the current epoch, writes to them, and frees them.
void use(tslab::allocator& heap, std::size_t total, std::size_t size)
{
    std::vector<void*> all;
    for (std::size_t bytes = 0; bytes < total; bytes += size)
        all.push_back(std::memset(heap.malloc(size), 1, size));
    for (void* p : all)
        heap.free(p);
}

/// Works a little until `undone()` is false, 20 seconds at most. True if it ended in time.
bool work_until(tslab::allocator& heap, std::function<bool()> const& done)
{
    auto const end = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < end) {
        for (int i = 0; i < 4; ++i) {
            tslab::epoch_scope const scope{heap, "little"};
            scope.resource()->deallocate(scope.resource()->allocate(100), 100);
        }
        if (done())
            return true;
        std::this_thread::sleep_for(1ms);
    }
    return false;
}

/// Resident bytes of pages without a live object, by the heap's own figures.
std::uint64_t retained_bytes(tslab::allocator& heap)
{
    tslab::snapshot const s = heap.snapshot({.residency = false});
    std::uint64_t pages = s.global.free_resident_pages;
    for (tslab::class_stats const& c : s.classes)
        pages += c.cached_slabs * c.pages_per_slab;
    return pages * tslab::page_bytes;
}

/// Threads that each do one task and are then idle until this object ends.
class idle_threads {
public:
    template <class F> idle_threads(int n, F task) : done_{n}
    {
        for (int i = 0; i < n; ++i)
            threads_.emplace_back([this, task] {
                task();
                done_.count_down();
                end_.wait();
            });
        done_.wait();
    }
    ~idle_threads()
    {
        end_.count_down();
        for (std::thread& t : threads_)
            t.join();
    }
    idle_threads(idle_threads const&) = delete;
    idle_threads& operator=(idle_threads const&) = delete;

private:
    std::latch done_;
    std::latch end_{1};
    std::vector<std::thread> threads_;
};

void use_every_class(tslab::allocator& heap)
{
    for (std::size_t const size : tslab::class_sizes) {
        {
            tslab::epoch_scope const scope{heap, "task"};
            std::vector<void*> all;
            for (std::size_t bytes = 0; bytes < (std::size_t{256} << 10); bytes += size)
                all.push_back(std::memset(scope.resource()->allocate(size), 1, size));
            for (void* p : all)
                scope.resource()->deallocate(p, size);
        }
        use(heap, std::size_t{256} << 10, size);
    }
}

}

BOOST_AUTO_TEST_CASE(one_long_phase_gives_back_what_was_freed_in_it_by_little_work)
{
    tslab::allocator heap{{.name = "long", .decay = 20ms}};
    for (std::size_t const size : {std::size_t{100}, std::size_t{3000}, std::size_t{40'000}, std::size_t{1} << 20}) {
        use(heap, support::scaled(std::size_t{32} << 20), size);
        BOOST_TEST(work_until(heap, [&] { return retained_bytes(heap) < std::size_t{1} << 20; }),
                   "of " << size << " bytes");
    }
    BOOST_TEST(heap.snapshot().global.madvise_bytes > support::scaled(std::uint64_t{100} << 20));
}

BOOST_AUTO_TEST_CASE(much_work_without_some_pages_gives_them_back_however_short_it_is)
{
    tslab::allocator heap{{.name = "work", .decay = never}};
    tslab::epoch_resource all{heap, {.label = "program"}};
    void* const big = std::memset(all.allocate(std::size_t{64} << 20), 1, std::size_t{64} << 20);
    all.deallocate(big, std::size_t{64} << 20);
    BOOST_TEST(heap.snapshot().global.madvise_bytes == 0u);
    for (int i = 0; i < 1'500'000; ++i)
        all.deallocate(all.allocate(200), 200);
    BOOST_TEST(heap.snapshot().global.madvise_bytes >= std::uint64_t{60} << 20);
}

BOOST_AUTO_TEST_CASE(what_is_used_again_and_again_is_not_given_back)
{
    tslab::allocator heap{{.name = "steady", .decay = never}};
    for (int i = 0; i < 20; ++i) {
        tslab::epoch_scope const scope{heap, "burst"};
        std::vector<void*> many;
        for (int k = 0; k < 40'000; ++k)
            many.push_back(scope.resource()->allocate(128));
        for (void* p : many)
            scope.resource()->deallocate(p, 128);
    }
    tslab::snapshot const s = heap.snapshot();
    BOOST_TEST(s.global.madvise_calls == 0u);
    BOOST_TEST(s.classes[2].new_slab_count <= 40'000u / 32 + 2);   // the first time, and no more
}

BOOST_AUTO_TEST_CASE(a_thread_keeps_no_more_than_it_may)
{
    tslab::allocator heap{{.name = "bounded", .slab_cache = 32, .decay = never, .thread_cache = std::size_t{1} << 20}};
    use(heap, std::size_t{16} << 20, 128);
    tslab::snapshot const s = heap.snapshot();
    BOOST_TEST(s.classes[2].cached_slabs * tslab::page_bytes <= (std::size_t{1} << 20) + 32 * tslab::page_bytes);
    BOOST_TEST(s.classes[2].empty_slab_overflowed > 0u);
}

BOOST_AUTO_TEST_CASE(trim_takes_what_idle_threads_retain)
{
    tslab::allocator heap{{.name = "idle", .decay = never}};
    idle_threads const threads{4, [&] { use_every_class(heap); }};
    BOOST_TEST(retained_bytes(heap) > std::size_t{4} << 20);
    heap.close(heap.current_epoch());
    heap.trim();
    tslab::snapshot const s = heap.snapshot();
    BOOST_TEST(s.global.slabs_cached == 0u);
    BOOST_TEST(s.global.free_resident_pages == 0u);
}

BOOST_AUTO_TEST_CASE(an_explicit_close_takes_what_idle_threads_retain)
{
    tslab::allocator heap{{.name = "idle", .slab_cache = 16, .decay = never}};
    idle_threads const threads{4, [&] { use_every_class(heap); }};
    heap.close(heap.current_epoch());
    // What the heap's caches hold, and the closing thread, which flushed the others' caches.
    std::uint64_t most = 0;
    for (tslab::class_stats const& c : heap.snapshot().classes)
        most += (c.cache_capacity * c.pages_per_slab + tslab::thread_record::batch_pages) * tslab::page_bytes;
    BOOST_TEST(retained_bytes(heap) <= most);
}

BOOST_AUTO_TEST_CASE(what_idle_threads_keep_decays_by_the_work_of_others)
{
    tslab::allocator heap{{.name = "idle", .decay = 20ms}};
    idle_threads const threads{4, [&] { use_every_class(heap); }};
    BOOST_TEST(work_until(heap, [&] { return retained_bytes(heap) < std::size_t{1} << 20; }));
}

// The epoch stays open, and the owner of the slabs does nothing more: nobody else looks for what is freed in them.
BOOST_AUTO_TEST_CASE(what_others_free_in_the_slabs_of_an_idle_thread_decays)
{
    for (bool const by_handle : {false, true}) {
        tslab::allocator heap{{.decay = 20ms}};
        std::vector<void*> objects;
        std::vector<tslab::handle> handles;
        constexpr std::size_t count = 100'000;
        idle_threads const owner{1, [&] {
                                     for (std::size_t i = 0; i < count; ++i) {
                                         tslab::handle h;
                                         objects.push_back(by_handle ? heap.allocate(200, heap.current_epoch(), h)
                                                                     : heap.malloc(200));
                                         std::memset(objects.back(), 1, 200);
                                         handles.push_back(h);
                                     }
                                 }};
        for (std::size_t i = 0; i < count; ++i)
            if (by_handle)
                BOOST_REQUIRE(heap.free(handles[i]) == tslab::free_result::ok);
            else
                heap.free(objects[i]);
        BOOST_TEST(work_until(heap, [&] {
            tslab::snapshot const s = heap.snapshot();
            return s.waterfall->cached_bytes + s.waterfall->free_bytes + s.waterfall->empty_slot_bytes <
                   count * 200 / 10;
        }));
        BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    }
}

BOOST_AUTO_TEST_CASE(an_idle_thread_does_not_make_an_allocation_fail)
{
    tslab::allocator heap{{.name = "bounded", .reserve_bytes = std::size_t{64} << 20, .decay = never}};
    idle_threads const threads{1, [&] {
                                   use(heap, std::size_t{40} << 20, 128);
                                   tslab::epoch_scope const scope{heap, "task"};
                                   scope.resource()->deallocate(scope.resource()->allocate(100), 100);
                               }};
    void* const p = heap.malloc(std::size_t{48} << 20);
    BOOST_TEST(p != nullptr);
    heap.free(p);
    std::vector<void*> all;
    for (std::size_t bytes = 0; bytes < (std::size_t{48} << 20); bytes += 4096)
        all.push_back(heap.malloc(4096));
    for (void* q : all) {
        BOOST_TEST_REQUIRE(q != nullptr);
        heap.free(q);
    }
}

// Threads retain and take slabs all the time, while another one trims, closes and runs out of memory.
BOOST_AUTO_TEST_CASE(busy_threads_are_reached_without_harm)
{
    tslab::allocator heap{{.name = "reached", .decay = 1ms}};
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::size_t n = static_cast<std::size_t>(t);
            while (!stop.load()) {
                tslab::epoch_scope const scope{heap, "busy"};
                std::vector<std::pair<unsigned char*, std::size_t>> all;
                for (int i = 0; i < 300; ++i) {
                    std::size_t const size = 16 + (n = n * 7 + 13) % 3000;
                    auto* const p = static_cast<unsigned char*>(scope.resource()->allocate(size));
                    p[0] = p[size - 1] = static_cast<unsigned char>(t);
                    all.emplace_back(p, size);
                }
                for (auto const& [p, size] : all) {
                    if (p[0] != static_cast<unsigned char>(t) || p[size - 1] != static_cast<unsigned char>(t))
                        std::abort();
                    scope.resource()->deallocate(p, size);
                }
            }
        });
    auto const end = std::chrono::steady_clock::now() + 1s;
    while (std::chrono::steady_clock::now() < end) {
        heap.trim();
        heap.close(heap.current_epoch());
        std::this_thread::sleep_for(1ms);
    }
    stop.store(true);
    for (std::thread& t : threads)
        t.join();
    heap.trim();
    tslab::snapshot const s = heap.snapshot();
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.misuses == 0u);
    BOOST_TEST(s.global.slabs_cached == 0u);
}

BOOST_AUTO_TEST_CASE(a_decay_that_makes_no_sense_is_refused)
{
    BOOST_CHECK_THROW((tslab::allocator{{.decay = -1ms}}), std::invalid_argument);
    BOOST_CHECK_THROW((tslab::allocator{{.decay = std::chrono::hours{25}}}), std::invalid_argument);
}
