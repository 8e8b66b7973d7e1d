// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The contract of docs/semantics.md, rules 16 and 17: frees by other threads, fork, lack of memory, and counters that are exact
// once threads are quiet. At least one case for each rule fails if the rule is broken.
#define BOOST_TEST_MODULE contract_threads
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <barrier>
#include <new>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

#include "os_hook.hpp"
#include "recorder.hpp"

using support::on_other_thread;
using support::scaled;
using support::stats_of;

BOOST_AUTO_TEST_CASE(rule_16_any_thread_frees_what_any_other_allocated_also_after_that_one_ended)
{
    tslab::allocator heap;
    std::vector<void*> all;
    tslab::epoch_id const e = heap.current_epoch();
    for (int t = 0; t < 20; ++t)
        on_other_thread([&] {
            for (std::size_t i = 0; i < 50; ++i)
                all.push_back(
                    heap.malloc(1 + i * i * 30, e));   // of every class; the thread ends with claims outstanding
        });
    BOOST_TEST(stats_of(heap, e).live_objects == 1000u);
    heap.close(e);
    for (void* p : all)
        heap.free(p);
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.slabs_in_use == 0u);
    BOOST_TEST(s.global.closing_epochs == 0u);
}

BOOST_AUTO_TEST_CASE(rule_16_fork_leaves_parent_and_child_consistent)
{
    tslab::allocator heap;
    tslab::epoch_id const e = heap.current_epoch();
    support::worker idle;   // holds slabs and exists only in the parent
    std::vector<void*> theirs;
    idle([&] {
        for (int i = 0; i < 100; ++i)
            theirs.push_back(heap.malloc(100, e));
    });
    pid_t const child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        int wrong = 0;
        for (void* p : theirs)
            heap.free(p);
        heap.free(heap.malloc(100, e));
        tslab::close_report const r = heap.close(e);
        wrong |= r.drained && r.deferred_claims == 0 ? 0 : 1;
        wrong |= heap.snapshot().global.slabs_in_use == 0 ? 0 : 2;
        wrong |= heap.malloc(10) != nullptr ? 0 : 4;
        ::_exit(wrong);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 0);
    BOOST_TEST(stats_of(heap, e).live_objects == 100u);   // the child's frees were its own
    for (void* p : theirs)
        heap.free(p);
    BOOST_TEST(heap.close(e).drained);
}

BOOST_AUTO_TEST_CASE(rule_16_running_out_of_memory_is_refused_with_nothing_lost_and_a_failing_madvise_is_counted)
{
    support::os_hook hook;
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager, .reserve_bytes = std::size_t{16} << 20}};
    tslab::epoch_resource r{heap, {.label = "greedy"}};
    for (int round = 0; round < 2; ++round) {
        std::vector<void*> all;
        BOOST_CHECK_THROW(for (;;) all.push_back(r.allocate(768)), std::bad_alloc);
        BOOST_TEST(all.size() == 4096u / tslab::bins[7].pages * tslab::bins[7].slots);   // all of the 16 MiB
        BOOST_CHECK_THROW((void)r.allocate(5000), std::bad_alloc);
        auto const s = heap.snapshot();
        BOOST_TEST(s.global.out_of_memory == 2u * (static_cast<unsigned>(round) + 1));
        BOOST_TEST(s.global.live_objects == all.size());
        BOOST_TEST(s.global.slow_path_epoch_closed == 0u);
        for (void* p : all)
            r.deallocate(p, 768);
        hook.fail_purge = true;
        tslab::close_report const t = heap.trim(r.epoch());
        BOOST_TEST(t.madvise_failures >= 1u);
        BOOST_TEST(t.madvise_bytes == 0u);
        hook.fail_purge = false;
        BOOST_TEST(heap.snapshot().global.madvise_failures == t.madvise_failures * (static_cast<unsigned>(round) + 1));
    }
    BOOST_TEST(heap.trim().madvise_bytes == std::uint64_t{16} << 20);
}

BOOST_AUTO_TEST_CASE(rule_17_counters_are_exact_once_threads_are_quiet)
{
    tslab::allocator heap{{.epoch_count = 64}};
    constexpr unsigned threads = 4;
    std::array<std::atomic<std::uint64_t>, tslab::class_count + 1> allocated{};
    std::atomic<std::uint64_t> freed{0}, live_bytes{0}, refused{0}, scopes{0};
    tslab::epoch_id const closed = heap.current_epoch();
    heap.advance();
    std::vector<std::thread> all;
    std::barrier start{threads};
    std::mutex lock;
    std::vector<std::pair<void*, std::size_t>> left;
    for (unsigned t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
            std::mt19937 random{t};
            std::vector<std::pair<void*, std::size_t>> mine;
            start.arrive_and_wait();
            for (std::size_t i = 0; i < scaled(20'000); ++i) {
                std::size_t const n = random() % 50 != 0  ? random() % 769
                                      : random() % 4 != 0 ? 769 + random() % 9000
                                                          : random() % 130'000;
                if (random() % 64 == 0) {
                    refused += heap.malloc(n, closed) == nullptr;
                } else if (random() % 128 == 0) {
                    tslab::epoch_scope s{heap, "scope"};
                    ++scopes;
                    void* const p = s.resource()->allocate(n);
                    ++allocated[tslab::class_of(n, 1)];
                    ++freed;
                    s.resource()->deallocate(p, n);
                } else if (random() % 2 == 0 || mine.empty()) {
                    mine.emplace_back(heap.malloc(n), n);
                    ++allocated[tslab::class_of(n, 1)];
                } else {
                    std::swap(mine[random() % mine.size()], mine.back());
                    if (random() % 4 == 0) {
                        std::lock_guard const guard{lock};
                        left.push_back(mine.back());
                    } else {
                        heap.free(mine.back().first);
                        ++freed;
                    }
                    mine.pop_back();
                }
            }
            std::lock_guard const guard{lock};
            left.insert(left.end(), mine.begin(), mine.end());
        });
    for (auto& t : all)
        t.join();
    auto const s = heap.snapshot();
    std::uint64_t total = 0;
    for (unsigned c = 0; c <= tslab::class_count; ++c) {
        BOOST_TEST(s.classes[c].allocations == allocated[c].load());
        total += allocated[c];
    }
    for (auto [p, n] : left)
        live_bytes += n > tslab::max_class_size ? n : tslab::class_sizes[tslab::class_of(n, 1)];
    BOOST_TEST(s.global.allocations == total);
    BOOST_TEST(s.global.frees == freed.load());
    BOOST_TEST(s.global.live_objects == total - freed);
    BOOST_TEST(s.global.live_objects == left.size());
    BOOST_TEST(s.global.live_bytes == live_bytes.load());
    BOOST_TEST(s.global.slow_path_epoch_closed == refused.load());
    BOOST_TEST(s.global.domain_enters == scopes.load());
    BOOST_TEST(s.global.domain_exits == scopes.load());
    BOOST_TEST(s.global.epoch_opens == scopes + 2);
    std::uint64_t by_epoch = 0, slabs = 0, pages = 0;
    for (auto const& e : s.epochs) {
        by_epoch += e.live_objects;
        slabs += e.slabs;
        pages += e.slab_pages;
    }
    BOOST_TEST(by_epoch == left.size());
    BOOST_TEST(slabs == s.global.slabs_in_use);
    BOOST_TEST(pages == s.global.slab_pages);
    std::uint64_t idle = s.global.free_resident_pages + s.global.free_purged_pages;
    for (auto const& c : s.classes)
        idle += c.cached_slabs * c.pages_per_slab;
    BOOST_TEST(pages + idle + s.global.large_pages == heap.state().pages().used_pages());
    for (auto [p, n] : left)
        heap.free(p);
    BOOST_TEST(heap.snapshot().global.frees == total);
}

BOOST_AUTO_TEST_CASE(rule_17_a_threads_figures_are_its_own)
{
    tslab::allocator heap;
    on_other_thread([&] {
        for (int i = 0; i < 1000; ++i)
            heap.free(heap.malloc(10));
    });
    on_other_thread([&] {
        heap.free(heap.malloc(10));
        auto const s = heap.snapshot();
        for (auto const& t : s.threads)
            if (t.thread_id == tslab::this_thread.id())
                BOOST_TEST(t.allocations == 1u);
    });
}
