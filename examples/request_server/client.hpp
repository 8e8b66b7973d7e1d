// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// An HTTP client with one connection, kept open from request to request for as long as the server
// does so too. Errors of the network are thrown as boost::system::system_error. One thread.
#pragma once

#include "timed_stream.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace request_server {

class client {
public:
    struct response {
        unsigned status;
        std::string body;
    };

    explicit client(std::uint16_t port) : port_{port} {}

    /// Sends `request`, which is HTTP text, and waits for the response to it.
    response send(std::string_view request);

private:
    timed_stream& connected();

    std::uint16_t port_;
    net::io_context io_;
    std::optional<timed_stream> stream_;
    boost::beast::flat_buffer arrived_;
};

}
