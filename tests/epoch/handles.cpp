// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Handles: every result of a free, every way an allocation can end without its handle, and flipped bits.
#define BOOST_TEST_MODULE handles
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"
#include "take_handle.hpp"

using support::recorder;
using support::scaled;
using tslab::free_result;
using tslab::handle;
using tslab::misuse;

BOOST_AUTO_TEST_CASE(a_handle_frees_once)
{
    tslab::allocator heap;
    for (std::size_t n : {0u, 1u, 64u, 100u, 384u, 768u, 769u, 4096u, 100'000u}) {
        void* p = nullptr;
        handle const h = take(heap, n, &p);
        std::memset(p, 1, n);
        BOOST_TEST(heap.snapshot().global.live_objects == 1u);
        BOOST_TEST((heap.free(h) == free_result::ok));
        BOOST_TEST(heap.snapshot().global.live_objects == 0u);
        BOOST_TEST((heap.free(h) == free_result::already_free));
        BOOST_TEST((heap.free(h) == free_result::already_free));
    }
    BOOST_TEST(heap.snapshot().global.refused_handles == 18u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(handles_of_live_allocations_are_distinct)
{
    tslab::allocator heap;
    std::set<std::uint64_t> seen;
    std::vector<handle> all;
    for (std::size_t i = 0; i < 5000; ++i) {
        all.push_back(take(heap, i % 1000));
        BOOST_REQUIRE(seen.insert(all.back().bits()).second);
    }
    for (handle h : all)
        BOOST_REQUIRE(heap.free(h) == free_result::ok);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_handle_is_stale_once_its_slot_is_handed_out_again)
{
    tslab::allocator heap;
    handle const first = take(heap, 64);
    BOOST_TEST((heap.free(first) == free_result::ok));
    std::vector<handle> later;
    for (int i = 0; i < 64; ++i)
        later.push_back(take(heap, 64));
    BOOST_TEST((heap.free(first) == free_result::stale));
    for (handle h : later)
        BOOST_TEST((heap.free(h) == free_result::ok));
    BOOST_TEST((heap.free(first) == free_result::stale));
    for (handle h : later)
        BOOST_TEST((heap.free(h) == free_result::already_free));
}

BOOST_AUTO_TEST_CASE(another_heaps_handle_is_foreign)
{
    tslab::allocator a, b;
    handle const of_a = take(a, 100);
    handle const of_b = take(b, 100);
    BOOST_TEST((a.free(of_b) == free_result::foreign));
    BOOST_TEST((b.free(of_a) == free_result::foreign));
    BOOST_TEST((a.free(handle{}) == free_result::foreign));
    BOOST_TEST(a.snapshot().global.live_objects == 1u);
    BOOST_TEST((a.free(of_a) == free_result::ok));
    BOOST_TEST((b.free(of_b) == free_result::ok));
}

BOOST_AUTO_TEST_CASE(what_no_heap_ever_issued_is_corrupt)
{
    tslab::allocator heap;
    handle const h = take(heap, 100);
    auto const with = [&](auto change) {
        auto f = tslab::handle_fields::unpack(h);
        change(f);
        return heap.free(f.pack());
    };
    BOOST_TEST((with([](auto& f) { f.generation += 2; }) == free_result::corrupt));   // from the future
    BOOST_TEST((with([](auto& f) { f.page = 0x3ffffff; }) == free_result::corrupt));
    BOOST_TEST((with([](auto& f) { f.page += 100; }) == free_result::corrupt));
    BOOST_TEST((with([](auto& f) { f.slot = 63; }) != free_result::ok));   // the page has 32 slots
    BOOST_TEST(heap.snapshot().global.live_objects == 1u);
    BOOST_TEST((heap.free(h) == free_result::ok));
}

BOOST_AUTO_TEST_CASE(a_pointer_free_makes_the_handle_already_free_and_the_other_way_round)
{
    recorder const seen;
    tslab::allocator heap;
    for (std::size_t n : {1u, 100u, 500u, 5000u, 70'000u}) {
        void* p = nullptr;
        handle const h = take(heap, n, &p);
        heap.free(p);
        BOOST_TEST((heap.free(h) == free_result::already_free));
        BOOST_TEST(seen.count() == 0u);
    }
    void* p = nullptr;
    handle const h = take(heap, 100, &p);
    BOOST_TEST((heap.free(h) == free_result::ok));
    heap.free(p);
    BOOST_TEST(seen.count(misuse::double_free) == 1u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(a_released_epochs_handles_are_already_free)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap};
    std::vector<handle> all(200);
    for (std::size_t i = 0; i < all.size(); ++i)
        BOOST_REQUIRE(heap.allocate(i * 10, r.epoch(), all[i]) != nullptr);
    BOOST_TEST(r.release() == 200u);
    for (handle h : all)
        BOOST_TEST((heap.free(h) == free_result::already_free));
    std::vector<handle> again(200);
    for (std::size_t i = 0; i < again.size(); ++i)
        BOOST_REQUIRE(heap.allocate(i * 10, r.epoch(), again[i]) != nullptr);
    for (handle h : all)
        BOOST_TEST((heap.free(h) != free_result::ok));
    for (handle h : again)
        BOOST_TEST((heap.free(h) == free_result::ok));
}

BOOST_AUTO_TEST_CASE(a_handle_outlives_its_epochs_close_and_its_page)
{
    tslab::allocator heap{{.epoch_count = 2, .reclaim = tslab::reclaim_policy::eager}};
    auto const e = heap.current_epoch();
    handle const early = take(heap, 64);
    handle const late = take(heap, 64);
    BOOST_TEST((heap.free(early) == free_result::ok));
    heap.close(e);
    BOOST_TEST((heap.free(late) == free_result::ok));   // the last free recycles the slab
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    heap.trim();
    BOOST_TEST((heap.free(early) == free_result::already_free));
    BOOST_TEST((heap.free(late) == free_result::already_free));
    void* const p = heap.malloc(64);   // the page serves pointers now
    BOOST_TEST((heap.free(early) != free_result::ok));
    BOOST_TEST((heap.free(late) != free_result::ok));
    void* const q = heap.malloc(100'000);   // and large ones
    for (handle h : {early, late})
        BOOST_TEST((heap.free(h) != free_result::ok));
    BOOST_TEST(heap.snapshot().global.live_objects == 2u);
    heap.free(p);
    heap.free(q);
}

BOOST_AUTO_TEST_CASE(one_of_many_threads_that_free_the_same_handle_wins)
{
    tslab::allocator heap;
    for (std::size_t round = 0; round < scaled(200); ++round) {
        std::vector<handle> all;
        for (int i = 0; i < 20; ++i)
            all.push_back(take(heap, i == 0 ? 2000 : 64));
        std::atomic<int> ok{0}, already{0}, rest{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back([&] {
                for (handle h : all)
                    switch (heap.free(h)) {
                    case free_result::ok: ++ok; break;
                    case free_result::already_free: ++already; break;
                    default: ++rest; break;
                    }
            });
        for (auto& t : threads)
            t.join();
        BOOST_REQUIRE(ok == 20);
        BOOST_REQUIRE(already == 40);
        BOOST_REQUIRE(rest == 0);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}

BOOST_AUTO_TEST_CASE(random_bits_and_flipped_bits_never_crash_and_free_only_what_is_issued)
{
    recorder const seen;
    tslab::allocator heap;
    std::mt19937_64 random{424'242};
    std::map<std::uint64_t, std::pair<unsigned char*, std::size_t>> live;
    std::vector<std::uint64_t> old;
    auto const refill = [&] {
        while (live.size() < 300) {
            handle h;
            std::size_t const n = random() % 20 == 0 ? 1000 + random() % 9000 : random() % 769;
            auto* const p = static_cast<unsigned char*>(heap.allocate(n, heap.current_epoch(), h));
            BOOST_REQUIRE(p != nullptr);
            std::memset(p, static_cast<int>(h.bits() & 0xff), n);
            BOOST_REQUIRE(live.emplace(h.bits(), std::pair{p, n}).second);
        }
    };
    refill();
    for (std::size_t i = 0; i < scaled(200'000); ++i) {
        std::uint64_t bits = 0;
        switch (random() % 4) {
        case 0: bits = random(); break;
        case 1: bits = old.empty() ? 0 : old[random() % old.size()]; break;
        default: {
            auto at = live.lower_bound(random());
            bits = (at == live.end() ? live.begin() : at)->first;
            for (std::uint64_t flips = random() % 4; flips-- > 0;)
                bits ^= std::uint64_t{1} << (random() % 64);
        }
        }
        bool const issued = live.contains(bits);
        if (issued && random() % 4 == 0) {
            auto const [p, n] = live[bits];
            auto const good = static_cast<std::size_t>(std::count(p, p + n, bits & 0xff));
            BOOST_REQUIRE(good == n);   // no other thread was given the slot
        }
        free_result const r = heap.free(handle{bits});
        BOOST_REQUIRE((r == free_result::ok) == issued);
        if (issued) {
            live.erase(bits);
            old.push_back(bits);
            refill();
        }
        if (i % 10'000 == 9999) {
            auto const e = heap.current_epoch();
            heap.advance();
            heap.close(e);
        }
    }
    BOOST_TEST(heap.snapshot().global.live_objects == live.size());
    for (auto const& [bits, where] : live)
        BOOST_TEST((heap.free(handle{bits}) == free_result::ok));
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_handle_allocation_that_is_refused_leaves_an_empty_handle)
{
    support::os_hook hook;
    tslab::allocator heap;
    handle h{99};
    auto const gone = heap.current_epoch();
    heap.close(gone);
    BOOST_TEST(heap.allocate(10, gone, h) == nullptr);
    BOOST_TEST(!h);
    h = handle{99};
    BOOST_TEST(heap.allocate(SIZE_MAX, heap.current_epoch(), h) == nullptr);
    BOOST_TEST(!h);
    heap.free(heap.malloc(10));   // the record exists from here on
    hook.fail_commit = true;
    for (std::size_t n : {10u, 5000u}) {
        h = handle{99};
        BOOST_TEST(heap.allocate(n, heap.current_epoch(), h) == nullptr);   // no memory for generations
        BOOST_TEST(!h);
    }
    hook.fail_commit = false;
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST((heap.free(take(heap, 10)) == free_result::ok));
    BOOST_TEST((heap.free(take(heap, 5000)) == free_result::ok));
}
