// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory_resource>

/// The resource that the container in container.cpp uses; a static object of another translation unit.
std::pmr::memory_resource* static_resource();
/// Puts so many numbers into the container.
void fill_container(int numbers);
