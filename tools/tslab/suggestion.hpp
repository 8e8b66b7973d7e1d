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
class ParseError;
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

/// `text` in capitals, as the manual page has arguments.
[[nodiscard]] std::string upper(std::string text);

/// "there is no command X; did you mean Y?", of the commands of `in`.
[[nodiscard]] std::string no_such_command(CLI::App const& in, std::string_view word);

/// One line for a command line that CLI11 refused, its program's name aside: the first word that it could not use, with the nearest
/// one; the value or argument that is missing, with what may stand there; else what CLI11 says. Harmless.
[[nodiscard]] std::string explain_refusal(CLI::App const& app, std::vector<std::string> const& words,
                                          CLI::ParseError const& error);

/// The text of a word of which only some are taken. "--by is "colour", but takes label, fill, class or use".
[[nodiscard]] std::string none_of(std::string_view option, std::string_view text,
                                  std::vector<std::string_view> const& known);

/// The text of a number of which only some are taken. "--port is 70000, but takes a number from 0 to 65535".
[[nodiscard]] std::string out_of_range(std::string_view option, std::string_view text, std::uint64_t least,
                                       std::uint64_t most);

}
