// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Fork handlers of other libraries, registered before tslab's, with the program's static objects, and at run time: they
// allocate, and they take locks that other threads hold while they allocate. Every fork comes back, on both sides, and
// both sides' figures are exact.
#define BOOST_TEST_MODULE lifecycle_fork_handlers
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "recorder.hpp"

using support::scaled;

namespace {

enum place : unsigned { before_tslab, with_statics, at_run_time, places };
enum phase : unsigned { prepare, parent, child, phases };

/// What the handlers of one place do; empty functions do nothing.
std::array<std::array<std::function<void()>, phases>, places> handlers;
/// Whether the gate was open when the handler ran: it tells on which side of tslab's handler that was.
std::array<std::array<std::atomic<bool>, phases>, places> gate_was_open;

template <place At, phase When> void handler()
{
    gate_was_open[At][When] = tslab::fork_gate::is_open();
    if (handlers[At][When])
        handlers[At][When]();
}
template <place At> void register_handlers()
{
    ::pthread_atfork(handler<At, prepare>, handler<At, parent>, handler<At, child>);
}

// The linker puts this object before the library's, and so its constructor of the same priority.
[[gnu::constructor(101)]] void register_before_tslab() { register_handlers<before_tslab>(); }
[[maybe_unused]] bool const registered = (register_handlers<with_statics>(), true);
void register_now()
{
    static bool const once = (register_handlers<at_run_time>(), true);
    static_cast<void>(once);
}

struct no_handlers {
    ~no_handlers() { handlers = {}; }
};

/// Forks; what `f` returns in the child, or 1000 + the signal that ended it.
template <class F> int in_child(F f)
{
    pid_t const pid = ::fork();
    if (pid == 0) {
        for (int const s : {SIGABRT, SIGSEGV, SIGBUS, SIGALRM})
            ::signal(s, SIG_DFL);
        ::alarm(60);
        ::_exit(f());
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

constexpr std::size_t work_objects = 301;

/// What a library does in a handler, or under its lock: objects of many sizes, and a scope.
void work(tslab::allocator& heap)
{
    std::array<void*, 200> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
        if (void* const p = all[i] = heap.malloc(i * 61 + 1))
            std::memset(p, 1, i * 61 + 1);
    tslab::epoch_scope const scope{heap, "handler"};
    for (std::size_t i = 0; i <= 100; ++i)
        scope.resource()->deallocate(scope.resource()->allocate(i * 5 + 1), i * 5 + 1);
    for (void* const p : all)
        heap.free(p);
}

/// 0 if the heap's figures, inside and as others read them, are these.
int wrong_figure(tslab::allocator const& heap, std::uint64_t allocations, std::uint64_t live)
{
    auto const wrong = [&](tslab::global_stats const& g) {
        return g.allocations != allocations ? 1 : g.live_objects != live ? 2 : g.misuses != 0 ? 3 : 0;
    };
    if (int const w = wrong(heap.snapshot({.residency = false}).global); w != 0)
        return w;
    for (tslab::snapshot const& s : tslab::observer{::getpid()}.read({.residency = false}))
        if (s.name == heap.name())
            return s.pid != ::getpid() ? 5 : wrong(s.global) != 0 ? 10 + wrong(s.global) : 0;
    return 6;
}

}

BOOST_AUTO_TEST_CASE(handlers_may_allocate_whatever_the_order)
{
    register_now();
    no_handlers const at_the_end;
    for (unsigned at = 0; at < places; ++at)
        for (unsigned when = 0; when < phases; ++when) {
            BOOST_TEST_CONTEXT("place " << at << ", phase " << when)
            {
                tslab::allocator heap{{.name = "handlers"}};
                std::uint64_t const here = when == child ? 0 : work_objects;
                std::uint64_t const there = when == parent ? 0 : work_objects;
                heap.free(heap.malloc(10));
                handlers[at][when] = [&heap] { work(heap); };
                BOOST_TEST(in_child([&] {
                               if (int const w = wrong_figure(heap, 1 + there, 0); w != 0)
                                   return w;
                               work(heap);
                               return wrong_figure(heap, 1 + there + work_objects, 0);
                           }) == 0);
                handlers[at][when] = nullptr;
                BOOST_TEST(wrong_figure(heap, 1 + here, 0) == 0);
                work(heap);
                BOOST_TEST(wrong_figure(heap, 1 + here + work_objects, 0) == 0);
            }
        }
    // The order was what this test is about.
    BOOST_TEST(!gate_was_open[before_tslab][prepare].load());
    BOOST_TEST(!gate_was_open[before_tslab][parent].load());
    BOOST_TEST(gate_was_open[with_statics][prepare].load());
    BOOST_TEST(gate_was_open[with_statics][parent].load());
    BOOST_TEST(gate_was_open[at_run_time][prepare].load());
    BOOST_TEST(gate_was_open[at_run_time][parent].load());
}

// A library holds its lock while it allocates, and takes it in its prepare handler. Other threads use the heap without the
// library. The child uses the library, whose objects its parent's threads allocated, and closes the epoch.
BOOST_AUTO_TEST_CASE(a_handler_may_wait_for_a_lock_whose_holder_allocates)
{
    if (__has_feature(thread_sanitizer))
        return;   // the gate is not lifted there: see fork_gate.cpp
    register_now();
    no_handlers const at_the_end;
    for (unsigned at = 0; at < places; ++at) {
        BOOST_TEST_CONTEXT("place " << at)
        {
            tslab::allocator heap{{.name = "library"}};
            std::mutex lock;
            std::vector<void*> library;   // guarded by the lock
            auto const call = [&] {
                std::lock_guard const guard{lock};
                work(heap);
                for (void* const p : library)
                    heap.free(p);
                library.clear();
                for (std::size_t i = 0; i < 50; ++i)
                    library.push_back(heap.malloc(i * 97 % 5000));
            };
            handlers[at][prepare] = [&] { lock.lock(); };
            handlers[at][parent] = handlers[at][child] = [&] { lock.unlock(); };
            std::atomic<bool> stop{false};
            std::vector<std::thread> threads;
            for (int t = 0; t < 2; ++t) {
                threads.emplace_back([&] {
                    while (!stop.load(std::memory_order_relaxed))
                        call();
                });
                threads.emplace_back([&] {   // knows nothing of the library
                    while (!stop.load(std::memory_order_relaxed))
                        work(heap);
                });
            }
            for (std::size_t i = 0; i < scaled(60); ++i) {
                int const result = in_child([&] {
                    for (int round = 0; round < 3; ++round)
                        call();
                    std::uint64_t const inherited = library.size();
                    for (void* const p : library)
                        heap.free(p);
                    tslab::close_report const r = heap.close(heap.current_epoch());
                    if (inherited != 50 || !r.found || !r.closed || r.deferred_claims != 0)
                        return 1;
                    work(heap);
                    return heap.snapshot({.residency = false}).global.misuses == 0 ? 0 : 2;
                });
                BOOST_REQUIRE(result == 0);
            }
            stop = true;
            for (std::thread& t : threads)
                t.join();
            handlers = {};
            for (void* const p : library)
                heap.free(p);
            heap.close(heap.current_epoch());
            tslab::global_stats const g = heap.snapshot({.residency = false}).global;
            BOOST_TEST(g.live_objects == 0U);
            BOOST_TEST(g.slabs_in_use == 0U);
            BOOST_TEST(g.frees == g.allocations);
            BOOST_TEST(g.misuses == 0U);
        }
    }
}

// What the holder of such a lock may do beside allocating: make and end heaps, run threads, close epochs, take snapshots,
// and fork itself.
BOOST_AUTO_TEST_CASE(the_holder_may_do_anything_meanwhile)
{
    if (__has_feature(thread_sanitizer))
        return;   // the gate is not lifted there: see fork_gate.cpp
    no_handlers const at_the_end;
    tslab::allocator heap{{.name = "anything"}};
    std::recursive_mutex lock;
    handlers[before_tslab][prepare] = [&] { lock.lock(); };
    handlers[before_tslab][parent] = handlers[before_tslab][child] = [&] { lock.unlock(); };
    std::atomic<bool> stop{false};
    std::thread holder{[&] {
        for (unsigned i = 0; !stop.load(std::memory_order_relaxed); ++i) {
            std::lock_guard const guard{lock};
            tslab::allocator another{{.name = "another", .epoch_count = 4}};
            another.free(another.malloc(i % 3000));
            std::thread{[&] { heap.free(heap.malloc(100)); }}.join();
            heap.close(heap.current_epoch());
            if (heap.snapshot({.residency = false}).global.misuses != 0)
                std::abort();
            heap.trim();
            if (i % 4 == 0 && in_child([&] {
                                  work(heap);
                                  return 0;
                              }) != 0)
                std::abort();
        }
    }};
    for (std::size_t i = 0; i < scaled(40); ++i)
        BOOST_REQUIRE(in_child([&] {
                          work(heap);
                          return 0;
                      }) == 0);
    stop = true;
    holder.join();
    handlers = {};
    BOOST_TEST(heap.snapshot({.residency = false}).global.live_objects == 0U);
}

// Several threads fork at once, beside threads at work.
BOOST_AUTO_TEST_CASE(threads_may_fork_at_the_same_time)
{
    no_handlers const at_the_end;
    tslab::allocator heap{{.name = "forks"}};
    handlers[before_tslab][prepare] = [&] { work(heap); };
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (std::size_t i = 0; i < scaled(25); ++i) {
                work(heap);
                failed += in_child([&] {
                              work(heap);
                              tslab::close_report const r = heap.close(heap.current_epoch());
                              return r.found && r.closed && r.deferred_claims == 0 ? 0 : 1;
                          }) != 0
                              ? 1
                              : 0;
            }
        });
    for (std::thread& t : threads)
        t.join();
    handlers = {};
    BOOST_TEST(failed == 0);
    tslab::global_stats const g = heap.snapshot({.residency = false}).global;
    BOOST_TEST(g.live_objects == 0U);
    BOOST_TEST(g.allocations == 2 * 4 * scaled(25) * work_objects);
    BOOST_TEST(g.misuses == 0U);
}
