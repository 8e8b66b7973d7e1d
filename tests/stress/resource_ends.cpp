// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A resource ends on a thread that did not make it, while the thread that did frees its objects by the shared path: each free
// counts once, no misuse is reported, and the epoch drains. A resource that shares its epoch counts what lives in its thread cache besides.
#define BOOST_TEST_MODULE stress_resource_ends
#include "stress_roles.hpp"
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
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

}

BOOST_AUTO_TEST_CASE(on_another_thread_while_its_own_frees) { end_elsewhere_while_its_own_thread_frees(false); }
BOOST_AUTO_TEST_CASE(in_a_shared_epoch_on_another_thread_while_its_own_frees)
{
    end_elsewhere_while_its_own_thread_frees(true);
}
