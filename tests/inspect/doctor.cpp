// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor: each finding fires from its limit on and not below it, nothing fires on a healthy heap, and what is said can be
// read by a person and shown on a terminal. Every finding has its section in docs/diagnosis.md.
#define BOOST_TEST_MODULE doctor
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "recorder.hpp"
#include "synthetic.hpp"

using support::add_closed;
using support::add_epoch;
using support::add_held;
using support::kib;
using support::mib;
using support::synthetic_heap;
using tslab::lifecycle;
using tslab::snapshot;

namespace {

/// The severity of the first finding of a code, "none" without one.
std::string severity_of(std::vector<tslab::finding> const& findings, std::string_view code)
{
    for (tslab::finding const& f : findings)
        if (f.code == code)
            return std::string{tslab::severity_name(f.severity)};
    return "none";
}

std::string severity_of(snapshot const& s, std::string_view code) { return severity_of(tslab::diagnose(s), code); }

/// The one finding of a snapshot in which nothing else is wrong.
tslab::finding only(snapshot const& s, snapshot const* before = nullptr)
{
    auto findings = tslab::diagnose(s, before);
    BOOST_REQUIRE_MESSAGE(findings.size() == 1u, tslab::to_text(findings));
    return findings[0];
}

double figure_of(tslab::finding const& f, std::string_view name)
{
    for (tslab::figure const& one : f.figures)
        if (one.name == name)
            return one.value;
    BOOST_FAIL("no figure " << name << " in " << f.code);
    return 0;
}

/// The same heap ten seconds earlier, with nothing counted yet.
snapshot before(snapshot const& now, double seconds = 10)
{
    snapshot b = synthetic_heap();
    b.timestamp_ns = now.timestamp_ns - static_cast<std::uint64_t>(seconds * 1e9);
    return b;
}

/// The same heap so much earlier, with everything as it is.
snapshot same_before(snapshot const& now, double seconds = 10)
{
    snapshot b = now;
    b.timestamp_ns -= static_cast<std::uint64_t>(seconds * 1e9);
    return b;
}

tslab::label_stats label(std::uint32_t id, std::string name)
{
    tslab::label_stats l;
    l.label_id = id;
    l.name = std::move(name);
    return l;
}

tslab::timing_stats timing(std::uint64_t samples, std::uint64_t wall_ns, std::uint64_t cpu_ns)
{
    tslab::timing_stats t;
    t.samples = samples;
    t.wall_ns_sum = wall_ns;
    t.cpu_ns_sum = cpu_ns;
    t.wait_ns_sum = wall_ns - cpu_ns;
    return t;
}

tslab::close_stats last_close(std::uint32_t index, std::uint64_t era, std::uint64_t asked)
{
    tslab::close_stats c;
    c.timestamp_ns = 5;
    c.index = index;
    c.era = era;
    c.madvise_asked_bytes = asked;
    return c;
}

#define CHECK_CODE(s, code, expected) BOOST_TEST(severity_of(s, code) == expected)

}

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
    s.last_close = last_close(7, 9, mib - 1);
    for (int i = 0; i < 10; ++i)
        add_closed(s, "late", 100, 1, 1, 1);
    BOOST_TEST(tslab::to_text(tslab::diagnose(s)) == "No findings.\n");
    auto const b = before(s);
    BOOST_TEST(tslab::to_text(tslab::diagnose(s, &b)) == "No findings.\n");
}

// Epochs.

BOOST_AUTO_TEST_CASE(epoch_leak)
{
    auto s = synthetic_heap();
    auto& e = add_held(s, "worker", 299.9, 10);
    e.opened_at = {"w.cpp", 7, "run"};
    CHECK_CODE(s, "epoch_leak", "none");
    e.age_seconds = 300;
    auto const f = only(s);
    BOOST_TEST(f.code == "epoch_leak");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.subject == "label \"worker\"");
    BOOST_TEST(f.title == "An epoch was entered and not left");
    BOOST_TEST(f.evidence ==
               "label \"worker\": 1 exit missing, epoch open for 5 min 0 s, holds 40.0 KiB without a live object, "
               "entered at w.cpp:7 in run (epoch 1, era 101, ACTIVE, 1 domain inside, entered 1 time, left 0 "
               "times).");
    BOOST_TEST(f.action.find("epoch_domain::enter") != std::string::npos);
    BOOST_TEST(figure_of(f, "missing_exits") == 1);
    BOOST_TEST(figure_of(f, "held_bytes") == 40'960);
    BOOST_TEST(figure_of(f, "epoch_era") == 101);
    BOOST_TEST(figure_of(f, "age_sec") == 300);
    e.lifecycle = lifecycle::closing;   // left by nobody, although it is closed
    CHECK_CODE(s, "epoch_leak", "warning");
    e.refcount = 0;
    CHECK_CODE(s, "epoch_leak", "none");
}

BOOST_AUTO_TEST_CASE(epoch_leak_of_much_memory)
{
    auto s = synthetic_heap();
    constexpr std::uint64_t pages = 50 * mib / 4096;
    auto& e = add_held(s, "worker", 59.9, pages);
    CHECK_CODE(s, "epoch_leak", "none");
    e.age_seconds = 60;
    CHECK_CODE(s, "epoch_leak", "warning");
    e.slab_pages = pages - 1;
    CHECK_CODE(s, "epoch_leak", "none");
    e.age_seconds = 300;
    CHECK_CODE(s, "epoch_leak", "warning");
    e.slab_pages = pages;
    CHECK_CODE(s, "epoch_leak", "critical");
}

BOOST_AUTO_TEST_CASE(leaks_of_one_label_and_place_are_one_finding)
{
    auto s = synthetic_heap();
    for (int i = 0; i < 100; ++i) {
        auto& e = add_held(s, "request", 400 + i, 200);
        e.opened_at = {"server.cpp", 10, "handle"};
    }
    add_held(s, "request", 1000, 300).opened_at = {"server.cpp", 20, "other"};
    add_held(s, "", 1000, 1).opened_at = {"a.cpp", 1, ""};
    add_held(s, "", 1000, 2).opened_at = {"b.cpp", 1, ""};
    auto const findings = tslab::diagnose(s);
    BOOST_REQUIRE(findings.size() == 4u);
    BOOST_TEST((findings[0].severity == tslab::severity::critical));   // together they hold 78 MiB
    BOOST_TEST(figure_of(findings[0], "epochs") == 100);
    BOOST_TEST(figure_of(findings[0], "missing_exits") == 100);
    BOOST_TEST(findings[0].evidence.starts_with(
        "100 epochs hold 78.1 MiB. The worst: label \"request\": 1 exit missing, epoch "
        "open for 8 min 19 s, "));
    BOOST_TEST((findings[1].severity == tslab::severity::warning));
    BOOST_TEST(findings[1].evidence.find("server.cpp:20") != std::string::npos);
    BOOST_TEST(findings[2].subject == "unlabeled");
    BOOST_TEST(findings[2].evidence.find("b.cpp") != std::string::npos);
    BOOST_TEST(findings[3].evidence.find("a.cpp") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(phases_that_are_meant_to_last_are_no_leaks)
{
    auto s = synthetic_heap();
    add_held(s, "cache", 1e6, 100'000);
    tslab::doctor_thresholds limits;
    limits.long_lived = {"session", "cache"};
    BOOST_TEST(tslab::diagnose(s, nullptr, limits).size() == 0u);
    limits.long_lived = {"session"};
    BOOST_TEST(tslab::diagnose(s, nullptr, limits).size() == 1u);
}

BOOST_AUTO_TEST_CASE(who_is_inside_of_the_current_epoch_may_just_have_come)
{
    auto s = synthetic_heap();
    s.epochs[0].refcount = 1;   // open for days, as heaps that never advance are
    s.epochs[0].enters = 10;
    s.epochs[0].exits = 9;
    CHECK_CODE(s, "epoch_leak", "none");
    auto b = same_before(s, 60);
    BOOST_TEST(severity_of(tslab::diagnose(s, &b), "epoch_leak") == "warning");   // the same one, a minute later
    b = same_before(s, 59);
    BOOST_TEST(severity_of(tslab::diagnose(s, &b), "epoch_leak") == "none");
    b = same_before(s, 60);
    b.epochs[0].exits = 8;   // somebody left meanwhile
    BOOST_TEST(severity_of(tslab::diagnose(s, &b), "epoch_leak") == "none");
    b = same_before(s, 60);
    b.epochs[0].refcount = 0;
    BOOST_TEST(severity_of(tslab::diagnose(s, &b), "epoch_leak") == "none");
    s.epochs[0].lifecycle = lifecycle::closing;
    CHECK_CODE(s, "epoch_leak", "warning");
}

BOOST_AUTO_TEST_CASE(epoch_remains)
{
    auto s = synthetic_heap();
    auto& e = add_closed(s, "batch", 299.9, 256, 10, 256 * 4096 / 2);
    CHECK_CODE(s, "epoch_remains", "none");
    e.closing_seconds = 300;
    auto const f = only(s);
    BOOST_TEST(f.code == "epoch_remains");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "label \"batch\": closed for 5 min 0 s with nobody inside, still holds 1.0 MiB with 10 live objects "
               "(epoch 1, era 101, CLOSING).");
    e.slab_pages = 255;
    CHECK_CODE(s, "epoch_remains", "none");
    e.slab_pages = 50 * mib / 4096;
    e.live_bytes = 40 * mib;
    CHECK_CODE(s, "epoch_remains", "critical");
    e.slab_pages -= 1;
    CHECK_CODE(s, "epoch_remains", "warning");
    e.live_objects = 0;
    CHECK_CODE(s, "epoch_remains", "none");
    add_closed(s, "many", 400, 128, 1, 128 * 4096);   // the epochs of a label count together
    CHECK_CODE(s, "epoch_remains", "none");
    add_closed(s, "many", 400, 128, 1, 128 * 4096);
    CHECK_CODE(s, "epoch_remains", "warning");
}

BOOST_AUTO_TEST_CASE(epoch_pinned)
{
    auto s = synthetic_heap();
    auto& e = add_closed(s, "batch", 10, 1024, 7, mib);
    e.classes = {{7, 256, 1024, 7, mib}};
    auto const f = only(s);
    BOOST_TEST(f.code == "epoch_pinned");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "label \"batch\": closed for 10 s, 7 live objects keep 4.0 MiB (1.0 MiB in use, 25.0 %): class 768 "
               "4.0 MiB for 7 objects (epoch 1, era 101).");
    BOOST_TEST(figure_of(f, "live_ratio") == 0.25);
    e.live_bytes = mib + 1;
    CHECK_CODE(s, "epoch_pinned", "none");
    e.live_bytes = mib;
    e.closing_seconds = 9.9;
    CHECK_CODE(s, "epoch_pinned", "none");
    e.closing_seconds = 10;
    e.slab_pages = 1023;
    e.live_bytes = 64;
    CHECK_CODE(s, "epoch_pinned", "none");
    e.slab_pages = 50 * mib / 4096;
    e.live_bytes = 50 * mib / 20;
    CHECK_CODE(s, "epoch_pinned", "critical");
    e.live_bytes += 1;
    CHECK_CODE(s, "epoch_pinned", "warning");
    e.live_bytes = 64;
    e.slab_pages -= 1;
    CHECK_CODE(s, "epoch_pinned", "warning");
}

BOOST_AUTO_TEST_CASE(ring_exhausted)
{
    auto s = synthetic_heap();
    s.global.ring_exhausted = 1;
    auto const f = only(s);
    BOOST_TEST(f.code == "ring_exhausted");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "1 time since the start a scope had to share the current epoch, or advance could not move on. Of 256 "
               "slots 1 are ACTIVE and 0 CLOSING now.");
    s.global.ring_exhausted = 999;
    CHECK_CODE(s, "ring_exhausted", "warning");
    s.global.ring_exhausted = 1000;
    CHECK_CODE(s, "ring_exhausted", "critical");
}

BOOST_AUTO_TEST_CASE(ring_nearly_full)
{
    auto s = synthetic_heap();
    auto const with = [&](std::uint32_t slots, std::uint64_t active, std::uint64_t closing) {
        s.epoch_count = slots;
        s.global.active_epochs = active;
        s.global.closing_epochs = closing;
        return severity_of(s, "ring_nearly_full");
    };
    BOOST_TEST(with(256, 200, 23) == "none");
    BOOST_TEST(with(256, 200, 24) == "warning");
    BOOST_TEST(with(256, 200, 48) == "warning");
    BOOST_TEST(with(256, 200, 49) == "critical");
    BOOST_TEST(with(16, 14, 0) == "warning");
    BOOST_TEST(with(13, 13, 0) == "none");   // small rings are full by nature
    BOOST_TEST(with(2, 2, 0) == "none");
    BOOST_TEST(with(0, 20, 0) == "none");
}

BOOST_AUTO_TEST_CASE(closing_backlog)
{
    auto s = synthetic_heap();
    for (int i = 0; i < 10; ++i)
        add_closed(s, "r", 60, 1, 1, 4096);
    add_closed(s, "r", 59.9, 1, 1, 4096);
    add_closed(s, "r", 60, 1, 0, 0);
    add_closed(s, "r", 60, 1, 1, 4096).lifecycle = lifecycle::drained;
    CHECK_CODE(s, "closing_backlog", "none");
    s.epochs.back().lifecycle = lifecycle::closing;
    auto const f = only(s);
    BOOST_TEST(f.code == "closing_backlog");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "11 epochs were closed more than 1 min 0 s ago and still hold 44.0 KiB with live objects.");
    for (int i = 0; i < 88; ++i)
        add_closed(s, "r", 60, 1, 1, 4096);
    CHECK_CODE(s, "closing_backlog", "warning");
    add_closed(s, "r", 60, 1, 1, 4096);
    CHECK_CODE(s, "closing_backlog", "critical");
}

// Events that a healthy program has none of.

BOOST_AUTO_TEST_CASE(out_of_memory)
{
    auto s = synthetic_heap();
    s.global.out_of_memory = s.classes[3].out_of_memory = 1;
    auto const f = only(s);
    BOOST_TEST(f.code == "out_of_memory");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "1 allocation since the start failed for want of memory; the heap holds 0 bytes, 0 bytes of it empty. "
               "Most of it: class 192 (1).");
    s.global.out_of_memory = 99;
    CHECK_CODE(s, "out_of_memory", "warning");
    s.global.out_of_memory = 100;
    CHECK_CODE(s, "out_of_memory", "critical");
}

BOOST_AUTO_TEST_CASE(closed_epoch_allocation)
{
    auto s = synthetic_heap();
    s.classes[0].slow_path_epoch_closed = 3;
    s.classes[1].slow_path_epoch_closed = 1;
    s.classes[7].slow_path_epoch_closed = 5;
    s.classes[tslab::large_class].slow_path_epoch_closed = 2;
    s.global.slow_path_epoch_closed = 11;
    auto const f = only(s);
    BOOST_TEST(f.code == "closed_epoch_allocation");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "11 allocations since the start named an epoch that is CLOSING and got nothing. Most of it: class 768 "
               "(5), class 64 (3), large allocations (2).");
    BOOST_TEST(figure_of(f, "total_slow_epoch_closed") == 11);
    s.global.slow_path_epoch_closed = 999;
    CHECK_CODE(s, "closed_epoch_allocation", "warning");
    s.global.slow_path_epoch_closed = 1000;
    CHECK_CODE(s, "closed_epoch_allocation", "critical");
}

BOOST_AUTO_TEST_CASE(resource_leak)
{
    auto s = synthetic_heap();
    s.global.leaked_objects = 1;
    s.global.misuses = 1;
    s.misuses = {{"leak", 1}, {"double_free", 0}};
    auto const f = only(s);   // and no finding of misuse for the same
    BOOST_TEST(f.code == "resource_leak");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence == "1 object was still live since the start when the resource that handed them out ended.");
    s.global.leaked_objects = 9'999;
    CHECK_CODE(s, "resource_leak", "warning");
    s.global.leaked_objects = 10'000;
    CHECK_CODE(s, "resource_leak", "critical");
}

BOOST_AUTO_TEST_CASE(misuse)
{
    auto s = synthetic_heap();
    s.global.misuses = 6;
    s.misuses = {{"scope_order", 1}, {"double_free", 2}, {"wrong_heap", 3}, {"interior_pointer", 0}};
    auto findings = tslab::diagnose(s);
    BOOST_REQUIRE(findings.size() == 3u);
    BOOST_TEST(findings[0].subject == "wrong_heap");
    BOOST_TEST((findings[0].severity == tslab::severity::critical));
    BOOST_TEST(findings[0].evidence == "wrong_heap was reported 3 times since the start.");
    BOOST_TEST(findings[1].subject == "double_free");
    BOOST_TEST((findings[1].severity == tslab::severity::critical));
    BOOST_TEST(findings[2].subject == "scope_order");
    BOOST_TEST((findings[2].severity == tslab::severity::warning));
    auto b = same_before(s);
    BOOST_TEST(tslab::diagnose(s, &b).size() == 0u);
    b.misuses[1].count = 1;
    b.global.misuses = 5;
    BOOST_TEST(only(s, &b).evidence == "double_free was reported 1 time in 10 s.");
    s.misuses.clear();   // a snapshot without the list
    BOOST_TEST(only(s).subject == "unknown kind");
    BOOST_TEST(figure_of(only(s), "count") == 6);
}

BOOST_AUTO_TEST_CASE(refused_handles)
{
    auto s = synthetic_heap();
    s.global.refused_handles = 1;
    BOOST_TEST(only(s).code == "refused_handles");
    CHECK_CODE(s, "refused_handles", "hint");
    s.global.refused_handles = 999;
    CHECK_CODE(s, "refused_handles", "hint");
    s.global.refused_handles = 1000;
    CHECK_CODE(s, "refused_handles", "warning");
}

BOOST_AUTO_TEST_CASE(labels)
{
    auto s = synthetic_heap();
    s.global.labels_in_overflow = 1;
    BOOST_TEST(only(s).code == "labels_in_overflow");
    BOOST_TEST(only(s).evidence == "1 time since the start a label beyond the first 14 was counted as \"other\".");
    CHECK_CODE(s, "labels_in_overflow", "hint");
    s.global.labels_in_overflow = 999;
    CHECK_CODE(s, "labels_in_overflow", "hint");
    s.global.labels_in_overflow = 1000;
    CHECK_CODE(s, "labels_in_overflow", "warning");
    s = synthetic_heap();
    s.global.labels_cut = 1;
    BOOST_TEST(only(s).code == "labels_cut");
    CHECK_CODE(s, "labels_cut", "hint");
}

BOOST_AUTO_TEST_CASE(escapes)
{
    auto s = synthetic_heap();
    s.labels.insert(s.labels.begin() + 1, 2, {});
    s.labels[1] = label(1, "orders");
    s.labels[2] = label(2, "search");
    s.labels[1].escapes = 99;
    CHECK_CODE(s, "escapes", "none");
    s.labels[1].escapes = 100;
    s.labels[1].escaped_bytes = 4096;
    auto const f = only(s);
    BOOST_TEST(f.code == "escapes");
    BOOST_TEST(f.subject == "label \"orders\"");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "100 allocations of 4.0 KiB since the start came from the default resource inside of a scope with this "
               "label.");
    s.labels[2].escapes = 100'000;
    BOOST_TEST(tslab::diagnose(s).size() == 2u);
    BOOST_TEST(tslab::diagnose(s)[0].subject == "label \"search\"");
    BOOST_TEST((tslab::diagnose(s)[0].severity == tslab::severity::critical));
}

// Memory.

BOOST_AUTO_TEST_CASE(madvise_failures)
{
    auto s = synthetic_heap();
    s.global.madvise_calls = 1000;
    s.global.madvise_failures = 1;
    auto const f = only(s);
    BOOST_TEST(f.code == "madvise_failures");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "1 of 1000 calls of madvise failed since the start; nothing is lost, but the pages stay resident.");
    s.global.madvise_failures = 99;
    CHECK_CODE(s, "madvise_failures", "warning");
    s.global.madvise_failures = 100;
    CHECK_CODE(s, "madvise_failures", "critical");
}

BOOST_AUTO_TEST_CASE(madvise_stays)
{
    auto s = synthetic_heap();
    auto& e = add_epoch(s, lifecycle::drained, "batch");
    e.madvise_asked_bytes = mib;
    e.madvise_gone_bytes = mib / 2;
    auto const f = only(s);
    BOOST_TEST(f.code == "madvise_stays");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "Of 1.0 MiB that closes handed to madvise 512.0 KiB (50.0 %) was no longer resident afterwards.");
    BOOST_TEST(figure_of(f, "cooperation_pct") == 50);
    e.madvise_gone_bytes = mib / 2 + 1;
    CHECK_CODE(s, "madvise_stays", "none");
    e.madvise_gone_bytes = mib / 10;
    CHECK_CODE(s, "madvise_stays", "critical");
    e.madvise_asked_bytes = mib - 4096;
    CHECK_CODE(s, "madvise_stays", "none");
    // What the last close asked for counts once, and is all there is when its slot was opened anew.
    s.last_close = last_close(e.index, e.era, mib);
    CHECK_CODE(s, "madvise_stays", "none");
    s.last_close.era += 1;
    CHECK_CODE(s, "madvise_stays", "critical");
    // What was known before is not judged again.
    e.madvise_asked_bytes = 4 * mib;
    auto b = same_before(s);
    BOOST_TEST(tslab::diagnose(s, &b).size() == 0u);
    b.last_close.timestamp_ns = 4;
    BOOST_TEST(severity_of(tslab::diagnose(s, &b), "madvise_stays") == "critical");
    b.last_close = s.last_close;
    b.epochs.back().era -= 1;
    BOOST_TEST(severity_of(tslab::diagnose(s, &b), "madvise_stays") == "critical");
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
    auto const f = only(s);
    BOOST_TEST(f.code == "low_reclaim_yield");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "Closes looked at 1000 slabs since the start and took 300 back (30.0 %); most stay in class 128.");
    g.epoch_close_recycled_slabs = 301;
    CHECK_CODE(s, "low_reclaim_yield", "none");
    g.epoch_close_recycled_slabs = 101;
    CHECK_CODE(s, "low_reclaim_yield", "warning");
    g.epoch_close_recycled_slabs = 100;
    CHECK_CODE(s, "low_reclaim_yield", "critical");
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
    auto const f = only(s);
    BOOST_TEST(f.code == "slow_close");
    BOOST_TEST((f.severity == tslab::severity::critical));
    BOOST_TEST(f.evidence == "10 timed closes took 12.346 ms on average since the start.");
    g.epoch_close_timed = 9;
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
    auto const f = only(s);
    BOOST_TEST(f.code == "empty_held");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "64.0 MiB is held without a live object, beside 32.0 MiB of live objects: 12 cached slabs, 34 free "
               "pages, and empty slabs of open epochs.");
    g.live_bytes += 1;
    CHECK_CODE(s, "empty_held", "none");
    g.live_bytes = 64 * mib / 10;
    CHECK_CODE(s, "empty_held", "critical");
    g.live_bytes = 0;
    CHECK_CODE(s, "empty_held", "critical");
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
    auto const f = only(s);
    BOOST_TEST(f.code == "rss_unexplained");
    BOOST_TEST((f.severity == tslab::severity::hint));
    BOOST_TEST(f.evidence == "The process has 600.0 MiB resident, and this heap accounts for at most 300.0 MiB of it.");
    g.committed_bytes = 32 * mib;
    g.rss_bytes = 288 * mib;
    CHECK_CODE(s, "rss_unexplained", "hint");
    g.rss_bytes -= 1;
    CHECK_CODE(s, "rss_unexplained", "none");
    g.rss_bytes = 10'000 * mib;
    g.committed_bytes -= 1;
    CHECK_CODE(s, "rss_unexplained", "none");   // a small heap in a large process is no news
}

// Speed.

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
    auto const f = only(s);
    BOOST_TEST(f.code == "cache_too_small");
    BOOST_TEST(f.subject == "class 768");
    BOOST_TEST((f.severity == tslab::severity::warning));
    BOOST_TEST(f.evidence ==
               "10.0 % of the slabs that became empty since the start found the cache of 8 full, and 10.0 % of the "
               "slabs asked for were not in it: the same pages go out and come back.");
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

// Two snapshots.

BOOST_AUTO_TEST_CASE(with_an_earlier_snapshot_only_what_happened_since_counts)
{
    auto s = synthetic_heap();
    auto& g = s.global;
    g.ring_exhausted = g.slow_path_epoch_closed = g.out_of_memory = g.leaked_objects = g.refused_handles = 100'000;
    g.labels_in_overflow = g.labels_cut = g.madvise_failures = g.madvise_calls = 100'000;
    g.epoch_close_scanned_slabs = g.epoch_close_timed = 100'000;
    g.epoch_close_total_ns = 10'000'000'000'000;
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
    BOOST_TEST(codes.size() == 19u);
    auto b = same_before(s);
    BOOST_TEST(tslab::to_text(tslab::diagnose(s, &b)) == "No findings.\n");
    b = before(s);
    codes.clear();
    for (auto const& f : tslab::diagnose(s, &b)) {
        codes.insert(f.code);
        BOOST_TEST(f.evidence.find("in 10 s") != std::string::npos, f.evidence);
    }
    BOOST_TEST(codes.size() == 19u);
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
    auto b = same_before(s);
    b.global.ring_exhausted = 9;   // counters that fell are none of this heap
    BOOST_TEST(tslab::diagnose(s, &b).size() == 0u);
    b.classes.clear();
    b.epochs.clear();
    b.labels.clear();
    BOOST_TEST(tslab::diagnose(s, &b).size() == 0u);
}

// What is said.

BOOST_AUTO_TEST_CASE(the_most_severe_comes_first)
{
    auto s = synthetic_heap();
    s.global.labels_cut = 1;
    s.global.ring_exhausted = 1000;
    s.global.refused_handles = 1000;
    s.global.slow_path_epoch_closed = 1;
    s.global.out_of_memory = 100;
    for (int i = 0; i < 3; ++i)
        add_held(s, std::string(1, static_cast<char>('a' + i)), 400, static_cast<std::uint64_t>(10 + i));
    std::vector<std::string> order;
    for (auto const& f : tslab::diagnose(s))
        order.push_back(f.code + " " + f.subject);
    std::vector<std::string> const expected{
        "out_of_memory heap",     "ring_exhausted heap",    "closed_epoch_allocation heap", "epoch_leak label \"c\"",
        "epoch_leak label \"b\"", "epoch_leak label \"a\"", "refused_handles heap",         "labels_cut heap"};
    BOOST_TEST(order == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_text_is_for_a_person)
{
    auto s = synthetic_heap();
    s.global.ring_exhausted = 7;
    s.global.labels_cut = 2;
    BOOST_TEST(tslab::to_text(tslab::diagnose(s)) ==
               "2 findings: 1 warning, 1 hint\n"
               "\n"
               "warning ring_exhausted, heap\n"
               "    No slot of the epoch ring was free.\n"
               "    7 times since the start a scope had to share the current epoch, or advance could not move on. Of "
               "256 slots 1 "
               "are ACTIVE and 0 CLOSING now.\n"
               "    To do: Raise allocator_options::epoch_count above the number of phases open at once, or find out "
               "why epochs do "
               "not end: epoch_leak, epoch_remains and closing_backlog tell.\n"
               "\n"
               "hint labels_cut, heap\n"
               "    Labels are longer than what is kept.\n"
               "    2 times since the start a label was longer than 31 bytes and was cut.\n"
               "    To do: Labels that differ only behind their 31st byte are one label: shorten them.\n");
}

BOOST_AUTO_TEST_CASE(what_is_left_out_of_the_text_is_said)
{
    auto s = synthetic_heap();
    for (int i = 0; i < 12; ++i)
        add_held(s, "label " + std::to_string(i), 400);
    auto const findings = tslab::diagnose(s);
    BOOST_TEST(findings.size() == 12u);
    std::string const text = tslab::to_text(findings);
    BOOST_TEST(text.ends_with("\n7 more of epoch_leak, not shown.\n"));
    BOOST_TEST(text.find("label 4") != std::string::npos);
    BOOST_TEST(text.find("label 5") == std::string::npos);
    BOOST_TEST(tslab::to_text(findings, 12).find("not shown") == std::string::npos);
    BOOST_TEST(tslab::to_text(findings, 0) == "12 findings: 12 warnings\n\n12 more of epoch_leak, not shown.\n");
}

BOOST_AUTO_TEST_CASE(names_from_data_cannot_command_a_terminal)
{
    std::string const hostile = "\x1b]0;title\a\n0 findings\r\x9b\xc2\x9b\u202e";
    auto s = synthetic_heap();
    add_held(s, hostile, 400, 20'000).opened_at = {hostile, 1, hostile};
    add_closed(s, hostile, 400, 20'000, 1, 1);
    s.labels[0].name = hostile;
    s.labels[0].escapes = 1000;
    s.misuses = {{hostile, 5}};
    s.global.misuses = 5;
    auto& c = s.classes[0];
    c.contention = {100'000, 100'000, 100'000, 0};
    c.by_label[0] = c.contention;
    c.bitmap_alloc_attempts = 100'000;
    auto const findings = tslab::diagnose(s);
    BOOST_TEST(findings.size() == 7u);
    for (auto const& f : findings)
        for (std::string const& text : {f.code, f.subject, f.title, f.evidence, f.action}) {
            BOOST_TEST(text == tslab::printable(text));
            BOOST_TEST(text.find('\n') == std::string::npos);
        }
    std::mt19937 random{7};
    for (int round = 0; round < 300; ++round) {   // whatever a file may hold, the doctor comes to an end
        snapshot wild = s;
        auto const number = [&] { return (std::uint64_t{random()} << 32 | random()) >> random() % 64; };
        tslab::for_each_field(wild.global, [&](auto, auto, std::uint64_t& field) { field = number(); });
        for (auto& one : wild.classes)
            tslab::for_each_field(one, [&](auto, auto, auto& field) {
                if constexpr (std::is_same_v<decltype(field), std::uint64_t&>)
                    field = number();
            });
        for (auto& e : wild.epochs) {
            e.age_seconds = static_cast<double>(random()) - 1e9;
            e.slabs = number();
            e.slab_pages = number();
            e.live_bytes = number();
            e.classes = {{static_cast<std::uint32_t>(random()), number(), number(), number(), number()}};
        }
        wild.page_size = static_cast<std::uint32_t>(random());
        wild.epoch_count = static_cast<std::uint32_t>(random());
        wild.sampled.alloc.samples = number();
        BOOST_TEST(!tslab::to_text(tslab::diagnose(wild)).empty());
        BOOST_TEST(!tslab::to_text(tslab::diagnose(wild, &s)).empty());
    }
}

BOOST_AUTO_TEST_CASE(thousands_of_labels_are_not_slow)
{
    auto s = synthetic_heap();
    for (int i = 0; i < 65'535; ++i)
        add_held(s, "label " + std::to_string(i), 400, 1).madvise_asked_bytes = 4096;
    auto const b = same_before(s);
    BOOST_TEST(tslab::diagnose(s, &b).size() == 65'536u);   // and ring_nearly_full
    BOOST_TEST(tslab::to_text(tslab::diagnose(s, &b)).size() < 10'000u);
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
