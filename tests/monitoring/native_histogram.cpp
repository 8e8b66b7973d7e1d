// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Native histograms of what phases cost, and the bytes of the messages that carry metrics. protobuf.py reads those of a whole snapshot.
#define BOOST_TEST_MODULE native_histogram
#include <boost/test/unit_test.hpp>

#include "tslab/exposition.hpp"
#include "tslab/metric_protobuf.hpp"
#include "tslab/native_histogram.hpp"
#include "tslab/protobuf.hpp"
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "synthetic.hpp"

using namespace tslab::tool;
using tslab::quarter_histogram;

namespace {

using buckets = std::map<int, std::uint64_t>;

quarter_histogram counts_of(std::initializer_list<std::uint64_t> amounts)
{
    quarter_histogram counts;
    for (std::uint64_t const a : amounts)
        ++counts.buckets[quarter_histogram::bucket_of(a)];
    return counts;
}

buckets native_of(std::initializer_list<std::uint64_t> amounts, double scale = 1)
{
    return native_histogram_of(counts_of(amounts), scale).buckets;
}

/// A message in hexadecimal digits, so that a difference can be read.
std::string hex(std::string_view bytes)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string all;
    for (char const c : bytes) {
        auto const byte = static_cast<unsigned char>(c);
        (all += digits[byte >> 4U]) += digits[byte & 15U];
    }
    return all;
}

std::string const name = "0a0162"    // MetricFamily.name "b"
                         "120168";   // help "h"

std::string family_of(native_histogram native, std::uint64_t count)
{
    metric_families all;
    prometheus::ClientMetric one;
    one.histogram.sample_count = count;
    all.add("b", "h", prometheus::MetricType::Histogram, std::move(one), std::move(native));
    return hex(protobuf_of(all));
}

}

BOOST_AUTO_TEST_CASE(amounts_below_8_are_where_prometheus_has_them)
{
    native_histogram const h = native_histogram_of(counts_of({0, 0, 1, 2, 3, 4, 5, 6, 7}), 1);
    BOOST_TEST(h.zero_count == 2U);
    BOOST_TEST((h.buckets == buckets{{0, 1}, {1, 1}, {2, 2}, {3, 3}}));   // 1; 2; 3 and 4; 5, 6, 7
}

BOOST_AUTO_TEST_CASE(four_quarters_make_a_bucket)
{
    for (int power = 3; power < 45; ++power) {
        std::uint64_t const least = std::uint64_t{1} << power;
        BOOST_TEST((native_of({least + 1, least * 5 / 4, least * 3 / 2, least * 7 / 4, least * 2 - 1}) ==
                    buckets{{power + 1, 5}}));
        BOOST_TEST((native_of({least}) == buckets{{power + 1, 1}}), "a power of two is in the bucket above its own");
    }
}

BOOST_AUTO_TEST_CASE(what_is_above_all_buckets_is_in_the_last_one)
{
    BOOST_TEST((native_of({std::uint64_t{1} << 44, std::uint64_t{1} << 60, UINT64_MAX}) == buckets{{45, 3}}));
}

BOOST_AUTO_TEST_CASE(seconds_are_less_than_a_sixteenth_off)
{
    // Each power of two of a second, and what is a sixteenth from it. Those below 1 ns are none.
    for (int power = -26; power <= 14; ++power) {
        double const ns = std::ldexp(1e9, power);
        BOOST_TEST((native_of({static_cast<std::uint64_t>(ns * 15 / 16)}, 1e-9) == buckets{{power, 1}}), power);
        BOOST_TEST((native_of({static_cast<std::uint64_t>(std::ceil(ns * 17 / 16))}, 1e-9) == buckets{{power + 1, 1}}),
                   power);
    }
    BOOST_TEST((native_of({2'000'000'000, 1'800'000'000, 3'000'000'000}, 1e-9) == buckets{{1, 1}, {2, 2}}));
}

BOOST_AUTO_TEST_CASE(the_counts_of_every_bucket_add_up)
{
    quarter_histogram counts;
    for (std::size_t b = 0; b < quarter_histogram::bucket_count; ++b)
        counts.buckets[b] = b * b + 1;
    for (double const scale : {1.0, 1e-9}) {
        native_histogram const h = native_histogram_of(counts, scale);
        std::uint64_t total = h.zero_count;
        for (auto const& [index, count] : h.buckets)
            total += count;
        BOOST_TEST(total == counts.total());
    }
}

BOOST_AUTO_TEST_CASE(buckets_are_spans_and_differences)
{
    native_histogram const h{.zero_count = 1, .buckets = {{-2, 5}, {-1, 3}, {0, 3}, {7, 300}}};
    BOOST_TEST(family_of(h, 312) == "38" + name +
                                        "1804"                 // type HISTOGRAM
                                        "222e"                 // metric
                                        "3a2c"                 // histogram
                                        "08b802"               // sample_count 312
                                        "110000000000000000"   // sample_sum 0
                                        "2800"                 // schema 0
                                        "31000000000000f037"   // zero_threshold 2^-128
                                        "3801"                 // zero_count 1
                                        "620408031003"         // a span from -2 of length 3: 3 is -2
                                        "6204080c1001"         // 6 empty ones, then 1
                                        "6a050a0300d204");     // 5, 3 - 5, 3 - 3, 300 - 3
}

BOOST_AUTO_TEST_CASE(a_histogram_without_a_count_is_still_native)
{
    BOOST_TEST(family_of({}, 0) == "24" + name + "1804" + "221a" + "3a18" + "0800" + "110000000000000000" + "2800" +
                                       "31000000000000f037" + "3800");
}

BOOST_AUTO_TEST_CASE(counters_and_gauges_say_0)
{
    metric_families all;
    all.add({.name = "b", .help = "h", .counter = true}, {}, 0);
    BOOST_TEST(hex(protobuf_of(all)) == "15" + name + "1800" + "220b" + "1a09" + "090000000000000000");
    metric_families gauges;
    gauges.add_gauge("b", "h", {{"l", "v"}}, 1.5);
    BOOST_TEST(hex(protobuf_of(gauges)) ==
               "1d" + name + "1801" + "2213" + "0a060a016c120176" + "1209" + "09000000000000f83f");
}

BOOST_AUTO_TEST_CASE(numbers_of_every_size_are_written)
{
    protobuf_message m;
    m.number(1, 0);
    m.number(1, 127);
    m.number(1, 128);
    m.number(1, UINT64_MAX);
    m.number(16, 1);
    BOOST_TEST(hex(m.text()) == "087f"
                                "088001"
                                "08ffffffffffffffffff01"
                                "800101");
    for (auto const& [n, as] : std::initializer_list<std::pair<std::int64_t, std::uint64_t>>{
             {0, 0}, {-1, 1}, {1, 2}, {-2, 3}, {INT64_MAX, UINT64_MAX - 1}, {INT64_MIN, UINT64_MAX}})
        BOOST_TEST(protobuf_message::zigzag(n) == as);
    protobuf_message long_one;
    long_one.bytes(1, std::string(200, 'x'));
    std::string stream;
    long_one.add_to(stream);
    BOOST_TEST(hex(stream.substr(0, 6)) == "cb01"
                                           "0ac801"
                                           "78");
}

BOOST_AUTO_TEST_CASE(only_what_phases_cost_is_native)
{
    tslab::snapshot s = support::synthetic_heap();
    std::string const without = protobuf_exposition({s});
    std::string const threshold{"\x31\x00\x00\x00\x00\x00\x00\xf0\x37", 9};   // of a native histogram
    BOOST_TEST(without.find("temporal_slab_alloc_wall_seconds") != std::string::npos);
    BOOST_TEST(without.find(threshold) == std::string::npos);
    s.phase_costs.emplace_back().label = "GET /unknown";   // how many phases, and none of their buckets
    s.phase_costs.back().phases = 3;
    BOOST_TEST(protobuf_exposition({s}).find(threshold) == std::string::npos);
    tslab::phase_cost_stats& known = s.phase_costs.emplace_back();
    known.label = "GET /";
    known.phases = 1;
    for (tslab::quarter_histogram* const of : {&known.objects, &known.bytes, &known.peak_bytes, &known.wall_ns})
        of->buckets[5] = 1;
    std::string const with = protobuf_exposition({s});
    std::size_t natives = 0;
    for (auto at = with.find(threshold); at != std::string::npos; at = with.find(threshold, at + 1))
        ++natives;
    BOOST_TEST(natives == 4U);
}
