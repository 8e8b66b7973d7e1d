// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The parameters of a request target: "/search?set=countries&q=land" split at '&', percent-decoded,
// kept in the memory given. The first of several parameters of one name counts.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace request_server {

class query {
public:
    /// Throws http_error 400 if a percent escape is malformed.
    query(std::string_view target, std::pmr::memory_resource* memory);

    bool empty() const { return parameters_.empty(); }

    /// The parameter, or `fallback` if the request does not carry it.
    std::string_view value_or(std::string_view name, std::string_view fallback) const;

    /// The parameter; throws http_error 400 with `complaint` if it is absent or empty.
    std::string_view require(std::string_view name, char const* complaint) const;

    /// The parameter as a number of at most `most`; throws http_error 400 if it is anything else.
    std::size_t number_or(std::string_view name, std::size_t fallback, std::size_t most) const;

private:
    std::pmr::vector<std::pair<std::pmr::string, std::pmr::string>> parameters_;
};

}
