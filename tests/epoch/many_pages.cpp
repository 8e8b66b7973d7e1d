// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Slabs of several pages: an object on a later page is found, checked, freed and reported as one on the first; the
// pages are recycled together and serve other classes, and free memory anywhere is found when memory runs out.
#define BOOST_TEST_MODULE many_pages
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "objects.hpp"
#include "os_hook.hpp"
#include "recorder.hpp"

using support::give;
using support::on_other_thread;
using support::recorder;
using support::stats_of;
using support::take;
using tslab::misuse;
using tslab::page_bytes;
using tslab::reclaim_policy;

namespace {

/// Calls `f(class, geometry)` for every class whose slabs have several pages.
template <class F> void for_each_large_slab(F f)
{
    for (unsigned c = 0; c < tslab::class_count; ++c)
        if (tslab::bins[c].pages > 1)
            BOOST_TEST_CONTEXT("class " << tslab::class_sizes[c]) { f(c, tslab::bins[c]); }
}

}

BOOST_AUTO_TEST_CASE(objects_on_every_page_are_freed_by_pointer_by_size_and_by_others)
{
    for_each_large_slab([](unsigned c, tslab::bin_geometry const& b) {
        recorder const seen;
        tslab::allocator heap;
        tslab::epoch_resource r{heap};
        std::vector<void*> all;
        for (unsigned i = 0; i < 3U * b.slots; ++i) {
            all.push_back(r.allocate(b.size));
            std::memset(all.back(), static_cast<int>(i), b.size);
        }
        BOOST_TEST((std::set<void*>{all.begin(), all.end()}.size()) == all.size());
        std::set<tslab::slab_meta*> slabs;
        for (unsigned i = 0; i < all.size(); ++i) {
            auto const* const p = static_cast<unsigned char const*>(all[i]);
            BOOST_REQUIRE(std::count(p, p + b.size, i & 0xff) == static_cast<std::ptrdiff_t>(b.size));
            slabs.insert(heap.state().slab_at(p));
            BOOST_REQUIRE(heap.state().slab_at(p + b.size - 1) == heap.state().slab_at(p));
        }
        BOOST_TEST(slabs.size() == 3u);
        for (unsigned i = 0; i < all.size(); ++i)
            if (i % 3 == 0)
                heap.free(all[i]);
            else if (i % 3 == 1)
                r.deallocate(all[i], b.size);
            else
                on_other_thread([&] { i % 2 == 0 ? heap.free(all[i]) : r.deallocate(all[i], b.size - 1); });
        BOOST_TEST(seen.count() == 0u);
        BOOST_TEST(heap.snapshot().classes[c].live_objects == 0u);
        BOOST_TEST(heap.snapshot().classes[c].allocations == all.size());
    });
}

BOOST_AUTO_TEST_CASE(misuse_of_objects_on_every_page_is_found)
{
    for_each_large_slab([](unsigned c, tslab::bin_geometry const& b) {
        recorder seen;
        tslab::allocator heap{{.name = "h"}};
        tslab::allocator other{{.name = "other"}};
        tslab::epoch_resource r{heap, {.label = "r"}}, second{heap, {.label = "second"}};
        std::vector<std::byte*> all;
        for (unsigned i = 0; i < b.slots; ++i)
            all.push_back(static_cast<std::byte*>(r.allocate(b.size)));
        std::size_t reports = 0;
        auto const expect = [&](misuse kind, void* p) {
            BOOST_REQUIRE(seen.count() == ++reports);
            BOOST_REQUIRE((seen.last().kind == kind));
            BOOST_REQUIRE(seen.last().address == p);
            if (kind != misuse::wrong_heap)
                BOOST_REQUIRE(seen.last().size_class == b.size);
        };
        for (std::byte* const p : all) {
            for (std::size_t const inside : {std::size_t{1}, std::size_t{16}, std::size_t{b.size / 2}, b.size - 1UL}) {
                heap.free(p + inside);
                expect(misuse::interior_pointer, p + inside);
                r.deallocate(p + inside, b.size);
                expect(misuse::interior_pointer, p + inside);
            }
            r.deallocate(p, b.size + 1);
            expect(misuse::wrong_size, p);
            r.deallocate(p, 16);
            expect(misuse::wrong_size, p);
            second.deallocate(p, b.size);
            expect(misuse::wrong_resource, p);
            other.free(p);
            expect(misuse::wrong_heap, p);
        }
        std::byte* const begin = heap.state().slab_at(all[0])->base;
        for (std::size_t page = 0; page < b.pages; ++page)   // page begins that are not slot begins
            if (page * page_bytes % b.size != 0) {
                heap.free(begin + page * page_bytes);
                expect(misuse::interior_pointer, begin + page * page_bytes);
            }
        BOOST_TEST(heap.snapshot().classes[c].live_objects == b.slots);
        for (std::byte* const p : all) {
            r.deallocate(p, b.size);
            heap.free(p);
            expect(misuse::double_free, p);
            on_other_thread([&] { heap.free(p); });
            expect(misuse::double_free, p);
        }
    });
}

BOOST_AUTO_TEST_CASE(a_freed_object_on_a_later_page_of_memory_that_was_given_back_is_a_double_free)
{
    for_each_large_slab([](unsigned, tslab::bin_geometry const& b) {
        recorder seen;
        tslab::allocator heap{{.reclaim = reclaim_policy::eager}};
        auto const all = take(heap, b.slots, b.size);
        give(heap, all);
        heap.close(heap.current_epoch());
        for (void* const p : all) {
            BOOST_TEST(tslab::resident_bytes(p, 1) == 0u);
            heap.free(p);
            BOOST_REQUIRE(seen.count(misuse::double_free) == 1u);
            seen.clear();
        }
        // A small class has the pages now: an address that is no slot of it is reported as that.
        auto const small = take(heap, 42U * b.pages, 96);
        heap.free(static_cast<std::byte*>(all[0]) + 16);
        BOOST_TEST(seen.count(misuse::interior_pointer) == 1u);
        BOOST_TEST(seen.last().size_class == 96u);
        give(heap, small);
    });
}

BOOST_AUTO_TEST_CASE(a_slab_is_kept_by_one_object_on_any_page_and_comes_back_whole)
{
    for_each_large_slab([](unsigned c, tslab::bin_geometry const& b) {
        support::os_hook hook;
        tslab::allocator heap{{.reclaim = reclaim_policy::eager}};
        for (unsigned const keep : {0U, b.slots / 2U, b.slots - 1U}) {
            std::uint64_t const first = std::uint64_t{keep} * b.size / page_bytes;
            std::uint64_t const last = (std::uint64_t{keep} * b.size + b.size - 1) / page_bytes;
            std::uint64_t const touched = (last - first + 1) * page_bytes;   // the others are purged by the close
            auto const e = heap.current_epoch();
            auto const all = take(heap, b.slots, b.size);
            for (void* const p : all)
                std::memset(p, 1, b.size);
            for (unsigned i = 0; i < b.slots; ++i)
                if (i != keep)
                    heap.free(all[i]);
            std::uint64_t const before = hook.purge_bytes;
            auto const r = heap.close(e);
            BOOST_TEST(r.scanned_slabs == 1u);
            BOOST_TEST(r.recycled_slabs == 0u);
            auto const s = heap.snapshot();
            BOOST_TEST(stats_of(s, e).slabs == 1u);
            BOOST_TEST(stats_of(s, e).slab_pages == b.pages);
            BOOST_TEST(stats_of(s, e).resident_bytes.value() == touched);
            BOOST_TEST(s.waterfall.value().live_bytes == b.size);
            BOOST_TEST(s.waterfall.value().untouched_bytes == b.slab_bytes() - touched);
            if (keep == 0)
                heap.free(all[keep]);
            else
                on_other_thread([&] { heap.free(all[keep]); });
            BOOST_TEST(hook.purge_bytes - before == b.slab_bytes());
            BOOST_TEST((stats_of(heap, e).lifecycle == tslab::lifecycle::drained));
        }
        BOOST_TEST(heap.snapshot().classes[c].madvise_bytes == 3 * b.slab_bytes());
    });
}

BOOST_AUTO_TEST_CASE(a_full_slab_without_an_owner_is_listed_by_its_first_free_and_acquired)
{
    for_each_large_slab([](unsigned c, tslab::bin_geometry const& b) {
        tslab::allocator heap;
        std::vector<void*> all;
        on_other_thread([&] { all = take(heap, b.slots, b.size); });
        BOOST_TEST(heap.snapshot().classes[c].full_slabs == 1u);
        heap.free(all.back());
        BOOST_TEST(heap.snapshot().classes[c].list_move_full_to_partial == 1u);
        BOOST_TEST(heap.malloc(b.size) == all.back());
        BOOST_TEST(heap.snapshot().classes[c].adoptions == 1u);
        give(heap, all);
        BOOST_TEST(heap.close(heap.current_epoch()).drained);
    });
}

BOOST_AUTO_TEST_CASE(handles_work_on_every_page)
{
    for (unsigned c = 0; c < tslab::handle_class_count; ++c) {
        tslab::bin_geometry const& b = tslab::bins[c];
        recorder const seen;
        tslab::allocator heap;
        std::vector<tslab::handle> all(3U * b.slots);
        std::vector<void*> where;
        std::set<std::uint64_t> distinct;
        for (tslab::handle& h : all) {
            where.push_back(heap.allocate(b.size, heap.current_epoch(), h));
            BOOST_REQUIRE(where.back() != nullptr);
            std::memset(where.back(), 1, b.size);
            BOOST_REQUIRE(distinct.insert(h.bits()).second);
        }
        BOOST_TEST((std::set<void*>{where.begin(), where.end()}.size()) == all.size());
        auto const no_slab = [](tslab::handle h, std::uint32_t pages) {   // the same on a further page
            auto f = tslab::handle_fields::unpack(h);
            f.page += pages;
            return f.pack();
        };
        for (std::size_t i = 0; i < all.size(); ++i) {
            for (std::uint32_t page = 1; page < b.pages; ++page)
                BOOST_REQUIRE((heap.free(no_slab(all[i], page)) != tslab::free_result::ok));
            if (i % 3 == 0) {
                heap.free(where[i]);
            } else if (i % 3 == 1) {
                BOOST_REQUIRE((heap.free(all[i]) == tslab::free_result::ok));
            } else {
                on_other_thread([&] { BOOST_REQUIRE((heap.free(all[i]) == tslab::free_result::ok)); });
            }
            BOOST_REQUIRE((heap.free(all[i]) == tslab::free_result::already_free));
        }
        BOOST_TEST(heap.snapshot().classes[c].live_objects == 0u);
        BOOST_TEST(seen.count() == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_slab_of_many_pages_that_gets_no_generations_is_not_lost)
{
    support::os_hook hook;
    for (unsigned c = 0; c < tslab::handle_class_count; ++c) {
        tslab::process_window.close();   // with the generations of earlier rounds
        tslab::allocator heap;
        give(heap, take(heap, 1, 96));   // pages are committed from here on
        hook.fail_commit = true;
        tslab::handle h;
        BOOST_TEST(heap.allocate(tslab::class_sizes[c], heap.current_epoch(), h) == nullptr);
        hook.fail_commit = false;
        heap.trim();
        auto const s = heap.snapshot();
        BOOST_TEST(s.global.free_purged_pages == heap.state().pages().used_pages());
        BOOST_TEST(heap.allocate(tslab::class_sizes[c], heap.current_epoch(), h) != nullptr);
        BOOST_TEST((heap.free(h) == tslab::free_result::ok));
    }
}

BOOST_AUTO_TEST_CASE(pages_serve_any_class_after_any_other)
{
    std::mt19937 random{3};
    for (auto const policy : {reclaim_policy::eager, reclaim_policy::never}) {
        recorder const seen;
        tslab::allocator heap{{.reclaim = policy, .slab_cache = 1, .reserve_bytes = std::size_t{16} << 20}};
        for (std::size_t round = 0; round < support::scaled(300); ++round) {
            std::vector<std::pair<unsigned char*, std::size_t>> all;
            std::size_t left = std::size_t{6} << 20;
            while (true) {
                std::size_t const n = 1 + random() % (random() % 4 == 0 ? 65'536 : random() % 4 == 0 ? 200'000 : 800);
                if (n + 16 > left)
                    break;
                left -= n + 16;
                auto* const p = static_cast<unsigned char*>(heap.malloc(n));
                if (p == nullptr)
                    break;
                std::memset(p, static_cast<int>(n & 0xff), n);
                all.emplace_back(p, n);
                if (all.size() > 200)
                    break;
            }
            std::shuffle(all.begin(), all.end(), random);
            for (auto const& [p, n] : all) {
                BOOST_REQUIRE((p[0] == (n & 0xff) && p[n / 2] == (n & 0xff) && p[n - 1] == (n & 0xff)));
                heap.free(p);
            }
            if (round % 7 == 0)
                heap.close(heap.current_epoch());
            if (round % 31 == 0)
                heap.trim();
        }
        auto const s = heap.snapshot();
        BOOST_TEST(s.global.live_objects == 0u);
        BOOST_TEST(s.global.out_of_memory == 0u);
        BOOST_TEST(seen.count() == 0u);
        heap.trim();
        void* const whole = heap.malloc(std::size_t{16} << 20);
        BOOST_TEST(whole != nullptr);
        heap.free(whole);
    }
}

// In a heap of 16 MiB every second page is purged: they are neighbours all the same.
BOOST_AUTO_TEST_CASE(neighbouring_free_pages_are_found_whatever_became_of_them)
{
    tslab::allocator heap{{.reclaim = reclaim_policy::never, .reserve_bytes = std::size_t{16} << 20}};
    auto const first = take(heap, 2048 * 64, 64);   // the first half
    give(heap, first);
    heap.state().empty_caches(heap.state().record());
    heap.state().pages().purge();   // purged; the addresses stay
    std::vector<void*> some = take(heap, 512 * 64, 64);
    give(heap, some);
    heap.close(heap.current_epoch());   // a quarter is resident, a quarter purged, a half was never used
    void* const whole = heap.malloc(std::size_t{16} << 20);
    BOOST_REQUIRE(whole != nullptr);
    std::memset(whole, 1, std::size_t{16} << 20);
    BOOST_TEST(heap.malloc(1) == nullptr);
    heap.free(whole);
    auto const s = heap.snapshot();
    BOOST_TEST(s.global.free_resident_pages == 4096u);
    BOOST_TEST(s.global.free_purged_pages == 0u);
    void* const p = heap.malloc(65'536);
    BOOST_TEST(p != nullptr);
    heap.free(p);
}

// Empty slabs of an attached thread cache serve other classes of the same thread, and other caches.
BOOST_AUTO_TEST_CASE(empty_slabs_of_an_open_epoch_serve_other_classes_when_memory_runs_out)
{
    tslab::allocator heap{{.reserve_bytes = std::size_t{32} << 20}};
    tslab::epoch_resource open{heap, {.label = "open"}};
    for (unsigned c = 0; c < tslab::class_count; ++c) {
        std::vector<void*> all;
        for (unsigned i = 0; i < 4 * tslab::bins[c].slab_slots() && i < 2000; ++i)
            all.push_back(open.allocate(tslab::class_sizes[c]));
        for (void* const p : all)
            open.deallocate(p, tslab::class_sizes[c]);
    }
    void* const live = open.allocate(100);
    BOOST_TEST(stats_of(heap, open.epoch()).empty_slabs > 24u);
    std::size_t const most = std::size_t{28} << 20;
    void* const large = heap.malloc(most);
    BOOST_TEST(large != nullptr);
    BOOST_TEST(heap.snapshot().global.out_of_memory == 0u);
    BOOST_TEST(stats_of(heap, open.epoch()).slabs == 1u);   // that of the live object
    heap.free(large);
    open.deallocate(live, 100);
    for (unsigned const c : {0U, 8U, 13U}) {   // and it works on
        void* const p = open.allocate(tslab::class_sizes[c]);
        open.deallocate(p, tslab::class_sizes[c]);
    }
    BOOST_TEST(heap.snapshot().global.misuses == 0u);
}
