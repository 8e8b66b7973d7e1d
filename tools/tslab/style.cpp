// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/style.hpp"
#include "tslab/escape.hpp"
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <ctime>
#include <ostream>
import tslab;

namespace tslab::tool {

namespace {

std::string_view code_of(paint p) noexcept
{
    switch (p) {
    case paint::none: return "";
    case paint::bold: return "\x1b[1m";
    case paint::dim: return "\x1b[2m";
    case paint::red: return "\x1b[31m";
    case paint::yellow: return "\x1b[33m";
    case paint::green: return "\x1b[32m";
    case paint::cyan: return "\x1b[36m";
    }
    return "";
}

}

std::string painted(bool color, paint p, std::string_view text)
{
    if (!color || p == paint::none || text.empty())
        return std::string{text};
    return std::string{code_of(p)}.append(text).append("\x1b[0m");
}

std::string grouped(std::uint64_t n)
{
    std::string digits = std::to_string(n);
    for (std::size_t i = digits.size(); i > 3;)
        digits.insert(i -= 3, 1, ',');
    return digits;
}

std::string clock_text(std::uint64_t timestamp_ns)
{
    auto const seconds = static_cast<std::time_t>(timestamp_ns / 1'000'000'000);
    std::tm broken_down{};
    std::array<char, 16> text{};
    localtime_r(&seconds, &broken_down);
    return {text.data(), std::strftime(text.data(), text.size(), "%H:%M:%S", &broken_down)};
}

std::string rate_text(double per_second)
{
    return per_second < 1000 ? decimal_text(per_second, 1)
                             : grouped(static_cast<std::uint64_t>(std::min(std::round(per_second), 1e19)));
}

void table::print(std::ostream& out, bool color, std::string_view indent) const
{
    std::vector<std::size_t> widths;
    widths.reserve(columns_.size());
    for (column const& c : columns_)
        widths.push_back(columns_of(c.title));
    for (auto const& row : rows_)
        for (std::size_t c = 0; c < row.size(); ++c)
            widths[c] = std::max(widths[c], columns_of(row[c].text));
    auto const line = [&](auto const& text_of, auto const& color_of) {
        out << indent;
        std::string space;   // comes out when something follows it
        for (std::size_t c = 0; c < columns_.size(); ++c) {
            std::string_view const text = text_of(c);
            std::string const padding(widths[c] - columns_of(text), ' ');
            if (columns_[c].align == side::right)
                space += padding;
            if (!text.empty()) {
                out << space << painted(color, color_of(c), text);
                space.clear();
            }
            if (columns_[c].align == side::left)
                space += padding;
            space += "  ";
        }
        out << '\n';
    };
    line([&](std::size_t c) -> std::string_view { return columns_[c].title; }, [](std::size_t) { return paint::bold; });
    for (auto const& row : rows_)
        line([&](std::size_t c) -> std::string_view { return row[c].text; },
             [&](std::size_t c) { return row[c].color; });
}

/// A duration with two digits at least.
std::string ns_text(std::uint64_t ns)
{
    auto const n = static_cast<double>(ns);
    auto const in = [](double value, std::string_view unit) {
        return decimal_text(value, value < 10 ? 1 : 0) + " " + std::string{unit};
    };
    if (ns < 1'000)
        return grouped(ns) + " ns";
    return ns < 1'000'000 ? in(n / 1e3, "us") : ns < 1'000'000'000 ? in(n / 1e6, "ms") : in(n / 1e9, "s");
}

}
