// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// close and trim: what is reclaimed, what is reported, and unusual calls. What happens beside them is in close_races.cpp.
#define BOOST_TEST_MODULE close
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

#include "filled.hpp"
#include "os_hook.hpp"
#include "recorder.hpp"

using filled::fill;
using support::stats_of;
using tslab::lifecycle;
using tslab::reclaim_policy;

BOOST_AUTO_TEST_CASE(counts_every_slab_once_as_scanned_and_empty_ones_as_recycled)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    auto const all = fill(heap, e, 640, 64);   // ten slabs
    for (std::size_t i = 0; i < all.size(); ++i)
        if (i / 64 < 7)
            heap.free(all[i]);
    heap.advance();
    auto const before = stats_of(heap, e);
    BOOST_TEST(before.live_objects == 192u);
    auto const r = heap.close(e);
    BOOST_TEST(r.found);
    BOOST_TEST(!r.drained);
    BOOST_TEST(r.scanned_slabs == before.slabs);
    BOOST_TEST(r.recycled_slabs == before.slabs - 3);
    BOOST_TEST(stats_of(heap, e).slabs == 3u);
    BOOST_TEST(stats_of(heap, e).empty_slabs == 0u);
    for (std::size_t i = 0; i < all.size(); ++i)
        if (i / 64 >= 7)
            heap.free(all[i]);
    BOOST_TEST((stats_of(heap, e).lifecycle == lifecycle::drained));
}

BOOST_AUTO_TEST_CASE(eager_leaves_nothing_resident_and_cached_keeps_its_32_pages)
{
    constexpr unsigned c = 6;
    constexpr std::uint64_t slab_bytes = tslab::bins[c].slab_bytes();
    constexpr std::uint64_t slabs = 64;
    for (auto policy : {reclaim_policy::eager, reclaim_policy::cached, reclaim_policy::never}) {
        support::os_hook hook;
        tslab::allocator heap{{.reclaim = policy}};
        auto const e = heap.current_epoch();
        auto const all = fill(heap, e, slabs * tslab::bins[c].slots, 512);
        for (void* p : all)
            heap.free(p);
        auto const r = heap.close(e);
        std::uint64_t resident = 0;
        for (std::size_t i = 0; i < all.size(); i += 8)
            resident += tslab::resident_bytes(all[i], 1);
        auto const s = heap.snapshot();
        std::uint64_t const kept = s.global.slabs_cached * slab_bytes;
        BOOST_TEST(s.global.slabs_in_use == 0u);
        BOOST_TEST(r.madvise_bytes == hook.purge_bytes);
        switch (policy) {
        case reclaim_policy::eager:
            BOOST_TEST(resident == 0u);
            BOOST_TEST(s.global.slabs_cached == 0u);
            BOOST_TEST(r.madvise_bytes == slabs * slab_bytes);
            BOOST_TEST(r.madvise_calls == 1u);   // neighbours go in one call
            break;
        case reclaim_policy::cached:
            // 32 pages in the heap's cache, 16 in the thread cache and its current slab, about 16 among the thread's
            // empty slabs.
            BOOST_TEST(s.classes[c].cache_size == 32u / tslab::bins[c].pages);
            BOOST_TEST(kept > (32 + 16) * tslab::page_bytes);
            BOOST_TEST(kept <= (32 + 16 + 16) * tslab::page_bytes + slab_bytes);
            BOOST_TEST(resident == kept);
            BOOST_TEST(s.global.free_resident_pages == 0u);
            BOOST_TEST(r.madvise_bytes == slabs * slab_bytes - kept);
            break;
        case reclaim_policy::never:
            BOOST_TEST(resident == slabs * slab_bytes);
            BOOST_TEST(r.madvise_calls == 0u);
            BOOST_TEST(s.global.free_resident_pages * tslab::page_bytes == slabs * slab_bytes - kept);
            break;
        }
    }
}

BOOST_AUTO_TEST_CASE(closing_twice_takes_back_what_has_become_empty_and_counts_one_close)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    auto const all = fill(heap, e, 100, 700);
    auto const first = heap.close(e);
    BOOST_TEST(first.closed);
    BOOST_TEST(!first.drained);
    auto const second = heap.close(e);
    BOOST_TEST(second.found);
    BOOST_TEST(second.closed);
    BOOST_TEST(!second.drained);
    BOOST_TEST(second.recycled_slabs == 0u);
    for (void* p : all)
        heap.free(p);
    auto const third = heap.close(e);
    BOOST_TEST(!third.found);   // the last free drained it
    BOOST_TEST(!third.closed);
    BOOST_TEST(third.scanned_slabs == 0u);
    BOOST_TEST(heap.snapshot().global.epoch_closes == 1u);
    BOOST_TEST(heap.snapshot().global.epoch_drains == 1u);
}

BOOST_AUTO_TEST_CASE(closing_the_current_epoch_opens_the_next_one_first)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    void* const p = heap.malloc(10);
    auto const r = heap.close(e);
    BOOST_TEST(r.closed);
    BOOST_TEST((heap.current_epoch() != e));
    BOOST_TEST(heap.is_active(heap.current_epoch()));
    void* const q = heap.malloc(10);
    BOOST_TEST(q != nullptr);
    heap.free(p);
    heap.free(q);
    BOOST_TEST(heap.snapshot().global.epoch_advances == 1u);
}

BOOST_AUTO_TEST_CASE(what_does_not_exist_is_not_found_and_nothing_happens)
{
    tslab::allocator heap{{.epoch_count = 4}};
    auto const gone = heap.current_epoch();
    heap.advance();
    heap.close(gone);
    auto const before = heap.snapshot();
    for (tslab::epoch_id e :
         {gone, tslab::epoch_id{}, tslab::epoch_id{0, 99}, tslab::epoch_id{3, 1}, tslab::epoch_id{4, 1},
          tslab::epoch_id{~0u, ~std::uint64_t{0}}, tslab::epoch_id{0, ~std::uint64_t{0}}}) {
        for (auto const& r : {heap.close(e), heap.trim(e)}) {
            BOOST_TEST(!r.found);
            BOOST_TEST(!r.closed);
            BOOST_TEST(!r.drained);
            BOOST_TEST((r.epoch == e));
        }
    }
    auto const after = heap.snapshot();
    BOOST_TEST(after.global.epoch_closes == before.global.epoch_closes);
    BOOST_TEST(after.global.epoch_close_total_ns == before.global.epoch_close_total_ns);
    BOOST_TEST((heap.current_epoch().index == 1u));
}

BOOST_AUTO_TEST_CASE(a_thread_that_idles_gives_up_its_claims_and_goes_on_afterwards)
{
    tslab::allocator heap{{.reclaim = reclaim_policy::eager}};
    support::worker idle;
    auto const e = heap.current_epoch();
    void* p = nullptr;
    idle([&] {
        heap.free(heap.malloc(64, e));
        heap.free(heap.malloc(768, e));
        p = heap.malloc(300, e);
    });
    auto const r = heap.close(e);
    BOOST_TEST(r.deferred_claims == 0u);
    BOOST_TEST(r.scanned_slabs == 3u);
    BOOST_TEST(r.recycled_slabs == 2u);
    idle([&] {
        BOOST_TEST(heap.malloc(64, e) == nullptr);
        heap.free(p);
        void* const q = heap.malloc(64);
        BOOST_TEST(q != nullptr);
        heap.free(q);
    });
    BOOST_TEST((stats_of(heap, e).lifecycle == lifecycle::drained));
}

BOOST_AUTO_TEST_CASE(the_claims_of_the_closing_threads_own_resource_come_back_at_once)
{
    tslab::allocator heap;
    tslab::epoch_resource mine{heap, {.label = "mine"}};
    void* const p = mine.allocate(64);
    mine.deallocate(mine.allocate(500), 500);
    auto const r = heap.close(mine.epoch());
    BOOST_TEST(r.deferred_claims == 0u);
    BOOST_TEST(stats_of(heap, mine.epoch()).slabs == 1u);
    BOOST_CHECK_THROW((void)mine.allocate(64), tslab::epoch_closed);
    mine.deallocate(p, 64);
    BOOST_TEST(stats_of(heap, mine.epoch()).slabs == 0u);
    BOOST_TEST((stats_of(heap, mine.epoch()).lifecycle == lifecycle::closing));   // the resource holds it
}

BOOST_AUTO_TEST_CASE(the_claims_of_another_threads_resource_come_back_when_it_ends)
{
    tslab::allocator heap;
    support::worker owner;
    std::optional<tslab::epoch_resource> theirs;
    owner([&] {
        theirs.emplace(heap, tslab::resource_options{.label = "theirs"});
        theirs->deallocate(theirs->allocate(64), 64);
    });
    auto const e = theirs->epoch();
    BOOST_TEST(heap.close(e).deferred_claims == 1u);
    BOOST_TEST(heap.close(e).deferred_claims == 1u);   // unchanged
    BOOST_TEST(heap.snapshot().global.epoch_close_deferred == 2u);
    owner([&] { theirs.reset(); });
    BOOST_TEST((stats_of(heap, e).lifecycle == lifecycle::drained));
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    BOOST_TEST(heap.snapshot().global.leaked_objects == 0u);
}

BOOST_AUTO_TEST_CASE(frees_that_come_late_take_slabs_back_one_by_one)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    auto const all = fill(heap, e, 10 * 32, 128);
    void* const large = heap.malloc(200'000, e);
    heap.close(e);
    BOOST_TEST(stats_of(heap, e).slabs == 10u);
    for (std::size_t slab = 0; slab < 10; ++slab) {
        for (std::size_t i = 0; i < 31; ++i)
            heap.free(all[slab * 32 + i]);
        BOOST_TEST(stats_of(heap, e).slabs == 10 - slab);
        if (slab % 2 == 0)
            heap.free(all[slab * 32 + 31]);
        else
            support::on_other_thread([&] { heap.free(all[slab * 32 + 31]); });
        BOOST_TEST(stats_of(heap, e).slabs == 9 - slab);
    }
    BOOST_TEST((stats_of(heap, e).lifecycle == lifecycle::closing));
    heap.free(large);
    BOOST_TEST((stats_of(heap, e).lifecycle == lifecycle::drained));
}

BOOST_AUTO_TEST_CASE(a_failing_madvise_is_reported_and_nothing_is_claimed_about_rss)
{
    support::os_hook hook;
    tslab::allocator heap{{.reclaim = reclaim_policy::eager}};
    auto const e = heap.current_epoch();
    auto const all = fill(heap, e, 25 * tslab::bins[7].slots, 768);   // 100 pages
    for (void* p : all)
        heap.free(p);
    hook.fail_purge = true;
    auto const r = heap.close(e);
    BOOST_TEST(r.drained);
    BOOST_TEST(r.madvise_failures >= 1u);
    BOOST_TEST(r.madvise_bytes == 0u);
    BOOST_TEST(heap.snapshot().global.free_resident_pages == 100u);
    BOOST_TEST(stats_of(heap, e).madvise_bytes == 0u);
    hook.fail_purge = false;
    BOOST_TEST(heap.trim().madvise_bytes == 100 * tslab::page_bytes);
    BOOST_TEST(heap.snapshot().global.free_resident_pages == 0u);
}

BOOST_AUTO_TEST_CASE(trim_leaves_the_epoch_open_and_its_live_objects_alone)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    support::worker other;
    auto const all = fill(heap, e, 64 * 5, 64);
    std::vector<void*> theirs;
    other([&] { theirs = fill(heap, e, 64 * 5, 64); });
    for (std::size_t i = 1; i < all.size(); ++i) {
        heap.free(all[i]);
        heap.free(theirs[i]);
    }
    std::memset(all[0], 7, 64);
    auto const r = heap.trim(e);
    BOOST_TEST(r.found);
    BOOST_TEST(!r.closed);
    BOOST_TEST(!r.drained);
    BOOST_TEST(heap.is_active(e));
    BOOST_TEST(stats_of(heap, e).slabs == 2u);
    BOOST_TEST(static_cast<char*>(all[0])[63] == 7);
    void* const more = heap.malloc(64, e);   // from the slab that is left, not from a new one
    BOOST_TEST(stats_of(heap, e).slabs == 2u);
    other([&] { heap.free(heap.malloc(64, e)); });
    BOOST_TEST(stats_of(heap, e).slabs == 2u);
    heap.free(more);
    heap.free(all[0]);
    heap.free(theirs[0]);
}

BOOST_AUTO_TEST_CASE(trimming_everything_empties_the_caches_too)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap};
    for (int i = 0; i < 300; ++i)
        r.deallocate(r.allocate(64), 64);
    auto const all = fill(heap, heap.current_epoch(), 1000, 500);
    std::uint64_t const pages = (1000 + 31) / 32 * 4;
    for (void* p : all)
        heap.free(p);
    heap.close(heap.current_epoch());
    auto const cached = heap.snapshot().classes[6];
    BOOST_TEST(cached.cached_slabs * cached.pages_per_slab >= 32u);
    BOOST_TEST(cached.cached_slabs * cached.pages_per_slab < pages);
    auto const done = heap.trim();
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.slabs_cached == 0u);
    BOOST_TEST(s.global.free_resident_pages == 0u);
    BOOST_TEST(s.global.slabs_in_use == 0u);
    BOOST_TEST(done.madvise_bytes > 32 * tslab::page_bytes);
    BOOST_TEST(heap.is_active(r.epoch()));
    r.deallocate(r.allocate(64), 64);
}
