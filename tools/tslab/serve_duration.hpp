// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Durations on the command line: "500ms", "5s", "2m", "1h".
#pragma once
#include "tslab/command_line.hpp"
#include <chrono>
#include <optional>
#include <string>

namespace tslab::tool {

/// A whole number above 0 and a unit, at most a year; "5" is seconds.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string const& text);

/// Between two readings of a process.
inline constexpr std::chrono::milliseconds least_interval{10};

/// An option that takes a duration of `least` or more and refuses anything else.
option add_duration(command_line const& command, std::string const& name, std::chrono::milliseconds& to,
                    std::string const& help, std::chrono::milliseconds least = std::chrono::milliseconds{1});
/// The same for seconds, 0 included.
option add_duration(command_line const& command, std::string const& name, double& seconds, std::string const& help);

}
