// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The files of the page, compiled into the program: see cmake/embed.cmake.
#pragma once
#include <optional>
#include <string_view>

namespace tslab::tool {

/// What the file named `path` contains: "index.html". Nothing when there is no such file. Never looks at a disk.
[[nodiscard]] std::optional<std::string_view> asset(std::string_view path);

}
