// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread that uses many heaps finds its record of each without a lock and without a walk: after heaps have ended and
// new ones begun, with and without memory for the table, in a forked child, and when the thread got the list of an
// ended one.
#define BOOST_TEST_MODULE many_heaps
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

namespace {

using heaps = std::vector<std::unique_ptr<tslab::allocator>>;

std::unique_ptr<tslab::allocator> tenant()
{
    return std::make_unique<tslab::allocator>(tslab::allocator_options{
        .name = "tenant", .epoch_count = 4, .reserve_bytes = std::size_t{16} << 20, .publish = false});
}

void use(tslab::allocator& heap)
{
    void* const p = heap.malloc(64);
    BOOST_REQUIRE(p != nullptr);
    heap.free(p);
}

/// Whether the calling thread has a record in each heap, and finds the one it used.
bool all_known(heaps const& all)
{
    return std::all_of(all.begin(), all.end(), [](auto const& heap) {
        tslab::thread_record const* const r = heap->state().known_record();
        return r != nullptr && &r->heap == &heap->state() && r->list == tslab::this_thread.more->list;
    });
}

bool none_known(heaps const& all)
{
    return std::none_of(all.begin(), all.end(),
                        [](auto const& heap) { return heap->state().known_record() != nullptr; });
}

double ns_each(heaps const& all, std::size_t n)
{
    double best = 1e9;
    for (int round = 0; round < 5; ++round) {
        std::size_t const passes = std::max<std::size_t>(1, 5'000 / n);
        auto const begin = std::chrono::steady_clock::now();
        for (std::size_t pass = 0; pass < passes; ++pass)
            for (std::size_t i = 0; i < n; ++i)
                all[i]->free(all[i]->malloc(64));
        std::chrono::duration<double, std::nano> const took = std::chrono::steady_clock::now() - begin;
        best = std::min(best, took.count() / static_cast<double>(passes * n));
    }
    return best;
}

}

BOOST_AUTO_TEST_CASE(each_of_many_is_found)
{
    heaps all;
    for (std::size_t i = 0; i < support::scaled(1000); ++i) {
        all.push_back(tenant());
        use(*all.back());
    }
    BOOST_TEST(all_known(all));
    double const four = ns_each(all, 4);
    double const many = ns_each(all, all.size());
    BOOST_TEST_MESSAGE(four << " ns with four heaps, " << many << " ns with " << all.size());
    BOOST_TEST(many < 50 * four);   // a walk or a lock would take thousands of times as long
    // Every second heap ends; the others are still found, and so are new ones, none of which has an old number.
    for (std::size_t i = 0; i < all.size(); i += 2)
        all[i].reset();
    std::erase(all, nullptr);
    BOOST_TEST(all_known(all));
    std::size_t const left = all.size();
    for (std::size_t i = 0; i < left; ++i) {
        all.push_back(tenant());
        use(*all.back());
    }
    BOOST_TEST(all_known(all));
    std::thread{[&] {
        BOOST_TEST(none_known(all));
        for (auto const& heap : all)
            use(*heap);
        BOOST_TEST(all_known(all));
    }}.join();
    for (auto const& heap : all) {
        auto const s = heap->snapshot({.residency = false});
        BOOST_REQUIRE(s.threads.size() == 2U);
        BOOST_REQUIRE(s.global.live_objects == 0U);
    }
}

BOOST_AUTO_TEST_CASE(the_table_does_not_grow_with_heaps_that_ended)
{
    support::os_hook const system;
    std::thread{[] {
        auto const one = tenant();
        use(*one);
        auto const make_and_end = [&](std::size_t n) {
            heaps living;
            for (std::size_t i = 0; i < n; ++i) {
                living.push_back(tenant());
                use(*living.back());
                if (living.size() == 8)
                    living.erase(living.begin());
            }
            BOOST_TEST(all_known(living));
            BOOST_TEST(one->state().known_record() != nullptr);
        };
        auto const mapped = [] {
            using system = support::os_hook;
            return system::reserve_bytes + system::map_bytes - system::release_bytes;
        };
        make_and_end(100);   // the window's tables have room for eight heaps
        std::uint64_t const before = mapped();
        make_and_end(support::scaled(5000));
        BOOST_TEST(mapped() <= before + tslab::page_bytes);
    }}.join();
}

BOOST_AUTO_TEST_CASE(without_memory_for_the_table_the_list_is_searched)
{
    support::os_hook const system;
    std::thread{[] {
        heaps all;
        std::thread{[&] {   // the thread's records stay: later threads need no memory
            for (int i = 0; i < 40; ++i)
                all.push_back(tenant());
        }}
            .join();
        for (bool const address_space : {true, false}) {
            (address_space ? support::os_hook::fail_reserve_above : support::os_hook::commits_left) = 0;
            for (int round = 0; round < 3; ++round)
                for (auto const& heap : all) {
                    tslab::thread_record* const r = heap->state().record();
                    BOOST_REQUIRE(r != nullptr);
                    BOOST_REQUIRE(r == heap->state().record());
                    BOOST_REQUIRE(&r->heap == &heap->state());
                }
            support::os_hook::fail_reserve_above = ~std::size_t{0};
            support::os_hook::commits_left = ~std::uint64_t{0};
        }
        BOOST_TEST(!all_known(all));
        all.push_back(tenant());
        use(*all.back());   // with memory again, all records enter the table
        BOOST_TEST(all_known(all));
        for (auto const& heap : all)
            use(*heap);
        for (auto const& heap : all)
            BOOST_REQUIRE(heap->snapshot({.residency = false}).threads.size() == 1U);
    }}.join();
}

BOOST_AUTO_TEST_CASE(a_forked_child_knows_them_too)
{
    heaps all;
    for (int i = 0; i < 100; ++i) {
        all.push_back(tenant());
        use(*all.back());
    }
    pid_t const child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        ::alarm(60);
        bool good = all_known(all);
        all.resize(50);
        for (int i = 0; i < 100; ++i) {
            all.push_back(tenant());
            all.back()->free(all.back()->malloc(64));
        }
        good = good && all_known(all);
        std::thread{[&] {
            for (auto const& heap : all)
                heap->free(heap->malloc(64));
            good = good && all_known(all);
        }}.join();
        ::_exit(good ? 0 : 1);
    }
    int status = 0;
    BOOST_TEST(::waitpid(child, &status, 0) == child);
    BOOST_TEST(status == 0);
    BOOST_TEST(all_known(all));
}

// Threads start and end, each with the list of an ended one, while heaps end whose records are in the lists.
BOOST_AUTO_TEST_CASE(threads_and_heaps_come_and_go)
{
    heaps lasting;
    for (int i = 0; i < 20; ++i)
        lasting.push_back(tenant());
    std::vector<std::thread> all;
    for (int t = 0; t < 4; ++t)
        all.emplace_back([&lasting] {
            for (std::size_t round = 0; round < support::scaled(50); ++round)
                std::thread{[&lasting] {
                    heaps own;
                    for (int i = 0; i < 20; ++i) {
                        own.push_back(tenant());
                        own.back()->free(own.back()->malloc(64));
                        lasting[static_cast<std::size_t>(i)]->free(lasting[static_cast<std::size_t>(i)]->malloc(64));
                        if (i % 3 == 0)
                            own.erase(own.begin());
                    }
                    if (!all_known(own) || !all_known(lasting))
                        std::abort();
                }}.join();
        });
    for (std::thread& t : all)
        t.join();
    for (auto const& heap : lasting)
        BOOST_TEST(heap->snapshot({.residency = false}).global.live_objects == 0U);
}
