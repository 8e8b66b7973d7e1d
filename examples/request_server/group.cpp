// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// GET /group?set=S&by=FIELD[&limit=N]: how many records of S share each value of FIELD, the largest
// group first, with the first record of each as an example. Records without FIELD count under "".

#include "json_text.hpp"
#include "routes.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <range/v3/algorithm/any_of.hpp>
#include <range/v3/algorithm/copy.hpp>
#include <range/v3/algorithm/sort.hpp>
#include <range/v3/iterator/insert_iterators.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

namespace request_server {
namespace {

struct members {
    std::uint64_t count = 0;
    std::string_view example;
};

using groups_by_key = std::pmr::map<std::pmr::string, members>;

struct ranked_group {
    std::string_view key;
    members held;

    /// Larger groups first, equal ones by key.
    auto rank() const { return std::tuple{~held.count, key}; }
};

groups_by_key groups_of(json::array const& records, std::string_view field, std::pmr::memory_resource* memory)
{
    groups_by_key groups{memory};
    for (json::value const& element : records) {
        json::object const& record = element.get_object();
        members& held = groups[text_of(record.if_contains(field), memory)];
        if (held.count++ == 0)
            held.example = name_of(record);
    }
    return groups;
}

std::pmr::vector<ranked_group> ranked(groups_by_key const& groups, std::pmr::memory_resource* memory)
{
    std::pmr::vector<ranked_group> ranking{memory};
    ranking.reserve(groups.size());
    auto const as_ranked = [](groups_by_key::value_type const& entry) {
        return ranked_group{entry.first, entry.second};
    };
    ranges::copy(groups | ranges::views::transform(as_ranked), ranges::back_inserter(ranking));
    ranges::sort(ranking, ranges::less{}, &ranked_group::rank);
    return ranking;
}

json::object row_of(ranked_group const& entry, json::storage_ptr memory)
{
    json::object row(std::move(memory));
    row.emplace("key", entry.key);
    row.emplace("count", entry.held.count);
    row.emplace("example", entry.held.example);
    return row;
}

void require_field(json::array const& records, std::string_view field)
{
    auto const has_field = [field](json::value const& record) { return record.get_object().contains(field); };
    if (!ranges::any_of(records, has_field))
        throw http_error{400, "no record has that field"};
}

}

json::value group(request const& rq)
{
    data_set const& set = require_set(rq, "set");
    std::string_view const field = rq.parameters.require("by", "the parameter by is missing");
    std::size_t const limit = row_limit(rq);

    json::value const document = parse_known(set.text, rq.json_memory);
    json::array const& records = *find_records(document);
    require_field(records, field);
    auto const groups = groups_of(records, field, rq.memory);
    auto const ranking = ranked(groups, rq.memory);

    json::array rows(rq.json_memory);
    for (ranked_group const& entry : ranking | ranges::views::take(limit)) {
        rows.push_back(row_of(entry, rq.json_memory));
    }
    json::object answer(rq.json_memory);
    answer.emplace("records", set.records);
    answer.emplace("count", groups.size());
    answer.emplace("rows", std::move(rows));
    return answer;
}

}
