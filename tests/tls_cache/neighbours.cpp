// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Threads that fill slabs at the same time get slabs that are not neighbours: a processor that prefetches the next
// descriptor would take it from the other thread's processor.
#define BOOST_TEST_MODULE neighbours
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

import tslab.internal;

namespace {

constexpr std::size_t bytes = 128;
constexpr std::size_t slabs_each = 4096;

/// Lets two threads run in turn.
class turns {
public:
    template <class F> void take(unsigned who, F f)
    {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return next_ == who; });
        f();
        next_ = 1 - who;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    unsigned next_ = 0;
};

/// Counts pages of slabs, in address order, whose neighbour the same thread owns, and whose neighbour the other one
/// owns.
struct borders {
    std::size_t same = 0;
    std::size_t other = 0;
};

borders count_borders(tslab::allocator& heap)
{
    borders found;
    tslab::thread_record const* before = nullptr;
    heap.state().pages().for_each_run([&](tslab::unit_run r) {
        for (std::uint32_t i = r.first * tslab::unit_pages; i < (r.first + r.count) * tslab::unit_pages; ++i) {
            tslab::thread_cache const* const l = tslab::cache_owning(tslab::page_heap::at(i));
            tslab::thread_record const* const record = l != nullptr ? l->record() : nullptr;
            if (record != nullptr && before != nullptr)
                ++(record == before ? found.same : found.other);
            before = record;
        }
    });
    return found;
}

}

BOOST_AUTO_TEST_CASE(of_threads_that_fill_slabs_in_turn_few_slabs_have_neighbours_of_the_other)
{
    tslab::allocator heap{{.name = "neighbours"}};
    std::size_t const slots = tslab::bins[tslab::class_of(bytes)].slab_slots();
    turns both;
    std::optional<borders> found;
    auto const fill = [&](unsigned who) {
        tslab::epoch_resource resource{heap, {.label = "phase"}};
        std::vector<void*> all;
        for (std::size_t i = 0; i < slabs_each; ++i)
            both.take(who, [&] {
                for (std::size_t k = 0; k < slots; ++k)
                    all.push_back(resource.allocate(bytes));
            });
        both.take(who, [&] {
            if (!found)
                found = count_borders(heap);
        });
        for (void* const p : all)
            resource.deallocate(p, bytes);
    };
    std::thread other{[&] { fill(1); }};
    fill(0);
    other.join();
    BOOST_REQUIRE(found.has_value());
    BOOST_TEST(found->same + found->other > slabs_each);
    BOOST_TEST(found->other * 4 < found->same);
}

BOOST_AUTO_TEST_CASE(a_thread_alone_takes_no_slab_that_it_does_not_use)
{
    tslab::allocator heap{{.name = "alone"}};
    tslab::epoch_resource resource{heap, {.label = "phase"}};
    std::vector<void*> all;
    for (std::size_t i = 0; i < slabs_each; ++i)
        all.push_back(resource.allocate(bytes));
    BOOST_TEST(heap.snapshot({.residency = false}).classes[tslab::class_of(bytes)].cached_slabs == 0u);
    for (void* const p : all)
        resource.deallocate(p, bytes);
}
