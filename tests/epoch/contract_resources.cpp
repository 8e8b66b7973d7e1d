// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The contract of docs/semantics.md, rules 11 to 14: epoch_resource as a memory resource, its hold on its epoch, release, and
// Boost's containers. At least one case for each rule fails if the rule is broken.
#define BOOST_TEST_MODULE contract_resources
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <memory_resource>
#include <new>
#include <set>

#include "recorder.hpp"

#include <boost/container/pmr/vector.hpp>
import tslab.boost;

using support::on_other_thread;
using support::stats_of;

BOOST_AUTO_TEST_CASE(rule_11_every_size_and_alignment_is_served_or_refused_with_bad_alloc)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap};
    std::pmr::memory_resource& m = r;
    for (std::size_t alignment = 1; alignment <= 65'536; alignment *= 2) {
        std::set<void*> distinct;
        std::vector<std::pair<void*, std::size_t>> all;
        for (std::size_t n : {0u, 1u, 63u, 64u, 65u, 96u, 97u, 383u, 768u, 769u, 4095u, 4096u, 4097u, 16u, 17u, 65'536u,
                              65'537u, 70'000u}) {
            void* const p = m.allocate(n, alignment);
            BOOST_TEST(reinterpret_cast<std::uintptr_t>(p) % alignment == 0u);
            BOOST_TEST(distinct.insert(p).second);
            std::memset(p, 0x5a, n);
            all.emplace_back(p, n);
        }
        for (auto [p, n] : all)
            m.deallocate(p, n, alignment);
        for (std::size_t n :
             {std::size_t{PTRDIFF_MAX}, std::size_t{PTRDIFF_MAX} + 1, SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX / 4})
            BOOST_CHECK_THROW((void)m.allocate(n, alignment), std::bad_alloc);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    tslab::epoch_resource other{heap};
    BOOST_TEST(m.is_equal(r));
    BOOST_TEST(!m.is_equal(other));
    BOOST_TEST(!m.is_equal(*std::pmr::new_delete_resource()));
}

BOOST_AUTO_TEST_CASE(rule_11_large_sizes_are_accounted_to_the_epoch_and_given_back_with_it)
{
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
    std::vector<void*> all;
    tslab::epoch_id e{};
    {
        tslab::epoch_resource r{heap, {.label = "large"}};
        e = r.epoch();
        for (std::size_t n : {65'537u, 100'000u, 1'000'000u})
            all.push_back(std::memset(r.allocate(n), 1, n));
        auto const s = heap.snapshot();
        BOOST_TEST(stats_of(s, e).large_pages == 17u + 25 + 245);
        BOOST_TEST(stats_of(s, e).live_bytes == 65'537u + 100'000 + 1'000'000);
        BOOST_TEST(stats_of(s, e).live_objects == 3u);
        BOOST_TEST(s.global.large_pages == 287u);
        BOOST_TEST(r.release() == 3u);
        BOOST_TEST(heap.snapshot().global.large_pages == 0u);
    }
    heap.trim();
    for (void* p : all)
        BOOST_TEST(tslab::resident_bytes(p, 1) == 0u);
}

BOOST_AUTO_TEST_CASE(rule_12_construction_of_a_resource_enters_its_domain_and_destruction_exits)
{
    tslab::allocator heap;
    tslab::epoch_id e{};
    {
        tslab::epoch_resource r{heap, {.label = "bound"}};
        e = r.epoch();
        BOOST_TEST((r.domain().epoch() == e));
        BOOST_TEST(r.domain().entered());
        BOOST_TEST(stats_of(heap, e).refcount == 1u);
        BOOST_TEST(stats_of(heap, e).enters == 1u);
        {
            tslab::epoch_scope again{r};
            BOOST_TEST(tslab::epoch_domain::current() == &r.domain());
            BOOST_TEST(stats_of(heap, e).refcount == 1u);
            BOOST_TEST(stats_of(heap, e).enters == 2u);
        }
        BOOST_TEST(heap.is_active(e));
    }
    auto const s = stats_of(heap, e);
    BOOST_TEST(s.refcount == 0u);
    BOOST_TEST(s.exits == 2u);
    BOOST_TEST(!heap.is_active(e));
}

BOOST_AUTO_TEST_CASE(rule_13_release_gives_everything_back_at_once_and_the_resource_goes_on)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap, {.label = "arena"}};
    for (int round = 0; round < 5; ++round) {
        for (std::size_t i = 0; i < 1000; ++i)
            std::memset(r.allocate(1 + i * i % 70'000), 1, 1 + i * i % 70'000);
        r.deallocate(r.allocate(8), 8);
        on_other_thread([&] { (void)r.allocate(300); });
        BOOST_TEST(r.release() == 1001u);
        auto const s = heap.snapshot();
        BOOST_TEST(s.global.live_objects == 0u);
        BOOST_TEST(s.global.slabs_in_use == 0u);
        BOOST_TEST(s.global.large_pages == 0u);
        BOOST_TEST(s.global.released_objects == 1001u * (static_cast<unsigned>(round) + 1));
        BOOST_TEST(r.release() == 0u);
    }
}

BOOST_AUTO_TEST_CASE(rule_13_a_count_only_resource_counts_frees_and_gives_back_at_release)
{
    tslab::allocator heap;
    {
        tslab::epoch_resource r{heap, {.deallocate = tslab::deallocate_policy::count_only}};
        std::set<void*> seen;
        for (int i = 0; i < 1000; ++i) {
            void* const p = r.allocate(64);
            BOOST_TEST(seen.insert(p).second);   // nothing is reused before the release
            r.deallocate(p, 64);
        }
        on_other_thread([&] { r.deallocate(r.allocate(64), 64); });
        BOOST_TEST(heap.snapshot().global.counted_frees == 1001u);
        BOOST_TEST(heap.snapshot().global.live_objects == 1001u);
        BOOST_TEST(r.release() == 1001u);
        (void)r.allocate(64);
    }
    auto const s = heap.snapshot();   // its end releases too, and that is no leak
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.leaked_objects == 0u);
    BOOST_TEST(s.global.released_objects == 1002u);
    BOOST_TEST(s.global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(rule_14_boost_containers_use_the_same_resource)
{
    tslab::allocator heap;
    tslab::epoch_scope scope{heap, "boost"};
    tslab::boost_resource adapter{scope.resource()};
    {
        boost::container::pmr::vector<int> numbers{&adapter};
        for (int i = 0; i < 1000; ++i)
            numbers.push_back(i);
        BOOST_TEST(stats_of(heap, scope.epoch()).live_bytes >= 4000u);
        for (int i = 0; i < 1000; ++i)
            BOOST_TEST(numbers[static_cast<std::size_t>(i)] == i);
    }
    BOOST_TEST(stats_of(heap, scope.epoch()).live_objects == 0u);
    BOOST_TEST(stats_of(heap, scope.epoch()).allocations > 0u);
}
