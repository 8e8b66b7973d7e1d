// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/json_text.hpp"
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
import tslab;

namespace tslab::tool {

namespace {

std::size_t length_said_by(unsigned char first) noexcept
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/// Whether `character` is well-formed: `printable` keeps it, or makes a single '?' of all of it.
bool is_utf8(std::string_view character)
{
    if (character.size() < length_said_by(static_cast<unsigned char>(character.front())))
        return false;
    std::string const seen = printable(character);
    return seen == character || seen == "?";
}

}

void json_text::separate()
{
    if (!text_.empty() && text_.back() != '{' && text_.back() != '[' && text_.back() != ':')
        text_ += ',';
}

json_text& json_text::raw(std::string_view s)
{
    separate();
    text_ += s;
    return *this;
}

json_text& json_text::open(char bracket) { return raw({&bracket, 1}); }

json_text& json_text::close(char bracket)
{
    text_ += bracket;
    return *this;
}

json_text& json_text::key(std::string_view name)
{
    value(name);
    text_ += ':';
    return *this;
}

json_text& json_text::value(double d)
{
    std::array<char, 32> digits;
    auto const end = std::to_chars(digits.data(), digits.data() + digits.size(), std::isfinite(d) ? d : 0.0);
    return raw({digits.data(), end.ptr});
}

json_text& json_text::value(std::string_view text)
{
    constexpr std::string_view hex = "0123456789abcdef";
    separate();
    text_ += '"';
    while (!text.empty()) {
        auto const first = static_cast<unsigned char>(text.front());
        std::string_view const c = text.substr(0, length_said_by(first));
        if (first == '"' || first == '\\') {
            text_ += '\\';
            text_ += c;
        } else if (first < 0x20) {
            text_ += "\\u00";
            text_ += hex[first >> 4];
            text_ += hex[first & 0xf];
        } else if (is_utf8(c)) {
            text_ += c;
        } else {
            text_ += "\xef\xbf\xbd";
            text.remove_prefix(1);
            continue;
        }
        text.remove_prefix(c.size());
    }
    text_ += '"';
    return *this;
}

}
