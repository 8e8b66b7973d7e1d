// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The profile's estimates against what the program has allocated, for each way to allocate: within 5 % at 10,000 samples, which is
// five standard deviations. Every run prints its seed; TSLAB_TEST_SEED sets it.
#define BOOST_TEST_MODULE profile_estimates
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory_resource>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "profiled.hpp"

using namespace support;
using namespace profiled;

namespace {

constexpr std::uint64_t interval = 4096;
constexpr double wanted_samples = sanitized ? 2000 : 10'000;
constexpr double tolerance = sanitized ? 0.12 : 0.05;   // about five standard deviations

std::uint64_t seed_of(std::uint64_t usual)
{
    char const* const set = std::getenv("TSLAB_TEST_SEED");
    return set != nullptr ? std::strtoull(set, nullptr, 10) : usual;
}

std::size_t count_for(std::size_t bytes)
{
    double const chance = -std::expm1(-static_cast<double>(bytes) / interval);
    return static_cast<std::size_t>(wanted_samples / chance) + 1;
}

/// The estimates of one class of objects against their number: `allocated`, of which `live` live.
void check_estimates(tslab::profiled_stack const& s, std::size_t allocated, std::size_t live, std::size_t bytes)
{
    BOOST_TEST_CONTEXT("class " << bytes)
    {
        auto const of = [bytes](std::size_t n) { return static_cast<double>(n) * static_cast<double>(bytes); };
        check_near(s.allocated_objects, static_cast<double>(allocated), tolerance, "objects");
        check_near(s.allocated_bytes, of(allocated), tolerance, "bytes");
        check_near(s.live_objects, static_cast<double>(live), 1.5 * tolerance, "live objects");
        check_near(s.live_bytes, of(live), 1.5 * tolerance, "live bytes");
        BOOST_TEST(static_cast<double>(s.samples) > 0.9 * wanted_samples);
    }
}

/// Allocates `n` objects by `get`, of which about half are freed by `put`; returns those that live.
template <class Get, class Put> auto half_of(std::size_t n, std::uint64_t seed, Get get, Put put)
{
    std::minstd_rand random{static_cast<unsigned>(seed)};
    std::vector<decltype(get())> kept;
    for (std::size_t i = 0; i < n; ++i) {
        auto const p = get();
        if (random() % 16 < 8)
            put(p);
        else
            kept.push_back(p);
        // The memory of a test is bounded: one of those that live goes, and its place is taken by another.
        if (kept.size() > n / 2) {
            std::swap(kept[random() % kept.size()], kept.back());
            put(kept.back());
            kept.pop_back();
        }
    }
    return kept;
}

}

BOOST_AUTO_TEST_CASE(of_a_resource_in_every_kind_of_class)
{
    std::uint64_t const seed = seed_of(1);
    seeded const by{seed};
    tslab::allocator heap{{.profile_interval = interval}};
    tslab::epoch_resource r{heap, {.label = "kinds"}};
    for (std::size_t const bytes : {16u, 64u, 112u, 768u, 4096u, 16'384u}) {
        std::size_t const n = count_for(bytes);
        auto const live = half_of(n, seed, [&] { return r.allocate(bytes); }, [&](void* p) { r.deallocate(p, bytes); });
        check_estimates(sum_of(tslab::read_heap_profile(heap), "kinds", bytes), n, live.size(), bytes);
        for (void* const p : live)
            r.deallocate(p, bytes);
        tslab::profiled_stack const after = sum_of(tslab::read_heap_profile(heap), "kinds", bytes);
        BOOST_TEST(after.live_samples == 0u);
        BOOST_TEST(after.live_bytes == 0);
        BOOST_TEST(after.live_objects == 0);
    }
}

BOOST_AUTO_TEST_CASE(of_the_threads_own_caches_and_of_handles)
{
    std::uint64_t const seed = seed_of(2);
    seeded const by{seed};
    tslab::allocator heap{{.profile_interval = interval}};
    heap.set_label(heap.current_epoch(), "raw");
    std::size_t const n = count_for(192);
    auto const live = half_of(n, seed, [&] { return heap.malloc(192); }, [&](void* p) { heap.free(p); });
    check_estimates(sum_of(tslab::read_heap_profile(heap), "raw", 192), n, live.size(), 192);
    std::size_t const m = count_for(64);
    tslab::handle h{};
    auto const named = half_of(
        m, seed,
        [&] {
            BOOST_REQUIRE(heap.allocate(64, heap.current_epoch(), h) != nullptr);
            return h;
        },
        [&](tslab::handle x) { BOOST_REQUIRE(heap.free(x) == tslab::free_result::ok); });
    check_estimates(sum_of(tslab::read_heap_profile(heap), "raw", 64), m, named.size(), 64);
    for (void* const p : live)
        heap.free(p);
    for (tslab::handle const x : named)
        BOOST_TEST((heap.free(x) == tslab::free_result::ok));
    BOOST_TEST(sum_of(tslab::read_heap_profile(heap), "raw").live_samples == 0u);
}

BOOST_AUTO_TEST_CASE(of_large_allocations_of_many_sizes)
{
    std::uint64_t const seed = seed_of(3);
    seeded const by{seed};
    constexpr std::uint64_t rare = 256 << 10;
    tslab::allocator heap{{.profile_interval = rare}};
    tslab::epoch_resource r{heap, {.label = "large"}};
    std::minstd_rand random{static_cast<unsigned>(seed)};
    double bytes = 0;
    double objects = 0;
    for (std::size_t i = 0; i < scaled(20'000); ++i) {
        std::size_t const size = 70'000 + random() % 400'000;
        r.deallocate(r.allocate(size), size);
        bytes += static_cast<double>(size);
        ++objects;
    }
    tslab::profiled_stack const s = sum_of(tslab::read_heap_profile(heap), "large", 0);
    check_near(s.allocated_bytes, bytes, tolerance, "bytes");
    check_near(s.allocated_objects, objects, tolerance, "objects");
    BOOST_TEST(s.live_samples == 0u);
}

BOOST_AUTO_TEST_CASE(of_short_scopes_which_never_reach_a_distance)
{
    std::uint64_t const seed = seed_of(4);
    seeded const by{seed};
    tslab::allocator heap{{.profile_interval = interval}};
    std::size_t const scopes = count_for(128) / 8;
    for (std::size_t i = 0; i < scopes; ++i) {
        tslab::epoch_scope const scope{heap, "request"};
        std::array<void*, 8> all{};
        for (void*& p : all)
            p = scope.resource()->allocate(128);
        for (void* const p : all)
            scope.resource()->deallocate(p, 128);
    }
    tslab::profiled_stack const s = sum_of(tslab::read_heap_profile(heap), "request", 128);
    check_near(s.allocated_objects, static_cast<double>(scopes) * 8, tolerance, "objects");
    BOOST_TEST(s.live_samples == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(of_threads_serial_and_shared_resources)
{
    std::uint64_t const seed = seed_of(5);
    seeded const by{seed};
    tslab::allocator heap{{.profile_interval = interval}};
    heap.set_label(heap.current_epoch(), "shared");
    std::size_t const n = count_for(320);
    {
        tslab::epoch_resource any{heap, {.label = "any"}};
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                for (std::size_t i = 0; i < n / 4; ++i)
                    any.deallocate(any.allocate(320), 320);
            });
        for (std::thread& t : threads)
            t.join();
    }
    {
        tslab::epoch_resource serial{heap, {.label = "serial", .threading = tslab::threading::serial}};
        std::array<worker, 2> workers;
        for (int turn = 0; turn < 20; ++turn)
            workers[static_cast<std::size_t>(turn) % 2]([&] {
                for (std::size_t i = 0; i < n / 20; ++i)
                    serial.deallocate(serial.allocate(320), 320);
            });
    }
    {
        tslab::epoch_resource shared{heap, {.share_epoch = true}};
        for (std::size_t i = 0; i < n; ++i)
            shared.deallocate(shared.allocate(320), 320);
    }
    tslab::heap_profile const p = tslab::read_heap_profile(heap);
    for (char const* const label : {"any", "serial", "shared"}) {
        BOOST_TEST_CONTEXT(label)
        {
            check_near(sum_of(p, label, 320).allocated_objects, static_cast<double>(n), tolerance, "objects");
            BOOST_TEST(sum_of(p, label).live_samples == 0u);
        }
    }
}

BOOST_AUTO_TEST_CASE(none_where_sampling_is_off)
{
    tslab::allocator heap{{.profile_interval = 0}};
    for (int i = 0; i < 100'000; ++i)
        heap.free(heap.malloc(64));
    tslab::heap_profile const p = tslab::read_heap_profile(heap);
    BOOST_TEST(p.interval_bytes == 0u);
    BOOST_TEST(p.stacks.empty());
}
