// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_duration.hpp"
#include <charconv>
#include <cstdint>

namespace tslab::tool {

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text)
{
    std::int64_t n = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    std::string_view const unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    std::int64_t const factor = unit == "ms"                ? 1
                                : unit == "s" || unit == "" ? 1'000
                                : unit == "m"               ? 60'000
                                : unit == "h"               ? 3'600'000
                                                            : 0;
    constexpr std::int64_t year = std::int64_t{366} * 24 * 3'600'000;
    if (error != std::errc{} || factor == 0 || n <= 0 || n > year / factor)
        return std::nullopt;
    return std::chrono::milliseconds{n * factor};
}

CLI::Option* add_duration(CLI::App& command, std::string const& name, std::chrono::milliseconds& to,
                          std::string const& help)
{
    return command
        .add_option_function<std::string>(
            name,
            [&to, name](std::string const& text) {
                auto const read = parse_duration(text);
                if (!read)
                    throw CLI::ValidationError{name, "\"" + text + "\" is no duration such as 500ms, 5s, 2m or 1h"};
                to = *read;
            },
            help)
        ->type_name("DURATION");
}

}
