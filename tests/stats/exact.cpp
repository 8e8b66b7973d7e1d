// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Every figure of schema 1 in a scripted run: each script is a table of places in the JSON and the value that must be
// there. Events that need two threads at one moment are forced by putting a slab into the state in which one of them is
// found. The last case asks of every number in the JSON that some script moved it.
#define BOOST_TEST_MODULE exact
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <boost/json.hpp>
#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <memory_resource>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

namespace json = boost::json;
using support::os_hook;
using support::recorder;
using support::worker;
using tslab::large_class;
using tslab::misuse;
using tslab::reclaim_policy;
using tslab::residence;
using namespace std::chrono_literals;

namespace {

std::set<std::string> moved;        // every place that was not 0 in some script
std::set<std::string> all_places;   // every place with a number

/// "classes[].slow_path_hits": the place of a number without the index it was found at.
void note_numbers(std::string const& at, json::value const& v)
{
    if (auto const* const o = v.if_object()) {
        for (auto const& [key, one] : *o)
            note_numbers(at.empty() ? std::string{key} : at + "." + std::string{key}, one);
    } else if (auto const* const a = v.if_array()) {
        for (json::value const& one : *a)
            note_numbers(at + "[]", one);
    } else if (v.is_number()) {
        all_places.insert(at);
        if (v.to_number<double>() != 0)
            moved.insert(at);
    }
}

/// The JSON of a heap now.
json::value told(tslab::allocator const& heap)
{
    json::value v = json::parse(tslab::to_json(heap.snapshot()));
    note_numbers("", v);
    return v;
}

/// The entry of one epoch; null when it is not told.
json::value const* epoch_in(json::value const& v, tslab::epoch_id e)
{
    for (json::value const& one : v.at("epochs").as_array())
        if (one.at("epoch_id").to_number<std::uint64_t>() == e.index &&
            one.at("epoch_era").to_number<std::uint64_t>() == e.era)
            return &one;
    return nullptr;
}

constexpr std::int64_t some = std::numeric_limits<std::int64_t>::min();   // any value above 0

struct expectation {
    std::string place;   // JSON pointer
    std::int64_t value;
};

void check(json::value const& v, std::vector<expectation> const& table)
{
    for (expectation const& e : table) {
        boost::system::error_code none;
        json::value const* const found = v.find_pointer(e.place, none);
        BOOST_TEST_REQUIRE((found != nullptr && found->is_number()), e.place << " is not there");
        if (e.value == some)
            BOOST_TEST(found->to_number<double>() > 0, e.place << " is " << json::serialize(*found) << ", not above 0");
        else
            BOOST_TEST(found->to_number<double>() == static_cast<double>(e.value),
                       e.place << " is " << json::serialize(*found) << ", not " << e.value);
    }
}

tslab::slab_meta& slab_of(tslab::allocator& heap, void const* p) { return *heap.state().slab_at(p); }

constexpr std::size_t in_slab = tslab::bins[7].slots;   // objects of 768 bytes
constexpr std::int64_t page = 4096;
constexpr std::int64_t slab_pages = tslab::bins[7].pages;

/// Objects of 768 bytes, unless told otherwise.
std::vector<void*> fill(tslab::allocator& heap, std::size_t n, tslab::epoch_id e, std::size_t bytes = 768)
{
    std::vector<void*> all;
    for (std::size_t i = 0; i < n; ++i)
        all.push_back(heap.malloc(bytes, e));
    return all;
}

void free_all(tslab::allocator& heap, std::vector<void*> const& all)
{
    for (void* const p : all)
        heap.free(p);
}

// The scripts.

void one_thread_allocates_and_frees()
{
    tslab::allocator heap{{.name = "plain"}};
    tslab::epoch_id const e = heap.current_epoch();
    auto const all = fill(heap, 612, e, 128);   // 32 a slab of one page
    constexpr std::int64_t bytes = 612 * 128;
    json::value v = told(heap);
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
              {"/classes/2/resident_bytes", 0},   // nobody has written to them
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
    check(told(heap), {{"/classes/2/resident_bytes", 20 * page},
                       {"/epochs/0/resident_bytes", 20 * page},
                       {"/labels/0/resident_bytes", 20 * page},
                       {"/waterfall/live_bytes", bytes},
                       {"/waterfall/empty_slot_bytes", 20 * page - bytes},
                       {"/waterfall/slack_bytes", 0},
                       {"/waterfall/untouched_bytes", 0}});
    free_all(heap, all);
    // The thread cache keeps its current slab although it is empty, and four more; fifteen wait with the thread.
    check(told(heap), {{"/total_frees", 612},
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
    check(told(heap), {{"/classes/2/cache_hits", 15},
                       {"/classes/2/slow_path_cache_miss", 20},
                       {"/classes/2/slow_path_hits", 20 + 19}});
    v = told(heap);
    BOOST_TEST(v.at_pointer("/classes/2/cache_hit_rate").to_number<double>() == 15.0 / 35,
               boost::test_tools::tolerance(1e-12));
}

void caches_overflow_and_pages_go_back()
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
    check(told(heap), {{"/classes/7/empty_slab_recycled", 2},
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
    json::value v = told(heap);
    check(v, {{"/total_madvise_failures", static_cast<std::int64_t>(report.madvise_calls)},
              {"/classes/7/madvise_failures", static_cast<std::int64_t>(report.madvise_calls)},
              {"/classes/7/madvise_bytes", 0},
              {"/total_madvise_bytes", 0},
              {"/last_epoch_close/madvise_failures", static_cast<std::int64_t>(report.madvise_failures)},
              {"/last_epoch_close/madvise_asked_bytes", some},
              {"/last_epoch_close/madvise_gone_bytes", 0},
              {"/last_epoch_close/cooperation_pct", 0},
              {"/free_purged_pages", 0}});
    {
        tslab::allocator large{{.name = "large"}};
        large.free(large.malloc(100'000));
        large.trim();
        check(told(large), {{"/large/madvise_calls", 1}, {"/large/madvise_failures", 1}, {"/large/madvise_bytes", 0}});
        os_hook::fail_purge = false;
        large.trim();
        check(told(large),
              {{"/large/madvise_calls", 2}, {"/large/madvise_failures", 1}, {"/large/madvise_bytes", 25 * page}});
    }
    {
        tslab::allocator units{{.name = "units"}};
        units.free(units.malloc(100'000));
        os_hook::fail_release = true;
        units.trim();
        os_hook::fail_release = false;
        check(told(units), {{"/total_unmap_failures", 1}, {"/free_purged_pages", 0}});
    }
    e = heap.current_epoch();
    heap.free(heap.malloc(64, e));
    report = heap.close(e);
    v = told(heap);
    std::int64_t const bytes = static_cast<std::int64_t>(report.madvise_bytes);
    BOOST_TEST(report.madvise_asked_bytes == report.madvise_bytes);
    BOOST_TEST(report.madvise_gone_bytes == report.madvise_bytes);   // the kernel does as it is told
    check(v, {{"/total_madvise_bytes", bytes},
              {"/classes/7/madvise_bytes", bytes},
              {"/classes/7/madvise_calls", some},
              {"/total_madvise_calls", some},
              {"/free_purged_pages", bytes / 4096},
              {"/last_epoch_close/madvise_calls", static_cast<std::int64_t>(report.madvise_calls)},
              {"/last_epoch_close/madvise_bytes", bytes},
              {"/last_epoch_close/madvise_asked_bytes", bytes},
              {"/last_epoch_close/madvise_gone_bytes", bytes},
              {"/last_epoch_close/cooperation_pct", 100},
              {"/last_epoch_close/timestamp_ns", some},
              {"/last_epoch_close/duration_ns", some},
              {"/last_epoch_close/rss_before", static_cast<std::int64_t>(report.rss_before)},
              {"/last_epoch_close/rss_after", static_cast<std::int64_t>(report.rss_after)},
              {"/last_epoch_close/rss_delta_bytes",
               static_cast<std::int64_t>(report.rss_after) - static_cast<std::int64_t>(report.rss_before)},
              {"/last_epoch_close/epoch_id", static_cast<std::int64_t>(e.index)},
              {"/last_epoch_close/epoch_era", static_cast<std::int64_t>(e.era)}});
}

void a_closed_epoch_keeps_what_lives_in_it()
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
        heap.free(all[i]);   // nine slabs are taken back at once, the last one stays current
    tslab::close_report const report = heap.close(e);
    json::value v = told(heap);
    json::value const* const told_of = epoch_in(v, e);
    BOOST_REQUIRE(told_of != nullptr);
    BOOST_TEST(told_of->at("state").as_string() == "CLOSING");
    BOOST_TEST(told_of->at("lifecycle").as_string() == "CLOSING");
    BOOST_TEST(told_of->at("label").as_string() == "pinned");
    check(*told_of, {{"/live_objects", 2},
                     {"/live_bytes", 100'768},
                     {"/slabs", 1},
                     {"/slab_pages", slab_pages},
                     {"/large_pages", 25},
                     {"/resident_bytes", (1 + 25) * page},   // of the slab, the page that its object touches
                     {"/estimated_rss_bytes", (slab_pages + 25) * page},
                     {"/alloc_count", 10 * in_slab + 2},
                     {"/total_partial_slabs", 1},
                     {"/label_id", 1},
                     {"/rss_before_close", static_cast<std::int64_t>(report.rss_before)},
                     {"/rss_after_close", static_cast<std::int64_t>(report.rss_after)},
                     {"/madvise_bytes", (11 * slab_pages - 1) * page},
                     {"/madvise_asked_bytes", (11 * slab_pages - 1) * page},
                     {"/madvise_gone_bytes", (11 * slab_pages - 1) * page},
                     {"/cooperation_pct", 100},
                     {"/classes/0/class_index", 7},
                     {"/classes/0/slabs", 1},
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
              {"/classes/7/epoch_close_total_ns", static_cast<std::int64_t>(report.nanoseconds)},
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
              {"/current_era", static_cast<std::int64_t>(heap.current_epoch().era)}});
    std::this_thread::sleep_for(30ms);
    v = told(heap);
    check(*epoch_in(v, e), {{"/closing_sec", some}, {"/age_sec", some}, {"/open_since_ns", some}});
    heap.free(large);
    heap.free(all[0]);
    check(told(heap), {{"/total_epoch_drains", 1}, {"/closing_epoch_count", 0}, {"/live_objects", 0}});
}

void others_free_and_hand_over()
{
    tslab::allocator heap{{.name = "others"}};
    tslab::epoch_id const e = heap.current_epoch();
    auto const all = fill(heap, 2 * in_slab, e);   // two full slabs
    constexpr std::size_t freed = in_slab + 2;
    support::on_other_thread([&] {
        for (std::size_t i = 0; i < freed; ++i)
            heap.free(all[i]);
    });
    check(told(heap), {{"/classes/7/remote_frees", freed},
                       {"/classes/7/bitmap_free_attempts", freed},
                       {"/total_bitmap_free_attempts", freed}});
    auto more = fill(heap, freed, e);   // two slots of the current slab, then all of the other
    check(told(heap), {{"/classes/7/collects", 2},
                       {"/classes/7/bitmap_alloc_attempts", 2},
                       {"/total_bitmap_alloc_attempts", 2},
                       {"/classes/7/new_slab_count", 2},
                       {"/classes/7/list_move_full_to_partial", 1}});
    std::vector<void*> left;
    support::on_other_thread([&] { left = fill(heap, 2, e); });   // a slab with free slots that nobody holds now
    auto const adopted = fill(heap, in_slab - 2, e);
    check(told(heap), {{"/classes/7/adoptions", 1},
                       {"/classes/7/current_partial_cas_attempts", 1},
                       {"/total_current_partial_cas_attempts", 1},
                       {"/classes/7/bitmap_alloc_attempts", 3},
                       {"/classes/7/new_slab_count", 3}});
    free_all(heap, adopted);
    free_all(heap, left);
    free_all(heap, more);
    free_all(heap, {all.begin() + freed, all.end()});
}

/// A slab of two live objects that no thread cache holds, listed with free slots. Its thread has ended.
std::vector<void*> shelve(tslab::allocator& heap, tslab::epoch_id e, std::size_t n = 2)
{
    std::vector<void*> left;
    support::on_other_thread([&] { left = fill(heap, n, e); });
    BOOST_TEST_REQUIRE((slab_of(heap, left.front()).where.load() == residence::orphan_partial));
    return left;
}

void repairs_are_told_by_reason()
{
    recorder seen;
    tslab::allocator heap{{.name = "repairs", .sampling = true}};
    tslab::epoch_id const e = heap.current_epoch();
    heap.set_label(e, "contended");
    // Listed with free slots, and full: as after a claim that raced with the listing.
    auto const full = shelve(heap, e);
    tslab::slab_meta& s = slab_of(heap, full[0]);
    std::uint64_t const free = s.remote_free.exchange(0);
    void* p = heap.malloc(768, e);
    heap.free(p);
    s.remote_free.store(free);
    check(told(heap), {{"/classes/7/current_partial_cas_attempts", 1},
                       {"/classes/7/current_partial_mismatches", 1},
                       {"/classes/7/current_partial_lost_races", 0},
                       {"/classes/7/current_partial_cas_failures", 1},
                       {"/classes/7/current_partial_cas_failure_rate", 1},
                       {"/total_current_partial_cas_failures", 1},
                       {"/total_current_partial_mismatches", 1},
                       {"/classes/7/adoptions", 0},
                       {"/classes/7/repairs", 1},
                       {"/sampled/repair_count", 1},
                       {"/sampled/repair_samples", 1},
                       {"/sampled/repair_reason_full_bitmap", 1},
                       {"/sampled/repair_wall_ns_sum", some},
                       {"/sampled/repair_wall_ns_max", some},
                       {"/threads/1/repair_count", 1},
                       {"/threads/1/repair_reason_full_bitmap", 1}});
    // Listed, while somebody takes it back.
    worker other;   // has no slab of the class yet, so it looks for one to adopt
    auto const going = shelve(heap, e);
    tslab::slab_meta& g = slab_of(heap, going[0]);
    g.owner.store(&tslab::reclaiming);
    other([&] { p = heap.malloc(768, e); });
    g.owner.store(nullptr);
    check(told(heap), {{"/classes/7/current_partial_lost_races", 1},
                       {"/total_current_partial_lost_races", 1},
                       {"/classes/7/bitmap_alloc_cas_retries", 1},
                       {"/total_bitmap_alloc_cas_retries", 1},
                       {"/classes/7/bitmap_alloc_cas_retries_by_label/1", 1},
                       {"/labels/1/bitmap_alloc_cas_retries", 1},
                       {"/classes/7/avg_alloc_cas_retries_per_attempt", some},
                       {"/sampled/repair_reason_list_mismatch", 1},
                       {"/sampled/repair_count", 2}});
    other([&] { heap.free(p); });
    // Freed by two threads at once: in both words.
    void* const q = heap.malloc(64, e);
    heap.free(q);
    slab_of(heap, q).remote_free.fetch_or(1);
    heap.trim(e);
    check(told(heap), {{"/sampled/repair_reason_other", 1}, {"/sampled/repair_count", 3}, {"/misuses/double_free", 1}});
    free_all(heap, full);
    free_all(heap, going);
}

void an_election_that_is_lost_is_told()
{
    tslab::allocator heap{{.name = "elections"}};
    tslab::epoch_id const e = heap.current_epoch();
    heap.set_label(e, "contended");
    auto const left = shelve(heap, e);
    tslab::slab_meta& s = slab_of(heap, left[0]);
    std::uint64_t const free = s.remote_free.load();
    s.remote_free.store(tslab::bins[7].full_mask);   // as if its last object had been freed,
    s.owner.store(&tslab::reclaiming);               // and whoever did so were taking it back
    heap.trim(e);
    s.remote_free.store(free);
    s.owner.store(nullptr);
    support::on_other_thread([&] { heap.free(left[0]); });
    check(told(heap), {{"/classes/7/bitmap_free_cas_retries", 1},
                       {"/total_bitmap_free_cas_retries", 1},
                       {"/classes/7/bitmap_free_cas_retries_by_label/1", 1},
                       {"/labels/1/bitmap_free_cas_retries", 1},
                       {"/classes/7/avg_free_cas_retries_per_attempt", 1}});
    heap.free(left[1]);
}

void locks_that_are_held_are_told_and_timed()
{
    tslab::set_lock_timing(1);
    tslab::allocator heap{{.name = "locks", .sampling = true}};
    tslab::epoch_id const e = heap.current_epoch();
    heap.set_label(e, "contended");
    auto const left = shelve(heap, e);
    auto const small = fill(heap, 1, e, 64);
    json::value const before = told(heap);
    worker other;
    void* p = nullptr;
    other([&] { heap.free(heap.malloc(64, e)); });   // has its thread cache now
    auto const number = [](json::value const& v, char const* at) { return v.at_pointer(at).to_number<std::int64_t>(); };
    heap.state().epoch_slabs_at(e.index).lock.lock();
    std::thread waiter{[&] { other([&] { p = heap.malloc(768, e); }); }};   // to adopt a slab it needs the lock
    std::this_thread::sleep_for(40ms);
    heap.state().epoch_slabs_at(e.index).lock.unlock();
    waiter.join();
    json::value const v = told(heap);
    check(v, {{"/classes/7/lock_contended", 1},
              {"/classes/7/lock_contended_by_label/1", 1},
              {"/labels/1/lock_contended", 1},
              {"/total_lock_contended", 1},
              {"/classes/7/lock_fast_acquire", some},
              {"/classes/7/lock_fast_acquire_by_label/1", some},
              {"/labels/1/lock_fast_acquire", some},
              {"/total_lock_fast_acquire", some},
              {"/classes/7/lock_contention_rate", some},
              {"/classes/7/lock_acquisitions",
               number(v, "/classes/7/lock_fast_acquire") + number(v, "/classes/7/lock_contended")},
              {"/total_lock_acquisitions", number(v, "/total_lock_fast_acquire") + 1},
              {"/classes/7/lock_timing_samples", number(v, "/classes/7/lock_acquisitions")},
              {"/classes/7/lock_hold_time_ns", some},
              {"/classes/7/lock_hold_time_ns_max", some},
              {"/classes/7/avg_lock_wait_time_ns", some},
              {"/classes/7/avg_lock_hold_time_ns", some},
              {"/avg_global_lock_wait_time_ns", some},
              {"/avg_global_lock_hold_time_ns", some},
              {"/total_lock_timing_samples", number(v, "/total_lock_acquisitions")}});
    BOOST_TEST(number(v, "/classes/7/lock_wait_time_ns_max") > 10'000'000);
    BOOST_TEST(number(v, "/classes/7/lock_wait_time_ns") >= number(v, "/classes/7/lock_wait_time_ns_max"));
    BOOST_TEST(number(v, "/lock_wait_time_ns_max") == number(v, "/classes/7/lock_wait_time_ns_max"));
    BOOST_TEST(number(v, "/lock_hold_time_ns_max") > 10'000'000);   // by the thread that held it all the while
    BOOST_TEST(number(before, "/total_lock_contended") == 0);
    other([&] { heap.free(p); });
    // A large allocation is entered into its epoch under the same lock.
    heap.state().epoch_slabs_at(e.index).lock.lock();
    std::thread again{[&] { other([&] { p = heap.malloc(100'000, e); }); }};
    std::this_thread::sleep_for(40ms);
    heap.state().epoch_slabs_at(e.index).lock.unlock();
    again.join();
    json::value const w = told(heap);
    check(w, {{"/large/lock_contended", 1},
              {"/large/lock_contended_by_label/1", 1},
              {"/large/lock_acquisitions", 2},   // the pages, and the epoch
              {"/large/lock_contention_rate", some},
              {"/large/lock_timing_samples", 2},
              {"/labels/1/lock_contended", 2},
              {"/total_lock_contended", 2}});
    BOOST_TEST(number(w, "/large/lock_wait_time_ns_max") > 10'000'000);
    other([&] { heap.free(p); });
    free_all(heap, left);
    free_all(heap, small);
    tslab::set_lock_timing(0);
    json::value const off = told(heap);
    BOOST_TEST(!off.as_object().contains("total_lock_wait_time_ns"));
    BOOST_TEST(!off.at_pointer("/classes/7").as_object().contains("lock_wait_time_ns"));
}

void every_1024th_allocation_is_timed()
{
    tslab::allocator heap{{.name = "sampling"}};
    tslab::epoch_id const e = heap.current_epoch();
    auto const churn = [&](std::size_t n) {
        for (std::size_t i = 0; i < n; ++i)
            heap.free(heap.malloc(64, e));
    };
    churn(1024);
    heap.free(heap.malloc(64, e));   // would be the first, but nobody asked
    check(told(heap), {{"/sampled/alloc_samples", 0}});
    BOOST_TEST(!heap.sampling());
    heap.set_sampling(true);
    BOOST_TEST(heap.sampling());
    churn(3 * 1024);
    check(told(heap), {{"/sampled/alloc_samples", 3},
                       {"/threads/0/alloc_samples", 3},
                       {"/total_allocations", 4 * 1024 + 1},
                       {"/classes/0/slow_path_hits", 1},
                       {"/sampled/alloc_wall_ns_sum", some},
                       {"/sampled/alloc_cpu_ns_sum", some},
                       {"/sampled/alloc_wall_ns_max", some},
                       {"/sampled/alloc_cpu_ns_max", some},
                       {"/sampled/alloc_wall_ns_p50", some},
                       {"/sampled/alloc_wall_ns_p99", some},
                       {"/sampled/alloc_wall_ns_p999", some},
                       {"/sampled/alloc_wall_cpu_ratio", some},
                       {"/threads/0/alloc_wall_ns_sum", some}});
    // One that has to wait: its slab must come from the page heap, whose lock is held.
    churn(1023);
    worker other;
    std::vector<void*> all;
    other([&] { all = fill(heap, 1023, e, 512); });
    other([&] { all.push_back(heap.malloc(512, e)); });
    heap.state().pages().lock_for_fork().lock();
    std::thread waiter{[&] { other([&] { all.push_back(heap.malloc(512, e)); }); }};   // 32 slabs are full
    std::this_thread::sleep_for(40ms);
    heap.state().pages().lock_for_fork().unlock();
    waiter.join();
    json::value const v = told(heap);
    check(v, {{"/sampled/alloc_samples", 4}});
    BOOST_TEST(v.at_pointer("/sampled/alloc_wait_ns_max").to_number<std::int64_t>() > 10'000'000);
    other([&] { free_all(heap, all); });
    // Large ones are sampled too.
    for (int i = 0; i < 1025; ++i)
        heap.free(heap.malloc(70'000, e));
    check(told(heap), {{"/sampled/alloc_samples", 5}, {"/large/allocations", 1025}});
    // What a thread that ends was told of stays in the sum.
    support::on_other_thread([&] {
        for (int i = 0; i < 1025; ++i)
            heap.free(heap.malloc(96, e));
    });
    support::on_other_thread([&] { heap.free(heap.malloc(96, e)); });   // gets the same record
    check(told(heap), {{"/sampled/alloc_samples", 6}});
}

void waiting_is_told_apart_from_working()
{
    tslab::allocator heap{{.name = "waiting", .sampling = true}};
    tslab::epoch_id const e = heap.current_epoch();
    worker other;
    std::vector<void*> all;
    other([&] { all = fill(heap, 1024, e, 512); });   // 32 a slab: the next one begins a slab
    heap.state().pages().lock_for_fork().lock();
    std::thread waiter{[&] { other([&] { all.push_back(heap.malloc(512, e)); }); }};
    std::this_thread::sleep_for(40ms);
    heap.state().pages().lock_for_fork().unlock();
    waiter.join();
    json::value const v = told(heap);
    auto const number = [&](char const* at) { return v.at_pointer(at).to_number<std::int64_t>(); };
    check(v, {{"/sampled/alloc_samples", 1}});
    BOOST_TEST(number("/sampled/alloc_wait_ns_max") > 10'000'000);
    BOOST_TEST(number("/sampled/alloc_wait_ns_sum") ==
               number("/sampled/alloc_wall_ns_sum") - number("/sampled/alloc_cpu_ns_sum"));
    BOOST_TEST(number("/sampled/alloc_cpu_ns_max") < 10'000'000);
    other([&] { free_all(heap, all); });
}

void the_order_of_looking_changes_with_contention()
{
    tslab::allocator heap{{.name = "scan"}};
    tslab::epoch_id const e = heap.current_epoch();
    // 30 slabs that nobody holds, each with a free slot, every one being taken back by somebody.
    std::vector<void*> all;
    std::set<tslab::slab_meta*> slabs;
    support::on_other_thread([&] {
        all = fill(heap, in_slab * 30, e);
        for (std::size_t i = 0; i < all.size(); i += in_slab)
            heap.free(all[i]);
    });
    for (std::size_t i = 1; i < all.size(); i += in_slab)
        slabs.insert(&slab_of(heap, all[i]));
    for (tslab::slab_meta* const s : slabs)
        s->owner.store(&tslab::reclaiming);
    auto const filled = fill(heap, in_slab * 64, e);   // 64 slow paths, the first of which loses to all of them
    for (tslab::slab_meta* const s : slabs)
        s->owner.store(nullptr);
    check(told(heap), {{"/classes/7/current_partial_lost_races", 30},   // 30 in 64: more than 30 %
                       {"/classes/7/scan_adapt_checks", 1},   // the other thread's 30 slow paths are no window
                       {"/classes/7/scan_adapt_switches", 1},
                       {"/classes/7/scan_rotated_threads", 1},
                       {"/classes/7/scan_mode", 1}});
    // Calm again: it stays for four windows, and goes back at the end of the fifth.
    auto more = fill(heap, in_slab * 64 * 4, e);
    check(told(heap), {{"/classes/7/scan_adapt_checks", 5}, {"/classes/7/scan_mode", 1}});
    auto last = fill(heap, in_slab * 64, e);
    check(told(heap),
          {{"/classes/7/scan_adapt_checks", 6}, {"/classes/7/scan_adapt_switches", 2}, {"/classes/7/scan_mode", 0}});
    free_all(heap, filled);
    free_all(heap, more);
    free_all(heap, last);
    for (std::size_t i = 0; i < all.size(); ++i)
        if (i % in_slab != 0)
            heap.free(all[i]);
}

void refusals_are_counted_by_reason()
{
    recorder seen;
    os_hook os;
    tslab::allocator heap{{.name = "refusals", .epoch_count = 2}};
    tslab::epoch_id const gone = heap.current_epoch();
    heap.advance();
    BOOST_TEST(heap.malloc(96, gone) == nullptr);
    BOOST_TEST(heap.malloc(70'000, gone) == nullptr);
    check(told(heap), {{"/classes/1/slow_path_epoch_closed", 1},
                       {"/large/slow_path_epoch_closed", 1},
                       {"/total_slow_epoch_closed", 2},
                       {"/total_epoch_advances", 1}});
    tslab::epoch_id const e = heap.current_epoch();
    BOOST_TEST(heap.malloc(std::size_t{1} << 62, e) == nullptr);
    os_hook::fail_commit = true;
    while (heap.malloc(768, e) != nullptr) {
    }
    json::value v = told(heap);
    check(v, {{"/large/out_of_memory", 1}, {"/classes/7/out_of_memory", 1}, {"/total_out_of_memory", 2}});
    os_hook::fail_commit = false;
    tslab::handle h;
    BOOST_TEST(heap.allocate(64, e, h) != nullptr);
    BOOST_TEST((heap.free(h) == tslab::free_result::ok));
    BOOST_TEST((heap.free(h) == tslab::free_result::already_free));
    int local = 0;
    heap.free(&local);
    check(told(heap), {{"/total_refused_handles", 1}, {"/misuses/foreign_pointer", 1}, {"/total_misuses", 1}});
}

// That each misuse is found is for the death tests; here, that each kind has a count of its own.
void every_kind_of_misuse_has_its_count()
{
    recorder seen;
    tslab::allocator heap{{.name = "misuses"}};
    for (std::size_t k = 0; k < tslab::misuse_count; ++k) {
        auto const kind = static_cast<misuse>(k);
        for (std::size_t i = 0; i <= k; ++i)
            heap.state().misused({.kind = kind, .fatal = false});
        check(told(heap), {{"/misuses/" + std::string{tslab::name_of(kind)}, static_cast<std::int64_t>(k) + 1}});
    }
    check(told(heap),
          {{"/total_misuses", static_cast<std::int64_t>(tslab::misuse_count * (tslab::misuse_count + 1) / 2)}});
}

void scopes_and_resources_are_counted()
{
    recorder seen;
    tslab::allocator heap{{.name = "scopes", .epoch_count = 4}};
    {
        tslab::epoch_scope const a{heap, "GET /a"};
        tslab::epoch_scope const again{*a.resource()};
        json::value const v = told(heap);
        check(*epoch_in(v, a.epoch()),
              {{"/refcount", 1}, {"/domain_enters", 2}, {"/domain_exits", 0}, {"/opened_at/line", some}});
        check(v, {{"/total_domain_enters", 2},
                  {"/labels/1/refcount", 1},
                  {"/labels/1/epochs", 1},
                  {"/labels/1/label_id", 1}});
        BOOST_TEST(v.at_pointer("/label_registry/labels/1").as_string() == "GET /a");
        check(v, {{"/label_registry/count", 3}, {"/label_registry/max_labels", 16}});
    }
    check(told(heap), {{"/total_domain_enters", 2}, {"/total_domain_exits", 2}, {"/total_epoch_drains", 1}});
    {
        tslab::epoch_resource keep{heap, {.label = "session"}};
        tslab::epoch_scope const entered{keep};
        tslab::epoch_resource count_only{heap, {.deallocate = tslab::deallocate_policy::count_only}};
        void* const p = count_only.allocate(64);
        count_only.deallocate(p, 64);
        static_cast<void>(count_only.allocate(64));
        check(told(heap), {{"/total_counted_frees", 1}});
        BOOST_TEST(count_only.release() == 2u);
        check(told(heap), {{"/total_released_objects", 2}});
        static_cast<void>(keep.allocate(64));
        {
            tslab::epoch_scope const third{heap, "third"};   // the ring has four slots
            tslab::epoch_scope const shares{heap, "shares"};
            check(told(heap), {{"/total_ring_exhausted", 1}, {"/active_epoch_count", 4}});
        }
        // Another thread may not take the claims of a resource that is in use here.
        worker other;
        other([&] { heap.close(keep.epoch()); });
        check(told(heap), {{"/total_epoch_close_deferred", 1}});
    }
    check(told(heap), {{"/total_leaked_objects", 1}, {"/misuses/leak", 1}});
    for (int i = 0; i < 14; ++i)
        heap.set_label(heap.current_epoch(), "label " + std::to_string(i));
    heap.set_label(heap.current_epoch(), std::string(40, 'x'));
    json::value const v = told(heap);
    check(v, {{"/total_labels_in_overflow", some}, {"/total_labels_cut", 1}});
    heap.trim();
}

void escapes_are_counted_by_label()
{
    tslab::allocator heap{{.name = "escapes"}};
    BOOST_TEST(!tslab::escape_detection());
    std::pmr::memory_resource* const before = std::pmr::get_default_resource();
    tslab::set_escape_detection(true);
    std::pmr::vector<char> outside(100);   // in no scope
    std::optional<std::pmr::vector<char>> kept;
    {
        tslab::epoch_scope const scope{heap, "GET /escape"};
        std::pmr::vector<char> const held(100, scope.resource());
        kept.emplace(1000);   // forgot the resource
        std::pmr::vector<char> const second(24);
    }
    tslab::set_escape_detection(false);
    BOOST_TEST(std::pmr::get_default_resource() == before);
    {
        tslab::epoch_scope const scope{heap, "GET /escape"};
        std::pmr::vector<char> const unseen(24);
    }
    check(told(heap), {{"/total_escapes", 2},
                       {"/total_escaped_bytes", 1024},
                       {"/labels/1/escapes", 2},
                       {"/labels/1/escaped_bytes", 1024}});
    kept.reset();   // goes back through the detector, which is no longer the default
}

/// What the design makes impossible, or leaves to the scheduler alone; docs/stats-reference.md says so of each.
bool cannot_be_moved(std::string_view place)
{
    // A repair takes no lock and makes no system call, so it waits only when the kernel takes the processor away.
    if (place.find("repair_wait_ns") != place.npos)
        return true;
    if (place ==
        "total_purges_by_pressure")   // that takes a control group that is short of memory: see lifecycle/background
        return true;
    if (place == "classes[].large_pages")   // the size classes have slabs,
        return true;
    if (!place.starts_with("large."))
        return false;
    // and large allocations have pages of their own: no slab, no cache, no claim, nothing to adopt, to repair or to close.
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

void slabs_with_a_slot_each_are_let_be()
{
    tslab::allocator heap{{.name = "bypass"}};
    tslab::epoch_id const e = heap.current_epoch();
    constexpr std::size_t slabs = 300;
    std::vector<void*> all;
    support::on_other_thread([&] {
        all = fill(heap, slabs * in_slab, e);
        for (std::size_t i = 0; i < slabs; ++i)
            heap.free(all[i * in_slab]);
    });   // its end puts every slab down
    check(told(heap), {{"/classes/7/tls_cache_flushed", slabs}, {"/classes/7/tls_cache_bypassed", 0}});
    constexpr std::size_t window = 256;
    auto const more = fill(heap, window + in_slab, e);   // a slab for each, until that has been so for a window
    check(told(heap), {{"/classes/7/adoptions", window},
                       {"/classes/7/tls_cache_bypassed", 1},
                       {"/classes/7/tls_cache_attempts", slabs * in_slab + window + in_slab},
                       {"/classes/7/tls_cache_refills", slabs + window + 1},
                       {"/classes/7/tls_cache_hits", slabs * in_slab - slabs + in_slab - 1}});
    free_all(heap, more);
    for (std::size_t i = 0; i < all.size(); ++i)
        if (i % in_slab != 0)
            heap.free(all[i]);
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

void purges_are_told_by_cause()
{
    constexpr std::size_t many = std::size_t{16} << 20;
    auto const use = [](tslab::allocator& heap) { heap.free(std::memset(heap.malloc(many), 1, many)); };
    {
        tslab::allocator heap{{.name = "by time", .decay = 5ms}};
        use(heap);
        work_until(heap, [&] { return heap.snapshot().global.madvise_calls != 0; });
        check(told(heap), {{"/total_purges_by_time", 1}, {"/total_purges_by_work", 0}});
        use(heap);   // one decay finds that nobody wants it, the next one gives it back
        work_until(heap, [&] { return heap.snapshot().global.unwanted_pages != 0; });
        check(told(heap), {{"/unwanted_pages", some}});
    }
    {
        tslab::allocator heap{{.name = "by work", .decay = std::chrono::hours{24}}};
        use(heap);
        for (int i = 0; i < 700'000; ++i)
            heap.free(heap.malloc(200));
        check(told(heap), {{"/total_purges_by_time", 0}, {"/total_purges_by_work", 1}, {"/unwanted_pages", 0}});
    }
    {
        tslab::allocator heap{{.name = "in the background", .decay = 5ms, .background_purge = true}};
        use(heap);
        for (int i = 0; i < 20'000 && heap.snapshot().global.purges_by_background == 0; ++i)
            std::this_thread::sleep_for(1ms);
        check(told(heap), {{"/total_purges_by_background", some}});
    }
}

struct script {
    char const* name;
    void (*run)();
};

constexpr std::array scripts{
    script{"one_thread_allocates_and_frees", one_thread_allocates_and_frees},
    script{"caches_overflow_and_pages_go_back", caches_overflow_and_pages_go_back},
    script{"a_closed_epoch_keeps_what_lives_in_it", a_closed_epoch_keeps_what_lives_in_it},
    script{"purges_are_told_by_cause", purges_are_told_by_cause},
    script{"others_free_and_hand_over", others_free_and_hand_over},
    script{"repairs_are_told_by_reason", repairs_are_told_by_reason},
    script{"an_election_that_is_lost_is_told", an_election_that_is_lost_is_told},
    script{"locks_that_are_held_are_told_and_timed", locks_that_are_held_are_told_and_timed},
    script{"every_1024th_allocation_is_timed", every_1024th_allocation_is_timed},
    script{"waiting_is_told_apart_from_working", waiting_is_told_apart_from_working},
    script{"the_order_of_looking_changes_with_contention", the_order_of_looking_changes_with_contention},
    script{"refusals_are_counted_by_reason", refusals_are_counted_by_reason},
    script{"every_kind_of_misuse_has_its_count", every_kind_of_misuse_has_its_count},
    script{"scopes_and_resources_are_counted", scopes_and_resources_are_counted},
    script{"slabs_with_a_slot_each_are_let_be", slabs_with_a_slot_each_are_let_be},
    script{"escapes_are_counted_by_label", escapes_are_counted_by_label},
};

}

BOOST_AUTO_TEST_CASE(every_script_gives_exactly_the_figures_it_must_and_moves_every_figure_there_is)
{
    for (script const& s : scripts) {
        BOOST_TEST_CONTEXT(s.name) { s.run(); }
    }
    std::string still;
    for (std::string const& place : all_places)
        if (!moved.contains(place) && !cannot_be_moved(place))
            still += " " + place;
    BOOST_TEST(still == "", "no script moves" << still);
    BOOST_TEST(all_places.size() > 250u);
}
