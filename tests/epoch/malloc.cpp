// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// malloc and free: every size, data intact, null for null, large allocations, and running out of memory.
#define BOOST_TEST_MODULE malloc
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

using support::scaled;
using support::stats_of;

BOOST_AUTO_TEST_CASE(every_size_up_to_100000_is_served_and_keeps_its_data)
{
    tslab::allocator heap;
    struct object {
        unsigned char* p;
        std::size_t n;
    };
    std::vector<object> all;
    std::size_t const step = support::sanitized ? 797 : 97;
    for (std::size_t n = 0; n <= 100'000; n += n < 2000 ? 1 : step) {
        auto* const p = static_cast<unsigned char*>(heap.malloc(n));
        BOOST_REQUIRE(p != nullptr);
        BOOST_REQUIRE(reinterpret_cast<std::uintptr_t>(p) % alignof(std::max_align_t) == 0);
        std::memset(p, static_cast<int>(n * 7 & 0xff), n);
        all.push_back({p, n});
    }
    BOOST_TEST(heap.snapshot().global.live_objects == all.size());
    for (auto const& o : all) {
        for (std::size_t b = 0; b < o.n; ++b)
            if (o.p[b] != (o.n * 7 & 0xff))
                BOOST_FAIL("size " << o.n << " byte " << b);
        heap.free(o.p);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.large_pages == 0u);
}

BOOST_AUTO_TEST_CASE(size_zero_is_a_unique_pointer_and_null_is_ignored)
{
    tslab::allocator heap;
    void* const a = heap.malloc(0);
    void* const b = heap.malloc(0);
    BOOST_TEST(a != nullptr);
    BOOST_TEST(a != b);
    heap.free(nullptr);
    heap.free(a);
    heap.free(b);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(absurd_sizes_are_refused_and_counted)
{
    tslab::allocator heap;
    std::uint64_t expected = 0;
    for (std::size_t n : {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4095, std::size_t{PTRDIFF_MAX},
                          std::size_t{PTRDIFF_MAX} + 1, std::size_t{1} << 62, std::size_t{1} << 44}) {
        BOOST_TEST(heap.malloc(n) == nullptr);
        ++expected;
    }
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.out_of_memory == expected);
    BOOST_TEST(s.classes[tslab::large_class].out_of_memory == expected);
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.slow_path_epoch_closed == 0u);
}

BOOST_AUTO_TEST_CASE(a_slab_hands_out_64_distinct_slots_before_the_next_one_is_taken)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    std::set<void*> slots;
    std::set<std::uintptr_t> pages;
    for (int i = 0; i < 64; ++i) {
        void* const p = heap.malloc(64, e);
        BOOST_TEST(slots.insert(p).second);
        pages.insert(reinterpret_cast<std::uintptr_t>(p) / tslab::page_bytes);
    }
    BOOST_TEST(pages.size() == 1u);
    BOOST_TEST(stats_of(heap, e).slabs == 1u);
    BOOST_TEST(heap.snapshot().classes[0].full_slabs == 1u);
    slots.insert(heap.malloc(64, e));
    BOOST_TEST(stats_of(heap, e).slabs == 2u);
    BOOST_TEST(heap.snapshot().classes[0].partial_slabs == 1u);
    for (void* p : slots)
        heap.free(p);
}

BOOST_AUTO_TEST_CASE(memory_of_a_freed_large_allocation_is_used_again)
{
    tslab::allocator heap;
    void* const a = heap.malloc(200'000);
    void* const b = heap.malloc(10);
    heap.free(a);
    BOOST_TEST(heap.malloc(200'000) == a);
    heap.free(a);
    void* const c = heap.malloc(100'000);
    void* const d = heap.malloc(70'000);
    BOOST_TEST(c == a);
    BOOST_TEST(d == static_cast<char*>(a) + 25 * 4096);
    for (void* p : {b, c, d})
        heap.free(p);
}

BOOST_AUTO_TEST_CASE(a_refused_commit_is_null_with_nothing_lost)
{
    support::os_hook hook;
    tslab::allocator heap;
    std::vector<void*> all;
    hook.fail_commit = true;
    while (void* const p = heap.malloc(768))
        all.push_back(p);
    std::size_t const first = all.size();
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.out_of_memory == 1u);
    BOOST_TEST(s.global.live_objects == first);
    BOOST_TEST(heap.malloc(50'000'000) == nullptr);
    hook.fail_commit = false;
    for (int i = 0; i < 10'000; ++i)
        all.push_back(heap.malloc(768));
    BOOST_TEST(std::count(all.begin(), all.end(), nullptr) == 0);
    BOOST_TEST((std::set<void*>{all.begin(), all.end()}.size()) == all.size());
    for (void* p : all)
        heap.free(p);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_heap_that_cannot_be_had_is_a_bad_alloc_and_leaks_nothing)
{
    support::os_hook hook;
    hook.fail_commit = true;
    BOOST_CHECK_THROW(tslab::allocator{}, std::bad_alloc);
    hook.fail_commit = false;
    for (std::uint64_t n = 0; n < 30; ++n) {
        hook.commits_left = n;
        try {
            tslab::allocator heap;
            heap.free(heap.malloc(1));
        } catch (std::bad_alloc const&) {
        }
        hook.commits_left = ~std::uint64_t{0};
        tslab::process_window.close();
        BOOST_TEST(hook.release_bytes == hook.reserve_bytes + hook.map_bytes);
    }
    hook.fail_reserve_above = 0;
    BOOST_CHECK_THROW(tslab::allocator{}, std::bad_alloc);
}

BOOST_AUTO_TEST_CASE(several_heaps_do_not_mix)
{
    tslab::allocator a{{.name = "a"}}, b{{.name = "b"}};
    std::vector<std::pair<tslab::allocator*, void*>> all;
    for (int i = 0; i < 1000; ++i) {
        tslab::allocator& heap = i % 3 == 0 ? a : b;
        all.emplace_back(&heap, heap.malloc(static_cast<std::size_t>(i)));
    }
    for (auto [heap, p] : all) {
        BOOST_REQUIRE(heap->state().pages().reserves(p));
        BOOST_REQUIRE(!(heap == &a ? b : a).state().pages().reserves(p));
        heap->free(p);
    }
    BOOST_TEST(a.snapshot().global.allocations == 334u);
    BOOST_TEST(b.snapshot().global.allocations == 666u);
    BOOST_TEST(a.name() == "a");
}

BOOST_AUTO_TEST_CASE(more_heaps_than_a_thread_remembers_work_side_by_side)
{
    std::vector<std::unique_ptr<tslab::allocator>> heaps;
    for (int i = 0; i < 20; ++i)
        heaps.push_back(std::make_unique<tslab::allocator>());
    for (int round = 0; round < 50; ++round)
        for (auto& heap : heaps)
            heap->free(heap->malloc(100));
    heaps.erase(heaps.begin() + 3, heaps.begin() + 9);
    heaps.push_back(std::make_unique<tslab::allocator>());
    for (auto& heap : heaps) {
        heap->free(heap->malloc(100));
        BOOST_TEST(heap->snapshot().threads.size() == 1u);
        BOOST_TEST(heap->snapshot().global.live_objects == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_limit_set_on_an_open_epoch_holds_for_what_the_thread_has_retained_by_raw_calls)
{
    constexpr std::size_t size = 200;
    constexpr std::size_t limit = 32 * 1024;
    for (std::optional<std::size_t> const of_heap :
         {std::optional<std::size_t>{}, std::optional{std::size_t{1} << 30U}}) {
        tslab::allocator heap{{.limit = of_heap}};
        tslab::epoch_scope const scope{heap, "GET /join"};
        std::vector<void*> all(1100);
        for (void*& p : all)
            p = heap.malloc(size, scope.epoch());
        for (void* const p : all)
            heap.free(p);
        BOOST_REQUIRE(heap.set_limit(scope.epoch(), limit));
        std::size_t n = 0;
        while (heap.malloc(size, scope.epoch()) != nullptr)
            ++n;
        BOOST_TEST(n * size <= limit);
        BOOST_TEST(n > limit / size / 2);
        scope.resource()->release();
    }
}
