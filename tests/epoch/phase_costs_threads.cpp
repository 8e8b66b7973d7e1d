// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a phase costs where several threads use it, in forked children, and under many labels.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "phase_costs.hpp"

using phase_costs::check_whole;
using phase_costs::cost_of;
using phase_costs::slot;
using tslab::phase_cost_stats;

BOOST_AUTO_TEST_CASE(what_other_threads_allocate_is_in_the_cost_and_their_frees_change_nothing)
{
    tslab::allocator heap;
    constexpr std::size_t threads = 4;
    constexpr std::size_t each = 300;
    {
        tslab::epoch_scope scope{heap, "fan out"};
        std::array<std::vector<void*>, threads> got;
        std::vector<std::thread> all;
        for (std::size_t t = 0; t < threads; ++t)
            all.emplace_back([&, t] {
                for (std::size_t i = 0; i < each; ++i)
                    got[t].push_back(scope.resource()->allocate(192));
                got[t].push_back(scope.resource()->allocate(70'000));
            });
        for (std::thread& t : all)
            t.join();
        all.clear();
        for (std::size_t t = 0; t < threads; ++t)
            all.emplace_back([&, t] {   // of the next thread
                auto& mine = got[(t + 1) % threads];
                for (std::size_t i = 0; i < each; ++i)
                    scope.resource()->deallocate(mine[i], 192);
                scope.resource()->deallocate(mine[each], 70'000);
            });
        for (std::thread& t : all)
            t.join();
        (void)scope.resource()->allocate(192);
        scope.resource()->release();
    }
    phase_cost_stats const c = cost_of(heap, "fan out");
    BOOST_TEST(c.phases == 1u);
    BOOST_TEST(c.objects_sum == threads * (each + 1) + 1);
    BOOST_TEST(c.bytes_sum == threads * (each * 192 + 70'000) + 192);
    BOOST_TEST(c.peak_bytes_max == c.bytes_max);
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(threads_that_live_on_with_a_cache_in_the_epoch_are_counted)
{
    tslab::allocator heap;
    std::barrier step{2};
    std::optional<tslab::epoch_scope> scope{std::in_place, heap, "idle helper"};
    std::thread helper{[&] {
        for (int i = 0; i < 40; ++i)
            scope->resource()->deallocate(scope->resource()->allocate(96), 96);
        step.arrive_and_wait();
        step.arrive_and_wait();   // its cache is attached when the scope ends
    }};
    step.arrive_and_wait();
    scope->resource()->deallocate(scope->resource()->allocate(96), 96);
    scope.reset();
    phase_cost_stats const c = cost_of(heap, "idle helper");
    BOOST_TEST(c.objects_sum == 41u);
    BOOST_TEST(c.bytes_sum == 41 * 96u);
    step.arrive_and_wait();
    helper.join();
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(a_resource_may_end_on_another_thread_and_a_serial_one_wander)
{
    tslab::allocator heap;
    auto elsewhere = std::make_unique<tslab::epoch_resource>(heap, tslab::resource_options{.label = "elsewhere"});
    for (int i = 0; i < 10; ++i)
        elsewhere->deallocate(elsewhere->allocate(128), 128);
    std::thread{[&] { elsewhere.reset(); }}.join();
    BOOST_TEST(cost_of(heap, "elsewhere").objects_sum == 10u);
    BOOST_TEST(cost_of(heap, "elsewhere").bytes_sum == 1'280u);

    auto serial = std::make_unique<tslab::epoch_resource>(
        heap, tslab::resource_options{.label = "serial", .threading = tslab::threading::serial});
    for (int i = 0; i < 5; ++i)
        std::thread{[&] {
            for (int n = 0; n < 20; ++n)
                serial->deallocate(serial->allocate(320), 320);
        }}.join();
    std::thread{[&] { serial.reset(); }}.join();
    BOOST_TEST(cost_of(heap, "serial").phases == 1u);
    BOOST_TEST(cost_of(heap, "serial").objects_sum == 100u);
    BOOST_TEST(cost_of(heap, "serial").bytes_sum == 100 * slot(320));
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(trims_and_decay_within_a_phase_lose_nothing)
{
    tslab::allocator heap;
    {
        tslab::epoch_scope scope{heap, "trimmed"};
        for (int i = 0; i < 10; ++i) {
            for (int n = 0; n < 100; ++n)
                scope.resource()->deallocate(scope.resource()->allocate(640), 640);
            std::thread{[&] {
                for (int n = 0; n < 10; ++n)
                    scope.resource()->deallocate(scope.resource()->allocate(640), 640);
            }}.join();
            (void)heap.trim();
            (void)heap.trim(scope.epoch());
        }
    }
    BOOST_TEST(cost_of(heap, "trimmed").objects_sum == 1'100u);
    BOOST_TEST(cost_of(heap, "trimmed").bytes_sum == 1'100 * slot(640));
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(labels_without_a_bucket_have_rows_up_to_the_bound)
{
    for (std::uint32_t const most : {0u, 5u, 1024u}) {
        tslab::allocator heap{{.cost_labels = most}};
        constexpr std::uint32_t names = 1'200;
        for (int round = 0; round < 2; ++round)
            for (std::uint32_t i = 0; i < names; ++i) {
                tslab::epoch_scope scope{heap, "name " + std::to_string(i)};
                scope.resource()->deallocate(scope.resource()->allocate(64), 64);
            }
        tslab::snapshot const s = heap.snapshot();
        std::uint32_t const apart = std::min(most, names - 14);
        BOOST_TEST(s.phase_costs.size() == 14 + apart + (apart < names - 14 ? 1 : 0));
        for (std::uint32_t i = 0; i < 14 + apart; ++i) {
            phase_cost_stats const c = cost_of(s, "name " + std::to_string(i));
            BOOST_TEST(c.phases == 2u, i);
            BOOST_TEST(c.bytes_sum == 128u, i);
            BOOST_TEST(c.label_id == std::min(i + 1, tslab::label_buckets - 1), i);
        }
        BOOST_TEST(cost_of(s, "other").phases == 2 * (names - 14 - apart));
        BOOST_TEST(s.global.cost_labels_in_overflow == (most == 0 ? 0 : 2 * (names - 14 - apart)));
        check_whole(heap);
    }
    BOOST_CHECK_THROW((tslab::allocator{{.cost_labels = 1025}}), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(a_forked_child_counts_on)
{
    tslab::allocator heap;
    std::optional<tslab::epoch_scope> across{std::in_place, heap, "across"};
    across->resource()->deallocate(across->resource()->allocate(64), 64);
    {
        tslab::epoch_scope const before{heap, "before"};
    }
    pid_t const child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        across->resource()->deallocate(across->resource()->allocate(128), 128);
        across.reset();
        {
            tslab::epoch_scope const in_child{heap, "in child"};
        }
        tslab::snapshot const s = heap.snapshot({.residency = false});
        bool const good = cost_of(s, "across").bytes_sum == 192 && cost_of(s, "before").phases == 1 &&
                          cost_of(s, "in child").phases == 1;
        ::_exit(good ? 0 : 1);
    }
    int status = -1;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST(status == 0);
    across.reset();
    BOOST_TEST(cost_of(heap, "across").bytes_sum == 64u);
    BOOST_TEST(cost_of(heap, "in child").phases == 0u);
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(threads_that_have_ended_keep_their_rows_and_others_add_to_them)
{
    tslab::allocator heap;
    for (int i = 0; i < 6; ++i)
        std::thread{[&] {
            tslab::epoch_scope scope{heap, "worker"};
            scope.resource()->deallocate(scope.resource()->allocate(1), 1);
        }}.join();
    BOOST_TEST(cost_of(heap, "worker").phases == 6u);
    BOOST_TEST(cost_of(heap, "worker").objects_sum == 6u);
    check_whole(heap);
}

BOOST_AUTO_TEST_CASE(a_private_heap_counts_too)
{
    tslab::allocator heap{{.cost_labels = 8, .publish = false}};
    for (int i = 0; i < 20; ++i) {
        tslab::epoch_scope scope{heap, "private " + std::to_string(i)};
        scope.resource()->deallocate(scope.resource()->allocate(64), 64);
    }
    BOOST_TEST(cost_of(heap, "private 21").phases == 0u);
    BOOST_TEST(cost_of(heap, "private 19").phases == 1u);
    BOOST_TEST(heap.snapshot().phase_costs.size() == 20u);
    check_whole(heap);
}
