// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// arena: zeroed memory at the alignment asked for, that does not overlap, from any number of threads.
#define BOOST_TEST_MODULE arena
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

BOOST_AUTO_TEST_CASE(memory_is_zeroed_aligned_and_disjoint)
{
    tslab::arena a;
    std::vector<std::pair<unsigned char*, std::size_t>> all;
    for (std::size_t i = 0; i < 2000; ++i) {
        std::size_t const alignment = std::size_t{1} << (i % 9);
        std::size_t const n = 1 + i * 7 % 900;
        auto* const p = static_cast<unsigned char*>(a.allocate(n, alignment));
        BOOST_REQUIRE(p != nullptr);
        BOOST_REQUIRE(reinterpret_cast<std::uintptr_t>(p) % alignment == 0u);
        BOOST_REQUIRE(std::all_of(p, p + n, [](unsigned char c) { return c == 0; }));
        std::memset(p, 0xff, n);
        all.emplace_back(p, n);
    }
    std::sort(all.begin(), all.end());
    for (std::size_t i = 1; i < all.size(); ++i)
        BOOST_REQUIRE(all[i - 1].first + all[i - 1].second <= all[i].first);
}

BOOST_AUTO_TEST_CASE(makes_objects_and_arrays)
{
    struct alignas(64) thing {
        int value;
        explicit thing(int more) : value{42 + more} {}
    };
    tslab::arena a;
    thing const* const t = a.make<thing>(8);
    BOOST_REQUIRE(t != nullptr);
    BOOST_TEST(t->value == 50);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(t) % 64 == 0u);
    int const* const numbers = a.make_array<int>(1000);
    BOOST_TEST(std::count(numbers, numbers + 1000, 0) == 1000);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_had_is_null_and_what_can_still_works)
{
    tslab::arena a;
    BOOST_TEST(a.allocate(SIZE_MAX, 8) == nullptr);
    BOOST_TEST(a.allocate(SIZE_MAX / 4 + 1, 8) == nullptr);
    BOOST_TEST(a.allocate(SIZE_MAX / 8, 64) == nullptr);
    BOOST_TEST(a.committed_bytes() == 0u);
    BOOST_TEST(a.pieces() == nullptr);
    BOOST_TEST(a.allocate(std::size_t{4} << 20, 8) != nullptr);
    BOOST_TEST(a.allocate(1, 1) != nullptr);
}

BOOST_AUTO_TEST_CASE(pieces_grow_from_16_kib_to_256_and_all_are_given_back)
{
    support::os_hook hook;
    {
        tslab::arena a;
        BOOST_TEST(hook.reserves == 0u);
        (void)a.allocate(100, 8);
        BOOST_TEST(hook.reserve_bytes == tslab::arena::first_piece);
        BOOST_TEST(hook.commit_bytes == tslab::arena::first_piece);
        (void)a.allocate(100, 8);
        BOOST_TEST(hook.reserves == 1u);
        for (int i = 0; i < 1000; ++i)
            BOOST_REQUIRE(a.allocate(4000, 8) != nullptr);
        BOOST_TEST(a.committed_bytes() == hook.reserve_bytes);
        std::uint64_t bytes = 0;
        std::size_t last = tslab::arena::largest_piece;
        for (auto const* p = a.pieces(); p != nullptr; p = reinterpret_cast<tslab::arena_piece const*>(p->next)) {
            BOOST_TEST(p->bytes <= last);
            last = p->bytes;
            bytes += p->bytes;
        }
        BOOST_TEST(last == tslab::arena::first_piece);
        BOOST_TEST(bytes == hook.reserve_bytes);
        BOOST_TEST(a.allocate(std::size_t{1} << 20, 8) != nullptr);   // one of its own
    }
    BOOST_TEST(hook.release_bytes == hook.reserve_bytes);
}

BOOST_AUTO_TEST_CASE(a_refusal_can_pass_and_less_is_asked_for_first)
{
    support::os_hook hook;
    {
        tslab::arena a;
        (void)a.allocate(100'000, 8);
        hook.fail_commit = true;
        BOOST_TEST(a.allocate(200'000, 8) == nullptr);
        BOOST_TEST(a.allocate(100, 8) != nullptr);   // what is committed is still there
        hook.fail_commit = false;
        hook.fail_reserve_above = 8 * tslab::page_bytes;
        BOOST_TEST(a.allocate(20'000, 8) != nullptr);   // as much as is needed, where more is refused
        hook.fail_reserve_above = 0;
        BOOST_TEST(a.allocate(200'000, 8) == nullptr);
    }
    BOOST_TEST(hook.release_bytes == hook.reserve_bytes);
}

BOOST_AUTO_TEST_CASE(threads_get_disjoint_memory)
{
    tslab::arena a;
    std::vector<std::vector<std::uint64_t*>> got(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < got.size(); ++t)
        threads.emplace_back([&, t] {
            for (std::size_t i = 0; i < 2000; ++i) {
                auto* const p = a.make_array<std::uint64_t>(4);
                std::fill_n(p, 4, t * 10'000 + i);
                got[t].push_back(p);
            }
        });
    for (auto& t : threads)
        t.join();
    for (std::size_t t = 0; t < got.size(); ++t)
        for (std::size_t i = 0; i < got[t].size(); ++i)
            BOOST_REQUIRE(std::count(got[t][i], got[t][i] + 4, t * 10'000 + i) == 4);
}
