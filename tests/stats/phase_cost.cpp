// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#define BOOST_TEST_MODULE phase_cost
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

import tslab.stats;

using tslab::quarter_histogram;

BOOST_AUTO_TEST_CASE(buckets_follow_each_other_without_gaps)
{
    std::uint64_t next = 0;   // the smallest amount of the bucket
    for (std::size_t b = 0; b < quarter_histogram::bucket_count; ++b) {
        std::uint64_t const most = quarter_histogram::upper_bound(b);
        BOOST_TEST(most >= next);
        BOOST_TEST(quarter_histogram::bucket_of(next) == b);
        BOOST_TEST(quarter_histogram::bucket_of(most) == b);
        BOOST_TEST(static_cast<double>(most) < 1.25 * static_cast<double>(std::max<std::uint64_t>(next, 1)));
        next = most + 1;
    }
    BOOST_TEST(quarter_histogram::bucket_of(next) == quarter_histogram::bucket_count - 1);
    BOOST_TEST(quarter_histogram::bucket_of(~std::uint64_t{0}) == quarter_histogram::bucket_count - 1);
}

BOOST_AUTO_TEST_CASE(each_power_of_two_has_four_buckets)
{
    for (unsigned power = 2; power < 44; ++power) {
        std::uint64_t const from = std::uint64_t{1} << power;
        BOOST_TEST(quarter_histogram::bucket_of(2 * from) - quarter_histogram::bucket_of(from) == 4u);
        BOOST_TEST(quarter_histogram::bucket_of(from) - quarter_histogram::bucket_of(from - 1) == 1u);
    }
}

BOOST_AUTO_TEST_CASE(quantiles_are_those_of_the_sorted_amounts_or_less_than_a_quarter_above)
{
    std::mt19937_64 random{7};
    for (int shape = 0; shape < 12; ++shape) {
        std::vector<std::uint64_t> all;
        quarter_histogram counts;
        std::lognormal_distribution<double> amounts{static_cast<double>(shape) * 1.5, 0.3 * shape};
        std::size_t const n = shape == 0 ? 1 : 100 + random() % 3000;
        for (std::size_t i = 0; i < n; ++i) {
            all.push_back(static_cast<std::uint64_t>(std::min(amounts(random), 1e12)));
            ++counts.buckets[quarter_histogram::bucket_of(all.back())];
        }
        std::ranges::sort(all);
        BOOST_TEST(counts.total() == n);
        for (double const q : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
            auto const rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(n)));
            std::uint64_t const truth = all[rank == 0 ? 0 : rank - 1];
            std::uint64_t const said = counts.quantile(q, all.back());
            BOOST_TEST(said >= truth, "shape " << shape << ", q " << q << ": " << said << " < " << truth);
            BOOST_TEST(static_cast<double>(said) < 1.25 * static_cast<double>(truth) + 1e-9 + (truth == 0 ? 1 : 0),
                       "shape " << shape << ", q " << q << ": " << said << " for " << truth);
        }
        BOOST_TEST(counts.quantile(1, all.back()) == all.back());
    }
}

BOOST_AUTO_TEST_CASE(nothing_counted_has_no_quantile_and_the_open_bucket_is_the_maximum)
{
    quarter_histogram counts;
    BOOST_TEST(counts.quantile(0.5, 0) == 0u);
    counts.buckets.back() = 1;
    BOOST_TEST(counts.quantile(0.5, std::uint64_t{1} << 50) == std::uint64_t{1} << 50);
}

BOOST_AUTO_TEST_CASE(stamps_measure_as_the_clock_does)
{
    tslab::tick_clock::calibrate();
    std::uint64_t const before = tslab::now_ns();
    std::uint64_t const stamp = tslab::tick_clock::stamp();
    std::uint64_t const after = tslab::now_ns();   // the thread may have been preempted in between
    std::uint64_t last = 0;
    for (int i = 0; i < 40; ++i) {   // before it is calibrated, and after
        std::uint64_t const until = tslab::now_ns() + 100'000;
        while (tslab::now_ns() < until) {
        }
        std::uint64_t const least = tslab::now_ns() - after;
        std::uint64_t const said = tslab::tick_clock::ns_between(stamp, tslab::tick_clock::stamp());
        std::uint64_t const most = tslab::now_ns() - before;
        BOOST_TEST(static_cast<double>(said) > 0.98 * static_cast<double>(least) - 2000);
        BOOST_TEST(static_cast<double>(said) < 1.02 * static_cast<double>(most) + 2000);
        BOOST_TEST(static_cast<double>(said) >= 0.98 * static_cast<double>(last));
        last = said;
    }
    BOOST_TEST(tslab::tick_clock::ns_between(tslab::tick_clock::stamp(), stamp) == 0u);
}
