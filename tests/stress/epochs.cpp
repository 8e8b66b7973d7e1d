// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Epochs that end while everybody works: a closer that never rests, trims, scopes per request with frees that come late
// and elsewhere, a ring with too few slots. Live objects stay as they are, and every epoch drains in the end.
#define BOOST_TEST_MODULE stress_epochs
#include "stress_roles.hpp"
#include <boost/test/unit_test.hpp>
import tslab.internal;

namespace {

using stress::bench;
using stress::random_source;
using roles = std::vector<std::function<void(random_source&)>>;

template <class Role> void add(roles& to, bench& b, unsigned n, Role role)
{
    for (unsigned i = 0; i < n; ++i)
        to.emplace_back([&b, role](random_source& r) { role(b, r); });
}

void finish(bench& b)
{
    b.free_all_late();
    stress::close_everything(b.heap);
    BOOST_TEST(stress::wrong_with(b.heap, &b.done) == "");
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}

void some_interleave(bench& b, random_source& r) { stress::interleave(b, r); }
void some_requests(bench& b, random_source& r) { stress::requests(b, r, 2); }

}

BOOST_AUTO_TEST_CASE(a_closer_that_never_rests)
{
    stress::report_watch const watch;
    for (auto const policy :
         {tslab::reclaim_policy::cached, tslab::reclaim_policy::eager, tslab::reclaim_policy::never}) {
        tslab::allocator heap{{.name = "closer", .epoch_count = 32, .reclaim = policy}};
        bench b{heap};
        roles all;
        add(all, b, stress::given().threads, some_interleave);
        add(all, b, 2, stress::closer);
        b.run(all);
        BOOST_TEST(heap.snapshot().global.epoch_closes > 10U);
        finish(b);
        if (policy == tslab::reclaim_policy::never)
            BOOST_TEST(heap.snapshot().global.madvise_calls == 0U);
    }
}

BOOST_AUTO_TEST_CASE(trims_beside_everything)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "trim", .epoch_count = 8}};
    bench b{heap};
    roles all;
    add(all, b, stress::given().threads, some_interleave);
    add(all, b, 1, stress::trimmer);
    add(all, b, 1, stress::closer);
    b.run(all);
    finish(b);
    heap.trim();
    tslab::global_stats const g = heap.snapshot().global;
    BOOST_TEST(g.slabs_cached == 0U);
    BOOST_TEST(g.free_resident_pages == 0U);
    BOOST_TEST(g.madvise_failures == 0U);
}

BOOST_AUTO_TEST_CASE(a_scope_per_request_with_late_frees_elsewhere)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "requests"}};
    bench b{heap};
    roles all;
    add(all, b, stress::given().threads, some_requests);
    add(all, b, 2, stress::late_frees);
    b.run(all);
    tslab::global_stats const g = heap.snapshot().global;
    BOOST_TEST(b.done.scopes.load() > 0U);
    BOOST_TEST(b.done.refused.load() == 0U);
    BOOST_TEST(g.leaked_objects >= stress::report_watch::count(tslab::misuse::leak));
    finish(b);
}

// More scopes than slots: newcomers share the current epoch, and each of them still gets its memory and its end.
BOOST_AUTO_TEST_CASE(a_ring_of_two_with_many_scopes)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "ring", .epoch_count = 2}};
    bench b{heap};
    roles all;
    add(all, b, stress::given().threads, some_requests);
    add(all, b, 1, stress::late_frees);
    b.run(all);
    BOOST_TEST(heap.snapshot().global.ring_exhausted > 0U);
    BOOST_TEST(b.done.refused.load() == 0U);
    finish(b);
}

BOOST_AUTO_TEST_CASE(a_ring_of_two_with_a_closer)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "ring", .epoch_count = 2}};
    bench b{heap};
    roles all;
    add(all, b, stress::given().threads / 2 + 1, some_requests);
    add(all, b, stress::given().threads / 2 + 1, some_interleave);
    add(all, b, 1, stress::closer);
    b.run(all);
    finish(b);
}

// Every ring slot is closed with one object in it, small or large: none is used again before that object is freed.
BOOST_AUTO_TEST_CASE(one_live_object_keeps_its_slot_whatever_the_closer_does)
{
    stress::report_watch const watch;
    for (std::size_t const size : {std::size_t{16}, std::size_t{64}, std::size_t{768}, std::size_t{769},
                                   std::size_t{50'000}, std::size_t{100'000}}) {
        tslab::allocator heap{{.name = "held", .epoch_count = 8}};
        random_source r = stress::source_for(size);
        bench b{heap};
        std::vector<std::pair<tslab::epoch_id, stress::object>> held(7);
        for (auto& [e, o] : held) {
            e = heap.current_epoch();
            BOOST_TEST(b.allocate(o, size, r));
            BOOST_TEST(!heap.close(e).drained);
        }
        for (int i = 0; i < 100; ++i)
            heap.close(heap.advance());
        BOOST_TEST(heap.snapshot().global.closing_epochs == 7U);
        for (auto const& [e, o] : held) {
            BOOST_TEST((heap.malloc(8, e) == nullptr));
            b.free(o);
        }
        finish(b);
    }
}
