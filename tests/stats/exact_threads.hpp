// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Scripts of exact.cpp about threads that meet, and about time: repairs, lost races, locks, sampled allocations. Events that need two
// threads at one moment are forced by putting a slab into the state in which one of them is found. Include it last: it imports
// tslab.
#pragma once
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "exact.hpp"
#include "recorder.hpp"

namespace exact {

namespace json = boost::json;
using support::recorder;
using support::worker;
using tslab::residence;
using namespace std::chrono_literals;

/// Makes an orphaned slab: `n` live objects, no thread cache that owns it, listed with free slots. Its thread has ended.
inline std::vector<void*> make_orphan(tslab::allocator& heap, tslab::epoch_id e, std::size_t n = 2)
{
    std::vector<void*> left;
    support::on_other_thread([&] { left = fill(heap, n, e); });
    BOOST_TEST_REQUIRE((slab_of(heap, left.front()).where.load() == residence::orphan_partial));
    return left;
}

/// The entry of the one thread of which a figure is not 0.
inline json::value thread_that_lost(tslab::allocator const& heap, char const* figure)
{
    json::value const all = json_of(heap);
    json::value found;
    for (json::value const& t : all.at("threads").as_array())
        if (t.at(figure).to_number<std::int64_t>() != 0) {
            BOOST_TEST(found.is_null(), "two threads have " << figure);
            found = t;
        }
    return found;
}

inline void repairs_are_counted_by_reason()
{
    recorder seen;
    tslab::allocator heap{{.name = "repairs", .sampling = true}};
    tslab::epoch_id const e = heap.current_epoch();
    heap.set_label(e, "contended");
    // Listed with free slots, and full: as after a claim that raced with the listing.
    auto const full = make_orphan(heap, e);
    tslab::slab_meta& s = slab_of(heap, full[0]);
    std::uint64_t const free = s.remote_free.exchange(0);
    void* p = heap.malloc(768, e);
    heap.free(p);
    s.remote_free.store(free);
    check(json_of(heap), {{"/classes/7/current_partial_cas_attempts", 1},
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
    // On a list, while another thread reclaims it.
    worker other;   // has no slab of the class yet, so it looks for one to acquire
    auto const going = make_orphan(heap, e);
    tslab::slab_meta& g = slab_of(heap, going[0]);
    g.owner.store(tslab::owner_ref::reclaiming());
    other([&] { p = heap.malloc(768, e); });
    g.owner.store(tslab::owner_ref::none());
    check(json_of(heap), {{"/classes/7/current_partial_lost_races", 1},
                          {"/total_current_partial_lost_races", 1},
                          {"/classes/7/bitmap_alloc_cas_retries", 1},
                          {"/total_bitmap_alloc_cas_retries", 1},
                          {"/classes/7/bitmap_alloc_cas_retries_by_label/1", 1},
                          {"/labels/1/bitmap_alloc_cas_retries", 1},
                          {"/classes/7/avg_alloc_cas_retries_per_attempt", some},
                          {"/sampled/repair_reason_list_mismatch", 1},
                          {"/sampled/repair_count", 2}});
    check(thread_that_lost(heap, "bitmap_alloc_cas_retries"),
          {{"/bitmap_alloc_cas_retries", 1}, {"/bitmap_alloc_attempts", 1}, {"/avg_alloc_cas_retries_per_attempt", 1}});
    other([&] { heap.free(p); });
    // Freed by two threads at once: in both words.
    void* const q = heap.malloc(64, e);
    heap.free(q);
    slab_of(heap, q).remote_free.fetch_or(1);
    heap.trim(e);
    check(json_of(heap),
          {{"/sampled/repair_reason_other", 1}, {"/sampled/repair_count", 3}, {"/misuses/double_free", 1}});
    free_all(heap, full);
    free_all(heap, going);
}

inline void a_lost_claim_for_reclaim_is_counted()
{
    tslab::allocator heap{{.name = "claims"}};
    tslab::epoch_id const e = heap.current_epoch();
    heap.set_label(e, "contended");
    auto const left = make_orphan(heap, e);
    tslab::slab_meta& s = slab_of(heap, left[0]);
    std::uint64_t const free = s.remote_free.load();
    s.remote_free.store(tslab::bins[7].full_mask);   // as if its last object had been freed,
    s.owner.store(tslab::owner_ref::reclaiming());   // as a thread that reclaims it would
    support::on_other_thread([&] {
        heap.trim(e);
        s.remote_free.store(free);
        s.owner.store(tslab::owner_ref::none());
        heap.free(left[0]);
    });
    check(json_of(heap), {{"/classes/7/bitmap_free_cas_retries", 1},
                          {"/total_bitmap_free_cas_retries", 1},
                          {"/classes/7/bitmap_free_cas_retries_by_label/1", 1},
                          {"/labels/1/bitmap_free_cas_retries", 1},
                          {"/classes/7/avg_free_cas_retries_per_attempt", 1}});
    check(thread_that_lost(heap, "bitmap_free_cas_retries"),
          {{"/bitmap_free_cas_retries", 1}, {"/bitmap_free_attempts", 1}, {"/avg_free_cas_retries_per_attempt", 1}});
    // The next thread gets the record of the one that ended, and begins at 0; the heap's figures stay.
    support::on_other_thread([&] { heap.free(heap.malloc(64, e)); });
    json::value const later = json_of(heap);
    for (json::value const& t : later.at("threads").as_array())
        check(t, {{"/bitmap_free_cas_retries", 0}, {"/bitmap_free_attempts", 0}});
    check(later, {{"/total_bitmap_free_cas_retries", 1}});
    heap.free(left[1]);
}

/// Runs `act` on a thread while this one holds the lock for 40 ms.
template <class F> void while_held(tslab::mutex& lock, F act) __attribute__((no_thread_safety_analysis))
{
    lock.lock();
    std::thread waiter{act};
    std::this_thread::sleep_for(40ms);
    lock.unlock();
    waiter.join();
}

/// Whether so many samples may come of `n` operations of which one in 1,024 is sampled: distances between 1 and 2,047
/// leave the number within a deviation of 0.018 * sqrt(n), and six of these are never left.
inline bool is_one_in_1024(std::int64_t samples, std::size_t n)
{
    double const due = static_cast<double>(n) / 1024;
    return std::abs(static_cast<double>(samples) - due) <= 6 * 0.018 * std::sqrt(static_cast<double>(n)) + 1;
}

inline void one_allocation_in_1024_is_timed()
{
    tslab::allocator heap{{.name = "sampling"}};
    tslab::epoch_id const e = heap.current_epoch();
    auto const churn = [&](std::size_t n) {
        for (std::size_t i = 0; i < n; ++i)
            heap.free(heap.malloc(64, e));
    };
    churn(5000);
    check(json_of(heap), {{"/sampled/alloc_samples", 0}});
    BOOST_TEST(!heap.sampling());
    heap.set_sampling(true);
    BOOST_TEST(heap.sampling());
    constexpr std::size_t n = 300'000;
    churn(n);
    json::value v = json_of(heap);
    check(v, {{"/total_allocations", n + 5000},
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
    std::int64_t const samples = number_at(v, "/sampled/alloc_samples");
    BOOST_TEST(is_one_in_1024(samples, n), samples << " samples of " << n);
    BOOST_TEST(number_at(v, "/threads/0/alloc_samples") == samples);
    // What a thread that ends was timed with stays in the sum.
    support::on_other_thread([&] {
        for (std::size_t i = 0; i < 10'000; ++i)
            heap.free(heap.malloc(96, e));
    });
    std::int64_t const more = number_at(json_of(heap), "/sampled/alloc_samples");
    BOOST_TEST(is_one_in_1024(more - samples, 10'000));
    support::on_other_thread([&] { heap.free(heap.malloc(128, e)); });   // gets the same record
    BOOST_TEST(number_at(json_of(heap), "/sampled/alloc_samples") >= more);
}

inline void short_scopes_are_sampled_too()
{
    tslab::allocator heap{{.name = "short", .sampling = true}};
    constexpr std::size_t scopes = 6000, sizes = 4, each = 64;   // 1,024 is a multiple of 64
    for (std::size_t i = 0; i < scopes; ++i) {
        tslab::epoch_scope scope{heap, "short"};
        std::vector<void*> all;
        for (std::size_t k = 0; k < sizes * each; ++k)
            all.push_back(scope.resource()->allocate(std::size_t{64} << k / each));
        for (std::size_t k = 0; k < sizes * each; ++k)
            scope.resource()->deallocate(all[k], std::size_t{64} << k / each);
    }
    std::int64_t const samples = number_at(json_of(heap), "/sampled/alloc_samples");
    BOOST_TEST(is_one_in_1024(samples, scopes * sizes * each), samples << " samples");
    // One object of a size in a scope: each is the first of its epoch.
    tslab::allocator single{{.name = "single", .sampling = true}};
    constexpr std::size_t n = 200'000;
    for (std::size_t i = 0; i < n; ++i) {
        tslab::epoch_scope scope{single, "single"};
        scope.resource()->deallocate(scope.resource()->allocate(200), 200);
    }
    std::int64_t const first = number_at(json_of(single), "/sampled/alloc_samples");
    BOOST_TEST(is_one_in_1024(first, n), first << " samples");
}

inline void waiting_and_working_are_timed_separately()
{
    tslab::allocator heap{{.name = "waiting"}};
    heap.state().set_sampling(1);   // every operation that may be timed
    tslab::epoch_id const e = heap.current_epoch();
    worker other;
    std::vector<void*> all;
    other([&] { all = fill(heap, 1024, e, 512); });   // the next one begins a slab
    std::int64_t const before = number_at(json_of(heap), "/sampled/alloc_samples");
    BOOST_TEST(before >= 1023);   // each but the first
    while_held(heap.state().pages().lock_for_fork(), [&] { other([&] { all.push_back(heap.malloc(512, e)); }); });
    json::value v = json_of(heap);
    check(v, {{"/sampled/alloc_samples", before + 1}});
    BOOST_TEST(number_at(v, "/sampled/alloc_wait_ns_max") > 10'000'000);
    BOOST_TEST(number_at(v, "/sampled/alloc_wait_ns_sum") ==
               number_at(v, "/sampled/alloc_wall_ns_sum") - number_at(v, "/sampled/alloc_cpu_ns_sum"));
    BOOST_TEST(number_at(v, "/sampled/alloc_cpu_ns_max") < 10'000'000);
    other([&] { free_all(heap, all); });
    // Large allocations.
    for (int i = 0; i < 100; ++i)
        heap.free(heap.malloc(70'000, e));
    BOOST_TEST(number_at(json_of(heap), "/sampled/alloc_samples") >= before + 1 + 100);
    // A free that must wait: the first into a full slab without an owner takes its epoch's lock.
    std::vector<void*> left;
    support::on_other_thread([&] { left = fill(heap, in_slab, e); });
    std::int64_t const frees = number_at(json_of(heap), "/sampled/free_samples");
    while_held(heap.record_of(e).lock, [&] { other([&] { heap.free(left[0]); }); });
    v = json_of(heap);
    check(v, {{"/sampled/free_samples", frees + 1},
              {"/sampled/free_wall_ns_sum", some},
              {"/sampled/free_cpu_ns_sum", some},
              {"/sampled/free_wall_ns_p99", some}});
    BOOST_TEST(number_at(v, "/sampled/free_wait_ns_max") > 10'000'000);
    BOOST_TEST(number_at(v, "/sampled/free_wait_ns_sum") ==
               number_at(v, "/sampled/free_wall_ns_sum") - number_at(v, "/sampled/free_cpu_ns_sum"));
    left.erase(left.begin());
    free_all(heap, left);
}

inline void one_free_in_1024_that_leaves_the_fast_path_is_timed()
{
    tslab::allocator heap{{.name = "frees", .sampling = true}};
    tslab::epoch_id const e = heap.current_epoch();
    worker other;
    constexpr std::size_t n = 200'000, batch = 1000;
    for (std::size_t i = 0; i < n / batch; ++i) {
        std::vector<void*> const all = fill(heap, batch, e, 64);
        other([&] { free_all(heap, all); });
    }
    json::value const v = json_of(heap);
    check(v, {{"/classes/0/remote_frees", n}});
    std::int64_t const samples = number_at(v, "/sampled/free_samples");
    BOOST_TEST(is_one_in_1024(samples, n), samples << " samples");
    heap.set_sampling(false);
    for (std::size_t i = 0; i < 10; ++i) {
        std::vector<void*> const all = fill(heap, batch, e, 64);
        other([&] { free_all(heap, all); });
    }
    check(json_of(heap), {{"/sampled/free_samples", samples}});
}

inline void the_search_order_changes_with_contention()
{
    tslab::allocator heap{{.name = "scan"}};
    tslab::epoch_id const e = heap.current_epoch();
    // 30 orphaned slabs, each with a free slot, each being reclaimed by another thread.
    std::vector<void*> all;
    std::set<tslab::slab_meta*> slabs;
    support::on_other_thread([&] {
        all = fill(heap, in_slab * 30, e);
        free_first_of_slabs(heap, all);
    });
    for (std::size_t i = 1; i < all.size(); i += in_slab)
        slabs.insert(&slab_of(heap, all[i]));
    for (tslab::slab_meta* const s : slabs)
        s->owner.store(tslab::owner_ref::reclaiming());
    auto const filled = fill(heap, in_slab * 64, e);   // 64 slow paths, the first of which loses to all of them
    for (tslab::slab_meta* const s : slabs)
        s->owner.store(tslab::owner_ref::none());
    check(json_of(heap), {{"/classes/7/current_partial_lost_races", 30},   // 30 in 64: more than 30 %
                          {"/classes/7/scan_adapt_checks", 1},   // the other thread's 30 slow paths are no window
                          {"/classes/7/scan_adapt_switches", 1},
                          {"/classes/7/scan_rotated_threads", 1},
                          {"/classes/7/scan_mode", 1}});
    // Calm again: it stays for four windows, and goes back at the end of the fifth.
    auto more = fill(heap, in_slab * 64 * 4, e);
    check(json_of(heap), {{"/classes/7/scan_adapt_checks", 5}, {"/classes/7/scan_mode", 1}});
    auto last = fill(heap, in_slab * 64, e);
    check(json_of(heap),
          {{"/classes/7/scan_adapt_checks", 6}, {"/classes/7/scan_adapt_switches", 2}, {"/classes/7/scan_mode", 0}});
    free_all(heap, filled);
    free_all(heap, more);
    free_all(heap, last);
    free_all_but_first_of_slabs(heap, all);
}

}
