// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Figures of snapshots after scripted runs: every gauge and counter has its one possible value.
#define BOOST_TEST_MODULE figures
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "os_hook.hpp"
#include "recorder.hpp"

using support::stats_of;

namespace {

std::uint64_t cached_pages(tslab::snapshot const& s)
{
    std::uint64_t pages = 0;
    for (auto const& c : s.classes)
        pages += c.cached_slabs * c.pages_per_slab;
    return pages;
}

}

BOOST_AUTO_TEST_CASE(a_new_heap_shows_one_open_epoch_and_nothing_else)
{
    tslab::allocator heap{{.name = "fresh", .epoch_count = 17}};
    auto const s = heap.snapshot();
    BOOST_TEST(s.name == "fresh");
    BOOST_TEST(s.pid == ::getpid());
    BOOST_TEST(s.page_size == 4096u);
    BOOST_TEST(s.epoch_count == 17u);
    BOOST_TEST(s.current_epoch == 0u);
    BOOST_TEST(s.timestamp_ns > 1'600'000'000'000'000'000u);
    BOOST_TEST(s.classes.size() == tslab::class_count + 1);
    for (unsigned c = 0; c <= tslab::class_count; ++c) {
        BOOST_TEST(s.classes[c].class_index == c);
        BOOST_TEST(s.classes[c].object_size == (c < tslab::class_count ? tslab::class_sizes[c] : 0));
    }
    BOOST_TEST(s.epochs.size() == 1u);
    BOOST_TEST((s.epochs[0].lifecycle == tslab::lifecycle::active));
    BOOST_TEST((s.epochs[0].state == tslab::epoch_state::active));
    auto const& g = s.global;
    BOOST_TEST(g.allocations + g.frees + g.live_objects + g.live_bytes + g.slabs_in_use + g.slabs_cached +
                   g.large_pages ==
               0u);
    BOOST_TEST(g.madvise_calls + g.misuses + g.ring_exhausted + g.domain_enters + g.epoch_closes == 0u);
    BOOST_TEST(g.epoch_opens == 1u);
    BOOST_TEST(g.active_epochs == 1u);
    BOOST_TEST(g.closing_epochs == 0u);
    BOOST_TEST(g.rss_bytes > 0u);
    BOOST_TEST(g.metadata_bytes > 0u);
}

BOOST_AUTO_TEST_CASE(a_scripted_run_has_exact_figures_per_class)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    std::vector<void*> all;
    for (unsigned c = 0; c < tslab::class_count; ++c)
        for (unsigned i = 0; i < 100 + c; ++i)
            all.push_back(heap.malloc(tslab::class_sizes[c], e));
    auto s = heap.snapshot();
    std::uint64_t objects = 0, bytes = 0, slabs = 0, pages = 0;
    for (unsigned c = 0; c < tslab::class_count; ++c) {
        std::uint64_t const n = 100 + c;
        auto const& one = s.classes[c];
        std::uint64_t const per = tslab::bins[c].slab_slots();
        std::uint64_t const per_block = tslab::bins[c].slots;
        BOOST_TEST(one.allocations == n);
        BOOST_TEST(one.live_objects == n);
        BOOST_TEST(one.full_slabs == n / per);
        BOOST_TEST(one.partial_slabs == (n % per != 0 ? 1u : 0u));
        BOOST_TEST(one.empty_slabs == 0u);
        BOOST_TEST(one.slow_path_hits == (n + per_block - 1) / per_block);
        BOOST_TEST(one.new_slab_count == (n + per - 1) / per);
        BOOST_TEST(one.slow_path_cache_miss == (n + per - 1) / per);
        BOOST_TEST(one.cache_hits == 0u);
        BOOST_TEST(one.list_move_partial_to_full == (n - 1) / per);
        objects += n;
        bytes += n * tslab::class_sizes[c];
        slabs += (n + per - 1) / per;
        pages += (n + per - 1) / per * tslab::bins[c].pages;
    }
    BOOST_TEST(s.global.allocations == objects);
    BOOST_TEST(s.global.live_objects == objects);
    BOOST_TEST(s.global.live_bytes == bytes);
    BOOST_TEST(s.global.slabs_in_use == slabs);
    BOOST_TEST(s.global.slab_pages == pages);
    BOOST_TEST(s.global.committed_bytes == pages * tslab::page_bytes);
    BOOST_TEST(s.global.frees == 0u);
    auto const one = stats_of(s, e);
    BOOST_TEST(one.allocations == objects);
    BOOST_TEST(one.live_objects == objects);
    BOOST_TEST(one.live_bytes == bytes);
    BOOST_TEST(one.slabs == slabs);
    BOOST_TEST(one.slab_pages == pages);
    BOOST_TEST(one.classes.size() == tslab::class_count);
    for (auto const& share : one.classes)
        BOOST_TEST(share.pages == share.slabs * tslab::bins[share.class_index].pages);
    for (void* p : all)
        heap.free(p);
    s = heap.snapshot();
    BOOST_TEST(s.global.frees == objects);
    BOOST_TEST(s.global.live_objects == 0u);
    BOOST_TEST(s.global.slab_pages + cached_pages(s) + s.global.free_resident_pages == pages);
    BOOST_TEST(s.global.empty_held_bytes == pages * tslab::page_bytes);
    BOOST_TEST(stats_of(s, e).empty_slabs == s.global.slabs_in_use);
    BOOST_TEST(stats_of(s, e).empty_slab_pages == s.global.slab_pages);
    heap.close(e);
    s = heap.snapshot();
    BOOST_TEST(s.global.slabs_in_use == 0u);
    BOOST_TEST(stats_of(s, e).allocations == objects);   // a drained epoch's total stays until its slot is reused
    BOOST_TEST(s.global.slab_pages == 0u);
    BOOST_TEST(cached_pages(s) + s.global.free_purged_pages + s.global.free_resident_pages ==
               heap.state().pages().used_pages());
    std::uint64_t recycled = 0;
    for (auto const& c : s.classes)
        recycled += c.empty_slab_recycled + c.empty_slab_overflowed;
    BOOST_TEST(recycled == slabs);
}

BOOST_AUTO_TEST_CASE(large_allocations_are_counted_apart)
{
    tslab::allocator heap;
    std::vector<void*> all;
    for (std::size_t n : {65'537u, 70'000u, 131'072u, 1'000'000u})
        all.push_back(heap.malloc(n));
    auto s = heap.snapshot();
    auto const& large = s.classes[tslab::large_class];
    BOOST_TEST(large.allocations == 4u);
    BOOST_TEST(large.live_objects == 4u);
    BOOST_TEST(s.global.large_pages == 17u + 18 + 32 + 245);
    BOOST_TEST(s.global.live_bytes == 65'537u + 70'000 + 131'072 + 1'000'000);
    BOOST_TEST(s.global.slabs_in_use == 0u);
    BOOST_TEST(s.epochs[0].allocations == 4u);
    BOOST_TEST(s.epochs[0].large_pages == 312u);
    BOOST_TEST(s.epochs[0].slab_pages == 0u);
    BOOST_TEST(s.epochs[0].classes.at(0).class_index == tslab::large_class);
    BOOST_TEST(s.epochs[0].classes.at(0).slabs == 0u);
    BOOST_TEST(s.epochs[0].classes.at(0).pages == 312u);
    for (void* p : all)
        heap.free(p);
    s = heap.snapshot();
    BOOST_TEST(s.global.large_pages == 0u);
    BOOST_TEST(s.global.frees == 4u);
    BOOST_TEST(s.global.free_resident_pages == 312u);
}

BOOST_AUTO_TEST_CASE(the_figures_of_an_epoch_begin_anew_with_each_era)
{
    tslab::allocator heap{{.epoch_count = 2}};
    for (std::uint64_t round = 1; round <= 6; ++round) {
        auto const e = heap.current_epoch();
        tslab::epoch_domain d{heap, e, {.label = "round", .auto_close = false}};
        d.enter();
        for (std::uint64_t i = 0; i < round; ++i)
            heap.free(heap.malloc(64));
        d.exit();
        auto const s = stats_of(heap, e);
        BOOST_TEST(s.allocations == round);
        BOOST_TEST(s.enters == 1u);
        BOOST_TEST(s.exits == 1u);
        BOOST_TEST(s.madvise_bytes == 0u);
        BOOST_TEST(s.rss_before_close == 0u);
        heap.close(e);
        BOOST_TEST(stats_of(heap, e).rss_before_close > 0u);
        BOOST_TEST(stats_of(heap, e).allocations == round);
    }
    BOOST_TEST(heap.snapshot().global.allocations == 21u);
}

BOOST_AUTO_TEST_CASE(counters_never_fall)
{
    tslab::allocator heap{{.epoch_count = 8}};
    auto before = heap.snapshot().global;
    for (int i = 0; i < 50; ++i) {
        {
            tslab::epoch_scope s{heap, "scope"};
            (void)s.resource()->allocate(static_cast<std::size_t>(i) * 50);
            s.resource()->release();
        }
        if (i % 5 == 0)
            heap.close(heap.current_epoch());
        heap.free(heap.malloc(static_cast<std::size_t>(i) * 31));
        auto const now = heap.snapshot().global;
        for (auto counter : {&tslab::global_stats::allocations,
                             &tslab::global_stats::frees,
                             &tslab::global_stats::madvise_calls,
                             &tslab::global_stats::madvise_bytes,
                             &tslab::global_stats::slow_path_hits,
                             &tslab::global_stats::epoch_opens,
                             &tslab::global_stats::epoch_closes,
                             &tslab::global_stats::epoch_drains,
                             &tslab::global_stats::domain_enters,
                             &tslab::global_stats::domain_exits,
                             &tslab::global_stats::released_objects,
                             &tslab::global_stats::lock_fast_acquire,
                             &tslab::global_stats::epoch_close_total_ns,
                             &tslab::global_stats::epoch_close_purge_ns,
                             &tslab::global_stats::epoch_close_timed,
                             &tslab::global_stats::epoch_close_scanned_slabs,
                             &tslab::global_stats::epoch_close_recycled_slabs,
                             &tslab::global_stats::purge_ns,
                             &tslab::global_stats::madvise_asked_bytes,
                             &tslab::global_stats::madvise_gone_bytes})
            BOOST_REQUIRE(now.*counter >= before.*counter);
        before = now;
    }
    BOOST_TEST(before.epoch_opens == before.epoch_drains + before.active_epochs + before.closing_epochs);
    BOOST_TEST(before.epoch_closes == before.epoch_drains + before.closing_epochs);
    BOOST_TEST(before.domain_enters == before.domain_exits);
}

BOOST_AUTO_TEST_CASE(threads_are_listed_with_what_they_did)
{
    tslab::allocator heap;
    support::worker a, b;
    std::uint64_t id_a = 0, id_b = 0;
    a([&] {
        for (int i = 0; i < 10; ++i)
            heap.free(heap.malloc(64));
        id_a = tslab::this_thread.id();
    });
    b([&] {
        for (int i = 0; i < 20; ++i)
            heap.free(heap.malloc(70'000));
        id_b = tslab::this_thread.id();
    });
    BOOST_TEST(id_a != id_b);
    std::uint64_t found = 0;
    for (auto const& t : heap.snapshot().threads) {
        if (t.thread_id == id_a) {
            BOOST_TEST(t.alive);
            BOOST_TEST(t.allocations == 10u);
            BOOST_TEST(t.slow_path_hits == 1u);
            ++found;
        } else if (t.thread_id == id_b) {
            BOOST_TEST(t.allocations == 20u);
            ++found;
        }
    }
    BOOST_TEST(found == 2u);
}

BOOST_AUTO_TEST_CASE(madvise_figures_are_those_of_the_calls_made)
{
    support::os_hook hook;
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
    for (int i = 0; i < 10; ++i) {
        tslab::epoch_scope s{heap, "scope"};
        for (int k = 0; k < 100; ++k)
            (void)s.resource()->allocate(384);
        s.resource()->release();
    }
    std::uint64_t const good = hook.purges;
    hook.fail_purge = true;
    heap.free(heap.malloc(9000));
    heap.trim();
    auto const g = heap.snapshot().global;
    BOOST_TEST(g.madvise_calls == hook.purges);
    BOOST_TEST(g.madvise_bytes == hook.purge_bytes);
    BOOST_TEST(g.madvise_failures == hook.purges - good);
    BOOST_TEST(g.madvise_failures >= 1u);
    BOOST_TEST(g.madvise_bytes == 10u * 3 * tslab::bins[5].slab_bytes());   // 100 objects of 384: three slabs
}

BOOST_AUTO_TEST_CASE(an_epoch_reports_its_own_allocations_and_not_those_of_a_dropped_one_before)
{
    using enum tslab::deallocate_policy;
    tslab::allocator heap;
    {
        tslab::epoch_resource r{heap, {.label = "count only", .deallocate = count_only}};
        for (int i = 0; i < 1000; ++i)
            (void)r.allocate(64);
        BOOST_TEST(stats_of(heap, r.epoch()).allocations == 1000u);
    }
    {
        tslab::epoch_resource r{heap, {.label = "released"}};
        for (int i = 0; i < 500; ++i)
            (void)r.allocate(64);
        r.release();
        BOOST_TEST(stats_of(heap, r.epoch()).allocations == 500u);
    }
    tslab::epoch_resource next{heap, {.label = "next"}};
    void* const p = next.allocate(128);
    BOOST_TEST(stats_of(heap, next.epoch()).allocations == 1u);
    next.deallocate(p, 128);
}

BOOST_AUTO_TEST_CASE(a_trim_is_no_close)
{
    tslab::allocator heap;
    tslab::epoch_resource r{heap, {.label = "open"}};
    std::vector<void*> all;
    for (int i = 0; i < 2000; ++i)
        all.push_back(r.allocate(64));
    for (void* const p : all)
        r.deallocate(p, 64);
    heap.trim(r.epoch());
    heap.trim();
    auto const s = heap.snapshot();
    BOOST_TEST(stats_of(s, r.epoch()).rss_before_close == 0u);
    BOOST_TEST(stats_of(s, r.epoch()).madvise_asked_bytes == 0u);
    BOOST_TEST(s.last_close.timestamp_ns == 0u);
    BOOST_TEST(s.global.epoch_close_timed == 0u);
    BOOST_TEST(s.global.epoch_close_scanned_slabs == 0u);
    BOOST_TEST(s.classes[0].epoch_close_calls == 0u);
}

BOOST_AUTO_TEST_CASE(the_end_of_a_resource_in_a_shared_epoch_is_no_close)
{
    tslab::allocator heap;
    for (int i = 0; i < 10; ++i) {
        tslab::epoch_resource r{heap, {.label = "shares", .share_epoch = true}};
        r.deallocate(r.allocate(64), 64);
    }
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.epoch_closes == 0u);
    BOOST_TEST(s.classes[0].epoch_close_calls == 0u);
    BOOST_TEST(s.global.epoch_close_scanned_slabs == 0u);
}

BOOST_AUTO_TEST_CASE(what_a_closed_epoch_gets_back_later_is_counted_as_taken_back_by_closes)
{
    tslab::allocator heap;
    tslab::epoch_id const e = heap.current_epoch();
    support::worker other;
    void* mine = nullptr;
    other([&] { mine = heap.malloc(64); });
    heap.advance();   // closes it without scanning a slab
    BOOST_TEST(heap.snapshot().global.epoch_close_scanned_slabs == 0u);
    other([&] { heap.free(mine); });   // its own thread flushes the cache
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.epoch_close_scanned_slabs == 1u);
    BOOST_TEST(s.global.epoch_close_recycled_slabs == 1u);
    BOOST_TEST((stats_of(s, e).lifecycle == tslab::lifecycle::drained));
}

BOOST_AUTO_TEST_CASE(a_trim_of_everything_tells_all_it_gave_back)
{
    support::os_hook hook;
    tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager}};
    heap.free(heap.malloc(64));
    heap.advance();
    auto const report = heap.trim();
    BOOST_TEST(report.madvise_calls == hook.purges);
    BOOST_TEST(report.madvise_bytes == hook.purge_bytes);
    BOOST_TEST(report.madvise_asked_bytes == report.madvise_bytes);
    BOOST_TEST(hook.purges == 1u);
}

BOOST_AUTO_TEST_CASE(a_slab_is_recycled_once_however_it_travels)
{
    tslab::allocator heap;
    heap.free(heap.malloc(64));
    heap.trim(heap.current_epoch());   // into the thread's cache of empty slabs
    BOOST_TEST(heap.snapshot().classes[0].empty_slab_recycled == 1u);
    heap.trim();   // into the heap's cache, and back to the page heap
    BOOST_TEST(heap.snapshot().classes[0].empty_slab_recycled == 1u);
    BOOST_TEST(heap.snapshot().classes[0].empty_slab_overflowed == 0u);
}

BOOST_AUTO_TEST_CASE(a_thread_that_has_just_entered_an_old_epoch_has_not_forgotten_to_leave_it)
{
    using namespace std::chrono_literals;
    tslab::allocator heap;
    tslab::epoch_resource const old{heap, {.label = "old"}};
    std::this_thread::sleep_for(100ms);
    tslab::epoch_resource const young{heap,
                                      {.share_epoch = true}};   // in the current epoch, which is as old as the heap
    auto const found = heap.leaks(80ms);
    BOOST_REQUIRE(found.size() == 1u);
    BOOST_TEST(found[0].label == "old");
    BOOST_TEST(found[0].entered_seconds >= 0.08);
    BOOST_TEST(found[0].sentence().starts_with("label \"old\": 1 exit missing for " +
                                               tslab::duration_text(found[0].entered_seconds) + ','));
    BOOST_TEST(heap.leaks(0s).size() == 2u);
    BOOST_TEST(stats_of(heap, young.epoch()).entered_seconds < 0.08);
    BOOST_TEST(stats_of(heap, young.epoch()).age_seconds >= 0.08);
}

BOOST_AUTO_TEST_CASE(the_waterfall_adds_up_from_the_first_moment_on_and_is_absent_when_not_asked_for)
{
    tslab::allocator heap;
    auto const adds_up = [&] {
        tslab::snapshot const s = heap.snapshot();
        BOOST_REQUIRE(s.waterfall.has_value());
        auto const& w = *s.waterfall;
        BOOST_TEST(w.rss_bytes == s.global.rss_bytes);
        auto const known = static_cast<std::int64_t>(w.live_bytes + w.slack_bytes + w.empty_slot_bytes +
                                                     w.cached_bytes + w.free_bytes + w.metadata_bytes);
        BOOST_TEST(known + w.not_tslab_bytes == static_cast<std::int64_t>(w.rss_bytes));
        BOOST_TEST(w.metadata_bytes > 0u);
        std::uint64_t of_epochs = 0, of_classes = 0, of_labels = 0;
        for (auto const& e : s.epochs)
            of_epochs += e.resident_bytes.value();
        for (auto const& c : s.classes)
            of_classes += c.resident_bytes.value();
        for (auto const& l : s.labels)
            of_labels += l.resident_bytes.value();
        BOOST_TEST(of_epochs == w.live_bytes + w.slack_bytes + w.empty_slot_bytes);
        BOOST_TEST(of_classes == of_epochs);
        BOOST_TEST(of_labels == of_epochs);
    };
    adds_up();
    std::vector<void*> all;
    for (std::size_t i = 0; i < 3000; ++i)
        all.push_back(heap.malloc(i % 1500));
    for (std::size_t i = 0; i < all.size(); i += 3)
        *static_cast<char*>(all[i]) = 'x';
    adds_up();
    for (std::size_t i = 0; i < all.size(); i += 2)
        heap.free(all[i]);
    adds_up();
    for (std::size_t i = 1; i < all.size(); i += 2)
        heap.free(all[i]);
    heap.trim();
    adds_up();
    tslab::snapshot const without = heap.snapshot({.residency = false});
    BOOST_TEST(!without.waterfall.has_value());
    BOOST_TEST(!without.epochs[0].resident_bytes.has_value());
    BOOST_TEST(!without.classes[0].resident_bytes.has_value());
    BOOST_TEST(!without.labels[0].resident_bytes.has_value());
}
