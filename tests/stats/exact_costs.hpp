// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The script of exact.cpp for what phases cost. Include it last: it imports tslab.
#pragma once
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "exact.hpp"
#include "os_hook.hpp"

namespace exact {

inline void phases_are_counted_by_what_they_cost()
{
    tslab::allocator heap{{.name = "costs", .cost_labels = 1}};
    for (int i = 1; i <= 4; ++i) {
        tslab::epoch_scope scope{heap, "request"};
        for (int n = 0; n < i; ++n)
            (void)scope.resource()->allocate(128);
        if (i == 3)
            (void)scope.resource()->allocate(100'000);
        scope.resource()->release();
    }
    {
        tslab::epoch_scope const scope{heap, "request"};
    }
    json::value v = json_of(heap);
    check(v, {{"/phase_costs/0/label_id", 1},
              {"/phase_costs/0/phases", 5},
              {"/phase_costs/0/empty_phases", 1},
              {"/phase_costs/0/objects_sum", 11},
              {"/phase_costs/0/bytes_sum", 10 * 128 + 100'000},
              {"/phase_costs/0/peak_bytes_sum", 10 * 128 + 100'000},
              {"/phase_costs/0/wall_ns_sum", some},
              {"/phase_costs/0/objects_max", 4},
              {"/phase_costs/0/bytes_max", 3 * 128 + 100'000},
              {"/phase_costs/0/peak_bytes_max", 3 * 128 + 100'000},
              {"/phase_costs/0/wall_ns_max", some},
              {"/phase_costs/0/largest_timestamp_ns", some},
              {"/phase_costs/0/objects_p50", 2},
              {"/phase_costs/0/objects_p90", 4},
              {"/phase_costs/0/objects_p99", 4},
              {"/phase_costs/0/bytes_p50", 319},   // of 256, the bucket's largest
              {"/phase_costs/0/bytes_p90", 3 * 128 + 100'000},
              {"/phase_costs/0/bytes_p99", 3 * 128 + 100'000},
              {"/phase_costs/0/peak_bytes_p50", 319},
              {"/phase_costs/0/peak_bytes_p90", 3 * 128 + 100'000},
              {"/phase_costs/0/peak_bytes_p99", 3 * 128 + 100'000},
              {"/phase_costs/0/wall_ns_p50", some},
              {"/phase_costs/0/wall_ns_p90", some},
              {"/phase_costs/0/wall_ns_p99", some},
              {"/phase_costs/0/largest_at/line", some},
              {"/phase_costs/0/objects_histogram/0/0", 0},
              {"/phase_costs/0/objects_histogram/0/1", 1},
              {"/phase_costs/0/objects_histogram/3/0", 4},
              {"/phase_costs/0/objects_histogram/3/1", 2},
              {"/phase_costs/0/bytes_histogram/1/0", 159},
              {"/phase_costs/0/bytes_histogram/1/1", 1},
              {"/phase_costs/0/peak_bytes_histogram/4/0", 114'687},
              {"/phase_costs/0/peak_bytes_histogram/4/1", 1},
              {"/phase_costs/0/wall_ns_histogram/0/1", some},
              {"/total_phase_costs_dropped", 0},
              {"/total_cost_labels_in_overflow", 0}});
    BOOST_TEST(v.at_pointer("/phase_costs/0/label").as_string() == "request");

    for (int i = 0; i < 20; ++i)   // 13 of them fill the registry, one has a row of its own, 6 have not
        tslab::epoch_scope const scope{heap, "further " + std::to_string(i)};
    v = json_of(heap);
    check(v, {{"/total_cost_labels_in_overflow", 6}, {"/phase_costs/14/label_id", 15}, {"/phase_costs/15/phases", 6}});
    BOOST_TEST(v.at_pointer("/phase_costs/14/label").as_string() == "further 13");
    BOOST_TEST(v.at_pointer("/phase_costs/15/label").as_string() == "other");
}

inline void phases_without_memory_for_a_row_are_counted()
{
    support::os_hook os;
    tslab::allocator heap{{.name = "narrow costs"}};
    {
        tslab::epoch_scope const first{heap};
    }
    {
        tslab::epoch_scope const scope{heap, "dropped"};
        support::os_hook::fail_commit = true;
        while (heap.state().make_private<std::uint64_t>() != nullptr) {
        }
    }
    support::os_hook::fail_commit = false;
    check(json_of(heap), {{"/total_phase_costs_dropped", 1}, {"/total_epoch_closes", 2}, {"/phase_costs/0/phases", 1}});
}

}
