// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <numeric>

#include "report.hpp"   // imports, so it goes last

namespace request_server {
namespace {

bytes_by_label live_by_label(tslab::snapshot const& taken)
{
    bytes_by_label live;
    for (tslab::epoch_stats const& epoch : taken.epochs)
        live[epoch.label] += epoch.live_bytes;
    return live;
}

std::string in_ms(std::chrono::nanoseconds time)
{
    return tslab::decimal_text(static_cast<double>(time.count()) / 1e6, 2) + " ms";
}

double per(double divisor, std::uint64_t number) { return divisor > 0 ? static_cast<double>(number) / divisor : 0; }

void print_load(demo_result const& result)
{
    std::uint64_t const requests = result.load.all.count;
    std::printf("throughput   %.0f requests/s   %.0f allocations/s   %.0f allocations/request\n",
                per(result.seconds, requests), per(result.seconds, result.allocations),
                per(static_cast<double>(requests), result.allocations));
    std::printf("errors       %ju in %ju requests over %.1f s\n", std::uintmax_t{result.load.errors},
                std::uintmax_t{requests}, result.seconds);
    if (result.load.errors != 0)
        std::printf("             %s\n", result.load.first_error.c_str());
}

void print_memory(demo_result const& result)
{
    auto const text = [](std::uint64_t bytes) { return tslab::bytes_text(bytes); };
    tslab::global_stats const& after = result.after.global;
    std::printf("process RSS  before %s   peak %s   after the drain %s\n", text(result.rss_before).c_str(),
                text(std::max(result.peaks.rss_bytes, after.rss_bytes)).c_str(), text(after.rss_bytes).c_str());
}

void print_row(std::string const& label, latency_histogram const& latency, std::uint64_t peak, std::uint64_t left)
{
    std::printf("%-12s%10ju%12s%12s%12s%12s%14s%12s\n", label.c_str(), std::uintmax_t{latency.count},
                in_ms(latency.quantile(0.5)).c_str(), in_ms(latency.quantile(0.99)).c_str(),
                in_ms(latency.quantile(0.999)).c_str(), in_ms(latency.most).c_str(), tslab::bytes_text(peak).c_str(),
                tslab::bytes_text(left).c_str());
}

void print_labels(demo_result const& result)
{
    std::printf("\n%-12s%10s%12s%12s%12s%12s%14s%12s\n", "label", "requests", "p50", "p99", "p99.9", "max",
                "sampled peak", "left");
    bytes_by_label peaks = result.peaks.live_by_label;
    bytes_by_label left = live_by_label(result.after);
    for (auto const& [label, latency] : result.load.by_label)
        print_row(std::string{label}, latency, peaks[std::string{label}], left[std::string{label}]);
    print_row("all", result.load.all, result.peaks.live_bytes, result.after.global.live_bytes);
    std::puts("");
}

template <class Holders> std::uint64_t live_bytes_of(Holders const& all)
{
    return std::accumulate(all.begin(), all.end(), std::uint64_t{0},
                           [](std::uint64_t sum, auto const& one) { return sum + one.live_bytes; });
}

}

void sampled_peaks::add(tslab::snapshot const& sample)
{
    for (auto const& [label, live] : request_server::live_by_label(sample))
        live_by_label[label] = std::max(live_by_label[label], live);
    live_bytes = std::max(live_bytes, sample.global.live_bytes);
    rss_bytes = std::max(rss_bytes, sample.global.rss_bytes);
}

void print_leaks(std::vector<tslab::leak> const& leaks)
{
    if (leaks.empty())
        std::puts("no leak: every scope was left");
    else
        std::printf("LEAK: %zu %s entered and never left\n", leaks.size(),
                    leaks.size() == 1 ? "scope was" : "scopes were");
    for (tslab::leak const& leak : leaks)
        std::printf("  %s\n", leak.sentence().c_str());
}

bool print_report(demo_result const& result)
{
    auto const leaks = tslab::find_leaks(result.after, 0);
    print_load(result);
    print_memory(result);
    print_labels(result);
    print_leaks(leaks);
    bool const found = leaks.size() == result.forgotten;
    bool const owned = live_bytes_of(result.after.epochs) == live_bytes_of(leaks);
    if (result.load.errors != 0)
        std::puts("FAILED: some answers were wrong");
    if (!found)
        std::printf("FAILED: %u scopes were forgotten on purpose, %zu were found\n", result.forgotten, leaks.size());
    if (!owned)
        std::puts("FAILED: memory is left that belongs to no scope");
    return result.load.errors == 0 && found && owned;
}

}
