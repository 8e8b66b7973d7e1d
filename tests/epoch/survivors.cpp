// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Objects that outlive the close or trim of their epoch keep the pages they touch and no others, by mincore; their slab
// is used again, or recycled, as any other; and each page that is purged is counted once.
#define BOOST_TEST_MODULE survivors
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <set>
#include <vector>

#include "recorder.hpp"
#include "stress.hpp"
#include "survivors.hpp"

using support::on_other_thread;
using support::recorder;
using survivors::count;
using survivors::eager;
using survivors::filled_slab;
using survivors::for_each_class;
using survivors::purge_watch;
using survivors::purges;
using survivors::slots_of;
using tslab::page_bytes;
using tslab::reclaim_policy;

BOOST_AUTO_TEST_CASE(one_survivor_keeps_the_pages_that_it_touches)
{
    for_each_class([](tslab::bin_geometry const& b, unsigned c) {
        for (unsigned const slot : {0U, 1U, b.slots / 2U, b.slots - 2U, b.slots - 1U}) {
            tslab::allocator heap{eager()};
            if (!purges(heap))
                return;
            filled_slab s{heap, b, heap.current_epoch()};
            tslab::epoch_id const e = heap.current_epoch();
            s.free_but(heap, {slot});
            tslab::close_report const report = heap.close(e);
            BOOST_TEST((s.resident() == s.touched()));
            BOOST_TEST(s.intact());
            std::uint64_t const bytes = b.slab_bytes() - count(s.touched()) * page_bytes;
            BOOST_TEST(report.madvise_bytes == bytes);
            BOOST_TEST(report.madvise_asked_bytes == bytes);
            BOOST_TEST(report.madvise_gone_bytes == bytes);
            BOOST_TEST((report.madvise_calls >= 1U) == (bytes != 0U));   // one object may touch both pages
            BOOST_TEST(report.madvise_calls <= 2U);
            BOOST_TEST(!report.drained);
            tslab::snapshot const now = heap.snapshot();
            BOOST_TEST(now.classes[c].madvise_bytes == bytes);
            BOOST_TEST(now.classes[c].madvise_calls == report.madvise_calls);
            BOOST_TEST(now.global.madvise_bytes == bytes);
            BOOST_TEST(now.global.madvise_calls == report.madvise_calls);
            BOOST_TEST(now.classes[c].live_objects == 1U);
            BOOST_TEST(*now.classes[c].resident_bytes == count(s.touched()) * page_bytes);
            auto const of = std::ranges::find(now.epochs, e.index, &tslab::epoch_stats::index);
            BOOST_REQUIRE((of != now.epochs.end()));
            BOOST_TEST(of->madvise_bytes == bytes);
            BOOST_TEST(*of->resident_bytes == count(s.touched()) * page_bytes);
            s.free_but(heap, {});
            heap.trim();
            BOOST_TEST(count(s.resident()) == 0U);
            BOOST_TEST(heap.snapshot().global.madvise_bytes == b.slab_bytes());
            BOOST_TEST(stress::wrong_with(heap) == "");
        }
    });
}

BOOST_AUTO_TEST_CASE(every_page_goes_once_however_often_it_is_closed)
{
    for_each_class([](tslab::bin_geometry const& b, unsigned) {
        purge_watch watch;
        tslab::allocator heap{eager()};
        if (!purges(heap))
            return;
        tslab::epoch_id const e = heap.current_epoch();
        filled_slab s{heap, b, e};
        std::set<unsigned> stay = slots_of(b, {1U, 5U, 7U, 8U, b.slots - 1U});
        s.free_but(heap, stay);
        heap.close(e);
        while (!stay.empty()) {
            BOOST_TEST((s.resident() == s.touched()));
            std::uint64_t const calls = watch.calls;
            tslab::close_report const again = heap.close(e);
            BOOST_TEST(again.found);
            BOOST_TEST(again.madvise_calls == 0U);
            BOOST_TEST(watch.calls == calls);
            stay.erase(stay.begin());
            s.free_but(heap, stay);
            heap.trim(e);
            BOOST_TEST(s.intact());
        }
        heap.trim();
        BOOST_TEST((watch.times(s) == std::pair{1U, 1U}));
        BOOST_TEST(count(s.resident()) == 0U);
        BOOST_TEST(stress::wrong_with(heap) == "");
    });
}

// The last free recycles the slab; pages purged before are not counted as resident, and are not purged again.
BOOST_AUTO_TEST_CASE(a_slab_that_comes_back_later_is_counted_as_it_is)
{
    for_each_class([](tslab::bin_geometry const& b, unsigned) {
        for (bool const elsewhere : {false, true}) {
            // `never`, so that free resident pages stay to be counted.
            tslab::allocator heap{
                {.name = "never", .reclaim = reclaim_policy::never, .slab_cache = 0, .publish = false}};
            if (!purges(heap))
                return;
            tslab::epoch_id const e = heap.current_epoch();
            filled_slab s{heap, b, e};
            s.free_but(heap, {2U});
            tslab::close_report const report = heap.close(e);
            BOOST_TEST(report.madvise_calls == 0U);   // as the policy says
            BOOST_TEST(count(s.resident()) == (b.slots * std::size_t{b.size} + page_bytes - 1) / page_bytes);
            tslab::close_report const trimmed = heap.trim();
            BOOST_TEST((s.resident() == s.touched()));
            std::uint64_t const gone = b.slab_bytes() - count(s.touched()) * page_bytes;
            BOOST_TEST(trimmed.madvise_bytes >= gone);
            std::uint64_t const resident_before = heap.state().pages().free_resident_pages();
            std::uint64_t const purged_before = heap.state().pages().free_purged_pages();
            std::size_t const stays = count(s.touched());
            if (elsewhere)
                on_other_thread([&] { s.free_but(heap, {}); });
            else
                s.free_but(heap, {});
            heap.state().flush_retained(*heap.state().record());
            heap.state().slabs().empty();
            BOOST_TEST(heap.state().pages().free_resident_pages() - resident_before == stays);
            BOOST_TEST(heap.state().pages().free_purged_pages() - purged_before == b.pages - stays);
            BOOST_TEST(heap.trim().madvise_bytes == stays * page_bytes);
            BOOST_TEST(stress::wrong_with(heap) == "");
        }
    });
}

// Trimmed while the epoch is in use: the slab is acquired, its pages become resident as they are touched, and are
// purged again.
BOOST_AUTO_TEST_CASE(an_open_epoch_goes_on_in_a_slab_that_was_trimmed)
{
    for_each_class([](tslab::bin_geometry const& b, unsigned) {
        tslab::allocator heap{eager()};
        if (!purges(heap))
            return;
        tslab::epoch_id const e = heap.current_epoch();
        filled_slab s{heap, b, e};
        for (int round = 0; round < 3; ++round) {
            s.free_but(heap, {1U, b.slots - 1U});
            heap.trim(e);
            BOOST_TEST((s.resident() == s.touched()));
            BOOST_TEST(s.intact());
            for (unsigned i = 0; i < b.slots - 2U; ++i) {
                auto* const p = static_cast<std::byte*>(heap.malloc(b.size, e));
                std::size_t const slot = static_cast<std::size_t>(p - s.base) / b.size;
                BOOST_REQUIRE(slot < b.slots);
                BOOST_REQUIRE(s.objects[slot].p == nullptr);
                s.objects[slot].p = p;
                s.objects[slot].fill();
            }
            for (stress::object const& o : s.objects) {
                std::fill_n(o.p, b.size, std::byte{0x5a});
                o.fill();
            }
            BOOST_TEST((s.resident() == s.touched()));
            BOOST_TEST(s.intact());
        }
        s.free_but(heap, {});
        stress::close_everything(heap);
        heap.trim();
        BOOST_TEST(count(s.resident()) == 0U);
        BOOST_TEST(stress::wrong_with(heap) == "");
    });
}

// An empty cached slab with purged pages is a slab like any other when it is taken again.
BOOST_AUTO_TEST_CASE(a_cached_slab_with_pages_gone_is_used_again)
{
    for_each_class([](tslab::bin_geometry const& b, unsigned) {
        purge_watch watch;
        tslab::allocator heap{{.name = "cached", .slab_cache = 512, .publish = false}};
        if (!purges(heap))
            return;
        tslab::epoch_id const e = heap.current_epoch();
        filled_slab s{heap, b, e};
        s.free_but(heap, {0U});
        heap.close(e);
        BOOST_TEST((s.resident() == s.touched()));
        s.free_but(heap, {});
        tslab::epoch_id const next = heap.current_epoch();
        filled_slab again{heap, b, next};
        BOOST_REQUIRE(again.base == s.base);
        again.free_but(heap, {b.slots - 1U});
        heap.close(next);
        BOOST_TEST((again.resident() == again.touched()));
        BOOST_TEST(again.intact());
        again.free_but(heap, {});
        heap.trim();
        BOOST_TEST(count(again.resident()) == 0U);
        BOOST_TEST(watch.times(again).first >= 1U);
        BOOST_TEST(watch.times(again).second == 2U);
        BOOST_TEST(stress::wrong_with(heap) == "");
    });
}

// A thread that flushes its cache after the epoch was closed does what the closer could not.
BOOST_AUTO_TEST_CASE(claims_handed_back_late_give_their_pages_too)
{
    for_each_class([](tslab::bin_geometry const& b, unsigned) {
        tslab::allocator heap{eager()};
        if (!purges(heap))
            return;
        tslab::epoch_id const e = heap.current_epoch();
        filled_slab s{heap, b, e};
        s.free_but(heap, {1U});
        heap.advance();
        BOOST_TEST(count(s.resident()) > count(s.touched()));   // no system call
        heap.free(heap.malloc(64));                             // the thread's next operation
        BOOST_TEST((s.resident() == s.touched()));
        BOOST_TEST(s.intact());
        s.free_but(heap, {});
        heap.trim();
        BOOST_TEST(stress::wrong_with(heap) == "");
    });
}

BOOST_AUTO_TEST_CASE(the_end_of_a_scope_gives_the_pages_between_its_survivors)
{
    recorder const seen;   // of leaks
    for_each_class([](tslab::bin_geometry const& b, unsigned) {
        tslab::allocator heap{eager()};
        if (!purges(heap))
            return;
        std::byte* kept = nullptr;
        {
            tslab::epoch_scope const scope{heap, "with a survivor"};
            std::vector<void*> all;
            for (unsigned i = 0; i < b.slots; ++i) {
                all.push_back(scope.resource()->allocate(b.size));
                std::fill_n(static_cast<std::byte*>(all.back()), b.size, std::byte{1});
            }
            kept = static_cast<std::byte*>(all.back());
            all.pop_back();
            for (void* const p : all)
                scope.resource()->deallocate(p, b.size);
        }
        std::byte* const base = heap.state().slab_at(kept)->base;
        auto const first = static_cast<std::size_t>(kept - base) / page_bytes;
        auto const last = static_cast<std::size_t>(kept - base + b.size - 1) / page_bytes;
        BOOST_TEST(tslab::resident_bytes(base, b.slab_bytes()) == (last - first + 1) * page_bytes);
        BOOST_TEST((std::ranges::all_of(kept, kept + b.size, [](std::byte x) { return x == std::byte{1}; })));
        heap.free(kept);
        stress::close_everything(heap);
        BOOST_TEST(heap.snapshot().global.slabs_in_use == 0U);
    });
}

// The kernel refuses any of the pages: the note of the others is exact, and the next close purges the rest.
BOOST_AUTO_TEST_CASE(a_refused_call_is_counted_and_made_up_for)
{
    for_each_class([](tslab::bin_geometry const& b, unsigned c) {
        bool refused = true;
        for (std::uint64_t n = 0; refused; ++n) {
            purge_watch watch;
            tslab::allocator heap{eager()};
            if (!purges(heap))
                return;
            tslab::epoch_id const e = heap.current_epoch();
            std::vector<filled_slab> slabs;
            for (int i = 0; i < 2; ++i)
                slabs.emplace_back(heap, b, e);
            for (filled_slab& s : slabs)
                s.free_but(heap, slots_of(b, {1U, 2U, 6U, 9U}));
            std::vector<std::vector<unsigned char>> before;
            for (filled_slab const& s : slabs)
                before.push_back(s.resident());
            watch.refuse_at = n;
            tslab::close_report const report = heap.close(e);
            refused = watch.refused != 0;
            BOOST_TEST(report.madvise_failures == watch.refused);
            watch.relent();
            BOOST_TEST(report.madvise_asked_bytes >= report.madvise_bytes);
            BOOST_TEST(report.madvise_gone_bytes >= report.madvise_bytes);   // see below
            BOOST_TEST(heap.snapshot().classes[c].madvise_failures == report.madvise_failures);
            bool const complete =
                std::ranges::all_of(slabs, [](filled_slab const& s) { return s.resident() == s.touched(); });
            if (!refused)
                BOOST_TEST(complete);
            // Page by page: what was resident and not purged is resident. Pages behind the last slot never were.
            for (std::size_t k = 0; k < slabs.size(); ++k) {
                std::vector<unsigned char> const after = slabs[k].resident();
                for (std::uint32_t i = 0; i < b.pages; ++i) {
                    auto const page = reinterpret_cast<std::uintptr_t>(slabs[k].base) + i * page_bytes;
                    BOOST_TEST((after[i] == 1) == (before[k][i] == 1 && watch.pages[page] == 0U));
                }
            }
            if (n % 2 == 0)
                heap.close(e);   // without it the slabs are recycled with the pages purged so far
            for (filled_slab& s : slabs) {
                BOOST_TEST(s.intact());
                if (n % 2 == 0)
                    BOOST_TEST((s.resident() == s.touched()));
                s.free_but(heap, {});
            }
            heap.trim();
            for (filled_slab const& s : slabs) {
                BOOST_TEST((watch.times(s) == std::pair{1U, 1U}));
                BOOST_TEST(count(s.resident()) == 0U);
            }
            BOOST_TEST(stress::wrong_with(heap) == "");
        }
    });
}

// A page that another object of the slab touches stays, wherever the purged run begins or ends.
BOOST_AUTO_TEST_CASE(runs_of_unused_pages_are_those_that_counting_finds)
{
    stress::random_source r = stress::source_for(1);
    for_each_class([&r](tslab::bin_geometry const& b, unsigned) {
        auto const pages_of = [&b](std::uint64_t free) {
            std::vector<bool> used(b.pages, false);
            auto const use = [&used](std::size_t begin, std::size_t end) {
                for (std::size_t page = begin / page_bytes; page * page_bytes < end; ++page)
                    used[page] = true;
            };
            for (unsigned slot = 0; slot < b.slots; ++slot)
                if ((free >> slot & 1U) == 0)
                    use(slot * std::size_t{b.size}, (slot + 1) * std::size_t{b.size});
            if ((free & tslab::tail_bit(b)) == 0)
                use(b.slots * std::size_t{b.size}, b.slab_bytes());
            return used;
        };
        for (int i = 0; i < (support::sanitized ? 5 : 50); ++i) {
            std::uint64_t const all = b.full_mask | tslab::tail_bit(b);
            std::uint64_t const free = (i == 0 ? all : r() | (i % 3 == 0 ? r() : 0)) & all;
            std::uint64_t const before = free & (i % 4 == 0 ? 0 : r());
            std::vector<bool> const unused_now = pages_of(free), unused_before = pages_of(before);
            std::vector<bool> found(b.pages, false);
            std::uint32_t end = 0;
            tslab::for_each_unused_run(b, free, before, [&](tslab::page_run run) {
                BOOST_REQUIRE(run.count != 0U);
                BOOST_REQUIRE(run.first >= end);
                end = run.first + run.count;
                BOOST_REQUIRE(end <= b.pages);
                std::fill_n(found.begin() + run.first, run.count, true);
                // If the call is refused, no resident page is noted as purged.
                std::uint64_t const noted = before | (free & tslab::slots_before_page(b, run.first));
                std::vector<bool> const said = pages_of(noted);
                for (std::uint32_t p = 0; p < b.pages; ++p) {
                    bool const went = !unused_before[p] || (p < run.first && !unused_now[p]);
                    BOOST_REQUIRE(!said[p] == went);
                }
            });
            for (std::uint32_t p = 0; p < b.pages; ++p)
                BOOST_REQUIRE(found[p] == (!unused_now[p] && unused_before[p]));
        }
    });
}
