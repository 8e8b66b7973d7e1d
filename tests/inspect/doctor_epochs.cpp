// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor on epochs: those with a missing exit, those that hold memory after their close, and a ring without a free slot.
// Each finding fires from its limit on and not below it.
#define BOOST_TEST_MODULE doctor_epochs
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <string>

#include "doctor.hpp"

using doctor::check_steps;
using doctor::figure_of;
using doctor::only;
using doctor::same_before;
using doctor::severity_of;
using support::add_closed;
using support::add_held;
using support::mib;
using support::synthetic_heap;
using tslab::lifecycle;

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
    e.lifecycle = lifecycle::closing;   // closed, and still with a domain inside
    CHECK_CODE(s, "epoch_leak", "warning");
    e.refcount = 0;
    CHECK_CODE(s, "epoch_leak", "none");
}

BOOST_AUTO_TEST_CASE(epoch_leak_goes_by_the_time_inside)
{
    auto s = synthetic_heap();
    auto& e = add_held(s, "worker", 1e6, 10);
    check_steps(s, e.entered_seconds, "epoch_leak", {{299.9, "none"}, {300, "warning"}});
    BOOST_TEST(figure_of(only(s), "entered_sec") == 300);
    // Of the current epoch too, which any domain may share.
    auto t = synthetic_heap();
    t.epochs[0].refcount = 1;
    t.epochs[0].entered_seconds = 299.9;
    CHECK_CODE(t, "epoch_leak", "none");
    t.epochs[0].entered_seconds = 300;
    CHECK_CODE(t, "epoch_leak", "warning");
    t.epochs[0].entered_seconds = 0;   // of a version that knew no times
    CHECK_CODE(t, "epoch_leak", "none");
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
    b.epochs[0].exits = 8;   // one domain left between the two looks
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
    only(s, "epoch_remains", "warning",
         "label \"batch\": closed for 5 min 0 s with no domain inside, still holds 1.0 MiB with 10 live objects "
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
    auto const f =
        only(s, "epoch_pinned", "warning",
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
    only(s, "ring_exhausted", "warning",
         "1 time since the start a scope had to share the current epoch, or advance could not move on. Of 256 "
         "slots 1 are ACTIVE and 0 CLOSING now.");
    check_steps(s, s.global.ring_exhausted, "ring_exhausted", {{999, "warning"}, {1000, "critical"}});
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
    only(s, "closing_backlog", "warning",
         "11 epochs were closed more than 1 min 0 s ago and still hold 44.0 KiB with live objects.");
    for (int i = 0; i < 88; ++i)
        add_closed(s, "r", 60, 1, 1, 4096);
    CHECK_CODE(s, "closing_backlog", "warning");
    add_closed(s, "r", 60, 1, 1, 4096);
    CHECK_CODE(s, "closing_backlog", "critical");
}
