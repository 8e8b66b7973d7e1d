// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The patterns by which other allocators are tried, written anew over std::pmr::memory_resource: objects that threads swap
// through a table (mimalloc's stress), batches that go to any thread (snmalloc), threads that end and leave their objects to
// the next (larson), and producers whose batches others free (xmalloc). Every object says what must be in it.
// Options as of stress_long: --threads N --seconds N --seed N.
#define BOOST_TEST_MODULE stress_patterns
#include "stress_roles.hpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>
import tslab.internal;

namespace {

using stress::random_source;

/// What every object begins with; a cookie, made of its size and of where it lies, fills the rest.
struct cell {
    cell* next = nullptr;
    std::size_t size = 0;
    std::uint64_t cookie = 0;

    [[nodiscard]] std::uint64_t right_cookie() const
    {
        return (reinterpret_cast<std::uintptr_t>(this) ^ size) * 0x9e3779b97f4a7c15U;
    }
};

/// The resource under test, and what was done with it.
struct field {
    std::pmr::memory_resource& memory;
    std::atomic<std::uint64_t> allocated{0}, freed{0}, bad{0}, threads{0};

    [[nodiscard]] cell* make(std::size_t size)
    {
        size = std::max(size, sizeof(cell));
        auto* const c = ::new (memory.allocate(size)) cell{nullptr, size, 0};
        c->cookie = c->right_cookie();
        for (std::size_t at = sizeof(cell); at + sizeof(c->cookie) <= size; at += step(size))
            std::memcpy(reinterpret_cast<std::byte*>(c) + at, &c->cookie, sizeof(c->cookie));
        allocated.fetch_add(1, std::memory_order_relaxed);
        return c;
    }
    void end(cell* c)
    {
        if (c == nullptr)
            return;
        std::uint64_t const cookie = c->cookie;
        bool good = cookie == c->right_cookie();
        std::size_t const size = good ? c->size : sizeof(cell);
        for (std::size_t at = sizeof(cell); at + sizeof(cookie) <= size; at += step(size))
            good = std::memcmp(reinterpret_cast<std::byte*>(c) + at, &cookie, sizeof(cookie)) == 0 && good;
        bad.fetch_add(good ? 0 : 1, std::memory_order_relaxed);
        freed.fetch_add(1, std::memory_order_relaxed);
        c->cookie = 0;   // who frees it again, or reads it later, finds out
        memory.deallocate(c, size);
    }

private:
    static std::size_t step(std::size_t size) { return size > 4096 ? 512 : sizeof(std::uint64_t); }
};

template <class F> void on_threads(std::size_t n, F work)
{
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < n; ++i)
        all.emplace_back([&work, i] { work(i); });
    for (std::thread& t : all)
        t.join();
}

class deadline {
public:
    /// A part of the seconds given: there are several patterns.
    deadline()
        : end_{clock::now() +
               std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(stress::given().seconds / 2))}
    {
    }
    [[nodiscard]] bool over() const { return clock::now() >= end_; }

private:
    using clock = std::chrono::steady_clock;
    clock::time_point end_;
};

/// After D. Leijen's test-stress of mimalloc: in every round so many threads, of which some do more than others, allocate,
/// keep, free, and swap objects with a table that all share. Half of what is in the table outlives each round.
void swap_through_a_table(field& f, std::size_t threads, std::size_t scale, std::size_t rounds)
{
    std::vector<std::atomic<cell*>> table(1000);
    for (std::size_t round = 0; round < rounds; ++round) {
        on_threads(threads, [&](std::size_t id) {
            random_source r = stress::source_for(round * 1000 + id);
            std::vector<cell*> kept;
            std::vector<cell*> data;
            std::size_t allocations = scale * (id % 8 + 1);
            std::size_t retain = allocations / 2;
            while (allocations > 0 || retain > 0) {
                if (retain == 0 || (allocations > 0 && stress::below(r, 2) == 0)) {
                    --allocations;
                    data.push_back(f.make(stress::mixed_size(r)));
                } else {
                    --retain;
                    kept.push_back(f.make(stress::mixed_size(r)));
                }
                if (!data.empty() && stress::below(r, 3) != 0) {
                    std::swap(data[stress::below(r, data.size())], data.back());
                    f.end(data.back());
                    data.pop_back();
                }
                if (!data.empty() && stress::below(r, 4) == 0) {
                    cell*& mine = data[stress::below(r, data.size())];
                    // acquire, release: the contents go with the pointer, both ways.
                    mine = table[stress::below(r, table.size())].exchange(mine, std::memory_order_acq_rel);
                    if (mine == nullptr) {
                        std::swap(mine, data.back());
                        data.pop_back();
                    }
                }
            }
            for (cell* const c : kept)
                f.end(c);
            for (cell* const c : data)
                f.end(c);
            f.threads.fetch_add(1, std::memory_order_relaxed);
        });
        for (std::size_t i = round % 2; i < table.size(); i += 2)
            f.end(table[i].exchange(nullptr));
    }
    for (auto& slot : table)
        f.end(slot.exchange(nullptr));
}

/// After snmalloc's tests of remote frees: batches are allocated, and each object goes to a thread drawn by lot, which frees it.
void send_to_anyone(field& f, std::size_t threads)
{
    struct alignas(64) inbox {
        std::atomic<cell*> first{nullptr};
    };
    std::vector<inbox> inboxes(threads);
    deadline const until;
    auto const read = [&](std::size_t id) {
        cell* c = inboxes[id].first.exchange(nullptr, std::memory_order_acquire);
        while (c != nullptr)
            f.end(std::exchange(c, c->next));
    };
    on_threads(threads, [&](std::size_t id) {
        random_source r = stress::source_for(id);
        while (!until.over()) {
            std::size_t const size =
                stress::mixed_size(r);   // one size a batch: whole slabs are filled, and emptied elsewhere
            for (std::size_t i = 1 + stress::below(r, 200); i > 0; --i) {
                cell* const c = f.make(stress::below(r, 8) == 0 ? stress::mixed_size(r) : size);
                std::atomic<cell*>& to = inboxes[stress::below(r, threads)].first;
                c->next = to.load(std::memory_order_relaxed);
                while (!to.compare_exchange_weak(c->next, c, std::memory_order_release, std::memory_order_relaxed)) {
                }
            }
            read(id);
        }
    });
    for (std::size_t id = 0; id < threads; ++id)
        read(id);
}

/// After P. Larson's server: each thread replaces objects of a set at random, then ends and leaves the set to a new thread.
void leave_to_the_next(field& f, std::size_t threads)
{
    deadline const until;
    std::size_t const most_replaced = 2000;
    on_threads(threads, [&](std::size_t id) {
        random_source r = stress::source_for(id);
        std::vector<cell*> set(500);
        while (!until.over()) {
            std::thread{[&] {
                for (std::size_t i = 0; i < most_replaced; ++i) {
                    cell*& one = set[stress::below(r, set.size())];
                    f.end(one);
                    one = f.make(10 + stress::below(r, 500));
                }
            }}.join();
            f.threads.fetch_add(1, std::memory_order_relaxed);
        }
        for (cell* const c : set)
            f.end(c);
    });
}

/// After C. Lever and D. Boreham's malloc-test: producers fill batches, others free them, and neither does anything else.
void produce_for_others(field& f, std::size_t threads)
{
    using batch = std::vector<cell*>;
    std::mutex lock;
    std::condition_variable changed;
    std::deque<batch> queue;
    std::size_t producing = std::max<std::size_t>(threads / 2, 1);
    deadline const until;
    on_threads(producing * 2, [&](std::size_t id) {
        if (id % 2 == 0) {
            random_source r = stress::source_for(id);
            while (!until.over()) {
                batch b;
                for (int i = 0; i < 120; ++i)
                    b.push_back(f.make(8 + stress::below(r, 512)));
                std::unique_lock guard{lock};
                changed.wait(guard, [&] { return queue.size() < 64; });
                queue.push_back(std::move(b));
                changed.notify_all();
            }
            std::lock_guard const guard{lock};
            --producing;
            changed.notify_all();
            return;
        }
        for (;;) {
            batch b;
            {
                std::unique_lock guard{lock};
                changed.wait(guard, [&] { return !queue.empty() || producing == 0; });
                if (queue.empty())
                    return;
                b = std::move(queue.front());
                queue.pop_front();
                changed.notify_all();
            }
            for (cell* const c : b)
                f.end(c);
        }
    });
}

/// Runs a pattern on a resource that all threads share, with its heap trimmed and looked at all the time.
template <class Pattern> void run(char const* name, Pattern pattern)
{
    BOOST_REQUIRE(stress::read_arguments(boost::unit_test::framework::master_test_suite().argc,
                                         boost::unit_test::framework::master_test_suite().argv));
    stress::report_watch const watch;
    tslab::allocator heap{{.name = name, .epoch_count = 16}};
    {
        tslab::epoch_resource resource{heap, {.label = name}};
        field f{resource};
        std::atomic<bool> over{false};
        std::thread watcher{[&] {
            while (!over.load()) {
                heap.trim(resource.epoch());
                static_cast<void>(heap.snapshot({.residency = false}));
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
        }};
        auto const begin = std::chrono::steady_clock::now();
        pattern(f);
        double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        over.store(true);
        watcher.join();
        tslab::global_stats const g = heap.snapshot().global;
        std::printf("%-22s %9llu objects, %6llu threads, %5.2f s\n", name,
                    static_cast<unsigned long long>(f.allocated.load()),
                    static_cast<unsigned long long>(f.threads.load()), seconds);
        std::fflush(stdout);
        BOOST_TEST(f.bad.load() == 0U);
        BOOST_TEST(f.freed.load() == f.allocated.load());
        BOOST_TEST(g.allocations == f.allocated.load());
        BOOST_TEST(g.frees == f.freed.load());
        BOOST_TEST(g.live_objects == 0U);
        BOOST_TEST(resource.release() == 0U);
    }
    stress::close_everything(heap);
    BOOST_TEST(stress::wrong_with(heap) == "");
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
    BOOST_TEST(stress::report_watch::count(tslab::misuse::leak) == 0U);
}

#if defined(TSLAB_SANITIZED)
constexpr std::size_t table_threads = 8;
constexpr std::size_t table_rounds = 10;
#else
constexpr std::size_t table_threads = 32;
constexpr std::size_t table_rounds = 50;
#endif
constexpr std::size_t table_scale = 50;

}

// 32 threads, 50 times as many objects as the least has, 50 rounds; more rounds for more than the usual two seconds.
BOOST_AUTO_TEST_CASE(objects_swapped_through_a_table)
{
    run("table", [](field& f) {
        std::size_t const longer = std::max<std::size_t>(static_cast<std::size_t>(stress::given().seconds / 2), 1);
        swap_through_a_table(f, table_threads, table_scale, table_rounds * longer);
    });
}

BOOST_AUTO_TEST_CASE(batches_sent_to_anyone)
{
    run("anyone", [](field& f) { send_to_anyone(f, stress::given().threads); });
}

BOOST_AUTO_TEST_CASE(threads_that_leave_their_objects_to_the_next)
{
    run("next", [](field& f) { leave_to_the_next(f, stress::given().threads); });
}

BOOST_AUTO_TEST_CASE(producers_for_others)
{
    run("others", [](field& f) { produce_for_others(f, stress::given().threads); });
}

// The patterns themselves are right: another resource passes them.
BOOST_AUTO_TEST_CASE(the_same_on_the_standard_librarys)
{
    field f{*std::pmr::new_delete_resource()};
    swap_through_a_table(f, 4, 10, 2);
    leave_to_the_next(f, 2);
    BOOST_TEST(f.bad.load() == 0U);
    BOOST_TEST(f.freed.load() == f.allocated.load());
}
