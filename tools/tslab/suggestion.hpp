// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a command line that is wrong is answered with: the unknown word, the nearest known one, and lists that fit a terminal.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace tslab::tool {

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other, without regard to case.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The known word that is most like `word`: the one with the fewest edits, or one that `word` begins. Empty if none is near.
[[nodiscard]] std::string_view nearest(std::string_view word, std::vector<std::string_view> const& known);

/// "; did you mean X?", or nothing if no known word is near.
[[nodiscard]] std::string did_you_mean(std::string_view word, std::vector<std::string_view> const& known);

/// Words in lines of at most `width` columns, each behind two spaces.
[[nodiscard]] std::string wrapped(std::vector<std::string_view> const& words, std::size_t width = 80);

/// What is wrong with a command line that CLI11 refused: the first word that it could not use, with the nearest one; else
/// `reason`, what CLI11 says. On one line, but not harmless.
[[nodiscard]] std::string explain_refusal(CLI::App const& app, std::vector<std::string> const& words,
                                          std::string reason);

/// The text of a number of which only some are taken. "--port is 70000, but takes a number from 0 to 65535".
[[nodiscard]] std::string out_of_range(std::string_view option, std::string_view text, std::uint64_t least,
                                       std::uint64_t most);

}
