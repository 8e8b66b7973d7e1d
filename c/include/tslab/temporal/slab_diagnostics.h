/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The specification's diagnoses. Each takes one snapshot. What a function allocates is the caller's, to be freed by `free`. A null
 * allocator is reported; a null `out` is ignored; where memory is out a report is empty. The doctor of C++ and of the program tslab judges
 * more (docs/diagnosis.md). */
#ifndef TSLAB_TEMPORAL_SLAB_DIAGNOSTICS_H
#define TSLAB_TEMPORAL_SLAB_DIAGNOSTICS_H

#include "slab_stats.h"
#include <stdio.h>

/* `version` of the reports. */
#define SLAB_DIAGNOSTICS_VERSION 1

/* A class in an epoch that is CLOSING and in which objects live. */
typedef struct EpochLeakCandidate {
    /* which class, and which epoch; then what it holds */
    uint32_t class_index;
    uint32_t object_size;
    EpochId epoch_id;
    uint64_t epoch_era;
    char label[32];
    uint64_t age_sec;             /* since the epoch was opened */
    uint64_t alloc_count;         /* live objects of the epoch */
    uint64_t estimated_rss_bytes; /* of the class's slabs in it */
    uint32_t partial_slab_count;
    uint32_t full_slab_count;
    uint32_t reclaimable_slab_count;
} EpochLeakCandidate;

/* The candidates that were found. */
typedef struct EpochLeakReport {
    /* what was asked for, how many there are, and how many entries follow */
    uint32_t version;
    uint32_t threshold_sec;
    uint32_t candidate_count;
    uint32_t top_count;
    EpochLeakCandidate* candidates; /* the most bytes first */
} EpochLeakReport;

/* Orders candidates for qsort. */
static inline int tslab_temporal_by_bytes(const void* a, const void* b)
{
    uint64_t const x = ((const EpochLeakCandidate*)a)->estimated_rss_bytes;
    uint64_t const y = ((const EpochLeakCandidate*)b)->estimated_rss_bytes;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Finds such classes in epochs that epoch_advance opened at least `threshold_sec` ago. Returns how many there are; `out` gets the first
 * `max_top` of them. */
static inline uint32_t slab_detect_epoch_leaks(SlabAllocator* a, uint32_t threshold_sec, uint32_t max_top, EpochLeakReport* out)
{
    tslab_snapshot* s;
    EpochLeakCandidate* all;
    uint64_t const now = tslab_now_ns();
    uint32_t n = 0, c;
    EpochId i;
    if (out == NULL)
        return 0;
    memset(out, 0, sizeof *out);
    out->version = SLAB_DIAGNOSTICS_VERSION;
    out->threshold_sec = threshold_sec;
    s = tslab_snapshot_take(tslab_temporal_heap(a), false);
    all = (EpochLeakCandidate*)calloc((size_t)TSLAB_TEMPORAL_CLASSES * TSLAB_TEMPORAL_EPOCHS, sizeof *all);
    for (c = 0; s != NULL && all != NULL && c < TSLAB_TEMPORAL_CLASSES; c++)
        for (i = 0; i < TSLAB_TEMPORAL_EPOCHS; i++) {
            SlabEpochStats e;
            EpochLeakCandidate* const to = &all[n];
            tslab_temporal_epoch_stats(s, a, c, i, &e);
            if (e.state != EPOCH_CLOSING || e.alloc_count == 0 || e.open_since_ns == 0 || e.estimated_rss_bytes == 0 ||
                now < e.open_since_ns || (now - e.open_since_ns) / 1000000000u < threshold_sec)
                continue;
            to->class_index = c;
            to->object_size = e.object_size;
            to->epoch_id = i;
            to->epoch_era = e.epoch_era;
            memcpy(to->label, e.label, sizeof to->label);
            to->age_sec = (now - e.open_since_ns) / 1000000000u;
            to->alloc_count = e.alloc_count;
            to->estimated_rss_bytes = e.estimated_rss_bytes;
            to->partial_slab_count = e.partial_slab_count;
            to->full_slab_count = e.full_slab_count;
            to->reclaimable_slab_count = e.reclaimable_slab_count;
            n++;
        }
    tslab_snapshot_free(s);
    if (n == 0 || max_top == 0) {
        free(all);
        out->candidate_count = n;
        return n;
    }
    qsort(all, n, sizeof *all, tslab_temporal_by_bytes);
    out->candidate_count = n;
    out->top_count = n < max_top ? n : max_top;
    out->candidates = all;
    return n;
}

/* Why a class took its slow path. The shares overlap: a miss of the caches is also a thread without a slab. */
typedef struct SlowPathAttribution {
    /* the class, its slow paths, and those of each cause */
    uint32_t class_index;
    uint32_t object_size;
    uint64_t total_slow_path_hits;
    uint64_t cache_miss_count;
    uint64_t epoch_closed_count; /* refusals; they are not among the slow paths here */
    uint64_t partial_null_count;
    uint64_t partial_full_count;
    double cache_miss_pct;
    double epoch_closed_pct;
    double partial_null_pct;
    double partial_full_pct;
    char recommendation[128];
} SlowPathAttribution;

/* An entry for each class. */
typedef struct SlowPathReport {
    /* how many entries follow */
    uint32_t version;
    uint32_t class_count;
    SlowPathAttribution* classes; /* by class */
} SlowPathReport;

/* Tells for each class how often it took its slow path, why, and what to do. One slow path for each slab is normal. */
static inline void slab_analyze_slow_path(SlabAllocator* a, SlowPathReport* out)
{
    tslab_snapshot* s;
    uint32_t c;
    if (out == NULL)
        return;
    memset(out, 0, sizeof *out);
    out->version = SLAB_DIAGNOSTICS_VERSION;
    s = tslab_snapshot_take(tslab_temporal_heap(a), false);
    out->classes = s != NULL ? (SlowPathAttribution*)calloc(TSLAB_TEMPORAL_CLASSES, sizeof *out->classes) : NULL;
    for (c = 0; out->classes != NULL && c < TSLAB_TEMPORAL_CLASSES; c++) {
        SlowPathAttribution* const to = &out->classes[c];
        const char* advice = "one slow path for each slab is normal: nothing to do";
        SlabClassStats of;
        tslab_temporal_class_stats(s, c, &of);
        to->class_index = c;
        to->object_size = of.object_size;
        to->total_slow_path_hits = of.slow_path_hits;
        to->cache_miss_count = of.slow_path_cache_miss;
        to->epoch_closed_count = of.slow_path_epoch_closed;
        to->partial_null_count = of.current_partial_null;
        to->partial_full_count = of.current_partial_full;
        to->cache_miss_pct = 100.0 * tslab_temporal_ratio(to->cache_miss_count, to->total_slow_path_hits);
        to->epoch_closed_pct = 100.0 * tslab_temporal_ratio(to->epoch_closed_count, to->total_slow_path_hits);
        to->partial_null_pct = 100.0 * tslab_temporal_ratio(to->partial_null_count, to->total_slow_path_hits);
        to->partial_full_pct = 100.0 * tslab_temporal_ratio(to->partial_full_count, to->total_slow_path_hits);
        if (to->epoch_closed_count != 0)
            advice = "allocations name epochs that are CLOSING: take the number from epoch_current when a phase begins";
        else if (to->total_slow_path_hits == 0)
            advice = "no slow path";
        else if (to->cache_miss_pct > 50.0)
            advice = "most new slabs come from plain pages: normal while the program grows, else enlarge the caches";
        else if (to->partial_null_pct > 50.0)
            advice = "threads mostly begin without a slab: epochs with few objects each; share an epoch between them";
        (void)snprintf(to->recommendation, sizeof to->recommendation, "%s", advice);
    }
    out->class_count = out->classes != NULL ? TSLAB_TEMPORAL_CLASSES : 0;
    tslab_snapshot_free(s);
}

/* What epoch_close did for an epoch. The figures are of the epoch as a whole. */
typedef struct EpochReclamation {
    uint32_t class_index; /* 8: all classes */
    EpochId epoch_id;
    uint64_t epoch_era;
    uint64_t slabs_recycled;
    uint64_t bytes_madvised;
    uint64_t rss_before;
    uint64_t rss_after;
    int64_t rss_delta; /* below 0: the process became smaller */
    char label[32];
    bool was_closed;
} EpochReclamation;

/* The totals of the allocator, and an entry for each closed epoch. */
typedef struct ReclamationReport {
    /* totals, and how many entries follow */
    uint32_t version;
    uint64_t total_madvise_calls;
    uint64_t total_madvise_bytes;
    uint64_t total_madvise_failures;
    uint32_t epoch_count;
    EpochReclamation* epochs; /* one entry for each number whose epoch was closed by epoch_close */
} ReclamationReport;

/* Tells what closing gave back. */
static inline void slab_analyze_reclamation(SlabAllocator* a, ReclamationReport* out)
{
    SlabGlobalStats g;
    EpochId i;
    if (out == NULL)
        return;
    memset(out, 0, sizeof *out);
    out->version = SLAB_DIAGNOSTICS_VERSION;
    slab_stats_global(a, &g);
    if (tslab_temporal_heap(a) == NULL)
        return;
    out->total_madvise_calls = g.total_madvise_calls;
    out->total_madvise_bytes = g.total_madvise_bytes;
    out->total_madvise_failures = g.total_madvise_failures;
    out->epochs = (EpochReclamation*)calloc(TSLAB_TEMPORAL_EPOCHS, sizeof *out->epochs);
    if (out->epochs == NULL)
        return;
    pthread_mutex_lock(&a->lock);
    for (i = 0; i < TSLAB_TEMPORAL_EPOCHS; i++) {
        const EpochMetadata* const meta = &a->epoch_meta[i];
        EpochReclamation* const to = &out->epochs[out->epoch_count];
        if (meta->rss_before_close == 0 && meta->rss_after_close == 0)
            continue;
        to->class_index = TSLAB_TEMPORAL_CLASSES;
        to->epoch_id = i;
        to->epoch_era = tslab_temporal_load(&a->epoch_era[i]);
        to->slabs_recycled = meta->slabs_recycled;
        to->bytes_madvised = meta->bytes_madvised;
        to->rss_before = meta->rss_before_close;
        to->rss_after = meta->rss_after_close;
        to->rss_delta = (int64_t)meta->rss_after_close - (int64_t)meta->rss_before_close;
        memcpy(to->label, meta->label, sizeof to->label);
        to->was_closed = true;
        out->epoch_count++;
    }
    pthread_mutex_unlock(&a->lock);
}

#endif
