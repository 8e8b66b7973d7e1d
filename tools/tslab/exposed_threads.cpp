// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/exposed_threads.hpp"
#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
#include <tuple>
import tslab.inspect;

namespace tslab::tool {

chosen_threads choose(std::vector<thread_stats> const& threads)
{
    chosen_threads chosen;
    std::set<std::uint64_t> seen;   // a damaged snapshot may have a thread twice
    for (std::size_t i = 0; i < threads.size(); ++i)
        if (threads[i].alive && seen.insert(threads[i].thread_id).second)
            chosen.shown.push_back(i);
    if (chosen.shown.size() <= exposed_threads)
        return chosen;
    chosen.omitted = chosen.shown.size() - exposed_threads;
    std::ranges::sort(chosen.shown, std::ranges::greater{}, [&](std::size_t i) {
        thread_stats const& t = threads[i];
        return std::tuple{t.bitmap_alloc_cas_retries + t.bitmap_free_cas_retries + t.lock_contended, t.allocations,
                          t.thread_id};
    });
    chosen.shown.resize(exposed_threads);
    std::ranges::sort(chosen.shown);
    return chosen;
}

bool is_contention(std::string_view field) noexcept
{
    return field == "allocations" || field == "slow_path_hits" || field.starts_with("bitmap_") ||
           field.starts_with("lock_");
}

}
