// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include "routes.hpp"

#include <boost/json/monotonic_resource.hpp>

#include <algorithm>
#include <cctype>
#include <set>

namespace request_server {
namespace {

using plan = std::vector<planned_request>;

/// `text` with every byte percent-encoded.
std::string percent_encoded(std::string_view text)
{
    constexpr char hex[] = "0123456789ABCDEF";
    std::string encoded;
    for (char const character : text) {
        auto const code = static_cast<unsigned char>(character);
        encoded += {'%', hex[code >> 4], hex[code & 15]};
    }
    return encoded;
}

planned_request get(std::string_view label, std::string const& target, unsigned status = 200)
{
    return {.label = label, .text = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n", .status = status};
}

planned_request post(std::string const& body, unsigned status = 200)
{
    std::string const head = "POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: ";
    return {.label = "POST /stats", .text = head + std::to_string(body.size()) + "\r\n\r\n" + body, .status = status};
}

/// Half as often for 32 KiB to parse as for nothing, a tenth as often for 288 KiB.
double weight_for(std::size_t bytes_to_parse) { return 1 / (1 + static_cast<double>(bytes_to_parse) / (32 * 1024)); }

/// A request that has `count` of `records` records to find, of which 20 are shown.
planned_request listing(std::string_view label, std::string const& target, std::size_t records, std::size_t count,
                        std::size_t bytes_to_parse)
{
    planned_request rq = get(label, target);
    rq.numbers = {{"records", records}, {"count", count}};
    rq.rows = std::min<std::size_t>(count, 20);
    rq.weight = weight_for(bytes_to_parse);
    return rq;
}

std::string lower_case(std::string_view text)
{
    std::string lower;
    for (char const letter : text)
        lower += letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
    return lower;
}

std::size_t count_mentions(json::array const& records, std::string const& wanted)
{
    auto const mentioned = [&](auto const& field) {
        return field.value().is_string() &&
               lower_case(view_of(field.value().get_string())).find(wanted) != std::string::npos;
    };
    return static_cast<std::size_t>(std::ranges::count_if(
        records, [&](json::value const& record) { return std::ranges::any_of(record.get_object(), mentioned); }));
}

/// The letters that a name begins with, three at most: something that a search will find.
std::string search_word(std::string_view name)
{
    auto const no_letter = [](char const letter) { return std::isalpha(static_cast<unsigned char>(letter)) == 0; };
    name = name.substr(0, 3);
    std::string const word{name.begin(), std::ranges::find_if(name, no_letter)};
    return word.empty() ? "a" : word;
}

/// Names of fields to group and join by, from the first record: a few, and such as fit into a request.
std::vector<std::string> usable_fields(json::array const& records)
{
    std::vector<std::string> names;
    for (auto const& field : records[0].get_object()) {
        std::string_view const name = field.key();
        if (!name.empty() && name.size() <= 256 && names.size() < 8)
            names.emplace_back(name);
    }
    return names;
}

void plan_set(plan& to, data_set const& set)
{
    json::value const document = parse_known(set.text, {});
    json::array const& records = *find_records(document);
    std::size_t const step = std::max<std::size_t>(records.size() / 8, 1);
    for (std::size_t i = 0; i < records.size(); i += step) {
        std::string const word = search_word(name_of(records[i].get_object()));
        to.push_back(listing("GET /search", "/search?set=" + set.name + "&q=" + word, records.size(),
                             count_mentions(records, lower_case(word)), set.text.size()));
    }

    auto const fields = usable_fields(records);
    for (std::string const& field : fields) {
        std::set<std::pmr::string> values;
        for (json::value const& record : records)
            values.insert(text_of(record.get_object().if_contains(field), std::pmr::new_delete_resource()));
        to.push_back(listing("GET /group", "/group?set=" + set.name + "&by=" + percent_encoded(field), records.size(),
                             values.size(), set.text.size()));
    }

    // The set joined with itself by one field: every record that has the field finds a partner.
    if (!fields.empty()) {
        auto const has_field = [&](json::value const& record) { return record.get_object().contains(fields[0]); };
        std::string const by = percent_encoded(fields[0]);
        to.push_back(listing(
            "GET /join", "/join?left=" + set.name + "&right=" + set.name + "&left_by=" + by + "&right_by=" + by,
            records.size(), static_cast<std::size_t>(std::ranges::count_if(records, has_field)), 2 * set.text.size()));
    }
}

/// A document whose statistics are known because it was made for them.
planned_request plan_statistics(std::size_t orders)
{
    std::string body = R"({"orders":[)";
    for (std::size_t i = 0; i < orders; ++i) {
        body += (i == 0 ? "" : ",") + (R"({"id":)" + std::to_string(i)) +
                R"(,"price":9.75,"customer":{"name":"a customer with a name","vip":true},)"
                R"("tags":["first","second",null]})";
    }
    body += "]}";
    auto rq = post(body);
    rq.numbers = {{"bytes", body.size()},  {"depth", 5},         {"objects", 1 + 2 * orders}, {"arrays", 1 + orders},
                  {"strings", 3 * orders}, {"booleans", orders}, {"nulls", orders},           {"distinct_keys", 7}};
    rq.weight = 4 * weight_for(body.size());
    return rq;
}

}

std::vector<planned_request> plan_requests(catalog const& data)
{
    plan requests;
    for (data_set const& set : data)
        plan_set(requests, set);
    // Every subdivision of ISO 3166-2 belongs to a country of ISO 3166-1.
    if (data_set const* const all = find_set(data, "subdivisions"))
        requests.push_back(listing("GET /join", "/join", all->records, all->records, all->text.size()));
    requests.push_back(plan_statistics(3));
    requests.push_back(plan_statistics(300));
    requests.push_back(get("GET /healthz", "/healthz"));
    requests.push_back(plan_forget());

    for (planned_request& refused :
         plan{get(no_route_label, "/nowhere", 404), get("GET /search", "/search?set=nowhere&q=a", 400),
              get("GET /group", "/group?set=%zz", 400), post(R"({"orders":[)", 400), post(std::string(1'000, '['), 400),
              post(std::string(largest_body + 1, ' '), 413)}) {
        refused.weight = 0.5 * weight_for(refused.text.size());
        requests.push_back(std::move(refused));
    }
    return requests;
}

planned_request plan_forget() { return get("GET /forget", "/forget"); }

std::optional<std::string> mistake_in(planned_request const& plan, unsigned status, std::string_view body)
{
    auto const wrong = [&](std::string const& mistake) {
        return plan.text.substr(0, plan.text.find('\r')) + ": " + mistake;
    };
    if (status != plan.status)
        return wrong("status " + std::to_string(status) + " instead of " + std::to_string(plan.status));
    unsigned char room[16 * 1024];   // checking costs the load as little as it can
    json::monotonic_resource memory{room};
    boost::system::error_code error;
    json::value const answer = parse_json(body, json::storage_ptr{&memory}, error);
    if (error || !answer.is_object())
        return wrong("the answer is no JSON object");
    for (auto const& [name, expected] : plan.numbers) {
        json::value const* const number = answer.get_object().if_contains(name);
        if (number == nullptr || number->to_number<std::uint64_t>(error) != expected || error)
            return wrong(name + " is not " + std::to_string(expected));
    }
    if (plan.rows) {
        json::value const* const rows = answer.get_object().if_contains("rows");
        if (rows == nullptr || !rows->is_array() || rows->get_array().size() != *plan.rows)
            return wrong("rows does not hold " + std::to_string(*plan.rows));
    }
    return std::nullopt;
}

}
