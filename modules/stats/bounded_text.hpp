// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Names that are stored in a bounded number of bytes are cut between characters of UTF-8, never within one.
#pragma once

export namespace tslab {

[[nodiscard]] constexpr bool continues_character(char c) noexcept
{
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}

/// The beginning of the character of UTF-8 that `at` is within; `at` itself if it is not within one. Requires:
/// at < text.size().
[[nodiscard]] constexpr std::size_t character_around(std::string_view text, std::size_t at) noexcept
{
    constexpr std::size_t most_before = 3;   // a character has four bytes at most
    std::size_t begin = at;
    while (begin != 0 && at - begin < most_before && continues_character(text[begin]))
        --begin;
    return static_cast<unsigned char>(text[begin]) >= 0xc0 ? begin : at;
}

/// The longest prefix of `text` of `most` bytes at most that ends with a whole character. A text that is not UTF-8 there
/// is cut at `most` bytes.
[[nodiscard]] constexpr std::string_view fitting_prefix(std::string_view text, std::size_t most) noexcept
{
    return text.size() <= most ? text : text.substr(0, character_around(text, most));
}

/// A text that may have been cut by others, such as a thread's name by the kernel, without the beginning of a character at
/// its end.
[[nodiscard]] constexpr std::string_view without_cut_character(std::string_view text) noexcept
{
    if (text.empty())
        return text;
    std::size_t const begin = character_around(text, text.size() - 1);
    auto const lead = static_cast<unsigned char>(text[begin]);
    std::size_t const bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    return begin + bytes > text.size() ? text.substr(0, begin) : text;
}

/// The longest suffix of `text` of `most` bytes at most that begins with a whole character; likewise.
[[nodiscard]] constexpr std::string_view fitting_suffix(std::string_view text, std::size_t most) noexcept
{
    if (text.size() <= most || most == 0)
        return text.substr(text.size() <= most ? 0 : text.size());
    std::size_t begin = text.size() - most;
    if (character_around(text, begin) != begin)
        while (begin != text.size() && continues_character(text[begin]))
            ++begin;
    return text.substr(begin);
}

}
