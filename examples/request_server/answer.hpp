// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A handler's answer as text: where requests meet handlers, without HTTP.
#pragma once

#include "data.hpp"
#include "routes.hpp"

#include <memory_resource>
#include <string>
#include <string_view>

namespace request_server {

/// What `to` says to a request target and a body, as JSON text. Every byte comes from `memory`. Throws what handlers throw,
/// http_error above all.
std::pmr::string answer_text(route const& to, std::string_view target, std::string_view body, catalog const& data,
                             std::pmr::memory_resource* memory);

}
