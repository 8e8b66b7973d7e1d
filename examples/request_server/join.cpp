// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// GET /join: every subdivision with its country. In general
// GET /join?left=S&left_by=FIELD&right=T&right_by=FIELD[&until=C][&limit=N]: each record of S with
// the record of T that has an equal field; `until` cuts the left field at that character, as
// "AD-02" of a subdivision at '-' gives the "AD" of its country.

#include "json_text.hpp"
#include "routes.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <range/v3/algorithm/remove.hpp>
#include <range/v3/algorithm/sort.hpp>
#include <range/v3/algorithm/transform.hpp>
#include <range/v3/iterator/insert_iterators.hpp>
#include <range/v3/view/take.hpp>

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace request_server {
namespace {

struct join_request {
    data_set const& left;
    data_set const& right;
    std::string_view left_by;
    std::string_view right_by;
    std::string_view until;
};

struct joined {
    json::object const* left;
    json::object const* right;

    auto names() const { return std::tuple{name_of(*right), name_of(*left)}; }
};

using record_index = std::pmr::unordered_map<std::pmr::string, json::object const*>;

join_request subdivisions_with_countries(request const& rq)
{
    data_set const* const subdivisions = find_set(rq.data, "subdivisions");
    data_set const* const countries = find_set(rq.data, "countries");
    if (subdivisions == nullptr || countries == nullptr) {
        throw http_error{400, "left, left_by, right and right_by are missing"};
    }
    return {*subdivisions, *countries, "code", "alpha_2", "-"};
}

join_request wanted_join(request const& rq)
{
    query const& parameters = rq.parameters;
    if (parameters.value_or("left", {}).empty())
        return subdivisions_with_countries(rq);
    return {require_set(rq, "left"), require_set(rq, "right"),
            parameters.require("left_by", "the parameter left_by is missing"),
            parameters.require("right_by", "the parameter right_by is missing"), parameters.value_or("until", {})};
}

record_index index_of(json::array const& records, std::string_view field, std::pmr::memory_resource* memory)
{
    record_index index{memory};
    index.reserve(records.size());
    for (json::value const& element : records) {
        json::object const& record = element.get_object();
        if (json::value const* const key = record.if_contains(field)) {
            index.try_emplace(text_of(key, memory), &record);
        }
    }
    return index;
}

/// The record of `index` that `left` belongs to, or null.
json::object const* partner_of(json::object const& left, join_request const& by, record_index const& index,
                               std::pmr::memory_resource* memory)
{
    json::value const* const field = left.if_contains(by.left_by);
    if (field == nullptr)
        return nullptr;
    std::pmr::string key = text_of(field, memory);
    if (!by.until.empty())
        key.resize(std::min(key.find(by.until), key.size()));
    auto const found = index.find(key);
    return found == index.end() ? nullptr : found->second;
}

std::pmr::vector<joined> join_records(json::array const& lefts, join_request const& by, record_index const& index,
                                      std::pmr::memory_resource* memory)
{
    std::pmr::vector<joined> pairs{memory};
    pairs.reserve(lefts.size());
    // The partner is looked up once: a transform in front of a filter would be evaluated twice.
    auto const with_partner = [&](json::value const& element) {
        json::object const& left = element.get_object();
        return joined{&left, partner_of(left, by, index, memory)};
    };
    ranges::transform(lefts, ranges::back_inserter(pairs), with_partner);
    pairs.erase(ranges::remove(pairs, nullptr, &joined::right), pairs.end());
    ranges::sort(pairs, ranges::less{}, &joined::names);
    return pairs;
}

}

json::value join(request const& rq)
{
    join_request const by = wanted_join(rq);
    std::size_t const limit = row_limit(rq);

    json::value const left = parse_known(by.left.text, rq.json_memory);
    json::value const right = parse_known(by.right.text, rq.json_memory);
    auto const index = index_of(*find_records(right), by.right_by, rq.memory);
    auto const pairs = join_records(*find_records(left), by, index, rq.memory);

    json::array rows(rq.json_memory);
    for (joined const& pair : pairs | ranges::views::take(limit)) {
        json::object row(rq.json_memory);
        row.emplace("left", *pair.left);
        row.emplace("right", *pair.right);
        rows.push_back(std::move(row));
    }
    json::object answer(rq.json_memory);
    answer.emplace("records", by.left.records);
    answer.emplace("count", pairs.size());
    answer.emplace("rows", std::move(rows));
    return answer;
}

}
