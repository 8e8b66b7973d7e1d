// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Every figure of schema 1 in a scripted run: each script is a table of places in the JSON and the value that must be
// there. The scripts are in exact_memory.hpp, exact_threads.hpp, exact_locks.hpp, exact_events.hpp and exact_costs.hpp. The last case asks of every number in the JSON
// that some script moved it.
#define BOOST_TEST_MODULE exact
#include <boost/test/unit_test.hpp>

#include <array>
#include <set>
#include <string>
#include <string_view>

#include "exact_costs.hpp"
#include "exact_events.hpp"
#include "exact_locks.hpp"
#include "exact_memory.hpp"
#include "exact_threads.hpp"

namespace {

/// What the design makes impossible, or leaves to the scheduler alone; docs/stats-reference.md says so of each.
bool cannot_be_moved(std::string_view place)
{
    // A repair takes no lock and makes no system call, so it waits only when the kernel takes the processor away.
    if (place.find("repair_wait_ns") != place.npos)
        return true;
    if (place ==
        "total_purges_by_pressure")   // that takes a control group that is short of memory: see lifecycle/pressure
        return true;
    if (place == "classes[].large_pages")   // the size classes have slabs,
        return true;
    if (!place.starts_with("large."))
        return false;
    // and large allocations have pages of their own: no slab, no cache, no claim, nothing to acquire, to repair or to close.
    static std::set<std::string_view> const has{"class_index",
                                                "slow_path_epoch_closed",
                                                "out_of_memory",
                                                "madvise_calls",
                                                "madvise_bytes",
                                                "madvise_failures",
                                                "large_pages",
                                                "allocations",
                                                "live_objects",
                                                "live_bytes",
                                                "resident_bytes",
                                                "lock_fast_acquire",
                                                "lock_contended",
                                                "lock_acquisitions",
                                                "lock_contention_rate",
                                                "lock_fast_acquire_by_label[]",
                                                "lock_contended_by_label[]",
                                                "estimated_rss_bytes",
                                                "committed_bytes",
                                                "lock_timing_samples",
                                                "lock_wait_time_ns",
                                                "lock_hold_time_ns",
                                                "lock_wait_time_ns_max",
                                                "lock_hold_time_ns_max",
                                                "avg_lock_wait_time_ns",
                                                "avg_lock_hold_time_ns",
                                                "version"};
    return !has.contains(place.substr(6));
}

struct script {
    char const* name;
    void (*run)();
};

constexpr std::array scripts{
    script{"one_thread_allocates_and_frees", exact::one_thread_allocates_and_frees},
    script{"caches_overflow_and_pages_go_back", exact::caches_overflow_and_pages_go_back},
    script{"a_closed_epoch_keeps_what_lives_in_it", exact::a_closed_epoch_keeps_what_lives_in_it},
    script{"purges_are_counted_by_cause", exact::purges_are_counted_by_cause},
    script{"others_free_and_hand_over", exact::others_free_and_hand_over},
    script{"repairs_are_counted_by_reason", exact::repairs_are_counted_by_reason},
    script{"a_lost_claim_for_reclaim_is_counted", exact::a_lost_claim_for_reclaim_is_counted},
    script{"waits_for_locks_are_counted_and_timed", exact::waits_for_locks_are_counted_and_timed},
    script{"one_allocation_in_1024_is_timed", exact::one_allocation_in_1024_is_timed},
    script{"short_scopes_are_sampled_too", exact::short_scopes_are_sampled_too},
    script{"one_free_in_1024_that_leaves_the_fast_path_is_timed",
           exact::one_free_in_1024_that_leaves_the_fast_path_is_timed},
    script{"waiting_and_working_are_timed_separately", exact::waiting_and_working_are_timed_separately},
    script{"the_search_order_changes_with_contention", exact::the_search_order_changes_with_contention},
    script{"refusals_are_counted_by_reason", exact::refusals_are_counted_by_reason},
    script{"every_kind_of_misuse_has_its_count", exact::every_kind_of_misuse_has_its_count},
    script{"scopes_and_resources_are_counted", exact::scopes_and_resources_are_counted},
    script{"limits_are_counted", exact::limits_are_counted},
    script{"slabs_with_one_free_slot_each_are_bypassed", exact::slabs_with_one_free_slot_each_are_bypassed},
    script{"statistics_without_room_are_counted", exact::statistics_without_room_are_counted},
    script{"the_heap_profile_is_counted", exact::the_heap_profile_is_counted},
    script{"phases_are_counted_by_what_they_cost", exact::phases_are_counted_by_what_they_cost},
    script{"phases_without_memory_for_a_row_are_counted", exact::phases_without_memory_for_a_row_are_counted},
    script{"escapes_are_counted_by_label", exact::escapes_are_counted_by_label},
};

}

BOOST_AUTO_TEST_CASE(every_script_gives_exactly_the_figures_it_must_and_moves_every_figure_there_is)
{
    for (script const& s : scripts) {
        BOOST_TEST_CONTEXT(s.name) { s.run(); }
    }
    std::string still;
    for (std::string const& place : exact::all_places)
        if (!exact::moved.contains(place) && !cannot_be_moved(place))
            still += " " + place;
    BOOST_TEST(still == "", "no script moves" << still);
    BOOST_TEST(exact::all_places.size() > 250u);
}
