// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "shared.hpp"
#include <list>
#include <memory_resource>

namespace {
std::pmr::list<int> numbers{static_resource()};
}

void fill_container(int n)
{
    for (int i = 0; i < n; ++i)
        numbers.push_back(i);
}
