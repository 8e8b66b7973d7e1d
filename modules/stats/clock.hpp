// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The clocks. Ages, intervals and rates are measured by CLOCK_MONOTONIC, which nobody sets and which does not count the
// time that the machine was suspended: nothing happens in it. CLOCK_REALTIME, which may be set forward and back, only
// says when something was, and no two readings of it are subtracted. No clock is read on the fast path of an allocation
// or free. docs/observing.md says it for each figure.
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

/// Names the time since the machine started: readings of CLOCK_MONOTONIC can be compared if they have the same one.
struct boot_id {
    std::array<char, 40> text{};   ///< 36 characters, hexadecimal digits and hyphens, then NULs; all NUL if not known

    /// Empty if it is not known, or is none.
    [[nodiscard]] std::string_view view() const noexcept;
};
/// Of this machine, from /proc/sys/kernel/random/boot_id. Thread safe.
[[nodiscard]] boot_id read_boot_id() noexcept;

/// What the clocks showed at one moment.
struct clock_reading {
    std::uint64_t monotonic_ns = 0;   ///< CLOCK_MONOTONIC, or the coarse one
    std::uint64_t wall_ns = 0;        ///< CLOCK_REALTIME
    boot_id boot{};                   ///< of the first
};

}
