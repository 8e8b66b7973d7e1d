// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A shared library with a leak, for tests that look for it from outside.
#pragma once
#include <cstddef>
#include <memory_resource>

namespace shop::sessions {

/// Remembers a session of `bytes`, and never forgets it.
void open_session(std::pmr::memory_resource& from, std::size_t bytes);
/// Where open_session calls what allocates.
extern int const line_of_leak;
/// Allocates and gives back.
void serve_page(std::pmr::memory_resource& from, std::size_t bytes);
/// Waits in a function of the library until standard input ends: a process that hangs.
void hang();

}
