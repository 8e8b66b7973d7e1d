// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A histogram of latencies: 64 buckets for every doubling, so that a quantile is exact to 1.6 %
// whatever its size, and recording costs one increment. One writer; merge after it has ended.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace request_server {

class latency_histogram {
public:
    using nanoseconds = std::chrono::nanoseconds;

    void record(nanoseconds latency)
    {
        auto const value = static_cast<std::uint64_t>(std::max<nanoseconds::rep>(latency.count(), 0));
        ++buckets_[std::min(bucket_of(value), buckets_.size() - 1)];
        ++count_;
        most_ = std::max(most_, latency);
    }

    void merge(latency_histogram const& other)
    {
        std::ranges::transform(buckets_, other.buckets_, buckets_.begin(), std::plus{});
        count_ += other.count_;
        most_ = std::max(most_, other.most_);
    }

    std::uint64_t count() const { return count_; }
    nanoseconds most() const { return most_; }

    /// The latency that a part `q` (0 to 1) of all stayed within; zero if there are none.
    nanoseconds quantile(double q) const
    {
        auto const wanted = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_)));
        std::uint64_t seen = 0;
        for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
            seen += buckets_[bucket];
            if (seen >= wanted && seen != 0)
                return std::min(upper_end(bucket), most_);
        }
        return nanoseconds{0};
    }

private:
    static constexpr unsigned precision = 6;   // 2^6 buckets for each power of two
    static constexpr std::uint64_t first_octave = std::uint64_t{1} << precision;

    // Below 64 a value is its own bucket; above, its leading seven bits and their place choose.
    static std::size_t bucket_of(std::uint64_t value)
    {
        if (value < first_octave)
            return value;
        auto const shift = static_cast<unsigned>(std::bit_width(value)) - precision - 1;
        return (shift << precision) + (value >> shift);
    }

    static nanoseconds upper_end(std::size_t bucket)
    {
        if (bucket < 2 * first_octave)
            return nanoseconds{bucket};
        std::size_t const shift = (bucket >> precision) - 1;
        std::uint64_t const leading = bucket - (shift << precision);
        return nanoseconds{((leading + 1) << shift) - 1};
    }

    std::array<std::uint64_t, first_octave * 34> buckets_{};   // up to 2^39 ns, nine minutes
    std::uint64_t count_ = 0;
    nanoseconds most_{0};
};

}
