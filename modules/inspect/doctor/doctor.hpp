// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The doctor: examines a snapshot, or the difference of two, and reports findings with their figures and actions.
// docs/diagnosis.md explains every finding. A ratio is judged only with enough events for it to be significant.
#pragma once

export namespace tslab {

/// How urgent a finding is.
enum class severity : std::uint8_t {
    hint,      ///< useful to know, no fault by itself
    warning,   ///< costs memory or time, now or later
    critical   ///< act now
};

/// Its name: "hint", "warning" or "critical".
[[nodiscard]] constexpr std::string_view severity_name(severity s) noexcept
{
    return s == severity::critical ? "critical" : s == severity::warning ? "warning" : "hint";
}

/// The kinds of findings. The codes are stable; of two findings equally severe the one listed first comes first.
struct finding_kind {
    std::string_view code;    ///< for programs: "epoch_leak"
    std::string_view title;   ///< for people: one sentence
};
inline constexpr std::array finding_kinds{
    finding_kind{"out_of_memory", "Allocations failed because no page could be had"},
    finding_kind{"misuse", "Memory or scopes were used wrongly"},
    finding_kind{"resource_leak", "Resources ended while objects in them were live"},
    finding_kind{"closed_epoch_allocation", "Allocations into closed epochs were refused"},
    finding_kind{"epoch_leak", "An epoch was entered and not left"},
    finding_kind{"epoch_remains", "Objects outlive their closed epoch"},
    finding_kind{"epoch_pinned", "A few objects keep the pages of closed epochs"},
    finding_kind{"ring_exhausted", "No slot of the epoch ring was free"},
    finding_kind{"ring_nearly_full", "The epoch ring is nearly full"},
    finding_kind{"closing_backlog", "Closed epochs do not drain"},
    finding_kind{"madvise_failures", "The kernel refused to take pages back"},
    finding_kind{"madvise_stays", "Pages stay resident although they were given back"},
    finding_kind{"empty_held", "Much resident memory is empty"},
    finding_kind{"low_reclaim_yield", "Closes look at many slabs and get few back"},
    finding_kind{"slow_close", "Closing an epoch takes long"},
    finding_kind{"cache_too_small", "The slab cache is too small"},
    finding_kind{"slow_path_rate", "Many allocations take the slow path"},
    finding_kind{"lock_contention", "Threads wait for each other's locks"},
    finding_kind{"claim_retries_alloc", "Claims of shared slabs have to be repeated"},
    finding_kind{"claim_retries_free", "Frees have to be repeated"},
    finding_kind{"lost_races", "Threads lose races for the same slabs"},
    finding_kind{"uneven_phases", "A few phases of a label cost far more than the others"},
    finding_kind{"scheduler_interference", "Allocations wait for a processor"},
    finding_kind{"escapes", "Allocations in a scope bypass it"},
    finding_kind{"refused_handles", "Handles were used that name nothing any more"},
    finding_kind{"limit_refusals", "Limits refused allocations"},
    finding_kind{"labels_in_overflow", "There are more labels than can be distinguished"},
    finding_kind{"labels_cut", "Labels are longer than what is kept"},
    finding_kind{"statistics_unpublished", "Statistics found no room where other processes can read them"},
    finding_kind{"rss_unexplained", "The process is far larger than this heap"},
};

/// A figure that a finding is based on. Names are those of the snapshot's JSON where it has the figure.
struct figure {
    std::string name;   ///< its name in JSON
    double value = 0;   ///< in the unit of its name; counts are exact up to 2^53

    friend bool operator==(figure const&, figure const&) = default;
};

/// A finding. Every text is one line without control characters.
struct finding {
    std::string code;   ///< one of finding_kinds
    tslab::severity severity = tslab::severity::hint;
    std::string subject;   ///< its object: a label, a size class, a kind of misuse, or the heap
    std::string title;
    std::vector<figure> figures;
    std::string evidence;   ///< the figures in a sentence
    std::string action;     ///< what to do

    friend bool operator==(finding const&, finding const&) = default;
};

/// Two limits on a count: the finding is given from each on.
struct count_limits {
    std::uint64_t warning;    ///< from here on a warning
    std::uint64_t critical;   ///< from here on critical
};

/// Two limits on a ratio, and how large the whole must be to be judged: at least `floor`, and in a comparison of two
/// snapshots at least `per_second`.
struct ratio_limits {
    double warning;          ///< from here on a warning
    double critical;         ///< from here on critical
    std::uint64_t floor;     ///< the least whole that is judged
    double per_second = 0;   ///< the least growth of the whole that is judged, between two snapshots
};

/// The limits of the findings. docs/diagnosis.md explains the defaults.
struct doctor_thresholds {
    static constexpr std::uint64_t mib = std::uint64_t{1} << 20;   ///< a MiB in bytes, for the limits below

    // Epochs, at the time of the snapshot.
    double leak_seconds = 300;        ///< epoch_leak: a domain entered so long ago and has not left
    double leak_large_seconds = 60;   ///< the same for epochs of one label and place that hold leak_large_bytes
    std::uint64_t leak_large_bytes = 50 * mib;       ///< held longer than leak_seconds: critical
    std::vector<std::string> long_lived{};           ///< labels of phases that are meant to last: no epoch_leak
    double remains_seconds = 300;                    ///< epoch_remains: closed so long, no domain inside
    count_limits remains_bytes{1 * mib, 50 * mib};   ///< and holding so much, all epochs of the label
    double pinned_seconds = 10;                      ///< epoch_pinned: closed so long
    ratio_limits pinned_live{0.25, 0.05,
                             4 * mib};   ///< and at most this part of the held bytes live; floor: bytes held
    std::uint64_t pinned_critical_bytes = 50 * mib;   ///< held bytes from which it may be critical
    ratio_limits ring_in_use{0.875, 0.97, 14};        ///< ring_nearly_full: of the slots; floor: slots in use
    double backlog_seconds = 60;                      ///< closing_backlog: closed so long with live bytes
    count_limits backlog{11, 100};                    ///< epochs

    // Events: since the first of two snapshots, or since the heap was made.
    count_limits ring_exhausted{1, 1'000};             ///< epochs that found no free ring slot
    count_limits closed_epoch_allocations{1, 1'000};   ///< allocations refused because their epoch was closed
    count_limits out_of_memory{1, 100};                ///< allocations refused for lack of memory
    count_limits resource_leaks{1, 10'000};            ///< objects
    count_limits refused_handles{1, 1'000};            ///< hint, warning
    count_limits limit_refusals{1, 1'000};             ///< hint, warning: that is what limits are for
    count_limits labels_in_overflow{1, 1'000};         ///< hint, warning
    count_limits escapes{100, 100'000};                ///< of one label
    count_limits madvise_failures{1, 100};
    ratio_limits reclaim_yield{0.3, 0.1, 1'000};   ///< at most this of the scanned slabs; floor: slabs scanned
    double slow_close_ms = 1;                      ///< average of the timed closes
    double slow_close_critical_ms = 10;
    std::uint64_t slow_close_floor = 10;   ///< timed closes
    ratio_limits cache_overflow{0.1, 0.5, 1'000,
                                100};                ///< of the slabs that became empty; floor: overflows, and misses
    ratio_limits cache_miss{0.1, 0.5, 1'000, 100};   ///< of the slabs taken: both limits must be exceeded
    double cache_turnover = 4;   ///< misses per page that the heap has or gave back: below, it only grew and shrank
    ratio_limits slow_path{0.05, 0.2, 10'000, 100};   ///< beyond one for each slab filled; floor: allocations
    ratio_limits slow_path_miss{0.1, 0.5, 1'000};     ///< of the slow paths: below the first, a hint only
    ratio_limits lock_contended{0.05, 0.2, 10'000, 100};
    ratio_limits claim_retries_alloc{0.05, 0.2, 10'000, 100};
    ratio_limits claim_retries_free{0.001, 0.01, 100'000, 100};
    ratio_limits lost_races{0.05, 0.2, 1'000, 100};
    double uneven = 10;                           ///< uneven_phases: 99th percentile of bytes by median; a hint
    double uneven_warning = 100;                  ///< likewise, a warning
    std::uint64_t uneven_floor_bytes = 1 * mib;   ///< least 99th percentile
    std::uint64_t uneven_floor_phases = 1'000;    ///< of the label, those that allocated nothing apart
    ratio_limits wall_per_cpu{1.5, 2, 1'000};     ///< scheduler_interference: above; floor: samples
    std::uint64_t wait_ns_floor = 1'000;          ///< and at least so long a wait on average

    // Memory, at the time of the snapshot.
    ratio_limits cooperation{0.5, 0.1, 1 * mib};   ///< madvise_stays: at most this part went; floor: bytes purged
    ratio_limits empty_held{2, 10, 64 * mib};      ///< empty bytes per live byte; floor: empty bytes
    double rss_ratio = 2;                          ///< rss_unexplained: rss per byte of the heap
    std::uint64_t rss_heap_floor = 32 * mib;       ///< bytes of the heap
    std::uint64_t rss_rest_floor = 256 * mib;      ///< bytes that are not the heap's
};

/// The findings for a heap, the most severe first. With `before`, an earlier snapshot of the same heap, events between
/// the two are judged; without it, or if it is of another process or not earlier, events since the start.
[[nodiscard]] std::vector<finding> diagnose(snapshot const& now, snapshot const* before = nullptr,
                                            doctor_thresholds const& limits = {});

/// The findings as text, ending in a newline. At most `most` of each code are written out, and the number of the others
/// is given.
[[nodiscard]] std::string to_text(std::vector<finding> const& findings, std::size_t most = 5);

}
