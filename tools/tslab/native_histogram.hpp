// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Histograms as Prometheus has them natively: a bucket for each power of two that has something, and none where there is nothing.
#pragma once
#include <cstdint>
#include <map>
import tslab.inspect;

namespace tslab::tool {

/// Counts of amounts in the schema 0 of native histograms.
struct native_histogram {
    static constexpr int schema = 0;
    /// Up to here an amount is 0. What client libraries have as a rule; no amount but 0 is as small.
    static constexpr double zero_threshold = 0x1p-128;

    std::uint64_t zero_count = 0;
    std::map<int, std::uint64_t> buckets{};   ///< by index: n holds amounts above 2^(n-1), and 2^n. None is 0.
};

/// Each bucket of `counts` goes as a whole to where the middle of its amounts, multiplied by `scale`, belongs. With a scale of 1 four
/// buckets make one, and nothing is in a wrong one but the amounts of exactly a power of two from 8 up: they share their
/// bucket with larger ones, and are in the bucket above theirs.
[[nodiscard]] native_histogram native_histogram_of(tslab::quarter_histogram const& counts, double scale);

}
