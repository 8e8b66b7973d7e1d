// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// How text looks: colours, where they are wanted, figures, and columns that line up.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace tslab::tool {

enum class paint : std::uint8_t { none, bold, dim, red, yellow, green, cyan };

/// `text` in a colour, or as it is.
[[nodiscard]] std::string painted(bool color, paint p, std::string_view text);

/// "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t n);

/// "850 ns", "12.3 us", "4.0 ms", "1.5 s": as the summary has it.
[[nodiscard]] std::string ns_text(std::uint64_t ns);

/// "16:21:31", the local time of a moment in nanoseconds since 1970.
[[nodiscard]] std::string clock_text(std::uint64_t timestamp_ns);

/// "1,234" from 1,000 on, "12.3" below.
[[nodiscard]] std::string rate_text(double per_second);

/// Rows of cells under a heading. Numbers stand to the right, texts to the left; cells have to be harmless already.
class table {
public:
    enum class side : std::uint8_t { left, right };
    struct column {
        std::string title;
        side align = side::right;
    };
    struct cell {
        std::string text;
        paint color = paint::none;
    };

    explicit table(std::vector<column> columns) : columns_{std::move(columns)} {}
    void add(std::vector<cell> row) { rows_.push_back(std::move(row)); }
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
    /// Each line begins with `indent`.
    void print(std::ostream& out, bool color, std::string_view indent = "") const;

private:
    std::vector<column> columns_;
    std::vector<std::vector<cell>> rows_;
};

}
