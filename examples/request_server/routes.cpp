// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "routes.hpp"

#include <boost/json/object.hpp>

#include <algorithm>

namespace request_server {
namespace {

json::value health(request const& rq)
{
    json::object sets(rq.json_memory);
    for (data_set const& set : rq.data)
        sets.emplace(set.name, set.records);
    json::object answer(rq.json_memory);
    answer.emplace("status", "ok");
    answer.emplace("sets", std::move(sets));
    return answer;
}

json::value parked(request const& rq)
{
    json::object answer(rq.json_memory);
    answer.emplace("status", "parked");
    return answer;
}

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

}

std::span<route const> all_routes() { return table; }

route const& find_route(std::string_view method, std::string_view target)
{
    std::string_view const path = target.substr(0, target.find('?'));
    auto const serves = [&](route const& one) { return one.method() == method && one.path() == path; };
    auto const found = std::ranges::find_if(table, serves);
    return found == std::end(table) ? no_route : *found;
}

data_set const& require_set(request const& rq, std::string_view parameter)
{
    std::string_view const name = rq.parameters.require(parameter, "a parameter that names a set is missing");
    data_set const* const set = find_set(rq.data, name);
    if (set == nullptr)
        throw http_error{400, "no such set: GET /healthz lists them"};
    return *set;
}

std::size_t row_limit(request const& rq) { return rq.parameters.number_or("limit", 20, 1'000); }

}
