// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Heaps that check, on a system that refuses: memory, the protection of a page, what the table of forwarded objects needs.
// Whatever fails, an object is either had, whole and checked, or it is not, and nothing is lost.
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "faults.hpp"
#include "recorder.hpp"

namespace {

constexpr std::size_t reserved = std::size_t{1} << 21;

/// A heap, and a resource that is made before anything fails.
struct checked_heap {
    checked_heap(tslab::check_mode mode, std::uint32_t guard_sampling)
        : heap{{.name = "refused",
                .reserve_bytes = reserved,
                .publish = false,
                .checks = mode,
                .guard_sampling = guard_sampling}}
    {
    }
    support::recorder seen;
    tslab::allocator heap;
    tslab::epoch_resource resource{heap, {.label = "refused"}};
};

/// Allocates, uses and frees in each way there is. How many objects were refused.
unsigned use(checked_heap& h)
{
    unsigned refused = 0;
    for (std::size_t const n : {std::size_t{40}, std::size_t{3000}, std::size_t{100'000}}) {
        try {
            void* const p = h.resource.allocate(n);
            std::memset(p, 1, n);
            h.resource.deallocate(p, n);
        } catch (std::bad_alloc const&) {
            ++refused;
        }
        if (void* const p = h.heap.malloc(n)) {
            std::memset(p, 2, n);
            h.heap.free(p);
        } else {
            ++refused;
        }
        tslab::handle name;
        if (void* const p = h.heap.allocate(n, h.heap.current_epoch(), name)) {
            std::memset(p, 3, n);
            if (h.heap.free(name) != tslab::free_result::ok)
                refused += 1000;
        } else {
            ++refused;
        }
    }
    return refused;
}

/// Objects of `bytes` until there is no memory for another one.
std::vector<void*> fill(checked_heap& h, std::size_t bytes)
{
    std::vector<void*> all;
    try {
        for (;;)
            all.push_back(h.resource.allocate(bytes));
    } catch (std::bad_alloc const&) {
        return all;
    }
}

}

BOOST_AUTO_TEST_CASE(each_call_that_fails_costs_at_most_its_object)
{
    faults::seam const refusing;
    for (auto const& [mode, guard_sampling] : {std::pair{tslab::check_mode::canaries, 0U},
                                               {tslab::check_mode::canaries, 1U},
                                               {tslab::check_mode::forward, 0U}}) {
        std::uint64_t failed = 0;
        bool more = true;
        for (std::uint64_t n = 0; more; ++n) {
            tslab::process_window.close();   // so that each heap asks for the tables that it needs
            checked_heap h{mode, guard_sampling};
            faults::arm(n, false);
            unsigned const refused = use(h);
            more = faults::disarm() != 0;
            failed += more ? 1 : 0;
            BOOST_TEST(refused <= (more ? 1U : 0U));
            BOOST_TEST(use(h) == 0U);
            BOOST_TEST(h.seen.count() == 0U);
            BOOST_TEST(h.heap.snapshot().global.live_objects == 0U);
        }
        BOOST_TEST(failed >= 3U);
    }
    BOOST_TEST(faults::seam::mapped_without_heaps() == 0);
}

BOOST_AUTO_TEST_CASE(a_guard_that_is_refused_leaves_an_object_with_canaries)
{
    faults::seam const refusing;
    constexpr std::size_t protect = faults::asked + static_cast<std::size_t>(tslab::os_call::protect);
    checked_heap h{tslab::check_mode::canaries, 1};
    h.resource.deallocate(h.resource.allocate(100), 100);
    std::uint64_t const before = faults::of_source[protect];
    bool met = false;
    for (std::uint64_t n = 0; !met; ++n) {
        faults::arm(n, false);
        auto* const p = static_cast<std::byte*>(h.resource.allocate(100));
        BOOST_REQUIRE(faults::disarm() == 1U);
        met = faults::of_source[protect] != before;
        if (met) {
            p[100] = std::byte{1};
            h.resource.deallocate(p, 100);
            BOOST_TEST(h.seen.count(tslab::misuse::overflow) == 1U);
            p[100] = std::byte{0xca};
        }
        h.resource.deallocate(p, 100);
    }
    BOOST_TEST(h.seen.count() == 1U);
}

BOOST_AUTO_TEST_CASE(pages_of_freed_guarded_objects_come_back_before_memory_runs_out)
{
    checked_heap h{tslab::check_mode::canaries, 1};
    constexpr std::size_t large = 100'000;
    std::vector<void*> all = fill(h, large);
    for (void* const p : fill(h, 3000))   // after these neither a guard's pages nor a slot are left
        h.resource.deallocate(p, 3000);
    BOOST_REQUIRE(all.size() > 5U);
    h.resource.deallocate(all.back(), large);
    all.pop_back();
    for (int i = 0; i < 100; ++i)   // more than those pages are enough for, if what was freed stayed out of reach
        h.resource.deallocate(h.resource.allocate(100), 100);
    h.resource.deallocate(h.resource.allocate(80'000), 80'000);
    for (void* const p : all)
        h.resource.deallocate(p, large);
    BOOST_TEST(h.seen.count() == 0U);
}
