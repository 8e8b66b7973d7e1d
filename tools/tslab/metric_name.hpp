// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A field of a snapshot as a metric. Its name follows from the field's by the conventions of Prometheus; a table in
// metric_name.cpp has the names that do not. Its help is that of the field (modules/stats/figures.def).
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
/// Nothing for a field that is no metric. The help is the field's.
[[nodiscard]] std::optional<metric> metric_of(std::string_view object, tslab::field_info const& field);

}
