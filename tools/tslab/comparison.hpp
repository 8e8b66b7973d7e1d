// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What differs between two snapshots of a heap, what of it is worse, and what only one of them has.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

struct limits_of_change {
    double slow_path_growth = 0.1;             ///< fraction by which the slow path rate may grow
    std::uint64_t least_allocations = 1'000;   ///< on either side; below, the rate says nothing
    std::uint64_t madvise_failures = 0;
    std::uint64_t leaked_objects = 0;   ///< more than before
    std::optional<double> live_growth{};
    std::optional<double> rss_growth{};
};

struct change {
    std::string name;
    double before = 0;
    double after = 0;
    bool worse = false;   ///< beyond its limit
};

/// What one of two snapshots has and the other has not.
struct unmatched {
    std::string kind;   ///< heap, class, label, epoch, or figure: one that is known on one side only
    std::string name;   ///< a label's as the program gave it, control characters included

    friend bool operator==(unmatched const&, unmatched const&) = default;
};

struct comparison {
    bool same_run = false;   ///< both are of one process, B the later: counters of B are what happened since A
    std::vector<change> changes{};
    std::vector<unmatched> gone{};    ///< only in A
    std::vector<unmatched> added{};   ///< only in B

    [[nodiscard]] bool worse() const noexcept;
};

/// Compares the figures of two heaps, and looks for classes that were allocated from, registered labels, and epochs that are
/// open: in one run each epoch, in two runs the labels that have open epochs. A figure that only one side knows is not
/// compared.
[[nodiscard]] comparison compare(tslab::snapshot const& a, tslab::snapshot const& b, limits_of_change const& limits);

}
