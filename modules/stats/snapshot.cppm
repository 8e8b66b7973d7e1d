// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A snapshot: plain values copied out of a running heap. Taking one stops nobody; figures of a busy heap are each true
// of some moment during the call, and all of them are exact once threads are quiet.
module;
#include <array>
#include <cstdint>
#include <string>
#include <vector>
export module tslab.stats:snapshot;

export namespace tslab {

/// ACTIVE: allocations are served. CLOSING: they are refused.
enum class epoch_state : std::uint8_t { active, closing };

/// Where a slot of the epoch ring is in its life.
enum class lifecycle : std::uint8_t {
    idle,      ///< never opened
    active,    ///< allocations are served
    closing,   ///< allocations are refused; objects, claims or holders remain
    drained    ///< closed and empty; the slot is free for the next epoch
};

/// A place in the program, as std::source_location names it. The pointers are to static strings; null when unknown.
struct source_entry {
    char const* file = nullptr;
    std::uint32_t line = 0;
    char const* function = nullptr;
};

/// All size classes and large allocations together. Counters only grow; gauges are marked so.
struct global_stats {
    std::uint64_t allocations = 0;
    std::uint64_t frees = 0;               ///< allocations - live_objects: what a release gave back is in it
    std::uint64_t live_objects = 0;        ///< gauge
    std::uint64_t live_bytes = 0;          ///< gauge; bytes of the slots, and of large allocations as asked for
    std::uint64_t slabs_in_use = 0;        ///< gauge: slabs that belong to an epoch
    std::uint64_t slabs_cached = 0;        ///< gauge: empty, resident, waiting for reuse
    std::uint64_t large_pages = 0;         ///< gauge: pages of large allocations
    std::uint64_t free_resident_pages = 0; ///< gauge: plain pages not given back
    std::uint64_t free_purged_pages = 0;   ///< gauge: plain pages given back
    std::uint64_t metadata_bytes = 0;      ///< gauge: descriptors, records, page sets made usable
    std::uint64_t rss_bytes = 0;           ///< gauge: of the whole process, read from the kernel
    std::uint64_t madvise_calls = 0;
    std::uint64_t madvise_bytes = 0;
    std::uint64_t madvise_failures = 0;
    std::uint64_t slow_path_hits = 0;
    std::uint64_t slow_path_cache_miss = 0;
    std::uint64_t slow_path_epoch_closed = 0;
    std::uint64_t out_of_memory = 0;
    std::uint64_t epoch_opens = 0;
    std::uint64_t epoch_advances = 0;
    std::uint64_t epoch_closes = 0;
    std::uint64_t epoch_drains = 0;
    std::uint64_t epoch_close_scanned_slabs = 0;
    std::uint64_t epoch_close_recycled_slabs = 0;
    std::uint64_t epoch_close_deferred = 0;
    std::uint64_t epoch_close_total_ns = 0; ///< of the closes that were timed: explicit ones, and those that call madvise
    std::uint64_t ring_exhausted = 0;       ///< scopes that had to share the current epoch, advances that could not
    std::uint64_t labels_in_overflow = 0;   ///< times a label went to the bucket `other`
    std::uint64_t labels_cut = 0;           ///< labels longer than 31 bytes
    std::uint64_t domain_enters = 0;
    std::uint64_t domain_exits = 0;
    std::uint64_t counted_frees = 0;        ///< deallocations of count-only resources
    std::uint64_t released_objects = 0;     ///< live when `release` gave them back
    std::uint64_t leaked_objects = 0;       ///< live when their resource ended
    std::uint64_t refused_handles = 0;
    std::uint64_t misuses = 0;              ///< of every kind
    std::uint64_t lock_fast_acquire = 0;
    std::uint64_t lock_contended = 0;
    std::uint64_t active_epochs = 0;        ///< gauge
    std::uint64_t closing_epochs = 0;       ///< gauge
};

struct class_stats {
    std::uint32_t class_index = 0;
    std::uint32_t object_size = 0;          ///< bytes of a slot; 0 for the large ones, who come last
    std::uint64_t allocations = 0;
    std::uint64_t live_objects = 0;         ///< gauge
    std::uint64_t partial_slabs = 0;        ///< gauge: with free slots, held by a lane or not
    std::uint64_t full_slabs = 0;           ///< gauge
    std::uint64_t empty_slabs = 0;          ///< gauge: held by an epoch without a live object
    std::uint64_t cached_slabs = 0;         ///< gauge
    std::uint64_t slow_path_hits = 0;
    std::uint64_t slow_path_cache_miss = 0;
    std::uint64_t slow_path_epoch_closed = 0;
    std::uint64_t out_of_memory = 0;
    std::uint64_t cache_hits = 0;
    std::uint64_t collects = 0;
    std::uint64_t adoptions = 0;
    std::uint64_t empty_slab_recycled = 0;
    std::uint64_t empty_slab_overflowed = 0;
    std::uint64_t list_move_partial_to_full = 0;
    std::uint64_t list_move_full_to_partial = 0;
    std::uint64_t remote_frees = 0;
    std::uint64_t repairs = 0;
};

struct epoch_stats {
    std::uint32_t index = 0;                ///< ring slot
    std::uint64_t era = 0;
    epoch_state state = epoch_state::active;
    tslab::lifecycle lifecycle = tslab::lifecycle::idle;
    std::string label;
    std::uint32_t label_id = 0;
    std::uint32_t refcount = 0;             ///< domains inside
    std::uint64_t enters = 0;
    std::uint64_t exits = 0;
    double age_seconds = 0;                 ///< since it was opened, to one timer tick
    source_entry opened_at;                 ///< the oldest entry that is still open
    std::uint64_t allocations = 0;
    std::uint64_t live_objects = 0;
    std::uint64_t live_bytes = 0;
    std::uint64_t slabs = 0;
    std::uint64_t empty_slabs = 0;          ///< of them without a live object: a close would take them back
    std::uint64_t large_pages = 0;
    std::uint64_t rss_before_close = 0;     ///< of the close that was timed, 0 if none was
    std::uint64_t rss_after_close = 0;
    std::uint64_t madvise_bytes = 0;        ///< handed to madvise by that close
};

struct thread_stats {
    std::uint64_t thread_id = 0;            ///< tslab's own number, never reused
    bool alive = false;
    std::uint64_t allocations = 0;
    std::uint64_t slow_path_hits = 0;
};

/// One moment of one heap.
struct snapshot {
    std::string name;
    std::uint64_t timestamp_ns = 0;         ///< CLOCK_REALTIME
    std::int64_t pid = 0;
    std::uint32_t page_size = 0;
    std::uint32_t epoch_count = 0;
    std::uint32_t current_epoch = 0;
    global_stats global;
    std::vector<class_stats> classes;       ///< by class index; the last one is everything above the classes
    std::vector<epoch_stats> epochs;        ///< every ring slot that was ever opened
    std::vector<thread_stats> threads;
};

}
