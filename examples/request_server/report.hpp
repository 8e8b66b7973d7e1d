// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a demo run measured, and the report of it on standard output.
#pragma once

#include "load.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

import tslab;

namespace request_server {

using bytes_by_label = std::map<std::string, std::uint64_t>;

/// The most that samples saw: what came and went between two of them is not seen.
struct sampled_peaks {
    bytes_by_label live_by_label;
    std::uint64_t live_bytes = 0;
    std::uint64_t rss_bytes = 0;

    void add(tslab::snapshot const& sample);
};

struct demo_result {
    double seconds = 0;   ///< how long the load ran
    load_result load;
    std::uint64_t allocations = 0;   ///< during the load
    std::uint64_t rss_before = 0;
    sampled_peaks peaks;
    tslab::snapshot after;    ///< when all requests have ended and what is free was trimmed
    unsigned forgotten = 0;   ///< scopes forgotten on purpose: as many leaks must be found
};

/// Prints the report. True if every answer was right, and what is left is what was forgotten on purpose, nothing else.
bool print_report(demo_result const& result);

void print_leaks(std::vector<tslab::leak> const& leaks);

}
