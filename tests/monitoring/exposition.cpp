// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The metrics of snapshots: names and units, one family once, labels that come from a program and stay bounded.
#define BOOST_TEST_MODULE exposition
#include <boost/test/unit_test.hpp>

#include "tslab/exposed_threads.hpp"
#include "tslab/exposition.hpp"
#include <cstddef>
#include <cstdint>
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

BOOST_AUTO_TEST_CASE(threads_are_bounded_and_those_with_contention_remain)
{
    tslab::snapshot s = synthetic_heap();
    for (std::uint64_t i = 0; i < 200; ++i) {
        tslab::thread_stats& t = s.threads.emplace_back();
        t.thread_id = i + 1;
        t.alive = true;
        t.name = "worker";
        t.allocations = 1000 - i;
    }
    s.threads[150].bitmap_free_cas_retries = 1;
    s.threads[150].bitmap_free_attempts = 10;
    s.threads[170].lock_contended = 2;
    s.threads[180].alive = false;
    s.threads[180].lock_contended = 1'000;
    s.threads.push_back(s.threads[0]);   // a damaged snapshot
    std::string const text = exposition({s});
    using tslab::tool::exposed_threads;
    BOOST_TEST(lines_with(text, "temporal_slab_thread_allocations_total{") == exposed_threads);
    BOOST_TEST(has_line(text, R"(temporal_slab_threads{heap="synthetic"} 200)"));
    BOOST_TEST(has_line(
        text, R"(temporal_slab_threads_omitted{heap="synthetic"} 167)"));   // of 199, without the second of one
    for (char const* const line : {
             R"(temporal_slab_thread_bitmap_free_cas_retries_total{heap="synthetic",thread="151",name="worker"} 1)",
             R"(temporal_slab_thread_bitmap_free_attempts_total{heap="synthetic",thread="151",name="worker"} 10)",
             R"(temporal_slab_thread_lock_contended_total{heap="synthetic",thread="171",name="worker"} 2)",
             R"(temporal_slab_thread_allocations_total{heap="synthetic",thread="1",name="worker"} 1000)",
             R"(temporal_slab_thread_allocations_total{heap="synthetic",thread="30",name="worker"} 971)",
         })
        BOOST_TEST(has_line(text, line), line);
    BOOST_TEST(text.find(R"(thread="31")") == std::string::npos);
    BOOST_TEST(text.find(R"(thread="181")") == std::string::npos);
    s.threads.resize(exposed_threads);
    BOOST_TEST(has_line(exposition({s}), R"(temporal_slab_threads_omitted{heap="synthetic"} 0)"));
}

BOOST_AUTO_TEST_CASE(lock_times_are_histograms_while_they_are_taken)
{
    tslab::snapshot s = synthetic_heap();
    BOOST_TEST(exposition({s}).find("temporal_slab_lock_") == std::string::npos);
    s.global.lock_timing = {.samples = 3, .wait_ns = 500, .hold_ns = 40'000'700};
    auto& h = s.global.lock_histograms.emplace();
    h.wait.buckets[0] = 2;
    h.wait.buckets[9] = 1;
    h.hold.buckets[9] = 2;    // 256 to 511 ns
    h.hold.buckets[26] = 1;   // 33.6 to 67.1 ms
    std::string const text = exposition({s});
    for (char const* const line : {
             "# TYPE temporal_slab_lock_hold_seconds histogram",
             R"(temporal_slab_lock_hold_seconds_bucket{heap="synthetic",le="2.55e-07"} 0)",
             R"(temporal_slab_lock_hold_seconds_bucket{heap="synthetic",le="5.11e-07"} 2)",
             R"(temporal_slab_lock_hold_seconds_bucket{heap="synthetic",le="0.033554431"} 2)",
             R"(temporal_slab_lock_hold_seconds_bucket{heap="synthetic",le="0.067108863"} 3)",
             R"(temporal_slab_lock_hold_seconds_bucket{heap="synthetic",le="+Inf"} 3)",
             R"(temporal_slab_lock_hold_seconds_count{heap="synthetic"} 3)",
             R"(temporal_slab_lock_hold_seconds_sum{heap="synthetic"} 0.0400007)",
             R"(temporal_slab_lock_wait_seconds_bucket{heap="synthetic",le="1e-09"} 2)",
             R"(temporal_slab_lock_wait_seconds_count{heap="synthetic"} 3)",
         })
        BOOST_TEST(has_line(text, line), line);
}

// The facts of a close are gauges of its epoch, which a later epoch of the ring slot would take away between two scrapes.
BOOST_AUTO_TEST_CASE(the_facts_of_a_close_outlive_its_ring_slot)
{
    tslab::snapshot s = synthetic_heap();
    tslab::epoch_stats& e = support::add_epoch(s, tslab::lifecycle::drained, "batch");
    e.label_id = 1;
    e.rss_before_close = 8192;
    e.rss_after_close = 4096;
    e.madvise_bytes = e.madvise_asked_bytes = e.madvise_gone_bytes = 4096;
    s.labels.insert(s.labels.begin() + 1, {.label_id = 1, .name = "batch"});
    s.labels[1].last_close = {.index = e.index,
                              .era = e.era,
                              .label = "batch",
                              .nanoseconds = 2'000'000,
                              .rss_before = 8192,
                              .rss_after = 4096,
                              .madvise_bytes = 4096,
                              .madvise_asked_bytes = 4096,
                              .madvise_gone_bytes = 4096};
    s.labels[1].last_close->timestamp_ns = s.timestamp_ns;
    auto const has_facts = [&] {
        std::string const text = exposition({s});
        for (
            char const* const line : {
                R"(temporal_slab_epoch_rss_before_close_bytes{heap="synthetic",epoch="1",state="DRAINED",label="batch"} 8192)",
                R"(temporal_slab_epoch_rss_after_close_bytes{heap="synthetic",epoch="1",state="DRAINED",label="batch"} 4096)",
                R"(temporal_slab_epoch_madvise_bytes{heap="synthetic",epoch="1",state="DRAINED",label="batch"} 4096)",
                R"(temporal_slab_label_last_close_rss_before_bytes{heap="synthetic",label="batch"} 8192)",
                R"(temporal_slab_label_last_close_duration_seconds{heap="synthetic",label="batch"} 0.002)",
                R"(temporal_slab_label_last_close_madvise_gone_bytes{heap="synthetic",label="batch"} 4096)",
            })
            BOOST_TEST(has_line(text, line), line);
        BOOST_TEST(
            lines_with(text,
                       R"(temporal_slab_epoch_rss_before_close_bytes{heap="synthetic",epoch="1",state="DRAINED")") ==
            1u);
    };
    has_facts();   // from the epoch
    s.epochs[1].era = 999;
    s.epochs[1].lifecycle = tslab::lifecycle::active;
    s.epochs[1].rss_before_close = s.epochs[1].rss_after_close = 0;
    s.epochs[1].madvise_bytes = s.epochs[1].madvise_asked_bytes = s.epochs[1].madvise_gone_bytes = 0;
    has_facts();   // from the label, while another phase has the slot
    s.epochs[1].lifecycle =
        tslab::lifecycle::drained;   // another close of the label in that slot, of which less is known
    s.epochs[1].madvise_asked_bytes = 12288;
    std::string const text = exposition({s});
    BOOST_TEST(has_line(
        text,
        R"(temporal_slab_epoch_madvise_asked_bytes{heap="synthetic",epoch="1",state="DRAINED",label="batch"} 12288)"));
    BOOST_TEST(lines_with(text, "temporal_slab_epoch_rss_before_close_bytes{") == 0u);
    // Nor do they vanish because many others closed later.
    s.epochs[1].era = s.labels[1].last_close->era;
    for (std::size_t i = 0; i < tslab::tool::exposed_drained_epochs; ++i)
        support::add_epoch(s, tslab::lifecycle::drained, "other").rss_before_close = 4096;
    has_facts();
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

BOOST_AUTO_TEST_CASE(what_phases_cost_is_a_histogram_by_label)
{
    tslab::snapshot s = synthetic_heap();
    tslab::phase_cost_stats& c = s.phase_costs.emplace_back();
    c.label = "GET /";
    c.label_id = 1;
    c.phases = 5;
    c.empty_phases = 1;
    c.bytes.buckets[0] = 1;
    c.bytes.buckets[tslab::quarter_histogram::bucket_of(1023)] = 2;
    c.bytes.buckets[tslab::quarter_histogram::bucket_of(1024)] = 1;
    c.bytes.buckets[tslab::quarter_histogram::bucket_of(std::uint64_t{1} << 40)] = 1;
    c.bytes_sum = 4711;
    c.bytes_max = std::uint64_t{1} << 40;
    c.wall_ns.buckets[tslab::quarter_histogram::bucket_of(2'000'000'000)] = 5;
    c.wall_ns_sum = 10'000'000'000;
    c.wall_ns_max = 2'000'000'000;
    std::string const text = exposition({s});
    for (char const* const line : {R"(# TYPE temporal_slab_phase_bytes histogram)",
                                   R"(temporal_slab_phase_bytes_bucket{heap="synthetic",label="GET /",le="63"} 1)",
                                   R"(temporal_slab_phase_bytes_bucket{heap="synthetic",label="GET /",le="1023"} 3)",
                                   R"(temporal_slab_phase_bytes_bucket{heap="synthetic",label="GET /",le="2047"} 4)",
                                   R"(temporal_slab_phase_bytes_bucket{heap="synthetic",label="GET /",le="+Inf"} 5)",
                                   R"(temporal_slab_phase_bytes_sum{heap="synthetic",label="GET /"} 4711)",
                                   R"(temporal_slab_phase_bytes_count{heap="synthetic",label="GET /"} 5)",
                                   R"(temporal_slab_phase_seconds_sum{heap="synthetic",label="GET /"} 10)",
                                   R"(temporal_slab_phase_seconds_max{heap="synthetic",label="GET /"} 2)",
                                   R"(temporal_slab_phases_total{heap="synthetic",label="GET /"} 5)",
                                   R"(temporal_slab_phases_empty_total{heap="synthetic",label="GET /"} 1)",
                                   R"(temporal_slab_phase_labels_omitted{heap="synthetic"} 0)"})
        BOOST_TEST(has_line(text, line), line);
    BOOST_TEST(lines_with(text, "temporal_slab_phase_bytes_bucket") == 30u);
    BOOST_TEST(lines_with(text, "temporal_slab_phase_bytes_sum_total") == 0u);
    // Objects were counted where no reader sees it: how many phases there were is known, but not how many had few objects.
    BOOST_TEST(lines_with(text, "temporal_slab_phase_objects_bucket") == 1u);
    for (char const* const line : {R"(temporal_slab_phase_objects_bucket{heap="synthetic",label="GET /",le="+Inf"} 5)",
                                   R"(temporal_slab_phase_objects_count{heap="synthetic",label="GET /"} 5)"})
        BOOST_TEST(has_line(text, line), line);
    tslab::phase_cost_stats const again = c;
    s.phase_costs.push_back(again);   // a damaged snapshot
    s.phase_costs.push_back(again);
    s.phase_costs.back().label = "GET /\x01";
    s.phase_costs.push_back(again);
    s.phase_costs.back().label = "GET /\x02";
    BOOST_TEST(lines_with(exposition({s}), "temporal_slab_phases_total") == 3u);
}
