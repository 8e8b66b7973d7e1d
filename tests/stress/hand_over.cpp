// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory that one thread allocates and another frees, raw and through a resource; a resource that many threads share,
// released while they stand at a barrier. What comes back is used again: the number of slabs stays bounded.
#define BOOST_TEST_MODULE stress_hand_over
#include "stress_roles.hpp"
#include <barrier>
#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <deque>
#include <optional>
import tslab.internal;

namespace {

using stress::bench;
using stress::object;
using stress::random_source;
using roles = std::vector<std::function<void(random_source&)>>;

/// A bounded queue, first in first out.
class queue {
public:
    void push(object const& o)
    {
        std::unique_lock guard{lock_};
        changed_.wait(guard, [this] { return objects_.size() < 4096 || over_; });
        objects_.push_back(o);
        changed_.notify_all();
    }
    bool pop(object& o)
    {
        std::unique_lock guard{lock_};
        changed_.wait(guard, [this] { return !objects_.empty() || over_; });
        if (objects_.empty())
            return false;
        o = objects_.front();
        objects_.pop_front();
        changed_.notify_all();
        return true;
    }
    void close()
    {
        std::lock_guard const guard{lock_};
        over_ = true;
        changed_.notify_all();
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    std::deque<object> objects_;
    bool over_ = false;
};

void finish(bench& b)
{
    b.free_all_late();
    stress::close_everything(b.heap);
    BOOST_TEST(stress::wrong_with(b.heap, &b.done) == "");
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}

/// Half of the threads produce, the other half consumes; `allocate` and `free` are called on different threads.
template <class Allocate, class Free> void produce_and_consume(bench& b, Allocate allocate, Free free)
{
    queue q;
    std::atomic<unsigned> producers{std::max(1U, stress::given().threads / 2)};
    roles all;
    for (unsigned i = 0, n = producers.load(); i < n; ++i) {
        all.emplace_back([&](random_source& r) {
            object o;
            while (b.going())
                if (allocate(o, 1 + stress::below(r, 768), r))
                    q.push(o);
            if (producers.fetch_sub(1) == 1)
                q.close();
        });
        all.emplace_back([&](random_source&) {
            object o;
            while (q.pop(o))
                free(o);
        });
    }
    b.run(all);
}

}

BOOST_AUTO_TEST_CASE(producers_and_consumers_of_raw_memory)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "queue"}};
    bench b{heap};
    produce_and_consume(
        b, [&b](object& o, std::size_t n, random_source& r) { return b.allocate(o, n, r); },
        [&b](object const& o) { b.free(o); });
    tslab::global_stats const g = heap.snapshot().global;
    BOOST_TEST(b.done.refused.load() == 0U);
    // At most 4,096 + threads are live at once; slabs that were freed by others must be found again.
    BOOST_TEST(heap.state().pages().used_pages() < 40'000U);
    BOOST_TEST(g.live_objects == 0U);
    finish(b);
}

BOOST_AUTO_TEST_CASE(producers_and_consumers_through_one_resource)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "queue"}};
    bench b{heap};
    {
        tslab::epoch_resource shared{heap, {.label = "shared"}};
        produce_and_consume(
            b, [&](object& o, std::size_t n, random_source& r) { return b.allocate_from(shared, o, n, r); },
            [&](object const& o) { b.free_into(shared, o); });
        BOOST_TEST(heap.snapshot().global.live_objects == 0U);
    }
    BOOST_TEST(stress::report_watch::count(tslab::misuse::leak) == 0U);
    finish(b);
}

// The thread that made the resource allocates in its own thread cache; everybody else frees.
BOOST_AUTO_TEST_CASE(one_producer_in_its_own_resource)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "queue"}};
    bench b{heap};
    queue q;
    roles all;
    std::optional<tslab::epoch_resource> own;
    std::atomic<unsigned> consumers{0};
    all.emplace_back([&](random_source& r) {
        own.emplace(heap, tslab::resource_options{.label = "own"});
        consumers.store(1);
        object o;
        while (b.going())
            if (b.allocate_from(*own, o, 1 + stress::below(r, 768), r)) {
                if (stress::below(r, 3) == 0)
                    b.free_into(*own, o);
                else
                    q.push(o);
            }
        q.close();
        while (consumers.load() != stress::given().threads + 1)
            std::this_thread::yield();
        own.reset();
    });
    for (unsigned i = 0; i < stress::given().threads; ++i)
        all.emplace_back([&](random_source&) {
            object o;
            while (q.pop(o))
                b.free_into(*own, o);
            consumers.fetch_add(1);
        });
    b.run(all);
    BOOST_TEST(stress::report_watch::count(tslab::misuse::leak) == 0U);
    finish(b);
}

BOOST_AUTO_TEST_CASE(one_resource_for_all_with_releases_at_barriers)
{
    stress::report_watch const watch;
    for (auto const policy : {tslab::deallocate_policy::carry_out, tslab::deallocate_policy::count_only}) {
        tslab::allocator heap{{.name = "release"}};
        bench b{heap};
        bool const carries_out = policy == tslab::deallocate_policy::carry_out;
        std::uint64_t released = 0;
        std::atomic<std::uint64_t> freed{0};
        {
            tslab::epoch_resource shared{heap, {.label = "shared", .deallocate = policy}};
            unsigned const n = stress::given().threads;
            std::atomic<bool> last_round{false};
            auto const release = [&]() noexcept {
                released += shared.release();
                last_round.store(!b.going());
            };
            std::barrier all_there{static_cast<std::ptrdiff_t>(n), release};
            roles all;
            for (unsigned i = 0; i < n; ++i)
                all.emplace_back([&](random_source& r) {
                    std::vector<object> mine;
                    object o;
                    while (!last_round.load()) {
                        for (std::size_t k = 0, most = stress::below(r, 400); k < most; ++k) {
                            if (b.allocate_from(shared, o, stress::mixed_size(r), r))
                                mine.push_back(o);
                            if (stress::below(r, 3) == 0) {
                                std::swap(mine[stress::below(r, mine.size())], mine.back());
                                b.free_into(shared, mine.back());
                                freed.fetch_add(1, std::memory_order_relaxed);
                                mine.pop_back();
                            }
                        }
                        for (object const& each : mine)
                            b.check(each);
                        mine.clear();
                        all_there.arrive_and_wait();
                    }
                });
            b.run(all);
        }
        tslab::global_stats const g = heap.snapshot().global;
        BOOST_TEST(released == b.done.allocated.load() - (carries_out ? freed.load() : 0));
        BOOST_TEST(g.counted_frees == (carries_out ? 0 : freed.load()));
        BOOST_TEST(g.released_objects == released);
        BOOST_TEST(stress::report_watch::count(tslab::misuse::leak) == 0U);
        finish(b);
    }
}
