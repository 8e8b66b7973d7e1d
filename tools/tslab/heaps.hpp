// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Two readings of one source: which heaps belong together, and what happened in between.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>
import tslab.inspect;

namespace tslab::tool {

/// What tells a heap apart from all others of its process: its name, and from the second heap of that name on
/// "name#instance". No later heap gets it. As the program named it, so not harmless.
[[nodiscard]] std::string unique_name(std::string const& name, std::uint64_t instance);
[[nodiscard]] std::string unique_name(tslab::snapshot const& s);

/// Whether two snapshots are of one heap, as far as pid, name and instance tell. Snapshots of a version that knew no instance
/// are of the same heap if the rest is equal.
[[nodiscard]] bool may_be_same_heap(tslab::snapshot const& a, tslab::snapshot const& b) noexcept;

/// The heap of `before` that `now[index]` was then: of the same process, name and instance; if the instance is not known, of the
/// same rank among those of that name. Null where there was none.
[[nodiscard]] tslab::snapshot const* same_heap(std::vector<tslab::snapshot> const& before,
                                               std::vector<tslab::snapshot> const& now, std::size_t index);

/// Growth of a counter; when it fell, it began anew meanwhile, and all of it is growth.
[[nodiscard]] constexpr std::uint64_t gained(std::uint64_t now, std::uint64_t before) noexcept
{
    return now >= before ? now - before : now;
}

/// Seconds between two snapshots; 0 when the second is not the later one.
[[nodiscard]] double seconds_between(tslab::snapshot const& before, tslab::snapshot const& now) noexcept;

/// `amount` a second, and 0 where no time has passed.
[[nodiscard]] constexpr double per_second(std::uint64_t amount, double seconds) noexcept
{
    return seconds > 0 ? static_cast<double>(amount) / seconds : 0;
}

/// Whether a field of a snapshot, by its name in JSON, is 0 while live objects are not known.
[[nodiscard]] bool needs_live(std::string_view field) noexcept;
/// `text`, which says how much is live, or "?" if that is not known.
[[nodiscard]] std::string live_text(tslab::snapshot const& s, std::string text);

/// Bytes of the empty slabs that caches and thread caches keep.
[[nodiscard]] std::uint64_t cached_bytes(tslab::snapshot const& s) noexcept;
/// Bytes of the pages that slabs in use and large allocations have.
[[nodiscard]] std::uint64_t held_bytes(tslab::snapshot const& s) noexcept;

/// How a heap is called in headings: its unique name, harmless, or "unnamed heap".
[[nodiscard]] std::string heap_text(tslab::snapshot const& s);
/// "64", or "large".
[[nodiscard]] std::string size_text(tslab::class_stats const& c);
/// A label of an epoch, harmless, or "unlabeled".
[[nodiscard]] std::string label_or_none(std::string const& label);

/// Says how much of a process's statistics is in `chunks` that found no room in its segment.
[[nodiscard]] std::string unpublished_text(std::uint64_t chunks);
/// The same of heaps of one process as a line below their figures; empty if all found room.
[[nodiscard]] std::string unpublished_note(std::vector<tslab::snapshot> const& heaps);

}
