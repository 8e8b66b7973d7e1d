// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include <memory_resource>
#include <vector>
import tslab;

static_assert(__cplusplus > 202002L, "this program is not compiled as C++23");

int main()
{
    tslab::allocator heap{{.name = "dialect"}};
    tslab::epoch_scope const scope{heap, "main"};
    std::pmr::vector<int> const v(100, scope.resource());
    return v.size() == 100 && tslab::to_json(heap.snapshot()).size() > 100 ? 0 : 1;
}
