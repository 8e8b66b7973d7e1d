// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What the page draws, as JSON: of a snapshot only the figures it needs, a few KiB instead of a hundred. Texts are
// printable; figures have the names of schema 1 where it has them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

/// When an epoch counts as forgotten.
struct leak_rule {
    double seconds = doctor_thresholds{}.leak_seconds;
    std::vector<std::string> long_lived{};   ///< labels of phases that are meant to last
};

/// One sample of every heap: {"seq":…,"t_ms":…,"heaps":[…]}. Findings are of the time since `before`, which may be empty.
[[nodiscard]] std::string frame_json(std::uint64_t seq, std::vector<snapshot> const& now,
                                     std::vector<snapshot> const& before, leak_rule const& rule);

/// [{"name":…,"runs":[[first_page,pages,use,class,epoch,era,label,slots,live],…]},…]. Of a map with very many runs only
/// the first are in it, and "cut" is how many are not.
[[nodiscard]] std::string maps_json(std::vector<heap_map> const& maps);

}
