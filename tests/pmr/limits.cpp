// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Limits of phases, labels and heaps: what they refuse, what they count, and that nothing is left in a count.
#define BOOST_TEST_MODULE limits
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "counted_pages.hpp"
#include "fill.hpp"
#include "recorder.hpp"

using support::fill;
using support::free_all;
using support::kib;
using support::mib;
using support::on_other_thread;
using tslab::epoch_resource;
using tslab::epoch_scope;
using tslab::over_limit;
using tslab::page_bytes;

namespace {

std::uint64_t held_by(tslab::allocator& heap, tslab::epoch_id e)
{
    return heap.record_of(e).count.pages() * page_bytes;
}

std::uint64_t held_by_label(tslab::allocator& heap, std::string_view label)
{
    auto const* const table = heap.state().limits().table();
    for (auto const& l : heap.snapshot({.residency = false}).labels)
        if (l.name == label)
            return table->labels[l.label_id].held() * page_bytes;
    return ~std::uint64_t{0};
}

std::uint64_t held_by_heap(tslab::allocator& heap) { return heap.state().limits().table()->heap.held() * page_bytes; }

/// What should be counted.
std::uint64_t bytes_of(tslab::allocator& heap, tslab::epoch_id e)
{
    return support::pages_in(heap, e.index) * page_bytes;
}

}

BOOST_AUTO_TEST_CASE(slabs_retained_from_the_phase_before_are_within_the_limit)
{
    using way = void (*)(tslab::allocator&);
    for (way const limit_more :
         {way{[](tslab::allocator&) {}}, way{[](tslab::allocator& h) { h.set_limit("GET /join", 512 * mib); }}})
        for (std::size_t const limit : {std::size_t{0}, 32 * kib})
            for (std::optional<std::size_t> const of_heap :
                 {std::optional<std::size_t>{}, std::optional<std::size_t>{1024 * mib}}) {
                tslab::allocator heap{{.limit = of_heap}};
                limit_more(heap);
                {
                    epoch_scope const scope{heap, {.label = "GET /join"}};
                    std::vector<void*> all;
                    for (int i = 0; i < 1100; ++i)
                        all.push_back(scope.resource()->allocate(200));
                    free_all(*scope.resource(), all, 200);
                }
                epoch_scope const scope{heap, {.label = "GET /join", .limit = limit}};
                BOOST_TEST(held_by(heap, scope.epoch()) <= limit);
                auto all = fill(*scope.resource(), 200);
                BOOST_TEST(all.size() * 200 <= limit);
                BOOST_TEST(held_by(heap, scope.epoch()) <= limit);
                BOOST_TEST(held_by(heap, scope.epoch()) == bytes_of(heap, scope.epoch()));
                free_all(*scope.resource(), all, 200);
            }
}

BOOST_AUTO_TEST_CASE(a_phase_holds_its_limit_and_no_page_more)
{
    tslab::allocator heap{{.name = "orders"}};
    epoch_scope const scope{heap, {.label = "GET /join", .limit = 1 * mib}};
    std::optional<over_limit> why;
    for (std::size_t const bytes : {std::size_t{64}, std::size_t{700}, std::size_t{16}, std::size_t{40'000}}) {
        auto all = fill(*scope.resource(), bytes, &why);
        BOOST_REQUIRE(why.has_value());
        std::uint64_t const held = held_by(heap, scope.epoch());
        BOOST_TEST(held <= 1 * mib);
        BOOST_TEST(held == bytes_of(heap, scope.epoch()));
        BOOST_TEST(all.size() * bytes <= 1 * mib);
        BOOST_TEST(held + why->asked() > 1 * mib);   // a page less than a slab is left
        BOOST_TEST((why->of() == over_limit::kind::phase));
        BOOST_TEST(why->held() == held);
        BOOST_TEST(why->limit() == 1 * mib);
        BOOST_TEST(std::string_view{why->label()} == "GET /join");
        free_all(*scope.resource(), all, bytes);
    }
    BOOST_TEST(heap.snapshot().global.limit_refusals == 4u);
    BOOST_TEST(heap.snapshot().global.out_of_memory == 0u);
}

BOOST_AUTO_TEST_CASE(the_exception_is_a_sentence_that_names_the_limit)
{
    tslab::allocator heap{{.name = "orders"}};
    epoch_scope const scope{heap, {.label = "GET /join", .limit = 64 * kib}};
    try {
        static_cast<void>(scope.resource()->allocate(1 * mib));
        BOOST_FAIL("not refused");
    } catch (std::bad_alloc const& e) {
        BOOST_TEST(std::string_view{e.what()} ==
                   "tslab: the phase \"GET /join\" holds 0 bytes, and 1048576 more would exceed "
                   "its limit of 65536");
    }
}

BOOST_AUTO_TEST_CASE(large_allocations_count_and_one_that_does_not_fit_takes_nothing)
{
    tslab::allocator heap;
    epoch_scope const scope{heap, {.label = "job", .limit = 4 * mib}};
    void* const first = scope.resource()->allocate(3 * mib);
    BOOST_TEST(held_by(heap, scope.epoch()) == 3 * mib);
    auto const pages = heap.state().pages().free_resident_pages() + heap.state().pages().free_purged_pages();
    BOOST_CHECK_THROW(static_cast<void>(scope.resource()->allocate(1 * mib + 1)), over_limit);
    BOOST_TEST(heap.state().pages().free_resident_pages() + heap.state().pages().free_purged_pages() == pages);
    void* const second = scope.resource()->allocate(1 * mib);
    BOOST_TEST(held_by(heap, scope.epoch()) == 4 * mib);
    scope.resource()->deallocate(first, 3 * mib);
    BOOST_TEST(held_by(heap, scope.epoch()) == 1 * mib);
    scope.resource()->deallocate(second, 1 * mib);
    BOOST_TEST(held_by(heap, scope.epoch()) == 0u);
}

BOOST_AUTO_TEST_CASE(a_limit_of_0_admits_nothing_and_none_admits_all)
{
    tslab::allocator heap;
    {
        epoch_scope const scope{heap, {.label = "none", .limit = 0}};
        BOOST_CHECK_THROW(static_cast<void>(scope.resource()->allocate(1)), over_limit);
        BOOST_CHECK_THROW(static_cast<void>(scope.resource()->allocate(1 * mib)), over_limit);
        BOOST_TEST(heap.set_limit(scope.epoch(), std::nullopt));
        scope.resource()->deallocate(scope.resource()->allocate(1), 1);
    }
    epoch_scope const less_than_a_page{heap, {.label = "less", .limit = page_bytes - 1}};
    BOOST_CHECK_THROW(static_cast<void>(less_than_a_page.resource()->allocate(1)), over_limit);
    BOOST_TEST(!heap.set_limit(tslab::epoch_id{.index = 9999, .era = 1}, 1 * mib));
    tslab::allocator nothing{{.name = "nothing", .limit = 0}};
    BOOST_TEST(nothing.malloc(1) == nullptr);
}

BOOST_AUTO_TEST_CASE(raw_calls_return_null_and_say_why)
{
    tslab::allocator heap;
    epoch_scope const scope{heap, {.label = "raw", .limit = 64 * kib}};
    std::vector<void*> all;
    while (void* const p = heap.malloc(1000, scope.epoch()))
        all.push_back(p);
    tslab::refusal why{};
    BOOST_TEST(heap.allocate_bytes(1000, 16, scope.epoch(), why) == nullptr);
    BOOST_TEST((why == tslab::refusal::limited));
    why = {};
    BOOST_TEST(heap.allocate_bytes(1 * mib, 16, scope.epoch(), why) == nullptr);
    BOOST_TEST((why == tslab::refusal::limited));
    tslab::handle h;
    BOOST_TEST(heap.allocate(1000, scope.epoch(), h) == nullptr);
    BOOST_TEST(heap.snapshot().global.limit_refusals == 4u);
    for (void* const p : all)
        heap.free(p);
    void* const again = heap.malloc(1000, scope.epoch());
    BOOST_TEST(again != nullptr);
    heap.free(again);
    // A refusal that nobody asked for is not taken for another one's reason.
    BOOST_TEST(heap.malloc(1 * mib, scope.epoch()) == nullptr);
    heap.close(scope.epoch());
    BOOST_CHECK_THROW(static_cast<void>(scope.resource()->allocate(8)), tslab::epoch_closed);
}

BOOST_AUTO_TEST_CASE(what_is_at_hand_is_used_before_a_refusal)
{
    tslab::allocator heap;
    epoch_scope const scope{heap, {.label = "hand", .limit = 256 * kib}};
    epoch_resource& r = *scope.resource();
    auto all = fill(r, 1000);
    BOOST_TEST_REQUIRE(all.size() > 100u);
    // Every other object is freed by another thread: fewer than half of each slab, which no refill looks at otherwise.
    on_other_thread([&] {
        for (std::size_t i = 0; i < all.size(); i += 3)
            r.deallocate(all[i], 1000);
    });
    for (std::size_t i = 0; i < all.size(); i += 3)
        all[i] = r.allocate(1000);
    BOOST_CHECK_THROW(static_cast<void>(r.allocate(1000)), over_limit);
    // All objects of one class are freed by another thread: their slabs serve another class.
    on_other_thread([&] { free_all(r, all, 1000); });
    auto others = fill(r, 300);
    BOOST_TEST(others.size() * 300 > 200 * kib);
    free_all(r, others, 300);
    // What this thread has free is enough for a large allocation.
    r.deallocate(r.allocate(200 * kib), 200 * kib);
    // What another thread caches is taken from it.
    on_other_thread([&] {
        std::vector<void*> some;
        for (int i = 0; i < 60; ++i)
            some.push_back(r.allocate(1000));
        for (void* const p : some)
            r.deallocate(p, 1000);
        std::size_t const before = held_by(heap, scope.epoch());
        BOOST_TEST(before > 0u);
    });
    r.deallocate(r.allocate(256 * kib), 256 * kib);
}

BOOST_AUTO_TEST_CASE(an_idle_thread_keeps_nothing_from_the_phase)
{
    tslab::allocator heap;
    epoch_scope const scope{heap, {.label = "idle", .limit = 256 * kib}};
    epoch_resource& r = *scope.resource();
    tslab::epoch_id const e = scope.epoch();
    support::worker other;
    other([&] {
        std::vector<void*> some;
        for (int i = 0; i < 40; ++i)
            some.push_back(heap.malloc(1000, e));
        for (void* const p : some)
            heap.free(p);
    });
    BOOST_TEST(held_by(heap, e) > 0u);   // in its cache
    r.deallocate(r.allocate(256 * kib), 256 * kib);
}

BOOST_AUTO_TEST_CASE(phases_of_a_label_hold_its_limit_together)
{
    tslab::allocator heap;
    heap.set_limit("GET /join", 1 * mib);
    {
        epoch_scope const a{heap, "GET /join"};
        epoch_scope const other{heap, "GET /orders"};
        auto in_a = fill(*a.resource(), 500);
        BOOST_TEST(held_by_label(heap, "GET /join") == bytes_of(heap, a.epoch()));
        BOOST_TEST(held_by_label(heap, "GET /join") <= 1 * mib);
        epoch_scope const b{heap, "GET /join"};
        std::optional<over_limit> why;
        BOOST_TEST(fill(*b.resource(), 500, &why).empty());
        BOOST_TEST((why->of() == over_limit::kind::label));
        BOOST_TEST(std::string_view{why->what()}.starts_with("tslab: the phases labelled \"GET /join\" hold "));
        other.resource()->deallocate(other.resource()->allocate(3 * mib), 3 * mib);
        free_all(*a.resource(), in_a, 500);
        heap.trim(a.epoch());
        auto in_b = fill(*b.resource(), 500);
        BOOST_TEST(in_b.size() > 500u);
        BOOST_TEST(held_by_label(heap, "GET /join") <= 1 * mib);
        free_all(*b.resource(), in_b, 500);
    }
    BOOST_TEST(held_by_label(heap, "GET /join") == 0u);
}

BOOST_AUTO_TEST_CASE(a_limit_below_what_is_held_refuses_until_enough_is_free)
{
    tslab::allocator heap;
    epoch_scope const scope{heap, "late"};
    epoch_resource& r = *scope.resource();
    std::vector<void*> all;
    for (int i = 0; i < 2000; ++i)
        all.push_back(r.allocate(500));
    void* const large = r.allocate(2 * mib);
    heap.set_limit("late", 64 * kib);   // the phase is open, and was not counted
    BOOST_TEST(held_by_label(heap, "late") >= 2 * mib);
    BOOST_CHECK_THROW(static_cast<void>(r.allocate(64 * kib + 1)), over_limit);
    r.deallocate(large, 2 * mib);
    auto const more = fill(r, 500);
    BOOST_TEST(held_by_label(heap, "late") == bytes_of(heap, scope.epoch()));   // since the slow path of the cache
    all.insert(all.end(), more.begin(), more.end());
    free_all(r, all, 500);
    heap.trim(scope.epoch());
    r.deallocate(r.allocate(500), 500);
    BOOST_TEST(held_by_label(heap, "late") <= 64 * kib);
}

BOOST_AUTO_TEST_CASE(a_new_label_of_an_open_phase_takes_what_it_holds_along)
{
    tslab::allocator heap;
    heap.set_limit("first", 4 * mib);
    heap.set_limit("second", 1 * mib);
    tslab::epoch_id e{};
    {
        epoch_scope const scope{heap, "first"};
        e = scope.epoch();
        void* const p = scope.resource()->allocate(2 * mib);
        BOOST_TEST(held_by_label(heap, "first") == 2 * mib);
        BOOST_TEST(heap.set_label(e, "second"));
        BOOST_TEST(held_by_label(heap, "first") == 0u);
        BOOST_TEST(held_by_label(heap, "second") == 2 * mib);   // above its limit: nothing is taken away
        BOOST_CHECK_THROW(static_cast<void>(scope.resource()->allocate(1)), over_limit);
        BOOST_TEST(heap.set_label(e, "without a limit"));
        BOOST_TEST(held_by_label(heap, "second") == 0u);
        scope.resource()->deallocate(p, 2 * mib);
    }
    BOOST_TEST(held_by_label(heap, "first") == 0u);
}

BOOST_AUTO_TEST_CASE(labels_without_a_number_of_their_own_have_no_limit)
{
    tslab::allocator heap;
    for (unsigned i = 0; i < tslab::label_registry::named; ++i)
        heap.set_limit("label " + std::to_string(i), 1 * mib);   // none existed before
    BOOST_CHECK_EXCEPTION(heap.set_limit("one more", 1 * mib), std::length_error, [](std::length_error const& e) {
        return std::string_view{e.what()}.find("the limit of \"one more\"") != std::string_view::npos;
    });
    heap.set_limit("label 3", 2 * mib);
    heap.set_limit("", 1 * mib);   // phases without a label
    BOOST_TEST(heap.malloc(2 * mib) == nullptr);
    epoch_scope const scope{heap, "one more"};
    scope.resource()->deallocate(scope.resource()->allocate(3 * mib), 3 * mib);
}

BOOST_AUTO_TEST_CASE(the_limit_of_a_heap_is_for_all_its_phases)
{
    tslab::allocator heap{{.name = "bounded", .limit = 2 * mib}};
    {
        epoch_scope const a{heap, "a"};
        auto const in_a = fill(*a.resource(), 500);
        BOOST_TEST(held_by_heap(heap) <= 2 * mib);
        epoch_scope const b{heap, "b"};
        try {
            static_cast<void>(b.resource()->allocate(100 * kib));
            BOOST_FAIL("not refused");
        } catch (over_limit const& e) {
            BOOST_TEST((e.of() == over_limit::kind::heap));
            BOOST_TEST(std::string_view{e.what()}.starts_with("tslab: the phases of the heap \"bounded\" hold "));
        }
        BOOST_TEST(heap.malloc(100 * kib) == nullptr);
        for (void* const p : in_a)
            a.resource()->deallocate(p, 500);
    }
    BOOST_TEST(held_by_heap(heap) == 0u);
    void* const p = heap.malloc(1000);
    BOOST_TEST(p != nullptr);
    heap.free(p);
    heap.advance();   // the epoch of the malloc closes
    heap.trim();
    BOOST_TEST(held_by_heap(heap) == 0u);
}

BOOST_AUTO_TEST_CASE(slabs_that_a_thread_retains_are_counted_by_the_phase_that_has_them)
{
    tslab::allocator heap;
    heap.set_limit("big", 64 * mib);
    for (int i = 0; i < 50; ++i) {
        epoch_scope const scope{heap, i % 3 == 0 ? "small" : "big"};
        std::pmr::vector<std::pmr::string> v{scope.resource()};
        for (int k = 0; k < 100; ++k)
            v.emplace_back(static_cast<std::size_t>(20 + k * 7), 'x');
        if (i % 3 != 0)
            BOOST_TEST(held_by_label(heap, "big") == bytes_of(heap, scope.epoch()));
    }
    BOOST_TEST(held_by_label(heap, "big") == 0u);
    // A limit below what the cache of the thread has retained: it goes before the phase begins.
    epoch_scope const scope{heap, {.label = "tiny", .limit = page_bytes}};
    BOOST_TEST(held_by(heap, scope.epoch()) <= page_bytes);
    scope.resource()->deallocate(scope.resource()->allocate(64), 64);
    BOOST_TEST(held_by(heap, scope.epoch()) <= page_bytes);
}

BOOST_AUTO_TEST_CASE(release_gives_the_count_back)
{
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "released", .limit = 1 * mib}};
    for (int i = 0; i < 20; ++i) {
        static_cast<void>(r.allocate(100 * kib));
        static_cast<void>(fill(r, 200));
        BOOST_TEST(held_by(heap, r.epoch()) <= 1 * mib);
        r.release();
        BOOST_TEST(held_by(heap, r.epoch()) == bytes_of(heap, r.epoch()));
    }
    heap.trim(r.epoch());
    BOOST_TEST(held_by(heap, r.epoch()) == bytes_of(heap, r.epoch()));
}

BOOST_AUTO_TEST_CASE(objects_that_outlive_the_phase_stay_in_the_count)
{
    tslab::allocator heap;
    heap.set_limit("leaky", 1 * mib);
    support::recorder const quiet;
    std::vector<void*> all;
    {
        epoch_scope const scope{heap, "leaky"};
        for (int i = 0; i < 100; ++i)
            all.push_back(scope.resource()->allocate(1000));
    }
    BOOST_TEST(held_by_label(heap, "leaky") > 0u);
    on_other_thread([&] {
        for (void* const p : all)
            heap.free(p);
    });
    BOOST_TEST(held_by_label(heap, "leaky") == 0u);
}

BOOST_AUTO_TEST_CASE(a_resource_that_shares_its_epoch_has_no_limit)
{
    tslab::allocator heap{{.epoch_count = 2}};
    BOOST_CHECK_THROW((epoch_resource{heap, {.label = "x", .share_epoch = true, .limit = 1 * mib}}),
                      std::invalid_argument);
    epoch_scope const a{heap, "a"};   // takes the last slot
    epoch_scope const b{heap, {.label = "b", .limit = 64 * kib}};
    BOOST_TEST(b.domain().shares_epoch());
    b.resource()->deallocate(b.resource()->allocate(1 * mib), 1 * mib);
    BOOST_TEST(heap.snapshot().global.unlimited_scopes == 1u);
}

BOOST_AUTO_TEST_CASE(a_serial_resource_and_a_count_only_one_have_limits)
{
    tslab::allocator heap;
    {
        epoch_resource r{heap, {.label = "serial", .threading = tslab::threading::serial, .limit = 512 * kib}};
        std::vector<void*> all;
        for (int i = 0; i < 6; ++i)
            on_other_thread([&] {
                auto const more = fill(r, 500);
                all.insert(all.end(), more.begin(), more.end());
                for (std::size_t k = 0; k < all.size() / 2; ++k) {
                    r.deallocate(all.back(), 500);
                    all.pop_back();
                }
                BOOST_TEST(held_by(heap, r.epoch()) <= 512 * kib);
            });
        BOOST_TEST(held_by(heap, r.epoch()) == bytes_of(heap, r.epoch()));
        free_all(r, all, 500);
    }
    epoch_resource r{heap,
                     {.label = "counting", .deallocate = tslab::deallocate_policy::count_only, .limit = 512 * kib}};
    auto all = fill(r, 500);
    free_all(r, all, 500);   // only counts
    BOOST_CHECK_THROW(static_cast<void>(r.allocate(500)), over_limit);
    r.release();
    static_cast<void>(r.allocate(500));
}
