// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A snapshot: plain values copied out of a running heap. Taking one stops no thread. Each figure of a busy heap is true
// of some moment during the call, and all are exact while no thread uses the heap. docs/stats-reference.md explains
// every field; inspect/fields.hpp has their names in JSON.
#pragma once

export namespace tslab {

/// ACTIVE: allocations are served. CLOSING: they are refused.
enum class epoch_state : std::uint8_t { active, closing };

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
    std::string file{};
    std::uint32_t line = 0;
    std::string function{};

    friend bool operator==(source_entry const&, source_entry const&) = default;
};

/// Sampled acquisitions of locks, timed while lock timing was on.
struct lock_timing_stats {
    std::uint64_t samples = 0;
    std::uint64_t wait_ns = 0;   ///< sum over the timed ones
    std::uint64_t hold_ns = 0;
    std::uint64_t wait_ns_max = 0;
    std::uint64_t hold_ns_max = 0;

    friend bool operator==(lock_timing_stats const&, lock_timing_stats const&) = default;
};

/// Contention between threads.
struct contention_stats {
    std::uint64_t lock_fast_acquire = 0;          ///< acquisitions of a free lock
    std::uint64_t lock_contended = 0;             ///< acquisitions that had to wait
    std::uint64_t bitmap_alloc_cas_retries = 0;   ///< claims of a slab without an owner that another thread spoiled
    std::uint64_t bitmap_free_cas_retries = 0;    ///< claims of an emptied slab for reclaim that were lost or repeated

    friend bool operator==(contention_stats const&, contention_stats const&) = default;
};

/// All size classes and large allocations together. Counters only grow; gauges are marked.
struct global_stats {
    std::uint64_t allocations = 0;
    std::uint64_t frees = 0;                 ///< allocations - live_objects; includes objects that a release freed
    std::uint64_t live_objects = 0;          ///< gauge
    std::uint64_t live_bytes = 0;            ///< gauge; bytes of the slots, and of large allocations as asked for
    std::uint64_t slabs_in_use = 0;          ///< gauge: slabs that belong to an epoch
    std::uint64_t slabs_cached = 0;          ///< gauge: empty, resident, waiting for reuse
    std::uint64_t large_pages = 0;           ///< gauge: pages of large allocations
    std::uint64_t free_resident_pages = 0;   ///< gauge: free pages that are resident
    std::uint64_t free_purged_pages = 0;     ///< gauge: free pages that were purged
    std::uint64_t unwanted_pages = 0;        ///< gauge: of free_resident_pages, those not taken since the last decay
    std::uint64_t retained_bytes = 0;        ///< gauge: of empty slabs that threads retain
    std::uint64_t slab_pages = 0;            ///< gauge: pages of the slabs in use
    std::uint64_t committed_bytes = 0;       ///< gauge: of all pages that were not purged, in use or not
    std::uint64_t empty_held_bytes = 0;      ///< gauge: of those, the ones without a live object
    std::uint64_t metadata_bytes = 0;        ///< gauge: committed descriptors, records, page sets
    std::uint64_t rss_bytes = 0;             ///< gauge: of the whole process, from the kernel
    std::uint64_t slabs_allocated = 0;       ///< slabs cut from free pages, since no cache had one
    std::uint64_t slabs_recycled = 0;        ///< empty slabs put into a cache
    std::uint64_t cache_overflows = 0;       ///< empty slabs that found the caches full
    std::uint64_t madvise_calls = 0;
    std::uint64_t madvise_bytes = 0;   ///< of the calls that succeeded
    std::uint64_t madvise_failures = 0;
    std::uint64_t unmap_failures = 0;         ///< runs of free units that the kernel refused to unmap
    std::uint64_t purges_by_time = 0;         ///< purges by decays of working threads
    std::uint64_t purges_by_work = 0;         ///< purges of pages not needed while much was allocated
    std::uint64_t purges_by_background = 0;   ///< purges by decays of the background thread
    std::uint64_t purges_by_pressure = 0;     ///< purges because the control group was short of memory
    std::uint64_t slow_path_hits = 0;
    std::uint64_t slow_path_cache_miss = 0;
    std::uint64_t slow_path_epoch_closed = 0;
    std::uint64_t out_of_memory = 0;
    std::uint64_t epoch_opens = 0;
    std::uint64_t epoch_advances = 0;
    std::uint64_t epoch_closes = 0;   ///< epochs that turned CLOSING
    std::uint64_t epoch_drains = 0;
    std::uint64_t epoch_close_scanned_slabs = 0;
    std::uint64_t epoch_close_recycled_slabs = 0;
    std::uint64_t epoch_close_deferred = 0;
    std::uint64_t epoch_close_timed = 0;      ///< closes that were timed: explicit ones
    std::uint64_t epoch_close_total_ns = 0;   ///< of those
    std::uint64_t ring_exhausted = 0;         ///< scopes that shared the current epoch, failed advances
    std::uint64_t labels_in_overflow = 0;     ///< times a label went to the bucket `other`
    std::uint64_t labels_cut = 0;             ///< labels longer than 31 bytes
    std::uint64_t domain_enters = 0;
    std::uint64_t domain_exits = 0;
    std::uint64_t counted_frees = 0;      ///< deallocations of count-only resources
    std::uint64_t released_objects = 0;   ///< objects still live when `release` freed them
    std::uint64_t leaked_objects = 0;     ///< objects still live when their resource ended
    std::uint64_t refused_handles = 0;
    std::uint64_t misuses = 0;   ///< of every kind
    std::uint64_t escapes = 0;   ///< allocations from the default resource inside a scope, see escape_detection
    std::uint64_t escaped_bytes = 0;
    std::uint64_t lock_fast_acquire = 0;   ///< of every lock of the heap
    std::uint64_t lock_contended = 0;
    std::uint64_t bitmap_alloc_attempts = 0;
    std::uint64_t bitmap_alloc_cas_retries = 0;
    std::uint64_t bitmap_free_attempts = 0;
    std::uint64_t bitmap_free_cas_retries = 0;
    std::uint64_t current_partial_cas_attempts = 0;
    std::uint64_t current_partial_cas_failures = 0;
    std::uint64_t current_partial_lost_races = 0;
    std::uint64_t current_partial_mismatches = 0;
    std::uint64_t active_epochs = 0;                  ///< gauge
    std::uint64_t closing_epochs = 0;                 ///< gauge
    std::optional<lock_timing_stats> lock_timing{};   ///< of every lock of the heap; absent while timing is off

    friend bool operator==(global_stats const&, global_stats const&) = default;
};

struct class_stats {
    std::uint32_t class_index = 0;
    std::uint32_t object_size = 0;   ///< bytes of a slot; 0 for large allocations, the last entry
    std::uint32_t objects_per_slab = 0;
    std::uint32_t pages_per_slab = 0;
    std::uint64_t allocations = 0;
    std::uint64_t live_objects = 0;         ///< gauge
    std::uint64_t live_bytes = 0;           ///< gauge
    std::uint64_t partial_slabs = 0;        ///< gauge: with a free slot, with or without an owner
    std::uint64_t full_slabs = 0;           ///< gauge
    std::uint64_t empty_slabs = 0;          ///< gauge: of the partial ones, those without a live object
    std::uint64_t cached_slabs = 0;         ///< gauge: in the heap's cache and with threads
    std::uint64_t cache_size = 0;           ///< gauge: in the heap's cache
    std::uint64_t cache_capacity = 0;       ///< slabs that the heap's cache may hold
    std::uint64_t cache_overflow_len = 0;   ///< gauge: free resident pages that were slabs of this class last
    std::uint64_t large_pages = 0;          ///< gauge: pages of large allocations; 0 for the classes
    std::uint64_t slow_path_hits = 0;
    std::uint64_t slow_path_cache_miss = 0;
    std::uint64_t slow_path_epoch_closed = 0;
    std::uint64_t out_of_memory = 0;
    std::uint64_t current_partial_null = 0;   ///< slow paths of a thread cache that had no slab of the class
    std::uint64_t current_partial_full = 0;   ///< slow paths of a thread cache whose slab had no free slot left
    std::uint64_t new_slab_count = 0;         ///< slabs cut from free pages, since no cache had one
    std::uint64_t cache_hits = 0;
    std::uint64_t collects = 0;
    std::uint64_t adoptions = 0;
    std::uint64_t bypassed = 0;   ///< refills that passed over slabs they could have acquired
    std::uint64_t flushed = 0;    ///< slabs that thread caches flushed
    std::uint64_t empty_slab_recycled = 0;
    std::uint64_t empty_slab_overflowed = 0;
    std::uint64_t list_move_partial_to_full = 0;
    std::uint64_t list_move_full_to_partial = 0;
    std::uint64_t remote_frees = 0;
    std::uint64_t repairs = 0;             ///< of every reason
    std::uint64_t madvise_calls = 0;       ///< that began with a page of this class
    std::uint64_t madvise_bytes = 0;       ///< of pages that were slabs of this class last
    std::uint64_t madvise_failures = 0;    ///< that began with a page of this class
    std::uint64_t epoch_close_calls = 0;   ///< closes that looked at a slab of this class
    std::uint64_t epoch_close_scanned_slabs = 0;
    std::uint64_t epoch_close_recycled_slabs = 0;
    std::uint64_t epoch_close_total_ns = 0;   ///< whole duration of the timed ones among those
    std::uint64_t bitmap_alloc_attempts = 0;
    std::uint64_t bitmap_free_attempts = 0;
    std::uint64_t current_partial_cas_attempts = 0;
    std::uint64_t current_partial_lost_races = 0;
    std::uint64_t current_partial_mismatches = 0;
    std::uint64_t scan_adapt_checks = 0;
    std::uint64_t scan_adapt_switches = 0;
    std::uint64_t scan_rotated_threads = 0;   ///< gauge: threads that search slabs without an owner in rotated order
    contention_stats contention{};            ///< the sum of the following
    std::array<contention_stats, label_buckets> by_label{};
    std::optional<lock_timing_stats> lock_timing{};   ///< absent while timing is off
    std::optional<std::uint64_t> resident_bytes{};    ///< gauge; absent without snapshot_options::residency

    [[nodiscard]] std::uint64_t slabs_in_use() const noexcept { return partial_slabs + full_slabs; }

    friend bool operator==(class_stats const&, class_stats const&) = default;
};

/// The part of one class in one epoch.
struct class_share {
    std::uint32_t class_index = 0;
    std::uint64_t slabs = 0;   ///< 0 for large allocations
    std::uint64_t pages = 0;   ///< of them, or of the large allocations
    std::uint64_t live_objects = 0;
    std::uint64_t live_bytes = 0;

    friend bool operator==(class_share const&, class_share const&) = default;
};

struct epoch_stats {
    std::uint32_t index = 0;   ///< ring slot
    std::uint64_t era = 0;
    epoch_state state = epoch_state::active;
    tslab::lifecycle lifecycle = tslab::lifecycle::idle;
    std::string label{};
    std::uint32_t label_id = 0;
    std::uint32_t refcount = 0;   ///< domains inside
    std::uint64_t enters = 0;
    std::uint64_t exits = 0;
    double age_seconds = 0;            ///< since it was opened, to one timer tick
    std::uint64_t open_since_ns = 0;   ///< when it was opened, CLOCK_REALTIME, to one timer tick
    double closing_seconds = 0;        ///< since it turned CLOSING; 0 while it is ACTIVE
    double entered_seconds = 0;        ///< since the oldest open entry; 0 if none is known
    source_entry opened_at{};          ///< the oldest open entry
    std::uint64_t allocations = 0;
    std::uint64_t live_objects = 0;
    std::uint64_t live_bytes = 0;
    std::uint64_t slabs = 0;
    std::uint64_t slab_pages = 0;      ///< their pages
    std::uint64_t partial_slabs = 0;   ///< of them with a free slot
    std::uint64_t full_slabs = 0;
    std::uint64_t empty_slabs = 0;        ///< of the partial ones, without a live object: a close would reclaim them
    std::uint64_t empty_slab_pages = 0;   ///< their pages
    std::uint64_t large_pages = 0;
    std::optional<std::uint64_t> resident_bytes{};   ///< absent without snapshot_options::residency
    std::vector<class_share> classes{};              ///< the classes with slabs or large pages in it
    std::uint64_t rss_before_close = 0;              ///< of the timed close; 0 if none
    std::uint64_t rss_after_close = 0;
    std::uint64_t madvise_bytes = 0;         ///< in successful calls of madvise by that close
    std::uint64_t madvise_asked_bytes = 0;   ///< passed to madvise by that close
    std::uint64_t madvise_gone_bytes = 0;    ///< of those, no longer resident afterwards

    friend bool operator==(epoch_stats const&, epoch_stats const&) = default;
};

/// The epochs of one label, and the counters under its name.
struct label_stats {
    std::uint32_t label_id = 0;
    std::string name{};                              ///< `unlabeled`, a registered name, or `other`
    std::uint64_t epochs = 0;                        ///< gauge: ACTIVE or CLOSING
    std::uint64_t refcount = 0;                      ///< gauge: domains inside
    std::uint64_t live_objects = 0;                  ///< gauge
    std::uint64_t live_bytes = 0;                    ///< gauge
    std::uint64_t held_bytes = 0;                    ///< gauge: of its slabs and large pages
    std::optional<std::uint64_t> resident_bytes{};   ///< gauge; absent without snapshot_options::residency
    std::uint64_t escapes = 0;
    std::uint64_t escaped_bytes = 0;
    contention_stats contention{};   ///< of all classes, and of the epochs' own bookkeeping

    friend bool operator==(label_stats const&, label_stats const&) = default;
};

/// The results of sampling: one allocation in 1,024 while it was on, and every repair.
struct sampling_stats {
    timing_stats alloc{};
    timing_stats repair{};                           ///< the timed ones: all while sampling is on
    std::uint64_t repair_count = 0;                  ///< all, timed or not
    std::uint64_t repair_reason_full_bitmap = 0;     ///< a slab listed with free slots had none
    std::uint64_t repair_reason_list_mismatch = 0;   ///< a slab on a list was being reclaimed by another thread
    std::uint64_t repair_reason_other = 0;           ///< a slot was in both words: two threads freed it

    friend bool operator==(sampling_stats const&, sampling_stats const&) = default;
};

struct thread_stats {
    std::uint64_t thread_id = 0;   ///< tslab's own number, never reused
    bool alive = false;
    std::uint64_t allocations = 0;
    std::uint64_t slow_path_hits = 0;
    std::uint64_t retained_bytes = 0;   ///< gauge: of empty slabs that it retains
    sampling_stats sampling{};

    friend bool operator==(thread_stats const&, thread_stats const&) = default;
};

/// The last explicit close: what it purged, and the effect on residency.
struct close_stats {
    std::uint64_t timestamp_ns = 0;   ///< CLOCK_REALTIME; 0: there was none
    std::uint32_t index = 0;          ///< of the epoch, a ring slot
    std::uint64_t era = 0;
    std::string label{};
    std::uint64_t nanoseconds = 0;
    std::uint64_t rss_before = 0;
    std::uint64_t rss_after = 0;
    std::uint64_t scanned_slabs = 0;
    std::uint64_t recycled_slabs = 0;
    std::uint64_t madvise_calls = 0;
    std::uint64_t madvise_bytes = 0;   ///< of the calls that succeeded
    std::uint64_t madvise_failures = 0;
    std::uint64_t madvise_asked_bytes = 0;
    std::uint64_t madvise_gone_bytes = 0;   ///< no longer resident afterwards, by mincore

    friend bool operator==(close_stats const&, close_stats const&) = default;
};

/// The process's resident memory by use. The terms add up to rss_bytes; the last one is the remainder, and may be below
/// 0 if the process shrinks during the measurement. Only resident pages count.
struct waterfall_stats {
    std::uint64_t rss_bytes = 0;
    std::uint64_t live_bytes = 0;         ///< slots and large allocations in use
    std::uint64_t slack_bytes = 0;        ///< ends of pages that no slot covers, and of large allocations
    std::uint64_t empty_slot_bytes = 0;   ///< free slots of slabs that belong to an epoch
    std::uint64_t cached_bytes = 0;       ///< empty slabs in caches
    std::uint64_t free_bytes = 0;         ///< free pages
    std::uint64_t metadata_bytes = 0;     ///< descriptors, records, page sets
    std::int64_t not_tslab_bytes = 0;     ///< everything else in the process, other heaps included
    std::uint64_t untouched_bytes =
        0;   ///< in no sum: pages in use that are not resident, since they were never touched or are swapped out

    friend bool operator==(waterfall_stats const&, waterfall_stats const&) = default;
};

/// A named count.
struct named_count {
    std::string name{};
    std::uint64_t count = 0;

    friend bool operator==(named_count const&, named_count const&) = default;
};

/// Parts of a snapshot that need system calls.
struct snapshot_options {
    bool residency = true;   ///< ask the kernel which pages are resident: for resident_bytes and the waterfall
};

/// One heap at one moment.
struct snapshot {
    static constexpr std::uint32_t schema_version = 1;   ///< of its JSON form
    static constexpr std::uint32_t struct_version = 2;

    std::string name{};
    std::uint64_t timestamp_ns = 0;   ///< CLOCK_REALTIME
    std::int64_t pid = 0;
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
    global_stats global{};
    std::vector<class_stats> classes{};   ///< by class index; the last one is everything above the classes
    std::vector<epoch_stats> epochs{};    ///< every ring slot that was ever opened
    std::vector<thread_stats> threads{};
    std::vector<label_stats> labels{};    ///< by number: `unlabeled`, the names in use, `other`
    std::vector<named_count> misuses{};   ///< by kind
    close_stats last_close{};
    sampling_stats sampled{};                     ///< the sum over all threads, ended ones included
    std::optional<waterfall_stats> waterfall{};   ///< absent without snapshot_options::residency

    friend bool operator==(snapshot const&, snapshot const&) = default;
};

}
