// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A library that looks up the default resource when it is loaded, as those do that keep it in a static object.
#include <memory_resource>

namespace {
std::pmr::memory_resource* const captured = std::pmr::get_default_resource();
}

extern "C" void* resource_of_the_library() { return captured; }
