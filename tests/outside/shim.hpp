// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the shim's operators and resources call: shim.cpp.
#pragma once
#include <cstddef>
#include <memory_resource>

namespace shim {

/// From the heap beneath, with the calls of the new handler that operator new makes. Throws std::bad_alloc.
[[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment);
void deallocate(void* p) noexcept;
/// Checks the size: a wrong one is reported.
void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;
[[nodiscard]] std::pmr::memory_resource& resource() noexcept;

}
