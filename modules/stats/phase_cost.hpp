// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What phases cost: the figures of one that has ended, and counts of amounts by a quarter of a power of two.
#pragma once

export namespace tslab {

/// Counts of amounts: bytes, objects, nanoseconds. Each power of two has four buckets of equal width; amounts below 8 have
/// one each. So the largest amount of a bucket is less than 1.25 times its smallest. The last bucket holds all above.
struct quarter_histogram {
    static constexpr unsigned steps = 4;               ///< buckets of a power of two
    static constexpr std::size_t bucket_count = 176;   ///< the last begins at 7 * 2^42: 28 TiB, or 8.5 hours

    std::array<std::uint64_t, bucket_count> buckets{};   ///< how many amounts each holds

    /// The bucket that holds an amount of `n`.
    [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t n) noexcept
    {
        // Four times `n`, shifted by the place of its highest bit, is that bit and the two below it, 4 to 7; what is below 4
        // stays. Where the highest two bits are lost the bucket is the last one anyway.
        std::size_t const highest = 63 ^ static_cast<std::size_t>(std::countl_zero(n | steps));
        return std::min<std::size_t>(highest * steps + (n * steps >> highest) - 2 * std::size_t{steps},
                                     bucket_count - 1);
    }
    /// The largest amount of a bucket; of the last one, of those that are not above all buckets.
    [[nodiscard]] static constexpr std::uint64_t upper_bound(std::size_t bucket) noexcept
    {
        if (bucket < steps)
            return bucket;
        return ((std::uint64_t{steps} + 1 + bucket % steps) << (bucket / steps - 1)) - 1;
    }
    /// How many amounts all buckets hold.
    [[nodiscard]] constexpr std::uint64_t total() const noexcept
    {
        std::uint64_t n = 0;
        for (std::uint64_t const b : buckets)
            n += b;
        return n;
    }
    /// An upper bound of the quantile `q` (0 to 1) of the amounts, less than 1.25 times the true one: the upper bound of the
    /// bucket that contains it, or `most`, the largest amount, if that is less. 0 if nothing was counted.
    [[nodiscard]] constexpr std::uint64_t quantile(double q, std::uint64_t most) const noexcept
    {
        double const wanted = q * static_cast<double>(total());
        double seen = 0;
        for (std::size_t b = 0; b < bucket_count; ++b) {
            seen += static_cast<double>(buckets[b]);
            if (seen > 0 && seen >= wanted)
                return b + 1 == bucket_count ? most : std::min(upper_bound(b), most);
        }
        return 0;
    }
    /// The same of `n` phases; nothing if their amounts were counted where this reader does not see it.
    [[nodiscard]] constexpr std::optional<std::uint64_t> known_quantile(double q, std::uint64_t most,
                                                                        std::uint64_t n) const noexcept
    {
        if (n != 0 && total() == 0)
            return std::nullopt;
        return quantile(q, most);
    }

    friend bool operator==(quarter_histogram const&, quarter_histogram const&) = default;
};

static_assert(quarter_histogram::bucket_of(7) == 7 && quarter_histogram::upper_bound(7) == 7);
static_assert(quarter_histogram::bucket_of(quarter_histogram::upper_bound(100)) == 100 &&
              quarter_histogram::bucket_of(quarter_histogram::upper_bound(100) + 1) == 101);

/// What is counted of each phase.
enum class cost : std::uint8_t {
    objects,   ///< allocated
    bytes,     ///< allocated: of slots, and of large allocations as asked for
    peak,      ///< bytes: see phase_cost
    wall_ns,   ///< from its begin to its end
    count_
};
inline constexpr std::size_t cost_count = static_cast<std::size_t>(cost::count_);

/// What one phase cost, in the order of `cost`. The peak is an upper bound of the bytes that were live at once: the bytes
/// that were allocated in all, or those of the pages that were held at once, whichever is less.
using phase_cost = std::array<std::uint64_t, cost_count>;

[[nodiscard]] constexpr std::uint64_t& of(phase_cost& c, cost what) noexcept
{
    return c[static_cast<std::size_t>(what)];
}
[[nodiscard]] constexpr std::uint64_t of(phase_cost const& c, cost what) noexcept
{
    return c[static_cast<std::size_t>(what)];
}

/// Labels that costs can be told apart by: those with a bucket, and further ones.
inline constexpr std::uint32_t most_further_labels = 1024;

}
