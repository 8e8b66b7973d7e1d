// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor on memory: what the kernel does not take back, what closes do not reclaim, what is held empty. Each finding fires
// from its limit on and not below it.
#define BOOST_TEST_MODULE doctor_memory
#include <boost/test/unit_test.hpp>

#include "doctor.hpp"

using doctor::check_steps;
using doctor::figure_of;
using doctor::only;
using doctor::same_before;
using doctor::severity_of;
using support::mib;
using support::synthetic_heap;

BOOST_AUTO_TEST_CASE(madvise_failures)
{
    auto s = synthetic_heap();
    s.global.madvise_calls = 1000;
    s.global.madvise_failures = 1;
    only(s, "madvise_failures", "warning",
         "1 of 1000 calls of madvise failed since the start; nothing is lost, but the pages stay resident.");
    check_steps(s, s.global.madvise_failures, "madvise_failures", {{99, "warning"}, {100, "critical"}});
}

BOOST_AUTO_TEST_CASE(madvise_stays)
{
    auto s = synthetic_heap();
    auto& g = s.global;
    g.madvise_asked_bytes = mib;
    g.madvise_gone_bytes = mib / 2;
    auto const f = only(s, "madvise_stays", "warning",
                        "Of 1.0 MiB handed to madvise since the start 512.0 KiB (50.0 %) was no longer resident "
                        "afterwards.");
    BOOST_TEST(figure_of(f, "cooperation_pct") == 50);
    check_steps(s, g.madvise_gone_bytes, "madvise_stays", {{mib / 2 + 1, "none"}, {mib / 10, "critical"}});
    g.madvise_asked_bytes = mib - 4096;
    CHECK_CODE(s, "madvise_stays", "none");
    // What was known before is not judged again.
    g.madvise_asked_bytes = 4 * mib;
    g.madvise_gone_bytes = 0;
    auto b = same_before(s);
    BOOST_TEST(tslab::diagnose(s, &b).size() == 0u);
    b.global.madvise_asked_bytes = 3 * mib;
    BOOST_TEST(severity_of(tslab::diagnose(s, &b), "madvise_stays") == "critical");
    b.global.madvise_asked_bytes = 3 * mib + 4096;
    BOOST_TEST(tslab::diagnose(s, &b).size() == 0u);
}

BOOST_AUTO_TEST_CASE(low_reclaim_yield)
{
    auto s = synthetic_heap();
    auto& g = s.global;
    g.epoch_closes = 10;
    g.epoch_close_scanned_slabs = 1000;
    g.epoch_close_recycled_slabs = 300;
    s.classes[2].epoch_close_scanned_slabs = 900;
    s.classes[2].epoch_close_recycled_slabs = 290;
    s.classes[5].epoch_close_scanned_slabs = 100;
    s.classes[5].epoch_close_recycled_slabs = 10;
    only(s, "low_reclaim_yield", "warning",
         "Closes looked at 1000 slabs since the start and took 300 back (30.0 %); most stay in class 128.");
    check_steps(s, g.epoch_close_recycled_slabs, "low_reclaim_yield",
                {{301, "none"}, {101, "warning"}, {100, "critical"}});
    g.epoch_close_scanned_slabs = 999;
    g.epoch_close_recycled_slabs = 0;
    CHECK_CODE(s, "low_reclaim_yield", "none");
}

BOOST_AUTO_TEST_CASE(slow_close)
{
    auto s = synthetic_heap();
    auto& g = s.global;
    g.epoch_close_timed = 10;
    g.epoch_close_total_ns = 10'000'000;   // 1 ms each
    CHECK_CODE(s, "slow_close", "none");
    g.epoch_close_total_ns += 10;
    CHECK_CODE(s, "slow_close", "warning");
    g.epoch_close_total_ns = 100'000'000;
    CHECK_CODE(s, "slow_close", "warning");
    g.epoch_close_total_ns = 123'456'780;
    only(s, "slow_close", "critical",
         "10 timed closes took 12.346 ms on average since the start, time for the kernel to "
         "take pages not included.");
    g.epoch_close_timed = 9;
    CHECK_CODE(s, "slow_close", "none");
    g.epoch_close_timed = 10;
    g.epoch_close_total_ns = 1'000'000;
    g.epoch_close_purge_ns = 10'000'000'000;   // the kernel is slow, not the close
    CHECK_CODE(s, "slow_close", "none");
}

BOOST_AUTO_TEST_CASE(empty_held)
{
    auto s = synthetic_heap();
    auto& g = s.global;
    g.empty_held_bytes = 64 * mib;
    g.live_bytes = 32 * mib;
    g.slabs_cached = 12;
    g.free_resident_pages = 34;
    only(s, "empty_held", "warning",
         "64.0 MiB is held without a live object, beside 32.0 MiB of live objects: 12 cached slabs, 34 free "
         "pages, and empty slabs of open epochs.");
    g.live_bytes += 1;
    CHECK_CODE(s, "empty_held", "none");
    check_steps(s, g.live_bytes, "empty_held", {{64 * mib / 10, "critical"}, {0, "critical"}});
    g.empty_held_bytes -= 1;
    CHECK_CODE(s, "empty_held", "none");
}

BOOST_AUTO_TEST_CASE(rss_unexplained)
{
    auto s = synthetic_heap();
    auto& g = s.global;
    g.metadata_bytes = 0;
    g.committed_bytes = 300 * mib;
    g.rss_bytes = 600 * mib;
    CHECK_CODE(s, "rss_unexplained", "none");
    g.rss_bytes += 1;
    only(s, "rss_unexplained", "hint",
         "The process has 600.0 MiB resident, and this heap accounts for at most 300.0 MiB of it.");
    g.committed_bytes = 32 * mib;
    g.rss_bytes = 288 * mib;
    CHECK_CODE(s, "rss_unexplained", "hint");
    g.rss_bytes -= 1;
    CHECK_CODE(s, "rss_unexplained", "none");
    g.rss_bytes = 10'000 * mib;
    g.committed_bytes -= 1;
    CHECK_CODE(s, "rss_unexplained", "none");   // a small heap in a large process is no news
}
