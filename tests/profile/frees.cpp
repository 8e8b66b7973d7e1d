// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A sampled object is an object like any other: an interval of one byte samples all of them, and whatever frees or misuses them
// is found, counted and given back as ever.
#define BOOST_TEST_MODULE profile_frees
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <string>
#include <thread>
#include <vector>

#include "profiled.hpp"

using namespace support;
using namespace profiled;
using tslab::misuse;

namespace {

tslab::allocator::options all_sampled(std::string_view name = "sampled")
{
    return {.name = name, .profile_interval = 1};
}

std::uint64_t live_samples(tslab::allocator& heap)
{
    std::uint64_t n = 0;
    for (tslab::profiled_stack const& s : tslab::read_heap_profile(heap).stacks)
        n += s.live_samples;
    return n;
}

}

BOOST_AUTO_TEST_CASE(every_object_of_every_class_is_sampled_and_freed)
{
    recorder const seen;
    tslab::allocator heap{all_sampled()};
    {
        tslab::epoch_resource r{heap, {.label = "all"}};
        for (std::size_t const bytes : tslab::class_sizes) {
            std::vector<void*> live;
            for (int i = 0; i < 100; ++i) {
                live.push_back(r.allocate(bytes));
                std::memset(live.back(), i, bytes);
            }
            tslab::profiled_stack const s = sum_of(tslab::read_heap_profile(heap), "all", bytes);
            BOOST_TEST(s.live_samples == 100u);
            BOOST_TEST(s.live_objects == 100, boost::test_tools::tolerance(0.001));
            BOOST_TEST(s.live_bytes == 100.0 * static_cast<double>(bytes), boost::test_tools::tolerance(0.001));
            BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 100u);
            for (void* const p : live)
                r.deallocate(p, bytes);
            BOOST_TEST(stats_of(heap, r.epoch()).live_objects == 0u);
        }
        void* const large = r.allocate(300'000);
        BOOST_TEST(sum_of(tslab::read_heap_profile(heap), "all", 0).live_samples == 1u);
        r.deallocate(large, 300'000);
    }
    BOOST_TEST(live_samples(heap) == 0u);
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(misuse_is_found)
{
    recorder seen;
    tslab::allocator heap{all_sampled()};
    tslab::epoch_resource r{heap, {.label = "misused"}};
    tslab::epoch_resource other{heap, {.label = "other"}};
    void* const p = r.allocate(64);
    void* const neighbour = r.allocate(64);
    auto const expect = [&](misuse kind, auto act) {
        std::size_t const before = seen.count(kind);
        act();
        BOOST_TEST(seen.count(kind) == before + 1);
        BOOST_TEST(seen.last().size_class == 64u);
        BOOST_TEST(seen.last().label == "misused");
    };
    expect(misuse::wrong_resource, [&] { other.deallocate(p, 64); });
    expect(misuse::interior_pointer, [&] { r.deallocate(static_cast<std::byte*>(p) + 16, 64); });
    expect(misuse::wrong_size, [&] { r.deallocate(p, 128); });
    r.deallocate(p, 64);
    expect(misuse::double_free, [&] { r.deallocate(p, 64); });
    expect(misuse::double_free, [&] { heap.free(p); });
    expect(misuse::double_free, [&] { on_other_thread([&] { heap.free(p); }); });
    BOOST_TEST(live_samples(heap) == 1u);
    r.deallocate(neighbour, 64);
    seen.clear();
    r.deallocate(p, 64);   // its slab was given back
    BOOST_TEST(seen.count(misuse::double_free) == 1u);
    void* const large = r.allocate(100'000);
    r.deallocate(large, 100'000);
    r.deallocate(large, 100'000);
    BOOST_TEST(seen.count(misuse::double_free) == 2u);
    BOOST_TEST(live_samples(heap) == 0u);
}

BOOST_AUTO_TEST_CASE(a_stray_bit_in_the_descriptor_of_a_large_object_harms_nothing)
{
    recorder const seen;
    tslab::allocator heap{all_sampled()};
    void* const p = heap.malloc(100'000);
    tslab::slab_meta& s = *heap.state().slab_at(p);
    std::uint64_t const hash = tslab::large_allocation{s}.sampled();
    BOOST_TEST(hash != 0u);
    s.remote_free.store(hash ^ 2, std::memory_order_relaxed);   // as a free that comes too late to a slab may leave it
    heap.free(p);
    BOOST_TEST(seen.count() == 0u);
    BOOST_TEST(live_samples(heap) == 1u);   // the profile does not know that it was freed
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    heap.free(heap.malloc(100'000));
    BOOST_TEST(live_samples(heap) == 1u);
}

BOOST_AUTO_TEST_CASE(handles_go_stale)
{
    tslab::allocator heap{all_sampled()};
    tslab::handle h{};
    for (std::size_t const bytes : {16u, 64u, 2000u, 100'000u}) {
        BOOST_REQUIRE(heap.allocate(bytes, heap.current_epoch(), h) != nullptr);
        BOOST_TEST(live_samples(heap) == 1u);
        BOOST_TEST((heap.free(h) == tslab::free_result::ok));
        BOOST_TEST((heap.free(h) == tslab::free_result::already_free));
        BOOST_TEST(live_samples(heap) == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_release_ends_the_samples_of_its_resource_alone)
{
    recorder const seen;
    tslab::allocator heap{all_sampled()};
    for (bool const share : {false, true}) {
        tslab::epoch_resource kept{heap, {.label = "kept", .share_epoch = share}};
        tslab::epoch_resource r{heap, {.label = "released", .share_epoch = share}};
        void* const live = kept.allocate(48);
        std::uint64_t objects = 0;
        for (std::size_t const bytes : {16u, 48u, 500u, 20'000u, 90'000u}) {
            for (int i = 0; i < 70; ++i, ++objects)
                static_cast<void>(r.allocate(bytes));
        }
        BOOST_TEST(live_samples(heap) == objects + 1);
        BOOST_TEST(r.release() == objects);
        BOOST_TEST(live_samples(heap) == 1u);
        BOOST_TEST(r.release() == 0u);
        r.deallocate(r.allocate(48), 48);
        kept.deallocate(live, 48);
        BOOST_TEST(live_samples(heap) == 0u);
    }
    BOOST_TEST(seen.count() == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(what_a_resource_leaks_is_counted_and_stays_sampled)
{
    recorder const seen;
    tslab::allocator heap{all_sampled()};
    for (bool const share : {false, true}) {
        void* p = nullptr;
        std::size_t const before = seen.count(misuse::leak);
        {
            tslab::epoch_resource r{heap, {.label = "leaky", .share_epoch = share}};
            p = r.allocate(64);
        }
        BOOST_TEST(seen.count(misuse::leak) == before + 1);
        BOOST_TEST(seen.last().objects == 1u);
        BOOST_TEST(live_samples(heap) == 1u);
        heap.free(p);
        BOOST_TEST(live_samples(heap) == 0u);
    }
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
}

BOOST_AUTO_TEST_CASE(the_end_of_a_phase_drains_when_its_last_sample_is_freed)
{
    recorder const seen;
    tslab::allocator heap{all_sampled()};
    tslab::epoch_id const e = heap.current_epoch();
    std::vector<void*> live;
    for (int i = 0; i < 200; ++i)
        live.push_back(heap.malloc(80, e));
    static_cast<void>(heap.close(e));
    BOOST_TEST(stats_of(heap, e).live_objects == 200u);
    static_cast<void>(heap.trim());
    on_other_thread([&] {
        for (void* const p : live)
            heap.free(p);
    });
    BOOST_TEST(live_samples(heap) == 0u);
    BOOST_TEST((stats_of(heap, e).lifecycle == tslab::lifecycle::drained));
    BOOST_TEST(heap.snapshot().global.slabs_in_use == 0u);
    BOOST_TEST(seen.count() == 0u);
}

BOOST_AUTO_TEST_CASE(threads_free_each_others_samples_while_epochs_close)
{
    recorder const seen;
    tslab::allocator heap{{.name = "busy", .profile_interval = 200}};
    std::vector<std::thread> threads;
    std::array<std::atomic<void*>, 64> shared{};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::uint32_t x = static_cast<std::uint32_t>(t) * 7919 + 1;
            for (std::size_t i = 0; i < scaled(30'000); ++i) {
                x = x * 1664525 + 1013904223;
                std::size_t const bytes = std::size_t{1} << (4 + x % 10);
                if (void* const p = heap.malloc((x >> 8) % 1000 == 0 ? 100'000 : bytes))
                    if (void* const old = shared[x >> 16 & 63U].exchange(p))
                        heap.free(old);
                if (t == 0 && i % 500 == 0)
                    static_cast<void>(heap.close(heap.current_epoch()));
                if (t == 1 && i % 3000 == 0)
                    static_cast<void>(tslab::read_heap_profile(heap));
                if (i % 64 == 0) {
                    tslab::epoch_scope const scope{heap, "scope"};
                    for (int k = 0; k < 20; ++k)
                        static_cast<void>(scope.resource()->allocate(40));
                    scope.resource()->release();
                }
            }
        });
    for (std::thread& t : threads)
        t.join();
    for (std::atomic<void*>& p : shared)
        if (p.load() != nullptr)
            heap.free(p.load());
    BOOST_TEST(live_samples(heap) == 0u);
    BOOST_TEST(heap.snapshot().global.live_objects == 0u);
    BOOST_TEST(seen.count() == 0u);
}
