// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Threads that allocate and free in one heap at once: mixed orders, bulks, only the class with the fewest slots, with
// snapshots taken all the time. No two live objects ever share a byte, and at the end nothing is left or lost.
#define BOOST_TEST_MODULE stress_interleaved
#include "stress_roles.hpp"
#include <boost/test/unit_test.hpp>
import tslab.internal;

namespace {

using stress::bench;
using stress::random_source;

void finish(bench& b)
{
    b.free_all_late();
    stress::close_everything(b.heap);
    BOOST_TEST(stress::wrong_with(b.heap, &b.done) == "");
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
    BOOST_TEST(b.done.allocated.load() > 0U);
}

template <class Role> void on_all_threads(bench& b, Role role,
                                          std::vector<std::function<void(random_source&)>> more = {})
{
    for (unsigned i = 0; i < stress::given().threads; ++i)
        more.emplace_back([&b, role](random_source& r) { role(b, r); });
    b.run(more);
}

}

BOOST_AUTO_TEST_CASE(allocate_and_free_interleaved)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "interleaved"}};
    bench b{heap};
    on_all_threads(b, [](bench& on, random_source& r) { stress::interleave(on, r); });
    BOOST_TEST(b.done.refused.load() == 0U);
    finish(b);
}

BOOST_AUTO_TEST_CASE(bulk_allocate_then_free)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "bulk"}};
    bench b{heap};
    on_all_threads(b, stress::bulk);
    BOOST_TEST(b.done.refused.load() == 0U);
    finish(b);
}

// Five slots a slab: nearly every operation fills a slab or empties one.
BOOST_AUTO_TEST_CASE(only_the_class_of_768)
{
    stress::report_watch const watch;
    for (auto const policy : {tslab::reclaim_policy::cached, tslab::reclaim_policy::eager}) {
        tslab::allocator heap{{.name = "768", .reclaim = policy}};
        bench b{heap};
        on_all_threads(b, [](bench& on, random_source& r) {
            stress::interleave(on, r, [](random_source& s) { return 641 + stress::below(s, 128); });
        });
        tslab::snapshot const s = heap.snapshot();
        BOOST_TEST(s.classes[7].allocations == b.done.allocated.load());
        finish(b);
    }
}

BOOST_AUTO_TEST_CASE(with_snapshots_all_the_time)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "watched", .epoch_count = 16}};
    bench b{heap};
    on_all_threads(
        b, [](bench& on, random_source& r) { stress::interleave(on, r); },
        {[&b](random_source& r) { stress::snapshots(b, r); }, [&b](random_source& r) { stress::snapshots(b, r); },
         [&b](random_source& r) { stress::closer(b, r); }, [&b](random_source& r) { stress::requests(b, r); }});
    finish(b);
}
