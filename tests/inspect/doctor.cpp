// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor as a whole: nothing fires on a healthy heap, two snapshots are compared, real heaps are judged rightly, and every finding
// has its section in docs/diagnosis.md. The limits of the findings are in doctor_epochs.cpp, doctor_events.cpp, doctor_memory.cpp and
// doctor_speed.cpp; the texts are in doctor_text.cpp.
#define BOOST_TEST_MODULE doctor
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "doctor.hpp"
#include "recorder.hpp"

using doctor::before;
using doctor::label;
using doctor::only;
using doctor::same_before;
using doctor::severity_of;
using doctor::timing;
using support::add_closed;
using support::mib;
using support::synthetic_heap;
using tslab::snapshot;

BOOST_AUTO_TEST_CASE(nothing_is_found_where_nothing_is)
{
    BOOST_TEST(tslab::diagnose({}).size() == 0u);
    BOOST_TEST(tslab::diagnose(synthetic_heap()).size() == 0u);
    auto const s = synthetic_heap();
    auto const b = before(s);
    BOOST_TEST(tslab::diagnose(s, &b).size() == 0u);
    BOOST_TEST(tslab::to_text({}) == "No findings.\n");
}

BOOST_AUTO_TEST_CASE(nothing_is_found_in_a_small_heap_whose_ratios_look_bad)
{
    // A process that did a few hundred things: every ratio is as bad as it can be, and means nothing.
    auto s = synthetic_heap();
    for (auto& c : s.classes) {
        if (c.object_size == 0)
            continue;
        c.allocations = c.slow_path_hits = c.slow_path_cache_miss = c.current_partial_null = 100;
        c.empty_slab_overflowed = 100;
        c.contention = {.lock_fast_acquire = 100,
                        .lock_contended = 100,
                        .bitmap_alloc_cas_retries = 100,
                        .bitmap_free_cas_retries = 100};
        c.bitmap_alloc_attempts = c.bitmap_free_attempts = c.current_partial_cas_attempts = 100;
        c.current_partial_lost_races = 100;
    }
    auto& g = s.global;
    g.allocations = g.slow_path_hits = 800;
    g.lock_contended = g.lock_fast_acquire = 800;
    g.epoch_closes = 9;
    g.epoch_close_timed = 9;
    g.epoch_close_total_ns = 9'000'000'000;
    g.epoch_close_scanned_slabs = 999;
    g.empty_held_bytes = 64 * mib - 1;
    g.committed_bytes = 31 * mib;
    g.rss_bytes = 255 * mib;
    s.sampled.alloc = timing(999, 999'000'000, 1);
    g.madvise_asked_bytes = mib - 1;
    for (int i = 0; i < 10; ++i)
        add_closed(s, "late", 100, 1, 1, 1);
    BOOST_TEST(tslab::to_text(tslab::diagnose(s)) == "No findings.\n");
    auto const b = before(s);
    BOOST_TEST(tslab::to_text(tslab::diagnose(s, &b)) == "No findings.\n");
}

// Two snapshots.

BOOST_AUTO_TEST_CASE(with_an_earlier_snapshot_only_what_happened_since_counts)
{
    auto s = synthetic_heap();
    auto& g = s.global;
    g.ring_exhausted = g.slow_path_epoch_closed = g.out_of_memory = g.leaked_objects = g.refused_handles = 100'000;
    g.labels_in_overflow = g.labels_cut = g.madvise_failures = g.madvise_calls = 100'000;
    g.epoch_close_scanned_slabs = g.epoch_close_timed = 100'000;
    g.epoch_close_total_ns = 10'000'000'000'000;
    g.madvise_asked_bytes = 100 * mib;
    g.misuses = 3;
    s.misuses = {{"double_free", 3}};
    s.labels[0].escapes = 100'000;
    for (auto& c : s.classes) {
        if (c.object_size == 0)
            continue;
        c.allocations = c.slow_path_hits = c.slow_path_cache_miss = c.empty_slab_overflowed = 100'000;
        c.contention = {100'000, 100'000, 100'000, 100'000};
        c.bitmap_alloc_attempts = c.bitmap_free_attempts = c.current_partial_cas_attempts = 100'000;
        c.current_partial_lost_races = 100'000;
        c.by_label[0] = c.contention;
    }
    s.sampled.alloc = timing(100'000, 1'000'000'000, 1);
    std::set<std::string> codes;
    for (auto const& f : tslab::diagnose(s))
        codes.insert(f.code);
    BOOST_TEST(codes.size() == 20u);
    auto b = same_before(s);
    BOOST_TEST(tslab::to_text(tslab::diagnose(s, &b)) == "No findings.\n");
    b = before(s);
    codes.clear();
    for (auto const& f : tslab::diagnose(s, &b)) {
        codes.insert(f.code);
        BOOST_TEST(f.evidence.find("in 10 s") != std::string::npos, f.evidence);
    }
    BOOST_TEST(codes.size() == 20u);
}

BOOST_AUTO_TEST_CASE(rates_have_a_floor_in_events_a_second)
{
    auto s = synthetic_heap();
    s.classes[0].contention = {.lock_fast_acquire = 5'000, .lock_contended = 5'000};
    auto b = before(s, 100);
    BOOST_TEST(severity_of(tslab::diagnose(s, &b), "lock_contention") == "critical");   // 100 a second
    b = before(s, 100.1);
    BOOST_TEST(severity_of(tslab::diagnose(s, &b), "lock_contention") == "none");
}

BOOST_AUTO_TEST_CASE(a_snapshot_that_does_not_fit_is_not_compared_with)
{
    auto s = synthetic_heap();
    s.global.ring_exhausted = 5;
    auto const unfit = [&](auto&& change) {
        auto b = same_before(s);
        change(b);
        return only(s, &b).evidence.starts_with("5 times since the start");
    };
    BOOST_TEST(unfit([](snapshot& b) { b.pid += 1; }));
    BOOST_TEST(unfit([](snapshot& b) { b.name = "another"; }));
    BOOST_TEST(unfit([&](snapshot& b) { b.timestamp_ns = s.timestamp_ns; }));
    BOOST_TEST(unfit([&](snapshot& b) { b.timestamp_ns = s.timestamp_ns + 1; }));
    // Of one boot, CLOCK_MONOTONIC says which is the earlier, however the other clock was set meanwhile.
    s.monotonic_ns = 5'000'000'000;
    s.boot_id = "0e9d4e1c-58a7-4b25-bd06-6d4a4e1b6a9c";
    auto const compared = [&](std::uint64_t timestamp_ns, std::uint64_t monotonic_ns, char const* boot) {
        auto b = doctor::before(s);
        b.timestamp_ns = timestamp_ns;
        b.monotonic_ns = monotonic_ns;
        b.boot_id = boot;
        return only(s, &b).evidence;
    };
    for (std::uint64_t const set : {std::uint64_t{1}, s.timestamp_ns, s.timestamp_ns + 3'600'000'000'000})
        BOOST_TEST(compared(set, 3'000'000'000, s.boot_id.c_str()).starts_with("5 times in 2.0 s"), set);
    BOOST_TEST(compared(1, 5'000'000'000, s.boot_id.c_str()).starts_with("5 times since the start"));
    BOOST_TEST(compared(s.timestamp_ns - 3'000'000'000, 7'000'000'000, "another").starts_with("5 times in 3.0 s"));
    BOOST_TEST(compared(s.timestamp_ns - 3'000'000'000, 0, s.boot_id.c_str()).starts_with("5 times in 3.0 s"));
    s.monotonic_ns = 0;
    s.boot_id.clear();
    auto b = same_before(s);
    b.global.ring_exhausted = 9;   // counters that fell are none of this heap
    BOOST_TEST(tslab::diagnose(s, &b).size() == 0u);
    b.classes.clear();
    b.epochs.clear();
    b.labels.clear();
    BOOST_TEST(tslab::diagnose(s, &b).size() == 0u);
}

// Real heaps.

BOOST_AUTO_TEST_CASE(a_busy_healthy_heap_has_no_findings)
{
    support::recorder const misuse;
    tslab::allocator heap{{.name = "busy"}};
    tslab::epoch_resource cache{heap, {.label = "cache"}};   // lives as long as the program
    auto const kept = cache.allocate(500);
    auto const serve = [&](unsigned seed, std::size_t requests) {
        std::mt19937 random{seed};
        for (std::size_t r = 0; r < requests; ++r) {
            tslab::epoch_scope scope{heap, "request"};
            std::vector<std::pair<void*, std::size_t>> all;
            for (int i = 0; i < 150;
                 ++i) {   // so small that the thread's own retained slabs serve them: no lock to wait for
                std::size_t const bytes = 8 + random() % 377;
                all.emplace_back(scope.resource()->allocate(bytes), bytes);
            }
            std::shuffle(all.begin(), all.end(), random);
            for (auto const& [p, bytes] : all)
                scope.resource()->deallocate(p, bytes);
        }
    };
    auto const round = [&](unsigned seed) {
        std::thread other{serve, seed, support::scaled(3'000)};
        serve(seed + 1, support::scaled(3'000));
        other.join();
        heap.close(heap.current_epoch());
    };
    snapshot const start = heap.snapshot();
    BOOST_TEST(tslab::to_text(tslab::diagnose(start)) == "No findings.\n");
    round(1);
    snapshot const middle = heap.snapshot();
    BOOST_TEST(tslab::to_text(tslab::diagnose(middle)) == "No findings.\n");
    BOOST_TEST(tslab::to_text(tslab::diagnose(middle, &start)) == "No findings.\n");
    round(3);
    snapshot const end = heap.snapshot();
    BOOST_TEST(tslab::to_text(tslab::diagnose(end)) == "No findings.\n");
    BOOST_TEST(tslab::to_text(tslab::diagnose(end, &middle)) == "No findings.\n");
    BOOST_TEST(end.global.allocations == support::scaled(3'000) * 4 * 150 + 1);
    cache.deallocate(kept, 500);
    BOOST_TEST(misuse.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_sick_real_heap_is_told_what_is_wrong)
{
    support::recorder const misuse;
    tslab::allocator heap{{.name = "sick", .epoch_count = 3}};
    tslab::epoch_domain forgotten{heap, {.label = "forgotten"}};
    forgotten.enter();
    tslab::epoch_domain second{heap, {.label = "second"}};
    second.enter();
    second.force_close();
    BOOST_TEST(heap.malloc(100, second.epoch()) == nullptr);
    {
        tslab::epoch_resource leaky{heap};   // shares the current epoch: no slot is left
        (void)leaky.allocate(64);
    }
    auto const s = heap.snapshot();
    tslab::doctor_thresholds limits;
    limits.leak_seconds = limits.leak_large_seconds = 0;
    std::set<std::string> codes;
    for (auto const& f : tslab::diagnose(s, nullptr, limits))
        codes.insert(f.code);
    for (char const* code : {"epoch_leak", "closed_epoch_allocation", "ring_exhausted", "resource_leak"})
        BOOST_TEST(codes.contains(code), code);
    BOOST_TEST(severity_of(s, "epoch_leak") == "none");   // a moment later it is no leak yet
    second.exit();
    forgotten.exit();
}

// The document.

BOOST_AUTO_TEST_CASE(every_code_is_documented_and_no_other)
{
    std::set<std::string> known;
    for (auto const& kind : tslab::finding_kinds)
        BOOST_TEST(known.insert(std::string{kind.code}).second, kind.code);
    std::ifstream document{std::filesystem::path{__FILE__}.parent_path() / "../../docs/diagnosis.md"};
    BOOST_REQUIRE(document.is_open());
    std::set<std::string> documented;
    for (std::string line; std::getline(document, line);)
        if (line.starts_with("### `") && line.ends_with("`"))
            BOOST_TEST(documented.insert(line.substr(5, line.size() - 6)).second, line);
    BOOST_TEST(documented == known, boost::test_tools::per_element());
}
