// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// HTTP for `tslab serve`: one thread, and limits on everything a client can make it keep. Errors of clients end their
// connection and nothing else.
#pragma once
#include "tslab/serve_message.hpp"
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace tslab::tool {

struct http_limits {
    std::size_t header_bytes = 8192;
    std::size_t connections = 64;   ///< a further one takes the place of the one that has been idle for longest
    std::chrono::milliseconds read_time{5'000};   ///< for a whole request, and between two of them
    std::chrono::milliseconds write_time{20'000};
};

class http_server {
public:
    /// Listens at once; port 0 picks one. Throws std::system_error when it cannot.
    http_server(std::string const& address, std::uint16_t port, http_limits const& limits = {});
    ~http_server();
    http_server(http_server const&) = delete;
    http_server& operator=(http_server const&) = delete;

    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] bool loopback() const;
    /// Without a slash at the end: "http://127.0.0.1:2112".
    [[nodiscard]] std::string url() const;

    /// Answers until stop() is called, or with `until_signal`, SIGINT or SIGTERM arrives.
    void run(request_handler handle, bool until_signal = false);
    /// From any thread, also before run().
    void stop();

private:
    class state;
    std::unique_ptr<state> state_;
};

}
