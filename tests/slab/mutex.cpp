// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The mutex: one holder at a time, its writes visible to the next one, and every acquisition counted as free or waited for.
#define BOOST_TEST_MODULE mutex
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "recorder.hpp"

namespace {

using tslab::contention_event;

std::uint64_t number(tslab::contention_counters const& counts, contention_event e) { return counts[e].value(); }

}

BOOST_AUTO_TEST_CASE(one_thread_at_a_time_is_inside)
{
    tslab::mutex m;
    std::uint64_t plain = 0;   // not atomic: the mutex is what keeps it whole
    std::atomic<int> inside{0};
    std::atomic<bool> crowded{false};
    std::vector<std::thread> threads;
    std::size_t const rounds = support::scaled(100'000);
    std::array<tslab::contention_counters, 4> counts;
    for (tslab::contention_counters& of : counts)
        threads.emplace_back([&, into = &of] {
            for (std::size_t i = 0; i < rounds; ++i) {
                tslab::lock_guard const guard{m, {.counts = into}};
                crowded = crowded || inside.fetch_add(1) != 0;
                ++plain;
                inside.fetch_sub(1);
            }
        });
    for (auto& t : threads)
        t.join();
    BOOST_TEST(!crowded);
    BOOST_TEST(plain == 4 * rounds);
    for (tslab::contention_counters const& of : counts)
        BOOST_TEST(number(of, contention_event::lock_fast) + number(of, contention_event::lock_contended) == rounds);
}

BOOST_AUTO_TEST_CASE(an_acquisition_that_did_not_wait_is_counted_as_fast)
{
    tslab::mutex m;
    tslab::contention_counters counts;
    for (int i = 0; i < 10; ++i)
        tslab::lock_guard const guard{m, {.counts = &counts}};
    BOOST_TEST(number(counts, contention_event::lock_fast) == 10u);
    BOOST_TEST(number(counts, contention_event::lock_contended) == 0u);
}

BOOST_AUTO_TEST_CASE(waiters_sleep_and_every_one_is_woken)
{
    tslab::mutex m;
    std::atomic<int> done{0};
    std::vector<std::thread> threads;
    std::array<tslab::contention_counters, 5> counts;
    m.lock();
    for (tslab::contention_counters& of : counts)
        threads.emplace_back([&, into = &of] {
            tslab::lock_guard const guard{m, {.counts = into}};
            ++done;
        });
    std::this_thread::sleep_for(std::chrono::milliseconds{100});   // longer than they spin
    BOOST_TEST(done == 0);
    m.unlock();
    for (auto& t : threads)
        t.join();
    BOOST_TEST(done == 5);
    std::uint64_t waited = 0;
    for (tslab::contention_counters const& of : counts) {
        BOOST_TEST(number(of, contention_event::lock_fast) + number(of, contention_event::lock_contended) == 1u);
        waited += number(of, contention_event::lock_contended);
    }
    BOOST_TEST(waited >= 1u);
}

BOOST_AUTO_TEST_CASE(one_acquisition_in_so_many_is_timed_when_that_is_switched_on)
{
    tslab::mutex m;
    tslab::contention_counters counts;
    tslab::lock_times times;
    auto const timed = [&] {
        tslab::lock_timing_stats s;
        times.add_to(s);
        return s;
    };
    auto const acquire = [&](int n) {
        for (int i = 0; i < n; ++i)
            tslab::lock_guard const guard{m, {&counts, &times}};
    };
    acquire(100);
    BOOST_TEST(timed().samples == 0u);
    std::thread{[&] {   // a thread counts for itself, from its first
        tslab::set_lock_timing(4);
        BOOST_TEST(tslab::lock_timing() == 4u);
        acquire(100);
    }}
        .join();
    BOOST_TEST(timed().samples == 25u);
    BOOST_TEST(timed().hold_ns >= timed().hold_ns_max);
    BOOST_TEST(timed().wait_ns >= timed().wait_ns_max);
    // Switched off while a timed one is held: it is still reported.
    tslab::set_lock_timing(1);
    {
        tslab::lock_guard const guard{m, {&counts, &times}};
        tslab::set_lock_timing(0);
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    BOOST_TEST(timed().samples == 26u);
    BOOST_TEST(timed().hold_ns_max > 1'000'000u);
    acquire(10);
    BOOST_TEST(timed().samples == 26u);
    BOOST_TEST(number(counts, contention_event::lock_fast) == 211u);
    BOOST_TEST(number(counts, contention_event::lock_contended) == 0u);
}

namespace {

/// The histograms of one thread, which are there from the beginning.
struct source final : tslab::histogram_source {
    source() : histogram_source{[](histogram_source& of) noexcept { return &static_cast<source&>(of).all; }} {}

    tslab::lock_histograms all;
};

}

BOOST_AUTO_TEST_CASE(timed_acquisitions_are_counted_by_duration_too)
{
    using histogram = tslab::log2_histogram;
    tslab::mutex m;
    tslab::lock_times times;
    source by_duration;
    auto const read = [&] {
        tslab::lock_histogram_stats s;
        by_duration.all.add_to(s);
        return s;
    };
    {
        tslab::lock_guard const untimed{m, {nullptr, &times, &by_duration}};
    }
    BOOST_TEST(read().wait.total() == 0u);
    tslab::set_lock_timing(1);
    // One hold, whose duration lies between two that are measured here.
    std::uint64_t const outer = tslab::now_ns();
    std::uint64_t inner = 0;
    {
        tslab::lock_guard const guard{m, {nullptr, &times, &by_duration}};
        std::uint64_t const begin = tslab::now_ns();
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
        inner = tslab::now_ns() - begin;
    }
    std::uint64_t const most = tslab::now_ns() - outer;
    auto const only = [](histogram const& h) {
        std::size_t found = histogram::bucket_count;
        for (std::size_t b = 0; b < histogram::bucket_count; ++b)
            if (h.buckets[b] != 0)
                found = b;
        return found;
    };
    BOOST_TEST(read().hold.total() == 1u);
    BOOST_TEST(only(read().hold) >= histogram::bucket_of(inner));
    BOOST_TEST(only(read().hold) <= histogram::bucket_of(most));
    BOOST_TEST(read().wait.total() == 1u);
    tslab::lock_timing_stats sums;
    times.add_to(sums);
    BOOST_TEST(only(read().hold) == histogram::bucket_of(sums.hold_ns_max));
    BOOST_TEST(only(read().wait) == histogram::bucket_of(sums.wait_ns_max));
    // One wait, whose duration lies between two as well: the holder lets go after the waiter has begun.
    m.lock();
    std::atomic<std::uint64_t> began{0}, waited_most{0};
    tslab::lock_times of_waiter;
    source waits;
    std::thread waiter{[&] {
        began = tslab::now_ns();
        tslab::lock_guard const guard{m, {nullptr, &of_waiter, &waits}};
        waited_most = tslab::now_ns() - began;
    }};
    while (began == 0 || tslab::now_ns() - began < 20'000'000)
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    m.unlock();
    waiter.join();
    tslab::set_lock_timing(0);
    tslab::lock_histogram_stats s;
    waits.all.add_to(s);
    BOOST_TEST(s.wait.total() == 1u);
    BOOST_TEST(only(s.wait) <= histogram::bucket_of(waited_most));
    BOOST_TEST(s.hold.total() == 1u);
    {
        tslab::lock_guard const untimed{m, {nullptr, &of_waiter, &waits}};
    }
    tslab::lock_histogram_stats again;
    waits.all.add_to(again);
    BOOST_TEST((again == s));
}

// What a fork does: the forking thread acquires a reserved mutex at once, and leaves it reserved.
// Under ThreadSanitizer the gate is not lifted.
BOOST_AUTO_TEST_CASE(a_reserved_mutex_is_acquired_in_passes_and_stays_reserved)
{
    if (__has_feature(thread_sanitizer))
        return;   // the gate is not lifted there: see fork_gate.cpp
    tslab::mutex m;
    {
        tslab::lock_guard const guard{m};
        BOOST_TEST(!m.reserve());
    }
    BOOST_TEST(!tslab::fork_gate::enter());   // no fork is under way
    BOOST_TEST(m.reserve());
    BOOST_TEST(tslab::fork_gate::close());
    BOOST_TEST(!tslab::fork_gate::close());
    tslab::set_lock_timing(1);
    for (int i = 0; i < 3; ++i) {
        tslab::lock_guard const guard{m};
        BOOST_TEST(!m.timed());
    }
    tslab::set_lock_timing(0);
    BOOST_TEST(!m.reserve());   // reserved again
    // While the fork prepares, other threads wait longer than the patience, and no other fork joins.
    BOOST_TEST(!tslab::fork_gate::join());
    std::atomic<bool> passed{false};
    std::thread early{[&] {
        tslab::lock_guard const guard{m};
        passed = true;
    }};
    std::this_thread::sleep_for(std::chrono::nanoseconds{4 * tslab::fork_gate::patience_ns});
    BOOST_TEST(!passed.load());
    tslab::fork_gate::prepared();
    early.join();
    // That one has lifted the gate: others pass at once.
    std::thread{[&] { tslab::lock_guard const guard{m}; }}.join();
    BOOST_TEST(!m.reserve());
    BOOST_TEST(tslab::fork_gate::join());   // a second fork
    BOOST_TEST(!tslab::fork_gate::end());
    BOOST_TEST(tslab::fork_gate::end());
    BOOST_TEST(!tslab::fork_gate::join());
    BOOST_REQUIRE(tslab::fork_gate::enter());
    m.end_reservation();
    tslab::fork_gate::open();
    tslab::fork_gate::leave();
    bool const was_free = m.lock();
    m.unlock();
    BOOST_TEST(was_free);
}

// A thread that slept before the fork, and was not the one that the last unlock woke, is woken by the one that passes.
BOOST_AUTO_TEST_CASE(a_thread_that_sleeps_when_a_fork_reserves_is_woken)
{
    if (__has_feature(thread_sanitizer))
        return;   // the gate is not lifted there: see fork_gate.cpp
    for (int tries = 0, forks = 0; forks < 5 && tries < 200; ++tries) {
        tslab::mutex m;
        m.lock();
        std::atomic<int> done{0};
        std::vector<std::thread> sleepers;
        for (int t = 0; t < 3; ++t)
            sleepers.emplace_back([&] {
                tslab::lock_guard const guard{m};
                ++done;
            });
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        m.unlock();
        if (m.reserve()) {   // before the woken thread
            ++forks;
            BOOST_TEST(tslab::fork_gate::close());
            tslab::fork_gate::prepared();
            for (int i = 0; i < 1'000 && done.load() != 3; ++i)
                std::this_thread::sleep_for(std::chrono::milliseconds{5});
            BOOST_TEST(done.load() == 3);
            BOOST_TEST(tslab::fork_gate::end());
            BOOST_REQUIRE(tslab::fork_gate::enter());
            m.end_reservation();
            tslab::fork_gate::open();
            tslab::fork_gate::leave();
        }
        for (std::thread& t : sleepers)
            t.join();
    }
}

BOOST_AUTO_TEST_CASE(a_reset_makes_it_free)
{
    tslab::mutex m;
    m.lock();
    m.reset_after_fork();
    bool const was_free = m.lock();
    m.unlock();
    BOOST_TEST(was_free);
}
