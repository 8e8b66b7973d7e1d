// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The three kinds of a run: how fast, how long a single operation takes, how much memory it keeps resident.
#pragma once

#include "histogram.hpp"
#include "pattern.hpp"

#include <cstdint>

namespace bench {

struct throughput {
    std::uint64_t operations = 0;
    double wall_ns = 0;
    unsigned cores = 1;     ///< the threads that can have run at a time
    double ns_per_op = 0;   ///< wall_ns * cores / operations: processor time of one operation, waiting included
    double cpu_ns = 0;      ///< processor time that the process had meanwhile, waiting not included
    own_figures own{};
};

struct latencies {
    histogram allocate{};
    histogram deallocate{};
    double ticks_per_ns = 1;
    std::uint64_t tick_cost = 0;   ///< of reading the clock; subtracted already
    std::uint64_t tick_step = 0;   ///< of the clock: some machines count in steps
};

struct memory_use {
    std::uint64_t base = 0;   ///< before the first phase, everything set up
    std::uint64_t peak = 0;
    std::uint64_t drained = 0;   ///< when everything is freed, the threads alive and idle
    std::uint64_t trimmed = 0;   ///< after `trim`; 0 where there is no such operation
    std::uint64_t live = 0;      ///< bytes asked for and not freed, near the most there are; 0: never met again
    std::uint64_t at_live = 0;   ///< resident then
    std::uint64_t huge = 0;      ///< of what is resident after the last phase, in huge pages
    std::uint64_t early = 0;     ///< after half as many phases to warm up
    std::uint64_t late = 0;      ///< after `phases` more
    std::uint64_t phases = 0;
};

throughput measure_throughput(contender& c, pattern const& what, setting s, double seconds);
latencies measure_latencies(contender& c, pattern const& what, setting s, double seconds);
memory_use measure_memory(contender& c, pattern const& what, setting s, std::uint64_t phases);

}
