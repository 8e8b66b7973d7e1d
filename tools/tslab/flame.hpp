// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Heap profiles as stacks: folded, and as a flame graph in a page. Both begin with the outermost function and end with the one
// that allocates: frames of the allocator and the standard library inside of it are left out.
#pragma once
#include "tslab/named_profile.hpp"
#include <string>
#include <vector>

namespace tslab::tool {

/// "label;main;handle;load 4096" a line, by text: what flame graph scripts take. Semicolons in names become commas. Stacks whose
/// amount is not positive, as a difference has them, are left out, and `left_out` counts them.
[[nodiscard]] std::string collapsed(std::vector<named_profile> const& heaps, double profile_amounts::* of,
                                    std::uint64_t& left_out);

/// Whether the library that draws flame graphs was there when this program was built.
[[nodiscard]] bool has_flame_graphs();
/// What is missing, in a sentence, and what helps.
[[nodiscard]] std::string why_no_flame_graphs();

/// What the page shows, as JSON. `title`: what was looked at, harmless. `notes`: sentences below the graph.
[[nodiscard]] std::string flame_json(std::vector<named_profile> const& heaps, std::string const& title,
                                     std::vector<std::string> const& notes);

/// The page as one file with its data inside. Throws failure where there are no flame graphs.
[[nodiscard]] std::string flame_page(std::string const& json);

}
