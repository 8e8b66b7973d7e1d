// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A fork beside threads at work, and a fork of the child: each of the three processes counts its own, publishes its own, and
// goes on exactly. A child may also let threads and heaps come and go although it inherited records of threads that
// did not come along.
#define BOOST_TEST_MODULE lifecycle_fork
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <pthread.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "recorder.hpp"

using support::scaled;

namespace {

#if __has_feature(thread_sanitizer)
constexpr bool child_may_have_threads =
    false;   // the sanitizer ends a child of a threaded process that starts a thread
#else
constexpr bool child_may_have_threads = true;
#endif

/// Runs `f` in a forked child; what it returns, or 1000 + the signal that ended it.
template <class F> int in_child(F f)
{
    pid_t const child = ::fork();
    if (child < 0)
        return -1;
    if (child == 0) {
        for (int const s : {SIGABRT, SIGSEGV, SIGBUS, SIGALRM})
            ::signal(s, SIG_DFL);
        ::alarm(120);
        ::_exit(f());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// What the calling process says of the heap, inside and in its published segment, is this; 0 if so.
int wrong_figure(tslab::allocator const& heap, std::uint64_t allocations, std::uint64_t live)
{
    tslab::global_stats const g = heap.snapshot({.residency = false}).global;
    if (g.allocations != allocations)
        return 1;
    if (g.live_objects != live)
        return 2;
    if (g.frees != allocations - live)
        return 3;
    if (g.misuses != 0)
        return 4;
    for (tslab::snapshot const& s : tslab::observer{::getpid()}.read({.residency = false}))
        if (s.name == heap.name())
            return s.pid != ::getpid()                   ? 5
                   : s.global.allocations != allocations ? 6
                   : s.global.live_objects != live       ? 7
                                                         : 0;
    return 8;
}

/// Allocates `n` objects of many sizes in one epoch of its own and the current one.
std::vector<void*> some(tslab::allocator& heap, std::size_t n)
{
    std::vector<void*> all;
    for (std::size_t i = 0; i < n; ++i)
        all.push_back(heap.malloc(i * 37 % 3000));
    return all;
}

/// The story of a child: `before` are objects of its parent that it frees. Forks on until `depth` is 0.
int generation(tslab::allocator& heap, std::vector<void*> const& before, int depth)
{
    tslab::global_stats const start = heap.snapshot({.residency = false}).global;
    std::uint64_t allocations = start.allocations;
    std::uint64_t live = start.live_objects;
    std::vector<void*> mine = some(heap, 1000);
    if (int const wrong = wrong_figure(heap, allocations += 1000, live += 1000); wrong != 0)
        return depth * 10 + wrong;
    for (void* const p : before)
        heap.free(p);
    if (int const wrong = wrong_figure(heap, allocations, live -= before.size()); wrong != 0)
        return depth * 10 + wrong;
    if (depth > 0)
        if (int const wrong = in_child([&] { return generation(heap, mine, depth - 1); }); wrong != 0)
            return wrong;
    if (int const wrong = wrong_figure(heap, allocations, live); wrong != 0)   // whatever the grandchild did
        return depth * 10 + wrong;
    for (void* const p : mine)
        heap.free(p);
    tslab::epoch_id const e = heap.current_epoch();
    tslab::close_report const closed = heap.close(e);
    if (!closed.found || !closed.closed || closed.deferred_claims != 0)
        return depth * 10 + 9;
    return wrong_figure(heap, allocations, live - 1000);
}

/// A thread's record, in which there is to be found at the fork that it has just announced something.
std::atomic<tslab::thread_record*> announcing{nullptr};

void announce(std::uint32_t what)
{
    if (tslab::thread_record* const r = announcing.load())
        r->activity.store(what);
}

/// Handlers that are there before tslab's, since this object is linked before the library: what is to be done before a
/// fork is done after tslab has looked.
[[gnu::constructor(101)]] void register_before_tslab()
{
    ::pthread_atfork([] { announce(tslab::thread_record::inside | tslab::thread_record::changing_lists); },
                     [] { announce(0); }, nullptr);
}

}

BOOST_AUTO_TEST_CASE(what_a_thread_had_just_announced_does_not_hold_up_the_child)
{
    tslab::allocator heap{{.name = "announced"}};
    std::atomic<tslab::thread_record*> record{nullptr};
    std::atomic<bool> stop{false};
    std::thread other{[&] {
        heap.free(heap.malloc(10));
        record = heap.state().record();
        record.notify_one();
        stop.wait(false);
    }};
    record.wait(nullptr);
    announcing = record.load();
    int const child = in_child([&] {
        announcing = nullptr;
        return in_child([&] {
            heap.free(heap.malloc(10));
            return 0;
        });
    });
    announcing = nullptr;
    BOOST_TEST(child == 0);
    stop = true;
    stop.notify_one();
    other.join();
}

BOOST_AUTO_TEST_CASE(three_generations_beside_threads_at_work)
{
    tslab::allocator heap{{.name = "generations", .epoch_count = 64}};
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> allocated{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::vector<void*> mine;
            std::uint64_t n = 0;
            std::size_t i = t;
            while (!stop.load(std::memory_order_relaxed)) {
                if (i % 97 == 0) {
                    tslab::epoch_scope const scope{heap, "request"};
                    void* const p = scope.resource()->allocate(i % 500 + 1);
                    scope.resource()->deallocate(p, i % 500 + 1);
                    ++n;
                }
                if (void* const p = heap.malloc(++i * 53 % 2000)) {
                    ++n;
                    mine.push_back(p);
                }
                for (; mine.size() > 200; mine.pop_back())
                    heap.free(mine.back());
            }
            for (void* const p : mine)
                heap.free(p);
            allocated.fetch_add(n);
        });
    std::uint64_t own = 0;
    for (std::size_t i = 0; i < scaled(30); ++i) {
        std::vector<void*> const handed_down = some(heap, 200);
        own += 200;
        int const child = in_child([&] { return generation(heap, handed_down, 1); });
        BOOST_TEST(child == 0);
        for (void* const p : handed_down)
            heap.free(p);
        heap.close(heap.current_epoch());
    }
    stop = true;
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(wrong_figure(heap, own + allocated.load(), 0) == 0);
    heap.close(heap.current_epoch());
    tslab::global_stats const g = heap.snapshot().global;
    BOOST_TEST(g.slabs_in_use == 0U);
    BOOST_TEST(g.closing_epochs == 0U);
    BOOST_TEST(g.domain_enters == g.domain_exits);
    BOOST_TEST(g.epoch_drains == g.epoch_closes);
}

// The memory of the threads that did not come along, thread-local objects included, is the C library's to use again or unmap.
BOOST_AUTO_TEST_CASE(a_child_outlives_its_parents_threads_and_ends_the_heap)
{
    auto heap = std::make_unique<tslab::allocator>(tslab::allocator::options{.name = "inherited"});
    std::vector<std::unique_ptr<support::worker>> parents;
    std::vector<void*> theirs;
    for (int i = 0; i < 24; ++i) {
        parents.push_back(std::make_unique<support::worker>());
        (*parents.back())([&] { theirs.push_back(heap->malloc(100)); });
    }
    BOOST_TEST(in_child([&] {
                   for (void* const p : theirs)
                       heap->free(p);
                   if (child_may_have_threads)
                       for (int round = 0; round < 3; ++round) {
                           std::vector<std::thread> threads;
                           for (int i = 0; i < 40; ++i)
                               threads.emplace_back([&] { heap->free(heap->malloc(200)); });
                           for (std::thread& t : threads)
                               t.join();
                       }
                   int const wrong = wrong_figure(*heap, 24 + (child_may_have_threads ? 120 : 0), 0);
                   heap.reset();
                   return wrong;
               }) == 0);
    for (void* const p : theirs)
        heap->free(p);
    parents.clear();
    BOOST_TEST(wrong_figure(*heap, 24, 0) == 0);
}
