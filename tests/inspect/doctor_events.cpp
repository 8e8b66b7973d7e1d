// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor on events that a healthy program has none of: refused allocations, misuse, leaks, labels, escapes. Each finding
// fires from its limit on and not below it.
#define BOOST_TEST_MODULE doctor_events
#include <boost/test/unit_test.hpp>

#include "doctor.hpp"

using doctor::check_steps;
using doctor::figure_of;
using doctor::label;
using doctor::only;
using doctor::same_before;
using support::synthetic_heap;

BOOST_AUTO_TEST_CASE(out_of_memory)
{
    auto s = synthetic_heap();
    s.global.out_of_memory = s.classes[3].out_of_memory = 1;
    only(s, "out_of_memory", "warning",
         "1 allocation since the start failed for want of memory; the heap holds 0 bytes, 0 bytes of it empty. "
         "Most of it: class 192 (1).");
    check_steps(s, s.global.out_of_memory, "out_of_memory", {{99, "warning"}, {100, "critical"}});
}

BOOST_AUTO_TEST_CASE(closed_epoch_allocation)
{
    auto s = synthetic_heap();
    s.classes[0].slow_path_epoch_closed = 3;
    s.classes[1].slow_path_epoch_closed = 1;
    s.classes[7].slow_path_epoch_closed = 5;
    s.classes[tslab::large_class].slow_path_epoch_closed = 2;
    s.global.slow_path_epoch_closed = 11;
    auto const f =
        only(s, "closed_epoch_allocation", "warning",
             "11 allocations since the start named an epoch that is CLOSING and got nothing. Most of it: class 768 "
             "(5), class 64 (3), large allocations (2).");
    BOOST_TEST(figure_of(f, "total_slow_epoch_closed") == 11);
    check_steps(s, s.global.slow_path_epoch_closed, "closed_epoch_allocation", {{999, "warning"}, {1000, "critical"}});
}

BOOST_AUTO_TEST_CASE(resource_leak)
{
    auto s = synthetic_heap();
    s.global.leaked_objects = 1;
    s.global.misuses = 1;
    s.misuses = {{"leak", 1}, {"double_free", 0}};
    // And no finding of misuse for the same.
    only(s, "resource_leak", "warning",
         "1 object was still live since the start when the resource that handed them out ended.");
    check_steps(s, s.global.leaked_objects, "resource_leak", {{9'999, "warning"}, {10'000, "critical"}});
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
    check_steps(s, s.global.refused_handles, "refused_handles", {{999, "hint"}, {1000, "warning"}});
}

BOOST_AUTO_TEST_CASE(refusals_by_limits)
{
    auto s = synthetic_heap();
    s.global.limit_refusals = 1;
    BOOST_TEST(only(s).code == "limit_refusals");
    BOOST_TEST(only(s).evidence ==
               "1 allocation was refused since the start by a limit of a phase, a label or the heap.");
    CHECK_CODE(s, "limit_refusals", "hint");
    check_steps(s, s.global.limit_refusals, "limit_refusals", {{999, "hint"}, {1000, "warning"}});
}

BOOST_AUTO_TEST_CASE(labels)
{
    auto s = synthetic_heap();
    s.global.labels_in_overflow = 1;
    BOOST_TEST(only(s).code == "labels_in_overflow");
    BOOST_TEST(only(s).evidence == "1 time since the start a label beyond the first 14 was counted as \"other\".");
    CHECK_CODE(s, "labels_in_overflow", "hint");
    check_steps(s, s.global.labels_in_overflow, "labels_in_overflow", {{999, "hint"}, {1000, "warning"}});
    s = synthetic_heap();
    s.global.labels_cut = 1;
    BOOST_TEST(only(s).code == "labels_cut");
    CHECK_CODE(s, "labels_cut", "hint");
}

BOOST_AUTO_TEST_CASE(statistics_that_found_no_room)
{
    auto s = synthetic_heap();
    s.global.unpublished_chunks = 3;
    auto const f =
        only(s, "statistics_unpublished", "warning",
             "48.0 KiB of the process's statistics found no room where other processes can read them: counts read "
             "from outside are too low, and leaks may be missing.");
    BOOST_TEST(figure_of(f, "total_unpublished_chunks") == 3);
    auto const b = same_before(s);   // what was lost before is still not to be read
    BOOST_TEST(only(s, &b).code == "statistics_unpublished");
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
    auto const f =
        only(s, "escapes", "warning",
             "100 allocations of 4.0 KiB since the start came from the default resource inside of a scope with this "
             "label.");
    BOOST_TEST(f.subject == "label \"orders\"");
    s.labels[2].escapes = 100'000;
    BOOST_TEST(tslab::diagnose(s).size() == 2u);
    BOOST_TEST(tslab::diagnose(s)[0].subject == "label \"search\"");
    BOOST_TEST((tslab::diagnose(s)[0].severity == tslab::severity::critical));
}
