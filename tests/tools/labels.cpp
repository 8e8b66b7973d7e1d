// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab labels and tslab top --phases: what phases cost, of a saved snapshot, between two looks, and of a running process.
#include "saved.hpp"
#include "tslab/phase_costs.hpp"
#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using saved::contains;
using saved::objects;
using support::answer;
using support::tool;
using tslab::phase_cost_stats;
using tslab::quarter_histogram;

namespace {

/// A thousand phases that allocate 1,000 bytes each, and 20 of 1,000,000.
phase_cost_stats cost(std::string label, std::uint64_t scale = 1)
{
    phase_cost_stats c;
    c.label = std::move(label);
    c.label_id = 1;
    auto const add = [&](std::uint64_t n, std::uint64_t bytes, std::uint64_t objects, std::uint64_t ns) {
        c.phases += n;
        c.bytes_sum += n * bytes;
        c.objects_sum += n * objects;
        c.peak_bytes_sum += n * bytes;
        c.wall_ns_sum += n * ns;
        c.bytes_max = c.peak_bytes_max = bytes;
        c.objects_max = objects;
        c.wall_ns_max = ns;
        c.bytes.buckets[quarter_histogram::bucket_of(bytes)] += n;
        c.peak_bytes.buckets[quarter_histogram::bucket_of(bytes)] += n;
        c.objects.buckets[quarter_histogram::bucket_of(objects)] += n;
        c.wall_ns.buckets[quarter_histogram::bucket_of(ns)] += n;
    };
    add(1000 * scale, 1'000, 10, 2'000);
    add(20 * scale, 1'000'000, 900, 5'000'000);
    c.largest_timestamp_ns = 1;
    c.largest_at = {"/home/me/src/handler.cpp", 23, "void handle()"};
    return c;
}

tslab::snapshot with_costs(std::uint64_t scale = 1)
{
    tslab::snapshot s = saved::quiet();
    s.phase_costs = {cost("GET /join", scale), cost("bad\x1b[2J\nlabel")};
    s.phase_costs[1].bytes_sum = 1;
    return s;
}

}

BOOST_AUTO_TEST_CASE(labels_shows_what_one_phase_costs)
{
    answer const a = tool({"labels", "--stdin"}, to_json(with_costs()));
    BOOST_TEST(a.code == 0, a.err);
    for (char const* const part : {"GET /join", "1,020", "20.0 MiB", "1023 bytes", "976.6 KiB", "2.0 us", "5.0 ms",
                                   "900", "handler.cpp:23", "bad\\x1b[2J\\x0alabel"})
        BOOST_TEST(contains(a.out, part), part << " is not in\n" << a.out);
    BOOST_TEST(!contains(a.out, "bytes/s"));
    BOOST_TEST(saved::is_harmless(a.out));
    std::string const one = tool({"labels", "--stdin", "-n", "1"}, to_json(with_costs())).out;
    BOOST_TEST(contains(one, "1 more labels; -n shows them"), one);
    BOOST_TEST(!contains(one, "bad"));
    tslab::snapshot none = with_costs();
    none.phase_costs.clear();
    BOOST_TEST(tool({"labels", "--stdin"}, to_json(none)).out == "no phase has ended yet\n");
}

BOOST_AUTO_TEST_CASE(quantiles_that_are_not_known_are_not_shown_as_0)
{
    tslab::snapshot s = with_costs();
    s.phase_costs.resize(1);
    s.phase_costs[0].bytes = s.phase_costs[0].peak_bytes = {};   // they found no room in the segment
    std::string const text = to_json(s);
    std::string const out = tool({"labels", "--stdin"}, text).out;
    std::string const row = out.substr(out.find('\n') + 1);
    BOOST_TEST(!contains(row, " 0 bytes"), out);
    BOOST_TEST(std::ranges::count(row, '-') == 3, out);   // two of bytes, one of the peak
    BOOST_TEST(contains(row, "976.6 KiB"), out);          // the largest is known
    BOOST_TEST(contains(row, "2.0 us"), out);
    std::string const top = tool({"top", "--stdin", "--phases"}, text).out;
    BOOST_TEST(std::ranges::count(top.substr(top.find('\n')), '-') == 3, top);
    BOOST_TEST(contains(tool({"top", "--stdin", "--phases", "--by", "bytes_p99"}, text).out, "nothing to rank by"));
    for (char const* const command : {"labels", "top"}) {
        auto const one =
            objects(tool({command, "--stdin", "--json", std::string{command} == "top" ? "--phases" : "-n1"}, text).out);
        BOOST_REQUIRE(one.size() == 1u);
        BOOST_TEST(!one[0].contains("bytes_p50"), command);
        BOOST_TEST(one[0].at("objects_p50").to_number<int>() == 11, command);
    }
    BOOST_TEST(contains(tool({"stats", "--stdin", "--json"}, text).out, R"("peak_bytes_p99":null)"));
}

BOOST_AUTO_TEST_CASE(labels_writes_json_with_every_figure)
{
    auto const lines = objects(tool({"labels", "--stdin", "--json"}, to_json(with_costs())).out);
    BOOST_REQUIRE(lines.size() == 2u);
    BOOST_TEST(lines[0].at("label").as_string() == "GET /join");
    BOOST_TEST(lines[0].at("heap").as_string() == "quiet");
    BOOST_TEST(lines[0].at("phases").to_number<int>() == 1020);
    BOOST_TEST(lines[0].at("bytes_p50").to_number<int>() == 1023);
    BOOST_TEST(lines[0].at("bytes_p99").to_number<int>() == 1'000'000);
    BOOST_TEST(lines[0].at("wall_ns_max").to_number<int>() == 5'000'000);
    BOOST_TEST(lines[0].at("largest_line").to_number<int>() == 23);
    BOOST_TEST(!lines[0].contains("bytes_per_sec"));
}

BOOST_AUTO_TEST_CASE(a_saved_snapshot_has_no_rates)
{
    for (std::vector<std::string> const& more :
         {std::vector<std::string>{"--watch"}, std::vector<std::string>{"--window", "1s"}}) {
        std::vector<std::string> line{"labels", "--stdin"};
        line.insert(line.end(), more.begin(), more.end());
        answer const a = tool(line, to_json(with_costs()));
        BOOST_TEST(a.code == 2);
        BOOST_TEST(contains(a.err, more[0] + " needs a live process"), a.err);
    }
    BOOST_TEST(tool({"labels", std::to_string(::getpid()), "--window", "1ms"}).code == 2);
}

BOOST_AUTO_TEST_CASE(what_was_counted_before_is_taken_away_unless_the_counts_began_anew)
{
    phase_cost_stats const now = cost("x", 3);
    phase_cost_stats const before = cost("x", 1);
    phase_cost_stats const d = tslab::tool::since(now, before);
    BOOST_TEST(d.phases == 2040u);
    BOOST_TEST(d.bytes_sum == now.bytes_sum - before.bytes_sum);
    BOOST_TEST(d.bytes.total() == 2040u);
    BOOST_TEST(d.wall_ns.total() == 2040u);
    BOOST_TEST(d.bytes_max == 1'000'000u);
    BOOST_TEST((tslab::tool::since(before, now) == before));
    tslab::snapshot const s = with_costs();
    BOOST_TEST(tslab::tool::cost_of_label(s, now) == nullptr);
    BOOST_TEST(tslab::tool::cost_of_label(s, cost("GET /join")) == &s.phase_costs[0]);
}

BOOST_AUTO_TEST_CASE(the_labels_with_the_most_bytes_are_exposed)
{
    std::vector<phase_cost_stats> all;
    for (std::size_t i = 0; i < tslab::tool::exposed_cost_labels + 3; ++i)
        all.push_back(cost(std::to_string(i), 1 + i % 50));
    all.push_back(all[0]);   // of a damaged snapshot
    auto const chosen = tslab::tool::choose(all);
    BOOST_TEST(chosen.shown.size() == tslab::tool::exposed_cost_labels);
    BOOST_TEST(chosen.omitted == 3u);
    BOOST_TEST(std::ranges::is_sorted(chosen.shown));
    BOOST_TEST(std::ranges::count(chosen.shown, 0u) == 0);   // of the smallest
}

BOOST_AUTO_TEST_CASE(top_ranks_labels_by_what_their_phases_cost)
{
    std::string const text = to_json(with_costs());
    answer const a = tool({"top", "--stdin", "--phases", "--by", "bytes_p99"}, text);
    BOOST_TEST(a.code == 0, a.err);
    for (char const* const part : {"bytes_p99", "976.6 KiB", "GET /join", "5.0 ms"})
        BOOST_TEST(contains(a.out, part), part << " is not in\n" << a.out);
    auto const lines = objects(tool({"top", "--stdin", "--phases", "--json"}, text).out);
    BOOST_REQUIRE(lines.size() == 2u);
    BOOST_TEST(lines[0].at("by").as_string() == "bytes_sum");
    BOOST_TEST(lines[0].at("label").as_string() == "GET /join");
    BOOST_TEST(tool({"top", "--stdin", "--phases", "--labels"}, text).code == 2);
    BOOST_TEST(contains(tool({"top", "--stdin", "--phases", "--by", "bytes_p9"}, text).err, "bytes_p90"));
}

BOOST_AUTO_TEST_CASE(two_looks_at_a_process_give_rates)
{
    tslab::allocator heap{{.name = "live labels"}};
    std::atomic<bool> over{false};
    std::thread work{[&] {
        while (!over.load()) {
            tslab::epoch_scope scope{heap, "live"};
            scope.resource()->deallocate(scope.resource()->allocate(1024), 1024);
            std::this_thread::sleep_for(std::chrono::microseconds{100});
        }
    }};
    auto const lines = objects(
        tool({"labels", std::to_string(::getpid()), "--heap", "live labels", "--window", "300ms", "--json"}).out);
    over.store(true);
    work.join();
    BOOST_REQUIRE(lines.size() == 1u);
    BOOST_TEST(lines[0].at("interval_sec").to_number<double>() > 0.25);
    double const phases = lines[0].at("phases_per_sec").to_number<double>();
    BOOST_TEST(phases > 10);
    BOOST_TEST(lines[0].at("bytes_per_sec").to_number<double>() == 1024 * phases, boost::test_tools::tolerance(1e-9));
    BOOST_TEST(lines[0].at("bytes_p99").to_number<int>() == 1024);
}
