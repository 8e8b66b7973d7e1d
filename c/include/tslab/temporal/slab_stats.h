/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The specification's statistics. docs/from-c.md says field by field what each is of here; docs/stats-reference.md what it is for. Each
 * function takes a snapshot: linear in the pages ever used and the threads; no lock that an allocation waits for. Where an argument is out
 * of range, or memory is out, `*out` is all zeros. A null `out` is ignored. */
#ifndef TSLAB_TEMPORAL_SLAB_STATS_H
#define TSLAB_TEMPORAL_SLAB_STATS_H

#include "slab_alloc.h"
#include <time.h>

/* `version` of the structures. */
#define SLAB_STATS_VERSION 2

#if defined(ENABLE_SLOWPATH_SAMPLING) && ENABLE_SLOWPATH_SAMPLING
/* What sampling found of a thread's operations. */
typedef struct ThreadStats {
    uint64_t alloc_samples;
    uint64_t alloc_wall_ns_sum;
    uint64_t alloc_cpu_ns_sum;
    uint64_t alloc_wall_ns_max;
    uint64_t alloc_cpu_ns_max;
    uint64_t repair_count;
    uint64_t repair_wall_ns_sum;
    uint64_t repair_cpu_ns_sum;
    uint64_t repair_wall_ns_max;
    uint64_t repair_cpu_ns_max;
    uint64_t repair_reason_full_bitmap;
    uint64_t repair_reason_list_mismatch;
    uint64_t repair_reason_other;
} ThreadStats;

/* One allocation in 1,024 is timed. */
#define SAMPLE_RATE_MASK 1023u
/* Reasons of repairs; here each has a count of its own. */
#define REPAIR_REASON_FULL_BITMAP (1u << 0)
#define REPAIR_REASON_LIST_MISMATCH (1u << 1)

/* A time as nanoseconds. */
static inline uint64_t ns_from_ts(const struct timespec* t)
{
    return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

/* Of the calling thread, in all allocators that live. */
static inline ThreadStats slab_stats_thread(void)
{
    tslab_sampling_stats s;
    ThreadStats t;
    tslab_this_thread_sampling(&s, sizeof s);
    t.alloc_samples = s.alloc.samples;
    t.alloc_wall_ns_sum = s.alloc.wall_ns_sum;
    t.alloc_cpu_ns_sum = s.alloc.cpu_ns_sum;
    t.alloc_wall_ns_max = s.alloc.wall_ns_max;
    t.alloc_cpu_ns_max = s.alloc.cpu_ns_max;
    t.repair_count = s.repair_count;
    t.repair_wall_ns_sum = s.repair.wall_ns_sum;
    t.repair_cpu_ns_sum = s.repair.cpu_ns_sum;
    t.repair_wall_ns_max = s.repair.wall_ns_max;
    t.repair_cpu_ns_max = s.repair.cpu_ns_max;
    t.repair_reason_full_bitmap = s.repair_reason_full_bitmap;
    t.repair_reason_list_mismatch = s.repair_reason_list_mismatch;
    t.repair_reason_other = s.repair_reason_other;
    return t;
}
#endif

/* An allocator as a whole. */
typedef struct SlabGlobalStats {
    uint32_t version;
    uint32_t current_epoch;
    uint32_t active_epoch_count;
    uint32_t closing_epoch_count;
    uint64_t total_slabs_allocated;
    uint64_t total_slabs_recycled;
    uint64_t net_slabs;
    uint64_t rss_bytes_current;
    uint64_t estimated_slab_rss_bytes;
    uint64_t total_slow_path_hits;
    uint64_t total_cache_overflows;
    uint64_t total_slow_cache_miss;
    uint64_t total_slow_epoch_closed;
    uint64_t total_madvise_calls;
    uint64_t total_madvise_bytes;
    uint64_t total_madvise_failures;
    uint64_t total_bitmap_alloc_cas_retries;
    uint64_t total_bitmap_free_cas_retries;
    uint64_t total_current_partial_cas_failures;
    uint64_t total_bitmap_alloc_attempts;
    uint64_t total_bitmap_free_attempts;
    uint64_t total_current_partial_cas_attempts;
} SlabGlobalStats;

/* One size class. */
typedef struct SlabClassStats {
    uint32_t version;
    uint32_t class_index;
    uint32_t object_size;
    uint64_t slow_path_hits;
    uint64_t new_slab_count;
    uint64_t list_move_partial_to_full;
    uint64_t list_move_full_to_partial;
    uint64_t current_partial_null;
    uint64_t current_partial_full;
    uint64_t empty_slab_recycled;
    uint64_t empty_slab_overflowed;
    uint64_t slow_path_cache_miss;
    uint64_t slow_path_epoch_closed;
    uint64_t madvise_calls;
    uint64_t madvise_bytes;
    uint64_t madvise_failures;
    uint64_t epoch_close_calls;
    uint64_t epoch_close_scanned_slabs;
    uint64_t epoch_close_recycled_slabs;
    uint64_t epoch_close_total_ns;
    uint64_t bitmap_alloc_cas_retries;
    uint64_t bitmap_free_cas_retries;
    uint64_t current_partial_cas_failures;
    uint64_t bitmap_alloc_attempts;
    uint64_t bitmap_free_attempts;
    uint64_t current_partial_cas_attempts;
    uint64_t lock_fast_acquire;
    uint64_t lock_contended;
    uint32_t scan_adapt_checks;
    uint32_t scan_adapt_switches;
    uint32_t scan_mode;
    uint64_t committed_bytes;
    uint64_t live_bytes;
    uint64_t empty_slabs_count;
    double avg_alloc_cas_retries_per_attempt;
    double avg_free_cas_retries_per_attempt;
    double current_partial_cas_failure_rate;
    double lock_contention_rate;
    uint64_t lock_fast_acquire_by_label[TSLAB_TEMPORAL_LABELS];
    uint64_t lock_contended_by_label[TSLAB_TEMPORAL_LABELS];
    uint64_t bitmap_alloc_cas_retries_by_label[TSLAB_TEMPORAL_LABELS];
    uint64_t bitmap_free_cas_retries_by_label[TSLAB_TEMPORAL_LABELS];
    uint32_t cache_size;
    uint32_t cache_capacity;
    uint32_t cache_overflow_len;
    uint32_t total_partial_slabs;
    uint32_t total_full_slabs;
    double recycle_rate_pct;
    uint64_t net_slabs;
    uint64_t estimated_rss_bytes;
} SlabClassStats;

/* One size class in one epoch; `alloc_count` and what stands between `state` and `partial_slab_count` are of the epoch as a whole. */
typedef struct SlabEpochStats {
    /* what it is of; then the epoch as a whole, and the class's slabs in it */
    uint32_t version;
    uint32_t class_index;
    uint32_t object_size;
    EpochId epoch_id;
    uint64_t epoch_era;
    EpochLifecycleState state;
    uint64_t open_since_ns;
    uint64_t alloc_count; /* live objects */
    char label[32];
    uint64_t rss_before_close;
    uint64_t rss_after_close;
    uint32_t partial_slab_count;
    uint32_t full_slab_count;
    uint64_t estimated_rss_bytes;
    uint32_t reclaimable_slab_count;
    uint64_t reclaimable_bytes;
} SlabEpochStats;

#include <tslab/c/numbered_stats.h>

/* The allocator as a whole. */
static inline void slab_stats_global(SlabAllocator* a, SlabGlobalStats* out)
{
    tslab_snapshot* const s = tslab_snapshot_take(tslab_temporal_heap(a), false);
    if (out != NULL)
        tslab_temporal_global_stats(s, a, out);
    tslab_snapshot_free(s);
}

/* A size class, 0 to 7. */
static inline void slab_stats_class(SlabAllocator* a, uint32_t size_class, SlabClassStats* out)
{
    tslab_snapshot* const s = tslab_snapshot_take(tslab_temporal_heap(a), false);
    if (out != NULL)
        tslab_temporal_class_stats(s, size_class, out);
    tslab_snapshot_free(s);
}

/* A size class in the epoch that a number means. */
static inline void slab_stats_epoch(SlabAllocator* a, uint32_t size_class, EpochId epoch, SlabEpochStats* out)
{
    tslab_snapshot* const s = tslab_snapshot_take(tslab_temporal_heap(a), false);
    if (out != NULL)
        tslab_temporal_epoch_stats(s, a, size_class, epoch, out);
    tslab_snapshot_free(s);
}

#endif
