// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The handlers. Each parses the JSON that it reads anew: a set's text, or the request's body.
#include "routes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <range/v3/algorithm/any_of.hpp>
#include <range/v3/algorithm/search.hpp>
#include <range/v3/algorithm/sort.hpp>
#include <range/v3/functional/comparisons.hpp>
#include <range/v3/view/take.hpp>
#include <ranges>
#include <tuple>
#include <unordered_map>

namespace request_server {
namespace {

/// The answer: `row` makes a JSON value of each of the first finds.
template <class Finds, class Row>
json::value listing(request const& rq, std::size_t records, Finds const& finds, Row row)
{
    json::array rows(rq.json_memory);
    for (auto const& find : finds | ranges::views::take(rq.limit()))
        rows.emplace_back(row(find));
    return json::object({{"records", records}, {"count", finds.size()}, {"rows", std::move(rows)}}, rq.json_memory);
}

// Only ASCII letters have their case folded: a request must not depend on the locale.
constexpr char folded(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool mentions(json::object const& record, std::string_view wanted)
{
    return ranges::any_of(record, [wanted](json::key_value_pair const& field) {
        json::string const* const text = field.value().if_string();
        return text != nullptr && !ranges::search(view_of(*text), wanted, ranges::equal_to{}, folded, folded).empty();
    });
}

struct join_request {
    data_set const& left;
    data_set const& right;
    std::string_view left_by;
    std::string_view right_by;
    std::string_view until;
};

join_request wanted_join(request const& rq)
{
    if (!rq.value("left").empty())
        return {rq.require_set("left"), rq.require_set("right"), rq.require("left_by"), rq.require("right_by"),
                rq.value("until")};
    data_set const* const subdivisions = find_set(rq.data, "subdivisions");
    data_set const* const countries = find_set(rq.data, "countries");
    if (subdivisions == nullptr || countries == nullptr)
        throw http_error{400, "left, left_by, right and right_by are missing"};
    return {*subdivisions, *countries, "code", "alpha_2", "-"};
}

using record_index = std::pmr::unordered_map<std::pmr::string, json::object const*>;

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

/// What a document is made of.
struct document_summary {
    explicit document_summary(std::pmr::memory_resource* memory) : keys{memory} {}

    std::array<std::uint64_t, 8> by_kind{};
    std::uint64_t string_bytes = 0;
    std::uint64_t depth = 0;
    std::pmr::unordered_map<std::string_view, std::uint64_t> keys;

    std::uint64_t& count(json::kind kind) { return by_kind[static_cast<std::size_t>(kind)]; }

    // Recursion is safe: the parser refuses documents that nest deeply.
    void add(json::value const& value, std::uint64_t level)
    {
        depth = std::max(depth, level);
        ++count(value.kind());
        if (value.is_string()) {
            string_bytes += value.get_string().size();
        } else if (value.is_array()) {
            for (json::value const& element : value.get_array())
                add(element, level + 1);
        } else if (value.is_object()) {
            for (auto const& member : value.get_object()) {
                ++keys[member.key()];
                add(member.value(), level + 1);
            }
        }
    }
};

json::array most_frequent(document_summary const& summary, request const& rq)
{
    std::pmr::vector<std::pair<std::string_view, std::uint64_t>> counted{summary.keys.begin(), summary.keys.end(),
                                                                         rq.memory};
    ranges::sort(counted, ranges::less{}, [](auto const& entry) { return std::tuple{~entry.second, entry.first}; });
    json::array rows(rq.json_memory);
    for (auto const& [key, count] : counted | ranges::views::take(rq.limit()))
        rows.emplace_back(json::object({{"key", key}, {"count", count}}, rq.json_memory));
    return rows;
}

}

/// GET /search?set=S&q=TEXT[&limit=N]: the records of S with TEXT in any text field, whatever its case, sorted by name.
json::value search(request const& rq)
{
    data_set const& set = rq.require_set("set");
    std::string_view const wanted = rq.require("q");
    json::value const document = parse_known(set.text, rq.json_memory);

    std::pmr::vector<json::object const*> hits{rq.memory};
    for (json::value const& record : *find_records(document)) {
        if (mentions(record.get_object(), wanted))
            hits.push_back(&record.get_object());
    }
    ranges::sort(hits, ranges::less{}, [](json::object const* hit) { return name_of(*hit); });
    return listing(rq, set.records, hits, [](json::object const* hit) -> json::object const& { return *hit; });
}

/// GET /group?set=S&by=FIELD[&limit=N]: how many records of S share each value of FIELD, the largest group first, with
/// the first record of each as an example. Records without FIELD count under "".
json::value group(request const& rq)
{
    data_set const& set = rq.require_set("set");
    std::string_view const field = rq.require("by");
    json::value const document = parse_known(set.text, rq.json_memory);

    struct members {
        std::uint64_t count = 0;
        std::string_view example;
    };
    std::pmr::map<std::pmr::string, members> groups{rq.memory};
    bool found = false;
    for (json::value const& record : *find_records(document)) {
        json::value const* const key = record.get_object().if_contains(field);
        found |= key != nullptr;
        members& held = groups[text_of(key, rq.memory)];
        if (held.count++ == 0)
            held.example = name_of(record.get_object());
    }
    if (!found)
        throw http_error{400, "no record has that field"};

    using entry = decltype(groups)::value_type;
    std::pmr::vector<entry const*> ranking{rq.memory};
    ranking.reserve(groups.size());
    for (entry const& one : groups)
        ranking.push_back(&one);
    ranges::sort(ranking, ranges::less{}, [](entry const* one) {   // larger groups first, equal ones by key
        return std::tuple{~one->second.count, std::string_view{one->first}};
    });
    return listing(rq, set.records, ranking, [&](entry const* one) {
        return json::object(
            {{"key", std::string_view{one->first}}, {"count", one->second.count}, {"example", one->second.example}},
            rq.json_memory);
    });
}

/// GET /join: every subdivision with its country. In general
/// GET /join?left=S&left_by=FIELD&right=T&right_by=FIELD[&until=C][&limit=N]: each record of S with the record of T that
/// has an equal field; `until` cuts the left field at that character, as "AD-02" of a subdivision at '-' gives the "AD"
/// of its country.
json::value join(request const& rq)
{
    join_request const by = wanted_join(rq);
    json::value const left = parse_known(by.left.text, rq.json_memory);
    json::value const right = parse_known(by.right.text, rq.json_memory);

    record_index index{rq.memory};
    index.reserve(by.right.records);
    for (json::value const& record : *find_records(right)) {
        if (json::value const* const key = record.get_object().if_contains(by.right_by))
            index.try_emplace(text_of(key, rq.memory), &record.get_object());
    }

    struct joined {
        json::object const* left;
        json::object const* right;
        auto names() const { return std::tuple{name_of(*right), name_of(*left)}; }
    };
    std::pmr::vector<joined> pairs{rq.memory};
    pairs.reserve(by.left.records);
    for (json::value const& record : *find_records(left)) {
        if (json::object const* const partner = partner_of(record.get_object(), by, index, rq.memory))
            pairs.push_back({&record.get_object(), partner});
    }
    ranges::sort(pairs, ranges::less{}, &joined::names);
    return listing(rq, by.left.records, pairs, [&](joined const& pair) {
        return json::object({{"left", *pair.left}, {"right", *pair.right}}, rq.json_memory);
    });
}

/// POST /stats[?limit=N]: a JSON document in, and out what it is made of: values by type, depth, and how often each
/// key occurs.
json::value statistics(request const& rq)
{
    boost::system::error_code error;
    json::value const document = parse_json(rq.body, rq.json_memory, error);
    if (error)
        throw http_error{400, "the body is not a JSON document"};

    document_summary summary{rq.memory};
    summary.add(document, 1);
    constexpr std::pair<char const*, json::kind> kinds[] = {{"objects", json::kind::object},
                                                            {"arrays", json::kind::array},
                                                            {"strings", json::kind::string},
                                                            {"booleans", json::kind::bool_},
                                                            {"nulls", json::kind::null}};
    json::object answer({{"bytes", rq.body.size()},
                         {"depth", summary.depth},
                         {"string_bytes", summary.string_bytes},
                         {"distinct_keys", summary.keys.size()},
                         {"keys", most_frequent(summary, rq)}},
                        rq.json_memory);
    for (auto const& [name, kind] : kinds)
        answer.emplace(name, summary.count(kind));
    answer.emplace("numbers", summary.count(json::kind::int64) + summary.count(json::kind::uint64) +
                                  summary.count(json::kind::double_));
    return answer;
}

}
