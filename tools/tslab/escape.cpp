// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/escape.hpp"
#include <algorithm>
import tslab;

namespace tslab::tool {

namespace {

std::size_t length_said_by(unsigned char first) noexcept
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

void append_hex(std::string& to, unsigned char byte)
{
    constexpr std::string_view digits = "0123456789abcdef";
    to += "\\x";
    to += digits[byte >> 4];
    to += digits[byte & 0xf];
}

}

std::string escaped(std::string_view text)
{
    std::string safe;
    safe.reserve(text.size());
    while (!text.empty()) {
        auto const first = static_cast<unsigned char>(text.front());
        std::string_view const character = text.substr(0, length_said_by(first));
        if (printable(character) == character) {
            safe += character;
            text.remove_prefix(character.size());
        } else {   // the rest of a harmful character begins with no first byte, so it is escaped in its turn
            append_hex(safe, first);
            text.remove_prefix(1);
        }
    }
    return safe;
}

std::string in_quotes(std::string_view text) { return '"' + escaped(text) + '"'; }

std::size_t columns_of(std::string_view text) noexcept
{
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string xml_escaped(std::string_view text)
{
    std::string safe;
    for (char const c : escaped(text)) {
        switch (c) {
        case '&': safe += "&amp;"; break;
        case '<': safe += "&lt;"; break;
        case '>': safe += "&gt;"; break;
        case '"': safe += "&quot;"; break;
        case '\'': safe += "&#39;"; break;
        default: safe += c;
        }
    }
    return safe;
}

}
