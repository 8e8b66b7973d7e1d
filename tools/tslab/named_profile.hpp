// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A heap profile with names, and sums over its stacks.
#pragma once
#include "tslab/symbolizer.hpp"
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

/// What is estimated of a stack.
struct profile_amounts {
    double live_bytes = 0;
    double live_objects = 0;
    double allocated_bytes = 0;
    double allocated_objects = 0;
    std::uint64_t live_samples = 0;
    std::uint64_t samples = 0;

    profile_amounts& operator+=(profile_amounts const& other) noexcept;
};
[[nodiscard]] profile_amounts amounts_of(profiled_stack const& s) noexcept;

/// One of the amounts, by the name that --of takes.
struct profile_amount {
    std::string_view name;
    double profile_amounts::* member;
    bool bytes;
};
inline constexpr std::array<profile_amount, 4> profile_amount_kinds{
    profile_amount{"live_bytes", &profile_amounts::live_bytes, true},
    profile_amount{"live_objects", &profile_amounts::live_objects, false},
    profile_amount{"allocated_bytes", &profile_amounts::allocated_bytes, true},
    profile_amount{"allocated_objects", &profile_amounts::allocated_objects, false}};

/// A stack whose frames are those of a symbolizer, innermost first.
struct named_stack {
    std::vector<code_place const*> places{};
    std::vector<code_frame const*> frames{};   ///< all frames of its places
    std::size_t self = 0;                      ///< which of them is responsible
};

/// The frame that is responsible: the innermost that is neither the allocator's nor the standard library's. If there is none, as in a
/// thread whose function was inlined into the library's and has no debug information, the outermost in std, which is named
/// after it; else the innermost that is not the allocator's, else the innermost.
[[nodiscard]] std::size_t self_of(std::vector<code_frame const*> const& frames) noexcept;

struct named_profile {
    heap_profile profile{};
    std::vector<named_stack> stacks{};   ///< of profile.stacks, one for one
};

/// What the process of some profiles executes: they are of one process, and the longest list is the latest.
[[nodiscard]] std::vector<profiled_mapping> mappings_of(std::vector<heap_profile> const& all);

/// Throws failure if no heap takes samples: an empty table would look as if nothing was allocated. `name`: what was looked at.
void demand_samples(std::vector<heap_profile> const& all, std::string const& name);

/// The frames belong to `by`, which has to live as long.
[[nodiscard]] named_profile with_names(heap_profile profile, symbolizer& by);

/// One row of a table.
struct profile_row {
    std::string name{};
    std::string place{};   ///< "src/store.cpp:42", or empty
    profile_amounts self{};
    profile_amounts with_callees{};
};

enum class profile_by : std::uint8_t { function, label, size_class };

/// Sums by function, label or size class, the largest `of` first; functions that allocate nothing themselves come behind, and those of
/// which there is nothing are left out.
[[nodiscard]] std::vector<profile_row> rows_of(named_profile const& p, profile_by by, double profile_amounts::* of);

/// "src/store.cpp:42", harmless; empty where the file is not known.
[[nodiscard]] std::string place_of(code_frame const& f);

/// What happened between two looks at one heap: `now` without what `before` has. Live amounts may be negative. Throws failure if
/// the two are not of one heap of one process.
[[nodiscard]] heap_profile difference(heap_profile now, heap_profile const& before);

}
