// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// How many ticks of the time stamp counter a nanosecond has.
module;
#include <atomic>
#include <cstdint>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
module tslab.stats;

namespace tslab {

namespace {

#if defined(__x86_64__)
/// Whether the time stamp counter runs evenly whatever the processor does.
bool is_even() noexcept
{
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    constexpr unsigned power_leaf = 0x80000007;
    constexpr unsigned invariant = 1U << 8;
    return __get_cpuid(power_leaf, &a, &b, &c, &d) != 0 && (d & invariant) != 0;
}

/// The same, asked once. No guarded static: a fork may come while another thread initialises it.
bool knows_even() noexcept
{
    enum : unsigned char { unknown, yes, no };
    static constinit std::atomic<unsigned char> answer{unknown};
    unsigned char known = answer.load(std::memory_order_relaxed);
    if (known == unknown)
        answer.store(known = is_even() ? yes : no, std::memory_order_relaxed);
    return known == yes;
}

/// Both clocks at about one moment.
struct reading {
    std::uint64_t ticks = 0;
    std::uint64_t ns = 0;
    std::uint64_t took = ~std::uint64_t{0};   // ticks, for all of it
};

/// A thread may be interrupted between the two clocks, so it reads them some times, and the quickest counts.
reading read_both() noexcept
{
    constexpr int tries = 8;
    constexpr std::uint64_t quick = 1'000;
    reading best;
    for (int i = 0; i < tries && best.took > quick; ++i) {
        std::uint64_t const ticks = __builtin_ia32_rdtsc();
        std::uint64_t const ns = now_ns();
        if (std::uint64_t const took = __builtin_ia32_rdtsc() - ticks; took < best.took)
            best = {ticks, ns, took};
    }
    return best;
}

// The first reading of both clocks. `first_ns` is written last; 0: none yet.
constinit std::atomic<std::uint64_t> first_ticks{0};
constinit std::atomic<std::uint64_t> first_ns{0};
#endif

}

void tick_clock::try_to_calibrate() noexcept
{
#if defined(__x86_64__)
    if (!knows_even())
        return;
    even_.store(true, std::memory_order_relaxed);
    constexpr std::uint64_t least_ns = 1'000'000;   // then an error of the readings, some ten nanoseconds, is 1 in 10^5
    constexpr std::uint64_t most_ticks = 10'000;    // for a reading: more, and the thread was interrupted each time
    auto const [ticks, ns, took] = read_both();
    if (took > most_ticks)
        return;   // the next call tries again
    std::uint64_t const since = first_ns.load(std::memory_order_acquire);
    if (since == 0) {
        std::uint64_t none = 0;
        if (first_ticks.compare_exchange_strong(none, ticks, std::memory_order_relaxed))
            first_ns.store(ns, std::memory_order_release);   // release: a thread that sees it sees the ticks
        return;
    }
    std::uint64_t const begun = first_ticks.load(std::memory_order_relaxed);
    if (ns < since + least_ns || ticks <= begun)
        return;
    scale_.store(
        static_cast<std::uint64_t>(static_cast<double>(ns - since) / static_cast<double>(ticks - begun) * scale_one),
        std::memory_order_relaxed);
#endif
}

/// `passed` in nanoseconds, before the counter is calibrated: by the readings so far. Those span the interval, so the error
/// is that of the readings, some ten nanoseconds.
std::uint64_t tick_clock::ns_uncalibrated(std::uint64_t passed) noexcept
{
#if defined(__x86_64__)
    if (even_.load(std::memory_order_relaxed)) {
        try_to_calibrate();
        std::uint64_t const since = first_ns.load(std::memory_order_acquire);
        reading const now = read_both();
        std::uint64_t const ticks = now.ticks - first_ticks.load(std::memory_order_relaxed);
        std::uint64_t const ns = now.ns - since;
        return since == 0 || ticks == 0
                   ? 0
                   : static_cast<std::uint64_t>(static_cast<double>(passed) * static_cast<double>(ns) /
                                                static_cast<double>(ticks));
    }
#endif
    return passed;
}

}
