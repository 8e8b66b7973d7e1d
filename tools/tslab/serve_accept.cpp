// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/serve_accept.hpp"
#include "tslab/letter_case.hpp"
#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace tslab::tool {

namespace {

constexpr unsigned highest_quality = 1000;

std::string_view trimmed(std::string_view s)
{
    constexpr std::string_view blank = " \t";
    s.remove_prefix(std::min(s.find_first_not_of(blank), s.size()));
    return s.substr(0, s.find_last_not_of(blank) + 1);
}

/// The parts between separators that are not within quotes.
std::vector<std::string_view> split(std::string_view s, char separator)
{
    std::vector<std::string_view> parts;
    std::size_t begin = 0;
    bool quoted = false;
    for (std::size_t at = 0; at < s.size(); ++at) {
        if (s[at] == '"')
            quoted = !quoted;
        else if (quoted && s[at] == '\\')
            ++at;   // what is behind it is as it is
        else if (!quoted && s[at] == separator) {
            parts.push_back(trimmed(s.substr(begin, at - begin)));
            begin = at + 1;
        }
    }
    parts.push_back(trimmed(s.substr(begin)));
    return parts;
}

/// In thousandths: 0 to 1 with at most three decimals. Nothing if it is anything else.
std::optional<unsigned> quality_of(std::string_view s)
{
    bool const valid = !s.empty() && s.size() <= 5 && (s[0] == '0' || s[0] == '1') && (s.size() == 1 || s[1] == '.');
    if (!valid)
        return std::nullopt;
    unsigned thousandths = (s[0] == '1' ? 1 : 0) * highest_quality;
    unsigned unit = highest_quality / 10;
    for (char const digit : s.substr(std::min<std::size_t>(2, s.size()))) {
        if (digit < '0' || digit > '9')
            return std::nullopt;
        thousandths += static_cast<unsigned>(digit - '0') * std::exchange(unit, unit / 10);
    }
    return thousandths <= highest_quality ? std::optional{thousandths} : std::nullopt;
}

/// An element of the list.
struct media_range {
    std::string_view type;   ///< and subtype
    std::vector<std::pair<std::string_view, std::string_view>> parameters{};
    unsigned quality = highest_quality;

    [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const
    {
        for (auto const& [key, value] : parameters)
            if (same_name(key, name))
                return value;
        return std::nullopt;
    }
    [[nodiscard]] bool has(std::string_view name, std::string_view value) const
    {
        auto const there = parameter(name);
        return there && same_name(*there, value);
    }
};

std::optional<media_range> range_of(std::string_view element)
{
    std::vector<std::string_view> const parts = split(element, ';');
    media_range range{.type = parts.front()};
    for (std::size_t n = 1; n < parts.size(); ++n) {
        if (parts[n].empty())
            continue;
        auto const equals = parts[n].find('=');
        if (equals == 0 || equals == std::string_view::npos)
            return std::nullopt;
        std::string_view const name = parts[n].substr(0, equals);
        std::string_view value = parts[n].substr(equals + 1);
        if (trimmed(name) != name)   // no blank is allowed there
            return std::nullopt;
        if (same_name(name, "q")) {
            auto const quality = quality_of(value);
            if (!quality)
                return std::nullopt;
            range.quality = *quality;
        } else {
            if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
                value = value.substr(1, value.size() - 2);
            range.parameters.emplace_back(name, value);
        }
    }
    return range;
}

/// How closely a range names the text; 0 if it does not.
unsigned closeness_to_text(media_range const& r)
{
    if (r.type == "*/*")
        return 1;
    if (same_name(r.type, "text/*"))
        return 2;
    if (!same_name(r.type, "text/plain"))
        return 0;
    if (!r.parameter("version"))
        return 3;
    return r.has("version", "0.0.4") ? 4 : 0;
}

bool is_protobuf(media_range const& r)
{
    return same_name(r.type, "application/vnd.google.protobuf") &&
           r.has("proto", "io.prometheus.client.MetricFamily") && r.has("encoding", "delimited");
}

}

bool prefers_protobuf(std::string_view accept)
{
    unsigned protobuf = 0;
    std::pair<unsigned, unsigned> text{};   // the closest range counts, and of equals the highest quality
    for (std::string_view const element : split(accept, ',')) {
        auto const range = range_of(element);
        if (!range)
            continue;
        if (is_protobuf(*range))
            protobuf = std::max(protobuf, range->quality);
        else if (unsigned const closeness = closeness_to_text(*range); closeness != 0)
            text = std::max(text, {closeness, range->quality});
    }
    return protobuf > text.second;
}

}
