// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A snapshot: plain values copied out of a running heap. Taking one stops no thread. Each figure of a busy heap is true
// of some moment during the call, and all are exact while no thread uses the heap. docs/stats-reference.md explains
// every field. The members that are figures are the lines of figures.def, which has the name of each in JSON, its unit
// and one line of help.
#pragma once

namespace tslab {

/// The types of figures, as figures.def names them.
struct figure_type {
    using u32 = std::uint32_t;
    using u64 = std::uint64_t;
    using i64 = std::int64_t;
    using number = double;
    using flag = bool;
    using text = std::string;
    using optional_u64 = std::optional<std::uint64_t>;
};

}

#define TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_FIGURE(type, member, name, kind, unit, help) figure_type::type member{};
#define TSLAB_COUNTED(member, event, name, unit, help) std::uint64_t member{};
#define TSLAB_SUMMED(member, name, unit, help, sum) std::uint64_t member{};
#define TSLAB_CLASS_SUM(member, of_class, name, kind, unit, help) std::uint64_t member{};

export namespace tslab {

/// ACTIVE: allocations are served. CLOSING: they are refused.
enum class epoch_state : std::uint8_t {
    active,   ///< allocations are served
    closing   ///< allocations are refused
};

/// The state of a ring slot.
enum class lifecycle : std::uint8_t {
    idle,      ///< never opened
    active,    ///< allocations are served
    closing,   ///< allocations are refused; objects, claims or holders remain
    drained    ///< closed and empty; the slot is free for the next epoch
};

/// Number of label buckets: `unlabeled`, 14 names, `other`.
inline constexpr std::uint32_t label_buckets = 16;

/// A source location of the program. Empty if unknown.
struct source_entry {
    std::string file{};       ///< as the compiler names it
    std::uint32_t line = 0;   ///< the first is 1
    std::string function{};   ///< with its parameters

    friend bool operator==(source_entry const&, source_entry const&) = default;
};

/// Sampled acquisitions of locks, timed while lock timing was on.
struct lock_timing_stats {
#define TSLAB_OF_LOCK_TIMES
#include "figures.def"

    friend bool operator==(lock_timing_stats const&, lock_timing_stats const&) = default;
};

/// The same acquisitions by duration.
struct lock_histogram_stats {
    log2_histogram wait{};
    log2_histogram hold{};

    friend bool operator==(lock_histogram_stats const&, lock_histogram_stats const&) = default;
};

/// Contention between threads.
struct contention_stats {
#define TSLAB_OF_CONTENTION
#include "figures.def"

    friend bool operator==(contention_stats const&, contention_stats const&) = default;
};

/// All size classes and large allocations together. Counters only grow; gauges are marked.
struct global_stats {
#define TSLAB_OF_HEAP
#include "figures.def"
    std::optional<lock_timing_stats> lock_timing{};          ///< for a class or an epoch; absent while timing is off
    std::optional<lock_histogram_stats> lock_histograms{};   ///< likewise

    friend bool operator==(global_stats const&, global_stats const&) = default;
};

/// One size class, or all large allocations. Its figures are lines of figures.def.
struct class_stats {
#define TSLAB_OF_CLASS
#include "figures.def"
    contention_stats contention{};   ///< the sum of the following
    std::array<contention_stats, label_buckets> by_label{};
    std::optional<lock_timing_stats> lock_timing{};   ///< absent while timing is off

    /// Slabs that belong to an epoch.
    [[nodiscard]] std::uint64_t slabs_in_use() const noexcept { return partial_slabs + full_slabs; }

    friend bool operator==(class_stats const&, class_stats const&) = default;
};

/// The part of one class in one epoch.
struct class_share {
#define TSLAB_OF_SHARE
#include "figures.def"

    friend bool operator==(class_share const&, class_share const&) = default;
};

/// One ring slot: the epoch in it, or its last one. Its figures are lines of figures.def.
struct epoch_stats {
#define TSLAB_OF_EPOCH
#include "figures.def"
    epoch_state state = epoch_state::active;               ///< whether allocations are served
    tslab::lifecycle lifecycle = tslab::lifecycle::idle;   ///< the state of the ring slot
    source_entry opened_at{};                              ///< the place of the oldest enter without an exit
    std::vector<class_share> classes{};                    ///< the classes with slabs or large pages in it

    friend bool operator==(epoch_stats const&, epoch_stats const&) = default;
};

/// A timed close: what it purged, and the effect on residency.
struct close_stats {
#define TSLAB_OF_CLOSE
#include "figures.def"

    friend bool operator==(close_stats const&, close_stats const&) = default;
};

/// The epochs of one label, and the counters under its name.
struct label_stats {
#define TSLAB_OF_LABEL
#include "figures.def"
    contention_stats contention{};             ///< of all classes, and of the epochs' own bookkeeping
    std::optional<close_stats> last_close{};   ///< the last one that purged or that the program asked for

    friend bool operator==(label_stats const&, label_stats const&) = default;
};

/// What phases of one label cost that have ended. Its figures are lines of figures.def.
struct phase_cost_stats {
#define TSLAB_OF_PHASE_COST
#include "figures.def"
    quarter_histogram objects{};      ///< phases by the objects that they allocated
    quarter_histogram bytes{};        ///< phases by the bytes that they allocated
    quarter_histogram peak_bytes{};   ///< phases by the upper bound of the bytes that were live at once
    quarter_histogram wall_ns{};      ///< phases by the time
    source_entry largest_at{};        ///< the place that entered the phase that allocated most bytes

    friend bool operator==(phase_cost_stats const&, phase_cost_stats const&) = default;
};

/// The results of sampling: one allocation in 1,024 while it was on, and every repair.
struct sampling_stats {
    timing_stats alloc{};    ///< of allocations
    timing_stats free{};     ///< of frees that leave the fast path
    timing_stats repair{};   ///< the timed ones: all while sampling is on
#define TSLAB_OF_SAMPLING
#include "figures.def"

    friend bool operator==(sampling_stats const&, sampling_stats const&) = default;
};

/// One thread of the heap. Its figures are lines of figures.def.
struct thread_stats {
#define TSLAB_OF_THREAD
#include "figures.def"
    sampling_stats sampling{};   ///< of its allocations and frees

    friend bool operator==(thread_stats const&, thread_stats const&) = default;
};

/// The process's resident memory by use. The terms add up to rss_bytes; the last one is the remainder, and may be below
/// 0 if the process shrinks during the measurement. Only resident pages count.
struct waterfall_stats {
#undef TSLAB_KEEP_FIGURE_MACROS
#define TSLAB_OF_WATERFALL
#include "figures.def"

    friend bool operator==(waterfall_stats const&, waterfall_stats const&) = default;
};

/// A named count.
struct named_count {
    std::string name{};        ///< what is counted
    std::uint64_t count = 0;   ///< how often

    friend bool operator==(named_count const&, named_count const&) = default;
};

/// Parts of a snapshot that need system calls.
struct snapshot_options {
    bool residency = true;   ///< ask the kernel which pages are resident, for resident_bytes and the waterfall, and for
                             ///< the names of threads
};

/// One heap at one moment.
struct snapshot {
    static constexpr std::uint32_t schema_version = 1;   ///< of its JSON form
    static constexpr std::uint32_t struct_version = 2;

    std::string name{};   ///< of the heap, as allocator_options gave it
    std::uint64_t instance =
        0;   ///< tells heaps of one name in one process apart: 1 for the first of the name, else the
             ///< heap's number, which no other heap of the process ever has; 0: not known
    std::uint64_t timestamp_ns = 0;   ///< CLOCK_REALTIME when it was taken; of a process that is gone: at its last
                                      ///< sign of life, see monotonic_ns
    std::uint64_t monotonic_ns = 0;   ///< CLOCK_MONOTONIC at that moment, as the process sees it; ages are up to then
    std::string boot_id{};            ///< names the boot that monotonic_ns counts from; empty if not known
    std::int64_t pid = 0;   ///< of the process, as the reader sees it: in a container it may call itself otherwise
    std::uint32_t page_size = 0;
    std::uint32_t epoch_count = 0;   ///< slots of the ring
    std::uint32_t current_epoch = 0;
    std::uint64_t current_era = 0;
    std::string reclaim{};        ///< the policy: eager, cached, never
    std::uint64_t decay_ms = 0;   ///< unused memory decays after this time; 0: free pages are purged at each close
    std::uint64_t thread_cache_bytes = 0;   ///< the most that a thread retains
    std::string background_purge{"off"};    ///< the thread that purges in the background: off, on, failed, pending
    std::string pressure_watch{"off"};      ///< of the control group: off, watching, unavailable
    bool sampling = false;                  ///< whether allocations are timed at present
    bool live_known = true;   ///< false: read from outside, without the right to read the process's memory. Then live
                              ///< objects are not known: live objects, empty slabs and frees are reported as 0
    global_stats global{};    ///< the heap as a whole
    std::vector<class_stats> classes{};   ///< by class index; the last one is everything above the classes
    std::vector<epoch_stats> epochs{};    ///< every ring slot that was ever opened
    std::vector<thread_stats> threads{};
    std::vector<label_stats> labels{};             ///< by number: `unlabeled`, the names in use, `other`
    std::vector<phase_cost_stats> phase_costs{};   ///< by label: those of which a phase has ended
    std::vector<named_count> misuses{};            ///< by kind
    close_stats last_close{};                      ///< the last timed one of the heap, of whatever label
    sampling_stats sampled{};                      ///< the sum over all threads, ended ones included
    std::optional<waterfall_stats> waterfall{};    ///< absent without snapshot_options::residency

    friend bool operator==(snapshot const&, snapshot const&) = default;
};

/// The time between two snapshots, in seconds: by CLOCK_MONOTONIC if both were taken in one boot of a machine, else by
/// CLOCK_REALTIME, which may have been set meanwhile. 0 if `b` was not taken later. Thread safe.
[[nodiscard]] inline double seconds_from_to(snapshot const& a, snapshot const& b) noexcept
{
    bool const one_boot = a.monotonic_ns != 0 && b.monotonic_ns != 0 && !a.boot_id.empty() && a.boot_id == b.boot_id;
    std::uint64_t const from = one_boot ? a.monotonic_ns : a.timestamp_ns;
    std::uint64_t const to = one_boot ? b.monotonic_ns : b.timestamp_ns;
    return to > from ? static_cast<double>(to - from) * 1e-9 : 0;
}

}
