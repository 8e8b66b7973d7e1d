// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A client that sends planned requests, one after another, over a connection of its own, and checks and times every
// answer.
#pragma once

#include "plan.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace request_server {

/// Latencies in 64 buckets for every doubling, so that a quantile is exact to 1.1 % whatever its size.
struct latency_histogram {
    std::map<int, std::uint64_t> buckets;
    std::uint64_t count = 0;
    std::chrono::nanoseconds most{0};

    void record(std::chrono::nanoseconds latency);

    /// The latency that a part `q` (0 to 1) of all stayed within, the longest for 1.
    std::chrono::nanoseconds quantile(double q) const;
};

/// What all clients together measured. Clients add under the lock; read it when they have ended.
struct load_result {
    std::mutex lock;
    latency_histogram all;
    std::map<std::string_view, latency_histogram> by_label;
    std::uint64_t errors = 0;
    std::string first_error;   ///< in words
};

/// Keeps its connection open from request to request for as long as the server does so too. One thread.
class client {
public:
    client(std::uint16_t port, load_result& adds_to) : port_{port}, result_{adds_to} {}

    /// Sends one request, checks and times its answer.
    void send_and_check(planned_request const& plan);

private:
    std::pair<unsigned, std::string> send(std::string_view request);
    template <class Start> void run(boost::beast::tcp_stream& stream, Start start);

    std::uint16_t port_;
    load_result& result_;
    boost::asio::io_context io_{1};
    std::optional<boost::beast::tcp_stream> stream_;
    boost::beast::flat_buffer arrived_;
};

}
