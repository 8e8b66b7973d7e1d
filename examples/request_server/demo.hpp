// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The two ways to run: the demo, which is a server and its load in one process, a few scopes
// forgotten half-way, and the report; and the service on its own.
#pragma once

#include "data.hpp"
#include "options.hpp"

namespace request_server {

/// True if every answer was right and the leak report found what was forgotten, and only that.
bool run_demo(options const& chosen, catalog const& data);

/// Serves until SIGINT or SIGTERM, then says what scopes are still entered.
void run_service(options const& chosen, catalog const& data);

}
