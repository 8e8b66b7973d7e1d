// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The clocks. Ages, intervals and rates are measured by CLOCK_MONOTONIC, which cannot be set and does not count the
// time that the machine was suspended, in which nothing happens. CLOCK_REALTIME, which may be set forward and back, only
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
    /// Begins to measure, on the calling thread.
    stopwatch() noexcept : cpu_{read_clock(CLOCK_THREAD_CPUTIME_ID)}, wall_{now_ns()} {}

    /// The time since the start.
    struct reading {
        std::uint64_t wall_ns;   ///< of the wall clock, in nanoseconds
        std::uint64_t cpu_ns;    ///< that the thread executed, in nanoseconds
    };
    /// Reads both clocks. Requires: the calling thread made the stopwatch.
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

/// The processor's time stamp counter, calibrated against CLOCK_MONOTONIC: a reading takes some ten nanoseconds and no
/// call. Where there is none that runs evenly, and until it is calibrated, CLOCK_MONOTONIC itself.
class tick_clock {
public:
    /// Calibrates the counter, once a millisecond has passed since the first call in the process. Thread safe.
    static inline void calibrate() noexcept
    {
        if (scale_.load(std::memory_order_relaxed) == 0) [[unlikely]]
            try_to_calibrate();
    }

    /// A moment, as ns_between takes it: the counter, or CLOCK_MONOTONIC where there is none that runs evenly. Requires:
    /// `calibrate` was called before the first one. Thread safe.
    [[nodiscard]] static inline std::uint64_t stamp() noexcept
    {
#if defined(__x86_64__)
        if (even_.load(std::memory_order_relaxed)) [[likely]]
            return __builtin_ia32_rdtsc();
#endif
        return now_ns();
    }
    /// Nanoseconds between two moments; 0 if the second is not later, as processors' counters differ a little. While the
    /// counter is not calibrated it reads the clock. Thread safe.
    [[nodiscard]] static inline std::uint64_t ns_between(std::uint64_t from, std::uint64_t to) noexcept
    {
        std::uint64_t const passed = to > from ? to - from : 0;
        std::uint64_t const scale = scale_.load(std::memory_order_relaxed);
        if (scale == 0) [[unlikely]]
            return ns_uncalibrated(passed);
        return static_cast<std::uint64_t>(static_cast<unsigned __int128>(passed) * scale >> 32U);
    }

    tick_clock() noexcept : scale_of_{scale_.load(std::memory_order_relaxed)}, begin_{now()} {}
    /// Nanoseconds since the object was made.
    [[nodiscard]] inline std::uint64_t elapsed_ns() const noexcept
    {
        std::uint64_t const end = now();
        std::uint64_t const passed = end > begin_ ? end - begin_ : 0;   // processors' counters differ a little
        return scale_of_ == 0 ? passed
                              : static_cast<std::uint64_t>(static_cast<double>(passed) *
                                                           static_cast<double>(scale_of_) * (1.0 / scale_one));
    }

private:
    static constexpr double scale_one = 4'294'967'296.0;   // of scale_: one nanosecond for a tick

    static void try_to_calibrate() noexcept;
    [[nodiscard, gnu::cold]] static std::uint64_t ns_uncalibrated(std::uint64_t passed) noexcept;
    [[nodiscard]] inline std::uint64_t now() const noexcept
    {
#if defined(__x86_64__)
        if (scale_of_ != 0) {
            __builtin_ia32_lfence();   // the reading waits for what came before it
            return __builtin_ia32_rdtsc();
        }
#endif
        return now_ns();
    }

    static inline constinit std::atomic<std::uint64_t> scale_{0};   // 0: not calibrated
    static inline constinit std::atomic<bool> even_{false};         // set by the first call of calibrate, if ever

    std::uint64_t scale_of_;
    std::uint64_t begin_;
};

/// Times one operation of a sample: wall time by tick_clock. The processor time of the thread is a system call, so it is
/// read only where it makes a difference:
/// - An operation that expects no wait (takes no lock, makes no call to the system) needs less than `brief_ns`. Beyond
///   that the thread was not running, and the time counts as waiting.
/// - One that may wait says so before (expect_wait); the thread's clock is read there and, if the operation took
///   `brief_ns` or longer, at its end. A shorter one counts as work.
class sample_timer {
public:
    static constexpr std::uint64_t brief_ns = 10'000;

    sample_timer() noexcept = default;

    /// Called before a lock is taken or the system called. The reading is not part of the wall time.
    void expect_wait() noexcept
    {
        if (measured_)
            return;
        tick_clock const reading;
        measured_ = true;
        before_ns_ = wall_.elapsed_ns();
        cpu_ = read_clock(CLOCK_THREAD_CPUTIME_ID);
        reading_ns_ = reading.elapsed_ns();
    }
    [[nodiscard]] stopwatch::reading read() const noexcept
    {
        std::uint64_t const all = wall_.elapsed_ns();
        std::uint64_t const wall = all - std::min(all, reading_ns_);
        if (wall < brief_ns)
            return {wall, wall};
        if (!measured_)
            return {wall, brief_ns};
        std::uint64_t const cpu = before_ns_ + read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu_;
        return {wall, std::min(cpu, wall)};
    }

private:
    tick_clock wall_;
    std::uint64_t before_ns_ = 0;   // wall time until the thread's clock was read
    std::uint64_t reading_ns_ = 0;
    std::uint64_t cpu_ = 0;
    bool measured_ = false;
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
