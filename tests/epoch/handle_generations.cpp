// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Generations of handles: they neither wrap nor restart. Slots whose generations are used up are passed over, their pages serve pointers,
// and what lived in them is reclaimed.
#define BOOST_TEST_MODULE handle_generations
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "recorder.hpp"
#include "take_handle.hpp"

using support::recorder;
using tslab::free_result;
using tslab::handle;

namespace {

constexpr std::uint32_t last = tslab::handle_fields::last_generation;

/// As if the slot of a handle had been allocated and freed by handle until its generation is `to`. Returns the handle of that use.
handle with_generation(handle of, std::uint32_t to)
{
    auto f = tslab::handle_fields::unpack(of);
    auto& generation = tslab::page_heap::generation(f.page, f.slot);
    f.generation += to - generation.exchange(to);
    return f.pack();
}

std::uint32_t page_of(handle h) { return tslab::handle_fields::unpack(h).page; }

/// Handles of all slots of a slab none of which is used up, the one that the thread allocates from; `others` receives what was
/// allocated on the way there. (Other tests of the process may have used slots up.)
std::vector<handle> take_slab(tslab::allocator& heap, std::size_t bytes, std::vector<handle>& others)
{
    std::map<std::uint32_t, std::vector<handle>> by_page;
    for (;;) {
        handle const h = take(heap, bytes);
        std::vector<handle>& on_page = by_page[page_of(h)];
        on_page.push_back(h);
        if (on_page.size() < tslab::bins[tslab::handle_bin_of(bytes)].slots)
            continue;
        std::vector<handle> all = std::move(on_page);
        for (auto const& [page, of] : by_page)
            if (page != page_of(h))
                others.insert(others.end(), of.begin(), of.end());
        return all;
    }
}

}

BOOST_AUTO_TEST_CASE(a_slot_whose_generations_are_used_up_serves_no_handle_any_more)
{
    for (std::size_t const bytes : {64u, 768u, 100'000u}) {
        recorder const seen;
        tslab::allocator heap;
        void* place = nullptr;
        handle const first = take(heap, bytes, &place);
        BOOST_TEST((heap.free(first) == free_result::ok));
        with_generation(first, last - 3);   // free
        std::vector<handle> ends;
        for (int i = 0; i < 2; ++i) {
            void* p = nullptr;
            ends.push_back(take(heap, bytes, &p));
            BOOST_TEST(p == place);
            BOOST_TEST((heap.free(first) == free_result::stale));
            BOOST_TEST(heap.snapshot().global.live_objects == 1u);
            BOOST_TEST((heap.free(ends.back()) == free_result::ok));
        }
        BOOST_TEST(heap.snapshot().global.retired_handle_slots == 1u);
        std::set<std::uint64_t> bits{first.bits(), ends[0].bits(), ends[1].bits()};
        BOOST_TEST(bits.size() == 3u);
        std::vector<handle> more;
        for (int i = 0; i < 200; ++i) {
            void* p = nullptr;
            more.push_back(take(heap, bytes, &p));
            BOOST_REQUIRE(p != place);
            BOOST_REQUIRE(bits.insert(more.back().bits()).second);
            BOOST_REQUIRE(heap.snapshot({.residency = false}).global.live_objects == more.size());
        }
        for (handle const old : {first, ends[0], ends[1]})
            BOOST_TEST((heap.free(old) != free_result::ok));
        BOOST_TEST((heap.free(ends[1]) == free_result::already_free));
        for (handle const h : more)
            BOOST_TEST((heap.free(h) == free_result::ok));
        auto const s = heap.snapshot().global;
        BOOST_TEST(s.live_objects == 0u);
        BOOST_TEST(s.allocations == 203u);   // a slot that is passed over counts as nothing
        BOOST_TEST(s.retired_handle_slots == 1u);
        BOOST_TEST(seen.count() == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_page_whose_slots_are_used_up_serves_pointers_and_its_epoch_drains)
{
    for (bool const elsewhere : {false, true})
        for (std::size_t const bytes : {64u, 768u}) {
            recorder const seen;
            tslab::allocator heap{{.slab_cache = 0}};
            auto const e = heap.current_epoch();
            std::vector<handle> all;
            std::set<std::uint32_t> pages;
            unsigned const slots = tslab::bins[tslab::handle_bin_of(bytes)].slots;
            for (;;) {   // three full slabs; another test may have used some of their slots up
                handle const h = take(heap, bytes);
                std::uint32_t const page = tslab::handle_fields::unpack(h).page;
                if (pages.size() == 3 && !pages.contains(page)) {
                    BOOST_TEST((heap.free(h) == free_result::ok));
                    break;
                }
                pages.insert(page);
                all.push_back(h);
            }
            for (handle& h : all)
                h = with_generation(h, last);
            auto const free_all = [&] {
                for (handle const h : all)
                    BOOST_REQUIRE(heap.free(h) == free_result::ok);
            };
            if (elsewhere)
                support::on_other_thread(free_all);
            else
                free_all();
            std::vector<handle> later;
            for (unsigned i = 0; i < 10 * slots; ++i) {
                later.push_back(take(heap, bytes));
                BOOST_REQUIRE(!pages.contains(tslab::handle_fields::unpack(later.back()).page));
            }
            BOOST_TEST(heap.snapshot().global.live_objects == later.size());
            for (handle const h : later)
                BOOST_REQUIRE(heap.free(h) == free_result::ok);
            // They serve pointers.
            std::set<std::uint32_t> plain;
            std::vector<void*> objects;
            for (unsigned i = 0; i < 200 * slots; ++i) {
                objects.push_back(heap.malloc(bytes));
                plain.insert(tslab::page_heap::index_of(*heap.state().slab_at(objects.back())));
            }
            BOOST_TEST(std::includes(plain.begin(), plain.end(), pages.begin(), pages.end()));
            for (void* const p : objects)
                heap.free(p);
            heap.close(e);
            heap.trim();
            auto const s = heap.snapshot().global;
            BOOST_TEST(s.live_objects == 0u);
            BOOST_TEST(s.slabs_in_use == 0u);   // the pages that are used up too
            BOOST_TEST(s.closing_epochs == 0u);
            BOOST_TEST(seen.count() == 0u);
        }
}

BOOST_AUTO_TEST_CASE(a_used_up_slot_with_live_neighbours_waits_aside)
{
    tslab::allocator heap;
    auto const e = heap.current_epoch();
    std::vector<handle> all;
    for (int i = 0; i < 64; ++i)
        all.push_back(take(heap, 64));
    for (int i = 0; i < 60; ++i) {   // four live on
        BOOST_TEST((heap.free(all[static_cast<std::size_t>(i)]) == free_result::ok));
        with_generation(all[static_cast<std::size_t>(i)], last + 1);
    }
    std::set<std::uint32_t> pages;
    std::vector<handle> later;
    for (int i = 0; i < 100; ++i) {
        later.push_back(take(heap, 64));
        pages.insert(tslab::handle_fields::unpack(later.back()).page);
    }
    BOOST_TEST(!pages.contains(tslab::handle_fields::unpack(all[0]).page));
    BOOST_TEST(heap.snapshot().global.live_objects == 104u);
    heap.close(e);
    for (std::size_t i = 60; i < 64; ++i)
        BOOST_TEST((heap.free(all[i]) == free_result::ok));
    for (handle const h : later)
        BOOST_TEST((heap.free(h) == free_result::ok));
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.closing_epochs == 0u);
}

// A slot that waits aside is in the word that other threads free into, so none of them sees that word empty.
BOOST_AUTO_TEST_CASE(a_slab_with_a_used_up_slot_is_found_when_other_threads_free_half_of_it)
{
    for (std::size_t const bytes : {64u, 128u, 768u}) {
        tslab::allocator heap;
        std::vector<handle> others;
        std::vector<handle> all = take_slab(heap, bytes, others);
        std::size_t const slots = all.size();
        std::uint32_t const page = page_of(all.front());
        BOOST_TEST((heap.free(all.front()) == free_result::ok));
        with_generation(all.front(), last + 1);
        others.push_back(take(heap, bytes));   // the slot waits aside, and the slab is left
        BOOST_REQUIRE(page_of(others.back()) != page);
        support::on_other_thread([&] {
            for (std::size_t i = 1; i + 1 < slots; ++i)   // the last one lives on
                BOOST_REQUIRE(heap.free(all[i]) == free_result::ok);
        });
        std::size_t again = 0;
        for (std::size_t i = 0; i < 2 * slots; ++i) {   // the slab in use is filled first
            others.push_back(take(heap, bytes));
            again += page_of(others.back()) == page ? 1 : 0;
        }
        BOOST_TEST(again == slots - 2);
        others.push_back(all.back());
        for (handle const h : others)
            BOOST_TEST((heap.free(h) == free_result::ok));
        BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_slab_whose_own_free_slots_are_used_up_serves_what_other_threads_freed_in_it)
{
    tslab::allocator heap;
    std::vector<handle> others;
    std::vector<handle> all = take_slab(heap, 64, others);
    std::uint32_t const page = page_of(all.front());
    BOOST_TEST((heap.free(all[0]) == free_result::ok));
    with_generation(all[0], last + 1);
    support::on_other_thread([&] {   // too few for a scan
        for (std::size_t i = 1; i <= 10; ++i)
            BOOST_REQUIRE(heap.free(all[i]) == free_result::ok);
    });
    for (std::size_t i = 1; i <= 10; ++i) {
        all[i] = take(heap, 64);
        BOOST_TEST(page_of(all[i]) == page);
    }
    all[0] = take(heap, 64);
    BOOST_TEST(page_of(all[0]) != page);
    all.insert(all.end(), others.begin(), others.end());
    for (handle const h : all)
        BOOST_TEST((heap.free(h) == free_result::ok));
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(generations_go_on_when_a_page_is_cut_anew_or_another_heap_takes_it)
{
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> seen;   // by page and slot
    std::set<std::uint64_t> bits;
    std::size_t again = 0;
    for (int round = 0; round < 4; ++round) {
        tslab::allocator heap{{.reclaim = tslab::reclaim_policy::eager, .reserve_bytes = std::size_t{16} << 20}};
        for (std::size_t const bytes : {64u, 100u, 150u, 768u, 5000u}) {
            auto const e = heap.current_epoch();
            std::vector<handle> all;
            for (int i = 0; i < 20; ++i)
                all.push_back(take(heap, bytes));
            for (handle const h : all) {
                auto const f = tslab::handle_fields::unpack(h);
                auto const [at, fresh] = seen.emplace(std::pair{f.page, f.slot}, f.generation);
                if (!fresh) {
                    ++again;
                    // An allocation and a free later, whichever heap it was, and whatever it was cut for.
                    BOOST_REQUIRE(((f.generation - at->second) & tslab::handle_fields::generation_mask) == 2u);
                    at->second = f.generation;
                }
                bits.insert(h.bits() << 8);   // without the heap
                BOOST_REQUIRE(heap.free(h) == free_result::ok);
            }
            heap.close(e);
            heap.trim();
        }
    }
    BOOST_TEST(again > 100u);
    BOOST_TEST(bits.size() == 4u * 5 * 20);
}

BOOST_AUTO_TEST_CASE(a_live_handle_of_a_heap_whose_number_has_the_same_bits_is_foreign)
{
    tslab::allocator first;
    handle const h = take(first, 100);
    for (int i = 0; i < 300; ++i) {
        tslab::allocator other{{.epoch_count = 2, .reserve_bytes = std::size_t{16} << 20, .publish = false}};
        BOOST_REQUIRE(other.free(h) == free_result::foreign);
    }
    BOOST_TEST((first.free(h) == free_result::ok));
}

// A heap may end with live handles. One that another heap of the same tag finds at the beginning of a large allocation names nothing.
BOOST_AUTO_TEST_CASE(a_handle_that_a_heap_left_behind_frees_no_large_allocation)
{
    recorder const seen;
    std::map<std::uint32_t, std::vector<handle>> left;
    std::uint32_t tag = 0;
    {
        tslab::allocator heap{{.decay = std::chrono::milliseconds{0}}};
        for (int i = 0; i < 64 * 200; ++i) {
            handle const h = take(heap, 64);
            auto const f = tslab::handle_fields::unpack(h);
            left[f.page].push_back(h);
            tag = f.heap;
        }
    }
    std::size_t tried = 0;
    for (int heaps = 0; heaps < 1'000 && tried == 0; ++heaps) {
        tslab::allocator heap;
        handle const one = take(heap, 64);
        bool const same = tslab::handle_fields::unpack(one).heap == tag;
        BOOST_TEST((heap.free(one) == free_result::ok));
        if (!same)
            continue;
        std::vector<void*> all;
        for (int i = 0; i < 100; ++i)
            all.push_back(heap.malloc(100'000));
        for (void* const p : all) {
            std::uint32_t const page = heap.state().pages().index_of(*heap.state().slab_at(p));
            for (handle const h : left[page]) {
                ++tried;
                BOOST_TEST((heap.free(h) != free_result::ok));
            }
        }
        BOOST_TEST(heap.snapshot().global.live_objects == all.size());
        for (void* const p : all)
            heap.free(p);
    }
    BOOST_TEST(tried != 0u);
    BOOST_TEST(seen.count() == 1u);   // the first heap ended with live objects
}
