// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Snapshots as Prometheus reads them.
#pragma once
#include <string>
#include <vector>
import tslab.stats;

namespace tslab::tool {

/// The text exposition format 0.0.4.
[[nodiscard]] std::string exposition(std::vector<tslab::snapshot> const& snapshots);

}
