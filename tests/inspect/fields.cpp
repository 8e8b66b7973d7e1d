// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The lists of fields: each names every member of its record once, and derived figures follow the formulas of the reference.
#define BOOST_TEST_MODULE fields
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

import tslab.inspect;

namespace {

/// Bytes of the members that the list of S visits; BOOST_TEST fails on a name or a member that comes twice.
template <class S> std::size_t listed_bytes()
{
    S record;
    std::set<std::string> names;
    std::set<void const*> members;
    std::size_t bytes = 0;
    for_each_field(record, [&](std::string_view name, tslab::field_kind, auto& field) {
        BOOST_TEST(names.insert(std::string{name}).second, name);
        BOOST_TEST(members.insert(&field).second, name);
        bytes += sizeof(field);
    });
    return bytes;
}

/// The derived figures of a record by name.
template <class S> std::map<std::string, double> derived(S const& s, std::uint64_t page_size = 4096)
{
    std::map<std::string, double> all;
    for_each_derived(s, page_size, [&](std::string_view name, tslab::field_kind kind, auto v) {
        BOOST_TEST((kind == tslab::field_kind::derived));
        if constexpr (std::is_arithmetic_v<decltype(v)>)
            all[std::string{name}] = static_cast<double>(v);
        else
            all[std::string{name}] = v ? static_cast<double>(*v) : -1;
    });
    return all;
}

}

BOOST_AUTO_TEST_CASE(every_member_is_on_the_list)
{
    using namespace tslab;
    // A member without a name would be missing from the sum; what has a form of its own in JSON, and padding, is added.
    constexpr std::size_t timing = sizeof(std::optional<lock_timing_stats>);
    constexpr std::size_t histograms = sizeof(std::optional<lock_histogram_stats>);
    constexpr std::size_t pad4 = 4;
    BOOST_TEST(listed_bytes<contention_stats>() == sizeof(contention_stats));
    BOOST_TEST(listed_bytes<lock_timing_stats>() == sizeof(lock_timing_stats));
    BOOST_TEST(listed_bytes<waterfall_stats>() == sizeof(waterfall_stats));
    BOOST_TEST(listed_bytes<sampling_stats>() == sizeof(sampling_stats));
    BOOST_TEST(listed_bytes<lock_histogram_stats>() == sizeof(lock_histogram_stats));
    BOOST_TEST(listed_bytes<global_stats>() + timing + histograms == sizeof(global_stats));
    BOOST_TEST(listed_bytes<class_stats>() + sizeof(class_stats::by_label) + timing == sizeof(class_stats));
    BOOST_TEST(listed_bytes<class_share>() + pad4 == sizeof(class_share));
    BOOST_TEST(listed_bytes<label_stats>() + pad4 + sizeof(label_stats::last_close) == sizeof(label_stats));
    BOOST_TEST(listed_bytes<close_stats>() + pad4 == sizeof(close_stats));
    BOOST_TEST(listed_bytes<thread_stats>() + 7 + pad4 == sizeof(thread_stats));
    BOOST_TEST(listed_bytes<epoch_stats>() + 2 * pad4 + 8 + sizeof(source_entry) + sizeof(epoch_stats::classes) ==
               sizeof(epoch_stats));
    BOOST_TEST(listed_bytes<phase_cost_stats>() + pad4 + sizeof(source_entry) == sizeof(phase_cost_stats));
    BOOST_TEST(listed_bytes<snapshot>() + 6 + pad4 + sizeof(global_stats) + 6 * sizeof(snapshot::classes) +
                   sizeof(close_stats) + sizeof(sampling_stats) + sizeof(snapshot::waterfall) ==
               sizeof(snapshot));
}

BOOST_AUTO_TEST_CASE(names_of_fields_and_derived_figures_do_not_meet)
{
    tslab::snapshot s;
    std::set<std::string> names{"schema_version", "version"};
    auto const once = [&](std::string_view name, tslab::field_kind, auto const&) {
        BOOST_TEST(names.insert(std::string{name}).second, name);
    };
    auto const once_global = [&](tslab::field_info const& f, auto const&) {
        BOOST_TEST(names.insert(std::string{f.name}).second, f.name);
    };
    for_each_field(s, once);
    for_each_field(s.global, once);
    for_each_derived(s.global, 4096, once);
    tslab::lock_timing_stats const timing;
    describe_heap_lock_times(timing, once_global);
    describe_derived_heap_lock_times(timing, once_global);
    tslab::lock_histogram_stats const histograms;
    for_each_field(histograms, once);
    for_each_derived(histograms, 4096, once);
    auto const check = [&](auto const& record, std::set<std::string> own) {
        names = std::move(own);
        for_each_field(record, once);
        if constexpr (requires { for_each_derived(record, 4096, once); })
            for_each_derived(record, 4096, once);
    };
    check(tslab::class_stats{}, {"version"});
    check(tslab::epoch_stats{}, {"state", "lifecycle", "opened_at", "classes"});
    check(tslab::thread_stats{}, {});
    check(tslab::sampling_stats{}, {});
    check(tslab::close_stats{}, {});
    check(tslab::label_stats{}, {"last_close"});
    check(tslab::phase_cost_stats{}, {"largest_at"});
}

BOOST_AUTO_TEST_CASE(lock_times_have_names_of_their_own_for_the_whole_heap)
{
    // The pairs of names are part of schema 1.
    BOOST_TEST(tslab::global_timing_name("lock_timing_samples") == "total_lock_timing_samples");
    BOOST_TEST(tslab::global_timing_name("lock_wait_time_ns") == "total_lock_wait_time_ns");
    BOOST_TEST(tslab::global_timing_name("lock_hold_time_ns") == "total_lock_hold_time_ns");
    BOOST_TEST(tslab::global_timing_name("lock_wait_time_ns_max") == "lock_wait_time_ns_max");
    BOOST_TEST(tslab::global_timing_name("avg_lock_wait_time_ns") == "avg_global_lock_wait_time_ns");
    BOOST_TEST(tslab::global_timing_name("avg_lock_hold_time_ns") == "avg_global_lock_hold_time_ns");
    BOOST_TEST(tslab::global_timing_name("pid") == "pid");
    tslab::lock_timing_stats const timing;
    std::set<void const*> of_class;
    std::set<void const*> of_heap;
    describe_fields(timing, [&](tslab::field_info const&, auto const& field) { of_class.insert(&field); });
    describe_heap_lock_times(timing, [&](tslab::field_info const&, auto const& field) { of_heap.insert(&field); });
    BOOST_TEST((of_class == of_heap));
}

BOOST_AUTO_TEST_CASE(every_field_has_a_unit_that_fits_its_name_and_one_line_of_help)
{
    std::size_t fields = 0;
    auto const check = [&](tslab::field_info const& f, auto const&) {
        ++fields;
        BOOST_TEST(!f.help.empty(), f.name);
        BOOST_TEST(f.help.find('\n') == f.help.npos, f.name);
        BOOST_TEST((!f.name.ends_with("_bytes") || f.unit == "bytes"), f.name << " is in " << f.unit);
        BOOST_TEST((!f.name.ends_with("_ns") || f.unit.starts_with("ns")), f.name << " is in " << f.unit);
        BOOST_TEST((!f.name.ends_with("_pages") || f.unit == "pages"), f.name << " is in " << f.unit);
    };
    auto const check_all = [&](auto const& record) {
        describe_fields(record, check);
        if constexpr (requires { describe_derived(record, 4096, check); })
            describe_derived(record, 4096, check);
    };
    check_all(tslab::snapshot{});
    check_all(tslab::global_stats{});
    check_all(tslab::class_stats{});
    check_all(tslab::contention_stats{});
    check_all(tslab::lock_timing_stats{});
    check_all(tslab::lock_histogram_stats{});
    check_all(tslab::class_share{});
    check_all(tslab::epoch_stats{});
    check_all(tslab::label_stats{});
    check_all(tslab::thread_stats{});
    check_all(tslab::close_stats{});
    check_all(tslab::waterfall_stats{});
    BOOST_TEST(fields > 200u);
}

BOOST_AUTO_TEST_CASE(derived_figures_without_traffic_are_0)
{
    for (auto const& [name, value] : derived(tslab::class_stats{}))
        BOOST_TEST(value == 0.0, name);
    for (auto const& [name, value] : derived(tslab::sampling_stats{}))
        BOOST_TEST(value == 0.0, name);
    BOOST_TEST(derived(tslab::epoch_stats{})["cooperation_pct"] == -1.0);   // null
    BOOST_TEST(derived(tslab::close_stats{})["cooperation_pct"] == -1.0);
}

BOOST_AUTO_TEST_CASE(derived_figures_follow_their_formulas)
{
    tslab::class_stats c;
    c.pages_per_slab = 16;
    c.partial_slabs = 3;
    c.full_slabs = 4;
    c.cached_slabs = 5;
    c.cache_overflow_len = 6;
    c.empty_slab_recycled = 9;
    c.empty_slab_overflowed = 3;
    c.cache_hits = 1;
    c.slow_path_cache_miss = 3;
    c.current_partial_lost_races = 1;
    c.current_partial_mismatches = 3;
    c.current_partial_cas_attempts = 16;
    c.bitmap_alloc_attempts = 10;
    c.bitmap_free_attempts = 20;
    c.contention = {
        .lock_fast_acquire = 30, .lock_contended = 10, .bitmap_alloc_cas_retries = 1, .bitmap_free_cas_retries = 5};
    auto d = derived(c);
    BOOST_TEST(d["net_slabs"] == 7.0);
    BOOST_TEST(d["estimated_rss_bytes"] == 7 * 16 * 4096.0);
    BOOST_TEST(d["committed_bytes"] == (12 * 16 + 6) * 4096.0);   // the overflow is given in pages
    BOOST_TEST(d["recycle_rate_pct"] == 75.0);
    BOOST_TEST(d["cache_hit_rate"] == 0.25);
    BOOST_TEST(d["current_partial_cas_failures"] == 4.0);
    BOOST_TEST(d["current_partial_cas_failure_rate"] == 0.25);
    BOOST_TEST(d["avg_alloc_cas_retries_per_attempt"] == 0.1);
    BOOST_TEST(d["avg_free_cas_retries_per_attempt"] == 0.25);
    BOOST_TEST(d["lock_acquisitions"] == 40.0);
    BOOST_TEST(d["lock_contention_rate"] == 0.25);
    BOOST_TEST(d["scan_mode"] == 0.0);
    c.scan_rotated_threads = 2;
    BOOST_TEST(derived(c)["scan_mode"] == 1.0);

    tslab::class_stats large;   // has no slabs
    large.large_pages = 9;
    BOOST_TEST(derived(large)["estimated_rss_bytes"] == 9 * 4096.0);
    BOOST_TEST(derived(large)["committed_bytes"] == 9 * 4096.0);

    tslab::global_stats g;
    g.slabs_in_use = 3;
    g.slab_pages = 17;
    BOOST_TEST(derived(g)["net_slabs"] == 3.0);
    BOOST_TEST(derived(g)["estimated_slab_rss_bytes"] == 17 * 4096.0);

    tslab::epoch_stats e;
    e.slabs = 3;
    e.slab_pages = 24;
    e.large_pages = 4;
    e.empty_slabs = 2;
    e.empty_slab_pages = 8;
    e.madvise_asked_bytes = 4 * 4096;
    e.madvise_gone_bytes = 3 * 4096;
    d = derived(e);
    BOOST_TEST(d["estimated_rss_bytes"] == 28 * 4096.0);
    BOOST_TEST(d["empty_partial_count"] == 2.0);
    BOOST_TEST(d["reclaimable_bytes"] == 8 * 4096.0);
    BOOST_TEST(d["cooperation_pct"] == 75.0);

    tslab::close_stats last;
    last.rss_before = 5000;
    last.rss_after = 1000;
    BOOST_TEST(derived(last)["rss_delta_bytes"] == -4000.0);

    tslab::lock_timing_stats const timing{
        .samples = 4, .wait_ns = 10, .hold_ns = 40, .wait_ns_max = 7, .hold_ns_max = 20};
    d = derived(timing);
    BOOST_TEST(d["avg_lock_wait_time_ns"] == 2.5);
    BOOST_TEST(d["avg_lock_hold_time_ns"] == 10.0);

    tslab::sampling_stats sampled;
    sampled.alloc.wall_ns_sum = 30;
    sampled.alloc.cpu_ns_sum = 20;
    sampled.alloc.wall.buckets[5] = 1;
    d = derived(sampled);
    BOOST_TEST(d["alloc_wall_cpu_ratio"] == 1.5);
    BOOST_TEST(d["alloc_wall_ns_p50"] == 31.0);
    BOOST_TEST(d["alloc_wall_ns_p999"] == 31.0);
}
