// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a pointer is: the look that frees begin with, for every kind of pointer and every class.
#define BOOST_TEST_MODULE resolve
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "recorder.hpp"

using tslab::resolve;
using tslab::resolved;

namespace {

using what = resolved::what;

what kind_of(tslab::allocator& heap, void const* p) { return resolve(heap.state(), p).is; }

}

BOOST_AUTO_TEST_CASE(a_slot_of_every_class_is_found_with_its_bin_its_number_and_its_subslab)
{
    tslab::allocator heap{{.checks = tslab::check_mode::off}};
    for (unsigned c = 0; c < tslab::class_count; ++c) {
        std::uint32_t const size = tslab::class_sizes[c];
        std::vector<std::byte*> all;
        std::set<std::pair<void*, unsigned>> places;
        for (std::uint32_t i = 0; i < tslab::bins[c].slab_slots() + 3; ++i)
            all.push_back(static_cast<std::byte*>(heap.malloc(size)));
        for (std::byte* const p : all) {
            resolved const at = resolve(heap.state(), p);
            BOOST_REQUIRE((at.is == what::slot));
            BOOST_REQUIRE(at.bin == c);
            BOOST_REQUIRE(at.page == heap.state().slab_at(p));
            BOOST_REQUIRE(at.subslab->base + std::size_t{at.slot} * size == p);
            BOOST_REQUIRE(&tslab::slab_of(*at.subslab, c) == at.page);
            BOOST_REQUIRE(places.emplace(at.subslab, at.slot).second);
            BOOST_REQUIRE(at.is_live());
            BOOST_REQUIRE(!at.in_large());
            BOOST_REQUIRE(at.is_slot_in(c, heap.state().epoch_slabs_at(heap.current_epoch().index)));
            BOOST_REQUIRE(!at.is_slot_in(c + 1, heap.state().epoch_slabs_at(heap.current_epoch().index)));
            for (std::uint32_t const inside : {1U, 8U, size / 2, size - 1})
                if (inside != 0 && inside % size != 0)
                    BOOST_REQUIRE((kind_of(heap, p + inside) == what::interior));
        }
        heap.free(all.front());
        resolved const freed = resolve(heap.state(), all.front());
        BOOST_TEST((freed.is == what::slot));
        BOOST_TEST(!freed.is_live());
        for (std::size_t i = 1; i < all.size(); ++i)
            heap.free(all[i]);
    }
}

BOOST_AUTO_TEST_CASE(a_large_allocation_is_found_by_its_first_byte_and_is_the_page_of_every_other)
{
    tslab::allocator heap{{.checks = tslab::check_mode::off}};
    auto* const p = static_cast<std::byte*>(heap.malloc(1'000'000));
    resolved const at = resolve(heap.state(), p);
    BOOST_TEST((at.is == what::large));
    BOOST_TEST(at.in_large());
    BOOST_TEST(at.page->base == p);
    for (std::size_t const inside :
         {std::size_t{1}, std::size_t{16}, std::size_t{4096}, std::size_t{500'000}, std::size_t{999'999}}) {
        resolved const there = resolve(heap.state(), p + inside);
        BOOST_TEST((there.is == what::interior));
        BOOST_TEST(there.in_large());
        BOOST_TEST(there.page == at.page);
    }
    heap.free(p);
    BOOST_TEST((kind_of(heap, p) == what::freed));
    BOOST_TEST((kind_of(heap, p + 4096) == what::freed));
}

BOOST_AUTO_TEST_CASE(what_is_in_no_slab_is_told_apart)
{
    tslab::allocator heap{{.checks = tslab::check_mode::off}};
    std::optional<tslab::allocator> other{std::in_place};
    void* const mine = heap.malloc(64);
    void* const theirs = other->malloc(64);
    int local = 0;
    BOOST_TEST((kind_of(heap, &local) == what::foreign));
    BOOST_TEST((kind_of(heap, nullptr) == what::foreign));
    BOOST_TEST((kind_of(heap, reinterpret_cast<void const*>(~std::uintptr_t{0})) == what::foreign));
    BOOST_TEST((kind_of(heap, theirs) == what::of_another_heap));
    BOOST_TEST((kind_of(*other, mine) == what::of_another_heap));
    // A page of the heap's last unit, never taken.
    std::uint32_t const unit = tslab::page_heap::index_of(*heap.state().slab_at(mine)) / tslab::unit_pages;
    BOOST_TEST((kind_of(heap, tslab::page_heap::address_of((unit + 1) * tslab::unit_pages - 1)) == what::foreign));
    other->free(theirs);
    other.reset();
    BOOST_TEST((kind_of(heap, theirs) == what::foreign));   // of no heap any more
    heap.free(mine);
    heap.trim();
    BOOST_TEST((kind_of(heap, mine) == what::freed));   // its unit went back
}

BOOST_AUTO_TEST_CASE(a_handle_leads_to_its_slot_or_its_pages)
{
    tslab::allocator heap{{.checks = tslab::check_mode::off}};
    tslab::handle h;
    void* const small = heap.allocate(100, heap.current_epoch(), h);
    auto f = tslab::handle_fields::unpack(h);
    resolved const at = tslab::resolve_named(f.page, f.slot);
    resolved const by_pointer = resolve(heap.state(), small);
    BOOST_TEST((at.is == what::slot));
    BOOST_TEST(at.bin == by_pointer.bin);
    BOOST_TEST(at.bin >= tslab::class_count);
    BOOST_TEST(at.slot == by_pointer.slot);
    BOOST_TEST(at.subslab == by_pointer.subslab);
    BOOST_TEST((tslab::resolve_named(f.page, 63).is == what::freed));   // the slab has fewer slots
    BOOST_TEST((heap.free(h) == tslab::free_result::ok));
    static_cast<void>(heap.allocate(100'000, heap.current_epoch(), h));
    f = tslab::handle_fields::unpack(h);
    BOOST_TEST((tslab::resolve_named(f.page, f.slot).is == what::large));
    BOOST_TEST((heap.free(h) == tslab::free_result::ok));
    BOOST_TEST((tslab::resolve_named(f.page, f.slot).is == what::freed));
}
