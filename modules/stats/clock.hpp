// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The clocks: one for ages and durations, a coarse one that costs a few nanoseconds for the time stamp of an epoch.
// None is read on the fast path of an allocation or free.
#pragma once

namespace tslab {
inline std::uint64_t read_clock(clockid_t id) noexcept
{
    timespec t{};
    clock_gettime(id, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(t.tv_nsec);
}
}

export namespace tslab {

/// Nanoseconds of CLOCK_MONOTONIC. Thread safe.
[[nodiscard]] inline std::uint64_t now_ns() noexcept { return read_clock(CLOCK_MONOTONIC); }

/// Nanoseconds of CLOCK_MONOTONIC_COARSE: the same time, up to one timer tick (1 to 4 ms) behind, at a fifth of the
/// cost.
[[nodiscard]] inline std::uint64_t now_ns_coarse() noexcept { return read_clock(CLOCK_MONOTONIC_COARSE); }

/// Times a stretch of code: wall clock, and the processor time of the calling thread within it. The second is a system
/// call, a few hundred nanoseconds at each end, made outside the wall clock's interval. The processor time is limited
/// to the wall time.
class stopwatch {
public:
    stopwatch() noexcept : cpu_{read_clock(CLOCK_THREAD_CPUTIME_ID)}, wall_{now_ns()} {}

    struct reading {
        std::uint64_t wall_ns;
        std::uint64_t cpu_ns;
    };
    [[nodiscard]] reading read() const noexcept
    {
        std::uint64_t const wall = now_ns() - wall_;
        std::uint64_t const cpu = read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu_;
        return {wall, cpu < wall ? cpu : wall};
    }

private:
    std::uint64_t cpu_;
    std::uint64_t wall_;
};

/// Nanoseconds since 1970 (CLOCK_REALTIME), for the time stamp of a snapshot.
[[nodiscard]] inline std::uint64_t wall_clock_ns() noexcept { return read_clock(CLOCK_REALTIME); }

}
