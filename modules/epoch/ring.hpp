// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The record of a ring slot: the epoch's slabs, and the domains that are inside the epoch. Written under the epoch's
// lock. Any thread may read single fields; they belong to one era if it reads the same era before and after them.
#pragma once

export namespace tslab {

/// Identifies one epoch: its ring slot, and its era, a number that is never given twice in a slot. Era 0 names no
/// epoch.
struct epoch_id {
    std::uint32_t index = 0;
    std::uint64_t era = 0;

    friend constexpr auto operator<=>(epoch_id, epoch_id) noexcept = default;
};

/// Report of a close or a trim. Sizes are in bytes; `rss_*` are of the whole process.
struct close_report {
    epoch_id epoch{};
    bool found = false;     ///< false: no such epoch, or it is gone already; nothing was done
    bool closed = false;    ///< the epoch is CLOSING now; false for a trim, and for a current epoch without successor
    bool drained = false;   ///< nothing of the epoch remains
    std::uint64_t scanned_slabs = 0;
    std::uint64_t recycled_slabs = 0;
    std::uint64_t deferred_claims = 0;   ///< caches of other threads' live resources, or of threads in an operation
    std::uint64_t nanoseconds = 0;
    std::uint64_t rss_before = 0;   ///< resident bytes of the process
    std::uint64_t rss_after = 0;
    std::uint64_t madvise_calls = 0;
    std::uint64_t madvise_bytes = 0;   ///< of the calls that succeeded
    std::uint64_t madvise_failures = 0;
    std::uint64_t madvise_asked_bytes = 0;   ///< of all calls
    std::uint64_t madvise_gone_bytes = 0;    ///< of those, no longer resident afterwards (mincore)
};

/// The source location and time at which a domain entered that is still inside.
struct open_entry {
    atomic<char const*> file{nullptr};
    atomic<char const*> function{nullptr};
    atomic<std::uint32_t> line{0};
    atomic<std::uint64_t> entered_ns{0};
    atomic<std::uint64_t> order{0};   ///< 0: unused; else the number of the enter, the smallest is the oldest
};

/// The record of a ring slot.
struct alignas(64) epoch_record : epoch_slabs {
    static constexpr std::uint32_t tracked_entries = epoch_stats_page::tracked_entries;
    static constexpr std::uint32_t untracked = tracked_entries;

    explicit epoch_record(epoch_stats_page& f) noexcept : epoch_slabs{f} {}

    std::array<open_entry, tracked_entries> entries;

    /// Counts an enter at `now` (now_ns_coarse). If it is the domain's first, raises the epoch's refcount and stores
    /// the source location `at`, whose number in the directory of places is `place_id`; returns the index of that
    /// entry, `untracked` if none is free or needed.
    std::uint32_t note_enter(bool first, std::source_location const& at, std::uint32_t place_id,
                             std::uint64_t now) noexcept __attribute__((requires_capability(lock)))
    {
        stats.enters.add();
        if (!first)
            return untracked;
        set_holds(holds.load(std::memory_order_relaxed) + 1);
        for (std::uint32_t i = 0; i < tracked_entries; ++i) {
            open_entry& e = entries[i];
            if (e.order.load(std::memory_order_relaxed) != 0)
                continue;
            std::atomic_thread_fence(std::memory_order_release);   // readers of new fields see order 0
            e.file.store(at.file_name(), std::memory_order_relaxed);
            e.function.store(at.function_name(), std::memory_order_relaxed);
            e.line.store(at.line(), std::memory_order_relaxed);
            e.entered_ns.store(now, std::memory_order_relaxed);
            e.order.store(stats.enters.value(),
                          std::memory_order_release);   // publishes the location
            stats.entries[i].place.store(place_id, std::memory_order_relaxed);
            stats.entries[i].entered_ns.store(now, std::memory_order_relaxed);
            stats.entries[i].order.store(stats.enters.value(), std::memory_order_release);
            return i;
        }
        return untracked;   // more domains than entries: leak reports name the oldest
    }
    /// Counts an exit. `last`: the domain's last one; its first enter returned `place`. It lowers the epoch's refcount.
    void note_exit(bool last, std::uint32_t place) noexcept __attribute__((requires_capability(lock)))
    {
        stats.exits.add();
        if (!last)
            return;
        set_holds(holds.load(std::memory_order_relaxed) - 1);
        if (place < tracked_entries) {
            entries[place].order.store(0, std::memory_order_relaxed);
            stats.entries[place].order.store(0, std::memory_order_relaxed);
        }
    }
    /// The source location of the oldest enter that is still open, and its time on now_ns_coarse's clock; time 0 if
    /// there is none. Thread safe. Throws std::bad_alloc.
    struct oldest {
        source_entry place{};
        std::uint64_t entered_ns = 0;
    };
    [[nodiscard]] oldest oldest_entry() const;
};

}
