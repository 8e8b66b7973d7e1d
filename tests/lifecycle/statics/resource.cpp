// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Static objects at namespace scope: when they begin and end relative to those of other files is for the linker to say.
#include "shared.hpp"
#include <memory_resource>
import tslab;

namespace {
tslab::allocator heap{{.name = "static"}};
tslab::epoch_resource resource{heap, {.label = "static"}};
}

std::pmr::memory_resource* static_resource() { return &resource; }
