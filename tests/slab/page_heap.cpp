// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// page_heap: neighbouring pages are handed out once, at the alignment asked for, and nothing is lost when the system
// refuses. What it gives back to the kernel is in page_heap_purge.cpp.
#define BOOST_TEST_MODULE page_heap
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

using tslab::page_bytes;

namespace {
constexpr std::size_t small_heap = std::size_t{16} << 20;
std::uintptr_t address(tslab::slab_meta const* s) { return reinterpret_cast<std::uintptr_t>(s->base); }
}

BOOST_AUTO_TEST_CASE(room_for_huge_pages_is_made_in_whole_ones_and_serves_like_any_other)
{
    tslab::page_heap pages{std::size_t{64} << 20, true};
    tslab::slab_meta* const s = pages.take(1, tslab::page_bytes);
    BOOST_REQUIRE(s != nullptr);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(s->base) % (2U << 20) == 0u);
    // Its whole huge page may be touched, one byte behind may not yet be.
    BOOST_TEST(pages.find(s->base + (2U << 20) - 1) != nullptr);
    BOOST_TEST(pages.find(s->base + (2U << 20)) == nullptr);
    BOOST_TEST(!pages.reserves(s->base + (2U << 20)));
    *s->base = std::byte{1};
    pages.give(*s, 1);
    BOOST_TEST(pages.purge().failures == 0u);
    BOOST_TEST(pages.free_purged_pages() == 1u);
    tslab::allocator heap{{.huge_pages = true}};
    void* const p = heap.malloc(100'000);
    BOOST_TEST(p != nullptr);
    heap.free(p);
}

BOOST_AUTO_TEST_CASE(finds_the_descriptor_of_every_byte_of_a_page_and_nothing_outside)
{
    tslab::page_heap heap{small_heap};
    BOOST_TEST(heap.max_pages() == 4096u);
    tslab::slab_meta* const s = heap.take(3, page_bytes);
    BOOST_REQUIRE(s != nullptr);
    BOOST_TEST(address(s) % page_bytes == 0u);
    std::memset(s->base, 1, 3 * page_bytes);
    for (std::size_t i = 0; i < 3 * page_bytes; i += 512)
        BOOST_TEST(heap.find(s->base + i) == s + i / page_bytes);
    BOOST_TEST(heap.find(s->base + page_bytes - 1) == s);
    BOOST_TEST(&heap.at(heap.index_of(*s)) == s);
    int local = 0;
    BOOST_TEST(heap.find(&local) == nullptr);
    BOOST_TEST(heap.find(nullptr) == nullptr);
    BOOST_TEST(heap.find(s->base - 1) == nullptr);
    BOOST_TEST(heap.find(s->base + small_heap) == nullptr);
    BOOST_TEST(heap.reserves(s->base));
    BOOST_TEST(heap.reserves(s->base + tslab::unit_bytes - 1));   // it takes no more than that for a few pages
    BOOST_TEST(!heap.reserves(s->base + tslab::unit_bytes));
    BOOST_TEST(!heap.reserves(&local));
}

BOOST_AUTO_TEST_CASE(takes_a_page_that_was_given_before_a_fresh_one)
{
    tslab::page_heap heap{small_heap};
    tslab::slab_meta* const a = heap.take(1, page_bytes);
    tslab::slab_meta* const b = heap.take(1, page_bytes);
    BOOST_TEST(a != b);
    heap.give(*a, 1);
    BOOST_TEST(heap.free_resident_pages() == 1u);
    BOOST_TEST(heap.take(1, page_bytes) == a);
    BOOST_TEST(heap.free_resident_pages() == 0u);
    heap.give(*b, 1);
    heap.purge();
    BOOST_TEST(heap.free_purged_pages() == 1u);
    BOOST_TEST(heap.take(1, page_bytes) == b);
    BOOST_TEST(heap.free_purged_pages() == 0u);
    BOOST_TEST(heap.used_pages() == 2u);
}

BOOST_AUTO_TEST_CASE(hands_out_aligned_runs_and_keeps_what_it_skipped)
{
    tslab::page_heap heap{small_heap};
    (void)heap.take(1, page_bytes);
    tslab::slab_meta* const s = heap.take(3, 64 * 1024);
    BOOST_REQUIRE(s != nullptr);
    BOOST_TEST(address(s) % (64 * 1024) == 0u);
    BOOST_TEST(heap.free_purged_pages() == 15u);   // never touched, so as good as given back
    tslab::slab_meta* const between = heap.take(15, page_bytes);
    BOOST_TEST(address(between) < address(s));
    BOOST_TEST(heap.free_purged_pages() == 0u);
    heap.give(*s, 3);
    BOOST_TEST(heap.take(1, 16 * 1024) == s);   // an aligned part of a free run
    BOOST_TEST(heap.free_resident_pages() == 2u);
}

BOOST_AUTO_TEST_CASE(a_commit_that_fails_is_null_and_works_again_later)
{
    support::os_hook hook;
    tslab::page_heap heap{small_heap};
    hook.fail_commit = true;
    BOOST_TEST(heap.take(1, page_bytes) == nullptr);
    BOOST_TEST(heap.take(100, page_bytes) == nullptr);
    BOOST_TEST(heap.used_pages() == 0u);
    hook.fail_commit = false;
    for (int fails_after :
         {0}) {   // the pages' own: descriptors of the first ones were there when the window was found
        hook.commits_left = static_cast<std::uint64_t>(fails_after);
        BOOST_TEST(heap.take(1, page_bytes) == nullptr);
        hook.commits_left = ~std::uint64_t{0};
    }
    tslab::slab_meta* const s = heap.take(1, page_bytes);
    BOOST_REQUIRE(s != nullptr);
    std::memset(s->base, 1, page_bytes);
    BOOST_TEST(s->remote_free.load() == 0u);
    BOOST_TEST(heap.index_of(*s) % tslab::unit_pages == 0u);
}

BOOST_AUTO_TEST_CASE(an_exhausted_reservation_is_null_until_something_is_given_back)
{
    tslab::page_heap heap{small_heap};
    std::vector<tslab::slab_meta*> all;
    while (tslab::slab_meta* const s = heap.take(1, page_bytes))
        all.push_back(s);
    BOOST_TEST(all.size() == 4096u);
    BOOST_TEST(heap.take(1, page_bytes) == nullptr);
    heap.give(*all[100], 1);
    heap.give(*all[101], 1);
    BOOST_TEST(heap.take(3, page_bytes) == nullptr);
    BOOST_TEST(heap.take(2, page_bytes) == all[100]);
    BOOST_TEST(heap.take(5000, page_bytes) == nullptr);
    BOOST_TEST(heap.take(0, page_bytes) == nullptr);
    BOOST_TEST(heap.take(1, std::size_t{1} << 40) == nullptr);
}

BOOST_AUTO_TEST_CASE(a_heap_takes_more_as_it_grows_and_gives_all_back_at_its_end)
{
    support::os_hook hook;
    std::uint64_t tables = 0;
    {
        tslab::page_heap heap{0};
        std::uint64_t const before = hook.map_bytes;
        BOOST_REQUIRE(heap.take(1, page_bytes) != nullptr);
        BOOST_TEST(hook.map_bytes - before == tslab::unit_bytes);
        std::uint64_t maps = hook.maps;
        for (int i = 0; i < 100'000; ++i)
            BOOST_REQUIRE(heap.take(1, page_bytes) != nullptr);
        BOOST_TEST(hook.maps - maps < 400u);
        std::uint64_t units = 0;
        heap.for_each_run([&](tslab::unit_run r) { units += r.count; });
        BOOST_TEST(units * tslab::unit_pages >= 100'001u);
        BOOST_TEST(units * tslab::unit_bytes <= 100'001 * page_bytes + (std::uint64_t{32} << 20));
        tables = hook.map_bytes - units * tslab::unit_bytes;
    }
    BOOST_TEST(hook.map_bytes - hook.release_bytes <= tables);
    tslab::process_window.close();
    BOOST_TEST(hook.map_bytes == hook.release_bytes);
}

BOOST_AUTO_TEST_CASE(heaps_do_not_know_each_others_pages_and_what_is_gone_is_remembered_until_another_takes_it)
{
    support::os_hook hook;
    tslab::page_heap first{small_heap};
    tslab::page_heap second{small_heap};
    tslab::slab_meta* const a = first.take(1, page_bytes);
    tslab::slab_meta* const b = second.take(1, page_bytes);
    BOOST_REQUIRE((a != nullptr && b != nullptr));
    BOOST_TEST(first.find(a->base) == a);
    BOOST_TEST(second.find(a->base) == nullptr);
    BOOST_TEST(first.find(b->base) == nullptr);
    BOOST_TEST(first.owns(first.index_of(*a)));
    BOOST_TEST(!first.owns(first.index_of(*b)));
    BOOST_TEST(!first.owns(~std::uint32_t{0}));
    BOOST_TEST(first.was_used(first.index_of(*a)));
    BOOST_TEST(!first.was_used(first.index_of(*a) + 1));
    BOOST_TEST(tslab::page_heap::map().find(b->base) == b);   // the map itself knows all
}

BOOST_AUTO_TEST_CASE(generations_are_zero_when_committed_and_kept)
{
    support::os_hook hook;
    tslab::page_heap heap{std::size_t{64} << 20};
    BOOST_TEST(!heap.has_generations(0));
    hook.fail_commit = true;
    BOOST_TEST(!heap.commit_generations(0));
    BOOST_TEST(!heap.has_generations(0));
    hook.fail_commit = false;
    BOOST_TEST(!heap.commit_generations(std::uint32_t{1} << 26));   // no handle can name that page
    for (std::uint32_t page : {0u, 5000u, 16'383u}) {
        BOOST_TEST(heap.commit_generations(page));
        BOOST_TEST(heap.has_generations(page));
        BOOST_TEST(heap.generation(page, 0) == 0u);
        BOOST_TEST(heap.generation(page, 63) == 0u);
        heap.generation(page, 63) = page + 1;
    }
    for (std::uint32_t page : {0u, 5000u, 16'383u}) {
        BOOST_TEST(heap.commit_generations(page));
        BOOST_TEST(heap.generation(page, 63) == page + 1);
    }
}

BOOST_AUTO_TEST_CASE(random_takes_and_gives_never_overlap)
{
    tslab::page_heap heap{small_heap};
    std::mt19937 random{11};
    std::map<std::uintptr_t, std::uint32_t> taken;   // first byte, pages
    std::uint64_t held = 0;
    for (std::size_t step = 0; step < support::scaled(20'000); ++step) {
        if (random() % 2 == 0) {
            std::uint32_t const pages = 1 + random() % (random() % 10 == 0 ? 60 : 4);
            std::size_t const alignment = page_bytes << (random() % 6);
            tslab::slab_meta* const s = heap.take(pages, alignment);
            if (s == nullptr)
                continue;
            BOOST_REQUIRE(address(s) % alignment == 0u);
            auto const after = taken.lower_bound(address(s));
            if (after != taken.end())
                BOOST_REQUIRE(address(s) + pages * page_bytes <= after->first);
            if (after != taken.begin()) {
                auto const before = std::prev(after);
                BOOST_REQUIRE(before->first + before->second * page_bytes <= address(s));
            }
            taken.emplace(address(s), pages);
            held += pages;
        } else if (!taken.empty()) {
            auto const at = std::next(taken.begin(), static_cast<std::ptrdiff_t>(random() % taken.size()));
            heap.give(*heap.find(reinterpret_cast<void*>(at->first)), at->second);
            held -= at->second;
            taken.erase(at);
        }
        if (random() % 200 == 0)
            heap.purge();
        BOOST_REQUIRE(held + heap.free_resident_pages() + heap.free_purged_pages() == heap.used_pages());
    }
}

BOOST_AUTO_TEST_CASE(a_chain_of_slabs_is_given_back_whole)
{
    tslab::page_heap heap{small_heap};
    tslab::slab_meta* chain = nullptr;
    for (int i = 0; i < 150; ++i) {
        tslab::slab_meta* const s = heap.take(2, 2 * page_bytes);
        BOOST_REQUIRE(s != nullptr);
        s->next = chain;
        chain = s;
    }
    tslab::contention_counters counts;
    heap.give_chain(chain, 2, {.counts = &counts});
    BOOST_TEST(counts[tslab::contention_event::lock_fast].value() == 3u);
    BOOST_TEST(heap.free_resident_pages() == 300u);
    heap.give_chain(nullptr, 2, {});
    BOOST_TEST(heap.free_resident_pages() == 300u);
}
