// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Snapshots of a heap in which everything moves: scopes open and close, threads end and are replaced, labels appear. Every
// figure is true of some moment, so none is absurd, and no counter goes back.
#define BOOST_TEST_MODULE stress_snapshots
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "stress_roles.hpp"
import tslab.internal;

namespace {

constexpr std::uint64_t absurd = std::uint64_t{1} << 60;

/// What is wrong with a snapshot in itself, and after `before`.
std::string wrong_in(tslab::snapshot const& s, tslab::snapshot const& before)
{
    std::string wrong;
    auto const check = [&](std::string const& where, auto const& now, auto const* then) {
        std::vector<std::uint64_t> counters;
        for_each_field(now, [&]<class T>(std::string_view name, tslab::field_kind kind, T const& value) {
            if constexpr (std::is_same_v<T, std::uint64_t>) {
                if (value > absurd && name != "timestamp_ns" && name != "open_since_ns")
                    wrong += " " + where + std::string{name} + "=" + std::to_string(value);
                if (kind == tslab::field_kind::counter)
                    counters.push_back(value);
            }
        });
        if (then == nullptr)
            return;
        std::size_t i = 0;
        for_each_field(*then, [&]<class T>(std::string_view name, tslab::field_kind kind, T const& value) {
            if constexpr (std::is_same_v<T, std::uint64_t>)
                if (kind == tslab::field_kind::counter && counters[i++] < value)
                    wrong += " " + where + std::string{name} + " went back from " + std::to_string(value) + " to " +
                             std::to_string(counters[i - 1]);
        });
    };
    check("", s.global, &before.global);
    for (std::size_t c = 0; c < s.classes.size(); ++c)
        check("class " + std::to_string(c) + " ", s.classes[c], &before.classes[c]);
    check("sampled ", s.sampled, &before.sampled);
    for (tslab::thread_stats const& t : s.threads)
        check("thread ", t, static_cast<tslab::thread_stats const*>(nullptr));
    for (tslab::epoch_stats const& e : s.epochs) {
        check("epoch ", e, static_cast<tslab::epoch_stats const*>(nullptr));
        if (e.label == "idle" && (e.live_objects != 0 || e.allocations != 0))
            wrong += " an idle epoch has " + std::to_string(e.live_objects) + " of " + std::to_string(e.allocations) +
                     " objects";
        if (e.label == "busy" && e.opened_at.line != 0 && e.opened_at.function.find("busy") == std::string::npos)
            wrong += " a busy epoch was entered in " + e.opened_at.function;
    }
    for (tslab::label_stats const& l : s.labels)
        if (l.label_id != 15 && l.name == "other")
            wrong += " label " + std::to_string(l.label_id) + " has no name";
    return wrong;
}

void be_busy(tslab::allocator& heap)
{
    tslab::epoch_scope scope{heap, "busy"};
    std::array<void*, 100> all{};
    for (void*& p : all)
        p = scope.resource()->allocate(128);
    for (void* const p : all)
        scope.resource()->deallocate(p, 128);
}

void be_idle(tslab::allocator& heap) { tslab::epoch_scope const scope{heap, "idle"}; }

}

BOOST_AUTO_TEST_CASE(no_figure_of_a_busy_heap_is_absurd_and_no_counter_goes_back)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "busy", .epoch_count = 8, .sampling = true}};
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        while (!over.load()) {
            be_busy(heap);
            be_idle(heap);
        }
    });
    threads.emplace_back([&] {   // threads that come and go, and take over each other's records
        while (!over.load())
            std::thread{[&] {
                for (int i = 0; i < 3000; ++i)
                    heap.free(heap.malloc(700));
            }}.join();
    });
    threads.emplace_back([&] {   // count-only resources, releases, closes, shared epochs
        for (unsigned n = 0; !over.load(); ++n) {
            tslab::epoch_resource r{heap,
                                    {.share_epoch = n % 3 == 0, .deallocate = tslab::deallocate_policy::count_only}};
            for (int i = 0; i < 50; ++i)
                static_cast<void>(r.allocate(300));
            if (n % 2 == 0)
                r.release();
            if (n % 16 == 0)
                heap.close(heap.current_epoch());
            if (n < 14)
                heap.set_label(heap.current_epoch(), "label " + std::to_string(n));
        }
    });
    auto const until = std::chrono::steady_clock::now() + std::chrono::duration<double>(stress::given().seconds);
    tslab::snapshot before = heap.snapshot();
    std::uint64_t taken = 0;
    std::string wrong;
    while (std::chrono::steady_clock::now() < until && wrong.empty()) {
        tslab::snapshot now = heap.snapshot({.residency = taken % 8 == 0});
        wrong = wrong_in(now, before);
        before = std::move(now);
        ++taken;
    }
    over.store(true);
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(wrong == "");
    BOOST_TEST(taken > 10u);
    tslab::snapshot const end = heap.snapshot();
    BOOST_TEST(wrong_in(end, before) == "");
    BOOST_TEST(end.global.frees == end.global.allocations - end.global.live_objects);
    BOOST_TEST(stress::report_watch::unexpected() == 0u);
    stress::close_everything(heap);
    BOOST_TEST(stress::wrong_with(heap) == "");
}
