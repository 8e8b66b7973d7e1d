// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/native_histogram.hpp"
#include <cmath>
#include <cstddef>
import tslab.inspect;

namespace tslab::tool {

namespace {

/// The bucket that holds an amount above 0: its upper bound, which belongs to it, as a power of two.
int index_of(double amount)
{
    int power = 0;
    double const fraction = std::frexp(amount, &power);   // 0.5 to below 1
    return fraction == 0.5 ? power - 1 : power;
}

}

native_histogram native_histogram_of(quarter_histogram const& counts, double scale)
{
    native_histogram native{.zero_count = counts.buckets[0]};
    for (std::size_t b = 1; b < quarter_histogram::bucket_count; ++b) {
        if (counts.buckets[b] == 0)
            continue;
        auto const least = static_cast<double>(quarter_histogram::upper_bound(b - 1) + 1);
        auto const most = static_cast<double>(quarter_histogram::upper_bound(b));
        native.buckets[index_of((least + most) / 2 * scale)] += counts.buckets[b];
    }
    return native;
}

}
