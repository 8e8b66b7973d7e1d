// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A user's program: containers on a resource of tslab. Exits 1 if what it stored is not there.
#include <memory_resource>
#include <numeric>
#include <vector>

import tslab;

int main()
{
    tslab::allocator heap{{.name = "consumer"}};
    tslab::epoch_resource session{heap, {.label = "session"}};
    std::pmr::vector<int> numbers(1000, &session);
    std::iota(numbers.begin(), numbers.end(), 0);
    return std::reduce(numbers.begin(), numbers.end()) == 499'500 ? 0 : 1;
}
