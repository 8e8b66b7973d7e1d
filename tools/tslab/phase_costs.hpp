// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What phases cost between two readings of a heap, and which labels are looked at where not all can be.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

/// The costs of a label in `s`; null if it has none.
[[nodiscard]] phase_cost_stats const* cost_of_label(snapshot const& s, phase_cost_stats const& like) noexcept;

/// `now` without what was counted in `before`; the maxima, and the largest phase, are those of all time. A label that counted
/// less than before began anew: then all of it is new.
[[nodiscard]] phase_cost_stats since(phase_cost_stats now, phase_cost_stats const& before) noexcept;

/// Series of a metric have their labels for ever, so there are so many of them, those that allocated most.
inline constexpr std::size_t exposed_cost_labels = 64;

struct chosen_costs {
    std::vector<std::size_t> shown{};   ///< in the order of the snapshot
    std::size_t omitted = 0;
};
[[nodiscard]] chosen_costs choose(std::vector<phase_cost_stats> const& costs);

}
