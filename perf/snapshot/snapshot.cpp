// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a snapshot costs the thread that takes it, and its JSON: with 64 epochs alive that hold 1, 16 and 256 pages each. The threads
// that allocate meanwhile wait for nothing; they share the memory bus with it.
#include <benchmark/benchmark.h>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

import tslab;

namespace {

constexpr std::size_t epochs = 64;

/// A heap with 64 scopes open, in each of which pages of 768-byte objects are full.
struct heap_with_epochs {
    tslab::allocator heap{{.name = "snapshot"}};
    std::vector<std::unique_ptr<tslab::epoch_resource>> open;

    explicit heap_with_epochs(std::size_t pages)
    {
        for (std::size_t e = 0; e < epochs; ++e) {
            open.push_back(std::make_unique<tslab::epoch_resource>(
                heap, tslab::resource_options{.label = "phase", .deallocate = tslab::deallocate_policy::count_only}));
            for (std::size_t i = 0; i < 5 * pages; ++i)
                *static_cast<char*>(open.back()->allocate(768)) = 1;
        }
    }
};

void with_residency(benchmark::State& state)
{
    heap_with_epochs const h{static_cast<std::size_t>(state.range(0))};
    for (auto _ : state)
        benchmark::DoNotOptimize(h.heap.snapshot());
}

void without_residency(benchmark::State& state)
{
    heap_with_epochs const h{static_cast<std::size_t>(state.range(0))};
    for (auto _ : state)
        benchmark::DoNotOptimize(h.heap.snapshot({.residency = false}));
}

void leaks(benchmark::State& state)
{
    heap_with_epochs const h{static_cast<std::size_t>(state.range(0))};
    for (auto _ : state)
        benchmark::DoNotOptimize(h.heap.leaks(std::chrono::seconds{0}));
}

void json(benchmark::State& state)
{
    heap_with_epochs const h{static_cast<std::size_t>(state.range(0))};
    tslab::snapshot const s = h.heap.snapshot();
    for (auto _ : state)
        benchmark::DoNotOptimize(tslab::to_json(s));
}

}

BENCHMARK(with_residency)->ArgName("pages")->Arg(1)->Arg(16)->Arg(256);
BENCHMARK(without_residency)->ArgName("pages")->Arg(1)->Arg(16)->Arg(256);
BENCHMARK(leaks)->ArgName("pages")->Arg(16);
BENCHMARK(json)->ArgName("pages")->Arg(16);
BENCHMARK_MAIN();
