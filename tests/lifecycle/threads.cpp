// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Very many threads, one after the other and at once, and what runs at a thread's end, before and after tslab's own hook:
// every count is exact, and neither records nor memory grow with the threads that were.
#define BOOST_TEST_MODULE lifecycle_threads
#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <memory>
#include <new>
#include <pthread.h>
#include <thread>
#include <utility>
#include <vector>

#include "recorder.hpp"

using support::recorder;
using support::sanitized;

namespace {

#if defined(__OPTIMIZE__)
constexpr bool optimised = true;
#else
constexpr bool optimised = false;
#endif

void expect_quiet(tslab::allocator& heap, std::uint64_t allocations)
{
    heap.trim();
    tslab::global_stats const g = heap.snapshot().global;
    BOOST_TEST(g.allocations == allocations);
    BOOST_TEST(g.frees == allocations);
    BOOST_TEST(g.live_objects == 0U);
    BOOST_TEST(g.slabs_in_use == 0U);
    BOOST_TEST(g.slabs_cached == 0U);   // threads that have ended keep nothing
    BOOST_TEST(g.domain_enters == g.domain_exits);
    BOOST_TEST(g.misuses == 0U);
}

}

BOOST_AUTO_TEST_CASE(a_hundred_thousand_threads_come_and_go)
{
    constexpr std::size_t total = sanitized ? 2'000 : optimised ? 100'000 : 20'000;
    constexpr std::size_t batch = 50;
    constexpr std::size_t objects = 6;
    recorder const seen;
    tslab::allocator heap{{.name = "churn", .epoch_count = 256}};
    std::vector<void*> left(batch);
    std::uint64_t rss_early = 0;
    std::uint64_t metadata_early = 0;
    std::latch all_there{
        batch};   // as many at once as there can be, at first: later none needs memory for a record or a thread cache
    for (std::size_t done = 0; done < total; done += batch) {
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < batch; ++i)
            threads.emplace_back([&heap, &left, &all_there, i, first = done == 0] {
                std::array<void*, objects - 2> mine{};
                for (std::size_t k = 0; k < mine.size(); ++k)
                    mine[k] = heap.malloc((i + 1) * (k + 1) * 11);
                left[i] = heap.malloc(64);
                {
                    tslab::epoch_scope const scope{heap, "short"};
                    if (first)
                        all_there.arrive_and_wait();
                    scope.resource()->deallocate(scope.resource()->allocate(200), 200);
                }
                for (void* const p : mine)
                    heap.free(p);
            });
        for (std::thread& t : threads)
            t.join();
        for (void* const p : left)
            heap.free(p);
        if (done == total / 2) {
            heap.trim();   // what is kept for later depends on how many ran at once
            tslab::global_stats const g = heap.snapshot().global;
            rss_early = g.rss_bytes;
            metadata_early = g.metadata_bytes;
        }
    }
    heap.trim();
    tslab::snapshot const s = heap.snapshot();
    BOOST_TEST(s.threads.size() <= batch + 1);
    BOOST_TEST(s.global.metadata_bytes <= metadata_early + (std::uint64_t{1} << 20));
    if (!sanitized)
        BOOST_TEST(s.global.rss_bytes <= rss_early + (std::uint64_t{8} << 20));
    std::uint64_t of_threads = 0;
    for (tslab::thread_stats const& t : s.threads)
        of_threads += t.alive ? 1 : 0;
    BOOST_TEST(of_threads <= 1U);
    BOOST_TEST(s.global.domain_enters == total);
    BOOST_TEST(seen.count() == 0U);
    expect_quiet(heap, total * objects);
}

BOOST_AUTO_TEST_CASE(a_thousand_threads_at_once)
{
    constexpr std::size_t count = 1000;
    constexpr std::size_t objects = 10;
    recorder const seen;
    tslab::allocator heap{{.name = "crowd", .epoch_count = 2048}};
    std::vector<std::array<void*, objects>> all(count);
    std::atomic<std::size_t> ready{0};
    std::atomic<int> phase{0};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i)
        threads.emplace_back([&, i] {
            tslab::epoch_scope const scope{heap, "crowd"};
            for (std::size_t k = 0; k < objects; ++k)
                all[i][k] = k % 2 == 0 ? scope.resource()->allocate(64) : heap.malloc(64 + i % 700);
            ready.fetch_add(1);
            ready.notify_one();
            phase.wait(0);
            for (std::size_t k = 0; k < objects; ++k)   // the neighbour's
                heap.free(all[(i + 1) % count][k]);
            ready.fetch_add(1);
            ready.notify_one();
            phase.wait(1);
        });
    auto const all_ready = [&](std::size_t n) {
        for (std::size_t is = ready.load(); is != n; is = ready.load())
            ready.wait(is);
    };
    all_ready(count);
    tslab::snapshot const s = heap.snapshot();
    BOOST_TEST(s.global.live_objects == count * objects);
    BOOST_TEST(s.global.allocations == count * objects);
    BOOST_TEST(s.global.active_epochs == count + 1);
    std::size_t alive = 0;
    for (tslab::thread_stats const& t : s.threads)
        alive += t.alive ? 1 : 0;
    BOOST_TEST(alive == count + 1);   // and this one
    phase.store(1);
    phase.notify_all();
    all_ready(2 * count);
    BOOST_TEST(heap.snapshot().global.live_objects == 0U);
    phase.store(2);
    phase.notify_all();
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(heap.snapshot().global.active_epochs == 1U);
    BOOST_TEST(seen.count() == 0U);
    expect_quiet(heap, count * objects);
}

namespace {

tslab::allocator* the_heap = nullptr;
std::atomic<std::uint64_t> made{0};
std::atomic<std::uint64_t> refused{0};

/// Allocates and frees, through the heap and through a scope, which keeps a list of the thread's.
void use_heap()
{
    if (void* const p = the_heap->malloc(300); p != nullptr) {
        made.fetch_add(1);
        the_heap->free(p);
    } else {
        refused.fetch_add(1);
    }
    try {
        tslab::epoch_scope const scope{*the_heap, "late"};
        scope.resource()->deallocate(scope.resource()->allocate(40), 40);
        made.fetch_add(1);
    } catch (std::bad_alloc const&) {
        refused.fetch_add(1);
    }
}

struct late_user {
    void* kept = nullptr;
    late_user() = default;
    late_user(late_user const&) = delete;
    late_user& operator=(late_user const&) = delete;
    ~late_user()
    {
        the_heap->free(kept);
        use_heap();
    }
};

/// Its destructor uses the heap, and asks to be called again so many times.
struct key_user {
    int left;
    void* kept;
    int round = 0;
};
pthread_key_t late_key;

[[maybe_unused]] void key_ends(void* value)
{
    auto* const u = static_cast<key_user*>(value);
    ++u->round;
    use_heap();
    the_heap->free(std::exchange(u->kept, nullptr));
    if (--u->left > 0 && u->round < PTHREAD_DESTRUCTOR_ITERATIONS) {
        pthread_setspecific(late_key, u);
        return;
    }
    delete u;
}

}

BOOST_AUTO_TEST_CASE(thread_local_destructors_use_the_heap)
{
    constexpr std::size_t total = sanitized ? 200 : 2'000;
    recorder const seen;
    tslab::allocator heap{{.name = "late"}};
    the_heap = &heap;
    made = refused = 0;
    for (std::size_t i = 0; i < total; ++i)
        std::thread{[] {
            static thread_local late_user
                before;   // made before the thread's first use of the heap, so it ends after all
            before.kept = the_heap->malloc(100);
            static thread_local late_user after;
            after.kept = the_heap->malloc(70'000);
            made.fetch_add(2);
        }}.join();
    BOOST_TEST(heap.snapshot().threads.size() <= 2U);
    BOOST_TEST(refused.load() == 0U);
    BOOST_TEST(made.load() == total * 6);
    BOOST_TEST(seen.count() == 0U);
    expect_quiet(heap, made.load());
}

// The C library calls the destructors of keys in rounds, four at most. Tslab's own runs in each in which it has something to
// do. A use after its last one is served too; what the thread has then is given back by threads that come later.
#if !__has_feature(thread_sanitizer)   // it takes leave of a thread before the rounds are over
BOOST_AUTO_TEST_CASE(key_destructors_use_the_heap_in_every_round)
{
    constexpr std::size_t total = sanitized ? 100 : 500;
    recorder const seen;
    auto heap = std::make_unique<tslab::allocator>(tslab::allocator::options{.name = "keys"});
    the_heap = heap.get();
    heap->free(heap->malloc(1));   // tslab's key is there before ours, so ours comes after it in every round
    BOOST_REQUIRE(pthread_key_create(&late_key, key_ends) == 0);
    for (int const rounds : {1, 2, 3, 4, 9}) {
        made = refused = 0;
        std::uint64_t const before = heap->snapshot().global.allocations;
        std::vector<std::thread> threads;   // at once: more stacks than the C library keeps for later
        std::atomic<std::size_t> ready{0};
        std::atomic<bool> go{false};
        for (std::size_t i = 0; i < total / 10; ++i)
            threads.emplace_back([&, rounds] {
                pthread_setspecific(late_key, new key_user{rounds, the_heap->malloc(128)});
                made.fetch_add(1);
                ready.fetch_add(1);
                go.wait(false);
            });
        while (ready.load() != total / 10)
            std::this_thread::yield();
        go.store(true);
        go.notify_all();
        for (std::thread& t : threads)
            t.join();
        auto const alive = [](tslab::snapshot const& s) {
            return std::count_if(s.threads.begin(), s.threads.end(), [](auto const& t) { return t.alive; });
        };
        tslab::snapshot s = heap->snapshot();
        BOOST_TEST_CONTEXT("rounds " << rounds)
        {
            BOOST_TEST(s.global.live_objects == 0U);
            BOOST_TEST(s.global.allocations - before == made.load());
            BOOST_TEST(refused.load() == 0U);
            if (rounds >= PTHREAD_DESTRUCTOR_ITERATIONS) {
                BOOST_TEST(alive(s) > 1);
                constexpr std::size_t most_threads_so_far = 1100;                // of the whole program at once
                for (std::size_t i = 0; i < most_threads_so_far / 16 + 1; ++i)   // each looks after 16
                    std::thread{[&] { heap->free(heap->malloc(1)); }}.join();
                s = heap->snapshot();
            }
            BOOST_TEST(alive(s) == 1);   // every record came back
            BOOST_TEST(s.threads.size() <= total / 10 + 2);
        }
        heap->trim();
        BOOST_TEST(heap->snapshot().global.slabs_in_use == 0U);
    }
    pthread_key_delete(late_key);
    BOOST_TEST(seen.count() == 0U);
    heap.reset();   // touches nothing of the threads that are gone
}
#endif
