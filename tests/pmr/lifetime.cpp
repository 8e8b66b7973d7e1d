// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The lifetimes of an epoch_resource, its epoch, its domain and its thread: each may end before the others.
#define BOOST_TEST_MODULE lifetime
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "recorder.hpp"

using support::on_other_thread;
using support::scaled;
using support::stats_of;
using tslab::epoch_resource;

BOOST_AUTO_TEST_CASE(a_sharing_resource_is_refused_once_its_epoch_is_advanced_away)
{
    tslab::allocator heap;
    epoch_resource r{heap, {.share_epoch = true}};
    void* const p = r.allocate(10);
    heap.advance();
    BOOST_CHECK_THROW((void)r.allocate(10), tslab::epoch_closed);
    r.deallocate(p, 10);
    BOOST_TEST(heap.snapshot().global.slow_path_epoch_closed == 1u);
}

BOOST_AUTO_TEST_CASE(epoch_closed_is_thrown_on_the_way_of_every_size_and_thread_and_counted)
{
    tslab::allocator heap;
    epoch_resource r{heap};
    void* const p = r.allocate(100);
    heap.close(r.epoch());
    std::uint64_t refused = 0;
    for (std::size_t n : {0u, 100u, 768u, 769u, 100'000u})
        for (std::size_t alignment : {1u, 512u, 8192u}) {
            BOOST_CHECK_THROW((void)r.allocate(n, alignment), tslab::epoch_closed);
            on_other_thread([&] { BOOST_CHECK_THROW((void)r.allocate(n, alignment), tslab::epoch_closed); });
            refused += 2;
        }
    BOOST_TEST(heap.snapshot().global.slow_path_epoch_closed == refused);
    BOOST_TEST(std::string{tslab::epoch_closed{}.what()} == "tslab: allocation in a closed epoch");
    r.deallocate(p, 100);
    std::pmr::vector<int> v{&r};
    BOOST_CHECK_THROW(v.push_back(1), std::bad_alloc);
}

BOOST_AUTO_TEST_CASE(a_resource_whose_epoch_stays_open_by_option)
{
    tslab::allocator heap;
    tslab::epoch_id e{};
    {
        epoch_resource r{heap, {.label = "stays", .auto_close = false}};
        e = r.epoch();
    }
    BOOST_TEST(heap.is_active(e));
    BOOST_TEST(stats_of(heap, e).refcount == 0u);
    void* const p = heap.malloc(10, e);
    BOOST_TEST(p != nullptr);
    heap.free(p);
    BOOST_TEST(heap.close(e).drained);
}

BOOST_AUTO_TEST_CASE(a_domain_of_its_epoch_keeps_the_epoch_open_after_the_resource)
{
    tslab::allocator heap;
    std::optional<epoch_resource> r;
    r.emplace(heap);
    tslab::epoch_domain d{heap, r->epoch()};
    d.enter();
    r.reset();
    BOOST_TEST(heap.is_active(d.epoch()));
    d.exit();
    BOOST_TEST(!heap.is_active(d.epoch()));
}

BOOST_AUTO_TEST_CASE(resources_may_end_in_any_order_and_on_any_thread)
{
    tslab::allocator heap;
    std::mt19937 random{99};
    std::vector<std::unique_ptr<epoch_resource>> all;
    for (int i = 0; i < 100; ++i) {
        all.push_back(std::make_unique<epoch_resource>(heap));
        all.back()->deallocate(all.back()->allocate(64), 64);
    }
    std::shuffle(all.begin(), all.end(), random);
    support::worker other;
    while (!all.empty()) {
        if (random() % 2 == 0)
            other([&] { all.pop_back(); });
        else
            all.pop_back();
    }
    BOOST_TEST(heap.snapshot().global.active_epochs == 1u);
    BOOST_TEST(heap.snapshot().global.closing_epochs == 0u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(a_resource_outlives_the_thread_that_made_it)
{
    tslab::allocator heap;
    std::unique_ptr<epoch_resource> r;
    void* p = nullptr;
    on_other_thread([&] {
        r = std::make_unique<epoch_resource>(heap, tslab::resource_options{.label = "orphan"});
        p = r->allocate(100);
    });
    r->deallocate(p, 100);
    void* const q = r->allocate(200);
    on_other_thread([&] { r->deallocate(q, 200); });
    BOOST_TEST(r->release() == 0u);
    auto const e = r->epoch();
    r.reset();
    BOOST_TEST(!heap.is_active(e));
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(ten_thousand_resources_are_alive_at_once)
{
    std::size_t const n = scaled(10'000);
    tslab::allocator heap{{.epoch_count = 16'384}};
    std::vector<std::unique_ptr<epoch_resource>> all;
    std::vector<void*> objects;
    for (std::size_t i = 0; i < n; ++i) {
        all.push_back(std::make_unique<epoch_resource>(heap, tslab::resource_options{.label = "one of many"}));
        objects.push_back(std::memset(all.back()->allocate(100), static_cast<int>(i & 0xff), 100));
    }
    BOOST_TEST(heap.snapshot().global.active_epochs == n + 1);
    BOOST_TEST(heap.snapshot().global.ring_exhausted == 0u);
    for (std::size_t i = 0; i < n; ++i) {
        auto const* const p = static_cast<unsigned char const*>(objects[i]);
        BOOST_REQUIRE(std::count(p, p + 100, i & 0xff) == 100);
        all[i]->deallocate(objects[i], 100);
        all[i].reset();
    }
    BOOST_TEST(heap.snapshot().global.active_epochs == 1u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}
