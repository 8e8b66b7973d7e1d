// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor on speed: caches, slow paths, locks, repeated claims, waiting threads. Each finding fires from its limit on and
// not below it.
#define BOOST_TEST_MODULE doctor_speed
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <string>

#include "doctor.hpp"

using doctor::before;
using doctor::figure_of;
using doctor::label;
using doctor::only;
using doctor::severity_of;
using support::synthetic_heap;

BOOST_AUTO_TEST_CASE(cache_too_small)
{
    auto s = synthetic_heap();
    auto& c = s.classes[7];
    s.global.slab_pages = 400;
    c.cached_slabs = 20;   // of four pages each
    s.global.large_pages = 10;
    s.global.free_resident_pages = 11;
    s.global.free_purged_pages = 499;
    c.allocations = 1'000'000;
    c.empty_slab_overflowed = 1000;
    c.empty_slab_recycled = 9000;
    c.slow_path_cache_miss = 1000;   // each page has been taken four times
    c.cache_hits = 9000;
    auto const f =
        only(s, "cache_too_small", "warning",
             "10.0 % of the slabs that became empty since the start found the cache of 8 full, and 10.0 % of the "
             "slabs asked for were not in it: the same pages go out and come back.");
    BOOST_TEST(f.subject == "class 768");
    BOOST_TEST(f.action ==
               "Raise allocator_options::slab_cache, for a try to 64; it may keep that many pages of each class "
               "resident.");
    auto const with = [&](std::uint64_t overflowed, std::uint64_t recycled, std::uint64_t misses, std::uint64_t hits) {
        auto t = s;
        t.classes[7].empty_slab_overflowed = overflowed;
        t.classes[7].empty_slab_recycled = recycled;
        t.classes[7].slow_path_cache_miss = misses;
        t.classes[7].cache_hits = hits;
        return severity_of(t, "cache_too_small");
    };
    BOOST_TEST(with(999, 0, 1000, 0) == "none");   // too few to judge
    BOOST_TEST(with(1000, 0, 999, 0) == "none");
    BOOST_TEST(with(1000, 9001, 1000, 9000) == "none");   // just below a tenth
    BOOST_TEST(with(1000, 9000, 1000, 9001) == "none");
    BOOST_TEST(with(1000, 1000, 1000, 1000) == "critical");
    BOOST_TEST(with(1000, 1001, 1000, 1000) == "warning");
    BOOST_TEST(with(1000, 1000, 1000, 1001) == "warning");
    s.global.free_purged_pages = 500;   // the heap had one page more: it grew rather than churned
    BOOST_TEST(with(1000, 9000, 1000, 9000) == "none");
    s.classes[0].slow_path_cache_miss = 3;
    BOOST_TEST(with(1000, 9000, 1000, 9000) == "none");
    s.classes[0].slow_path_cache_miss = 4;   // all classes together have those pages
    BOOST_TEST(with(1000, 9000, 1000, 9000) == "warning");
    s.global.free_purged_pages = 499;
    s.classes[0].slow_path_cache_miss = 0;
    s.decay_ms = 1000;
    s.global.madvise_bytes = s.page_size - 1;
    BOOST_TEST(with(1000, 9000, 1000, 9000) == "warning");
    s.global.madvise_bytes = s.page_size;   // the heap had one page more, and gave it back
    BOOST_TEST(with(1000, 9000, 1000, 9000) == "none");
    s.decay_ms = 0;   // it gives back at each close, also what is needed again
    BOOST_TEST(with(1000, 9000, 1000, 9000) == "warning");
    s.global.madvise_bytes = 0;
    s.classes[23].cache_capacity = 1;
    auto const raise = [&] {
        auto t = s;
        t.classes[23].empty_slab_overflowed = t.classes[23].slow_path_cache_miss = 1000;
        for (auto const& one : tslab::diagnose(t))
            if (one.subject == "class 65536")
                return one.action;
        return std::string{};
    };
    std::uint32_t const two = 2 * tslab::class_shapes[23].pages;
    BOOST_TEST(raise().find("for a try to " + std::to_string(two) + ";") != std::string::npos);   // two slabs
    s.reclaim = "eager";
    BOOST_TEST(with(1000, 1000, 1000, 1000) == "none");
    s.reclaim = "never";
    BOOST_TEST(with(1000, 1000, 1000, 1000) == "critical");
}

BOOST_AUTO_TEST_CASE(one_large_phase_is_no_churn)
{
    auto s = synthetic_heap();
    auto& c = s.classes[0];
    c.allocations = 64'000'000;
    c.slow_path_hits = c.slow_path_cache_miss = c.current_partial_null = 1'000'000;
    c.empty_slab_overflowed = 999'968;
    c.empty_slab_recycled = 32;
    s.global.free_purged_pages = 1'000'000;
    BOOST_TEST(tslab::to_text(tslab::diagnose(s)) == "No findings.\n");
    auto const b = before(s);
    BOOST_TEST(tslab::to_text(tslab::diagnose(s, &b)) == "No findings.\n");
}

BOOST_AUTO_TEST_CASE(slow_path_rate)
{
    auto s = synthetic_heap();
    auto& c = s.classes[0];   // 64 objects a slab
    c.allocations = 64'000;
    auto const with = [&](std::uint64_t hits, std::uint64_t misses) {
        c.slow_path_hits = c.current_partial_null = hits;
        c.slow_path_cache_miss = misses;
        return severity_of(s, "slow_path_rate");
    };
    BOOST_TEST(with(1000, 1000) == "none");   // what filling 1,000 slabs needs
    BOOST_TEST(with(1000 + 3199, 4199) == "none");
    BOOST_TEST(with(1000 + 3200, 0) == "hint");   // 5 % beyond, all served by caches
    BOOST_TEST(with(1000 + 3200, 419) == "hint");
    BOOST_TEST(with(1000 + 3200, 420) == "warning");
    BOOST_TEST(with(1000 + 3200, 4200) == "warning");
    BOOST_TEST(with(1000 + 12'800, 6899) == "warning");
    BOOST_TEST(with(1000 + 12'799, 13'799) == "warning");
    BOOST_TEST(with(1000 + 12'800, 6900) == "critical");
    auto const f = only(s);
    BOOST_TEST(f.evidence ==
               "21.6 % of the allocations since the start took the slow path, 20.0 % beyond what filling slabs needs; "
               "50.0 % of the slow paths needed a new page. Worst: class 64.");
    BOOST_TEST(figure_of(f, "avoidable_rate") == 0.2);
    c.objects_per_slab = 0;   // a file that does not say
    BOOST_TEST(with(1000 + 12'800, 6900) == "critical");
    c.allocations = 9'999;
    BOOST_TEST(with(9'999, 9'999) == "none");
    tslab::class_stats& large = s.classes[tslab::large_class];
    large.allocations = large.slow_path_hits = large.slow_path_cache_miss = 1'000'000;
    BOOST_TEST(with(0, 0) == "none");
}

BOOST_AUTO_TEST_CASE(lock_contention)
{
    auto s = synthetic_heap();
    s.labels.insert(s.labels.begin() + 1, label(1, "orders"));
    auto& c = s.classes[4];
    auto const with = [&](std::uint64_t waited, std::uint64_t fast) {
        c.contention.lock_contended = waited;
        c.contention.lock_fast_acquire = fast;
        return severity_of(s, "lock_contention");
    };
    BOOST_TEST(with(499, 9'501) == "none");
    BOOST_TEST(with(500, 9'500) == "warning");
    BOOST_TEST(with(500, 9'499) == "none");   // below the floor
    BOOST_TEST(with(1999, 8'001) == "warning");
    BOOST_TEST(with(2000, 8'000) == "critical");
    c.by_label[1].lock_contended = 1500;
    c.by_label[0].lock_contended = 500;
    c.lock_timing = {.samples = 10, .wait_ns = 12'345};
    auto f = only(s);
    BOOST_TEST(f.subject == "class 256");
    BOOST_TEST(f.evidence ==
               "2000 of 10000 acquisitions since the start had to wait (20.0 %), 1234 ns on average of those timed. "
               "Most under label \"orders\" (1500).");
    s.global.lock_contended = 50'000;
    s.global.lock_fast_acquire = 50'000;
    BOOST_TEST(only(s).subject == "class 256");   // the heap's own figure is not told in addition
    BOOST_TEST(with(0, 0) == "critical");
    f = only(s);
    BOOST_TEST(f.subject == "heap");
    BOOST_TEST(f.evidence == "50000 of 100000 acquisitions since the start had to wait (50.0 %).");
}

BOOST_AUTO_TEST_CASE(claim_retries)
{
    auto s = synthetic_heap();
    auto& c = s.classes[1];
    auto const alloc = [&](std::uint64_t retries, std::uint64_t attempts) {
        c.contention.bitmap_alloc_cas_retries = retries;
        c.bitmap_alloc_attempts = attempts;
        return severity_of(s, "claim_retries_alloc");
    };
    BOOST_TEST(alloc(499, 10'000) == "none");
    BOOST_TEST(alloc(500, 10'000) == "warning");
    BOOST_TEST(alloc(9'999, 9'999) == "none");
    BOOST_TEST(alloc(1999, 10'000) == "warning");
    BOOST_TEST(alloc(2000, 10'000) == "critical");
    BOOST_TEST(only(s).evidence == "2000 claims had to be repeated since the start, for 10000 attempts (0.2000 each).");
    BOOST_TEST(alloc(0, 0) == "none");
    auto const free = [&](std::uint64_t retries, std::uint64_t attempts) {
        c.contention.bitmap_free_cas_retries = retries;
        c.bitmap_free_attempts = attempts;
        return severity_of(s, "claim_retries_free");
    };
    BOOST_TEST(free(99, 100'000) == "none");
    BOOST_TEST(free(100, 100'000) == "warning");
    BOOST_TEST(free(99'999, 99'999) == "none");
    BOOST_TEST(free(999, 100'000) == "warning");
    BOOST_TEST(free(1000, 100'000) == "critical");
    BOOST_TEST(only(s).subject == "class 96");
    BOOST_TEST(free(0, 0) == "none");
    auto const races = [&](std::uint64_t lost, std::uint64_t attempts) {
        c.current_partial_lost_races = lost;
        c.current_partial_cas_attempts = attempts;
        return severity_of(s, "lost_races");
    };
    BOOST_TEST(races(49, 1000) == "none");
    BOOST_TEST(races(50, 1000) == "warning");
    BOOST_TEST(races(999, 999) == "none");
    BOOST_TEST(races(199, 1000) == "warning");
    BOOST_TEST(races(200, 1000) == "critical");
    c.current_partial_lost_races = 0;
    c.current_partial_mismatches = 1000;   // expected, however many
    BOOST_TEST(tslab::diagnose(s).size() == 0u);
}

BOOST_AUTO_TEST_CASE(uneven_phases)
{
    constexpr std::uint64_t kib = support::kib;
    auto const with = [](std::uint64_t few, std::uint64_t usual, std::uint64_t most, std::uint64_t large) {
        auto s = synthetic_heap();
        tslab::phase_cost_stats& c = s.phase_costs.emplace_back();
        c.label = "GET /join";
        c.label_id = 1;
        c.phases = usual + large + 5'000;
        c.bytes.buckets[0] = c.empty_phases = 5'000;
        c.bytes.buckets[tslab::quarter_histogram::bucket_of(few)] = usual;
        c.bytes.buckets[tslab::quarter_histogram::bucket_of(most)] = large;
        c.bytes_max = most;
        c.largest_at = {"handler.cpp", 23, "void join()"};
        return s;
    };
    auto const s = with(279 * kib, 980, 11 * support::mib, 20);
    auto const f = only(s, "uneven_phases", "hint",
                        "Of 1000 phases with allocations since the start the 99th percentile is 11.0 MiB, 35 times the "
                        "median of 320.0 KiB. The largest so far, of 11.0 MiB, was entered at handler.cpp:23.");
    BOOST_TEST(f.subject == "label \"GET /join\"");
    BOOST_TEST(figure_of(f, "phases") == 1000);
    BOOST_TEST(figure_of(f, "bytes_p99") == 11.0 * support::mib);
    auto const of = [&](std::uint64_t few, std::uint64_t usual, std::uint64_t most, std::uint64_t large) {
        return severity_of(with(few, usual, most, large), "uneven_phases");
    };
    BOOST_TEST(of(279 * kib, 979, 11 * support::mib, 20) == "none");   // too few to judge
    BOOST_TEST(of(279 * kib, 991, 11 * support::mib, 9) == "none");    // less than one in 100
    BOOST_TEST(of(1 * kib, 980, 1023 * kib, 20) == "none");            // too small to matter
    BOOST_TEST(of(10 * kib - 1, 980, 1024 * kib, 20) == "warning");
    BOOST_TEST(of(128 * kib - 1, 980, 1024 * kib, 20) == "none");
    auto earlier = s;
    earlier.timestamp_ns -= 10'000'000'000;
    BOOST_TEST(severity_of(tslab::diagnose(s, &earlier), "uneven_phases") == "none");   // all of it is past
}

BOOST_AUTO_TEST_CASE(scheduler_interference)
{
    auto s = synthetic_heap();
    auto& t = s.sampled.alloc;
    auto const with = [&](std::uint64_t samples, std::uint64_t wall, std::uint64_t cpu) {
        t.samples = samples;
        t.wall_ns_sum = wall * samples;
        t.cpu_ns_sum = cpu * samples;
        t.wait_ns_sum = (wall - cpu) * samples;
        return severity_of(s, "scheduler_interference");
    };
    BOOST_TEST(with(1000, 15'000, 10'000) == "none");
    BOOST_TEST(with(1000, 15'001, 10'000) == "warning");
    BOOST_TEST(with(1000, 20'000, 10'000) == "warning");
    BOOST_TEST(with(1000, 20'001, 10'000) == "critical");
    BOOST_TEST(with(999, 20'001, 10'000) == "none");
    BOOST_TEST(with(1000, 1'099, 100) == "none");   // clocks cost that much themselves
    BOOST_TEST(with(1000, 1'100, 100) == "critical");
    BOOST_TEST(only(s).evidence ==
               "1000 timed allocations since the start took 1100 ns on average, of which 1000 ns were waiting: "
               "wall time is 11.00 times processor time.");
}
