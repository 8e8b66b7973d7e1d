// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// page_heap: neighbouring pages are handed out once, at the alignment asked for, given back to the kernel in one call a
// run, and nothing is lost when the system refuses.
#define BOOST_TEST_MODULE page_heap
#include <boost/test/unit_test.hpp>

#include <algorithm>
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
std::uintptr_t address(tslab::slab const* s) { return reinterpret_cast<std::uintptr_t>(s->base); }
}

BOOST_AUTO_TEST_CASE(room_for_huge_pages_is_made_in_whole_ones_and_serves_like_any_other)
{
    tslab::page_heap pages{std::size_t{64} << 20, true};
    tslab::slab* const s = pages.take(1, tslab::page_bytes);
    BOOST_REQUIRE(s != nullptr);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(s->base) % (2U << 20) == 0u);
    // Its whole huge page may be touched, one byte behind may not yet be.
    BOOST_TEST(pages.find(s->base + (2U << 20) - 1) != nullptr);
    BOOST_TEST(pages.find(s->base + (2U << 20)) == nullptr);
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
    tslab::slab* const s = heap.take(3, page_bytes);
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
    BOOST_TEST(heap.reserves(s->base + small_heap - 1));
    BOOST_TEST(!heap.reserves(s->base + small_heap));
    BOOST_TEST(!heap.reserves(&local));
}

BOOST_AUTO_TEST_CASE(takes_a_page_that_was_given_before_a_fresh_one)
{
    tslab::page_heap heap{small_heap};
    tslab::slab* const a = heap.take(1, page_bytes);
    tslab::slab* const b = heap.take(1, page_bytes);
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
    tslab::slab* const s = heap.take(3, 64 * 1024);
    BOOST_REQUIRE(s != nullptr);
    BOOST_TEST(address(s) % (64 * 1024) == 0u);
    BOOST_TEST(heap.free_purged_pages() == 15u);   // never touched, so as good as given back
    tslab::slab* const between = heap.take(15, page_bytes);
    BOOST_TEST(address(between) < address(s));
    BOOST_TEST(heap.free_purged_pages() == 0u);
    heap.give(*s, 3);
    BOOST_TEST(heap.take(1, 16 * 1024) == s);   // an aligned part of a free run
    BOOST_TEST(heap.free_resident_pages() == 2u);
}

BOOST_AUTO_TEST_CASE(neighbours_given_one_by_one_go_to_the_kernel_in_one_call)
{
    support::os_hook hook;
    tslab::page_heap heap{small_heap};
    std::vector<tslab::slab*> pages;
    for (int i = 0; i < 300; ++i) {
        pages.push_back(heap.take(1, page_bytes));
        std::memset(pages.back()->base, 1, page_bytes);
    }
    std::mt19937 random{7};
    std::vector<tslab::slab*> order{pages.begin(), pages.begin() + 100};
    order.insert(order.end(), pages.begin() + 150, pages.begin() + 250);   // two runs of 100
    std::shuffle(order.begin(), order.end(), random);
    for (auto* s : order)
        heap.give(*s, 1);
    BOOST_TEST(heap.free_resident_pages() == 200u);
    auto const done = heap.purge();
    BOOST_TEST(done.calls == 2u);
    BOOST_TEST(done.bytes == 200 * page_bytes);
    BOOST_TEST(done.failures == 0u);
    BOOST_TEST(hook.purges == 2u);
    BOOST_TEST(hook.purge_bytes == 200 * page_bytes);
    BOOST_TEST(heap.free_resident_pages() == 0u);
    BOOST_TEST(heap.free_purged_pages() == 200u);
    for (std::size_t i = 0; i < pages.size(); ++i) {
        bool const kept = (i >= 100 && i < 150) || i >= 250;
        BOOST_TEST(tslab::resident_bytes(pages[i]->base, page_bytes) == (kept ? page_bytes : 0));
        BOOST_TEST(std::to_integer<int>(pages[i]->base[17]) == (kept ? 1 : 0));
    }
    BOOST_TEST(heap.purge().calls == 0u);
}

BOOST_AUTO_TEST_CASE(purges_more_runs_than_one_batch_holds)
{
    support::os_hook hook;
    tslab::page_heap heap{small_heap};
    std::vector<tslab::slab*> pages;
    for (int i = 0; i < 1000; ++i)
        pages.push_back(heap.take(1, page_bytes));
    for (std::size_t i = 0; i < pages.size(); i += 2)
        heap.give(*pages[i], 1);
    BOOST_TEST(heap.purge().calls == 500u);
    BOOST_TEST(hook.purges == 500u);
    BOOST_TEST(heap.free_resident_pages() == 0u);
    BOOST_TEST(heap.purged().calls == 500u);
}

BOOST_AUTO_TEST_CASE(a_purge_that_fails_is_counted_and_the_pages_stay_usable)
{
    support::os_hook hook;
    tslab::page_heap heap{small_heap};
    tslab::slab* const a = heap.take(10, page_bytes);
    heap.give(*a, 10);
    hook.fail_purge = true;
    auto const failed = heap.purge();
    BOOST_TEST(failed.failures == 1u);
    BOOST_TEST(failed.bytes == 0u);
    BOOST_TEST(heap.free_resident_pages() == 10u);
    BOOST_TEST(heap.purged().failures == 1u);
    BOOST_TEST(heap.take(10, page_bytes) == a);
    std::memset(a->base, 3, 10 * page_bytes);
    heap.give(*a, 10);
    hook.fail_purge = false;
    BOOST_TEST(heap.purge().bytes == 10 * page_bytes);
}

BOOST_AUTO_TEST_CASE(what_is_purged_is_told_by_class_and_what_became_of_it)
{
    support::os_hook hook;
    tslab::page_heap heap{small_heap};
    tslab::slab* const a = heap.take(6, page_bytes);
    std::memset(a->base, 3, 6 * page_bytes);
    // Two slabs of class 1, one of class 4, a large allocation over a page that was a slab of class 4 before, a handle's slab.
    a[0].was = 1 + 1;
    a[1].was = 1 + 1;
    a[2].was = 4 + 1;
    a[3].was = tslab::tag_large;
    a[4].was = 4 + 1;
    a[5].was = 1 + tslab::class_count + 1;
    for (unsigned i : {0u, 1u, 2u, 5u})
        heap.give(a[i], 1);
    heap.give(a[3], 2, true);
    BOOST_TEST(heap.free_resident_class(0) == 1u);
    BOOST_TEST(heap.free_resident_class(2) == 4u);
    BOOST_TEST(heap.free_resident_class(3) == tslab::large_class);
    BOOST_TEST(heap.free_resident_class(4) == tslab::large_class);
    BOOST_TEST(heap.free_resident_class(5) == 1u);
    BOOST_TEST(heap.free_resident_class(6) > tslab::large_class);   // never used
    auto const done = heap.purge(true);
    BOOST_TEST(done.calls == 1u);
    BOOST_TEST(done.asked == 6 * page_bytes);
    BOOST_TEST(done.gone == 6 * page_bytes);
    BOOST_TEST(heap.purged_of(1).calls == 1u);   // the run begins with one of them
    BOOST_TEST(heap.purged_of(1).bytes == 3 * page_bytes);
    BOOST_TEST(heap.purged_of(4).calls == 0u);
    BOOST_TEST(heap.purged_of(4).bytes == page_bytes);
    BOOST_TEST(heap.purged_of(tslab::large_class).bytes == 2 * page_bytes);
    BOOST_TEST(heap.free_resident_class(0) > tslab::large_class);   // no longer resident
    // Taken again, they are no longer what they were.
    tslab::slab* const again = heap.take(6, page_bytes);
    BOOST_TEST(again == a);
    again[3].was = 2 + 1;
    heap.give(again[3], 1);
    BOOST_TEST(heap.free_resident_class(3) == 2u);
    BOOST_TEST(heap.purge().asked == 0u);   // not looked at
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
    for (int fails_after : {0, 1}) {   // the descriptors' commit, then the pages'
        hook.commits_left = static_cast<std::uint64_t>(fails_after);
        BOOST_TEST(heap.take(1, page_bytes) == nullptr);
        hook.commits_left = ~std::uint64_t{0};
    }
    tslab::slab* const s = heap.take(1, page_bytes);
    BOOST_REQUIRE(s != nullptr);
    std::memset(s->base, 1, page_bytes);
    BOOST_TEST(s->shared.load() == 0u);
    BOOST_TEST(heap.index_of(*s) == 0u);
}

BOOST_AUTO_TEST_CASE(an_exhausted_reservation_is_null_until_something_is_given_back)
{
    tslab::page_heap heap{small_heap};
    std::vector<tslab::slab*> all;
    while (tslab::slab* const s = heap.take(1, page_bytes))
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

BOOST_AUTO_TEST_CASE(a_refused_reservation_is_halved_and_at_last_a_bad_alloc)
{
    support::os_hook hook;
    hook.fail_reserve_above = std::size_t{64} << 20;
    {
        tslab::page_heap heap{std::size_t{1} << 30};
        BOOST_TEST(heap.max_pages() < (std::size_t{64} << 20) / page_bytes);
        BOOST_TEST(heap.max_pages() >= (std::size_t{16} << 20) / page_bytes);
        BOOST_TEST(heap.take(1, page_bytes) != nullptr);
    }
    BOOST_TEST(hook.releases == 1u);
    hook.fail_reserve_above = 4096;
    BOOST_CHECK_THROW(tslab::page_heap{0}, std::bad_alloc);
    hook.fail_reserve_above = ~std::size_t{0};
    hook.fail_commit = true;
    std::uint64_t const reserved = hook.reserves;
    std::uint64_t const released = hook.releases;
    BOOST_CHECK_THROW(tslab::page_heap{small_heap}, std::bad_alloc);
    BOOST_TEST(hook.releases - released == hook.reserves - reserved);   // nothing stays mapped
    hook.fail_commit = false;
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
            tslab::slab* const s = heap.take(pages, alignment);
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

BOOST_AUTO_TEST_CASE(a_bounded_purge_takes_the_pages_with_the_highest_addresses)
{
    tslab::page_heap heap{small_heap};
    std::vector<tslab::slab*> pages;
    for (int i = 0; i < 40; ++i)
        pages.push_back(heap.take(1, page_bytes));
    for (int i = 0; i < 40; i += 2)   // no two are neighbours
        heap.give(*pages[static_cast<std::size_t>(i)], 1);
    auto const done = heap.purge(false, 5);
    BOOST_TEST(done.calls == 5u);
    BOOST_TEST(done.bytes == 5 * page_bytes);
    BOOST_TEST(heap.free_resident_pages() == 15u);
    BOOST_TEST(heap.take(1, page_bytes) == pages[0]);
    BOOST_TEST(heap.purge(false, 0).calls == 0u);
    BOOST_TEST(heap.purge(false, 1000).bytes == 14 * page_bytes);
    BOOST_TEST(heap.free_resident_pages() == 0u);
}

BOOST_AUTO_TEST_CASE(unwanted_are_the_fewest_pages_that_were_free_since_the_last_question)
{
    using watcher = tslab::page_heap::watcher;
    tslab::page_heap heap{small_heap};
    tslab::slab* const s = heap.take(10, page_bytes);
    heap.give(*s, 10);
    BOOST_TEST(heap.unwanted_pages(watcher::of_time) == 0u);   // none was free when the heap began
    BOOST_TEST(heap.unwanted_pages(watcher::of_time) == 10u);
    tslab::slab* const few = heap.take(4, page_bytes);
    heap.give(*few, 4);
    BOOST_TEST(heap.unwanted_pages(watcher::of_time) == 6u);
    BOOST_TEST(heap.unwanted_pages(watcher::of_time) == 10u);
    BOOST_TEST(heap.unwanted_pages(watcher::of_work) == 0u);   // each has a period of its own
    BOOST_TEST(heap.unwanted_pages(watcher::of_work) == 10u);
    heap.purge();
    BOOST_TEST(heap.unwanted_pages(watcher::of_time) == 0u);
}

BOOST_AUTO_TEST_CASE(a_chain_of_slabs_is_given_back_whole)
{
    tslab::page_heap heap{small_heap};
    tslab::slab* chain = nullptr;
    for (int i = 0; i < 150; ++i) {
        tslab::slab* const s = heap.take(2, 2 * page_bytes);
        BOOST_REQUIRE(s != nullptr);
        s->next = chain;
        chain = s;
    }
    auto const before = heap.lock_for_counts().fast_acquires();
    heap.give_chain(chain, 2, {});
    BOOST_TEST(heap.lock_for_counts().fast_acquires() - before == 3u);
    BOOST_TEST(heap.free_resident_pages() == 300u);
    heap.give_chain(nullptr, 2, {});
    BOOST_TEST(heap.free_resident_pages() == 300u);
}
