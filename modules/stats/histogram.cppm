// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// How long something took, told apart by powers of two: a distribution in a few words of memory, and what sampling keeps
// of one kind of event.
module;
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
export module tslab.stats:histogram;

import :counter;

export namespace tslab {

/// Counts of durations in nanoseconds. Bucket 0 holds 0; bucket b holds [2^(b-1), 2^b); the last one everything above.
struct log2_histogram {
    static constexpr std::size_t bucket_count = 40;

    std::array<std::uint64_t, bucket_count> buckets{};

    [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t ns) noexcept
    {
        return std::min(static_cast<std::size_t>(std::bit_width(ns)), bucket_count - 1);
    }
    /// The largest duration of a bucket.
    [[nodiscard]] static constexpr std::uint64_t upper_bound(std::size_t bucket) noexcept
    {
        return (std::uint64_t{1} << bucket) - 1;
    }
    [[nodiscard]] constexpr std::uint64_t total() const noexcept
    {
        std::uint64_t n = 0;
        for (std::uint64_t const b : buckets)
            n += b;
        return n;
    }
    /// A duration that at least the fraction `q` (0 to 1) of the counted ones did not exceed: the upper bound of the bucket
    /// in which that many are reached, so at most twice the true value. 0 when nothing was counted.
    [[nodiscard]] constexpr std::uint64_t quantile(double q) const noexcept
    {
        double const wanted = q * static_cast<double>(total());
        double seen = 0;
        for (std::size_t b = 0; b < bucket_count; ++b) {
            seen += static_cast<double>(buckets[b]);
            if (seen > 0 && seen >= wanted)
                return upper_bound(b);
        }
        return 0;
    }
    constexpr void add(log2_histogram const& other) noexcept
    {
        for (std::size_t b = 0; b < bucket_count; ++b)
            buckets[b] += other.buckets[b];
    }

    friend bool operator==(log2_histogram const&, log2_histogram const&) = default;
};

/// Wall clock and processor time of timed events, and their difference: what the thread waited for a processor or a lock.
struct timing_stats {
    std::uint64_t samples = 0;   ///< events that were timed
    std::uint64_t wall_ns_sum = 0;
    std::uint64_t cpu_ns_sum = 0;
    std::uint64_t wait_ns_sum = 0;   ///< wall - cpu of each, never below 0
    std::uint64_t wall_ns_max = 0;
    std::uint64_t cpu_ns_max = 0;
    std::uint64_t wait_ns_max = 0;
    log2_histogram wall;
    log2_histogram wait;

    void add(timing_stats const& other) noexcept
    {
        samples += other.samples;
        wall_ns_sum += other.wall_ns_sum;
        cpu_ns_sum += other.cpu_ns_sum;
        wait_ns_sum += other.wait_ns_sum;
        wall_ns_max = std::max(wall_ns_max, other.wall_ns_max);
        cpu_ns_max = std::max(cpu_ns_max, other.cpu_ns_max);
        wait_ns_max = std::max(wait_ns_max, other.wait_ns_max);
        wall.add(other.wall);
        wait.add(other.wait);
    }

    friend bool operator==(timing_stats const&, timing_stats const&) = default;
};

/// timing_stats that one thread advances and every thread may read.
class timing_counters {
public:
    void note(std::uint64_t wall_ns, std::uint64_t cpu_ns) noexcept
    {
        std::uint64_t const wait_ns = wall_ns > cpu_ns ? wall_ns - cpu_ns : 0;   // the clocks tick apart by a little
        samples_.add();
        wall_sum_.add(wall_ns);
        cpu_sum_.add(cpu_ns);
        wait_sum_.add(wait_ns);
        wall_max_.raise(wall_ns);
        cpu_max_.raise(cpu_ns);
        wait_max_.raise(wait_ns);
        wall_[log2_histogram::bucket_of(wall_ns)].add();
        wait_[log2_histogram::bucket_of(wait_ns)].add();
    }
    [[nodiscard]] timing_stats read() const noexcept
    {
        timing_stats t;
        t.samples = samples_.value();
        t.wall_ns_sum = wall_sum_.value();
        t.cpu_ns_sum = cpu_sum_.value();
        t.wait_ns_sum = wait_sum_.value();
        t.wall_ns_max = wall_max_.value();
        t.cpu_ns_max = cpu_max_.value();
        t.wait_ns_max = wait_max_.value();
        for (std::size_t b = 0; b < log2_histogram::bucket_count; ++b) {
            t.wall.buckets[b] = wall_[b].value();
            t.wait.buckets[b] = wait_[b].value();
        }
        return t;
    }
    /// For the writer only.
    void reset() noexcept
    {
        for (counter* const c : {&samples_, &wall_sum_, &cpu_sum_, &wait_sum_, &wall_max_, &cpu_max_, &wait_max_})
            c->reset();
        for (auto* const buckets : {&wall_, &wait_})
            for (counter& c : *buckets)
                c.reset();
    }

private:
    counter samples_, wall_sum_, cpu_sum_, wait_sum_, wall_max_, cpu_max_, wait_max_;
    std::array<counter, log2_histogram::bucket_count> wall_, wait_;
};

}
