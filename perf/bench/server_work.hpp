// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The data of examples/request_server, and requests as its demo sends them. Working them out takes megabytes, which a malloc
// keeps; a contender that is a malloc would find them there, and the others would not. So a child process does it.
#pragma once

#include "data.hpp"
#include "pattern.hpp"
#include "routes.hpp"

#include <string>
#include <vector>

namespace bench {

struct prepared_request {
    request_server::route const* target = nullptr;
    std::string path;   ///< with its parameters
    std::string body;
};

struct server_work {
    request_server::catalog data;
    std::vector<prepared_request> requests;
};

/// No other thread may run meanwhile. Throws std::runtime_error when the data cannot be had.
server_work prepare_server(setting const& s);

}
