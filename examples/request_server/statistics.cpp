// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// POST /stats: a JSON document in, and out what it is made of: values by type, depth, how often each
// key occurs, and the range and mean of its numbers.

#include "json_text.hpp"
#include "routes.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <range/v3/algorithm/copy.hpp>
#include <range/v3/algorithm/sort.hpp>
#include <range/v3/iterator/insert_iterators.hpp>
#include <range/v3/view/take.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace request_server {
namespace {

using key_counts = std::pmr::unordered_map<std::string_view, std::uint64_t>;

struct number_summary {
    std::uint64_t count = 0;
    double least = std::numeric_limits<double>::infinity();
    double most = -std::numeric_limits<double>::infinity();
    double mean = 0;

    void add(double number)
    {
        ++count;
        least = std::min(least, number);
        most = std::max(most, number);
        mean += number / static_cast<double>(count) - mean / static_cast<double>(count);
    }
};

struct document_summary {
    explicit document_summary(std::pmr::memory_resource* memory) : keys{memory} {}

    std::uint64_t objects = 0;
    std::uint64_t arrays = 0;
    std::uint64_t strings = 0;
    std::uint64_t string_bytes = 0;
    std::uint64_t booleans = 0;
    std::uint64_t nulls = 0;
    std::uint64_t depth = 0;
    number_summary numbers;
    key_counts keys;

    // Recursion is safe: the parser refuses documents deeper than `deepest_nesting`.
    void add(json::value const& value, std::uint64_t level)
    {
        depth = std::max(depth, level);
        switch (value.kind()) {
        case json::kind::null: ++nulls; break;
        case json::kind::bool_: ++booleans; break;
        case json::kind::int64: numbers.add(static_cast<double>(value.get_int64())); break;
        case json::kind::uint64: numbers.add(static_cast<double>(value.get_uint64())); break;
        case json::kind::double_: numbers.add(value.get_double()); break;
        case json::kind::string: add(value.get_string()); break;
        case json::kind::array: add(value.get_array(), level); break;
        case json::kind::object: add(value.get_object(), level); break;
        }
    }

    void add(json::string const& text)
    {
        ++strings;
        string_bytes += text.size();
    }

    void add(json::array const& array, std::uint64_t level)
    {
        ++arrays;
        for (json::value const& element : array)
            add(element, level + 1);
    }

    void add(json::object const& object, std::uint64_t level)
    {
        ++objects;
        for (auto const& member : object) {
            ++keys[{member.key().data(), member.key().size()}];
            add(member.value(), level + 1);
        }
    }
};

json::array histogram(key_counts const& keys, std::size_t limit, request const& rq)
{
    using counted_key = std::pair<std::string_view, std::uint64_t>;
    std::pmr::vector<counted_key> counted{rq.memory};
    counted.reserve(keys.size());
    ranges::copy(keys, ranges::back_inserter(counted));
    ranges::sort(counted, ranges::less{}, [](counted_key const& entry) {
        return std::tuple{~entry.second, entry.first};   // the most frequent first
    });
    json::array rows(rq.json_memory);
    for (auto const& [key, count] : counted | ranges::views::take(limit)) {
        json::object row(rq.json_memory);
        row.emplace("key", key);
        row.emplace("count", count);
        rows.push_back(std::move(row));
    }
    return rows;
}

json::object describe(number_summary const& numbers, json::storage_ptr memory)
{
    json::object answer(std::move(memory));
    answer.emplace("count", numbers.count);
    if (numbers.count == 0)
        return answer;
    answer.emplace("min", numbers.least);
    answer.emplace("max", numbers.most);
    answer.emplace("mean", numbers.mean);
    return answer;
}

}

json::value statistics(request const& rq)
{
    std::size_t const limit = row_limit(rq);
    boost::system::error_code error;
    json::value const document = parse_json(rq.body, rq.json_memory, error);
    if (error)
        throw http_error{400, "the body is not a JSON document"};

    document_summary summary{rq.memory};
    summary.add(document, 1);

    json::object answer(rq.json_memory);
    answer.emplace("bytes", rq.body.size());
    answer.emplace("depth", summary.depth);
    answer.emplace("objects", summary.objects);
    answer.emplace("arrays", summary.arrays);
    answer.emplace("strings", summary.strings);
    answer.emplace("string_bytes", summary.string_bytes);
    answer.emplace("booleans", summary.booleans);
    answer.emplace("nulls", summary.nulls);
    answer.emplace("numbers", describe(summary.numbers, rq.json_memory));
    answer.emplace("distinct_keys", summary.keys.size());
    answer.emplace("keys", histogram(summary.keys, limit, rq));
    return answer;
}

}
