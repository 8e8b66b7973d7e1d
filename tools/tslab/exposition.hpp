// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Snapshots as metrics: the Prometheus text format, version 0.0.4, or the protobuf format. docs/metrics.md lists what comes out.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

/// What an HTTP answer says about the text.
inline constexpr char const* exposition_content_type = "text/plain; version=0.0.4; charset=utf-8";
inline constexpr char const* protobuf_content_type =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// How many epochs of one heap have series of their own: ACTIVE and CLOSING ones, half of them those that hold the most,
/// the rest the oldest.
inline constexpr std::size_t exposed_epochs = 256;
/// Of how many drained epochs, the latest, the facts of their timed close are exposed.
inline constexpr std::size_t exposed_drained_epochs = 16;

/// Whether series say which process they are of.
enum class pid_label : std::uint8_t { when_several, always };

/// Every counter and gauge of `heaps`, which may be of several processes; each family once. Every value of a label is UTF-8
/// without control characters, whatever the programs called their heaps and phases.
[[nodiscard]] std::string exposition(std::vector<tslab::snapshot> const& heaps, pid_label pids);
[[nodiscard]] std::string exposition(std::vector<tslab::snapshot> const& heaps);
/// The same as messages io.prometheus.client.MetricFamily, each behind its length. What phases cost is there as native histograms too.
[[nodiscard]] std::string protobuf_exposition(std::vector<tslab::snapshot> const& heaps);

}
