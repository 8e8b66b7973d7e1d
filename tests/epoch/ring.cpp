// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The ring: its size, wrapping around, occupied slots, and thousands of epochs at once.
#define BOOST_TEST_MODULE ring
#include <boost/test/unit_test.hpp>

#include <memory>
#include <set>
#include <stdexcept>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

using support::stats_of;

BOOST_AUTO_TEST_CASE(a_build_that_cannot_check_says_so)
{
    if constexpr (!tslab::with_checks)
        for (tslab::check_mode const mode : {tslab::check_mode::canaries, tslab::check_mode::forward})
            BOOST_CHECK_THROW(tslab::allocator({.checks = mode}), std::invalid_argument);
    BOOST_CHECK_NO_THROW(tslab::allocator({.checks = tslab::check_mode::off}));
}

BOOST_AUTO_TEST_CASE(a_ring_has_from_2_to_65536_slots)
{
    for (std::uint32_t n : {0u, 1u, 65'537u, ~0u})
        BOOST_CHECK_THROW(tslab::allocator({.epoch_count = n}), std::invalid_argument);
    for (std::uint32_t n : {2u, 3u, 63u, 64u, 65u, 256u, 65'536u}) {
        tslab::allocator heap{{.epoch_count = n}};
        BOOST_TEST(heap.epoch_count() == n);
        BOOST_TEST(heap.snapshot().epoch_count == n);
        heap.free(heap.malloc(10));
        BOOST_TEST(heap.is_active(heap.current_epoch()));
    }
}

BOOST_AUTO_TEST_CASE(every_slot_of_a_ring_is_used_in_turn)
{
    for (std::uint32_t n : {2u, 3u, 64u, 65u, 256u}) {
        tslab::allocator heap{{.epoch_count = n}};
        std::uint64_t era = heap.current_epoch().era;
        for (std::uint32_t i = 0; i < 3 * n; ++i) {
            BOOST_REQUIRE(heap.current_epoch().index == i % n);
            heap.free(heap.malloc(50));
            auto const old = heap.current_epoch();
            auto const now = heap.advance();
            BOOST_REQUIRE(now.era == ++era);
            heap.close(old);
        }
        auto const s = heap.snapshot();
        BOOST_TEST(s.epochs.size() == n);
        BOOST_TEST(s.global.ring_exhausted == 0u);
        BOOST_TEST(s.global.epoch_opens == 3 * n + 1);
        BOOST_TEST(s.global.epoch_closes == 3 * n);
        BOOST_TEST(s.global.epoch_drains == 3 * n);
    }
}

BOOST_AUTO_TEST_CASE(a_ring_of_65536_slots_fills_up_and_wraps)
{
    tslab::allocator heap{{.epoch_count = 65'536}};
    std::vector<void*> live;
    std::set<std::uint32_t> indices;
    for (std::uint32_t i = 0; i < 65'535; ++i) {
        if (i % 64 == 0 || i > 65'500)
            live.push_back(heap.malloc(64));
        indices.insert(heap.current_epoch().index);
        heap.advance();
    }
    indices.insert(heap.current_epoch().index);
    BOOST_TEST(indices.size() == 65'536u);
    BOOST_TEST(heap.current_epoch().index == 65'535u);
    void* const p = heap.malloc(64);
    heap.advance();
    BOOST_TEST(heap.current_epoch().index == 1u);   // slot 0 is occupied
    BOOST_TEST(heap.current_epoch().era == 65'537u);
    BOOST_TEST(stats_of(heap, {65'535, 65'536}).live_objects == 1u);
    heap.free(p);
    for (void* q : live)
        heap.free(q);
    heap.close({65'535, 65'536});
    BOOST_TEST(heap.snapshot().global.closing_epochs == 0u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
}

BOOST_AUTO_TEST_CASE(wrapping_skips_slots_that_hold_live_objects)
{
    tslab::allocator heap{{.epoch_count = 8}};
    std::vector<void*> live;
    std::set<std::uint32_t> occupied;
    for (int i = 0; i < 8; ++i) {
        if (i % 2 == 1) {
            live.push_back(heap.malloc(100));
            occupied.insert(heap.current_epoch().index);
        }
        auto const old = heap.current_epoch();
        heap.advance();
        heap.close(old);
    }
    for (int i = 0; i < 50; ++i) {
        BOOST_TEST(!occupied.contains(heap.current_epoch().index));
        heap.free(heap.malloc(100));
        auto const old = heap.current_epoch();
        heap.advance();
        heap.close(old);
    }
    BOOST_TEST(heap.snapshot().global.closing_epochs == 4u);
    heap.free(live[2]);   // of slot 5
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 10; ++i) {
        seen.insert(heap.advance().index);
        for (auto const& e : heap.snapshot().epochs)
            if (e.index != heap.current_epoch().index)
                heap.close({e.index, e.era});
    }
    BOOST_TEST(seen.contains(5u));
    BOOST_TEST(!seen.contains(3u));
    for (std::size_t i : {0u, 1u, 3u})
        heap.free(live[i]);
    BOOST_TEST(heap.snapshot().global.closing_epochs == 0u);
}

BOOST_AUTO_TEST_CASE(a_slot_with_a_domain_inside_is_not_reused)
{
    tslab::allocator heap{{.epoch_count = 3}};
    tslab::epoch_domain d{heap, {.auto_close = false}};
    d.enter();
    heap.close(d.epoch());
    for (int i = 0; i < 10; ++i) {
        auto const old = heap.current_epoch();
        BOOST_TEST(heap.advance().index != d.epoch().index);
        heap.close(old);
    }
    BOOST_TEST((stats_of(heap, d.epoch()).lifecycle == tslab::lifecycle::closing));
    d.exit();
    BOOST_TEST((stats_of(heap, d.epoch()).lifecycle == tslab::lifecycle::drained));
}

BOOST_AUTO_TEST_CASE(an_exhausted_ring_shares_the_current_epoch_and_counts)
{
    tslab::allocator heap{{.epoch_count = 4}};
    tslab::epoch_resource a{heap}, b{heap}, c{heap};
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 0u);
    tslab::epoch_id const current = heap.current_epoch();
    {
        tslab::epoch_resource d{heap, {.label = "late"}};
        BOOST_TEST((d.epoch() == current));
        BOOST_TEST(d.domain().shares_epoch());
        BOOST_TEST(!d.domain().closes_epoch());
        BOOST_TEST(stats_of(heap, current).refcount == 1u);
        void* const p = d.allocate(10);
        BOOST_TEST(stats_of(heap, current).live_objects == 1u);
        d.deallocate(p, 10);
        tslab::epoch_domain e{heap};
        BOOST_TEST((e.epoch() == current));
        e.enter();
        e.exit();
    }
    BOOST_TEST(heap.is_active(current));
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 2u);
    BOOST_TEST((heap.advance() == current));
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 3u);
    BOOST_TEST(heap.snapshot().global.epoch_advances == 0u);
    tslab::close_report const r = heap.close(current);   // it must stay ACTIVE: there is no other
    BOOST_TEST(r.found);
    BOOST_TEST(!r.closed);
    BOOST_TEST(heap.is_active(current));
    void* const p = heap.malloc(0);
    BOOST_TEST(p != nullptr);
    heap.free(p);
}

BOOST_AUTO_TEST_CASE(without_memory_for_the_record_of_another_epoch_the_current_one_is_shared_and_stays)
{
    support::os_hook hook;
    tslab::allocator heap{{.epoch_count = 4096, .publish = false}};
    auto const current = heap.current_epoch();
    hook.fail_commit = true;
    std::vector<std::unique_ptr<tslab::epoch_domain>> all;
    do
        all.push_back(std::make_unique<tslab::epoch_domain>(heap));
    while (!all.back()->shares_epoch() && all.size() < 4095);
    BOOST_TEST(all.back()->shares_epoch());   // slots are free: memory is out
    BOOST_TEST(all.size() < 4095u);
    BOOST_TEST((all.back()->epoch() == current));
    BOOST_TEST((heap.advance() == current));
    BOOST_TEST(heap.is_active(current));
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.ring_exhausted == 2u);
    BOOST_TEST(s.global.epoch_advances == 0u);
    BOOST_TEST(s.global.epoch_opens == all.size());   // the first epoch is among them, the shared one is not

    hook.fail_commit = false;
    tslab::epoch_domain const own{heap};   // in the slot that was refused
    BOOST_TEST(!own.shares_epoch());
    BOOST_TEST((heap.advance() != current));
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 2u);
}

BOOST_AUTO_TEST_CASE(thousands_of_epochs_are_alive_at_once_and_each_has_its_own_pages)
{
    constexpr std::size_t n = 5000;
    tslab::allocator heap{{.epoch_count = 8192}};
    std::vector<std::unique_ptr<tslab::epoch_resource>> all;
    std::set<std::pair<std::uint32_t, std::uint64_t>> ids;
    std::set<std::uintptr_t> pages;
    std::vector<void*> objects;
    for (std::size_t i = 0; i < n; ++i) {
        all.push_back(std::make_unique<tslab::epoch_resource>(heap, tslab::resource_options{.label = "many"}));
        ids.emplace(all.back()->epoch().index, all.back()->epoch().era);
        objects.push_back(all.back()->allocate(64));
        pages.insert(reinterpret_cast<std::uintptr_t>(objects.back()) / tslab::page_bytes);
    }
    BOOST_TEST(ids.size() == n);
    BOOST_TEST(pages.size() == n);
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.active_epochs == n + 1);
    BOOST_TEST(s.global.live_objects == n);
    BOOST_TEST(s.global.slabs_in_use == n);
    for (auto const& e : s.epochs)
        if (e.index != heap.current_epoch().index)
            BOOST_REQUIRE(e.live_objects == 1u);
    for (std::size_t i = 0; i < n; ++i)
        all[i]->deallocate(objects[i], 64);
    all.clear();
    BOOST_TEST(heap.snapshot().global.active_epochs == 1u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
}
