// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The report of a demo run: what was measured, and how it reads. Plain data in, text out.
#pragma once

#include "load.hpp"

#include <cstdint>
#include <iosfwd>
#include <vector>

#include "memory_monitor.hpp"   // imports, so it goes last

namespace request_server {

struct demo_result {
    double seconds = 0;   ///< how long the load ran
    load_result load;
    std::uint64_t allocations = 0;   ///< during the load
    std::uint64_t rss_before = 0;
    std::uint64_t rss_after = 0;
    tslab::waterfall_stats waterfall;   ///< what rss_after is made of
    sampled_peaks peaks;
    memory_by_label left;   ///< after the drain
    std::vector<leaked_scope> leaks;
    unsigned forgotten = 0;   ///< scopes forgotten on purpose: as many leaks must be found

    /// Every answer was right, and what is left is what was forgotten on purpose, nothing else.
    bool good() const;
};

void print_report(std::ostream& out, demo_result const& result);
void print_leaks(std::ostream& out, std::vector<leaked_scope> const& leaks);

}
