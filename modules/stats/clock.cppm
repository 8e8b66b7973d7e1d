// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The clocks: one for ages and durations, a coarse one that costs a few nanoseconds for stamping an epoch's birth.
// None is read on the way of a common allocation or free.
module;
#include <cstdint>
#include <ctime>
export module tslab.stats:clock;

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

/// Nanoseconds of CLOCK_MONOTONIC_COARSE: the same time, up to one timer tick (1 to 4 ms) behind, at a fifth of the cost.
[[nodiscard]] inline std::uint64_t now_ns_coarse() noexcept { return read_clock(CLOCK_MONOTONIC_COARSE); }

/// Nanoseconds since 1970 (CLOCK_REALTIME), for the time stamp of a snapshot.
[[nodiscard]] inline std::uint64_t wall_clock_ns() noexcept { return read_clock(CLOCK_REALTIME); }

}
