// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Serial resources as strands use them: each has a lock, and whichever thread holds that uses it for a while. Beside that
// threads free objects of the resources by the heap, close, trim, and end.
#define BOOST_TEST_MODULE stress_serial
#include "stress_roles.hpp"
#include <array>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>
import tslab.internal;

namespace {

using stress::bench;
using stress::object;
using stress::random_source;

/// A strand: its resource, and what is alive in it. Used with the lock held.
struct strand {
    std::mutex lock;
    std::unique_ptr<tslab::epoch_resource> resource;
    std::vector<object> objects;
};

class strands {
public:
    strands(bench& b, bool shared) : b_{b}, shared_{shared} {}

    /// One turn of a strand.
    void turn(random_source& r)
    {
        strand& s = all_[stress::below(r, all_.size())];
        std::lock_guard const guard{s.lock};
        if (s.resource == nullptr)
            s.resource = std::make_unique<tslab::epoch_resource>(
                b_.heap, tslab::resource_options{
                             .label = "strand", .share_epoch = shared_, .threading = tslab::threading::serial});
        for (std::size_t n = stress::below(r, 60); n > 0; --n) {
            object o;
            if (s.objects.size() < 400 && stress::below(r, 100) < 55) {
                if (b_.allocate_from(*s.resource, o, stress::mixed_size(r), r))
                    s.objects.push_back(o);
            } else if (!s.objects.empty()) {
                std::swap(s.objects[stress::below(r, s.objects.size())], s.objects.back());
                if (stress::below(r, 4) != 0 || !b_.late.give(s.objects.back()))
                    b_.free_into(*s.resource, s.objects.back());
                s.objects.pop_back();
            }
        }
        if (stress::below(r, 40) == 0)
            finish(s);
    }
    /// A close or a trim of a strand's epoch, by a thread that need not have used it.
    void reclaim(random_source& r)
    {
        tslab::epoch_id e;
        {
            strand& s = all_[stress::below(r, all_.size())];
            std::lock_guard const guard{s.lock};
            if (s.resource == nullptr)
                return;
            e = s.resource->epoch();
        }
        if (!shared_ && stress::below(r, 4) == 0)
            b_.heap.close(e);
        else
            b_.heap.trim(e);
        b_.done.closes.fetch_add(1, std::memory_order_relaxed);
    }
    void finish_all()
    {
        for (strand& s : all_)
            finish(s);
    }

private:
    void finish(strand& s)
    {
        for (object const& o : s.objects)
            b_.free_into(*s.resource, o);
        s.objects.clear();
        s.resource.reset();   // objects that are still on their way are leaks, and freed later
    }

    bench& b_;
    bool shared_;
    std::array<strand, 12> all_;
};

void strands_on_many_threads(bool shared)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "strands", .epoch_count = 64}};
    bench b{heap};
    strands all{b, shared};
    std::vector<std::function<void(random_source&)>> roles;
    for (unsigned i = 0; i < stress::given().threads; ++i)
        roles.emplace_back([&](random_source& r) {
            while (b.going())
                all.turn(r);
        });
    roles.emplace_back([&](random_source& r) { stress::late_frees(b, r); });
    // Frees by the heap, uses and closes on one thread, which is often the last one that used what it frees.
    roles.emplace_back([&](random_source& r) {
        object o;
        while (b.going()) {
            all.turn(r);
            if (b.late.take(o, r))
                b.free(o);
            all.reclaim(r);
        }
    });
    // Threads that use some and end.
    roles.emplace_back([&](random_source& r) {
        while (b.going()) {
            std::thread{[&] {
                for (int i = 0; i < 20; ++i)
                    all.turn(r);
            }}.join();
            b.done.threads.fetch_add(1, std::memory_order_relaxed);
        }
    });
    b.run(roles);
    std::thread{[&] { all.finish_all(); }}.join();
    b.free_all_late();
    stress::close_everything(heap);
    BOOST_TEST(b.done.bad.load() == 0U);
    BOOST_TEST(b.done.threads.load() > 0U);
    BOOST_TEST(b.done.closes.load() > 0U);
    BOOST_TEST(stress::wrong_with(heap, &b.done) == "");
    BOOST_TEST(stress::report_watch::unexpected() == 0U);
}

}

BOOST_AUTO_TEST_CASE(each_in_an_epoch_of_its_own) { strands_on_many_threads(false); }
BOOST_AUTO_TEST_CASE(all_in_one_epoch) { strands_on_many_threads(true); }
