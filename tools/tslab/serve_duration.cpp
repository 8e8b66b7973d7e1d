// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_duration.hpp"
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include <cmath>

namespace tslab::tool {

std::optional<std::chrono::milliseconds> parse_duration(std::string const& text)
{
    constexpr double year = 366.0 * 86'400;
    try {
        double const seconds = seconds_of(text);
        if (seconds < 0.001 || seconds > year)
            return std::nullopt;
        return std::chrono::milliseconds{std::llround(seconds * 1000)};
    } catch (failure const&) {
        return std::nullopt;
    }
}

option add_duration(command_line const& command, std::string const& name, std::chrono::milliseconds& to,
                    std::string const& help, std::chrono::milliseconds least)
{
    return command
        .add_option(
            name,
            [&to, name, least](std::string const& text) {
                auto const read = parse_duration(text);
                if (!read || *read < least)
                    throw failure{outcome::usage, name + " is " + in_quotes(text) + ", but takes a duration from " +
                                                      std::to_string(least.count()) +
                                                      "ms to 366d, such as 500ms, 5s, 2m or 1h"};
                to = *read;
            },
            help)
        .type_name("DURATION");
}

option add_duration(command_line const& command, std::string const& name, double& seconds, std::string const& help)
{
    return command
        .add_option(
            name, [&seconds, name](std::string const& text) { seconds = seconds_of(name, text); }, help)
        .type_name("DURATION");
}

}
