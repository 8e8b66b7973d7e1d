// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Durations by powers of two: which bucket one falls into, and what a quantile can say.
#define BOOST_TEST_MODULE histogram
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <limits>

import tslab.stats;

using tslab::log2_histogram;

BOOST_AUTO_TEST_CASE(a_bucket_holds_what_lies_between_two_powers_of_two)
{
    BOOST_TEST(log2_histogram::bucket_of(0) == 0u);
    BOOST_TEST(log2_histogram::upper_bound(0) == 0u);
    for (std::size_t b = 1; b + 1 < log2_histogram::bucket_count; ++b) {
        std::uint64_t const least = std::uint64_t{1} << (b - 1);
        BOOST_TEST(log2_histogram::bucket_of(least) == b);
        BOOST_TEST(log2_histogram::bucket_of(2 * least - 1) == b);
        BOOST_TEST(log2_histogram::upper_bound(b) == 2 * least - 1);
    }
    BOOST_TEST(log2_histogram::bucket_of(std::uint64_t{1} << 38) == log2_histogram::bucket_count - 1);
    BOOST_TEST(log2_histogram::bucket_of(std::numeric_limits<std::uint64_t>::max()) ==
               log2_histogram::bucket_count - 1);
}

BOOST_AUTO_TEST_CASE(a_quantile_is_the_bound_of_the_bucket_in_which_it_is_reached)
{
    log2_histogram h;
    BOOST_TEST(h.quantile(0.5) == 0u);
    h.buckets[4] = 98;
    h.buckets[10] = 1;
    h.buckets[20] = 1;
    BOOST_TEST(h.total() == 100u);
    BOOST_TEST(h.quantile(0) == 15u);
    BOOST_TEST(h.quantile(0.5) == 15u);
    BOOST_TEST(h.quantile(0.98) == 15u);
    BOOST_TEST(h.quantile(0.985) == 1023u);
    BOOST_TEST(h.quantile(0.99) == 1023u);
    BOOST_TEST(h.quantile(0.999) == 1'048'575u);
    BOOST_TEST(h.quantile(1) == 1'048'575u);
}

BOOST_AUTO_TEST_CASE(timings_are_noted_and_added)
{
    tslab::timing_counters counters;
    counters.note(100, 40);
    counters.note(30, 35);   // the processor's clock was ahead: no wait
    tslab::timing_stats t = counters.read();
    BOOST_TEST(t.samples == 2u);
    BOOST_TEST(t.wall_ns_sum == 130u);
    BOOST_TEST(t.cpu_ns_sum == 75u);
    BOOST_TEST(t.wait_ns_sum == 60u);
    BOOST_TEST(t.wall_ns_max == 100u);
    BOOST_TEST(t.cpu_ns_max == 40u);
    BOOST_TEST(t.wait_ns_max == 60u);
    BOOST_TEST(t.wall.buckets[7] == 1u);
    BOOST_TEST(t.wall.buckets[5] == 1u);
    BOOST_TEST(t.wait.buckets[6] == 1u);
    BOOST_TEST(t.wait.buckets[0] == 1u);
    t.add(t);
    BOOST_TEST(t.samples == 4u);
    BOOST_TEST(t.wall_ns_sum == 260u);
    BOOST_TEST(t.wall_ns_max == 100u);
    BOOST_TEST(t.wall.total() == 4u);
}

BOOST_AUTO_TEST_CASE(what_was_timed_before_is_told_apart_and_the_whole_never_shrinks)
{
    tslab::timing_counters counters, before;
    counters.note(1000, 400);
    before.begin_after(counters);
    BOOST_TEST((counters.read_since(before) == tslab::timing_stats{}));
    counters.note(100, 40);
    tslab::timing_stats const latest = counters.read_since(before);
    BOOST_TEST(latest.samples == 1u);
    BOOST_TEST(latest.wall_ns_sum == 100u);
    BOOST_TEST(latest.cpu_ns_sum == 40u);
    BOOST_TEST(latest.wait_ns_sum == 60u);
    BOOST_TEST(latest.wall_ns_max == 100u);
    BOOST_TEST(latest.wait_ns_max == 60u);
    BOOST_TEST(latest.wall.total() == 1u);
    tslab::timing_stats const all = counters.read();
    BOOST_TEST(all.samples == 2u);
    BOOST_TEST(all.wall_ns_sum == 1100u);
    BOOST_TEST(all.wall_ns_max == 1000u);
    before.begin_after(counters);   // the next one
    BOOST_TEST((counters.read_since(before) == tslab::timing_stats{}));
    BOOST_TEST(counters.read().wait_ns_max == 600u);
}
