// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The thread that purges in the background: when it runs, what it purges, and that it is safe against the end of heaps, forks,
// failures and the end of the process.
#define BOOST_TEST_MODULE lifecycle_background
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "background.hpp"
#include "death.hpp"
#include "recorder.hpp"
#include "stress.hpp"

using namespace std::chrono_literals;
using background::allocate_and_free;
using background::eventually;
using background::has_no_unused_memory;
using background::purge_threads;
using background::purging_options;
using background::slow_system;
using background::state_of;
using support::scaled;

namespace {

#if __has_feature(thread_sanitizer)
constexpr bool child_may_have_threads = false;   // as in fork.cpp
#else
constexpr bool child_may_have_threads = true;
#endif

}

BOOST_AUTO_TEST_CASE(one_thread_serves_all_heaps_with_background_purge)
{
    tslab::allocator const plain{{.epoch_count = 4, .reserve_bytes = std::size_t{64} << 20}};
    BOOST_TEST(purge_threads().empty());
    BOOST_TEST(state_of(plain) == "off");
    std::size_t const files = static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, std::filesystem::directory_iterator{}));
    {
        auto first = std::make_unique<tslab::allocator>(purging_options());
        auto second = std::make_unique<tslab::allocator>(purging_options(3000ms));
        BOOST_TEST(eventually([] { return purge_threads().size() == 1; }));
        BOOST_TEST(state_of(*first) == "on");
        BOOST_TEST(state_of(*second) == "on");
        std::string line;
        std::string blocked;
        for (std::ifstream status{purge_threads().at(0) / "status"}; std::getline(status, line);)
            if (line.starts_with("SigBlk:"))
                blocked = line.substr(line.find_last_of('\t') + 1);
        // All but the two that cannot be blocked, and two that the C library reserves.
        BOOST_TEST((std::stoull(blocked, nullptr, 16) | 0x1'8000'0000U | 1U << (SIGKILL - 1) | 1U << (SIGSTOP - 1)) ==
                   ~0ULL);
        first.reset();
        BOOST_TEST(purge_threads().size() == 1U);
        BOOST_TEST(second->snapshot().threads.size() == 1U);   // the one that made it
    }
    BOOST_TEST(purge_threads().empty());
    BOOST_TEST(static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{"/proc/self/fd"},
                                                      std::filesystem::directory_iterator{})) == files);
    tslab::allocator const eager{{.epoch_count = 4,
                                  .reclaim = tslab::reclaim_policy::eager,
                                  .reserve_bytes = std::size_t{64} << 20,
                                  .background_purge = true}};
    BOOST_TEST(state_of(eager) == "off");   // free pages go at once
    BOOST_TEST(purge_threads().empty());
}

BOOST_AUTO_TEST_CASE(an_idle_heap_shrinks_to_its_live_objects)
{
    tslab::allocator heap{purging_options()};
    support::worker idle;
    void* kept = nullptr;
    idle([&] {
        kept = heap.malloc(5000);
        allocate_and_free(heap);
    });
    allocate_and_free(heap);
    BOOST_TEST(heap.snapshot().global.retained_bytes != 0U);
    BOOST_TEST(eventually([&] { return has_no_unused_memory(heap); }));
    tslab::global_stats const g = heap.snapshot().global;
    BOOST_TEST(g.committed_bytes <= std::size_t{128} << 10);   // one slab, of the class of the live object
    BOOST_TEST(eventually([&] { return heap.snapshot().global.purges_by_background != 0; }));
    BOOST_TEST(g.purges_by_pressure == 0U);
    BOOST_TEST(g.unwanted_pages == 0U);
    // The heap works as before, and shrinks again.
    idle([&] {
        allocate_and_free(heap);
        heap.free(kept);
    });
    heap.close(heap.current_epoch());   // the idle thread has a cache of it
    BOOST_TEST(eventually([&] { return has_no_unused_memory(heap); }));
    BOOST_TEST(eventually([&] { return stress::wrong_with(heap).empty(); }));   // no page is on its way to the kernel
}

BOOST_AUTO_TEST_CASE(heaps_are_made_and_end_while_the_thread_purges)
{
    slow_system system;
    system.slow = true;
    {
        tslab::allocator const stays{purging_options(1ms)};
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 3; ++t)
            threads.emplace_back([t] {
                for (std::size_t i = 0; i < scaled(40); ++i) {
                    tslab::allocator heap{purging_options(1ms)};
                    allocate_and_free(heap, 300);
                    std::this_thread::sleep_for(std::chrono::microseconds{(i * 7 + t * 3) % 30 * 1000});
                }
            });
        for (std::thread& t : threads)
            t.join();
    }
    BOOST_TEST(system.released_while_purging == 0);
    BOOST_TEST(purge_threads().empty());
    for (std::size_t i = 0; i < scaled(100); ++i) {   // each the first and the last
        tslab::allocator heap{purging_options(1ms)};
        allocate_and_free(heap, 100);
    }
    BOOST_TEST(system.released_while_purging == 0);
    BOOST_TEST(purge_threads().empty());
}

BOOST_AUTO_TEST_CASE(a_fork_copies_consistent_lists_and_the_child_starts_its_own_thread)
{
    slow_system system;
    system.slow = true;
    tslab::allocator heap{purging_options(5ms)};
    for (std::size_t i = 0; i < scaled(30); ++i) {
        allocate_and_free(heap, 500);
        std::this_thread::sleep_for(std::chrono::milliseconds{i % 20});
        pid_t const child = ::fork();
        if (child == 0) {
            for (int const s : {SIGABRT, SIGSEGV, SIGBUS, SIGALRM})
                ::signal(s, SIG_DFL);
            ::alarm(60);
            if (state_of(heap) != "pending" || !purge_threads().empty())
                ::_exit(1);
            if (!stress::wrong_with(heap).empty())   // pages that the thread was purging would be missing
                ::_exit(2);
            if (!child_may_have_threads)
                ::_exit(0);
            if (!eventually([&] {
                    allocate_and_free(heap, 100);
                    return state_of(heap) == "on";
                }))
                ::_exit(3);
            if (!eventually([&] { return has_no_unused_memory(heap); }))
                ::_exit(4);
            heap.~allocator();   // joins it
            ::_exit(purge_threads().empty() ? 0 : 5);
        }
        int status = 0;
        BOOST_TEST(::waitpid(child, &status, 0) == child);
        BOOST_TEST(status == 0);
        BOOST_TEST(state_of(heap) == "on");
    }
    BOOST_TEST(eventually([&] { return has_no_unused_memory(heap); }));
    BOOST_TEST(eventually([&] { return stress::wrong_with(heap).empty(); }));
}

BOOST_AUTO_TEST_CASE(without_the_thread_the_heap_works_and_tries_again)
{
    for (bool const no_thread : {true, false}) {
        slow_system system;
        (no_thread ? system.refuse_thread : system.refuse_event) = true;
        tslab::allocator heap{purging_options()};
        BOOST_TEST(state_of(heap) == "failed");
        BOOST_TEST(purge_threads().empty());
        allocate_and_free(heap);
        std::this_thread::sleep_for(50ms);
        allocate_and_free(heap);   // a decay, at which the thread is refused again
        BOOST_TEST(state_of(heap) == "failed");
        BOOST_TEST(stress::wrong_with(heap) == "");
        system.refuse_thread = system.refuse_event = false;
        BOOST_TEST(eventually([&] {
            allocate_and_free(heap, 100);
            return state_of(heap) == "on";
        }));
        BOOST_TEST(eventually([&] { return has_no_unused_memory(heap); }));
    }
}

BOOST_AUTO_TEST_CASE(a_process_may_exit_while_the_thread_purges)
{
    for (int i = 0; i < 5; ++i) {
        death::outcome const end = death::of([i](death::notes&) {
            static tslab::allocator* const never_destroyed = new tslab::allocator{purging_options(1ms)};
            static tslab::allocator destroyed{purging_options(1ms)};
            allocate_and_free(*never_destroyed);
            allocate_and_free(destroyed);
            std::this_thread::sleep_for(std::chrono::milliseconds{i * 5});
            std::exit(0);
        });
        BOOST_TEST(end.text == "");
        BOOST_TEST(end.end == "exit 0");
    }
}

BOOST_AUTO_TEST_CASE(a_decay_of_0_gives_free_pages_back_at_each_close_and_keeps_slabs)
{
    tslab::allocator heap{{.epoch_count = 16, .reserve_bytes = std::size_t{64} << 20, .decay = 0ms}};
    allocate_and_free(heap);
    tslab::snapshot const s = heap.snapshot();
    BOOST_TEST(s.decay_ms == 0U);
    BOOST_TEST(s.global.free_resident_pages == 0U);
    BOOST_TEST(s.global.madvise_calls > 0U);
    BOOST_TEST(s.global.retained_bytes > 0U);
    std::this_thread::sleep_for(30ms);
    allocate_and_free(heap);
    BOOST_TEST(heap.snapshot().global.retained_bytes >= s.global.retained_bytes);
    tslab::global_stats const g = heap.snapshot().global;
    BOOST_TEST(g.purges_by_time + g.purges_by_work + g.purges_by_background == 0U);
    BOOST_TEST(stress::wrong_with(heap) == "");
}
