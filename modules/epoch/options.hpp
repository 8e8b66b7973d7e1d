// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The options of a heap, and why an allocation is refused.
#pragma once

export namespace tslab {

// Attached to the global module, so that <tslab/tslab.hpp> declares the same type: a file that includes the header catches
// what a resource of a file that imports the module throws, and the reverse.
extern "C++" {

/// Thrown by a resource whose epoch is closed. A std::bad_alloc, so that generic callers handle it.
class epoch_closed : public std::bad_alloc {
public:
    epoch_closed() = default;
    /// For the library. `label`: of the phase; empty if it has none.
    explicit epoch_closed(std::string_view label) noexcept;

    /// A sentence, with the label if it is known. Nothing is allocated for it.
    [[nodiscard]] char const* what() const noexcept override { return text_; }

private:
    char text_[80] = "tslab: allocation in a closed epoch";
};
}

extern "C++" {

/// Thrown by a resource whose allocation a limit refused. A std::bad_alloc, so that generic callers handle it. Sizes are in
/// bytes, in whole pages: what an allocation asks of a phase is a slab, or the pages of a large allocation.
class over_limit : public std::bad_alloc {
public:
    /// What the limit is of: one phase, all phases of a label together, or the heap. As limit_kind.
    enum class kind : std::uint8_t { phase = 1, label, heap };

    /// For the library. `marked`: the handler of the soft limit has marked the phase to fail.
    over_limit(kind of, std::string_view label, std::string_view heap, std::uint64_t asked, std::uint64_t held,
               std::uint64_t limit, bool marked) noexcept;

    /// What refused: the limit of the phase, of its label or of the heap.
    [[nodiscard]] kind of() const noexcept { return of_; }
    /// The label of the phase; "unlabeled" if it has none.
    [[nodiscard]] char const* label() const noexcept { return label_; }
    /// What the allocation asked for.
    [[nodiscard]] std::uint64_t asked() const noexcept { return asked_; }
    /// What the phase, the label's phases or the heap's held when the allocation was refused.
    [[nodiscard]] std::uint64_t held() const noexcept { return held_; }
    /// The limit that refused.
    [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
    /// A sentence that has all of it. Nothing is allocated for it.
    [[nodiscard]] char const* what() const noexcept override { return text_; }

private:
    kind of_;
    std::uint64_t asked_;
    std::uint64_t held_;
    std::uint64_t limit_;
    char label_[32]{};
    char text_[224]{};
};
}

/// The options of a heap; each has a default.
struct allocator_options {
    std::string_view name = "tslab";   ///< names the heap in reports and statistics
    std::uint32_t epoch_count = 256;   ///< slots of the ring, 2 to 65,536
    reclaim_policy reclaim = reclaim_policy::cached;
    /// Pages of empty slabs that the heap caches per size class, at least one slab; 0: the heap caches none, and
    /// threads retain none. If not set: TSLAB_SLAB_CACHE in the environment, else 32.
    std::optional<std::uint32_t> slab_cache{};
    std::size_t reserve_bytes = 0;   ///< limit of the address space for pages, in bytes; 0: none
    /// The most bytes that all epochs of the heap may hold, in slabs and large allocations; rounded down to whole pages; 0
    /// admits no allocation. Not counted: empty slabs that threads and the heap retain. If not set: no limit.
    std::optional<std::size_t> limit{};
    /// The decay interval, under reclaim_policy::cached, 24 hours at most. Empty slabs that a thread did not use for so
    /// long go to the heap, and free pages not used for so long go to the kernel. 0: free pages go at the end of each
    /// close, as under `eager`, and empty slabs stay. If not set: TSLAB_DECAY_MS in the environment, else one second.
    std::optional<std::chrono::milliseconds> decay{};
    /// The most bytes of empty slabs that a thread retains. If not set: TSLAB_THREAD_CACHE_KIB in the environment, else
    /// 32 MiB.
    std::optional<std::size_t> thread_cache{};
    /// Purge in the background: one thread of the process, for all heaps that request it, gives unused memory to the
    /// kernel while no thread uses the heap. If the thread cannot be started, nothing else changes. If not set:
    /// TSLAB_BACKGROUND_PURGE in the environment, else no.
    std::optional<bool> background_purge{};
    /// With background_purge: purge all cached and free memory at once when the control group is short of memory.
    bool purge_on_pressure = true;
    /// Labels beyond the 14 with figures of their own that the costs of phases are told apart by, 1,024 at most; later ones
    /// are counted under `other`. Each takes one or two kilobytes for each thread that ends phases of it.
    std::uint32_t cost_labels = 0;
    bool strict = false;     ///< a leak aborts the program instead of being reported and counted
    bool sampling = false;   ///< time one allocation in 1,024: see set_sampling
    /// The heap profile: mean of the bytes between two sampled allocations; 0: none is sampled. Up to 1 TiB. If not set:
    /// TSLAB_PROFILE_INTERVAL in the environment, else 0. See docs/profile.md.
    std::optional<std::uint64_t> profile_interval{};
    /// How their stacks are found. If not set: TSLAB_PROFILE_FRAME_POINTERS in the environment, else by unwind tables.
    std::optional<stack_walk> profile_walk{};
    /// Ask the kernel for transparent huge pages. For heaps of many megabytes this saves page faults and TLB misses;
    /// but 2 MiB become resident at the first touch of each, and purging smaller runs splits them.
    bool huge_pages = false;
    /// Publish the heap's statistics to other processes of the same user while it lives: in a sealed memfd, or in the
    /// file that TSLAB_STATS_FILE in the environment names, which survives a crash. TSLAB_PUBLISH=0 in the environment
    /// disables it for every heap. If the segment cannot be made, nothing else changes.
    bool publish = true;
    /// Checks of a build with checks (TSLAB_CHECKED, or AddressSanitizer); see memory_checks. Other builds refuse
    /// `canaries` and `forward` with std::invalid_argument.
    check_mode checks = check_mode::automatic;
    /// With canaries: one allocation in this number gets pages of its own, with an inaccessible page behind it; 0: none. If
    /// not set: TSLAB_GUARD_SAMPLING in the environment, else 1,000.
    std::optional<std::uint32_t> guard_sampling{};
    /// Not to be set: whether the program that names these options is compiled with checks. If it is and the library
    /// is not, nothing is checked, and the first heap says so on stderr.
    bool program_checks = with_checks;
};

/// Why an allocation was refused.
enum class refusal : std::uint8_t {
    none,            ///< it was not refused
    closed,          ///< the epoch is not ACTIVE
    out_of_memory,   ///< of memory, of address space, or by `reserve_bytes`
    limited,         ///< by a limit: see allocator::set_limit
    retried          ///< set by a caller that tries again in another epoch if this one is closed: that is not counted
};

}
