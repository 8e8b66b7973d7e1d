// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The HTTP service: an acceptor and worker threads on 127.0.0.1. A connection that is idle costs no
// thread; a request is read, handled and answered by one worker, inside one epoch_scope labelled
// with its route. A client that sends half a request holds a worker for ten seconds at most. A
// constructed server listens; destroying it finishes the requests in hand.
#pragma once

#include "data.hpp"

#include <cstdint>
#include <memory>

import tslab;

namespace request_server {

class server {
public:
    /// Both `heap` and `data` must outlive the server. Port 0 takes any free one;
    /// throws usage_error if it cannot listen there.
    server(tslab::allocator& heap, catalog const& data, std::uint16_t port, unsigned workers);
    ~server();

    server(server const&) = delete;
    server& operator=(server const&) = delete;

    std::uint16_t port() const;

    /// From now on, the next `count` requests to GET /forget lose their scope.
    void forget(unsigned count);

private:
    struct state;
    std::unique_ptr<state> state_;
};

}
