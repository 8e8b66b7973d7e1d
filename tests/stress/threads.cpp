// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Threads that come and go: thousands of short ones that leave objects and claims behind, also from destructors that
// run at a thread's end. Their records are used again, their claims come back, their counts stay.
#define BOOST_TEST_MODULE stress_threads
#include "stress_roles.hpp"
#include <boost/test/unit_test.hpp>
import tslab.internal;

namespace {

using stress::bench;
using stress::random_source;
using roles = std::vector<std::function<void(random_source&)>>;

void finish(bench& b)
{
    b.free_all_late();
    stress::close_everything(b.heap);
    BOOST_TEST(stress::wrong_with(b.heap, &b.done) == "");
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
    b.heap.trim();
    BOOST_TEST(b.heap.snapshot().global.slabs_cached == 0U);   // threads that have ended keep no slabs
}

bench* for_the_dying = nullptr;

/// Allocates and frees when its thread ends, after and before other things of that thread have gone.
struct last_words {
    stress::object kept;
    random_source r{1};
    ~last_words()
    {
        if (kept.p != nullptr)
            for_the_dying->free(kept);
        stress::object o;
        if (for_the_dying->allocate(o, stress::mixed_size(r), r) && !for_the_dying->late.give(o))
            for_the_dying->free(o);
    }
};

}

BOOST_AUTO_TEST_CASE(short_threads_leave_objects_behind)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "churn", .epoch_count = 16}};
    bench b{heap};
    roles all;
    for (unsigned i = 0; i < stress::given().threads; ++i)
        all.emplace_back([&b](random_source& r) { stress::churn(b, r); });
    all.emplace_back([&b](random_source& r) { stress::closer(b, r); });
    b.run(all);
    tslab::snapshot const s = heap.snapshot();
    BOOST_TEST(b.done.threads.load() > 100U);
    BOOST_TEST(s.threads.size() < 4U * stress::given().threads + 8U);   // records are used again
    finish(b);
}

BOOST_AUTO_TEST_CASE(destructors_at_a_threads_end_allocate_and_free)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "last words"}};
    bench b{heap};
    for_the_dying = &b;
    roles all;
    for (unsigned i = 0; i < stress::given().threads; ++i)
        all.emplace_back([&b](random_source& r) {
            while (b.going()) {
                std::uint64_t const seed = r();
                std::thread{[&b, seed] {
                    static thread_local last_words words;
                    words.r.seed(seed);
                    if (!b.allocate(words.kept, stress::mixed_size(words.r), words.r))
                        words.kept = {};
                }}.join();
                b.done.threads.fetch_add(1, std::memory_order_relaxed);
            }
        });
    b.run(all);
    BOOST_TEST(b.done.threads.load() > 100U);
    finish(b);
    for (tslab::thread_stats const& t : heap.snapshot().threads)
        BOOST_TEST((!t.alive || t.thread_id <= 1 + tslab::this_thread.id()));
}

// Threads outlive heaps: each works in many heaps, one after the other and several at once.
BOOST_AUTO_TEST_CASE(heaps_come_and_go_under_threads_that_stay)
{
    stress::report_watch const watch;
    std::atomic<std::uint64_t> heaps{0};
    std::atomic<bool> stop{false};
    std::mutex lock;
    std::string wrong;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < std::min(4U, stress::given().threads); ++i)
        threads.emplace_back([&, i] {
            random_source r = stress::source_for(i);
            while (!stop.load(std::memory_order_relaxed)) {
                tslab::allocator first{{.name = "first", .epoch_count = 4, .reserve_bytes = std::size_t{64} << 20}};
                tslab::allocator second{{.name = "second", .epoch_count = 4, .reserve_bytes = std::size_t{64} << 20}};
                bench a{first};
                bench b{second};
                stress::object o;
                for (int k = 0; k < 300; ++k) {
                    bench& one = stress::below(r, 2) == 0 ? a : b;
                    if (one.allocate(o, stress::mixed_size(r), r) && !one.late.give(o))
                        one.free(o);
                }
                std::thread{[&] { a.free_all_late(); }}.join();
                b.free_all_late();
                heaps.fetch_add(2, std::memory_order_relaxed);
                for (bench* one : {&a, &b}) {
                    stress::close_everything(one->heap);
                    if (std::string const w = stress::wrong_with(one->heap, &one->done); !w.empty()) {
                        std::lock_guard const guard{lock};
                        wrong = w;
                    }
                }
            }
        });
    std::this_thread::sleep_for(std::chrono::duration<double>(stress::given().seconds));
    stop.store(true);
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(wrong == "");
    BOOST_TEST(heaps.load() > 4U);
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}
