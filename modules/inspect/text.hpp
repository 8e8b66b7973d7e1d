// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Figures and names as text for a person: bytes, durations, and texts from data without control characters.
#pragma once

export namespace tslab {

/// `text` on one line, safe for a terminal: '?' replaces every control character, every Unicode character that changes
/// the direction of writing or breaks a line, and every byte that is not valid UTF-8.
[[nodiscard]] std::string printable(std::string_view text);

/// "0 bytes", "1 byte", "1023 bytes", "48.0 MiB".
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

/// "0.3 s", "42 s", "4 min 12 s", "2 h 5 min", "3 d 4 h"; rounded down. "0.0 s" for a number that is no duration.
[[nodiscard]] std::string duration_text(double seconds);

/// "12.5 %" for 0.125.
[[nodiscard]] std::string percent_text(double fraction);

/// `value` with `decimals` digits after the point, independent of the locale.
[[nodiscard]] std::string decimal_text(double value, int decimals);

}

namespace tslab {

inline std::string_view piece(std::string_view s) noexcept { return s; }
inline std::string piece(std::uint64_t n) { return std::to_string(n); }

/// Texts and whole numbers, one after the other.
template <class... Parts> std::string joined(Parts const&... parts)
{
    std::string all;
    (all.append(piece(parts)), ...);
    return all;
}

/// "1 exit", "2 exits".
inline std::string counted(std::uint64_t n, std::string_view one, std::string_view many)
{
    return joined(n, " ", n == 1 ? one : many);
}

/// A label in a sentence: `label "orders"`, or `unlabeled epochs`.
inline std::string label_text(std::string_view label)
{
    return label.empty() ? std::string{"unlabeled"} : joined("label \"", printable(label), "\"");
}

}
