// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The requests that the demo sends, each with what a right answer to it is. The expectations are worked out from the
// data beforehand, on the ordinary heap and with plain loops, not with the code of the handlers. They hold for any data
// file. Thread safe.
#pragma once

#include "data.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace request_server {

struct planned_request {
    std::string_view label;   ///< of the route that serves it
    std::string text;         ///< what goes over the wire
    unsigned status = 200;
    std::vector<std::pair<std::string, std::uint64_t>> numbers{};   ///< members of the answer
    std::optional<std::size_t> rows{};                              ///< length of its member "rows"
    double weight = 1;                                              ///< how often it is sent, compared with the others
};

/// A mix of all routes, with some requests that must be refused. The more text a request makes the server parse, the
/// rarer it is.
std::vector<planned_request> plan_requests(catalog const& data);

planned_request plan_forget();

/// Nothing if `status` and `body` are what the plan expects, else what is wrong with them.
std::optional<std::string> mistake_in(planned_request const& plan, unsigned status, std::string_view body);

}
