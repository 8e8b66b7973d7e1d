// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Slabs of many pages in which few objects live, while epochs close, are trimmed and go on, resources release, and others free
// what lives there: no object loses its contents, and nothing that is free stays.
#define BOOST_TEST_MODULE stress_survivors
#include "stress_roles.hpp"
#include <boost/test/unit_test.hpp>
import tslab.internal;

namespace {

using stress::bench;
using stress::object;
using stress::random_source;
using roles = std::vector<std::function<void(random_source&)>>;

/// Sizes of classes whose slabs have several pages.
std::size_t wide_size(random_source& r)
{
    constexpr std::array<std::size_t, 12> sizes{256,  512,  768,    1024,   2048,   3072,
                                                4096, 6144, 12'288, 16'384, 24'576, 49'152};
    return sizes[stress::below(r, sizes.size())] - stress::below(r, 64);
}

/// Allocates some, frees most of them, and leaves the rest to others.
void leave_few(bench& b, random_source& r)
{
    std::vector<object> mine;
    object o;
    while (b.going()) {
        std::size_t const size = wide_size(r);
        for (std::size_t n = 1 + stress::below(r, 20); n > 0; --n)
            if (b.allocate(o, size, r))
                mine.push_back(o);
        std::shuffle(mine.begin(), mine.end(), r);
        while (mine.size() > 3) {
            b.free(mine.back());
            mine.pop_back();
        }
        while (!mine.empty() && b.late.give(mine.back()))
            mine.pop_back();
        if (b.late.take(o, r))
            b.free(o);
    }
    for (object const& left : mine)
        b.free(left);
}

void free_late(bench& b, random_source& r)
{
    object o;
    while (b.going())
        if (b.late.take(o, r))
            b.free(o);
        else
            std::this_thread::yield();
}

/// Trims one epoch or all.
void trim(bench& b, random_source& r)
{
    while (b.going()) {
        if (stress::below(r, 2) == 0)
            b.heap.trim();
        else
            b.heap.trim(b.heap.current_epoch());
        std::this_thread::yield();
    }
}

void close_twice(bench& b, random_source& r)
{
    tslab::epoch_id before = b.heap.current_epoch();
    while (b.going()) {
        tslab::epoch_id const e = b.heap.current_epoch();
        b.heap.close(e);
        if (stress::below(r, 2) == 0)
            b.heap.close(before);   // again: what has become free meanwhile goes too
        before = e;
        std::this_thread::sleep_for(std::chrono::milliseconds{1 + stress::below(r, 3)});
    }
}

/// Phases that end in release(), with what they hold on the epoch's list or not.
void release(bench& b, random_source& r)
{
    while (b.going()) {
        tslab::epoch_resource phase{b.heap};
        for (int round = 0; round < 3; ++round) {
            std::size_t const size = wide_size(r);
            std::vector<object> mine;
            object o;
            for (int n = 0; n < 8; ++n)
                if (b.allocate_from(phase, o, size, r))
                    mine.push_back(o);
            if (stress::below(r, 2) == 0)
                b.heap.trim(phase.epoch());
            for (int n = 0; n < 4; ++n) {
                b.free_into(phase, mine.back());
                mine.pop_back();
            }
            for (object const& left : mine)
                b.check(left);   // counted as freed: the release does it
            phase.release();
        }
    }
}

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
    b.heap.trim();
    tslab::snapshot const s = b.heap.snapshot();
    BOOST_TEST(s.global.free_resident_pages == 0U);
    BOOST_TEST(s.global.madvise_failures == 0U);
    BOOST_TEST(s.waterfall->free_bytes == 0U);   // none that was noted as gone and was not
}

}

BOOST_AUTO_TEST_CASE(few_objects_in_closed_epochs_whose_others_are_freed)
{
    stress::report_watch const watch;
    for (auto const policy : {tslab::reclaim_policy::cached, tslab::reclaim_policy::eager}) {
        tslab::allocator heap{{.name = "survivors", .epoch_count = 16, .reclaim = policy}};
        bench b{heap};
        roles all;
        add(all, b, stress::given().threads / 2, leave_few);
        add(all, b, 2, free_late);
        add(all, b, 1, close_twice);
        b.run(all);
        finish(b);
    }
}

BOOST_AUTO_TEST_CASE(trims_of_an_epoch_that_goes_on)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "trimmed", .epoch_count = 4}};
    bench b{heap};
    roles all;
    add(all, b, stress::given().threads / 2, leave_few);
    add(all, b, 1, free_late);
    add(all, b, 2, trim);
    b.run(all);
    finish(b);
}

BOOST_AUTO_TEST_CASE(releases_beside_trims)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "released", .epoch_count = 16}};
    bench b{heap};
    roles all;
    add(all, b, stress::given().threads / 2, release);
    add(all, b, 1, leave_few);
    add(all, b, 1, free_late);
    add(all, b, 2, trim);
    add(all, b, 1, close_twice);
    b.run(all);
    finish(b);
}
