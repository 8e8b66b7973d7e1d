// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A signal handler that uses the very resource it interrupted, after each instruction of an allocation and of a free: a heap
// that checks serves it or reports it, and no object is handed out twice and no free is lost.
#define BOOST_TEST_MODULE checked_interrupted
#include "single_step.hpp"
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstring>
#include <new>
#include <set>

#include "recorder.hpp"

using support::recorder;

#if defined(TSLAB_CAN_STEP)
namespace {

constexpr std::size_t size = 64;
constexpr std::size_t stride = support::sanitized ? 23 : 1;

tslab::epoch_resource* resource = nullptr;
void* of_handler = nullptr;

void allocate_too()
{
    try {
        of_handler = resource->allocate(size);
        std::memset(of_handler, 0x5a, size);
    } catch (std::bad_alloc const&) {
        of_handler = nullptr;
    }
}
void free_too() { resource->deallocate(of_handler, size); }

}

BOOST_AUTO_TEST_CASE(a_resource_that_interrupts_itself_is_served_or_reported_after_every_instruction)
{
    recorder const seen;
    tslab::allocator heap{{.name = "interrupted", .checks = tslab::check_mode::canaries, .guard_sampling = 0}};
    tslab::epoch_resource r{heap, {.label = "program"}};
    resource = &r;
    std::set<void*> all;
    std::size_t served = 0;
    std::size_t n = 1;
    for (void* p = nullptr;; n += stride) {
        bool const interrupted = support::interrupted_after(n, allocate_too, [&] { p = r.allocate(size); });
        std::memset(p, 0xa5, size);
        BOOST_REQUIRE(all.insert(p).second);
        if (!interrupted)
            break;
        served += of_handler != nullptr ? 1 : 0;
        if (of_handler != nullptr)
            BOOST_REQUIRE(all.insert(of_handler).second);
    }
    std::size_t const reported = seen.count(tslab::misuse::reentry);
    BOOST_TEST(served + reported == (n - 1) / stride);
    BOOST_TEST(served > 0U);
    BOOST_TEST(reported > 0U);
    BOOST_TEST(heap.snapshot().global.live_objects == all.size());

    std::size_t freed = 0;
    std::size_t refused = 0;
    for (bool interrupted = true; interrupted; n = 1 + (freed + refused) * stride) {
        void* const p = r.allocate(size);
        of_handler = r.allocate(size);
        std::size_t const before = seen.count(tslab::misuse::reentry);
        interrupted =
            support::interrupted_after(1 + (freed + refused) * stride, free_too, [&] { r.deallocate(p, size); });
        bool const was_refused = seen.count(tslab::misuse::reentry) != before;
        if (!interrupted || was_refused)
            r.deallocate(of_handler, size);
        (was_refused ? refused : freed) += 1;
        BOOST_REQUIRE(heap.snapshot().global.live_objects == all.size());
    }
    BOOST_TEST(freed > 0U);
    BOOST_TEST(refused > 0U);
    for (void* const p : all)
        r.deallocate(p, size);
    BOOST_TEST(heap.snapshot().global.live_objects == 0U);
    BOOST_TEST(seen.count() == seen.count(tslab::misuse::reentry));
}
#else
BOOST_AUTO_TEST_CASE(nothing_is_interrupted_here)
{
    BOOST_TEST_MESSAGE("not on this processor, or under this sanitizer");
}
#endif
