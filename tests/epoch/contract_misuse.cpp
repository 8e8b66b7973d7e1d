// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The contract of docs/semantics.md, rule 15: misuse of pointers and of handles is refused, counted and reported. At least one
// case fails if the rule is broken.
#define BOOST_TEST_MODULE contract_misuse
#include <boost/test/unit_test.hpp>

#include "recorder.hpp"

using support::recorder;
using tslab::misuse;

BOOST_AUTO_TEST_CASE(rule_15_misuse_of_pointers_is_refused_counted_by_kind_and_reported)
{
    recorder seen;
    tslab::allocator heap{{.name = "mine"}};
    tslab::allocator other{{.name = "theirs"}};
    tslab::epoch_resource r{heap, {.label = "resource"}};
    auto* const p = static_cast<char*>(heap.malloc(100));
    auto* const large = static_cast<char*>(heap.malloc(100'000));
    void* const foreign = other.malloc(100);
    int local = 0;
    heap.set_label(heap.current_epoch(), "current");

    auto const expect = [&](misuse kind, void const* address) {
        BOOST_REQUIRE(seen.count() == 1u);
        BOOST_TEST((seen.last().kind == kind));
        BOOST_TEST(seen.last().address == address);
        BOOST_TEST(seen.last().heap == "mine");
        seen.clear();
    };
    heap.free(p + 1);
    expect(misuse::interior_pointer, p + 1);
    heap.free(p + 64);
    expect(misuse::interior_pointer, p + 64);
    heap.free(large + 16);
    expect(misuse::interior_pointer, large + 16);
    heap.free(large + 8192);
    expect(misuse::interior_pointer, large + 8192);
    heap.free(&local);
    expect(misuse::foreign_pointer, &local);
    heap.free(reinterpret_cast<void*>(std::uintptr_t{0x10}));
    expect(misuse::foreign_pointer, reinterpret_cast<void*>(std::uintptr_t{0x10}));
    heap.free(foreign);
    BOOST_TEST(seen.last().other == "theirs");
    expect(misuse::wrong_heap, foreign);
    r.deallocate(p, 100);
    BOOST_TEST(seen.last().other == "resource");
    BOOST_TEST(seen.last().label == "current");
    expect(misuse::wrong_resource, p);
    void* const q = r.allocate(100);
    r.deallocate(q, 300);
    BOOST_TEST(seen.last().given == 300u);
    BOOST_TEST(seen.last().size_class == 112u);
    expect(misuse::wrong_size, q);
    r.deallocate(static_cast<char*>(q) + 8, 100);
    expect(misuse::interior_pointer, static_cast<char*>(q) + 8);
    r.deallocate(q, 100);
    r.deallocate(q, 100);
    expect(misuse::double_free, q);
    heap.free(large);
    heap.free(large);
    expect(misuse::double_free, large);
    heap.free(p);
    heap.free(p);
    expect(misuse::double_free, p);
    heap.free(nullptr);
    BOOST_TEST(seen.count() == 0u);

    BOOST_TEST(heap.snapshot().global.misuses == 13u);
    BOOST_TEST(heap.state().misuses(misuse::interior_pointer) == 5u);
    BOOST_TEST(heap.state().misuses(misuse::double_free) == 3u);
    BOOST_TEST(heap.state().misuses(misuse::foreign_pointer) == 2u);
    BOOST_TEST(heap.state().misuses(misuse::wrong_heap) == 1u);
    BOOST_TEST(heap.state().misuses(misuse::wrong_size) == 1u);
    BOOST_TEST(heap.state().misuses(misuse::wrong_resource) == 1u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(other.snapshot().global.live_objects == 1u);
    other.free(foreign);
}

BOOST_AUTO_TEST_CASE(rule_15_misuse_of_handles_is_a_result_and_never_a_crash)
{
    recorder const seen;
    tslab::allocator heap;
    tslab::allocator other;
    tslab::handle h, theirs;
    BOOST_REQUIRE(heap.allocate(128, heap.current_epoch(), h) != nullptr);
    BOOST_REQUIRE(other.allocate(128, other.current_epoch(), theirs) != nullptr);
    BOOST_TEST((heap.free(theirs) == tslab::free_result::foreign));
    BOOST_TEST((heap.free(tslab::handle{}) == tslab::free_result::foreign));
    BOOST_TEST((heap.free(tslab::handle{h.bits() ^ 1}) == tslab::free_result::corrupt));   // an even generation is none
    BOOST_TEST((heap.free(tslab::handle{h.bits() | std::uint64_t{0x3ffffff} << 31}) == tslab::free_result::corrupt));
    BOOST_TEST((heap.free(h) == tslab::free_result::ok));
    BOOST_TEST((heap.free(h) == tslab::free_result::already_free));
    tslab::handle again;
    std::vector<tslab::handle> all;
    for (int i = 0; i < 64; ++i) {   // until the slot has been handed out again
        (void)heap.allocate(128, heap.current_epoch(), again);
        all.push_back(again);
    }
    BOOST_TEST((heap.free(h) == tslab::free_result::stale));
    for (auto one : all)
        BOOST_TEST((heap.free(one) == tslab::free_result::ok));
    BOOST_TEST(heap.snapshot().global.refused_handles == 6u);
    BOOST_TEST(seen.count() == 0u);
    BOOST_TEST((other.free(theirs) == tslab::free_result::ok));
}
