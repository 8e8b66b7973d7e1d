// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// page_heap gives free pages back to the kernel in one call a run, as many as it is asked for, and counts what is refused.
#define BOOST_TEST_MODULE page_heap_purge
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "os_hook.hpp"

using tslab::page_bytes;

namespace {
constexpr std::size_t small_heap = std::size_t{16} << 20;
}

BOOST_AUTO_TEST_CASE(neighbours_given_one_by_one_go_to_the_kernel_in_one_call)
{
    support::os_hook hook;
    tslab::page_heap heap{small_heap};
    std::vector<tslab::slab_meta*> pages;
    for (int i = 0; i < 300; ++i) {
        pages.push_back(heap.take(1, page_bytes));
        std::memset(pages.back()->base, 1, page_bytes);
    }
    std::mt19937 random{7};
    std::vector<tslab::slab_meta*> order{pages.begin(), pages.begin() + 100};
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
    std::vector<tslab::slab_meta*> pages;
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
    tslab::slab_meta* const a = heap.take(10, page_bytes);
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
    tslab::slab_meta* const a = heap.take(6, page_bytes);
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
    BOOST_TEST(heap.free_resident_class(heap.index_of(a[0])) == 1u);
    BOOST_TEST(heap.free_resident_class(heap.index_of(a[2])) == 4u);
    BOOST_TEST(heap.free_resident_class(heap.index_of(a[3])) == tslab::large_class);
    BOOST_TEST(heap.free_resident_class(heap.index_of(a[4])) == tslab::large_class);
    BOOST_TEST(heap.free_resident_class(heap.index_of(a[5])) == 1u);
    BOOST_TEST(heap.free_resident_class(heap.index_of(a[6])) > tslab::large_class);   // never used
    auto const done = heap.purge();
    BOOST_TEST(done.calls == 1u);
    BOOST_TEST(done.asked == 6 * page_bytes);
    BOOST_TEST(done.gone == 6 * page_bytes);
    BOOST_TEST(heap.purged_of(1).calls == 1u);   // the run begins with one of them
    BOOST_TEST(heap.purged_of(1).bytes == 3 * page_bytes);
    BOOST_TEST(heap.purged_of(4).calls == 0u);
    BOOST_TEST(heap.purged_of(4).bytes == page_bytes);
    BOOST_TEST(heap.purged_of(tslab::large_class).bytes == 2 * page_bytes);
    BOOST_TEST(heap.free_resident_class(heap.index_of(a[0])) > tslab::large_class);   // no longer resident
    // Taken again, they are no longer what they were.
    tslab::slab_meta* const again = heap.take(6, page_bytes);
    BOOST_TEST(again == a);
    again[3].was = 2 + 1;
    heap.give(again[3], 1);
    BOOST_TEST(heap.free_resident_class(heap.index_of(a[3])) == 2u);
    BOOST_TEST(heap.purge().asked == page_bytes);
}

BOOST_AUTO_TEST_CASE(free_units_beyond_the_slack_can_be_withdrawn_restored_and_released)
{
    support::os_hook hook;
    tslab::page_heap heap{0};
    constexpr std::uint32_t pages = 64 * 256;   // 64 MiB
    tslab::slab_meta* const s = heap.take(pages, page_bytes);
    tslab::slab_meta* const stays = heap.take(1, page_bytes);
    BOOST_REQUIRE((s != nullptr && stays != nullptr));
    std::byte* const base = s->base;
    std::uint32_t const index = heap.index_of(*s);
    s->tag = 3;
    s->owner = tslab::owner_ref::none();
    s->remote_free = 5;
    heap.give(*s, pages);
    tslab::page_heap::unit_batch runs{};
    BOOST_TEST(heap.withdraw(runs) == 0u);   // it is resident yet
    heap.purge();
    std::uint64_t const free = heap.free_purged_pages();
    std::size_t n = heap.withdraw(runs);
    BOOST_REQUIRE(n != 0u);
    BOOST_TEST(heap.free_purged_pages() <= tslab::page_heap::slack_pages);
    BOOST_TEST(heap.find(base + (pages - 1) * page_bytes) != nullptr);   // still this heap's
    heap.restore(runs, n);
    BOOST_TEST(heap.free_purged_pages() == free);
    BOOST_TEST(heap.take(pages, page_bytes) == s);
    heap.give(*s, pages);
    heap.purge();
    std::uint64_t const released = hook.release_bytes;
    n = heap.withdraw(runs);
    heap.release(runs, n);
    BOOST_TEST(hook.release_bytes - released >=
               (std::uint64_t{pages} - tslab::page_heap::slack_pages) * page_bytes - 2 * tslab::unit_bytes);
    std::byte* const gone = base + (pages - 1) * page_bytes;
    BOOST_TEST(heap.find(gone) == nullptr);
    BOOST_TEST(heap.reserved_once(gone));
    BOOST_TEST(tslab::resident_bytes(gone, page_bytes) == 0u);
    // Its descriptor can be read, and says what that of a page says which was never used. What comes too late is not seen by who takes it next.
    tslab::slab_meta& late = tslab::page_heap::at(index + pages - 1);
    BOOST_TEST(late.tag.load() == tslab::tag_none);
    BOOST_TEST(late.owner.load().is_none());
    late.remote_free = 1;
    tslab::page_heap other{0};
    tslab::slab_meta* const again = other.take(pages - tslab::page_heap::slack_pages, page_bytes);
    BOOST_REQUIRE(again != nullptr);
    BOOST_TEST(other.find(gone) != nullptr);
    BOOST_TEST(!heap.reserved_once(gone));
    BOOST_TEST(late.remote_free.load() == 0u);
    BOOST_TEST(late.owner.load().is_nowhere());
}

BOOST_AUTO_TEST_CASE(a_bounded_purge_takes_the_pages_with_the_highest_addresses)
{
    tslab::page_heap heap{small_heap};
    std::vector<tslab::slab_meta*> pages;
    for (int i = 0; i < 40; ++i)
        pages.push_back(heap.take(1, page_bytes));
    for (int i = 0; i < 40; i += 2)   // no two are neighbours
        heap.give(*pages[static_cast<std::size_t>(i)], 1);
    auto const done = heap.purge(5);
    BOOST_TEST(done.calls == 5u);
    BOOST_TEST(done.bytes == 5 * page_bytes);
    BOOST_TEST(heap.free_resident_pages() == 15u);
    BOOST_TEST(heap.take(1, page_bytes) == pages[0]);
    BOOST_TEST(heap.purge(0).calls == 0u);
    BOOST_TEST(heap.purge(1000).bytes == 14 * page_bytes);
    BOOST_TEST(heap.free_resident_pages() == 0u);
}

BOOST_AUTO_TEST_CASE(unwanted_are_the_fewest_pages_that_were_free_since_the_last_question)
{
    using watcher = tslab::page_heap::watcher;
    tslab::page_heap heap{small_heap};
    tslab::slab_meta* const s = heap.take(10, page_bytes);
    heap.give(*s, 10);
    BOOST_TEST(heap.unwanted_pages(watcher::of_time) == 0u);   // none was free when the heap began
    BOOST_TEST(heap.unwanted_pages(watcher::of_time) == 10u);
    tslab::slab_meta* const few = heap.take(4, page_bytes);
    heap.give(*few, 4);
    BOOST_TEST(heap.unwanted_pages(watcher::of_time) == 6u);
    BOOST_TEST(heap.unwanted_pages(watcher::of_time) == 10u);
    BOOST_TEST(heap.unwanted_pages(watcher::of_work) == 0u);   // each has a period of its own
    BOOST_TEST(heap.unwanted_pages(watcher::of_work) == 10u);
    heap.purge();
    BOOST_TEST(heap.unwanted_pages(watcher::of_time) == 0u);
}
