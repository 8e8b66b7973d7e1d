// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The routes: which there are, and what a handler sees. A handler is a pure function from a request
// to a JSON value. It knows std::pmr and Boost.JSON and nothing of the allocator behind them:
// whatever it allocates comes from `request::memory` (or `json_memory`, the same memory under the
// type that Boost.JSON wants), and its answer may live there too.
#pragma once

#include "data.hpp"
#include "query.hpp"

#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>

#include <cstddef>
#include <exception>
#include <memory_resource>
#include <span>
#include <string_view>

namespace request_server {

namespace json = boost::json;

/// The largest body that a request may carry.
inline constexpr std::size_t largest_body = 1024 * 1024;

struct request {
    query const& parameters;
    std::string_view body;
    catalog const& data;
    std::pmr::memory_resource* memory;
    json::storage_ptr json_memory;
};

using handler = json::value (*)(request const&);

/// Ends a handler with an error response. The message is a literal: refusing a request allocates
/// nothing for it.
class http_error : public std::exception {
public:
    http_error(unsigned status, char const* message) : status_{status}, message_{message} {}
    unsigned status() const { return status_; }
    char const* what() const noexcept override { return message_; }

private:
    unsigned status_;
    char const* message_;
};

struct route {
    std::string_view label;   ///< method and path, "GET /search": also the label of its scopes
    handler handle;
    bool parks_session = false;   ///< its scope lives in a session that can be forgotten

    std::string_view method() const { return label.substr(0, label.find(' ')); }
    std::string_view path() const { return label.substr(label.find(' ') + 1); }
};

std::span<route const> all_routes();

/// The route for a method and a target (path and parameters). What no route serves goes to one
/// that refuses it with 404, under the label "(no route)".
route const& find_route(std::string_view method, std::string_view target);

inline constexpr std::string_view no_route_label = "(no route)";

/// The set that a parameter names; throws http_error 400 if it is absent or there is none such.
data_set const& require_set(request const& rq, std::string_view parameter);

json::value search(request const& rq);
json::value group(request const& rq);
json::value join(request const& rq);
json::value statistics(request const& rq);

/// How many rows an answer holds: `limit` if given, 20 otherwise.
std::size_t row_limit(request const& rq);

}
