// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Scripts of exact.cpp in which one thread at a time allocates and frees: slots, slabs, caches, pages, closed epochs, purges.
// Include it last: it imports tslab.
#pragma once
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "exact.hpp"
#include "os_hook.hpp"
#include "recorder.hpp"

namespace exact {

namespace json = boost::json;
using support::os_hook;
using tslab::large_class;
using tslab::reclaim_policy;
using namespace std::chrono_literals;

inline void one_thread_allocates_and_frees()
{
    tslab::allocator heap{{.name = "plain"}};
    tslab::epoch_id const e = heap.current_epoch();
    auto const all = fill(heap, 612, e, 128);   // 32 a slab of one page
    constexpr std::int64_t bytes = 612 * 128;
    json::value v = json_of(heap);
    check(v, {{"/total_allocations", 612},
              {"/total_frees", 0},
              {"/live_objects", 612},
              {"/live_bytes", bytes},
              {"/slabs_in_use", 20},
              {"/slab_pages", 20},
              {"/net_slabs", 20},
              {"/estimated_slab_rss_bytes", 20 * page},
              {"/total_slow_path_hits", 20},
              {"/total_slow_cache_miss", 20},
              {"/total_slabs_allocated", 20},
              {"/classes/2/slow_path_hits", 20},
              {"/classes/2/slow_path_cache_miss", 20},
              {"/classes/2/new_slab_count", 20},
              {"/classes/2/pages_per_slab", 1},
              {"/classes/2/objects_per_slab", 32},
              {"/classes/2/current_partial_null", 1},
              {"/classes/2/current_partial_full", 19},
              {"/classes/2/list_move_partial_to_full", 19},
              {"/classes/2/total_full_slabs", 19},
              {"/classes/2/total_partial_slabs", 1},
              {"/classes/2/empty_slabs_count", 0},
              {"/classes/2/net_slabs", 20},
              {"/classes/2/estimated_rss_bytes", 20 * page},
              {"/classes/2/allocations", 612},
              {"/classes/2/live_objects", 612},
              {"/classes/2/live_bytes", bytes},
              {"/classes/2/resident_bytes", 0},   // never written to
              {"/classes/3/slow_path_hits", 0},
              {"/epochs/0/alloc_count", 612},
              {"/epochs/0/live_objects", 612},
              {"/epochs/0/live_bytes", bytes},
              {"/epochs/0/slabs", 20},
              {"/epochs/0/slab_pages", 20},
              {"/epochs/0/total_full_slabs", 19},
              {"/epochs/0/total_partial_slabs", 1},
              {"/epochs/0/estimated_rss_bytes", 20 * page},
              {"/epochs/0/classes/0/class_index", 2},
              {"/epochs/0/classes/0/slabs", 20},
              {"/epochs/0/classes/0/full_slabs", 19},
              {"/epochs/0/classes/0/empty_slabs", 0},
              {"/epochs/0/classes/0/pages", 20},
              {"/epochs/0/classes/0/live_objects", 612},
              {"/epochs/0/classes/0/live_bytes", bytes},
              {"/threads/0/allocations", 612},
              {"/threads/0/slow_path_hits", 20},
              {"/labels/0/live_objects", 612},
              {"/labels/0/live_bytes", bytes},
              {"/labels/0/held_bytes", 20 * page},
              {"/labels/0/epochs", 1},
              {"/waterfall/untouched_bytes", 20 * page}});
    for (void* const p : all)
        std::fill_n(static_cast<char*>(p), 128, 'x');
    check(json_of(heap), {{"/classes/2/resident_bytes", 20 * page},
                          {"/epochs/0/resident_bytes", 20 * page},
                          {"/labels/0/resident_bytes", 20 * page},
                          {"/waterfall/live_bytes", bytes},
                          {"/waterfall/empty_slot_bytes", 20 * page - bytes},
                          {"/waterfall/slack_bytes", 0},
                          {"/waterfall/untouched_bytes", 0}});
    free_all(heap, all);
    // The thread cache keeps its current slab although it is empty, and four more; fifteen wait with the thread.
    check(json_of(heap), {{"/total_frees", 612},
                          {"/live_objects", 0},
                          {"/classes/2/list_move_full_to_partial", 19},
                          {"/classes/2/empty_slab_recycled", 15},
                          {"/total_slabs_recycled", 15},
                          {"/classes/2/recycle_rate_pct", 100},
                          {"/classes/2/cached_slabs", 15},
                          {"/classes/2/cache_size", 0},
                          {"/classes/2/cache_capacity", 32},
                          {"/slabs_cached", 15},
                          {"/slabs_in_use", 5},
                          {"/slab_pages", 5},
                          {"/classes/2/empty_slabs_count", 5},
                          {"/epochs/0/total_reclaimable_slabs", 5},
                          {"/epochs/0/empty_partial_count", 5},
                          {"/epochs/0/reclaimable_pages", 5},
                          {"/epochs/0/reclaimable_bytes", 5 * page},
                          {"/empty_held_bytes", 20 * page},
                          {"/committed_bytes", 20 * page},
                          {"/classes/2/committed_bytes", 20 * page},
                          {"/waterfall/cached_bytes", 15 * page}});
    free_all(heap, fill(heap, 612, e, 128));   // the first 32 from the current slab
    check(json_of(heap), {{"/classes/2/cache_hits", 15},
                          {"/classes/2/slow_path_cache_miss", 20},
                          {"/classes/2/slow_path_hits", 20 + 19}});
    v = json_of(heap);
    BOOST_TEST(v.at_pointer("/classes/2/cache_hit_rate").to_number<double>() == 15.0 / 35,
               boost::test_tools::tolerance(1e-12));
}

inline void caches_overflow_and_pages_go_back()
{
    os_hook os;
    tslab::allocator heap{{.name = "caches", .slab_cache = 2, .thread_cache = slab_pages * page}};
    tslab::epoch_id e = heap.current_epoch();
    auto all = fill(heap, 10 * in_slab, e);
    for (void* const p : all)
        *static_cast<char*>(p) = 'x';
    // Two pages a class are less than a slab, so one is the limit: one stays current, one is kept by the thread cache, one by the thread,
    // one cached, six are too many.
    free_all(heap, all);
    check(json_of(heap), {{"/classes/7/empty_slab_recycled", 2},
                          {"/classes/7/empty_slab_overflowed", 6},
                          {"/total_cache_overflows", 6},
                          {"/classes/7/cache_size", 1},
                          {"/classes/7/cache_capacity", 1},
                          {"/classes/7/pages_per_slab", slab_pages},
                          {"/classes/7/cached_slabs", 2},
                          {"/slabs_in_use", 2},
                          {"/slab_pages", 2 * slab_pages},
                          {"/empty_held_bytes", 10 * slab_pages * page},
                          {"/classes/7/estimated_rss_bytes", 2 * slab_pages * page},
                          {"/classes/7/committed_bytes", 10 * slab_pages * page},
                          {"/classes/7/cache_overflow_len", 6 * slab_pages},
                          {"/free_resident_pages", 6 * slab_pages},
                          {"/waterfall/cached_bytes", 2 * slab_pages * page},
                          {"/waterfall/free_bytes", 6 * slab_pages * page}});
    os_hook::fail_purge = true;
    tslab::close_report report = heap.close(e);
    BOOST_TEST(report.madvise_failures == report.madvise_calls);
    json::value v = json_of(heap);
    check(v, {{"/total_madvise_failures", report.madvise_calls},
              {"/classes/7/madvise_failures", report.madvise_calls},
              {"/classes/7/madvise_bytes", 0},
              {"/total_madvise_bytes", 0},
              {"/last_epoch_close/madvise_failures", report.madvise_failures},
              {"/last_epoch_close/madvise_asked_bytes", some},
              {"/last_epoch_close/madvise_gone_bytes", 0},
              {"/last_epoch_close/cooperation_pct", 0},
              {"/free_purged_pages", 0}});
    {
        tslab::allocator large{{.name = "large"}};
        large.free(large.malloc(100'000));
        large.trim();
        check(json_of(large),
              {{"/large/madvise_calls", 1}, {"/large/madvise_failures", 1}, {"/large/madvise_bytes", 0}});
        os_hook::fail_purge = false;
        large.trim();
        check(json_of(large),
              {{"/large/madvise_calls", 2}, {"/large/madvise_failures", 1}, {"/large/madvise_bytes", 25 * page}});
    }
    {
        tslab::allocator units{{.name = "units"}};
        units.free(units.malloc(100'000));
        os_hook::fail_release = true;
        units.trim();
        os_hook::fail_release = false;
        check(json_of(units), {{"/total_unmap_failures", 1}, {"/free_purged_pages", 0}});
    }
    e = heap.current_epoch();
    heap.free(heap.malloc(64, e));
    report = heap.close(e);
    v = json_of(heap);
    std::int64_t const bytes = static_cast<std::int64_t>(report.madvise_bytes);
    BOOST_TEST(report.madvise_asked_bytes == report.madvise_bytes);
    BOOST_TEST(report.madvise_gone_bytes == report.madvise_bytes);   // the kernel purges what it is asked to
    check(v, {{"/total_madvise_bytes", bytes},
              {"/classes/7/madvise_bytes", bytes},
              {"/classes/7/madvise_calls", some},
              {"/total_madvise_calls", some},
              {"/free_purged_pages", bytes / 4096},
              {"/last_epoch_close/madvise_calls", report.madvise_calls},
              {"/last_epoch_close/madvise_bytes", bytes},
              {"/last_epoch_close/madvise_asked_bytes", bytes},
              {"/last_epoch_close/madvise_gone_bytes", bytes},
              {"/last_epoch_close/cooperation_pct", 100},
              {"/last_epoch_close/timestamp_ns", some},
              {"/last_epoch_close/duration_ns", some},
              {"/last_epoch_close/rss_before", report.rss_before},
              {"/last_epoch_close/rss_after", report.rss_after},
              {"/last_epoch_close/rss_delta_bytes", report.rss_after - report.rss_before},
              {"/last_epoch_close/epoch_id", e.index},
              {"/last_epoch_close/epoch_era", e.era}});
}

inline void a_closed_epoch_keeps_what_lives_in_it()
{
    tslab::allocator heap{{.name = "closed", .reclaim = reclaim_policy::eager}};
    tslab::epoch_id const e = heap.current_epoch();
    heap.set_label(e, "pinned");
    auto all = fill(heap, 10 * in_slab + 1, e);   // eleven slabs
    for (void* const p : all)
        *static_cast<char*>(p) = 'x';
    void* const large = heap.malloc(100'000, e);
    std::fill_n(static_cast<char*>(large), 100'000, 'x');
    for (std::size_t i = 1; i < all.size(); ++i)
        heap.free(all[i]);   // nine slabs are reclaimed at once, the last one stays current
    tslab::close_report const report = heap.close(e);
    json::value v = json_of(heap);
    json::value const* const entry = epoch_in(v, e);
    BOOST_REQUIRE(entry != nullptr);
    BOOST_TEST(entry->at("state").as_string() == "CLOSING");
    BOOST_TEST(entry->at("lifecycle").as_string() == "CLOSING");
    BOOST_TEST(entry->at("label").as_string() == "pinned");
    check(*entry, {{"/live_objects", 2},
                   {"/live_bytes", 100'768},
                   {"/slabs", 1},
                   {"/slab_pages", slab_pages},
                   {"/large_pages", 25},
                   {"/resident_bytes", (1 + 25) * page},   // of the slab, the page that its object touches
                   {"/estimated_rss_bytes", (slab_pages + 25) * page},
                   {"/alloc_count", 10 * in_slab + 2},
                   {"/total_partial_slabs", 1},
                   {"/label_id", 1},
                   {"/rss_before_close", report.rss_before},
                   {"/rss_after_close", report.rss_after},
                   {"/madvise_bytes", (11 * slab_pages - 1) * page},
                   {"/madvise_asked_bytes", (11 * slab_pages - 1) * page},
                   {"/madvise_gone_bytes", (11 * slab_pages - 1) * page},
                   {"/cooperation_pct", 100},
                   {"/classes/0/class_index", 7},
                   {"/classes/0/slabs", 1},
                   {"/classes/0/full_slabs", 0},
                   {"/classes/0/empty_slabs", 0},
                   {"/classes/0/pages", slab_pages},
                   {"/classes/1/class_index", large_class},
                   {"/classes/1/slabs", 0},
                   {"/classes/1/pages", 25},
                   {"/classes/1/live_bytes", 100'000}});
    check(v, {{"/closing_epoch_count", 1},
              {"/active_epoch_count", 1},
              {"/total_epoch_closes", 1},
              {"/total_epoch_advances", 1},
              {"/total_epoch_opens", 2},
              {"/total_epoch_drains", 0},
              {"/total_epoch_close_timed", 1},
              {"/total_epoch_close_ns", some},
              // the slab with the live object and the current one, which was empty
              {"/total_epoch_close_scanned_slabs", 2},
              {"/total_epoch_close_recycled_slabs", 1},
              {"/classes/7/epoch_close_calls", 1},
              {"/classes/7/epoch_close_scanned_slabs", 2},
              {"/classes/7/epoch_close_recycled_slabs", 1},
              {"/classes/7/epoch_close_total_ns", report.nanoseconds - report.purge_nanoseconds},
              {"/classes/6/epoch_close_calls", 0},
              {"/last_epoch_close/scanned_slabs", 2},
              {"/last_epoch_close/recycled_slabs", 1},
              {"/large/allocations", 1},
              {"/large/live_objects", 1},
              {"/large/live_bytes", 100'000},
              {"/large/large_pages", 25},
              {"/large/resident_bytes", 25 * page},
              {"/large/estimated_rss_bytes", 25 * page},
              {"/large_pages", 25},
              {"/waterfall/live_bytes", 100'768},
              {"/waterfall/slack_bytes", 25 * page - 100'000},   // the last page of the slab has gone
              {"/current_epoch", 1},
              {"/current_era", heap.current_epoch().era}});
    std::this_thread::sleep_for(30ms);
    v = json_of(heap);
    check(*epoch_in(v, e), {{"/closing_sec", some}, {"/age_sec", some}, {"/open_since_ns", some}});
    heap.free(large);
    heap.free(all[0]);
    check(json_of(heap), {{"/total_epoch_drains", 1}, {"/closing_epoch_count", 0}, {"/live_objects", 0}});
}

inline void others_free_and_hand_over()
{
    tslab::allocator heap{{.name = "others"}};
    tslab::epoch_id const e = heap.current_epoch();
    auto const all = fill(heap, 2 * in_slab, e);   // two full slabs
    constexpr std::size_t freed = in_slab + 2;
    support::on_other_thread([&] {
        for (std::size_t i = 0; i < freed; ++i)
            heap.free(all[i]);
    });
    check(json_of(heap), {{"/classes/7/remote_frees", freed},
                          {"/classes/7/bitmap_free_attempts", freed},
                          {"/total_bitmap_free_attempts", freed}});
    auto more = fill(heap, freed, e);   // two slots of the current slab, then all of the other
    check(json_of(heap), {{"/classes/7/collects", 2},
                          {"/classes/7/bitmap_alloc_attempts", 2},
                          {"/total_bitmap_alloc_attempts", 2},
                          {"/classes/7/new_slab_count", 2},
                          {"/classes/7/list_move_full_to_partial", 1}});
    std::vector<void*> left;
    support::on_other_thread([&] { left = fill(heap, 2, e); });   // an orphaned slab with free slots
    auto const acquired = fill(heap, in_slab - 2, e);
    check(json_of(heap), {{"/classes/7/adoptions", 1},
                          {"/classes/7/current_partial_cas_attempts", 1},
                          {"/total_current_partial_cas_attempts", 1},
                          {"/classes/7/bitmap_alloc_attempts", 3},
                          {"/classes/7/new_slab_count", 3}});
    free_all(heap, acquired);
    free_all(heap, left);
    free_all(heap, more);
    free_all(heap, {all.begin() + freed, all.end()});
}

inline void slabs_with_one_free_slot_each_are_bypassed()
{
    tslab::allocator heap{{.name = "bypass"}};
    tslab::epoch_id const e = heap.current_epoch();
    constexpr std::size_t slabs = 300;
    std::vector<void*> all;
    support::on_other_thread([&] {
        all = fill(heap, slabs * in_slab, e);
        free_first_of_slabs(heap, all);
    });   // its end puts every slab down
    check(json_of(heap), {{"/classes/7/tls_cache_flushed", slabs}, {"/classes/7/tls_cache_bypassed", 0}});
    constexpr std::size_t window = 256;
    auto const more = fill(heap, window + in_slab, e);   // a slab for each, until that has been so for a window
    check(json_of(heap), {{"/classes/7/adoptions", window},
                          {"/classes/7/tls_cache_bypassed", 1},
                          {"/classes/7/tls_cache_attempts", slabs * in_slab + window + in_slab},
                          {"/classes/7/tls_cache_refills", slabs + window + 1},
                          {"/classes/7/tls_cache_hits", slabs * in_slab - slabs + in_slab - 1}});
    free_all(heap, more);
    free_all_but_first_of_slabs(heap, all);
}

/// Makes large allocations of a page more than the classes have, and frees them, until `done()`; 20 seconds at most.
template <class F> void work_until(tslab::allocator& heap, F done)
{
    auto const end = std::chrono::steady_clock::now() + 20s;
    while (!done() && std::chrono::steady_clock::now() < end) {
        heap.free(heap.malloc(70'000));
        std::this_thread::sleep_for(1ms);
    }
}

inline void purges_are_counted_by_cause()
{
    constexpr std::size_t many = std::size_t{16} << 20;
    auto const use = [](tslab::allocator& heap) { heap.free(std::memset(heap.malloc(many), 1, many)); };
    {
        tslab::allocator heap{{.name = "by time", .decay = 5ms}};
        use(heap);
        work_until(heap, [&] { return heap.snapshot().global.madvise_calls != 0; });
        check(json_of(heap), {{"/total_purges_by_time", 1}, {"/total_purges_by_work", 0}});
        use(heap);   // one decay finds it unwanted, the next one purges it
        work_until(heap, [&] { return heap.snapshot().global.unwanted_pages != 0; });
        check(json_of(heap), {{"/unwanted_pages", some}});
    }
    {
        tslab::allocator heap{{.name = "by work", .decay = std::chrono::hours{24}}};
        use(heap);
        for (int i = 0; i < 700'000; ++i)
            heap.free(heap.malloc(200));
        check(json_of(heap), {{"/total_purges_by_time", 0}, {"/total_purges_by_work", 1}, {"/unwanted_pages", 0}});
    }
    {
        tslab::allocator heap{{.name = "in the background", .decay = 5ms, .background_purge = true}};
        use(heap);
        for (int i = 0; i < 20'000 && heap.snapshot().global.purges_by_background == 0; ++i)
            std::this_thread::sleep_for(1ms);
        check(json_of(heap), {{"/total_purges_by_background", some}});
    }
}

}
