// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The detector of escapes: whose allocations it counts, and that memory taken through it survives every switching.
#define BOOST_TEST_MODULE escape
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <string>
#include <thread>
#include <vector>

#include "recorder.hpp"

namespace {

/// Switches on for a test, and leaves the default resource as it was.
struct switched_on {
    std::pmr::memory_resource* before = std::pmr::get_default_resource();
    switched_on() { tslab::set_escape_detection(true); }
    ~switched_on()
    {
        tslab::set_escape_detection(false);
        std::pmr::set_default_resource(before);
    }
    switched_on(switched_on const&) = delete;
    switched_on& operator=(switched_on const&) = delete;
};

std::uint64_t escapes_of(tslab::allocator const& heap, std::string_view label)
{
    for (tslab::label_stats const& l : heap.snapshot({.residency = false}).labels)
        if (l.name == label)
            return l.escapes;
    return 0;
}

}

BOOST_AUTO_TEST_CASE(only_what_is_allocated_inside_a_scope_counts_and_for_the_innermost)
{
    switched_on const on;
    tslab::allocator heap, other;
    std::pmr::string const outside(100, 'x');
    {
        tslab::epoch_scope const outer{heap, "outer"};
        std::pmr::string const a(100, 'x');
        {
            tslab::epoch_scope const inner{other, "inner"};
            std::pmr::string const b(100, 'x'), c(100, 'x');
            std::pmr::string const right(100, 'x', inner.resource());
        }
        std::pmr::string const d(100, 'x');
        support::on_other_thread([] { std::pmr::string const elsewhere(100, 'x'); });   // in no scope of its own
    }
    BOOST_TEST(escapes_of(heap, "outer") == 2u);
    BOOST_TEST(escapes_of(other, "inner") == 2u);
    BOOST_TEST(heap.snapshot().global.escapes == 2u);
    BOOST_TEST(heap.snapshot().global.escaped_bytes >= 202u);
}

BOOST_AUTO_TEST_CASE(the_mistake_it_is_for)
{
    switched_on const on;
    tslab::allocator heap;
    tslab::epoch_scope const scope{heap, "GET /orders"};
    std::pmr::vector<std::pmr::string> rows{scope.resource()};
    rows.emplace_back(100, 'x');   // gets the vector's resource
    BOOST_TEST(escapes_of(heap, "GET /orders") == 0u);
    std::pmr::string const copy = rows[0];   // a copy gets the default resource
    BOOST_TEST(escapes_of(heap, "GET /orders") == 1u);
}

BOOST_AUTO_TEST_CASE(it_hands_on_to_whatever_was_the_default_and_frees_there_too)
{
    std::pmr::monotonic_buffer_resource first, second;
    std::pmr::memory_resource* const before = std::pmr::get_default_resource();
    std::pmr::set_default_resource(&first);
    tslab::set_escape_detection(true);
    std::pmr::memory_resource* const over_first = std::pmr::get_default_resource();
    BOOST_TEST(over_first != &first);
    tslab::set_escape_detection(true);   // on already
    BOOST_TEST(std::pmr::get_default_resource() == over_first);
    std::pmr::vector<int> held(100);
    std::pmr::set_default_resource(&second);   // the program sets another: the detector is out of use
    BOOST_TEST(std::pmr::get_default_resource() == &second);
    tslab::set_escape_detection(true);
    BOOST_TEST(std::pmr::get_default_resource() != over_first);
    tslab::set_escape_detection(false);
    BOOST_TEST(std::pmr::get_default_resource() == &second);
    std::pmr::set_default_resource(&first);
    tslab::set_escape_detection(true);
    BOOST_TEST(std::pmr::get_default_resource() == over_first);   // one for each
    tslab::set_escape_detection(false);
    tslab::set_escape_detection(false);
    BOOST_TEST(std::pmr::get_default_resource() == &first);
    held.clear();
    held.shrink_to_fit();   // back to first, through the detector that is not the default any more
    std::pmr::set_default_resource(before);
}

BOOST_AUTO_TEST_CASE(an_allocation_that_fails_is_no_escape)
{
    std::pmr::memory_resource* const before = std::pmr::get_default_resource();
    std::pmr::set_default_resource(std::pmr::null_memory_resource());
    tslab::set_escape_detection(true);
    {
        tslab::allocator heap;
        tslab::epoch_scope const scope{heap, "full"};
        BOOST_CHECK_THROW(std::pmr::string(100, 'x'), std::bad_alloc);
        BOOST_TEST(escapes_of(heap, "full") == 0u);
    }
    tslab::set_escape_detection(false);
    std::pmr::set_default_resource(before);
}

BOOST_AUTO_TEST_CASE(an_allocation_counts_once_however_many_detectors_it_passes_and_none_when_off)
{
    std::pmr::memory_resource* const before = std::pmr::get_default_resource();
    tslab::allocator heap;
    tslab::epoch_scope const scope{heap, "nested"};
    tslab::set_escape_detection(true);
    std::pmr::unsynchronized_pool_resource pool{std::pmr::get_default_resource()};
    std::pmr::set_default_resource(&pool);
    tslab::set_escape_detection(true);                          // on top of the pool, which is on top of the first
    std::uint64_t const already = escapes_of(heap, "nested");   // the pool's own
    {
        std::pmr::vector<std::byte> const large(100'000);
    }
    BOOST_TEST(escapes_of(heap, "nested") == already + 1);
    tslab::set_escape_detection(false);
    {
        std::pmr::vector<std::byte> const large(200'000);
    }
    BOOST_TEST(escapes_of(heap, "nested") == already + 1);
    std::pmr::set_default_resource(before);
}

BOOST_AUTO_TEST_CASE(a_scope_that_ended_on_another_thread_is_not_followed)
{
    support::recorder const seen;
    switched_on const on;
    {
        tslab::allocator heap;
        auto scope = std::make_unique<tslab::epoch_scope>(heap, "lost");
        support::on_other_thread([&] { scope.reset(); });   // reported
        BOOST_TEST(seen.count(tslab::misuse::wrong_thread) >= 1u);
        std::pmr::string const a(100, 'x');   // in no scope any more
        BOOST_TEST(escapes_of(heap, "lost") == 0u);
    }
    std::pmr::string const b(100, 'x');   // the heap is gone too
}

BOOST_AUTO_TEST_CASE(what_detects_is_equal_to_itself_and_to_nothing_else)
{
    switched_on const on;
    std::pmr::memory_resource const& detector = *std::pmr::get_default_resource();
    std::pmr::memory_resource const& upstream = *std::pmr::new_delete_resource();
    BOOST_TEST(&detector != &upstream);
    BOOST_TEST(detector.is_equal(detector));
    BOOST_TEST(!detector.is_equal(upstream));
    BOOST_TEST(!upstream.is_equal(detector));
}

BOOST_AUTO_TEST_CASE(threads_count_for_their_own_scopes)
{
    switched_on const on;
    tslab::allocator heap;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&heap, t] {
            for (std::size_t i = 0; i < support::scaled(1000); ++i) {
                tslab::epoch_scope const scope{heap, "thread " + std::to_string(t)};
                std::pmr::string const s(100, 'x');
            }
        });
    for (std::thread& t : threads)
        t.join();
    for (int t = 0; t < 4; ++t)
        BOOST_TEST(escapes_of(heap, "thread " + std::to_string(t)) == support::scaled(1000));
}
