// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The processor's time stamp counter, fenced so that what stands between two readings is all that they measure.
#pragma once

#include <cstdint>

#include <x86intrin.h>

namespace bench {

inline std::uint64_t tick_begin()
{
    _mm_lfence();
    std::uint64_t const now = __rdtsc();
    _mm_lfence();
    return now;
}

inline std::uint64_t tick_end()
{
    unsigned processor;
    std::uint64_t const now = __rdtscp(&processor);
    _mm_lfence();
    return now;
}

/// How many ticks a nanosecond has, by a comparison with the steady clock over some milliseconds.
double ticks_per_ns();

/// What two readings with nothing between them differ by: the mean of many, the longest twentieth left out. Not the median:
/// a clock that counts in steps would make it a whole step.
std::uint64_t tick_cost();

/// By how much two readings in a row usually differ, if they do: some machines count in steps.
std::uint64_t tick_step();

}
