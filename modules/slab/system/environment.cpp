// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <sys/auxv.h>
#include <system_error>
#include <unistd.h>
#include <utility>
module tslab.slab;

import tslab.stats;

namespace tslab {

namespace {

constexpr std::size_t variable_count = static_cast<std::size_t>(variable::count_);
constexpr std::array<variable_range, variable_count> ranges{{{"TSLAB_DECAY_MS", 0, 24ULL * 60 * 60 * 1000},
                                                             {"TSLAB_THREAD_CACHE_KIB", 0, 1ULL << 32},
                                                             {"TSLAB_SLAB_CACHE", 0, 1ULL << 20},
                                                             {"TSLAB_BACKGROUND_PURGE", 0, 1},
                                                             {"TSLAB_PROFILE_INTERVAL", 0, 1ULL << 40},
                                                             {"TSLAB_PROFILE_FRAME_POINTERS", 0, 1},
                                                             {"TSLAB_PROFILE_SEED", 0, ~0ULL},
                                                             {"TSLAB_PUBLISH", 0, 1},
                                                             {"TSLAB_GUARD_SAMPLING", 0, (1ULL << 32) - 1},
                                                             {"TSLAB_CHECKS", 0, 0}}};
constinit std::array<atomic<bool>, variable_count> refused_variables{};

constexpr std::string_view variables_begin = "TSLAB_";
constexpr std::size_t longest_variable = 40;

/// Writes what snprintf made of a line.
void write_line(std::array<char, 256> const& line, int length) noexcept
{
    if (length > 0) [[maybe_unused]]
        auto const written = ::write(STDERR_FILENO, line.data(), static_cast<std::size_t>(length));
}

/// The least number of characters to insert, remove or replace that makes `b` of `a`. Requires: `b` is no longer than longest_variable.
std::size_t edit_distance(std::string_view a, std::string_view b) noexcept
{
    std::array<std::size_t, longest_variable + 1> row{};
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t const replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

/// The variable that `name`, both without TSLAB_, is probably meant to be: of those that differ in two characters or begin with the
/// same word, the nearest. Empty if there is none, or `name` is one.
std::string_view meant_by(std::string_view name) noexcept
{
    auto const first_word = [](std::string_view text) { return text.substr(0, text.find('_')); };
    std::string_view best;
    std::size_t fewest = longest_variable;
    auto const consider = [&](std::string_view known) {
        known.remove_prefix(variables_begin.size());
        std::size_t const edits = edit_distance(name, known);
        if (edits < fewest && (edits <= 2 || first_word(name) == first_word(known))) {
            fewest = edits;
            best = known;
        }
    };
    for (variable_range const& r : ranges)
        consider(r.name);
    consider("TSLAB_STATS_FILE");
    return fewest == 0 ? std::string_view{} : best;
}

/// Reports once, in one line, that the value is ignored.
void refuse(variable v, std::string_view value, char const* expected) noexcept
{
    if (refused_variables[static_cast<std::size_t>(v)].exchange(true, std::memory_order_relaxed))
        return;
    // Control characters must not reach a terminal.
    std::array<char, 40> shown{};
    std::string_view const fitting = value.substr(0, shown.size() - 1);
    std::ranges::transform(fitting, shown.begin(), [](char c) { return c < 0x20 || c > 0x7e ? '?' : c; });
    std::array<char, 256> line{};
    int const length = std::snprintf(line.data(), line.size(), "tslab: %s=\"%s\" is ignored: %s is expected\n",
                                     range_of(v).name, shown.data(), expected);
    write_line(line, length);
}

}

void report_misspelled_variables() noexcept
{
    static constinit atomic<bool> done{false};
    if (done.exchange(true, std::memory_order_relaxed) || ::getauxval(AT_SECURE) != 0 || ::environ == nullptr)
        return;
    for (char const* const* entry = ::environ; *entry != nullptr; ++entry) {
        std::string_view name{*entry};
        name = name.substr(0, name.find('='));
        if (!name.starts_with(variables_begin) || name.size() > longest_variable)
            continue;
        std::string_view const meant = meant_by(name.substr(variables_begin.size()));
        bool const shown = std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f; });
        if (meant.empty() || !shown)
            continue;
        std::array<char, 256> line{};
        write_line(line, std::snprintf(line.data(), line.size(),
                                       "tslab: %.*s is no variable that tslab reads; did you mean TSLAB_%.*s?\n",
                                       static_cast<int>(name.size()), name.data(), static_cast<int>(meant.size()),
                                       meant.data()));
    }
}

variable_range range_of(variable v) noexcept { return ranges[static_cast<std::size_t>(v)]; }

std::optional<std::uint64_t> parse_number(std::string_view text, variable_range const& range) noexcept
{
    std::uint64_t n = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size() || n < range.least || n > range.most)
        return std::nullopt;
    return n;
}

std::optional<std::uint64_t> number_in_environment(variable v) noexcept
{
    variable_range const range = range_of(v);
    char const* const value = ::secure_getenv(range.name);
    if (value == nullptr)
        return std::nullopt;
    std::optional<std::uint64_t> const n = parse_number(value, range);
    if (!n) {
        std::array<char, 80> expected{};
        std::snprintf(expected.data(), expected.size(), "a whole number from %llu to %llu",
                      static_cast<unsigned long long>(range.least), static_cast<unsigned long long>(range.most));
        refuse(v, value, expected.data());
    }
    return n;
}

std::optional<std::size_t> word_in_environment(variable v, std::array<std::string_view, 3> const& words) noexcept
{
    char const* const value = ::secure_getenv(range_of(v).name);
    if (value == nullptr)
        return std::nullopt;
    auto const at = std::ranges::find(words, std::string_view{value});
    if (at != words.end())
        return static_cast<std::size_t>(at - words.begin());
    std::array<char, 80> expected{};
    auto const [a, b, c] = words;
    std::snprintf(expected.data(), expected.size(), "%.*s, %.*s or %.*s", static_cast<int>(a.size()), a.data(),
                  static_cast<int>(b.size()), b.data(), static_cast<int>(c.size()), c.data());
    refuse(v, value, expected.data());
    return std::nullopt;
}

}
