// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Is this answer the one that was planned for? Parses it in memory of its own, so that checking costs
// the load as little as it can. Any thread.
#pragma once

#include "plan.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace request_server {

/// Nothing if `status` and `body` are what the plan expects, else what is wrong with them.
std::optional<std::string> mistake_in(planned_request const& plan, unsigned status, std::string_view body);

}
