// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap profile as a table for a terminal.
#pragma once
#include "tslab/named_profile.hpp"
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace tslab::tool {

struct table_options {
    profile_by by = profile_by::function;
    profile_amount of = profile_amount_kinds.front();
    std::size_t most = 20;     ///< rows
    bool difference = false;   ///< of two looks: amounts have signs
};

/// A function's name, harmless, with long template arguments left out, and cut where it is longer than a row should be.
[[nodiscard]] std::string function_text(std::string const& name);
/// "1 sample", "1,234 samples".
[[nodiscard]] std::string samples_text(std::uint64_t n);

/// `name`: of what was looked at, harmless.
void print_profile(std::ostream& out, bool color, named_profile const& p, table_options const& o,
                   std::string const& name);

/// The tables of all heaps, with the notes of `by` below.
[[nodiscard]] std::string profile_text(std::vector<named_profile> const& heaps, symbolizer const& by, profile_amount of,
                                       std::string const& name);

}
