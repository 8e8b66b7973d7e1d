// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// In which format a scraper wants its metrics.
#pragma once
#include <string_view>

namespace tslab::tool {

/// Whether `accept`, a header Accept (RFC 9110, 12.5.1), has a higher q-value for messages io.prometheus.client.MetricFamily, each behind
/// its length, than for text of version 0.0.4. They have to be named: a wildcard is for text. An element of the list that is not
/// valid, or names another format, is passed over.
[[nodiscard]] bool prefers_protobuf(std::string_view accept);

}
