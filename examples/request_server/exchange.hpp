// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// One HTTP exchange on a connection: read the request, handle it, write the answer. Everything that
// is allocated on the way, header fields and body included, comes from the memory given, and none
// of it is left when `exchange` returns. It never throws: what goes wrong becomes a response, or
// the end of the connection.
#pragma once

#include "data.hpp"
#include "routes.hpp"
#include "timed_stream.hpp"

#include <boost/beast/core/flat_static_buffer.hpp>

#include <cstddef>
#include <memory_resource>

namespace request_server {

inline constexpr std::size_t largest_header = 8 * 1024;

/// What a connection keeps between requests: its socket, and bytes that have arrived already. It
/// lives longer than any request and is no request's memory.
struct connection_io {
    timed_stream stream;
    boost::beast::flat_static_buffer<2 * largest_header> arrived;
};

/// Waits for the request line, leaves it in the buffer, and finds its route; null if the peer closed
/// the connection or sent none in time. Allocates nothing: this is what a scope's label comes from.
route const* await_route(connection_io& peer);

/// Serves the request that has begun to arrive. False if the connection must be closed after it.
bool exchange(connection_io& peer, route const& target, catalog const& data,
              std::pmr::memory_resource* memory) noexcept;

}
