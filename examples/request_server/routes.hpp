// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The routes: which there are, what a handler sees, and an answer as text, without HTTP. A handler is a pure function
// from a request to a JSON value. It knows std::pmr and Boost.JSON and nothing of the allocator behind them: what it
// allocates comes from `request::memory` (or `json_memory`, the same memory under the type that Boost.JSON wants), and
// its answer may live there too.
#pragma once

#include "data.hpp"

#include <cstddef>
#include <memory_resource>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace request_server {

/// The largest body that a request may carry.
inline constexpr std::size_t largest_body = 1024 * 1024;

/// Ends a handler with an error response. The message is a literal: refusing a request allocates nothing for it.
struct http_error {
    unsigned status;
    char const* message;
};

struct request {
    /// Of the target, percent-decoded: "/search?set=countries&q=land" has two. The first of several of one name counts.
    std::pmr::vector<std::pair<std::pmr::string, std::pmr::string>> parameters;
    std::string_view body;
    catalog const& data;
    std::pmr::memory_resource* memory;
    json::storage_ptr json_memory;

    /// The parameter, or nothing if the request does not carry it.
    std::string_view value(std::string_view name) const;

    /// The parameter; throws http_error 400 if it is absent or empty.
    std::string_view require(std::string_view name) const;

    /// The set that a parameter names; throws http_error 400 if it is absent or there is none such.
    data_set const& require_set(std::string_view name) const;

    /// How many rows an answer holds: `limit` if given, 20 otherwise; throws http_error 400 above 1,000.
    std::size_t limit() const;
};

struct route {
    std::string_view label;   ///< method and path, "GET /search": also the label of its scopes
    json::value (*handle)(request const&);
    bool parks_session = false;                   ///< its memory is a session's, which can be forgotten
    std::size_t memory = std::size_t{64} << 20;   ///< the most bytes that the handling of a request may take
};

/// All routes.
std::span<route const> all_routes();

inline constexpr std::string_view no_route_label = "(no route)";

/// The route for a method and a target (path and parameters). What no route serves goes to one that refuses it with
/// 404, under the label "(no route)".
route const& find_route(std::string_view method, std::string_view target);

/// What `to` says to a request target and a body, as JSON text. Every byte comes from `memory`. Throws what handlers
/// throw, http_error above all.
std::pmr::string answer_text(route const& to, std::string_view target, std::string_view body, catalog const& data,
                             std::pmr::memory_resource* memory);

json::value search(request const& rq);
json::value group(request const& rq);
json::value join(request const& rq);
json::value statistics(request const& rq);

}
