// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The largest ring, full; and more eras than it has slots, in the smallest one.
#define BOOST_TEST_MODULE lifecycle_epochs
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <vector>

#include "recorder.hpp"

using support::recorder;
using support::sanitized;

BOOST_AUTO_TEST_CASE(sixty_five_thousand_five_hundred_and_thirty_six_epochs_are_open_at_once)
{
    constexpr std::uint32_t most = tslab::allocator::most_epochs;
    constexpr std::size_t every = sanitized ? 256 : 32;   // one in so many gets an object, of a page of its own
    recorder const seen;
    BOOST_CHECK_THROW(tslab::allocator({.epoch_count = most + 1}), std::invalid_argument);
    tslab::allocator heap{{.name = "full", .epoch_count = most}};
    std::vector<void*> objects;
    {
        std::deque<tslab::epoch_domain> domains;
        std::vector<bool> used(most);
        used[heap.current_epoch().index] = true;
        for (std::uint32_t i = 0; i + 1 < most; ++i) {
            tslab::epoch_domain const& d = domains.emplace_back(heap, tslab::epoch_domain::options{});
            BOOST_REQUIRE(!used[d.epoch().index]);
            used[d.epoch().index] = true;
            if (i % every == 0) {
                objects.push_back(heap.malloc(64, d.epoch()));
                BOOST_REQUIRE(objects.back() != nullptr);
            }
        }
        tslab::global_stats g = heap.snapshot({.residency = false}).global;
        BOOST_TEST(g.active_epochs == most);
        BOOST_TEST(g.epoch_opens == most);
        BOOST_TEST(g.live_objects == objects.size());
        BOOST_TEST(g.ring_exhausted == 0U);

        tslab::epoch_id const now = heap.current_epoch();
        BOOST_TEST((heap.advance() == now));   // there is no further slot
        tslab::epoch_domain const shared{heap};
        BOOST_TEST((shared.epoch() == now));
        BOOST_TEST(heap.snapshot({.residency = false}).global.ring_exhausted == 2U);
        BOOST_TEST(heap.is_active(now));
    }
    tslab::global_stats g = heap.snapshot({.residency = false}).global;
    BOOST_TEST(g.active_epochs == 1U);
    BOOST_TEST(g.closing_epochs == objects.size());
    BOOST_TEST(g.epoch_closes == most - 1U);
    for (void* const p : objects)
        heap.free(p);
    heap.trim();
    g = heap.snapshot({.residency = false}).global;
    BOOST_TEST(g.closing_epochs == 0U);
    BOOST_TEST(g.epoch_drains == most - 1U);
    BOOST_TEST(g.live_objects == 0U);
    BOOST_TEST(g.slabs_in_use == 0U);
    BOOST_TEST(g.allocations == objects.size());
    BOOST_TEST(g.frees == objects.size());
    BOOST_TEST(seen.count() == 0U);
}

BOOST_AUTO_TEST_CASE(more_eras_than_the_largest_ring_has_slots)
{
    constexpr std::uint64_t eras = sanitized ? 20'000 : 200'000;
    recorder const seen;
    tslab::allocator heap{{.name = "eras", .epoch_count = 2}};
    void* held = heap.malloc(100);
    tslab::epoch_id last = heap.current_epoch();
    for (std::uint64_t i = 0; i < eras; ++i) {
        tslab::epoch_id const next = heap.advance();
        BOOST_REQUIRE(next.era == last.era + 1);
        BOOST_REQUIRE(!heap.is_active(last));
        BOOST_REQUIRE(heap.malloc(100, last) == nullptr);
        heap.free(held);
        held = heap.malloc(100);
        last = next;
    }
    heap.free(held);
    heap.close(heap.current_epoch());
    tslab::global_stats const g = heap.snapshot().global;
    BOOST_TEST(g.epoch_opens == eras + 2);
    BOOST_TEST(g.epoch_closes == eras + 1);
    BOOST_TEST(g.epoch_drains == eras + 1);
    BOOST_TEST(g.allocations == eras + 1);
    BOOST_TEST(g.frees == eras + 1);
    BOOST_TEST(g.slow_path_epoch_closed == eras);
    BOOST_TEST(g.ring_exhausted == 0U);
    BOOST_TEST(g.live_objects == 0U);
    BOOST_TEST(seen.count() == 0U);
}
