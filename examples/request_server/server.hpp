// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The HTTP service: worker threads on 127.0.0.1, each with the connections that it was given, served by coroutines. A
// request's memory is one epoch_resource, labelled with its route, so requests of one thread may overlap and end in any
// order; while its handler runs, an epoch_scope makes it the thread's current domain. No client waits for a slow one: a
// connection costs no thread, and a request that is half sent for ten seconds is dropped.
#pragma once

#include "routes.hpp"

#include <boost/asio.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

import tslab;

namespace request_server {

// Executors and sockets by their own types: one that hides its type has no allocator for what is posted to it.
using executor = boost::asio::io_context::executor_type;
using tcp = boost::asio::ip::tcp;
template <class Result> using awaitable = boost::asio::awaitable<Result, executor>;

struct exchange;

/// The most bytes that the handling of a request may take, by the label of its route.
using limits_by_label = std::map<std::string_view, std::size_t>;

class server {
public:
    /// Listens. Both `heap` and `data` must outlive the server. Port 0 takes any free one; throws usage_error if it
    /// cannot listen there. `limits`: for routes that are to have another limit than the table of routes says.
    server(tslab::allocator& heap, catalog const& data, std::uint16_t port, unsigned workers,
           limits_by_label limits = {});
    /// Ends each worker after the step that it is in, then the connections.
    ~server();
    server(server const&) = delete;
    server& operator=(server const&) = delete;

    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    /// From now on, the next `count` requests to GET /forget lose their memory. Thread safe.
    void forget(unsigned count);

private:
    awaitable<void> accept();
    awaitable<void> serve(boost::asio::basic_stream_socket<tcp, executor> socket);
    std::size_t limit_of(route const& target) const;
    void forget_if_asked(exchange& parked);

    tslab::allocator& heap_;
    catalog const& data_;
    limits_by_label const limits_;
    std::mutex forgetting_;
    unsigned to_forget_ = 0;
    std::deque<boost::asio::io_context> contexts_;   // one a worker
    boost::asio::basic_socket_acceptor<tcp, executor> acceptor_;
    std::vector<std::jthread> threads_;
};

}
