// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A resource ends on a thread that did not make it, while the thread that did frees its objects by the shared path: each free
// counts once, no misuse is reported, and the epoch drains. A resource that shares its epoch counts what lives in its thread cache besides.
// And resources end and begin while another one frees what it does not own.
#define BOOST_TEST_MODULE stress_resource_ends
#include "stress_roles.hpp"
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>
import tslab.internal;

namespace {

void end_elsewhere_while_its_own_thread_frees(bool shared)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "elsewhere", .epoch_count = 8}};
    std::atomic<tslab::epoch_resource*> to_end{nullptr};
    std::atomic<bool> over{false};
    std::thread other{[&] {
        while (!over.load())
            delete to_end.exchange(nullptr);
    }};
    auto const until = std::chrono::steady_clock::now() + std::chrono::duration<double>(stress::given().seconds);
    std::vector<void*> objects(16'384);
    constexpr std::size_t stride = 257;   // from slab to slab: so that both threads are often at the same one
    while (std::chrono::steady_clock::now() < until) {
        auto made = std::make_unique<tslab::epoch_resource>(
            heap, tslab::epoch_resource::options{.label = "elsewhere", .share_epoch = shared});
        for (void*& p : objects)
            p = made->allocate(64);
        to_end.store(made.release());
        for (std::size_t i = 0; i < objects.size(); ++i)
            heap.free(objects[i * stride % objects.size()]);
        while (to_end.load() != nullptr)
            std::this_thread::yield();
    }
    over.store(true);
    other.join();
    stress::close_everything(heap);
    BOOST_TEST(stress::wrong_with(heap) == "");
    BOOST_TEST(stress::report_watch::count(tslab::misuse::double_free) == 0U);
    BOOST_TEST(heap.snapshot().global.live_objects == 0U);
}

/// A resource that has allocated nothing frees objects of resources that come and go on another thread. Whether the object
/// lives, its slab waits, or the next resource has it: such a free is reported, and the owner's own free is not.
void a_stranger_frees(std::size_t size, std::size_t objects)
{
    stress::report_watch const watch{true};
    tslab::allocator heap{{.name = "strange"}};
    std::atomic<void*> last{nullptr};
    std::atomic<bool> over{false};
    std::uint64_t tried = 0;
    std::thread other{[&] {
        tslab::epoch_resource stranger{heap};
        while (!over.load(std::memory_order_relaxed))
            if (void* const p = last.load(std::memory_order_acquire)) {
                stranger.deallocate(p, size);
                ++tried;
            }
    }};
    auto const until = std::chrono::steady_clock::now() + std::chrono::duration<double>(stress::given().seconds / 3);
    std::vector<void*> mine(objects);
    std::uint64_t const before = stress::report_watch::of_this_thread();
    while (std::chrono::steady_clock::now() < until)
        for (int i = 0; i < 100; ++i) {
            tslab::epoch_resource owner{heap};
            for (void*& p : mine) {
                p = owner.allocate(size);
                last.store(p, std::memory_order_release);
            }
            for (void* const p : mine)
                owner.deallocate(p, size);
        }
    BOOST_TEST(stress::report_watch::of_this_thread() == before);
    over.store(true);
    other.join();
    stress::close_everything(heap);
    BOOST_TEST(stress::wrong_with(heap) == "");
    tslab::global_stats const all = heap.snapshot().global;
    BOOST_TEST(all.allocations == all.frees);
    BOOST_TEST(tried > 0U);
    BOOST_TEST(stress::report_watch::count(tslab::misuse::double_free) +
                   stress::report_watch::count(tslab::misuse::wrong_resource) ==
               tried);
}

}

BOOST_AUTO_TEST_CASE(while_one_that_has_nothing_frees_its_objects) { a_stranger_frees(48, 3); }
BOOST_AUTO_TEST_CASE(while_one_that_has_nothing_frees_its_larger_objects) { a_stranger_frees(16'384, 1); }
BOOST_AUTO_TEST_CASE(on_another_thread_while_its_own_frees) { end_elsewhere_while_its_own_thread_frees(false); }
BOOST_AUTO_TEST_CASE(in_a_shared_epoch_on_another_thread_while_its_own_frees)
{
    end_elsewhere_while_its_own_thread_frees(true);
}
