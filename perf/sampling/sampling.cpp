// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What sampling shows of three workloads: one thread alone, threads that free each other's objects in one epoch, and
// threads that come and go while epochs are closed under them. Wall clock against processor time says whether a slow
// allocation worked or waited; repairs are printed by reason. The figures are of this machine at this moment.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

import tslab;

namespace {

using random_source = std::minstd_rand;

constexpr std::array<std::size_t, 8> sizes{24, 80, 120, 160, 240, 350, 500, 700};

struct settings {
    std::uint64_t allocations = 1'000'000;   // of all threads together
    unsigned seed = 1;
};

/// One thread: the last thousand objects live, the oldest is freed first.
void alone(tslab::allocator& heap, unsigned, std::uint64_t allocations, random_source& random)
{
    std::vector<void*> live(1000, nullptr);
    for (std::uint64_t i = 0; i < allocations; ++i) {
        void*& slot = live[i % live.size()];
        heap.free(slot);
        slot = heap.malloc(sizes[random() % sizes.size()]);
    }
    for (void* const p : live)
        heap.free(p);
}

/// All threads share one epoch and a table of objects: each frees what another put there.
void contending(tslab::allocator& heap, unsigned, std::uint64_t allocations, random_source& random)
{
    static std::array<std::atomic<void*>, 4096> table{};
    for (std::uint64_t i = 0; i < allocations; ++i)
        heap.free(table[random() % table.size()].exchange(heap.malloc(sizes[random() % sizes.size()])));
    for (std::atomic<void*>& slot : table)
        heap.free(slot.exchange(nullptr));
}

/// The class with the fewest slots, in batches by threads that end after each: their slabs are left on the epoch's epoch's slabs with a
/// few objects, which others free just when the next ones look there for free slots. Now and then the epoch is closed.
void adversarial(tslab::allocator& heap, unsigned, std::uint64_t allocations, random_source& random)
{
    static std::array<std::atomic<void*>, 64> table{};
    constexpr std::uint64_t batch = 64;
    for (std::uint64_t done = 0; done < allocations; done += batch)
        std::thread{[&, n = std::min(batch, allocations - done)] {
            for (std::uint64_t i = 0; i < n; ++i)
                heap.free(table[random() % table.size()].exchange(heap.malloc(700)));
            if (random() % 64 == 0)
                heap.close(heap.current_epoch());
        }}.join();
    for (std::atomic<void*>& slot : table)
        heap.free(slot.exchange(nullptr));
}

struct workload {
    char const* name;
    unsigned threads;
    void (*run)(tslab::allocator&, unsigned number, std::uint64_t allocations, random_source&);
};
constexpr std::array workloads{workload{"alone", 1, alone}, workload{"contending", 8, contending},
                               workload{"adversarial", 16, adversarial}};

tslab::snapshot measure(workload const& w, settings const& s)
{
    tslab::allocator heap{{.name = w.name, .sampling = true}};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < w.threads; ++t)
        threads.emplace_back([&, t] {
            random_source random{s.seed * 1000 + t};
            w.run(heap, t, s.allocations / w.threads, random);
        });
    for (std::thread& t : threads)
        t.join();
    random_source random{s.seed};
    w.run(heap, 0, 0, random);   // frees what the last ones left
    return heap.snapshot();
}

/// Wall clock per processor time, as the specification judges it.
char const* judgement(double ratio) { return ratio < 1.5 ? "clean" : ratio <= 2 ? "moderate" : "heavy"; }

void print(workload const& w, tslab::snapshot const& s)
{
    tslab::timing_stats const& a = s.sampled.alloc;
    double const n = static_cast<double>(std::max<std::uint64_t>(a.samples, 1));
    auto const average = [n](std::uint64_t sum) { return static_cast<double>(sum) / n; };
    double const ratio = tslab::ratio(a.wall_ns_sum, a.cpu_ns_sum);
    auto const number = [](std::uint64_t v) { return static_cast<unsigned long long>(v); };
    std::printf("%-12s %7u %8llu %8.0f %8.0f %8.0f %8llu %8llu %9llu %9llu %6.2f %-9s %8llu %6llu %6llu %6llu\n",
                w.name, w.threads, number(a.samples), average(a.wall_ns_sum), average(a.cpu_ns_sum),
                average(a.wait_ns_sum), number(a.wall.quantile(0.5)), number(a.wall.quantile(0.99)),
                number(a.wall_ns_max), number(a.wait_ns_max), ratio, judgement(ratio), number(s.sampled.repair_count),
                number(s.sampled.repair_reason_full_bitmap), number(s.sampled.repair_reason_list_mismatch),
                number(s.sampled.repair_reason_other));
}

}

int main(int argc, char** argv)
{
    settings s;
    std::string only;
    CLI::App app{
        "Times one allocation in 1,024 of three workloads, wall clock and processor time, and counts repairs."};
    app.add_option("--allocations", s.allocations, "of all threads together")
        ->check(CLI::Range(1, 1'000'000'000))
        ->capture_default_str();
    app.add_option("--seed", s.seed)->capture_default_str();
    app.add_option("--only", only, "one of the three")->check(CLI::IsMember({"alone", "contending", "adversarial"}));
    CLI11_PARSE(app, argc, argv);

    std::printf("one allocation in 1,024; nanoseconds, percentiles as upper bounds of powers of two\n");
    std::printf("%-12s %7s %8s %8s %8s %8s %8s %8s %9s %9s %6s %-9s %8s %6s %6s %6s\n", "workload", "threads",
                "samples", "wall", "cpu", "wait", "p50", "p99", "max wall", "max wait", "ratio", "", "repairs", "full",
                "list", "other");
    bool sound = true;
    for (workload const& w : workloads) {
        if (!only.empty() && only != w.name)
            continue;
        tslab::snapshot const end = measure(w, s);
        print(w, end);
        // A sampler that took no sample, or repairs that hide a double free, would be no measurement.
        sound = sound && end.global.live_objects == 0 && end.sampled.repair_reason_other == 0 &&
                (s.allocations / w.threads < 100'000 || end.sampled.alloc.samples != 0);
    }
    if (!sound)
        std::fprintf(stderr, "sampling: the workloads did not come out as they must\n");
    return sound ? 0 : 1;
}
