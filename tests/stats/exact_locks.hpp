// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The script of exact.cpp about locks: how often and how long threads wait for them and hold them. Include it last: it imports tslab.
#pragma once
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <string>
#include <thread>

#include "exact.hpp"
#include "exact_threads.hpp"
#include "recorder.hpp"

namespace exact {

/// The sum of the numbers of an array.
inline std::int64_t sum_at(json::value const& v, std::string const& place)
{
    std::int64_t n = 0;
    for (json::value const& one : v.at_pointer(place).as_array())
        n += one.to_number<std::int64_t>();
    return n;
}

/// The last bucket of a histogram that counted something; -1 if none did.
inline int last_bucket_at(json::value const& v, std::string const& place)
{
    json::array const& all = v.at_pointer(place).as_array();
    for (std::size_t b = all.size(); b-- != 0;)
        if (all[b].to_number<std::int64_t>() != 0)
            return static_cast<int>(b);
    return -1;
}

inline int bucket_of(std::int64_t ns)
{
    return static_cast<int>(tslab::log2_histogram::bucket_of(static_cast<std::uint64_t>(ns)));
}

inline void waits_for_locks_are_counted_and_timed()
{
    tslab::set_lock_timing(1);
    tslab::allocator heap{{.name = "locks", .sampling = true}};
    tslab::epoch_id const e = heap.current_epoch();
    heap.set_label(e, "contended");
    auto const left = make_orphan(heap, e);
    auto const small = fill(heap, 1, e, 64);
    json::value const before = json_of(heap);
    worker other;
    void* p = nullptr;
    other([&] { heap.free(heap.malloc(64, e)); });   // has its thread cache now
    std::thread waiter;
    {
        tslab::epoch_slabs& home = heap.state().epoch_slabs_at(e.index);
        tslab::lock_guard const held{home.lock, home.site(heap.state().known_record(), tslab::no_class)};
        waiter = std::thread{[&] { other([&] { p = heap.malloc(768, e); }); }};   // it needs the lock to acquire a slab
        std::this_thread::sleep_for(40ms);
    }
    waiter.join();
    json::value const v = json_of(heap);
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
               number_at(v, "/classes/7/lock_fast_acquire") + number_at(v, "/classes/7/lock_contended")},
              {"/total_lock_acquisitions", number_at(v, "/total_lock_fast_acquire") + 1},
              {"/classes/7/lock_timing_samples", number_at(v, "/classes/7/lock_acquisitions")},
              {"/classes/7/lock_hold_time_ns", some},
              {"/classes/7/lock_hold_time_ns_max", some},
              {"/classes/7/avg_lock_wait_time_ns", some},
              {"/classes/7/avg_lock_hold_time_ns", some},
              {"/avg_global_lock_wait_time_ns", some},
              {"/avg_global_lock_hold_time_ns", some},
              {"/total_lock_timing_samples", number_at(v, "/total_lock_acquisitions")}});
    BOOST_TEST(number_at(v, "/classes/7/lock_wait_time_ns_max") > 10'000'000);
    BOOST_TEST(number_at(v, "/classes/7/lock_wait_time_ns") >= number_at(v, "/classes/7/lock_wait_time_ns_max"));
    BOOST_TEST(number_at(v, "/lock_wait_time_ns_max") == number_at(v, "/classes/7/lock_wait_time_ns_max"));
    BOOST_TEST(number_at(v, "/lock_hold_time_ns_max") > 10'000'000);   // by the thread that held it all the while
    BOOST_TEST(number_at(before, "/total_lock_contended") == 0);
    // The histograms have each timed acquisition once, and end where the longest one is.
    for (std::string const kind : {"wait", "hold"}) {
        BOOST_TEST(sum_at(v, "/lock_" + kind + "_time_ns_log2") == number_at(v, "/total_lock_timing_samples"), kind);
        BOOST_TEST(last_bucket_at(v, "/lock_" + kind + "_time_ns_log2") ==
                       bucket_of(number_at(v, ("/lock_" + kind + "_time_ns_max").c_str())),
                   kind);
    }
    check(v, {{"/lock_wait_time_ns_p50", some},
              {"/lock_wait_time_ns_p99", some},
              {"/lock_hold_time_ns_p50", some},
              {"/lock_hold_time_ns_p99", some}});
    // One thread waited: its record says so, and no other.
    json::value const* waited = nullptr;
    std::int64_t of_threads = 0;
    for (json::value const& t : v.at("threads").as_array()) {
        of_threads += number_at(t, "/lock_fast_acquire") + number_at(t, "/lock_contended");
        if (number_at(t, "/lock_contended") != 0)
            waited = &t;
    }
    BOOST_TEST(of_threads > number_at(v, "/total_lock_acquisitions") / 2);
    BOOST_TEST(of_threads < number_at(v, "/total_lock_acquisitions"));   // the thread that made the orphan has ended
    BOOST_TEST_REQUIRE(waited != nullptr);
    check(*waited, {{"/lock_contended", 1}, {"/lock_contention_rate", some}});
    // The totals are the sums over the labels: of the classes, and of epochs as a whole.
    std::int64_t of_labels = 0;
    std::int64_t of_classes = number_at(v, "/large/lock_acquisitions");
    for (json::value const& label : v.at("labels").as_array())
        of_labels += number_at(label, "/lock_fast_acquire") + number_at(label, "/lock_contended");
    for (json::value const& c : v.at("classes").as_array())
        of_classes += number_at(c, "/lock_acquisitions");
    BOOST_TEST(number_at(v, "/total_lock_acquisitions") == of_labels);
    BOOST_TEST(of_classes < of_labels);
    other([&] { heap.free(p); });
    // A large allocation is entered into its epoch under the same lock.
    while_held(heap.state().epoch_slabs_at(e.index).lock, [&] { other([&] { p = heap.malloc(100'000, e); }); });
    json::value const w = json_of(heap);
    check(w, {{"/large/lock_contended", 1},
              {"/large/lock_contended_by_label/1", 1},
              {"/large/lock_acquisitions", 2},   // the pages, and the epoch
              {"/large/lock_contention_rate", some},
              {"/large/lock_timing_samples", 2},
              {"/labels/1/lock_contended", 2},
              {"/total_lock_contended", 2}});
    BOOST_TEST(number_at(w, "/large/lock_wait_time_ns_max") > 10'000'000);
    other([&] { heap.free(p); });
    free_all(heap, left);
    free_all(heap, small);
    tslab::set_lock_timing(0);
    json::value const off = json_of(heap);
    BOOST_TEST(!off.as_object().contains("total_lock_wait_time_ns"));
    BOOST_TEST(!off.as_object().contains("lock_hold_time_ns_log2"));
    BOOST_TEST(!off.at_pointer("/classes/7").as_object().contains("lock_wait_time_ns"));
}

}
