// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// page_set against a std::set, by random but seeded sequences, and at the borders of its words and summary words.
#define BOOST_TEST_MODULE page_set
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "recorder.hpp"

namespace {

struct fixture {
    explicit fixture(std::uint32_t pages) : pages{pages}, memory((tslab::page_set::bytes_for(pages) + 7) / 8)
    {
        set.attach(memory.data(), pages);
    }
    void insert(std::uint32_t first, std::uint32_t n)
    {
        set.insert(first, n);
        for (std::uint32_t i = 0; i < n; ++i)
            model.insert(first + i);
    }
    void erase(std::uint32_t first, std::uint32_t n)
    {
        set.erase(first, n);
        for (std::uint32_t i = 0; i < n; ++i)
            model.erase(first + i);
    }
    [[nodiscard]] tslab::page_run expected(std::uint32_t from, std::uint32_t longest) const
    {
        auto at = model.lower_bound(from);
        if (at == model.end())
            return {};
        tslab::page_run run{*at, 0};
        for (std::uint32_t next = *at; at != model.end() && *at == next && run.count < longest; ++at, ++next)
            ++run.count;
        return run;
    }
    [[nodiscard]] bool agrees(std::uint32_t from, std::uint32_t longest) const
    {
        auto const got = set.next_run(from, longest);
        auto const want = expected(from, longest);
        return got.count == want.count && (want.count == 0 || got.first == want.first);
    }

    std::uint32_t pages;
    std::vector<std::uint64_t> memory;
    tslab::page_set set;
    std::set<std::uint32_t> model;
};

}

BOOST_AUTO_TEST_CASE(a_new_set_is_empty)
{
    fixture f{1000};
    BOOST_TEST(f.set.empty());
    BOOST_TEST(f.set.next_run(0, 1).count == 0u);
    BOOST_TEST(f.set.next_run(999, 1).count == 0u);
    BOOST_TEST(f.set.next_run(5000, 1).count == 0u);
}

BOOST_AUTO_TEST_CASE(runs_reach_over_words_and_summary_words)
{
    fixture f{3 * 4096};
    for (std::uint32_t first : {0u, 1u, 63u, 64u, 65u, 4000u, 4095u, 4096u})
        for (std::uint32_t n : {1u, 2u, 63u, 64u, 65u, 128u, 4096u, 5000u}) {
            f.insert(first, n);
            BOOST_TEST(f.set.size() == n);
            for (std::uint32_t longest : {1u, 64u, 65u, 3 * 4096u})
                BOOST_TEST(f.agrees(0, longest));
            BOOST_TEST(f.agrees(first + n / 2, 10'000));
            BOOST_TEST(f.agrees(first + n, 10'000));
            f.erase(first, n);
            BOOST_TEST(f.set.empty());
            BOOST_TEST(f.set.next_run(0, 1).count == 0u);
        }
}

BOOST_AUTO_TEST_CASE(the_last_page_of_a_set_is_found_whatever_its_size)
{
    for (std::uint32_t pages : {1u, 63u, 64u, 65u, 127u, 4096u, 4097u, 8191u, 262'144u}) {
        fixture f{pages};
        f.insert(pages - 1, 1);
        BOOST_TEST(f.agrees(0, 64));
        BOOST_TEST(f.agrees(pages - 1, 64));
        BOOST_TEST(f.set.contains(pages - 1));
        BOOST_TEST(f.set.next_run(pages, 64).count == 0u);
    }
}

BOOST_AUTO_TEST_CASE(random_sequences_agree_with_a_std_set)
{
    std::mt19937 random{20'240'601};
    for (std::uint32_t pages : {70u, 1000u, 10'000u}) {
        fixture f{pages};
        for (std::size_t step = 0; step < support::scaled(20'000); ++step) {
            std::uint32_t const first = random() % pages;
            std::uint32_t const n =
                std::min<std::uint32_t>(1 + random() % (random() % 8 == 0 ? 200 : 5), pages - first);
            // insert and erase only what is not, or is, there: the set's precondition
            auto const lowest = f.model.lower_bound(first);
            bool const none = lowest == f.model.end() || *lowest >= first + n;
            if (none)
                f.insert(first, n);
            else if (auto const run = f.expected(first, n); run.count != 0)
                f.erase(run.first, run.count);
            if (random() % 4 == 0) {   // members or not
                std::uint32_t const begin = random() % pages;
                std::uint32_t const count = std::min<std::uint32_t>(1 + random() % 150, pages - begin);
                f.set.clear(begin, count);
                f.model.erase(f.model.lower_bound(begin), f.model.lower_bound(begin + count));
            }
            std::uint32_t const from = random() % pages;
            std::uint32_t const longest = 1 + random() % 300;
            if (!f.agrees(from, longest) || f.set.size() != f.model.size() ||
                f.set.contains(from) != f.model.contains(from) ||
                f.set.seems_to_contain(from) != f.set.contains(from)) {
                BOOST_ERROR("pages " << pages << " step " << step << " from " << from << " longest " << longest);
                return;
            }
        }
    }
}
