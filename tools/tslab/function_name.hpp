// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Names of C++ functions, as symbol tables and debug information have them, for a person.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tslab::tool {

/// Whose code a function is. A stack of an allocation ends in the allocator's, and often in the standard library's.
enum class code_owner : std::uint8_t {
    program,
    standard,   ///< the C++ library, Boost's containers, what a thread or the program begins in
    allocator   ///< tslab, the C library's functions for memory, and what a container calls to reach them
};

/// The demangled name of a symbol; `linkage` itself where it is no mangled name.
[[nodiscard]] std::string demangled(std::string const& linkage);

/// "ns::f" for "void ns::f<int>(std::vector<int> const&) const": without parameters, result and the compiler's suffix of a part
/// of a function. Template arguments stay.
[[nodiscard]] std::string without_signature(std::string_view name);

/// The same with template arguments of more than `longest` characters as "<...>".
[[nodiscard]] std::string with_short_templates(std::string_view name, std::size_t longest = 24);

/// `name`: as without_signature gives it.
[[nodiscard]] code_owner owner_of(std::string_view name) noexcept;

/// The same of a name that may lack its namespace, which is then told by the source: short debug information (-gline-tables-only)
/// has plain names of inlined functions, and of all of them where the symbols were stripped.
[[nodiscard]] code_owner owner_of_plain(std::string_view name, std::string_view file) noexcept;

}
