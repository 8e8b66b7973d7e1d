// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "json_text.hpp"

#include <boost/json/parser.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace request_server {
namespace {

template <class Number>
void append_number(std::pmr::string& to, Number number)
{
    char digits[32];
    auto const end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
    to.append(digits, end);
}

void append_number(std::pmr::string& to, json::value const& number)
{
    if (number.is_int64())
        return append_number(to, number.get_int64());
    if (number.is_uint64())
        return append_number(to, number.get_uint64());
    double const value = number.get_double();
    if (!std::isfinite(value)) {   // JSON has no word for it
        to += "null";
        return;
    }
    append_number(to, value);
}

void append_escaped(std::pmr::string& to, char character)
{
    constexpr char hex[] = "0123456789abcdef";
    auto const code = static_cast<unsigned char>(character);
    to += "\\u00";
    to += hex[code >> 4];
    to += hex[code & 15];
}

void append_quoted(std::pmr::string& to, std::string_view text)
{
    to += '"';
    for (char const character : text) {
        if (character == '"' || character == '\\') {
            to += '\\';
            to += character;
        } else if (static_cast<unsigned char>(character) < 0x20) {
            append_escaped(to, character);
        } else {
            to += character;
        }
    }
    to += '"';
}

void append_array(std::pmr::string& to, json::array const& array)
{
    to += '[';
    char const* separator = "";
    for (json::value const& element : array) {
        to += std::exchange(separator, ",");
        append_json(to, element);
    }
    to += ']';
}

void append_object(std::pmr::string& to, json::object const& object)
{
    to += '{';
    char const* separator = "";
    for (auto const& member : object) {
        to += std::exchange(separator, ",");
        append_quoted(to, {member.key().data(), member.key().size()});
        to += ':';
        append_json(to, member.value());
    }
    to += '}';
}

bool is_record_array(json::value const& value)
{
    json::array const* const array = value.if_array();
    return array != nullptr && !array->empty() &&
           std::ranges::all_of(*array, [](json::value const& element) { return element.is_object(); });
}

}

json::value parse_json(std::string_view text, json::storage_ptr memory, boost::system::error_code& error)
{
    // json::parse() would take the working stack of a large document from the global heap; a parser
    // of our own takes it from where the document goes.
    unsigned char first_stack[4096];
    json::parse_options limits;
    limits.max_depth = deepest_nesting;
    json::parser parser{memory, limits, first_stack};
    parser.reset(std::move(memory));
    parser.write(text.data(), text.size(), error);
    return error ? json::value() : parser.release();
}

json::value parse_known(std::string_view text, json::storage_ptr memory)
{
    boost::system::error_code error;
    json::value document = parse_json(text, std::move(memory), error);
    if (error)
        throw boost::system::system_error{error};
    return document;
}

json::array const* find_records(json::value const& document)
{
    if (is_record_array(document))
        return &document.get_array();
    if (json::object const* const object = document.if_object()) {
        for (auto const& member : *object) {
            if (is_record_array(member.value()))
                return &member.value().get_array();
        }
    }
    return nullptr;
}

std::string_view name_of(json::object const& record)
{
    json::value const* const name = record.if_contains("name");
    if (name != nullptr && name->is_string())
        return view_of(name->get_string());
    for (auto const& member : record) {
        if (member.value().is_string())
            return view_of(member.value().get_string());
    }
    return {};
}

std::pmr::string text_of(json::value const* value, std::pmr::memory_resource* memory)
{
    std::pmr::string text{memory};
    if (value == nullptr)
        return text;
    if (value->is_string()) {
        text = view_of(value->get_string());
    } else {
        append_json(text, *value);
    }
    return text;
}

// Not json::serializer: the one of Boost 1.81 takes its stack from the global heap, and nothing
// can be passed to change that.
void append_json(std::pmr::string& to, json::value const& value)
{
    switch (value.kind()) {
    case json::kind::null: to += "null"; break;
    case json::kind::bool_: to += value.get_bool() ? "true" : "false"; break;
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_: append_number(to, value); break;
    case json::kind::string: append_quoted(to, view_of(value.get_string())); break;
    case json::kind::array: append_array(to, value.get_array()); break;
    case json::kind::object: append_object(to, value.get_object()); break;
    }
}

}
