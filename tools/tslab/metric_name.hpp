// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a field of a snapshot is called as a metric, and what is said about it. Names follow from the field's name by the
// conventions of Prometheus; a table in metric_name.cpp has those that do not.
#pragma once
#include <optional>
#include <string>
#include <string_view>
import tslab.inspect;

namespace tslab::tool {

struct metric {
    std::string name{};
    std::string_view help{};
    bool counter = false;
    double scale = 1;   ///< from the field's unit to the metric's
};

/// `object` as in docs/stats-reference.md: `snapshot`, `class`, `epoch`, `label`, `close`, `sampled`, `waterfall`.
/// Nothing for a field that is no metric.
[[nodiscard]] std::optional<metric> metric_of(std::string_view object, std::string_view field, tslab::field_kind kind);

/// One line about a metric whose name begins with temporal_slab_; empty when there is none.
[[nodiscard]] std::string_view help_of(std::string_view metric) noexcept;

}
