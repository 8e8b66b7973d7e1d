// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Static objects of a function: what asks for them while it is made ends before them, wherever the linker puts it.
#include "shared.hpp"
#include <memory_resource>
import tslab;

std::pmr::memory_resource* static_resource()
{
    static tslab::allocator heap{{.name = "static"}};
    static tslab::epoch_resource resource{heap, {.label = "static"}};
    return &resource;
}
