// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Metrics in the protobuf format of Prometheus, which alone has native histograms. The messages are described at
// https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto.
#pragma once
#include "tslab/metric_families.hpp"
#include <string>

namespace tslab::tool {

/// A message io.prometheus.client.MetricFamily for each family, behind its length. Times of creation are not in it: a snapshot
/// does not say since when it counts.
[[nodiscard]] std::string protobuf_of(metric_families const& all);

}
