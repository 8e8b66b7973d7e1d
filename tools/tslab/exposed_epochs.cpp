// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/exposed_epochs.hpp"
#include "tslab/exposition.hpp"
#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
import tslab.inspect;

namespace tslab::tool {

chosen_epochs choose(std::vector<epoch_stats> const& epochs)
{
    chosen_epochs chosen;
    std::set<std::uint32_t> seen;   // a damaged snapshot may have a slot twice
    for (std::size_t i = 0; i < epochs.size(); ++i) {
        epoch_stats const& e = epochs[i];
        if (!seen.insert(e.index).second)
            continue;
        if (e.lifecycle == lifecycle::active || e.lifecycle == lifecycle::closing)
            chosen.held.push_back(i);
        else if (e.lifecycle == lifecycle::drained && has_close_facts(e))
            chosen.drained.push_back(i);
    }
    if (chosen.held.size() > exposed_epochs) {
        auto const by_size = chosen.held.begin() + static_cast<std::ptrdiff_t>(exposed_epochs / 2);
        auto const end = chosen.held.begin() + static_cast<std::ptrdiff_t>(exposed_epochs);
        std::ranges::nth_element(chosen.held, by_size, std::ranges::greater{},
                                 [&](std::size_t i) { return epochs[i].slab_pages + epochs[i].large_pages; });
        std::nth_element(by_size, end, chosen.held.end(),
                         [&](std::size_t a, std::size_t b) { return epochs[a].age_seconds > epochs[b].age_seconds; });
        chosen.omitted = chosen.held.size() - exposed_epochs;
        chosen.held.resize(exposed_epochs);
        std::ranges::sort(chosen.held);
    }
    std::ranges::sort(chosen.drained, std::ranges::greater{}, [&](std::size_t i) { return epochs[i].era; });
    chosen.drained.resize(std::min(chosen.drained.size(), exposed_drained_epochs));
    return chosen;
}

}
