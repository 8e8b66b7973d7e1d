// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A user's shared object with a heap of its own.
#include <memory_resource>
#include <string>

import tslab;

std::size_t stored_length()
{
    tslab::allocator heap{{.name = "plugin"}};
    tslab::epoch_scope scope{heap, "call"};
    std::pmr::string const text(100, 'x', scope.resource());
    return text.size();
}
