// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Phases of many labels that end on many threads, with memory from others and closes beside them, while snapshots look:
// each is counted once, and no figure goes back.
#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "stress.hpp"

namespace {

/// The bytes of the slot that an object of `size` has, larger in a checked build.
std::uint64_t counted(tslab::allocator& heap, std::size_t size)
{
    return tslab::class_sizes[tslab::class_of(heap.state().checks().padded(size), alignof(std::max_align_t))];
}

/// What of `now` is impossible, or less than in `before`.
std::string wrong_costs(tslab::snapshot const& now, tslab::snapshot const& before)
{
    std::string wrong;
    std::map<std::string, tslab::phase_cost_stats const*> then;
    for (tslab::phase_cost_stats const& c : before.phase_costs)
        then[c.label] = &c;
    for (tslab::phase_cost_stats const& c : now.phase_costs) {
        if (c.peak_bytes_max > c.bytes_max || c.empty_phases > c.bytes.total())
            wrong += " " + c.label + " is absurd";
        if (auto const at = then.find(c.label); at != then.end()) {
            tslab::phase_cost_stats const& b = *at->second;
            if (c.phases < b.phases || c.bytes_sum < b.bytes_sum || c.objects_sum < b.objects_sum ||
                c.wall_ns_sum < b.wall_ns_sum || c.bytes_max < b.bytes_max)
                wrong += " " + c.label + " went back";
        }
    }
    return wrong;
}

}

BOOST_AUTO_TEST_CASE(phases_that_end_everywhere_are_counted_once_and_exactly)
{
    stress::report_watch const watch;
    tslab::allocator heap{{.name = "costs", .epoch_count = 64, .cost_labels = 16, .guard_sampling = 0}};
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> objects{0};
    std::atomic<std::uint64_t> bytes{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            for (unsigned n = 0; !over.load(); ++n) {
                tslab::epoch_scope scope{heap, "scope " + std::to_string((n + static_cast<unsigned>(t)) % 25)};
                std::vector<std::pair<void*, std::size_t>> all;
                for (std::size_t i = 0; i < n % 40; ++i) {
                    std::size_t const size = std::size_t{64} << i % 4;
                    all.emplace_back(scope.resource()->allocate(size), size);
                    objects.fetch_add(1);
                    bytes.fetch_add(counted(heap, size));
                }
                if (n % 16 == 0)   // memory from another thread
                    std::thread{[&] {
                        all.emplace_back(scope.resource()->allocate(96), 96);
                        objects.fetch_add(1);
                        bytes.fetch_add(counted(heap, 96));
                    }}.join();
                for (auto const& [p, size] : all)
                    scope.resource()->deallocate(p, size);
            }
        });
    threads.emplace_back([&] {   // frames, and trims of what others use
        for (unsigned n = 0; !over.load(); ++n) {
            heap.set_label(heap.current_epoch(), "frame");
            heap.advance();
            if (n % 64 == 0)
                static_cast<void>(heap.trim());
        }
    });
    auto const until = std::chrono::steady_clock::now() + std::chrono::duration<double>(stress::given().seconds);
    tslab::snapshot before = heap.snapshot({.residency = false});
    std::string wrong;
    while (std::chrono::steady_clock::now() < until && wrong.empty()) {
        tslab::snapshot now = heap.snapshot({.residency = false});
        wrong = wrong_costs(now, before);
        before = std::move(now);
    }
    over.store(true);
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(wrong == "");
    tslab::snapshot const end = heap.snapshot({.residency = false});
    std::uint64_t phases = 0;
    std::uint64_t of_objects = 0;
    std::uint64_t of_bytes = 0;
    for (tslab::phase_cost_stats const& c : end.phase_costs) {
        phases += c.phases;
        of_objects += c.objects_sum;
        of_bytes += c.bytes_sum;
        for (auto const* const h : {&c.objects, &c.bytes, &c.peak_bytes, &c.wall_ns})
            BOOST_TEST(h->total() == c.phases);
    }
    // A phase that ended while another thread was stopped with the memory for its row is counted as dropped.
    std::uint64_t const dropped = end.global.phase_costs_dropped;
    BOOST_TEST(phases + dropped == end.global.epoch_closes);
    BOOST_TEST(dropped < end.global.epoch_closes / 4);   // how many depends on for how long it was stopped
    BOOST_TEST((of_objects == objects.load() || (dropped != 0 && of_objects < objects.load())));
    BOOST_TEST((of_bytes == bytes.load() || (dropped != 0 && of_bytes < bytes.load())));
    BOOST_TEST(stress::report_watch::unexpected() == 0u);
    stress::close_everything(heap);
    BOOST_TEST(stress::wrong_with(heap) == "");
}
