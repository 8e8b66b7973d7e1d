// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A resource on threads that did not make it. Such a thread remembers its cache in the epoch of the resource that it used last; what it
// remembers must never serve another epoch, another resource or a closed one.
#define BOOST_TEST_MODULE pmr_visiting
#include "single_step.hpp"
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <vector>

#include "recorder.hpp"

using support::recorder;
using support::scaled;
using support::stats_of;
using support::worker;
using tslab::epoch_resource;
using tslab::misuse;

namespace {

constexpr std::size_t size = 64;

/// The second use is the one that is remembered, so all ways of a use are gone.
void use(epoch_resource& r)
{
    for (int i = 0; i < 3; ++i)
        r.deallocate(r.allocate(size), size);
}

std::uint64_t slow_paths(tslab::allocator const& heap)
{
    return heap.snapshot({.residency = false}).global.slow_path_hits;
}

std::uint64_t remote_frees(tslab::allocator const& heap)
{
    std::uint64_t n = 0;
    for (tslab::class_stats const& c : heap.snapshot({.residency = false}).classes)
        n += c.remote_frees;
    return n;
}

}

BOOST_AUTO_TEST_CASE(a_close_takes_what_an_idle_visitor_has_claimed)
{
    recorder const seen;
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "visited"}};
    worker visitor;
    visitor([&] { use(r); });
    BOOST_TEST(stats_of(heap, r.epoch()).slabs == 1u);
    tslab::close_report const c = heap.close(r.epoch());   // on the thread that made the resource
    BOOST_TEST(c.closed);
    BOOST_TEST(c.deferred_claims == 0u);
    BOOST_TEST(stats_of(heap, r.epoch()).slabs == 0u);
    visitor([&] { BOOST_CHECK_THROW(static_cast<void>(r.allocate(size)), tslab::epoch_closed); });
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_trim_takes_what_an_idle_visitor_has_claimed_and_the_visitor_goes_on)
{
    recorder const seen;
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "visited"}};
    worker visitor;
    for (std::uint64_t i = 1; i <= 3; ++i) {
        visitor([&] { use(r); });
        BOOST_TEST(stats_of(heap, r.epoch()).slabs == 1u);
        heap.trim(r.epoch());
        BOOST_TEST(stats_of(heap, r.epoch()).slabs == 0u);
        BOOST_TEST(stats_of(heap, r.epoch()).allocations == 3 * i);
    }
    BOOST_TEST(seen.count() == 0u);
}

// The visitor's cache goes to another epoch with the same era while the resource lives. An era is the key of such caches.
BOOST_AUTO_TEST_CASE(a_cache_that_serves_another_epoch_of_the_same_era_serves_the_resource_no_more)
{
    recorder const seen;
    tslab::allocator heap;
    std::optional<epoch_resource> r;
    worker visitor;
    r.emplace(heap, tslab::resource_options{.label = "visited"});
    visitor([&] { use(*r); });
    heap.close(r->epoch());
    std::vector<std::unique_ptr<epoch_resource>> others;
    bool met = false;
    for (int i = 0; i < 8 && !met; ++i) {   // the first epochs of slots have the same era
        others.push_back(std::make_unique<epoch_resource>(heap, tslab::resource_options{.label = "other"}));
        tslab::epoch_id const e = others.back()->epoch();
        met = e.era == r->epoch().era && e.index != r->epoch().index;
        if (met)
            visitor([&] {
                void* const p = heap.malloc(size, e);
                BOOST_CHECK_THROW(static_cast<void>(r->allocate(size)), tslab::epoch_closed);
                heap.free(p);
            });
    }
    BOOST_TEST(met);
    BOOST_TEST(stats_of(heap, r->epoch()).live_objects == 0u);
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_resource_at_the_address_of_an_earlier_one_is_another_one)
{
    recorder const seen;
    worker visitor;
    std::optional<tslab::allocator> heap;
    std::optional<epoch_resource> r;
    for (std::size_t i = 0; i < scaled(50); ++i) {
        if (i % 5 == 0) {   // a heap at the address of an earlier one, too
            r.reset();
            heap.reset();
            heap.emplace();
        }
        r.emplace(*heap, tslab::resource_options{.label = "visited"});
        visitor([&] { use(*r); });
        BOOST_TEST(stats_of(*heap, r->epoch()).allocations == 3u);
    }
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_thread_visits_resources_in_turn)
{
    recorder const seen;
    tslab::allocator heap;
    tslab::allocator second{{.name = "second"}};
    std::array<std::optional<epoch_resource>, 6> all;
    for (std::size_t i = 0; i < all.size(); ++i)
        all.at(i).emplace(i % 3 == 0 ? second : heap,
                          tslab::resource_options{.label = "visited", .share_epoch = i > 3});
    std::array<worker, 2> visitors;
    for (worker& w : visitors)
        w([&] {
            std::vector<void*> live;
            for (std::size_t i = 0; i < 600; ++i)
                live.push_back(all.at(i * i % all.size())->allocate(1 + i % 200));
            for (std::size_t i = 0; i < live.size(); ++i)
                all.at(i * i % all.size())->deallocate(live[i], 1 + i % 200);
        });
    for (auto const& r : all)
        BOOST_TEST(stats_of(r->heap(), r->epoch()).live_objects == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects + second.snapshot().global.live_objects == 0u);
    BOOST_TEST(remote_frees(heap) + remote_frees(second) == 0u);   // each is in the thread's own cache
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_visitor_takes_no_slow_path_for_what_it_has_fetched)
{
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "visited"}};
    worker visitor;
    visitor([&] { use(r); });
    std::uint64_t const before = slow_paths(heap);
    visitor([&] {
        for (int i = 0; i < 1000; ++i)
            r.deallocate(r.allocate(size), size);
    });
    BOOST_TEST(slow_paths(heap) == before);
    BOOST_TEST(stats_of(heap, r.epoch()).allocations == 1003u);
}

BOOST_AUTO_TEST_CASE(a_visitor_frees_what_others_allocated)
{
    recorder const seen;
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "visited"}};
    worker visitor;
    visitor([&] { use(r); });
    std::vector<void*> mine;
    for (int i = 0; i < 200; ++i)
        mine.push_back(r.allocate(size));
    visitor([&] {
        for (void* const p : mine)
            r.deallocate(p, size);
    });
    BOOST_TEST(remote_frees(heap) == mine.size());
    BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 0u);
    BOOST_TEST(seen.count() == 0u);
    visitor([&] { r.deallocate(mine[0], size); });
    BOOST_TEST(seen.count(misuse::double_free) == 1u);
    int foreign = 0;
    visitor([&] { r.deallocate(&foreign, size); });
    BOOST_TEST(seen.count() == 2u);
    visitor([&] { r.deallocate(nullptr, size); });
    BOOST_TEST(seen.count() == 2u);
}

BOOST_AUTO_TEST_CASE(a_visitor_of_a_count_only_resource_only_counts_frees)
{
    recorder const seen;
    tslab::allocator heap;
    {
        epoch_resource r{heap, {.label = "visited", .deallocate = tslab::deallocate_policy::count_only}};
        worker visitor;
        visitor([&] { use(r); });
        BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 3u);
        BOOST_TEST(r.release() == 3u);
        visitor([&] { use(r); });
        BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 3u);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(seen.count() == 0u);
}

// What a resource that shares its epoch releases is what its own thread took, also after that thread visited another resource of the epoch.
BOOST_AUTO_TEST_CASE(the_thread_of_a_resource_does_not_visit_it)
{
    recorder const seen;
    tslab::allocator heap;
    epoch_resource mine{heap, {.label = "mine", .share_epoch = true}};
    std::optional<epoch_resource> theirs;
    worker other;
    other([&] { theirs.emplace(heap, tslab::resource_options{.label = "theirs", .share_epoch = true}); });
    use(*theirs);
    other([&] { use(mine); });
    heap.trim(mine.epoch());
    std::array<void*, 3> all{};
    for (void*& p : all)
        p = mine.allocate(size);
    BOOST_TEST(mine.release() == all.size());
    other([&] { theirs.reset(); });
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(destructors_at_a_visitors_end_may_use_the_resource)
{
    recorder const seen;
    tslab::allocator heap;
    epoch_resource r{heap, {.label = "visited"}};
    struct at_end {
        epoch_resource* r = nullptr;
        ~at_end()
        {
            if (r != nullptr)
                use(*r);
        }
    };
    for (int i = 0; i < 3; ++i)
        support::on_other_thread([&] {
            static thread_local at_end last;
            last.r = &r;
            use(r);
        });
    BOOST_TEST(stats_of(heap, r.epoch()).allocations == 18u);
    BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 0u);
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(visitors_meet_closes_and_trims)
{
    recorder const seen;
    tslab::allocator heap;
    std::atomic<std::uint64_t> damaged{0};
    std::array<worker, 3> visitors;
    for (std::size_t round = 0; round < scaled(200); ++round) {
        epoch_resource r{heap, {.label = "visited"}};
        std::vector<std::thread> running;
        for (unsigned t = 0; t < 3; ++t)
            running.emplace_back([&, t] {
                std::array<unsigned char*, 40> live{};
                try {
                    for (std::size_t i = 0; i < 400; ++i) {
                        unsigned char*& p = live.at(i * 7 % live.size());
                        if (p != nullptr) {
                            damaged += *p != t + 1 ? 1U : 0U;
                            r.deallocate(p, size);
                            p = nullptr;
                        }
                        p = static_cast<unsigned char*>(r.allocate(size));
                        *p = static_cast<unsigned char>(t + 1);
                    }
                } catch (tslab::epoch_closed const&) {
                    static_cast<void>(0);   // from here on it frees
                }
                for (unsigned char* const p : live)
                    if (p != nullptr) {
                        damaged += *p != t + 1 ? 1U : 0U;
                        r.deallocate(p, size);
                    }
            });
        heap.trim(r.epoch());
        if (round % 2 == 0)
            heap.close(r.epoch());
        for (std::thread& t : running)
            t.join();
        BOOST_REQUIRE(stats_of(heap, r.epoch()).live_objects == 0u);
    }
    BOOST_TEST(damaged == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(seen.count() == 0u);
}

#if defined(TSLAB_CAN_STEP)
namespace {

constexpr std::size_t stride = support::sanitized ? 23 : 1;   // their code is many times as long

epoch_resource* shared_with_handler = nullptr;
tslab::allocator* heap_of_handler = nullptr;
void* given = nullptr;

void allocate_too()
{
    given = nullptr;
    try {
        given = shared_with_handler->allocate(size);
    } catch (std::bad_alloc const&) {
        given = nullptr;   // refused, which is right
    }
}
void malloc_too() { given = heap_of_handler->malloc(size, shared_with_handler->epoch()); }

}

// No place is left where a handler that uses the same resource gets what the program gets, as there is on the path of the resource's own thread.
BOOST_AUTO_TEST_CASE(a_handler_that_uses_the_same_resource_is_refused_or_served_after_every_instruction)
{
    recorder const seen;
    tslab::allocator heap{{.name = "interrupted"}};
    epoch_resource r{heap, {.label = "program"}};
    shared_with_handler = &r;
    heap_of_handler = &heap;
    worker visitor;
    for (auto* const handler : {&allocate_too, &malloc_too}) {
        visitor([&] {
            use(r);
            std::set<void*> all;
            std::size_t n = 1;
            std::size_t refused = 0;
            for (void* p = nullptr; support::interrupted_after(n, handler, [&] { p = r.allocate(size); });
                 n += stride) {
                BOOST_REQUIRE(all.insert(p).second);
                refused += given == nullptr ? 1U : 0U;
                if (given != nullptr)
                    BOOST_REQUIRE(all.insert(given).second);
            }
            BOOST_TEST(n > 10 * stride);
            BOOST_TEST(refused >= 1u);
            BOOST_TEST(refused <= n / 2);
            std::uint64_t const live = heap.snapshot().global.live_objects;
            BOOST_TEST(
                (live == all.size() || live == all.size() + 1));   // and the last one, which had fewer instructions
            std::size_t steps = 1;
            for (void* const p : all) {
                if (!support::interrupted_after(steps, handler, [&] { r.deallocate(p, size); }))
                    break;
                steps += stride;
            }
            BOOST_TEST(steps > 10 * stride);
        });
        // Each was freed or is released, once: no word was lost.
        r.release();
        BOOST_REQUIRE(heap.snapshot().global.live_objects == 0u);
    }
    BOOST_TEST(seen.count() == seen.count(misuse::reentry));
}
#endif
