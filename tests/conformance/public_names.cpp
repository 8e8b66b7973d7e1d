// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Names that no other test takes from `import tslab;` alone.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <pthread.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

import tslab;

BOOST_AUTO_TEST_SUITE(public_names)

BOOST_AUTO_TEST_CASE(the_coarse_clock_is_the_fine_one_and_lags_by_ticks)
{
    std::uint64_t const before = tslab::now_ns();
    std::uint64_t const coarse = tslab::now_ns_coarse();
    std::uint64_t const after = tslab::now_ns();
    BOOST_TEST(coarse <= after);
    BOOST_TEST(coarse + 1'000'000'000U >= before);
}

BOOST_AUTO_TEST_CASE(a_thread_has_a_number_that_its_entry_in_a_snapshot_has)
{
    std::uint64_t const mine = tslab::this_thread_number();
    std::uint64_t other = 0;
    tslab::allocator heap;
    heap.free(heap.malloc(1));
    std::thread{[&] {
        other = tslab::this_thread_number();   // before its first use of a heap
        heap.free(heap.malloc(1));
        BOOST_TEST(tslab::this_thread_number() == other);
        std::vector<std::uint64_t> alive;
        for (tslab::thread_stats const& t : heap.snapshot().threads)
            if (t.alive)
                alive.push_back(t.thread_id);
        std::sort(alive.begin(), alive.end());
        std::vector<std::uint64_t> expected{mine, other};
        std::sort(expected.begin(), expected.end());
        BOOST_TEST((alive == expected));
    }}.join();
    BOOST_TEST(mine != 0U);
    BOOST_TEST(other != mine);
    BOOST_TEST(tslab::this_thread_number() == mine);
}

namespace {

/// The entry of the calling thread.
tslab::thread_stats entry_in(tslab::snapshot const& s)
{
    for (tslab::thread_stats const& t : s.threads)
        if (t.thread_id == tslab::this_thread_number())
            return t;
    return {};
}

}

BOOST_AUTO_TEST_CASE(a_thread_has_the_number_and_the_name_that_it_has_in_the_system)
{
    tslab::allocator heap;
    heap.free(heap.malloc(1));
    BOOST_TEST(entry_in(heap.snapshot()).tid == static_cast<std::uint32_t>(::getpid()));
    std::thread{[&] {
        heap.free(heap.malloc(1));
        ::pthread_setname_np(::pthread_self(), "worker 7");   // later than its first use of the heap
        tslab::thread_stats const mine = entry_in(heap.snapshot());
        BOOST_TEST(mine.tid == static_cast<std::uint32_t>(::gettid()));
        BOOST_TEST(mine.name == "worker 7");
        BOOST_TEST(entry_in(heap.snapshot({.residency = false})).name == "");   // makes no system call
    }}.join();
    for (tslab::thread_stats const& t : heap.snapshot().threads)
        BOOST_TEST((t.alive || (t.tid == 0 && t.name.empty())));
}

BOOST_AUTO_TEST_CASE(in_a_forked_child_the_thread_has_its_new_number)
{
    tslab::allocator heap;
    heap.free(heap.malloc(1));
    pid_t const child = ::fork();
    if (child == 0)
        ::_exit(entry_in(heap.snapshot()).tid == static_cast<std::uint32_t>(::getpid()) ? 0 : 1);
    int status = -1;
    BOOST_TEST(::waitpid(child, &status, 0) == child);
    BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_SUITE_END()
