// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
module tslab.inspect;

import tslab.stats;

namespace tslab {

namespace {

/// Bytes of the well-formed UTF-8 character at the beginning of `s`; 0 if there is none.
std::size_t utf8_length(std::string_view s) noexcept
{
    auto const byte = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0U; };
    auto const more = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
    unsigned const a = byte(0);
    unsigned const b = byte(1);
    if (a < 0x80)
        return 1;
    if (a >= 0xc2 && a <= 0xdf)
        return more(1) ? 2 : 0;
    if (a >= 0xe0 && a <= 0xef) {
        bool const shortest = a != 0xe0 || b >= 0xa0;
        bool const surrogate = a == 0xed && b >= 0xa0;
        return more(1) && more(2) && shortest && !surrogate ? 3 : 0;
    }
    if (a >= 0xf0 && a <= 0xf4) {
        bool const in_range = (a != 0xf0 || b >= 0x90) && (a != 0xf4 || b < 0x90);
        return more(1) && more(2) && more(3) && in_range ? 4 : 0;
    }
    return 0;
}

/// Appends an ASCII character as it stands in a string of JSON.
void append_plain(std::string& to, char c)
{
    constexpr std::string_view digits = "0123456789abcdef";
    auto const code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
        to += '\\';
        to += c;
    } else if (code < 0x20 || code == 0x7f) {
        to += "\\u00";
        to += digits[code >> 4U];
        to += digits[code & 15U];
    } else {
        to += c;
    }
}

template <class T> void append_number(std::string& to, T n)
{
    std::array<char, 32> text{};
    to.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), n).ptr);
}

}

void json_writer::separate()
{
    // The last character of a value is a quote, a digit, a letter or a closing bracket.
    if (!text_.empty() && text_.back() != '{' && text_.back() != '[' && text_.back() != ':')
        text_ += ',';
}

json_writer& json_writer::value(quarter_histogram const& h)
{
    open('[');
    for (std::size_t b = 0; b < quarter_histogram::bucket_count; ++b)
        if (h.buckets[b] != 0)
            open('[').value(quarter_histogram::upper_bound(b)).value(h.buckets[b]).close(']');
    return close(']');
}

json_writer& json_writer::raw(std::string_view json)
{
    separate();
    text_ += json;
    return *this;
}

json_writer& json_writer::open(char bracket) { return raw({&bracket, 1}); }

json_writer& json_writer::close(char bracket)
{
    text_ += bracket;
    return *this;
}

json_writer& json_writer::key(std::string_view name)
{
    value(name);
    text_ += ':';
    return *this;
}

json_writer& json_writer::value(double d)
{
    separate();
    append_number(text_, std::isfinite(d) ? d : 0.0);
    return *this;
}

json_writer& json_writer::number(std::int64_t n)
{
    separate();
    append_number(text_, n);
    return *this;
}

json_writer& json_writer::number(std::uint64_t n)
{
    separate();
    append_number(text_, n);
    return *this;
}

json_writer& json_writer::value(std::string_view text)
{
    separate();
    text_ += '"';
    while (!text.empty()) {
        std::size_t const length = utf8_length(text);
        if (length == 1)
            append_plain(text_, text.front());
        else
            text_ += length != 0 ? text.substr(0, length) : "\xef\xbf\xbd";
        text.remove_prefix(length != 0 ? length : 1);
    }
    text_ += '"';
    return *this;
}

}
