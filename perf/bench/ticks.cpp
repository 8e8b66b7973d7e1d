// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "ticks.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

namespace bench {

double ticks_per_ns()
{
    using clock = std::chrono::steady_clock;
    using namespace std::chrono_literals;
    auto const start = clock::now();
    std::uint64_t const first = tick_begin();
    auto now = start;
    while (now - start < 10ms)
        now = clock::now();
    std::uint64_t const last = tick_begin();
    std::chrono::duration<double, std::nano> const took = now - start;
    return static_cast<double>(last - first) / took.count();
}

std::uint64_t tick_cost()
{
    std::vector<std::uint64_t> costs(10'001);
    for (std::uint64_t& cost : costs) {
        std::uint64_t const start = tick_begin();
        cost = tick_end() - start;
    }
    std::ranges::sort(costs);
    std::size_t const kept = costs.size() / 100 * 95;
    return std::accumulate(costs.begin(), costs.begin() + static_cast<std::ptrdiff_t>(kept), kept / 2) / kept;
}

std::uint64_t tick_step()
{
    std::vector<std::uint64_t> steps;
    std::uint64_t before = __rdtsc();
    for (unsigned i = 0; i < 10'000; ++i) {
        std::uint64_t const now = __rdtsc();
        if (now > before)
            steps.push_back(now - before);
        before = now;
    }
    if (steps.empty())
        return 1;
    auto const middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
    std::ranges::nth_element(steps, middle);
    return *middle;
}

}
