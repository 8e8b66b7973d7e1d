// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// slot_set: the free slots of a ring. Any number of threads claim them, wrapping around; one thread claims each slot.
#define BOOST_TEST_MODULE slot_set
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "recorder.hpp"

using tslab::slot_set;

namespace {

struct fixture {
    explicit fixture(std::uint32_t n) : words(slot_set::words_for(n)) { set.attach(words.data(), n); }
    std::vector<slot_set::word> words;
    slot_set set;
};

}

BOOST_AUTO_TEST_CASE(every_slot_is_free_at_first_and_none_beyond_the_size)
{
    for (std::uint32_t n : {2u, 3u, 63u, 64u, 65u, 256u, 65'536u}) {
        fixture f{n};
        BOOST_TEST(f.set.size() == n);
        for (std::uint32_t i = 0; i < n; ++i)
            BOOST_REQUIRE(f.set.claim(0) == i);
        BOOST_TEST(f.set.size() == 0u);
        BOOST_TEST(f.set.claim(0) == slot_set::none);
        BOOST_TEST(f.set.claim(n - 1) == slot_set::none);
    }
}

BOOST_AUTO_TEST_CASE(claims_go_round_from_where_they_start)
{
    for (std::uint32_t n : {2u, 63u, 64u, 65u, 130u, 257u, 300u})
        for (std::uint32_t from = 0; from < n; ++from) {
            fixture f{n};
            for (std::uint32_t i = 0; i < n; ++i)
                BOOST_REQUIRE(f.set.claim(from) == (from + i) % n);
            BOOST_REQUIRE(f.set.claim(from) == slot_set::none);
            f.set.release(from);
            BOOST_REQUIRE(f.set.claim((from + 1) % n) == from);
        }
}

BOOST_AUTO_TEST_CASE(random_claims_and_releases_agree_with_a_std_set)
{
    std::mt19937 random{5};
    for (std::uint32_t n : {70u, 300u, 700u}) {
        fixture f{n};
        std::set<std::uint32_t> free;
        for (std::uint32_t i = 0; i < n; ++i)
            free.insert(i);
        for (std::size_t step = 0; step < support::scaled(50'000); ++step) {
            if (random() % 2 == 0) {
                std::uint32_t const from = random() % n;
                std::uint32_t const got = f.set.claim(from);
                auto at = free.lower_bound(from);
                if (at == free.end())
                    at = free.begin();
                BOOST_REQUIRE(got == (free.empty() ? slot_set::none : *at));
                free.erase(got);
            } else if (std::uint32_t const slot = random() % n; free.insert(slot).second) {
                f.set.release(slot);
            }
            BOOST_REQUIRE(f.set.size() == free.size());
        }
    }
}

BOOST_AUTO_TEST_CASE(threads_never_get_the_same_slot)
{
    constexpr std::uint32_t n = 100;
    fixture f{n};
    std::vector<std::atomic<int>> holders(n);
    std::atomic<std::uint64_t> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random{t};
            std::vector<std::uint32_t> mine;
            for (std::size_t i = 0; i < support::scaled(50'000); ++i) {
                if (mine.size() < 20 && random() % 2 == 0) {
                    std::uint32_t const slot = f.set.claim(random() % n);
                    if (slot == slot_set::none)
                        continue;   // other threads claimed and released slots meanwhile
                    wrong += slot >= n || holders[slot].fetch_add(1) != 0;
                    mine.push_back(slot);
                } else if (!mine.empty()) {
                    holders[mine.back()].fetch_sub(1);
                    f.set.release(mine.back());
                    mine.pop_back();
                }
            }
            for (std::uint32_t slot : mine) {
                holders[slot].fetch_sub(1);
                f.set.release(slot);
            }
        });
    for (auto& t : threads)
        t.join();
    BOOST_TEST(wrong == 0u);
    BOOST_TEST(f.set.size() == n);
}
