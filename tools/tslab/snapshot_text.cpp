// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The snapshots in a text: one, several one behind the other, or an array. Only their ends are looked for here; what is in
// them the library reads and checks.
#include "tslab/command.hpp"
#include <algorithm>
#include <cstddef>
import tslab;

namespace tslab::tool {

namespace {

bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Cuts off the first object of `text`, which begins with its brace; what has no end is taken whole, for the reader to refuse.
std::string_view take_object(std::string_view& text)
{
    std::size_t depth = 0;
    bool in_string = false;
    std::size_t i = 0;
    for (; i < text.size(); ++i) {
        char const c = text[i];
        if (in_string && c == '\\')
            ++i;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && c == '{')
            ++depth;
        else if (!in_string && c == '}' && --depth == 0)
            break;
    }
    std::size_t const size = std::min(i + 1, text.size());
    std::string_view const object = text.substr(0, size);
    text.remove_prefix(size);
    return object;
}

void skip_space(std::string_view& text)
{
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
}

bool take(std::string_view& text, char c)
{
    skip_space(text);
    if (!text.starts_with(c))
        return false;
    text.remove_prefix(1);
    return true;
}

snapshot one_snapshot(std::string_view text)
{
    try {
        return from_json(text);
    } catch (snapshot_error const& e) {
        constexpr std::string_view version = "schema_version: expected 1";
        if (e.what() == version)
            throw failure{outcome::other_version, "its format has another version than this program reads"};
        throw;
    }
}

}

std::vector<snapshot> snapshots_of(std::string_view text)
{
    constexpr std::size_t most = 4096;
    std::vector<snapshot> all;
    bool const array = take(text, '[');
    do {
        skip_space(text);
        if (!text.starts_with('{'))
            throw snapshot_error{"expected an object with a snapshot"};
        if (all.size() == most)
            throw snapshot_error{"more than 4096 snapshots"};
        all.push_back(one_snapshot(take_object(text)));
        skip_space(text);
    } while (array ? take(text, ',') : !text.empty());
    bool const ended = !array || take(text, ']');
    skip_space(text);
    if (!ended || !text.empty())
        throw snapshot_error{"expected the end of the array, and nothing behind it"};
    return all;
}

}
