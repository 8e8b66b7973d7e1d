// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/phase_costs.hpp"
#include <algorithm>
#include <functional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>
import tslab.inspect;

namespace tslab::tool {

phase_cost_stats const* cost_of_label(snapshot const& s, phase_cost_stats const& like) noexcept
{
    auto const at = std::ranges::find_if(
        s.phase_costs, [&](phase_cost_stats const& c) { return c.label_id == like.label_id && c.label == like.label; });
    return at != s.phase_costs.end() ? &*at : nullptr;
}

phase_cost_stats since(phase_cost_stats now, phase_cost_stats const& before) noexcept
{
    if (now.phases < before.phases || now.bytes_sum < before.bytes_sum)
        return now;
    auto const reduce = [](std::uint64_t& n, std::uint64_t by) { n -= std::min(n, by); };
    for (auto const& [mine, then] :
         {std::pair{&now.phases, before.phases}, std::pair{&now.empty_phases, before.empty_phases},
          std::pair{&now.objects_sum, before.objects_sum}, std::pair{&now.bytes_sum, before.bytes_sum},
          std::pair{&now.peak_bytes_sum, before.peak_bytes_sum}, std::pair{&now.wall_ns_sum, before.wall_ns_sum}})
        reduce(*mine, then);
    for (auto const& [mine, then] :
         {std::pair{&now.objects, &before.objects}, std::pair{&now.bytes, &before.bytes},
          std::pair{&now.peak_bytes, &before.peak_bytes}, std::pair{&now.wall_ns, &before.wall_ns}})
        for (std::size_t b = 0; b < quarter_histogram::bucket_count; ++b)
            reduce(mine->buckets[b], then->buckets[b]);
    return now;
}

chosen_costs choose(std::vector<phase_cost_stats> const& costs)
{
    chosen_costs chosen;
    std::set<std::pair<std::uint32_t, std::string_view>> seen;   // a damaged snapshot may have a label twice
    for (std::size_t i = 0; i < costs.size(); ++i)
        if (seen.emplace(costs[i].label_id, costs[i].label).second)
            chosen.shown.push_back(i);
    if (chosen.shown.size() <= exposed_cost_labels)
        return chosen;
    chosen.omitted = chosen.shown.size() - exposed_cost_labels;
    std::ranges::sort(chosen.shown, std::ranges::greater{},
                      [&](std::size_t i) { return std::tuple{costs[i].bytes_sum, costs[i].phases, costs[i].label}; });
    chosen.shown.resize(exposed_cost_labels);
    std::ranges::sort(chosen.shown);
    return chosen;
}

}
