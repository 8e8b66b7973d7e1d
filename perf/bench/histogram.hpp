// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A log-linear histogram: exact up to 64, then 64 buckets for every power of two, so that the middle of a bucket is within
// 0.8 % of all that is in it. One writer.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace bench {

class histogram {
public:
    static constexpr unsigned precision_bits = 6;
    static constexpr std::size_t fine = std::size_t{1} << precision_bits;
    static constexpr unsigned most_bits = 44;   // of ticks: hours
    static constexpr std::size_t bucket_count = (most_bits - precision_bits + 1) * fine;

    void add(std::uint64_t value)
    {
        std::size_t const at = bucket_of(value);
        ++counts_[at < bucket_count ? at : bucket_count - 1];
        if (value > most_)
            most_ = value;
    }

    void add(histogram const& other)
    {
        for (std::size_t i = 0; i < bucket_count; ++i)
            counts_[i] += other.counts_[i];
        if (other.most_ > most_)
            most_ = other.most_;
    }

    static constexpr std::size_t bucket_of(std::uint64_t value)
    {
        if (value < fine)
            return static_cast<std::size_t>(value);
        unsigned const shift = static_cast<unsigned>(std::bit_width(value)) - 1 - precision_bits;
        return (shift + 1) * fine + static_cast<std::size_t>(value >> shift) - fine;
    }

    /// The middle of a bucket.
    static constexpr double value_of(std::size_t bucket)
    {
        if (bucket < fine)
            return static_cast<double>(bucket);
        auto const shift = static_cast<unsigned>(bucket / fine - 1);
        std::uint64_t const low = (fine + bucket % fine) << shift;
        return static_cast<double>(low) + static_cast<double>((std::uint64_t{1} << shift) - 1) / 2;
    }

    [[nodiscard]] std::uint64_t count(std::size_t bucket) const { return counts_[bucket]; }
    [[nodiscard]] std::uint64_t most() const { return most_; }

private:
    std::array<std::uint64_t, bucket_count> counts_{};
    std::uint64_t most_ = 0;
};

static_assert(histogram::bucket_of(63) == 63 && histogram::bucket_of(64) == 64 && histogram::bucket_of(127) == 127);
static_assert(histogram::bucket_of(128) == 128 && histogram::bucket_of(129) == 128 && histogram::bucket_of(130) == 129);
static_assert(histogram::value_of(histogram::bucket_of(1'000'000)) > 992'000);
static_assert(histogram::value_of(histogram::bucket_of(1'000'000)) < 1'008'000);

}
