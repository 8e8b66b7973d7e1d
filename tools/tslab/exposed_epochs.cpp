// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/exposed_epochs.hpp"
#include "tslab/exposition.hpp"
#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
#include <utility>
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

std::vector<epoch_stats> reused(snapshot const& s)
{
    std::set<std::pair<std::uint32_t, std::uint32_t>> taken;   // slots and labels of series that are there already
    for (std::size_t const i : choose(s.epochs).drained)
        taken.emplace(s.epochs[i].index, s.epochs[i].label_id);
    std::vector<epoch_stats> all;
    for (label_stats const& l : s.labels) {
        if (!l.last_close || l.label_id >= label_buckets)
            continue;
        close_stats const& c = *l.last_close;
        bool const held = std::ranges::any_of(s.epochs, [&](epoch_stats const& e) {
            return e.index == c.index && e.era == c.era && e.lifecycle != lifecycle::drained;
        });
        if (held || !taken.emplace(c.index, l.label_id).second)
            continue;
        all.push_back({.index = c.index,
                       .era = c.era,
                       .label_id = l.label_id,
                       .rss_before_close = c.rss_before,
                       .rss_after_close = c.rss_after,
                       .madvise_bytes = c.madvise_bytes,
                       .madvise_asked_bytes = c.madvise_asked_bytes,
                       .madvise_gone_bytes = c.madvise_gone_bytes,
                       .lifecycle = lifecycle::drained});
    }
    return all;
}

}
