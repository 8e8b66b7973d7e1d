// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Labels, heap names, file names and commands are data: they go through here before they reach a terminal.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace tslab::tool {

/// `text` on one line and harmless: \xNN stands for each byte of a control character, of what turns the direction of writing
/// or breaks a line in Unicode, and of what is no UTF-8. Everything else stays.
[[nodiscard]] std::string escaped(std::string_view text);

/// The same in double quotes, so that an empty name can be seen.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// How many columns harmless text takes: its characters. Wide and combining ones count as one.
[[nodiscard]] std::size_t columns_of(std::string_view text) noexcept;

/// For the text of an XML element or attribute.
[[nodiscard]] std::string xml_escaped(std::string_view text);

}
