// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "text.hpp"

#include <cstdio>

namespace request_server {
namespace {

std::string with_decimals(double number, int decimals, char const* unit)
{
    char text[64];
    std::snprintf(text, sizeof text, "%.*f %s", decimals, number, unit);
    return text;
}

}

std::string with_commas(std::uint64_t number)
{
    std::string text = std::to_string(number);
    for (std::size_t end = text.size(); end > 3; end -= 3)
        text.insert(end - 3, 1, ',');
    return text;
}

std::string as_bytes(std::uint64_t bytes)
{
    auto const number = static_cast<double>(bytes);
    if (bytes < 1'000)
        return with_commas(bytes) + " B";
    if (bytes < 1'000'000)
        return with_decimals(number / 1e3, 1, "kB");
    if (bytes < 1'000'000'000)
        return with_decimals(number / 1e6, 1, "MB");
    return with_decimals(number / 1e9, 2, "GB");
}

std::string as_milliseconds(std::chrono::nanoseconds time)
{
    return with_decimals(static_cast<double>(time.count()) / 1e6, 2, "ms");
}

std::string as_seconds(double seconds) { return with_decimals(seconds, 1, "s"); }

}
