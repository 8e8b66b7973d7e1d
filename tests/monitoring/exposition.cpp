// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The metrics of snapshots: names and units, one family once, labels that come from a program and stay bounded.
#define BOOST_TEST_MODULE exposition
#include <boost/test/unit_test.hpp>

#include "tslab/exposition.hpp"
#include <cstddef>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "filled_snapshot.hpp"
#include "synthetic.hpp"

using support::synthetic_heap;
using tslab::tool::exposition;

namespace {

std::vector<std::string> lines_of(std::string const& text)
{
    std::istringstream in{text};
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

bool has_line(std::string const& text, std::string_view line)
{
    for (std::string const& one : lines_of(text))
        if (one == line)
            return true;
    return false;
}

std::size_t lines_with(std::string const& text, std::string_view begin)
{
    std::size_t n = 0;
    for (std::string const& line : lines_of(text))
        n += line.starts_with(begin) ? 1 : 0;
    return n;
}

}

BOOST_AUTO_TEST_CASE(names_the_figures_as_old_queries_expect)
{
    tslab::snapshot s = synthetic_heap();
    s.name = "orders";
    s.global.madvise_bytes = 8192;
    s.classes[2].allocations = 1;
    s.classes[2].slow_path_hits = 7;
    s.classes[2].by_label[0].lock_contended = 3;
    tslab::epoch_stats& e = support::add_held(s, "background-worker-3", 600, 12288);
    e.empty_slabs = 25;
    e.label_id = 1;
    s.labels.insert(s.labels.begin() + 1, {.label_id = 1, .name = "background-worker-3"});
    std::string const text = exposition({s});
    for (
        char const* const line : {
            R"(temporal_slab_madvise_bytes_total{heap="orders"} 8192)",
            R"(temporal_slab_class_slow_path_hits_total{heap="orders",class="2",object_size="128"} 7)",
            R"(temporal_slab_class_lock_contended_by_label_total{heap="orders",class="2",object_size="128",label="unlabeled"} 3)",
            R"(temporal_slab_epoch_age_seconds{heap="orders",epoch="1",state="ACTIVE",label="background-worker-3"} 600)",
            R"(temporal_slab_epoch_refcount{heap="orders",epoch="1",state="ACTIVE",label="background-worker-3"} 1)",
            R"(temporal_slab_epoch_rss_bytes{heap="orders",epoch="1",state="ACTIVE",label="background-worker-3"} 50331648)",
            R"(temporal_slab_epoch_reclaimable_slabs{heap="orders",epoch="1",state="ACTIVE",label="background-worker-3"} 25)",
            R"(temporal_slab_epoch_state{heap="orders",epoch="1",state="ACTIVE",label="background-worker-3"} 1)",
            R"(process_resident_memory_bytes 10485760)",
        })
        BOOST_TEST(has_line(text, line), line);
}

BOOST_AUTO_TEST_CASE(times_are_in_seconds)
{
    tslab::snapshot s = synthetic_heap();
    s.global.epoch_close_total_ns = 2'500'000'000;
    s.sampled.alloc.samples = 3;
    s.sampled.alloc.wall_ns_sum = 3'000;
    s.sampled.alloc.wall.buckets[10] = 3;   // 512 to 1,023 ns
    std::string const text = exposition({s});
    BOOST_TEST(has_line(text, R"(temporal_slab_epoch_close_seconds_total{heap="synthetic"} 2.5)"));
    BOOST_TEST(has_line(text, R"(temporal_slab_alloc_wall_seconds_sum{heap="synthetic"} 3e-06)"));
    BOOST_TEST(has_line(text, R"(temporal_slab_alloc_wall_seconds_bucket{heap="synthetic",le="5.11e-07"} 0)"));
    BOOST_TEST(has_line(text, R"(temporal_slab_alloc_wall_seconds_bucket{heap="synthetic",le="1.023e-06"} 3)"));
    BOOST_TEST(has_line(text, R"(temporal_slab_alloc_wall_seconds_bucket{heap="synthetic",le="+Inf"} 3)"));
}

BOOST_AUTO_TEST_CASE(every_family_comes_once_with_a_help_and_a_type)
{
    tslab::snapshot other = support::filled_snapshot();
    other.pid = 17;
    std::set<std::string> seen;
    std::string last;
    for (std::string const& line : lines_of(exposition({synthetic_heap(), support::filled_snapshot(), other}))) {
        if (line.starts_with("# HELP ")) {
            last = line.substr(7, line.find(' ', 7) - 7);
            BOOST_TEST(line.size() > std::string_view{"# HELP  "}.size() + last.size(), line);
        } else if (line.starts_with("# TYPE "))
            BOOST_TEST(seen.insert(line.substr(7, line.find(' ', 7) - 7)).second, line);
        else
            BOOST_TEST(line.starts_with(last), line);
    }
    BOOST_TEST(seen.size() > 200u);
}

BOOST_AUTO_TEST_CASE(no_series_comes_twice_whatever_heaps_and_labels_are_called)
{
    tslab::snapshot s = support::filled_snapshot();
    s.labels[1].name = "other";
    s.labels[2].name = "a\xff";
    s.labels[3].name = "a\xfe";
    s.labels[4].name = "unlabeled";
    s.labels[6].label_id = 5;   // a damaged snapshot
    s.labels[7].label_id = 4711;
    s.classes.push_back(s.classes[3]);
    s.epochs.push_back(s.epochs[1]);
    s.epochs.push_back(s.epochs[3]);
    s.misuses.push_back(s.misuses[0]);
    std::set<std::string> seen;
    for (std::string const& line : lines_of(exposition({s, s, synthetic_heap(), synthetic_heap()})))
        if (!line.starts_with('#'))
            BOOST_TEST(seen.insert(line.substr(0, line.rfind(' '))).second, line);
}

BOOST_AUTO_TEST_CASE(labels_are_escaped_and_harmless)
{
    tslab::snapshot s = synthetic_heap();
    s.name = "a\\b\"c\nd\xff\x1b[2J";
    BOOST_TEST(lines_with(exposition({s}), R"(temporal_slab_live_bytes{heap="a\\b\"c?d??[2J"})") == 1u);
}

BOOST_AUTO_TEST_CASE(processes_are_told_apart_when_there_are_several)
{
    tslab::snapshot const one = synthetic_heap();
    tslab::snapshot two = one;
    two.pid = 17;
    BOOST_TEST(lines_with(exposition({one}), R"(temporal_slab_live_bytes{heap="synthetic"})") == 1u);
    BOOST_TEST(lines_with(exposition({one, two}), R"(temporal_slab_live_bytes{pid="17",heap="synthetic"})") == 1u);
    BOOST_TEST(lines_with(exposition({one, two}), R"(process_resident_memory_bytes{pid="4711"})") == 1u);
    BOOST_TEST(lines_with(exposition({one}, tslab::tool::pid_label::always),
                          R"(temporal_slab_live_bytes{pid="4711",heap="synthetic"})") == 1u);
    BOOST_TEST(lines_with(exposition({}), "temporal_slab_build_info{") == 1u);
}

BOOST_AUTO_TEST_CASE(epochs_are_bounded_and_those_that_matter_remain)
{
    tslab::snapshot s = synthetic_heap();
    for (int i = 0; i < 2000; ++i)
        support::add_held(s, "many", i == 700 ? 1e9 : i, i == 900 ? 100'000 : 1);
    for (int i = 0; i < 50; ++i)
        support::add_epoch(s, tslab::lifecycle::drained, "done").rss_before_close = 4096;
    support::add_epoch(s, tslab::lifecycle::idle, "never");
    std::string const text = exposition({s});
    using tslab::tool::exposed_epochs;
    BOOST_TEST(lines_with(text, "temporal_slab_epoch_age_seconds{") == exposed_epochs);
    BOOST_TEST(lines_with(text, R"(temporal_slab_epoch_age_seconds{heap="synthetic",epoch="701",)") == 1u);   // oldest
    BOOST_TEST(lines_with(text, R"(temporal_slab_epoch_age_seconds{heap="synthetic",epoch="901",)") == 1u);   // largest
    BOOST_TEST(has_line(text, R"(temporal_slab_epochs_omitted{heap="synthetic"} 1745)"));
    BOOST_TEST(lines_with(text, "temporal_slab_epoch_rss_before_close_bytes{") == tslab::tool::exposed_drained_epochs);
    BOOST_TEST(lines_with(text, R"(temporal_slab_epoch_rss_before_close_bytes{heap="synthetic",epoch="2050",)") == 1u);
}

BOOST_AUTO_TEST_CASE(a_label_the_program_made_up_is_no_label_of_a_metric)
{
    tslab::snapshot s = synthetic_heap();
    support::add_held(s, "user 4711", 1).label_id = tslab::label_buckets - 1;   // beyond the registry
    std::string const text = exposition({s});
    BOOST_TEST(text.find("4711") == std::string::npos);
    BOOST_TEST(
        lines_with(text, R"(temporal_slab_epoch_refcount{heap="synthetic",epoch="1",state="ACTIVE",label="other"})") ==
        1u);
}

BOOST_AUTO_TEST_CASE(counters_end_in_total_and_nothing_else_does)
{
    for (std::string const& line : lines_of(exposition({support::filled_snapshot()}))) {
        if (!line.starts_with("# TYPE "))
            continue;
        std::string const name = line.substr(7, line.find(' ', 7) - 7);
        BOOST_TEST(name.ends_with("_total") == line.ends_with(" counter"), line);
    }
}
