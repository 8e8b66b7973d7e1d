// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the costs of phases look at. Include it last: it imports tslab.
#pragma once
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "recorder.hpp"

namespace phase_costs {

using tslab::phase_cost_stats;

/// The entry of a label; an empty one if there is none.
inline phase_cost_stats cost_of(tslab::snapshot const& s, std::string_view label)
{
    auto const found = std::ranges::find(s.phase_costs, label, &phase_cost_stats::label);
    return found != s.phase_costs.end() ? *found : phase_cost_stats{};
}
inline phase_cost_stats cost_of(tslab::allocator const& heap, std::string_view label)
{
    return cost_of(heap.snapshot({.residency = false}), label);
}

/// Every phase that ended is counted once: by its epoch, and in each histogram.
inline void check_whole(tslab::allocator const& heap)
{
    tslab::snapshot const s = heap.snapshot({.residency = false});
    std::uint64_t phases = 0;
    for (phase_cost_stats const& c : s.phase_costs) {
        phases += c.phases;
        for (auto const* const h : {&c.objects, &c.bytes, &c.peak_bytes, &c.wall_ns})
            BOOST_TEST(h->total() == c.phases, c.label);
        for (auto const* const h : {&c.objects, &c.bytes, &c.peak_bytes})
            BOOST_TEST(h->buckets[0] == c.empty_phases, c.label);
        BOOST_TEST(c.peak_bytes_sum <= c.bytes_sum, c.label);
    }
    BOOST_TEST(phases == s.global.epoch_closes);
    BOOST_TEST(s.global.phase_costs_dropped == 0u);
}

constexpr std::uint64_t slot(std::size_t bytes) { return tslab::class_sizes[tslab::class_of(bytes)]; }

}
