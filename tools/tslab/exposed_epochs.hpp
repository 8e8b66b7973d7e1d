// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Which epochs of a heap have series of their own: their number is bounded, whatever the program does.
#pragma once
#include <cstddef>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

/// The epochs that are exposed, by index into the snapshot's list.
struct chosen_epochs {
    std::vector<std::size_t> held;      // ACTIVE and CLOSING
    std::vector<std::size_t> drained;   // of which the facts of their close are exposed
    std::size_t omitted = 0;            // ACTIVE and CLOSING ones that are not
};

/// Whether something is known of the epoch's close: it was explicit, or it purged pages.
[[nodiscard]] inline bool has_close_facts(tslab::epoch_stats const& e) noexcept
{
    return e.rss_before_close != 0 || e.madvise_asked_bytes != 0 || e.madvise_bytes != 0;
}

/// Takes each ring slot once, see exposed_epochs and exposed_drained_epochs.
[[nodiscard]] chosen_epochs choose(std::vector<tslab::epoch_stats> const& epochs);

/// What is known of closes whose ring slot has a later epoch since, or of which `choose` did not take the epoch, from the last
/// close of each label: drained epochs that have nothing but the facts of their close. None has the slot and the label of
/// one that `choose` took.
[[nodiscard]] std::vector<tslab::epoch_stats> reused(tslab::snapshot const& s);

}
