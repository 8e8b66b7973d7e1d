// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Counters and clocks: one writer and many, totals to the last count, and time that goes on.
#define BOOST_TEST_MODULE counter
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <thread>
#include <vector>

import tslab.stats;

BOOST_AUTO_TEST_CASE(a_counter_adds_and_starts_anew)
{
    tslab::counter c;
    BOOST_TEST(c.value() == 0u);
    c.add();
    c.add(41);
    BOOST_TEST(c.value() == 42u);
    c.reset();
    BOOST_TEST(c.value() == 0u);
}

BOOST_AUTO_TEST_CASE(a_stepping_counter_finds_the_steps_that_were_chosen_and_reads_right_at_any_time)
{
    tslab::stepping_counter c;
    std::uint64_t wrong = 0, chosen = tslab::stepping_counter::limit;   // what a new one chose
    for (std::uint64_t n = 1, ahead = 0; n <= 3'000'000; ++n) {
        bool const found = c.add();
        wrong += found != (n == chosen) ? 1 : 0;
        wrong += c.value() != n ? 1 : 0;   // before the next choice as well
        if (found) {
            ahead = ahead % tslab::stepping_counter::limit + 1;   // each distance there is
            chosen = n + ahead;
            c.choose(ahead);
        }
        wrong += c.value() != n ? 1 : 0;
    }
    BOOST_TEST(wrong == 0u);
    BOOST_TEST(chosen > 2'000'000u);
}

BOOST_AUTO_TEST_CASE(a_stepping_counter_never_goes_back_for_a_reader)
{
    tslab::stepping_counter c;
    std::atomic<bool> over{false};
    std::uint64_t back = 0;
    std::thread reader{[&] {
        for (std::uint64_t last = 0; !over.load();) {
            std::uint64_t const now = c.value();
            back += now < last ? 1 : 0;
            last = now;
        }
    }};
    for (int n = 0; n < 5'000'000; ++n)
        if (c.add())
            c.choose(static_cast<std::uint64_t>(n) % tslab::stepping_counter::limit + 1);
    over.store(true);
    reader.join();
    BOOST_TEST(back == 0u);
    BOOST_TEST(c.value() == 5'000'000u);
}

BOOST_AUTO_TEST_CASE(shared_adds_lose_nothing)
{
    tslab::counter c;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 10'000; ++i)
                c.add_shared(3);
        });
    for (auto& t : threads)
        t.join();
    BOOST_TEST(c.value() == 120'000u);
}

BOOST_AUTO_TEST_CASE(every_event_has_a_counter_of_its_own)
{
    tslab::class_counters classes;
    tslab::heap_counters heap;
    for (std::size_t i = 0; i < tslab::class_event_count; ++i)
        classes[static_cast<tslab::class_event>(i)].add(i + 1);
    for (std::size_t i = 0; i < tslab::heap_event_count; ++i)
        heap[static_cast<tslab::heap_event>(i)].add(i + 1);
    for (std::size_t i = 0; i < tslab::class_event_count; ++i)
        BOOST_TEST(classes.events[i].value() == i + 1);
    for (std::size_t i = 0; i < tslab::heap_event_count; ++i)
        BOOST_TEST(heap.events[i].value() == i + 1);
}

BOOST_AUTO_TEST_CASE(the_clocks_go_forward_and_agree)
{
    std::uint64_t const a = tslab::now_ns();
    std::uint64_t const coarse = tslab::now_ns_coarse();
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    std::uint64_t const b = tslab::now_ns();
    BOOST_TEST(b - a >= 20'000'000u);
    BOOST_TEST(b - a < 10'000'000'000u);
    BOOST_TEST(coarse <= tslab::now_ns());
    BOOST_TEST(coarse + 50'000'000 >= a);
    BOOST_TEST(tslab::now_ns_coarse() > coarse);
    auto const now = static_cast<std::uint64_t>(std::time(nullptr));
    BOOST_TEST(tslab::wall_clock_ns() / 1'000'000'000 - now <= 2u);
}
