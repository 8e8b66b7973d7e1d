// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The record of a ring slot: the shelf with the epoch's slabs, and what is known of the epoch itself. Written under the
// shelf's lock; single fields may be read by anyone, and belong to the era that is read before and after them.
module;
#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string_view>
export module tslab.epoch:ring;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;

export namespace tslab {

/// Names one epoch for ever: the ring slot and the era, a counter of the heap that never goes back. Era 0 is none.
struct epoch_id {
    std::uint32_t index = 0;
    std::uint64_t era = 0;

    friend constexpr auto operator<=>(epoch_id, epoch_id) noexcept = default;
};

/// What a close did.
struct close_report {
    epoch_id epoch{};
    bool found = false;     ///< false: no such epoch, or it is gone already; nothing was done
    bool closed = false;    ///< it is CLOSING now; false for a trim, and for a current epoch without successor
    bool drained = false;   ///< nothing of the epoch remains
    std::uint64_t scanned_slabs = 0;
    std::uint64_t recycled_slabs = 0;
    std::uint64_t deferred_claims = 0;   ///< lanes of live resources of other threads, or of interrupted threads
    std::uint64_t nanoseconds = 0;
    std::uint64_t rss_before = 0;   ///< bytes, the whole process
    std::uint64_t rss_after = 0;
    std::uint64_t madvise_calls = 0;
    std::uint64_t madvise_bytes = 0;   ///< of the calls that succeeded
    std::uint64_t madvise_failures = 0;
    std::uint64_t madvise_asked_bytes = 0;   ///< of all calls
    std::uint64_t madvise_gone_bytes = 0;    ///< of those, no longer resident right afterwards (mincore)
};

/// Where a domain that is still inside came in.
struct open_entry {
    atomic<char const*> file{nullptr};
    atomic<char const*> function{nullptr};
    atomic<std::uint32_t> line{0};
    atomic<std::uint64_t> entered_ns{0};
    atomic<std::uint64_t> order{0};   ///< 0: free; else the n-th enter, the smallest is the oldest
};

struct alignas(64) epoch_record : shelf {
    static constexpr std::uint32_t tracked_entries = epoch_face::tracked_entries;
    static constexpr std::uint32_t untracked = tracked_entries;

    explicit epoch_record(epoch_face& f) noexcept : shelf{f} {}

    std::array<open_entry, tracked_entries> entries;

    /// Notes an enter at `now`, the first or a further one of a domain; returns the place of its source location.
    /// `told`: the number of that in the directory of places.
    std::uint32_t note_enter(bool first, std::source_location const& at, std::uint32_t told, std::uint64_t now) noexcept
        __attribute__((requires_capability(lock)))
    {
        face.enters.add();
        if (!first)
            return untracked;
        set_holds(holds.load(std::memory_order_relaxed) + 1);
        for (std::uint32_t i = 0; i < tracked_entries; ++i) {
            open_entry& e = entries[i];
            if (e.order.load(std::memory_order_relaxed) != 0)
                continue;
            std::atomic_thread_fence(std::memory_order_release);   // whoever sees the new place sees that it was free
            e.file.store(at.file_name(), std::memory_order_relaxed);
            e.function.store(at.function_name(), std::memory_order_relaxed);
            e.line.store(at.line(), std::memory_order_relaxed);
            e.entered_ns.store(now, std::memory_order_relaxed);
            e.order.store(face.enters.value(), std::memory_order_release);   // whoever sees it sees the place
            face.entries[i].place.store(told, std::memory_order_relaxed);
            face.entries[i].entered_ns.store(now, std::memory_order_relaxed);
            face.entries[i].order.store(face.enters.value(), std::memory_order_release);
            return i;
        }
        return untracked;   // more domains at once than places: the oldest ones are what a leak is told by
    }
    /// Notes an exit; `last`: of this domain, whose enter got `place`.
    void note_exit(bool last, std::uint32_t place) noexcept __attribute__((requires_capability(lock)))
    {
        face.exits.add();
        if (!last)
            return;
        set_holds(holds.load(std::memory_order_relaxed) - 1);
        if (place < tracked_entries) {
            entries[place].order.store(0, std::memory_order_relaxed);
            face.entries[place].order.store(0, std::memory_order_relaxed);
        }
    }
    /// The oldest entry that is still open, and when it was made, on now_ns_coarse's clock (0: there is none). Thread safe.
    /// Throws std::bad_alloc.
    struct oldest {
        source_entry place{};
        std::uint64_t entered_ns = 0;
    };
    [[nodiscard]] oldest oldest_entry() const;
};

}
