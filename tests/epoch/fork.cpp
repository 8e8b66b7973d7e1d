// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// fork: parent and child continue, each with its own counters; the child can reclaim what other threads held.
#define BOOST_TEST_MODULE fork
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstring>
#include <functional>
#include <optional>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "recorder.hpp"

using support::scaled;
using support::stats_of;

namespace {

/// Runs `f` in a forked child; returns its result, or 1000 + the signal that ended it.
int in_child(std::function<int()> const& f)
{
    pid_t const child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        ::alarm(60);
        int const result = f();
        ::_exit(result);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

#if __has_feature(thread_sanitizer)
constexpr int child_threads = 0;   // the sanitizer ends a child of a threaded process that starts a thread
#else
constexpr int child_threads = 3;
#endif

/// The number of the first condition that does not hold, from 1; 0 if all do.
int first_false(std::initializer_list<bool> conditions)
{
    int n = 0;
    for (bool c : conditions) {
        ++n;
        if (!c)
            return n;
    }
    return 0;
}

}

BOOST_AUTO_TEST_CASE(both_go_on_with_memory_of_their_own)
{
    tslab::allocator heap;
    auto* const p = static_cast<char*>(heap.malloc(100));
    std::strcpy(p, "before");
    BOOST_TEST(in_child([&] {
                   bool const there = std::strcmp(p, "before") == 0;
                   std::strcpy(p, "child");
                   heap.free(p);
                   void* const q = heap.malloc(100);
                   auto const s = heap.snapshot();
                   return first_false(
                       {there, q == p, s.global.live_objects == 1, s.global.allocations == 2, s.pid == ::getpid()});
               }) == 0);
    BOOST_TEST(std::strcmp(p, "before") == 0);
    BOOST_TEST(heap.snapshot().global.live_objects == 1u);
    BOOST_TEST(heap.snapshot().global.allocations == 1u);
    heap.free(p);
}

BOOST_AUTO_TEST_CASE(the_child_frees_and_closes_what_threads_held_that_did_not_come_along)
{
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
    auto const e = heap.current_epoch();
    support::worker a, b;
    std::vector<void*> theirs;
    a([&] {
        for (std::size_t i = 0; i < 300; ++i)
            theirs.push_back(heap.malloc(i * 5, e));
    });
    b([&] {
        for (std::size_t i = 0; i < 300; ++i)
            theirs.push_back(heap.malloc(i * 5, e));
        heap.free(theirs[0]);
        theirs[0] = nullptr;
    });
    BOOST_TEST(in_child([&] {
                   for (void* p : theirs)
                       heap.free(p);
                   auto const r = heap.close(e);
                   auto const s = heap.snapshot();
                   return first_false({r.found, r.closed, r.deferred_claims == 0, r.drained, s.global.live_objects == 0,
                                       s.global.slabs_in_use == 0, s.global.closing_epochs == 0,
                                       s.global.misuses == 0});
               }) == 0);
    // The parent's threads continue unaware of the fork.
    a([&] { heap.free(heap.malloc(50, e)); });
    for (void* p : theirs)
        heap.free(p);
    BOOST_TEST(heap.close(e).drained);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(the_child_takes_back_the_claims_of_a_vanished_threads_resource)
{
    tslab::allocator heap;
    support::worker owner;
    std::optional<tslab::epoch_resource> r;
    void* p = nullptr;
    owner([&] {
        r.emplace(heap, tslab::resource_options{.label = "theirs"});
        p = r->allocate(64);
        r->deallocate(r->allocate(500), 500);
    });
    BOOST_TEST(in_child([&] {
                   auto const c = heap.close(r->epoch());
                   std::uint64_t const slabs = stats_of(heap, r->epoch()).slabs;
                   heap.free(p);
                   return first_false({c.closed, c.deferred_claims == 0, slabs == 1,
                                       stats_of(heap, r->epoch()).slabs == 0,
                                       stats_of(heap, r->epoch()).refcount == 1});
               }) == 0);
    owner([&] {
        r->deallocate(p, 64);
        r.reset();
    });
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
}

BOOST_AUTO_TEST_CASE(scopes_that_are_open_at_the_fork_can_be_left_in_both)
{
    tslab::allocator heap;
    tslab::epoch_id e{};
    int child = -1;
    {
        tslab::epoch_scope outer{heap, "outer"};
        e = outer.epoch();
        void* const p = outer.resource()->allocate(100);
        pid_t const pid = ::fork();
        BOOST_REQUIRE(pid >= 0);
        {
            tslab::epoch_scope inner{heap, "inner"};
            inner.resource()->deallocate(inner.resource()->allocate(10), 10);
        }
        outer.resource()->deallocate(p, 100);
        if (pid == 0) {
            bool const before = heap.is_active(e);
            outer.~epoch_scope();
            ::_exit(first_false({before, !heap.is_active(e), heap.snapshot().global.closing_epochs == 0,
                                 heap.snapshot().global.misuses == 0}));
        }
        int status = 0;
        ::waitpid(pid, &status, 0);
        child = WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
    }
    BOOST_TEST(child == 0);
    BOOST_TEST(!heap.is_active(e));
}

BOOST_AUTO_TEST_CASE(threads_of_the_child_work_and_a_child_may_fork_again)
{
    tslab::allocator heap;
    support::worker idle;
    idle([&] { heap.free(heap.malloc(10)); });
    BOOST_TEST(in_child([&] {
                   std::vector<std::thread> threads;
                   for (int t = 0; t < child_threads; ++t)
                       threads.emplace_back([&] {
                           for (std::size_t i = 0; i < 1000; ++i)
                               heap.free(heap.malloc(i));
                       });
                   for (auto& t : threads)
                       t.join();
                   int const grandchild = in_child([&] {
                       heap.free(heap.malloc(10));
                       heap.close(heap.current_epoch());
                       return heap.snapshot().global.slabs_in_use == 0 ? 0 : 1;
                   });
                   return first_false({heap.snapshot().global.live_objects == 0, grandchild == 0});
               }) == 0);
}

BOOST_AUTO_TEST_CASE(fork_beside_threads_at_work_leaves_both_whole)
{
    tslab::allocator heap{{.epoch_count = 32}};
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            std::vector<void*> mine;
            std::size_t i = t;
            while (!stop.load(std::memory_order_relaxed)) {
                if (void* const p = heap.malloc(++i * 37 % 1500))
                    mine.push_back(p);
                if (mine.size() > 100)
                    for (; mine.size() > 50; mine.pop_back())
                        heap.free(mine.back());
                if (i % 500 == 0)
                    tslab::epoch_scope{heap, "beside"};
                if (t == 0 && i % 1000 == 0)
                    heap.close(heap.current_epoch());
            }
            for (void* p : mine)
                heap.free(p);
        });
    for (std::size_t i = 0; i < scaled(100); ++i) {
        int const child = in_child([&] {
            std::vector<void*> all;
            for (std::size_t k = 0; k < 300; ++k)
                all.push_back(heap.malloc(k * 7 % 2000));
            bool served = true;
            for (void* p : all) {
                served = served && p != nullptr;
                heap.free(p);
            }
            auto const e = heap.current_epoch();
            auto const r = heap.close(e);
            return first_false({served, r.found, r.closed, r.deferred_claims == 0, heap.malloc(5) != nullptr});
        });
        BOOST_REQUIRE(child == 0);
    }
    stop = true;
    for (auto& t : threads)
        t.join();
    heap.close(heap.current_epoch());
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
}
