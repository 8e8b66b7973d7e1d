// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap profile and limits together: what a limit refuses is no sample, what is sampled counts against the limit, and nothing is
// left in either when it is freed.
#define BOOST_TEST_MODULE profile_limits
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <string_view>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "counted_pages.hpp"
#include "fill.hpp"
#include "profiled.hpp"

using namespace profiled;
using support::fill;
using support::free_all;
using support::kib;
using support::mib;
using tslab::epoch_scope;

namespace {

/// A heap with a limit, of which one object in `interval` bytes is sampled, and what must be true of it.
struct limited {
    explicit limited(std::uint64_t interval)
        : heap{{.name = "limited", .limit = 64 * mib, .profile_interval = interval}}
    {
    }

    [[nodiscard]] std::uint64_t live_samples() { return sum_of(tslab::read_heap_profile(heap), "job").live_samples; }
    [[nodiscard]] tslab::global_stats figures() { return heap.snapshot({.residency = false}).global; }
    /// While no thread uses it.
    void expect_counts_right()
    {
        char const* const wrong = support::wrong_count_in(heap);
        BOOST_TEST(wrong == nullptr, (wrong != nullptr ? wrong : ""));
    }
    /// When everything was freed and every phase is over.
    void expect_nothing_left()
    {
        BOOST_TEST(live_samples() == 0u);
        BOOST_TEST(figures().live_objects == 0u);
        heap.trim();
        expect_counts_right();
        BOOST_TEST(heap.state().limits().table()->heap.held() == 0u);
    }

    tslab::allocator heap;
};

}

BOOST_AUTO_TEST_CASE(an_object_that_a_limit_refuses_is_no_sample)
{
    limited of{1};   // every object is to be sampled
    std::uint64_t allocated = 0;
    std::uint64_t refused = 0;
    {
        epoch_scope const scope{of.heap, {.label = "job", .limit = 256 * kib}};
        for (std::size_t const bytes : {std::size_t{64}, std::size_t{700}, std::size_t{16}, std::size_t{20'000}}) {
            std::uint64_t const sampled = of.live_samples();
            auto all = fill(*scope.resource(), bytes);
            allocated += all.size();
            ++refused;
            BOOST_TEST(!all.empty());
            BOOST_TEST(sampled == 0u);
            // Each was sampled, or found no place for a sample: the refused one, and those that a slab in hand could serve.
            BOOST_TEST(of.live_samples() <= all.size());
            BOOST_TEST(of.figures().profile_samples + of.figures().profile_samples_dropped == allocated + refused);
            BOOST_TEST(of.figures().live_objects == all.size());
            BOOST_TEST(of.figures().limit_refusals == refused);
            of.expect_counts_right();
            free_all(*scope.resource(), all, bytes);
            BOOST_TEST(of.live_samples() == 0u);
            of.expect_counts_right();
        }
    }
    BOOST_TEST(of.figures().allocations == allocated);
    of.expect_nothing_left();
}

BOOST_AUTO_TEST_CASE(a_large_allocation_that_a_limit_refuses_is_no_sample)
{
    limited of{1};
    {
        epoch_scope const scope{of.heap, {.label = "job", .limit = 4 * mib}};
        void* const first = scope.resource()->allocate(3 * mib);
        BOOST_TEST(of.live_samples() == 1u);
        for (int i = 0; i < 3; ++i)
            BOOST_CHECK_THROW(static_cast<void>(scope.resource()->allocate(1 * mib + 1)), tslab::over_limit);
        BOOST_TEST(of.figures().profile_samples == 1u);
        BOOST_TEST(of.live_samples() == 1u);
        of.expect_counts_right();
        void* const second = scope.resource()->allocate(1 * mib);
        BOOST_TEST(of.live_samples() == 2u);
        scope.resource()->deallocate(first, 3 * mib);
        scope.resource()->deallocate(second, 1 * mib);
        BOOST_TEST(of.live_samples() == 0u);
        of.expect_counts_right();
    }
    BOOST_TEST(of.figures().allocations == 2u);
    of.expect_nothing_left();
}

BOOST_AUTO_TEST_CASE(a_phase_that_may_hold_nothing_has_no_samples)
{
    limited of{1};
    {
        epoch_scope const scope{of.heap, {.label = "job", .limit = 0}};
        for (std::size_t const bytes : {std::size_t{16}, std::size_t{5000}, 1 * mib})
            BOOST_CHECK_THROW(static_cast<void>(scope.resource()->allocate(bytes)), tslab::over_limit);
        BOOST_TEST(tslab::read_heap_profile(of.heap).stacks.empty());
        BOOST_TEST(of.figures().profile_samples == 0u);
    }
    of.expect_nothing_left();
}

BOOST_AUTO_TEST_CASE(a_release_takes_samples_off_both)
{
    seeded const repeatable{11};
    limited of{2000};   // some are sampled, and others lie beside them
    of.heap.set_limit("job", 1 * mib);
    {
        epoch_scope const scope{of.heap, {.label = "job"}};
        for (int round = 0; round < 3; ++round) {
            std::uint64_t live = 0;
            for (std::size_t const bytes : {std::size_t{48}, std::size_t{500}, std::size_t{9000}})
                live += fill(*scope.resource(), bytes).size();
            BOOST_TEST(of.live_samples() > 0u);
            BOOST_TEST(of.live_samples() < live);
            of.expect_counts_right();
            BOOST_TEST(scope.resource()->release() == live);
            BOOST_TEST(of.live_samples() == 0u);
            of.expect_counts_right();
        }
    }
    of.expect_nothing_left();
}

BOOST_AUTO_TEST_CASE(threads_that_free_each_others_samples_at_the_limit_lose_nothing)
{
    limited of{300};
    {
        epoch_scope const scope{of.heap, {.label = "job", .limit = 512 * kib}};
        tslab::epoch_id const e = scope.epoch();
        std::vector<std::atomic<void*>> places(8192);
        auto const work = [&](std::size_t from) {
            for (std::size_t i = 0; i < 60'000; ++i) {
                std::size_t const bytes = i % 3 == 0 ? 700 : 64;   // some of them are refused
                of.heap.free(places[(from + i * 17) % places.size()].exchange(of.heap.malloc(bytes, e)));
            }
        };
        {
            std::jthread const other{[&] { work(4000); }};
            work(0);
        }
        BOOST_TEST(of.figures().limit_refusals > 0u);
        BOOST_TEST(of.figures().profile_samples > 0u);
        of.expect_counts_right();
        for (std::atomic<void*>& p : places)
            of.heap.free(p.load());
        BOOST_TEST(of.live_samples() == 0u);
    }
    of.expect_nothing_left();
}

BOOST_AUTO_TEST_CASE(the_child_of_a_fork_has_counts_and_samples_of_its_own)
{
    limited of{300};   // sampled and not
    {
        epoch_scope const scope{of.heap, {.label = "job", .limit = 256 * kib}};
        tslab::epoch_id const e = scope.epoch();
        support::worker other;   // it holds slabs, and does not come along
        std::vector<void*> all;
        auto const fill_heap = [&] {
            while (void* const p = of.heap.malloc(64, e))
                all.push_back(p);
        };
        other([&] { all.push_back(of.heap.malloc(64, e)); });
        fill_heap();
        std::uint64_t const held = of.heap.record_of(e).count.pages();
        pid_t const child = ::fork();
        BOOST_REQUIRE(child >= 0);
        if (child == 0) {
            ::alarm(60);
            bool right = of.heap.record_of(e).count.pages() == held && of.heap.malloc(64, e) == nullptr;
            std::size_t const before = all.size();
            for (void* const p : all)
                of.heap.free(p);
            all.clear();
            right = right && of.live_samples() == 0 && support::wrong_count_in(of.heap) == nullptr;
            fill_heap();
            right = right && all.size() > before / 2 && support::wrong_count_in(of.heap) == nullptr;
            for (void* const p : all)
                of.heap.free(p);
            static_cast<void>(of.heap.close(e));
            right = right && of.live_samples() == 0 && support::wrong_count_in(of.heap) == nullptr;
            ::_exit(right ? 0 : 1);
        }
        int status = -1;
        BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
        BOOST_TEST(status == 0);
        BOOST_TEST(of.heap.record_of(e).count.pages() == held);
        BOOST_TEST(of.figures().live_objects == all.size());
        BOOST_TEST(of.live_samples() > 0u);
        of.expect_counts_right();
        for (void* const p : all)
            of.heap.free(p);
    }
    of.expect_nothing_left();
}

BOOST_AUTO_TEST_CASE(a_sample_that_crosses_the_soft_limit_calls_the_handler)
{
    limited of{1};
    int calls = 0;
    of.heap.set_soft_limit_handler(
        [](tslab::soft_limit_event& event, void* to) noexcept {
            ++*static_cast<int*>(to);
            event.fail = true;
        },
        &calls);
    {
        epoch_scope const scope{of.heap, {.label = "job", .limit = 1 * mib, .soft_limit = 64 * kib}};
        auto all = fill(*scope.resource(), 64);   // until the phase fails, as the handler demands
        BOOST_TEST(calls == 1);
        BOOST_TEST(all.size() * 64 >= 64 * kib);
        BOOST_TEST(all.size() * 64 < 128 * kib);
        BOOST_TEST(of.live_samples() == all.size());
        free_all(*scope.resource(), all, 64);
    }
    of.expect_nothing_left();
}
