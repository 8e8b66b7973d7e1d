// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Soft limits: their handler, how often it is called, and what it may answer.
#define BOOST_TEST_MODULE soft_limits
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "fill.hpp"
#include "recorder.hpp"

using support::fill;
using support::free_all;
using support::kib;
using support::mib;
using support::on_other_thread;
using tslab::epoch_scope;
using tslab::over_limit;

namespace {

struct told {
    tslab::allocator* heap = nullptr;
    int times = 0;
    std::uint64_t held = 0;
    std::string label{};
    std::optional<std::size_t> raise_to{};
    bool fail = false;
    bool allocate = false;
};

void note(tslab::soft_limit_event& event, void* context) noexcept
{
    auto& t = *static_cast<told*>(context);
    ++t.times;
    t.held = event.held;
    t.label = event.label;
    if (t.raise_to)
        event.limit = t.raise_to;
    event.fail = t.fail;
    if (t.allocate)
        for (int i = 0; i < 100; ++i)   // in the phase that crossed its limit: no second call
            t.heap->free(t.heap->malloc(3000, {event.index, event.era}));
}

using throwing = void (*)(tslab::soft_limit_event&, void*);
static_assert(
    !std::is_convertible_v<throwing, tslab::soft_limit_handler>);   // a handler that may throw does not compile

}

BOOST_AUTO_TEST_CASE(a_soft_limit_calls_its_handler_once_a_phase)
{
    tslab::allocator heap;
    told t{.heap = &heap, .allocate = true};
    heap.set_soft_limit_handler(&note, &t);
    for (int i = 1; i <= 2; ++i) {
        epoch_scope const scope{heap, {.label = "soft", .soft_limit = 128 * kib}};
        std::vector<void*> all;
        for (int k = 0; k < 1000; ++k)
            all.push_back(scope.resource()->allocate(500));
        free_all(*scope.resource(), all, 500);
        BOOST_TEST(t.times == i);
        BOOST_TEST(t.held >= 128 * kib);
        BOOST_TEST(t.held < 256 * kib);
        BOOST_TEST(t.label == "soft");
    }
    {
        epoch_scope const scope{heap, {.label = "large", .soft_limit = 128 * kib}};
        heap.free(heap.malloc(1 * mib, scope.epoch()));   // by a raw call
        scope.resource()->deallocate(scope.resource()->allocate(1 * mib), 1 * mib);
    }
    BOOST_TEST(t.times == 3);
    {
        epoch_scope const scope{heap, {.label = "raw", .soft_limit = 128 * kib}};
        on_other_thread([&] {
            for (int k = 0; k < 1000; ++k)
                static_cast<void>(heap.malloc(500, scope.epoch()));
        });
        scope.resource()->release();
    }
    BOOST_TEST(t.times == 4);
    heap.set_soft_limit_handler(nullptr);
    {
        epoch_scope const scope{heap, {.label = "soft", .soft_limit = 128 * kib}};
        scope.resource()->deallocate(scope.resource()->allocate(1 * mib), 1 * mib);
    }
    BOOST_TEST(t.times == 4);
    BOOST_TEST(heap.snapshot().global.soft_limits == 5u);
}

BOOST_AUTO_TEST_CASE(slabs_retained_from_the_phase_before_do_not_put_the_call_off)
{
    for (std::optional<std::size_t> const of_heap :
         {std::optional<std::size_t>{}, std::optional<std::size_t>{1024 * mib}}) {
        tslab::allocator heap{{.limit = of_heap}};
        told t{.heap = &heap};
        heap.set_soft_limit_handler(&note, &t);
        for (int i = 1; i <= 2; ++i) {
            epoch_scope const scope{heap, {.label = "soft", .soft_limit = 8 * kib}};
            std::vector<void*> all;
            while (t.times < i && all.size() < 1100)
                all.push_back(scope.resource()->allocate(200));
            BOOST_TEST(t.times == i);
            BOOST_TEST(all.size() * 200 <= 8 * kib);
            while (all.size() < 1100)   // for the next phase to find
                all.push_back(scope.resource()->allocate(200));
            free_all(*scope.resource(), all, 200);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_large_allocation_is_told_at_once_whether_it_is_timed_or_not)
{
    tslab::allocator heap{{.sampling = true}};   // most are not
    told t{.heap = &heap};
    heap.set_soft_limit_handler(&note, &t);
    for (int i = 1; i <= 100; ++i) {
        epoch_scope const scope{heap, {.label = "malloc", .soft_limit = 64 * kib}};
        void* const p = heap.malloc(300'000, scope.epoch());
        BOOST_TEST(t.times == i);
        heap.free(p);
    }
}

BOOST_AUTO_TEST_CASE(a_large_allocation_calls_the_handler_however_it_is_made)
{
    tslab::allocator heap;
    told t{.heap = &heap};
    heap.set_soft_limit_handler(&note, &t);
    {
        epoch_scope const scope{heap, {.label = "malloc", .soft_limit = 64 * kib}};
        void* const p = heap.malloc(300'000, scope.epoch());
        BOOST_TEST(t.times == 1);
        heap.free(p);
    }
    {
        epoch_scope const scope{heap, {.label = "handle", .soft_limit = 64 * kib}};
        tslab::handle h;
        BOOST_TEST(heap.allocate(300'000, scope.epoch(), h) != nullptr);
        BOOST_TEST(t.times == 2);
        BOOST_TEST((heap.free(h) == tslab::free_result::ok));
    }
    {
        epoch_scope const scope{heap, {.label = "resource", .soft_limit = 64 * kib}};
        void* const p = scope.resource()->allocate(300'000);
        BOOST_TEST(t.times == 3);
        scope.resource()->deallocate(p, 300'000);
    }
    BOOST_TEST(heap.snapshot().global.soft_limits == 3u);
}

BOOST_AUTO_TEST_CASE(the_handler_raises_the_limit_or_has_the_phase_fail)
{
    tslab::allocator heap;
    told t{.heap = &heap, .raise_to = 4 * mib};
    heap.set_soft_limit_handler(&note, &t);
    {
        epoch_scope const scope{heap, {.label = "raised", .limit = 1 * mib, .soft_limit = 512 * kib}};
        auto all = fill(*scope.resource(), 500);
        BOOST_TEST(all.size() * 500 > 3 * mib);
        free_all(*scope.resource(), all, 500);
    }
    t = {.heap = &heap, .fail = true};
    epoch_scope const scope{heap, {.label = "failed", .limit = 64 * mib, .soft_limit = 512 * kib}};
    std::optional<over_limit> why;
    auto all = fill(*scope.resource(), 500, &why);
    BOOST_TEST(all.size() * 500 < 1 * mib);
    BOOST_TEST(std::string_view{why->what()}.starts_with(
        "tslab: the phase \"failed\" may take no more memory: the handler of its soft limit said so"));
    free_all(*scope.resource(), all, 500);
}
