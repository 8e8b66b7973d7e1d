// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a phase costs: counted once and exactly, when its epoch stops serving allocations. Any thread may end it.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <source_location>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "phase_costs.hpp"

using phase_costs::check_whole;
using phase_costs::cost_of;
using phase_costs::slot;
using tslab::phase_cost_stats;

BOOST_AUTO_TEST_CASE(an_empty_scope_is_a_phase_without_cost)
{
    tslab::allocator heap;
    BOOST_TEST(heap.snapshot().phase_costs.empty());
    for (int i = 0; i < 5; ++i)
        tslab::epoch_scope const scope{heap, "empty"};
    phase_cost_stats const c = cost_of(heap, "empty");
    BOOST_TEST(c.phases == 5u);
    BOOST_TEST(c.empty_phases == 5u);
    BOOST_TEST(c.objects_sum == 0u);
    BOOST_TEST(c.bytes_sum == 0u);
    BOOST_TEST(c.peak_bytes_max == 0u);
    BOOST_TEST(c.largest_timestamp_ns == 0u);
    BOOST_TEST(c.wall_ns_sum > 0u);
    BOOST_TEST(c.wall_ns_max < 1'000'000'000u);
    BOOST_TEST(c.label_id == 1u);
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(objects_and_bytes_are_those_that_were_allocated)
{
    tslab::allocator heap;
    std::mt19937 random{11};
    std::vector<std::uint64_t> objects;
    std::vector<std::uint64_t> bytes;
    for (int phase = 0; phase < 200; ++phase) {
        tslab::epoch_scope scope{heap, "request"};
        std::uint64_t sum = 0;
        std::size_t const n = random() % 50;
        std::vector<std::pair<void*, std::size_t>> live;
        for (std::size_t i = 0; i < n; ++i) {
            std::size_t const size = 1 + random() % (i == 7 ? 200'000 : 3'000);
            live.emplace_back(scope.resource()->allocate(size), size);
            sum += size > tslab::max_class_size ? size : slot(size);
            if (random() % 2 == 0) {
                scope.resource()->deallocate(live.back().first, live.back().second);
                live.pop_back();
            }
        }
        for (auto const& [p, size] : live)
            scope.resource()->deallocate(p, size);
        objects.push_back(n);
        bytes.push_back(sum);
    }
    phase_cost_stats const c = cost_of(heap, "request");
    BOOST_TEST(c.phases == 200u);
    BOOST_TEST(c.objects_sum == std::accumulate(objects.begin(), objects.end(), std::uint64_t{0}));
    BOOST_TEST(c.bytes_sum == std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0}));
    BOOST_TEST(c.objects_max == std::ranges::max(objects));
    BOOST_TEST(c.bytes_max == std::ranges::max(bytes));
    BOOST_TEST(c.empty_phases == static_cast<std::uint64_t>(std::ranges::count(objects, 0u)));
    std::ranges::sort(bytes);
    for (auto const& [q, at] : {std::pair{0.5, 99}, std::pair{0.9, 179}, std::pair{0.99, 197}}) {
        std::uint64_t const said = c.bytes.quantile(q, c.bytes_max);
        BOOST_TEST(said >= bytes[static_cast<std::size_t>(at)]);
        BOOST_TEST(static_cast<double>(said) <= 1.25 * static_cast<double>(bytes[static_cast<std::size_t>(at)]) + 1);
    }
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(the_peak_is_exact_where_nothing_is_freed_before_the_last_allocation)
{
    tslab::allocator heap;
    for (std::size_t const n : {1u, 10u, 500u, 5000u}) {
        tslab::epoch_scope scope{heap, "all live " + std::to_string(n)};
        for (std::size_t i = 0; i < n; ++i)
            (void)scope.resource()->allocate(128);
        (void)scope.resource()->allocate(100'000);
        scope.resource()->release();
    }
    for (std::size_t const n : {1u, 10u, 500u, 5000u}) {
        phase_cost_stats const c = cost_of(heap, "all live " + std::to_string(n));
        BOOST_TEST(c.bytes_max == n * 128 + 100'000);
        BOOST_TEST(c.peak_bytes_max == n * 128 + 100'000);
    }
}

BOOST_AUTO_TEST_CASE(the_peak_is_bounded_by_the_slabs_held_where_slots_are_used_again)
{
    tslab::allocator heap;
    for (int round = 0; round < 3; ++round) {
        tslab::epoch_scope scope{heap, "one at a time"};
        for (int i = 0; i < 10'000; ++i)
            scope.resource()->deallocate(scope.resource()->allocate(512), 512);
        for (int i = 0; i < 20; ++i)   // one large allocation at a time too
            scope.resource()->deallocate(scope.resource()->allocate(300'000), 300'000);
    }
    phase_cost_stats const c = cost_of(heap, "one at a time");
    BOOST_TEST(c.bytes_sum == 3 * (10'000 * 512ull + 20 * 300'000ull));
    std::uint64_t const slab = std::uint64_t{tslab::bins[tslab::class_of(512)].pages} * tslab::page_bytes;
    std::uint64_t const large = (300'000 + tslab::page_bytes - 1) / tslab::page_bytes * tslab::page_bytes;
    BOOST_TEST(c.peak_bytes_max >= 300'000u + 512u);
    BOOST_TEST(c.peak_bytes_max <= slab + large);
}

BOOST_AUTO_TEST_CASE(slabs_that_a_scope_carries_over_and_does_not_use_are_in_no_peak)
{
    tslab::allocator heap;
    {
        tslab::epoch_scope scope{heap, "many"};
        std::vector<void*> all;
        for (int i = 0; i < 200; ++i)
            all.push_back(scope.resource()->allocate(256));
        for (void* const p : all)
            scope.resource()->deallocate(p, 256);
    }
    for (int i = 0; i < 3; ++i) {
        tslab::epoch_scope scope{heap, "few"};
        for (int n = 0; n < 5'000; ++n)
            scope.resource()->deallocate(scope.resource()->allocate(64), 64);
    }
    BOOST_TEST(cost_of(heap, "few").peak_bytes_max ==
               std::uint64_t{tslab::bins[tslab::class_of(64)].pages} * tslab::page_bytes);
}

BOOST_AUTO_TEST_CASE(the_largest_phase_has_its_moment_and_its_place)
{
    tslab::allocator heap;
    std::uint32_t line = 0;
    std::uint64_t before = 0;
    std::uint64_t after = 0;
    for (int i = 0; i < 20; ++i) {
        if (i == 13) {
            before = tslab::wall_clock_ns();
            tslab::epoch_scope scope{heap, "request"};
            line = std::source_location::current().line() - 1;
            (void)scope.resource()->allocate(50'000);
            scope.resource()->release();
        } else {
            tslab::epoch_scope scope{heap, "request"};
            scope.resource()->deallocate(scope.resource()->allocate(1'000), 1'000);
        }
        if (i == 13)
            after = tslab::wall_clock_ns();
    }
    phase_cost_stats const c = cost_of(heap, "request");
    BOOST_TEST(c.bytes_max == slot(50'000));
    BOOST_TEST(c.largest_at.line == line);
    BOOST_TEST(c.largest_at.file.ends_with("phase_costs.cpp"));
    constexpr std::uint64_t tick = 20'000'000;
    BOOST_TEST(c.largest_timestamp_ns + tick >= before);
    BOOST_TEST(c.largest_timestamp_ns <= after + tick);
}

BOOST_AUTO_TEST_CASE(time_is_from_the_begin_of_the_phase_to_its_end)
{
    tslab::allocator heap;
    std::uint64_t const before = tslab::now_ns();
    {
        tslab::epoch_scope const scope{heap, "slow"};
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    std::uint64_t const took = tslab::now_ns() - before;
    phase_cost_stats const c = cost_of(heap, "slow");
    BOOST_TEST(c.wall_ns_max >= 19'900'000u);
    BOOST_TEST(c.wall_ns_max <= took + took / 50);
    BOOST_TEST(c.wall_ns_sum == c.wall_ns_max);
}

BOOST_AUTO_TEST_CASE(nested_scopes_are_phases_of_their_own)
{
    tslab::allocator heap;
    {
        tslab::epoch_scope outer{heap, "outer"};
        (void)outer.resource()->allocate(64);
        {
            tslab::epoch_scope inner{heap, "inner"};
            (void)inner.resource()->allocate(192);
            (void)outer.resource()->allocate(64);
            {
                tslab::epoch_scope const again{*outer.resource()};
                (void)again.resource()->allocate(64);
            }
            BOOST_TEST(cost_of(heap, "outer").phases == 0u);
            inner.resource()->release();
        }
        outer.resource()->release();
    }
    BOOST_TEST(cost_of(heap, "inner").bytes_sum == 192u);
    BOOST_TEST(cost_of(heap, "outer").bytes_sum == 3 * 64u);
    BOOST_TEST(cost_of(heap, "outer").phases == 1u);
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(a_scope_that_an_exception_ends_is_counted)
{
    tslab::allocator heap;
    for (int i = 0; i < 3; ++i)
        try {
            tslab::epoch_scope scope{heap, "throws"};
            scope.resource()->deallocate(scope.resource()->allocate(640), 640);
            throw std::runtime_error{"ends it"};
        } catch (std::runtime_error const&) {
        }
    BOOST_TEST(cost_of(heap, "throws").phases == 3u);
    BOOST_TEST(cost_of(heap, "throws").bytes_sum == 3 * slot(640));
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(what_a_release_gave_back_was_allocated)
{
    tslab::allocator heap;
    for (auto const policy : {tslab::deallocate_policy::carry_out, tslab::deallocate_policy::count_only}) {
        tslab::epoch_resource r{heap, {.label = "released", .deallocate = policy}};
        for (int round = 0; round < 4; ++round) {
            for (int i = 0; i < 100; ++i)
                (void)r.allocate(96);
            (void)r.allocate(80'000);
            r.release();
        }
        for (int i = 0; i < 7; ++i)
            (void)r.allocate(96);
        if (policy == tslab::deallocate_policy::carry_out)
            r.release();
    }
    phase_cost_stats const c = cost_of(heap, "released");
    BOOST_TEST(c.phases == 2u);
    BOOST_TEST(c.objects_sum == 2 * (4 * 101 + 7u));
    BOOST_TEST(c.bytes_sum == 2 * (4 * (100 * 96 + 80'000ull) + 7 * 96));
    BOOST_TEST(c.peak_bytes_max < c.bytes_max);
    BOOST_TEST(c.peak_bytes_max >= 100 * 96 + 80'000u);
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(objects_that_outlive_their_scope_are_counted_when_it_ends)
{
    support::recorder const reports;
    tslab::allocator heap;
    void* late = nullptr;
    {
        tslab::epoch_scope scope{heap, "leaks"};
        late = scope.resource()->allocate(384);
    }
    BOOST_TEST(cost_of(heap, "leaks").bytes_sum == 384u);
    heap.free(late);
    BOOST_TEST(cost_of(heap, "leaks").phases == 1u);
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(every_way_to_end_an_epoch_counts_its_phase_once)
{
    tslab::allocator heap;
    for (int i = 0; i < 3; ++i) {   // frames: the current epoch, advanced
        heap.set_label(heap.current_epoch(), "frame");
        heap.free(heap.malloc(1'000));
        heap.advance();
    }
    heap.set_label(heap.current_epoch(), "closed current");
    heap.free(heap.malloc(256));
    (void)heap.close(heap.current_epoch());
    {
        tslab::epoch_domain domain{heap, {.label = "domain"}};
        domain.enter();
        heap.free(heap.malloc(512, domain.epoch()));
        domain.exit();
    }
    {
        tslab::epoch_domain const never{heap, {.label = "never entered"}};
    }
    {
        tslab::epoch_scope scope{heap, "closed early"};
        scope.resource()->deallocate(scope.resource()->allocate(768), 768);
        (void)heap.close(scope.epoch());
        (void)heap.close(scope.epoch());
    }
    {
        tslab::epoch_resource const stays{heap, {.label = "stays open", .auto_close = false}};
    }
    BOOST_TEST(cost_of(heap, "frame").phases == 3u);
    BOOST_TEST(cost_of(heap, "frame").bytes_sum == 3 * slot(1'000));
    BOOST_TEST(cost_of(heap, "closed current").bytes_sum == 256u);
    BOOST_TEST(cost_of(heap, "domain").bytes_sum == 512u);
    BOOST_TEST(cost_of(heap, "domain").phases == 1u);
    BOOST_TEST(cost_of(heap, "never entered").empty_phases == 1u);
    BOOST_TEST(cost_of(heap, "closed early").phases == 1u);
    BOOST_TEST(cost_of(heap, "closed early").bytes_sum == 768u);
    BOOST_TEST(cost_of(heap, "stays open").phases == 0u);
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(a_resource_that_shares_its_epoch_is_a_part_of_that_phase)
{
    tslab::allocator heap;
    heap.set_label(heap.current_epoch(), "shared");
    for (int i = 0; i < 4; ++i) {
        tslab::epoch_resource r{heap, {.label = "ignored", .share_epoch = true}};
        r.deallocate(r.allocate(128), 128);
        (void)r.allocate(90'000);
        r.release();
    }
    BOOST_TEST(heap.snapshot().phase_costs.empty());
    heap.advance();
    phase_cost_stats const c = cost_of(heap, "shared");
    BOOST_TEST(c.phases == 1u);
    BOOST_TEST(c.objects_sum == 8u);
    BOOST_TEST(c.bytes_sum == 4 * (128 + 90'000u));
    check_whole(heap);
}
