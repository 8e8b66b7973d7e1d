// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "pattern.hpp"

#include <algorithm>
#include <initializer_list>

namespace bench {

std::span<pattern const> all_patterns()
{
    static std::vector<pattern> const all = [] {
        std::vector<pattern> list;
        for (auto const part : {batch_patterns, set_patterns, request_patterns, container_patterns, document_patterns,
                                phase_patterns, steady_patterns, crossing_patterns, larson_patterns})
            for (pattern const& p : part())
                list.push_back(p);
        return list;
    }();
    return all;
}

pattern const* find_pattern(std::string_view name)
{
    auto const all = all_patterns();
    auto const found = std::ranges::find(all, name, &pattern::name);
    return found == all.end() ? nullptr : &*found;
}

}
