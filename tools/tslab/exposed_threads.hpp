// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Which threads of a heap have series of their own: their number is bounded, whatever the program does.
#pragma once
#include <cstddef>
#include <string_view>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

/// How many threads of one heap have series of their own.
inline constexpr std::size_t exposed_threads = 32;

/// The threads that are exposed, by index into the snapshot's list, in its order.
struct chosen_threads {
    std::vector<std::size_t> shown;
    std::size_t omitted = 0;   // living ones that are not
};

/// The living threads that lost the most claims and waited for the most locks; of equals, those that allocated most.
/// Takes each thread once.
[[nodiscard]] chosen_threads choose(std::vector<tslab::thread_stats> const& threads);

/// Whether a figure of a thread has a series: what it allocated, and its contention.
[[nodiscard]] bool is_contention(std::string_view field) noexcept;

}
