// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "check.hpp"

#include "json_text.hpp"

#include <boost/json/monotonic_resource.hpp>

namespace request_server {
namespace {

std::string describe(planned_request const& plan, std::string const& mistake)
{
    return plan.text.substr(0, plan.text.find('\r')) + ": " + mistake;
}

std::optional<std::string> mistake_in_numbers(planned_request const& plan, json::object const& answer)
{
    for (auto const& [name, expected] : plan.numbers) {
        json::value const* const number = answer.if_contains(name);
        boost::system::error_code error;
        if (number == nullptr || number->to_number<std::uint64_t>(error) != expected || error) {
            return describe(plan, name + " is not " + std::to_string(expected));
        }
    }
    return std::nullopt;
}

std::optional<std::string> mistake_in_rows(planned_request const& plan, json::object const& answer)
{
    if (!plan.rows)
        return std::nullopt;
    json::value const* const rows = answer.if_contains("rows");
    if (rows != nullptr && rows->is_array() && rows->get_array().size() == *plan.rows) {
        return std::nullopt;
    }
    return describe(plan, "rows does not hold " + std::to_string(*plan.rows));
}

}

std::optional<std::string> mistake_in(planned_request const& plan, unsigned status, std::string_view body)
{
    if (status != plan.status) {
        return describe(plan, "status " + std::to_string(status) + " instead of " + std::to_string(plan.status));
    }
    unsigned char room[16 * 1024];
    json::monotonic_resource memory{room};
    boost::system::error_code error;
    json::value const answer = parse_json(body, json::storage_ptr{&memory}, error);
    if (error || !answer.is_object())
        return describe(plan, "the answer is no JSON object");
    if (auto mistake = mistake_in_numbers(plan, answer.get_object()))
        return mistake;
    return mistake_in_rows(plan, answer.get_object());
}

}
