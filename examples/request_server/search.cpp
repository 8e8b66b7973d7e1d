// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// GET /search?set=S&q=TEXT[&limit=N]: the records of S with TEXT in any text field, whatever its
// case, sorted by name.

#include "json_text.hpp"
#include "routes.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <range/v3/algorithm/any_of.hpp>
#include <range/v3/algorithm/copy.hpp>
#include <range/v3/algorithm/search.hpp>
#include <range/v3/algorithm/sort.hpp>
#include <range/v3/iterator/insert_iterators.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>

#include <vector>

namespace request_server {
namespace {

struct hit {
    std::string_view name;
    json::object const* record;
};

// Only ASCII letters have their case folded: a request must not depend on the locale.
constexpr char folded(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool contains(std::string_view text, std::string_view wanted)
{
    return !ranges::search(text, wanted, ranges::equal_to{}, folded, folded).empty();
}

bool mentions(json::object const& record, std::string_view wanted)
{
    return ranges::any_of(record, [wanted](json::key_value_pair const& field) {
        json::string const* const text = field.value().if_string();
        return text != nullptr && contains(view_of(*text), wanted);
    });
}

std::pmr::vector<hit> hits_of(json::array const& records, std::string_view wanted, std::pmr::memory_resource* memory)
{
    std::pmr::vector<hit> hits{memory};
    auto const as_record = [](json::value const& record) -> json::object const& { return record.get_object(); };
    auto const matches = [wanted](json::object const& record) { return mentions(record, wanted); };
    auto const as_hit = [](json::object const& record) { return hit{name_of(record), &record}; };
    ranges::copy(records | ranges::views::transform(as_record) | ranges::views::filter(matches) |
                     ranges::views::transform(as_hit),
                 ranges::back_inserter(hits));
    return hits;
}

}

json::value search(request const& rq)
{
    data_set const& set = require_set(rq, "set");
    std::string_view const wanted = rq.parameters.require("q", "the parameter q is missing");
    std::size_t const limit = row_limit(rq);

    json::value const document = parse_known(set.text, rq.json_memory);
    auto hits = hits_of(*find_records(document), wanted, rq.memory);
    ranges::sort(hits, ranges::less{}, &hit::name);

    json::array rows(rq.json_memory);
    for (hit const& found : hits | ranges::views::take(limit))
        rows.emplace_back(*found.record);
    json::object answer(rq.json_memory);
    answer.emplace("records", set.records);
    answer.emplace("count", hits.size());
    answer.emplace("rows", std::move(rows));
    return answer;
}

}
