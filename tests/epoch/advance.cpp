// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// advance: the next epoch opens, the old one refuses allocations, and objects stay in place; also from many threads.
#define BOOST_TEST_MODULE advance
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "recorder.hpp"

using support::scaled;
using support::stats_of;

BOOST_AUTO_TEST_CASE(the_first_epoch_is_active_from_the_start)
{
    tslab::allocator heap;
    BOOST_TEST(heap.current_epoch().era == 1u);
    BOOST_TEST(heap.current_epoch().index == 0u);
    BOOST_TEST(heap.is_active(heap.current_epoch()));
    BOOST_TEST(heap.snapshot().global.active_epochs == 1u);
    BOOST_TEST(heap.snapshot().global.epoch_advances == 0u);
}

BOOST_AUTO_TEST_CASE(an_epoch_advanced_away_from_drains_by_the_frees_and_the_next_operation)
{
    tslab::allocator heap;
    auto const old = heap.current_epoch();
    void* const p = heap.malloc(100);
    heap.advance();
    BOOST_TEST((stats_of(heap, old).lifecycle == tslab::lifecycle::closing));
    heap.free(p);   // a closer has revoked this thread's caches: this operation flushes them
    BOOST_TEST((stats_of(heap, old).lifecycle == tslab::lifecycle::drained));
    BOOST_TEST(heap.snapshot().global.epoch_closes == 1u);
    BOOST_TEST(heap.snapshot().global.epoch_drains == 1u);
}

BOOST_AUTO_TEST_CASE(an_allocation_that_names_no_epoch_is_served_while_others_advance)
{
    for (std::size_t const bytes : {64u, 2000u, 100'000u}) {
        tslab::allocator heap{{.epoch_count = 64}};
        std::atomic<int> running{3};
        std::atomic<std::uint64_t> refused{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back([&] {
                for (std::size_t i = 0; i < scaled(bytes < 3000 ? 200'000 : 5000); ++i) {
                    void* const p = heap.malloc(bytes);
                    if (p == nullptr)
                        ++refused;
                    heap.free(p);
                }
                --running;
            });
        do {   // once at least: the threads may have ended before this one ran again
            auto const e = heap.current_epoch();
            heap.advance();
            heap.close(e);
        } while (running != 0);
        for (auto& t : threads)
            t.join();
        BOOST_TEST(refused == 0u);
        auto const s = heap.snapshot().global;
        BOOST_TEST(s.epoch_advances != 0u);
        BOOST_TEST(s.slow_path_epoch_closed == 0u);   // what is served elsewhere was not refused
        BOOST_TEST(s.live_objects == 0u);
    }
}

BOOST_AUTO_TEST_CASE(an_empty_epoch_drains_at_once)
{
    tslab::allocator heap{{.epoch_count = 2}};
    for (int i = 0; i < 10; ++i)
        heap.advance();
    BOOST_TEST(heap.snapshot().global.epoch_advances == 10u);
    BOOST_TEST(heap.snapshot().global.epoch_drains == 10u);
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 0u);
}

BOOST_AUTO_TEST_CASE(a_ring_slot_whose_eras_are_used_up_is_not_opened_again)
{
    tslab::allocator heap{{.epoch_count = 4}};
    for (int i = 0; i < 4; ++i)
        heap.advance();
    auto const now = heap.current_epoch();
    std::uint32_t const other = (now.index + 1) % 4;
    std::uint32_t const another = (now.index + 2) % 4;
    heap.state().epoch_slabs_at(other).set_era(tslab::allocator::last_era, std::memory_order_relaxed);
    heap.state().epoch_slabs_at(another).set_era(tslab::allocator::last_era - 1, std::memory_order_relaxed);
    bool seen_last = false;
    for (int i = 0; i < 100; ++i) {
        tslab::epoch_scope const scope{heap, "scope"};
        BOOST_REQUIRE(scope.epoch().index != other);
        BOOST_REQUIRE(scope.epoch().era <= tslab::allocator::last_era);
        if (scope.epoch().index == another) {
            BOOST_REQUIRE(!seen_last);
            seen_last = true;
            BOOST_TEST(scope.epoch().era == tslab::allocator::last_era);
        }
        scope.resource()->deallocate(scope.resource()->allocate(64), 64);
    }
}

BOOST_AUTO_TEST_CASE(a_stale_or_impossible_epoch_is_never_served)
{
    tslab::allocator heap{{.epoch_count = 4}};
    auto const old = heap.current_epoch();
    heap.free(heap.malloc(10));
    for (int i = 0; i < 4; ++i) {
        auto const e = heap.current_epoch();
        heap.advance();
        heap.close(e);
    }
    BOOST_TEST(heap.current_epoch().index == old.index);   // the same slot with a new era
    for (tslab::epoch_id e : {old, tslab::epoch_id{old.index, 0}, tslab::epoch_id{old.index, ~std::uint64_t{0}},
                              tslab::epoch_id{old.index, heap.current_epoch().era + 1}, tslab::epoch_id{4, 1},
                              tslab::epoch_id{3, 0}, tslab::epoch_id{~0u, 1}, tslab::epoch_id{65'536, 5}}) {
        BOOST_TEST(heap.malloc(10, e) == nullptr);
        BOOST_TEST(heap.malloc(70'000, e) == nullptr);
        tslab::handle h;
        BOOST_TEST(heap.allocate(10, e, h) == nullptr);
        BOOST_TEST(!heap.is_active(e));
    }
    BOOST_TEST(heap.snapshot().global.slow_path_epoch_closed == 24u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
    void* const p = heap.malloc(10, heap.current_epoch());
    BOOST_TEST(p != nullptr);
    heap.free(p);
}

BOOST_AUTO_TEST_CASE(concurrent_advances_open_distinct_eras)
{
    tslab::allocator heap{{.epoch_count = 1024}};
    std::size_t const rounds = scaled(2000);
    std::vector<std::thread> threads;
    std::atomic<std::uint64_t> last{0};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (std::size_t i = 0; i < rounds; ++i) {
                auto const e = heap.advance();
                std::uint64_t seen = last.load();
                while (seen < e.era && !last.compare_exchange_weak(seen, e.era)) {
                }
                heap.free(heap.malloc(20, e));
            }
        });
    for (auto& t : threads)
        t.join();
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.epoch_advances == 4 * rounds);
    BOOST_TEST(last == 4 * rounds + 1);
    BOOST_TEST(heap.current_epoch().era == 4 * rounds + 1);
    BOOST_TEST(s.global.active_epochs == 1u);
}
