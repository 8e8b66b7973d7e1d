// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
module tslab.inspect;

namespace tslab {

namespace {

struct code_point {
    char32_t value;
    std::size_t bytes;   // 0: not valid UTF-8
};

code_point decode(std::string_view text) noexcept
{
    auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    unsigned const first = byte(0);
    std::size_t const bytes = first < 0x80                    ? 1
                              : first >= 0xc2 && first < 0xe0 ? 2
                              : (first >> 4) == 0xe           ? 3
                              : first >= 0xf0 && first < 0xf5 ? 4
                                                              : 0;
    if (bytes == 0 || bytes > text.size())
        return {0, 0};
    if (bytes == 1)
        return {static_cast<char32_t>(first), 1};
    char32_t value = first & (0x7fU >> bytes);
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xc0) != 0x80)
            return {0, 0};
        value = value << 6 | (byte(i) & 0x3f);
    }
    bool const shortest = value >= (bytes == 2 ? 0x80U : bytes == 3 ? 0x800U : 0x10000U);
    bool const exists = value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
    return {value, shortest && exists ? bytes : 0};
}

constexpr bool is_in(char32_t c, char32_t first, char32_t last) noexcept { return c >= first && c <= last; }

bool harmless(char32_t c) noexcept
{
    return c >= 0x20 && (c < 0x7f || c >= 0xa0) &&      // controls, C0 and C1
           c != 0x61c && !is_in(c, 0x200e, 0x200f) &&   // marks of direction
           !is_in(c, 0x2028, 0x202e) &&                 // line and paragraph ends, embeddings and overrides
           !is_in(c, 0x2066, 0x2069);                   // isolates
}

}

std::string printable(std::string_view text)
{
    std::string safe;
    safe.reserve(text.size());
    while (!text.empty()) {
        auto const [value, bytes] = decode(text);
        if (bytes != 0 && harmless(value))
            safe.append(text.substr(0, bytes));
        else
            safe.push_back('?');
        text.remove_prefix(std::max<std::size_t>(bytes, 1));
    }
    return safe;
}

std::string decimal_text(double value, int decimals)
{
    if (!std::isfinite(value))
        return value > 0 ? "inf" : value < 0 ? "-inf" : "nan";
    std::array<char, 352> digits;   // the largest double has 309 before the point
    auto const end = std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed,
                                   std::clamp(decimals, 0, 17));
    return {digits.data(), end.ptr};
}

std::string bytes_text(std::uint64_t bytes)
{
    if (bytes < 1024)
        return counted(bytes, "byte", "bytes");
    constexpr std::array<std::string_view, 6> units{" KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < units.size()) {   // a value that would be shown as 1024.0
        value /= 1024;
        ++unit;
    }
    return joined(decimal_text(value, 1), units[unit]);
}

std::string duration_text(double seconds)
{
    if (!(seconds > 0))
        return "0.0 s";
    if (seconds < 10)
        return decimal_text(std::floor(seconds * 10) / 10, 1) + " s";
    auto const whole = static_cast<std::uint64_t>(std::min(seconds, 1e15));
    if (whole < 60)
        return joined(whole, " s");
    if (whole < 3600)
        return joined(whole / 60, " min ", whole % 60, " s");
    if (whole < 86'400)
        return joined(whole / 3600, " h ", whole / 60 % 60, " min");
    return joined(whole / 86'400, " d ", whole / 3600 % 24, " h");
}

std::string percent_text(double fraction) { return decimal_text(fraction * 100, 1) + " %"; }

}
