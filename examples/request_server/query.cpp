// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "query.hpp"

#include "routes.hpp"

#include <charconv>

namespace request_server {
namespace {

constexpr char const* malformed_escape = "a percent escape in the request target is malformed";

int hex_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    throw http_error{400, malformed_escape};
}

char decode_escape(std::string_view text, std::size_t percent)
{
    if (percent + 2 >= text.size())
        throw http_error{400, malformed_escape};
    return static_cast<char>(hex_digit(text[percent + 1]) * 16 + hex_digit(text[percent + 2]));
}

std::pmr::string decode(std::string_view text, std::pmr::memory_resource* memory)
{
    std::pmr::string decoded{memory};
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%') {
            decoded += decode_escape(text, i);
            i += 2;
        } else {
            decoded += text[i] == '+' ? ' ' : text[i];
        }
    }
    return decoded;
}

/// Splits at the first `separator`; the second part is empty if there is none.
std::pair<std::string_view, std::string_view> split(std::string_view text, char separator)
{
    std::size_t const at = text.find(separator);
    if (at == std::string_view::npos)
        return {text, {}};
    return {text.substr(0, at), text.substr(at + 1)};
}

}

query::query(std::string_view target, std::pmr::memory_resource* memory) : parameters_{memory}
{
    std::string_view rest = split(target, '?').second;
    while (!rest.empty()) {
        auto const [parameter, after] = split(rest, '&');
        auto const [name, value] = split(parameter, '=');
        if (!name.empty())
            parameters_.emplace_back(decode(name, memory), decode(value, memory));
        rest = after;
    }
}

std::string_view query::value_or(std::string_view name, std::string_view fallback) const
{
    for (auto const& [key, value] : parameters_) {
        if (key == name)
            return value;
    }
    return fallback;
}

std::string_view query::require(std::string_view name, char const* complaint) const
{
    std::string_view const value = value_or(name, {});
    if (value.empty())
        throw http_error{400, complaint};
    return value;
}

std::size_t query::number_or(std::string_view name, std::size_t fallback, std::size_t most) const
{
    std::string_view const text = value_or(name, {});
    if (text.empty())
        return fallback;
    std::size_t number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number > most) {
        throw http_error{400, "limit is not a number in range"};
    }
    return number;
}

}
