/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * How the specification's statistics follow from a snapshot. Part of <tslab/temporal/slab_stats.h>, which is to be included. Snapshots may
 * be null: then the figures are zeros. */
#ifndef TSLAB_C_NUMBERED_STATS_H
#define TSLAB_C_NUMBERED_STATS_H

/* 0 if `by` is. */
static inline double tslab_temporal_ratio(uint64_t of, uint64_t by) { return by != 0 ? (double)of / (double)by : 0.0; }

/* Bytes of a page. */
static inline uint64_t tslab_temporal_page_size(const tslab_snapshot* s)
{
    tslab_snapshot_info about;
    return tslab_snapshot_about(s, &about, sizeof about) ? about.page_size : 0;
}

/* slab_stats_global, of a snapshot. */
static inline void tslab_temporal_global_stats(const tslab_snapshot* s, SlabAllocator* a, SlabGlobalStats* out)
{
    tslab_global_stats g;
    EpochId i;
    memset(out, 0, sizeof *out);
    if (s == NULL || !tslab_snapshot_global(s, &g, sizeof g))
        return;
    out->version = SLAB_STATS_VERSION;
    out->current_epoch = epoch_current(a);
    for (i = 0; i < TSLAB_TEMPORAL_EPOCHS; i++)
        if (tslab_temporal_load(&a->epoch_state[i]) == (uint32_t)EPOCH_ACTIVE)
            out->active_epoch_count++;
        else
            out->closing_epoch_count++;
    out->total_slabs_allocated = g.slabs_allocated;
    out->total_slabs_recycled = g.slabs_recycled;
    out->net_slabs = g.slabs_in_use;
    out->rss_bytes_current = g.rss_bytes;
    out->estimated_slab_rss_bytes = g.slab_pages * tslab_temporal_page_size(s);
    out->total_slow_path_hits = g.slow_path_hits;
    out->total_cache_overflows = g.cache_overflows;
    out->total_slow_cache_miss = g.slow_path_cache_miss;
    out->total_slow_epoch_closed = g.slow_path_epoch_closed;
    out->total_madvise_calls = g.madvise_calls;
    out->total_madvise_bytes = g.madvise_bytes;
    out->total_madvise_failures = g.madvise_failures;
    out->total_bitmap_alloc_cas_retries = g.bitmap_alloc_cas_retries;
    out->total_bitmap_free_cas_retries = g.bitmap_free_cas_retries;
    out->total_current_partial_cas_failures = g.current_partial_cas_failures;
    out->total_bitmap_alloc_attempts = g.bitmap_alloc_attempts;
    out->total_bitmap_free_attempts = g.bitmap_free_attempts;
    out->total_current_partial_cas_attempts = g.current_partial_cas_attempts;
}

/* slab_stats_class, of a snapshot. */
static inline void tslab_temporal_class_stats(const tslab_snapshot* s, uint32_t size_class, SlabClassStats* out)
{
    tslab_class_stats c;
    tslab_contention_stats by_label;
    uint64_t slabs, slab_bytes;
    uint32_t label;
    memset(out, 0, sizeof *out);
    if (s == NULL || size_class >= TSLAB_TEMPORAL_CLASSES || !tslab_snapshot_class(s, size_class, &c, sizeof c))
        return;
    slabs = c.partial_slabs + c.full_slabs;
    slab_bytes = c.pages_per_slab * tslab_temporal_page_size(s);
    out->version = SLAB_STATS_VERSION;
    out->class_index = c.class_index;
    out->object_size = c.object_size;
    out->slow_path_hits = c.slow_path_hits;
    out->new_slab_count = c.new_slab_count;
    out->list_move_partial_to_full = c.list_move_partial_to_full;
    out->list_move_full_to_partial = c.list_move_full_to_partial;
    out->current_partial_null = c.current_partial_null;
    out->current_partial_full = c.current_partial_full;
    out->empty_slab_recycled = c.empty_slab_recycled;
    out->empty_slab_overflowed = c.empty_slab_overflowed;
    out->slow_path_cache_miss = c.slow_path_cache_miss;
    out->slow_path_epoch_closed = c.slow_path_epoch_closed;
    out->madvise_calls = c.madvise_calls;
    out->madvise_bytes = c.madvise_bytes;
    out->madvise_failures = c.madvise_failures;
    out->epoch_close_calls = c.epoch_close_calls;
    out->epoch_close_scanned_slabs = c.epoch_close_scanned_slabs;
    out->epoch_close_recycled_slabs = c.epoch_close_recycled_slabs;
    out->epoch_close_total_ns = c.epoch_close_total_ns;
    out->bitmap_alloc_cas_retries = c.contention.bitmap_alloc_cas_retries;
    out->bitmap_free_cas_retries = c.contention.bitmap_free_cas_retries;
    out->current_partial_cas_failures = c.current_partial_lost_races + c.current_partial_mismatches;
    out->bitmap_alloc_attempts = c.bitmap_alloc_attempts;
    out->bitmap_free_attempts = c.bitmap_free_attempts;
    out->current_partial_cas_attempts = c.current_partial_cas_attempts;
    out->lock_fast_acquire = c.contention.lock_fast_acquire;
    out->lock_contended = c.contention.lock_contended;
    out->scan_adapt_checks = (uint32_t)c.scan_adapt_checks;
    out->scan_adapt_switches = (uint32_t)c.scan_adapt_switches;
    out->scan_mode = c.scan_rotated_threads != 0 ? 1 : 0;
    out->committed_bytes = (slabs + c.cached_slabs) * slab_bytes + c.cache_overflow_len * tslab_temporal_page_size(s);
    out->live_bytes = c.live_bytes;
    out->empty_slabs_count = c.empty_slabs;
    out->avg_alloc_cas_retries_per_attempt = tslab_temporal_ratio(out->bitmap_alloc_cas_retries, out->bitmap_alloc_attempts);
    out->avg_free_cas_retries_per_attempt = tslab_temporal_ratio(out->bitmap_free_cas_retries, out->bitmap_free_attempts);
    out->current_partial_cas_failure_rate =
        tslab_temporal_ratio(out->current_partial_cas_failures, out->current_partial_cas_attempts);
    out->lock_contention_rate = tslab_temporal_ratio(out->lock_contended, out->lock_fast_acquire + out->lock_contended);
    for (label = 0; label < TSLAB_TEMPORAL_LABELS; label++)
        if (tslab_snapshot_class_label(s, size_class, label, &by_label, sizeof by_label)) {
            out->lock_fast_acquire_by_label[label] = by_label.lock_fast_acquire;
            out->lock_contended_by_label[label] = by_label.lock_contended;
            out->bitmap_alloc_cas_retries_by_label[label] = by_label.bitmap_alloc_cas_retries;
            out->bitmap_free_cas_retries_by_label[label] = by_label.bitmap_free_cas_retries;
        }
    out->cache_size = (uint32_t)c.cache_size;
    out->cache_capacity = (uint32_t)c.cache_capacity;
    out->cache_overflow_len = (uint32_t)c.cache_overflow_len;
    out->total_partial_slabs = (uint32_t)c.partial_slabs;
    out->total_full_slabs = (uint32_t)c.full_slabs;
    out->recycle_rate_pct =
        100.0 * tslab_temporal_ratio(c.empty_slab_recycled, c.empty_slab_recycled + c.empty_slab_overflowed);
    out->net_slabs = slabs;
    out->estimated_rss_bytes = slabs * slab_bytes;
}

/* The part of a class in the epoch `e` of a snapshot, and the live objects of the whole epoch. All zeros if it holds nothing. */
static inline void tslab_temporal_share(const tslab_snapshot* s, tslab_epoch e, uint32_t size_class, tslab_class_share* share,
                                        uint64_t* live)
{
    tslab_epoch_stats of;
    size_t i, c;
    memset(share, 0, sizeof *share);
    *live = 0;
    for (i = 0; i < tslab_snapshot_epochs(s); i++) {
        if (!tslab_snapshot_epoch(s, i, &of, sizeof of) || of.index != e.index || of.era != e.era)
            continue;
        *live = of.live_objects;
        for (c = 0; c < tslab_snapshot_epoch_classes(s, i); c++)
            if (tslab_snapshot_epoch_class(s, i, c, share, sizeof *share) && share->class_index == size_class)
                return;
        memset(share, 0, sizeof *share);
        return;
    }
}

/* slab_stats_epoch, of a snapshot. */
static inline void tslab_temporal_epoch_stats(const tslab_snapshot* s, SlabAllocator* a, uint32_t size_class, EpochId epoch,
                                              SlabEpochStats* out)
{
    tslab_class_stats c;
    tslab_class_share share;
    uint64_t packed, slab_bytes;
    const EpochMetadata* meta;
    memset(out, 0, sizeof *out);
    if (s == NULL || size_class >= TSLAB_TEMPORAL_CLASSES || epoch >= TSLAB_TEMPORAL_EPOCHS ||
        !tslab_snapshot_class(s, size_class, &c, sizeof c))
        return;
    out->version = SLAB_STATS_VERSION;
    out->class_index = c.class_index;
    out->object_size = c.object_size;
    out->epoch_id = epoch;
    pthread_mutex_lock(&a->lock);
    packed = tslab_temporal_load(&a->epochs[epoch]);
    meta = &a->epoch_meta[epoch];
    out->epoch_era = tslab_temporal_load(&a->epoch_era[epoch]);
    out->state = (EpochLifecycleState)tslab_temporal_load(&a->epoch_state[epoch]);
    out->open_since_ns = meta->open_since_ns;
    memcpy(out->label, meta->label, sizeof out->label);
    out->rss_before_close = meta->rss_before_close;
    out->rss_after_close = meta->rss_after_close;
    pthread_mutex_unlock(&a->lock);
    tslab_temporal_share(s, tslab_temporal_unpack(packed), size_class, &share, &out->alloc_count);
    slab_bytes = c.pages_per_slab * tslab_temporal_page_size(s);
    out->partial_slab_count = (uint32_t)(share.slabs - share.full_slabs);
    out->full_slab_count = (uint32_t)share.full_slabs;
    out->estimated_rss_bytes = share.slabs * slab_bytes;
    out->reclaimable_slab_count = (uint32_t)share.empty_slabs;
    out->reclaimable_bytes = share.empty_slabs * slab_bytes;
}

#endif
