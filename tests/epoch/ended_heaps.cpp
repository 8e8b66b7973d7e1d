// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Heaps that come and go: the process holds no more after the last one than after the first. It counts what operator new hands out, so
// it is a program of its own.
#define BOOST_TEST_MODULE ended_heaps
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <unistd.h>

#include "small_heaps.hpp"

#include "faults.hpp"

using small_heaps::descriptors;
using small_heaps::small_heap;
using small_heaps::use;

BOOST_AUTO_TEST_CASE(what_heaps_leave_is_taken_by_the_next)
{
    faults::seam const seam;   // counts; nothing fails
    auto const lasting = small_heap("lasting");
    use(*lasting);
    std::uint64_t segment = 0;
    std::uint64_t hidden = 0;
    std::int64_t mapped = 0;
    std::int64_t allocated = 0;
    std::int64_t mapped_last = 0;
    std::int64_t allocated_last = 0;
    std::size_t const n = support::scaled(20'000);
    for (std::size_t i = 0; i < n; ++i) {
        auto const heap = small_heap("fleeting");
        use(*heap);
        tslab::epoch_scope const scope{*heap, "scope"};
        scope.resource()->deallocate(scope.resource()->allocate(2000), 2000);
        if (i == n / 10) {
            segment = tslab::published_segment().committed_bytes();
            hidden = tslab::private_segment().committed_bytes();
            mapped = faults::seam::mapped;
            allocated = faults::outstanding;
        }
        mapped_last = faults::seam::mapped;
        allocated_last = faults::outstanding;
    }
    BOOST_TEST(segment != 0U);
    BOOST_TEST(tslab::published_segment().committed_bytes() == segment);
    BOOST_TEST(tslab::private_segment().committed_bytes() == hidden);
    // Neither of the system's memory nor of operator new's.
    BOOST_TEST(mapped != 0);
    BOOST_TEST(mapped_last == mapped);
    BOOST_TEST(allocated != 0);
    BOOST_TEST(allocated_last == allocated);
    BOOST_TEST(descriptors() == 1U);
    auto const seen = tslab::observer{::getpid()}.read({.residency = false});
    BOOST_REQUIRE(seen.size() == 1U);
    BOOST_TEST(seen[0].name == "lasting");
}
