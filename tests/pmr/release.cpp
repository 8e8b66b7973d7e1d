// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What release and the end of an epoch_resource give back, with each of its options, and what they do not.
#define BOOST_TEST_MODULE release
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory_resource>
#include <optional>
#include <vector>

#include "recorder.hpp"

using support::on_other_thread;
using support::recorder;
using support::stats_of;
using tslab::deallocate_policy;
using tslab::epoch_resource;
using tslab::misuse;

BOOST_AUTO_TEST_CASE(release_gives_back_slabs_large_ones_and_what_other_threads_took)
{
    tslab::allocator heap;
    epoch_resource r{heap};
    for (int round = 0; round < 3; ++round) {
        for (std::size_t n = 0; n < 1500; ++n)
            std::memset(r.allocate(n), 1, n);
        support::worker other;
        other([&] {
            for (int i = 0; i < 100; ++i)
                (void)r.allocate(200);
        });
        BOOST_TEST(r.release() == 1600u);   // the other thread is idle and alive
        BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
        BOOST_TEST(heap.snapshot().global.large_pages == 0u);
        other([&] { r.deallocate(r.allocate(200), 200); });
    }
    BOOST_TEST(heap.snapshot().global.released_objects == 4800u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(a_free_after_release_is_reported_and_harmless)
{
    recorder seen;
    tslab::allocator heap;
    epoch_resource r{heap};
    void* const p = r.allocate(64);
    void* const tiny = r.allocate(9);
    void* const many_pages = r.allocate(10'000);
    void* const large = r.allocate(100'000);
    r.release();
    r.deallocate(p, 64);
    r.deallocate(tiny, 9);
    r.deallocate(many_pages, 10'000);
    r.deallocate(large, 100'000);
    BOOST_TEST(seen.count(misuse::double_free) == 4u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    for (std::size_t const n : {64u, 9u, 10'000u, 100'000u})
        r.deallocate(r.allocate(n), n);
    BOOST_TEST(seen.count() == 4u);
}

BOOST_AUTO_TEST_CASE(null_is_no_deallocation_on_any_thread_and_of_any_size)
{
    recorder const seen;
    for (auto const policy : {deallocate_policy::carry_out, deallocate_policy::count_only})
        for (bool const share : {false, true}) {
            tslab::allocator heap;
            epoch_resource r{heap, {.share_epoch = share, .deallocate = policy}};
            std::pmr::memory_resource& plain = r;
            void* const volatile null = nullptr;   // the standard's interface is declared not to take it
            auto const give_null = [&]() __attribute__((no_sanitize("nonnull-attribute"))) {
                for (std::size_t const bytes : {0u, 1u, 100u, 65'536u, 1'000'000u})
                    for (std::size_t const alignment : {8u, 64u, 8192u})
                        plain.deallocate(null, bytes, alignment);
            };
            give_null();
            on_other_thread(give_null);
            void* const p = r.allocate(100);
            give_null();
            r.deallocate(p, 100);
            bool const counted = policy == deallocate_policy::count_only;
            BOOST_TEST(heap.snapshot().global.counted_frees == (counted ? 1u : 0u));
        }
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(count_only_never_frees_and_never_reports)
{
    recorder const seen;
    tslab::allocator heap;
    {
        epoch_resource r{heap, {.deallocate = deallocate_policy::count_only}};
        void* const p = r.allocate(64);
        for (int i = 0; i < 10; ++i)
            r.deallocate(p, 64);
        void* const large = r.allocate(50'000);
        r.deallocate(large, 50'000);
        std::memset(large, 1, 50'000);   // it is still there
        BOOST_TEST(heap.snapshot().global.counted_frees == 11u);
        BOOST_TEST(heap.snapshot().global.live_objects == 2u);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.large_pages == 0u);
    BOOST_TEST(heap.snapshot().global.counted_frees == 11u);
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(what_a_resource_left_behind_is_not_the_next_ones_at_the_same_address)
{
    recorder const seen;
    tslab::allocator heap;
    std::optional<epoch_resource> r;
    r.emplace(heap, tslab::resource_options{.share_epoch = true});
    void* const left = r->allocate(100'000);
    r.reset();
    BOOST_TEST(seen.count(misuse::leak) == 1u);
    r.emplace(heap, tslab::resource_options{.share_epoch = true});
    BOOST_TEST(r->release() == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 1u);
    r.reset();
    BOOST_TEST(seen.count() == 1u);
    heap.free(left);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_resource_that_shares_its_epoch_gives_back_only_its_own)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    std::vector<void*> others;
    for (std::size_t i = 0; i < 100; ++i)
        others.push_back(std::memset(heap.malloc(1 + i * 20), 7, 1 + i * 20));
    {
        epoch_resource r{heap, {.share_epoch = true}};
        BOOST_TEST((r.epoch() == e));
        BOOST_TEST(stats_of(heap, e).refcount == 1u);
        for (std::size_t i = 0; i < 500; ++i)
            std::memset(r.allocate(1 + i * 5), 9, 1 + i * 5);
        BOOST_TEST(r.release() == 500u);
        r.deallocate(r.allocate(50), 50);
    }
    BOOST_TEST(heap.is_active(e));
    BOOST_TEST(stats_of(heap, e).refcount == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 100u);
    for (std::size_t i = 0; i < others.size(); ++i) {
        auto const* const p = static_cast<unsigned char const*>(others[i]);
        BOOST_TEST(std::count(p, p + 1 + i * 20, 7) == std::ptrdiff_t(1 + i * 20));
        heap.free(others[i]);
    }
}

BOOST_AUTO_TEST_CASE(a_sharing_resource_releases_also_what_it_took_before_a_trim_or_an_advance)
{
    recorder const seen;
    tslab::allocator heap;
    epoch_resource r{heap, {.share_epoch = true}};
    (void)r.allocate(50);
    heap.trim(r.epoch());
    (void)r.allocate(50);
    heap.trim(r.epoch());
    BOOST_TEST(r.release() == 2u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);

    (void)r.allocate(50);
    void* const q = r.allocate(50);
    heap.advance();
    r.deallocate(q, 50);
    BOOST_TEST(r.release() == 1u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(release_does_not_count_what_another_thread_has_freed)
{
    tslab::allocator heap;
    for (bool const share : {false, true}) {
        epoch_resource r{heap, {.share_epoch = share}};
        for (std::size_t const bytes : {8u, 64u, 300u, 768u, 100'000u}) {
            std::vector<void*> all;
            for (int i = 0; i < 40; ++i)
                all.push_back(r.allocate(bytes));
            on_other_thread([&] {
                for (std::size_t i = 0; i < all.size(); i += 4)
                    r.deallocate(all[i], bytes);
            });
            BOOST_TEST(r.release() == 30u);
            BOOST_TEST(heap.snapshot().global.live_objects == 0u);
        }
    }
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(a_resource_that_only_counts_frees_gives_back_what_it_has_of_a_shared_epoch)
{
    recorder const reports;
    tslab::allocator heap;
    void* const other = heap.malloc(64);
    {
        epoch_resource r{heap, {.share_epoch = true, .deallocate = deallocate_policy::count_only}};
        for (std::size_t const bytes : {8u, 64u, 300u, 768u, 100'000u})
            std::memset(r.allocate(bytes), 1, bytes);
        r.deallocate(r.allocate(64), 64);
        BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 7u);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 1u);
    BOOST_TEST(heap.snapshot().global.leaked_objects == 0u);
    heap.free(other);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(reports.count() == 0u);
}
