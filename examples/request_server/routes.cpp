// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "routes.hpp"

#include <algorithm>
#include <charconv>

import tslab.boost;

namespace request_server {
namespace {

json::value health(request const& rq)
{
    json::object sets(rq.json_memory);
    for (data_set const& set : rq.data)
        sets.emplace(set.name, set.records);
    return json::object({{"status", "ok"}, {"sets", std::move(sets)}}, rq.json_memory);
}

json::value parked(request const& rq) { return json::object({{"status", "parked"}}, rq.json_memory); }

json::value refuse(request const&) { throw http_error{404, "no route serves this method and path"}; }

constexpr route table[] = {
    {.label = "GET /search", .handle = search},
    {.label = "GET /group", .handle = group},
    {.label = "GET /join", .handle = join},
    {.label = "POST /stats", .handle = statistics},
    {.label = "GET /forget", .handle = parked, .parks_session = true},
    {.label = "GET /healthz", .handle = health},
};

constexpr route no_route{.label = no_route_label, .handle = refuse};

/// Splits at the first `separator`; the second part is empty if there is none.
std::pair<std::string_view, std::string_view> split(std::string_view text, char separator)
{
    std::size_t const at = std::min(text.find(separator), text.size());
    return {text.substr(0, at), text.substr(std::min(at + 1, text.size()))};
}

std::pmr::string decode(std::string_view text, std::pmr::memory_resource* memory)
{
    std::pmr::string decoded{memory};
    decoded.reserve(text.size());
    while (!text.empty()) {
        char const first = text.front();
        text.remove_prefix(1);
        if (first != '%') {
            decoded += first == '+' ? ' ' : first;
            continue;
        }
        unsigned code = 0;
        if (text.size() < 2 || std::from_chars(text.begin(), text.begin() + 2, code, 16).ptr != text.begin() + 2)
            throw http_error{400, "a percent escape in the request target is malformed"};
        decoded += static_cast<char>(code);
        text.remove_prefix(2);
    }
    return decoded;
}

auto parse_parameters(std::string_view target, std::pmr::memory_resource* memory)
{
    decltype(request::parameters) parameters{memory};
    for (std::string_view rest = split(target, '?').second; !rest.empty();) {
        auto const [parameter, after] = split(rest, '&');
        auto const [name, value] = split(parameter, '=');
        if (!name.empty())
            parameters.emplace_back(decode(name, memory), decode(value, memory));
        rest = after;
    }
    return parameters;
}

}

std::string_view request::value(std::string_view name) const
{
    auto const found = std::ranges::find_if(parameters, [name](auto const& one) { return one.first == name; });
    return found == parameters.end() ? std::string_view{} : found->second;
}

std::string_view request::require(std::string_view name) const
{
    if (value(name).empty())
        throw http_error{400, "a parameter is missing"};
    return value(name);
}

data_set const& request::require_set(std::string_view name) const
{
    data_set const* const set = find_set(data, require(name));
    if (set == nullptr)
        throw http_error{400, "no such set: GET /healthz lists them"};
    return *set;
}

std::size_t request::limit() const
{
    std::size_t number = 20;
    std::string_view const text = value("limit");
    if (!text.empty() && (std::from_chars(text.begin(), text.end(), number).ptr != text.end() || number > 1'000))
        throw http_error{400, "limit is not a number in range"};
    return number;
}

std::span<route const> all_routes() { return table; }

route const& find_route(std::string_view method, std::string_view target)
{
    std::string_view const path = split(target, '?').first;
    auto const serves = [&](route const& one) { return split(one.label, ' ') == std::pair{method, path}; };
    auto const found = std::ranges::find_if(table, serves);
    return found == std::end(table) ? no_route : *found;
}

std::pmr::string answer_text(route const& to, std::string_view target, std::string_view body, catalog const& data,
                             std::pmr::memory_resource* memory)
{
    tslab::boost_resource json_memory{memory};
    request const rq{parse_parameters(target, memory), body, data, memory, json::storage_ptr{&json_memory}};
    std::pmr::string answer{memory};
    append_json(answer, to.handle(rq));
    return answer;
}

}
