// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include "json_text.hpp"
#include "routes.hpp"

#include <algorithm>
#include <cctype>
#include <set>

namespace request_server {
namespace {

constexpr std::size_t rows_asked_for = 20;

using plan = std::vector<planned_request>;

std::string percent_encoded(std::string_view text)
{
    constexpr char hex[] = "0123456789ABCDEF";
    std::string encoded;
    for (char const character : text) {
        auto const code = static_cast<unsigned char>(character);
        if (std::isalnum(code) != 0) {
            encoded += character;
        } else {
            encoded += {'%', hex[code >> 4], hex[code & 15]};
        }
    }
    return encoded;
}

planned_request get(std::string_view label, std::string const& target, unsigned status = 200)
{
    return {.label = label, .text = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n", .status = status};
}

planned_request post(std::string_view label, std::string const& path, std::string const& body, unsigned status = 200)
{
    return {.label = label,
            .text = "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\n\r\n" + body,
            .status = status};
}

/// Half as often for 32 KiB to parse as for nothing, a tenth as often for 288 KiB.
double weight_for(std::size_t bytes_to_parse) { return 1 / (1 + static_cast<double>(bytes_to_parse) / (32 * 1024)); }

std::string lower_case(std::string_view text)
{
    std::string lower{text};
    for (char& letter : lower) {
        if (letter >= 'A' && letter <= 'Z')
            letter = static_cast<char>(letter + ('a' - 'A'));
    }
    return lower;
}

std::uint64_t count_mentions(json::array const& records, std::string const& wanted)
{
    std::uint64_t count = 0;
    for (json::value const& record : records) {
        for (auto const& field : record.get_object()) {
            if (!field.value().is_string())
                continue;
            if (lower_case(view_of(field.value().get_string())).find(wanted) == std::string::npos)
                continue;
            ++count;
            break;
        }
    }
    return count;
}

/// The letters that a name begins with, three at most: something that a search will find.
std::string search_word(std::string_view name)
{
    std::string word;
    for (char const letter : name) {
        if (word.size() == 3 || std::isalpha(static_cast<unsigned char>(letter)) == 0)
            break;
        word += letter;
    }
    return word.empty() ? "a" : word;
}

void plan_searches(plan& to, data_set const& set, json::array const& records)
{
    std::size_t const step = std::max<std::size_t>(records.size() / 8, 1);
    for (std::size_t i = 0; i < records.size(); i += step) {
        std::string const word = search_word(name_of(records[i].get_object()));
        auto rq = get("GET /search", "/search?set=" + set.name + "&q=" + word);
        std::uint64_t const count = count_mentions(records, lower_case(word));
        rq.numbers = {{"records", records.size()}, {"count", count}};
        rq.rows = std::min<std::size_t>(count, rows_asked_for);
        rq.weight = weight_for(set.text.size());
        to.push_back(std::move(rq));
    }
}

/// Names of fields to group and join by, from the first record: a few, and such as fit into a request.
std::vector<std::string> usable_fields(json::array const& records)
{
    std::vector<std::string> names;
    for (auto const& field : records[0].get_object()) {
        std::string_view const name{field.key().data(), field.key().size()};
        if (!name.empty() && name.size() <= 256 && names.size() < 8)
            names.emplace_back(name);
    }
    return names;
}

std::uint64_t count_values(json::array const& records, std::string const& field)
{
    std::set<std::pmr::string> values;
    for (json::value const& record : records) {
        values.insert(text_of(record.get_object().if_contains(field), std::pmr::new_delete_resource()));
    }
    return values.size();
}

void plan_groups(plan& to, data_set const& set, json::array const& records)
{
    for (std::string const& field : usable_fields(records)) {
        std::uint64_t const count = count_values(records, field);
        auto rq = get("GET /group", "/group?set=" + set.name + "&by=" + percent_encoded(field));
        rq.numbers = {{"records", records.size()}, {"count", count}};
        rq.rows = std::min<std::size_t>(count, rows_asked_for);
        rq.weight = weight_for(set.text.size());
        to.push_back(std::move(rq));
    }
}

/// Joins the set with itself by one field: every record that has the field finds a partner.
void plan_join(plan& to, data_set const& set, json::array const& records)
{
    auto const fields = usable_fields(records);
    if (fields.empty())
        return;
    auto const has_field = [&](json::value const& record) { return record.get_object().contains(fields[0]); };
    auto const count = static_cast<std::uint64_t>(std::ranges::count_if(records, has_field));
    std::string const by = percent_encoded(fields[0]);
    auto rq = get("GET /join", "/join?left=" + set.name + "&right=" + set.name + "&left_by=" + by + "&right_by=" + by);
    rq.numbers = {{"records", records.size()}, {"count", count}};
    rq.rows = std::min<std::size_t>(count, rows_asked_for);
    rq.weight = weight_for(2 * set.text.size());
    to.push_back(std::move(rq));
}

/// Every subdivision of ISO 3166-2 belongs to a country of ISO 3166-1.
void plan_iso_join(plan& to, catalog const& data)
{
    data_set const* const subdivisions = find_set(data, "subdivisions");
    if (subdivisions == nullptr)
        return;
    auto rq = get("GET /join", "/join");
    rq.numbers = {{"records", subdivisions->records}, {"count", subdivisions->records}};
    rq.rows = rows_asked_for;
    rq.weight = weight_for(subdivisions->text.size());
    to.push_back(std::move(rq));
}

/// A document whose statistics are known because it was made for them.
planned_request plan_statistics(std::size_t orders)
{
    std::string body = R"({"orders":[)";
    for (std::size_t i = 0; i < orders; ++i) {
        if (i != 0)
            body += ',';
        body += R"({"id":)" + std::to_string(i) +
                R"(,"price":9.75,"customer":{"name":"a customer with a name","vip":true},)"
                R"("tags":["first","second",null]})";
    }
    body += "]}";
    auto rq = post("POST /stats", "/stats", body);
    rq.numbers = {{"bytes", body.size()},  {"depth", 5},         {"objects", 1 + 2 * orders}, {"arrays", 1 + orders},
                  {"strings", 3 * orders}, {"booleans", orders}, {"nulls", orders},           {"distinct_keys", 7}};
    rq.weight = 4 * weight_for(body.size());
    return rq;
}

void plan_refusals(plan& to)
{
    to.push_back(get(no_route_label, "/nowhere", 404));
    to.push_back(get("GET /search", "/search?set=nowhere&q=a", 400));
    to.push_back(get("GET /group", "/group?set=%zz", 400));
    to.push_back(post("POST /stats", "/stats", R"({"orders":[)", 400));
    to.push_back(post("POST /stats", "/stats", std::string(1'000, '['), 400));
    to.push_back(post("POST /stats", "/stats", std::string(largest_body + 1, ' '), 413));
    for (auto rq = to.end() - 6; rq != to.end(); ++rq) {
        rq->weight = 0.5 * weight_for(rq->text.size());
    }
}

}

std::vector<planned_request> plan_requests(catalog const& data)
{
    plan requests;
    for (data_set const& set : data) {
        json::value const document = parse_known(set.text, {});
        json::array const& records = *find_records(document);
        plan_searches(requests, set, records);
        plan_groups(requests, set, records);
        plan_join(requests, set, records);
    }
    plan_iso_join(requests, data);
    requests.push_back(plan_statistics(3));
    requests.push_back(plan_statistics(300));
    requests.push_back(get("GET /healthz", "/healthz"));
    requests.push_back(plan_forget());
    plan_refusals(requests);
    return requests;
}

planned_request plan_forget() { return get("GET /forget", "/forget"); }

}
