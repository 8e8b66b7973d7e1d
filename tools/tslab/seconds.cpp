// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/suggestion.hpp"
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

namespace tslab::tool {

std::uint64_t number_of(std::string_view option, std::string const& text, std::uint64_t least, std::uint64_t most)
{
    std::uint64_t n = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size() || n < least || n > most)
        throw failure{outcome::usage, out_of_range(option, text, least, most)};
    return n;
}

namespace {

constexpr std::string_view no_duration = " no duration such as 500ms, 1s, 2m, 3h or 1d";

std::optional<double> seconds_in(std::string const& text)
{
    double number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string_view const unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    double const factor = unit.empty() || unit == "s"    ? 1
                          : unit == "ms"                 ? 1e-3
                          : unit == "m" || unit == "min" ? 60
                          : unit == "h"                  ? 3600
                          : unit == "d"                  ? 86'400
                                                         : 0;
    if (error != std::errc{} || factor == 0 || !(number >= 0) || !std::isfinite(number * factor))
        return std::nullopt;
    return number * factor;
}

}

double seconds_of(std::string const& text)
{
    if (auto const seconds = seconds_in(text))
        return *seconds;
    throw failure{outcome::usage, in_quotes(text) + " is" + std::string{no_duration}};
}

double seconds_of(std::string_view option, std::string const& text)
{
    if (auto const seconds = seconds_in(text))
        return *seconds;
    throw failure{outcome::usage,
                  std::string{option} + " is " + in_quotes(text) + ", which is" + std::string{no_duration}};
}

}
