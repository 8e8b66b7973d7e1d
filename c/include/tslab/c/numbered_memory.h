/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory of numbered epochs, and what is read from the system. Part of <tslab/temporal/slab_alloc.h>, which is to be
 * included. */
#ifndef TSLAB_C_NUMBERED_MEMORY_H
#define TSLAB_C_NUMBERED_MEMORY_H

/* Whether the epoch `e` that the number `epoch` means may be allocated from: not if the number is CLOSING while its epoch is not, because
 * another number shares it. */
static inline bool tslab_temporal_serves(SlabAllocator* a, EpochId epoch, tslab_epoch e)
{
    return tslab_temporal_load(&a->epoch_state[epoch]) == (uint32_t)EPOCH_ACTIVE || !tslab_epoch_is_active(a->heap, e);
}

/* Allocates `size` bytes, 1 to 768, in an epoch, and sets `*out_handle`. Returns null, with the handle 0, for another size, a number above
 * 15, an epoch that is CLOSING (which is counted, but for the moment in which it closes), and if memory is out. A null `out_handle` is reported. */
static inline void* alloc_obj_epoch(SlabAllocator* a, uint32_t size, EpochId epoch, SlabHandle* out_handle)
{
    if (tslab_temporal_heap(a) == NULL)
        return tslab_allocate(NULL, size, tslab_temporal_unpack(0), out_handle);
    if (size - 1 < TSLAB_TEMPORAL_MOST_BY_HANDLE && epoch < TSLAB_TEMPORAL_EPOCHS) {
        tslab_epoch const e = tslab_temporal_epoch(a, epoch);
        if (tslab_temporal_serves(a, epoch, e))
            return tslab_allocate(a->heap, size, e, out_handle);
    }
    if (out_handle != NULL)
        *out_handle = 0;
    return NULL;
}

/* The same in the current epoch: if another thread advances meanwhile, in the new one. */
static inline void* alloc_obj(SlabAllocator* a, uint32_t size, SlabHandle* out_handle)
{
    for (;;) {
        EpochId const epoch = epoch_current(a);
        void* const p = alloc_obj_epoch(a, size, epoch, out_handle);
        if (p != NULL || tslab_temporal_heap(a) == NULL || tslab_temporal_load(&a->current_epoch) == epoch)
            return p;
    }
}

/* Frees by handle, on any thread. Returns false, without effect, for a handle that names no live object of this allocator: freed before,
 * another allocator's, or damaged. That is counted. */
static inline bool free_obj(SlabAllocator* a, SlabHandle handle)
{
    return tslab_free_handle(tslab_temporal_heap(a), handle) == TSLAB_FREE_OK;
}

/* Allocates `size` bytes, 1 to 504, in an epoch; null as alloc_obj_epoch. Sizes are rounded up to the eight classes of the specification,
 * so that their statistics have all of them. */
static inline void* slab_malloc_epoch(SlabAllocator* a, size_t size, EpochId epoch)
{
    static const uint16_t classes[] = {64, 96, 128, 192, 256, 384, 512};
    tslab_epoch e;
    size_t i = 0;
    if (tslab_temporal_heap(a) == NULL)
        return tslab_malloc_in(NULL, size, tslab_temporal_unpack(0));
    if (size - 1 >= TSLAB_TEMPORAL_MOST_BY_POINTER || epoch >= TSLAB_TEMPORAL_EPOCHS)
        return NULL;
    while (classes[i] < size)
        i++;
    e = tslab_temporal_epoch(a, epoch);
    return tslab_temporal_serves(a, epoch, e) ? tslab_malloc_in(a->heap, classes[i], e) : NULL;
}

/* The same in the current epoch: if another thread advances meanwhile, in the new one. */
static inline void* slab_malloc(SlabAllocator* a, size_t size)
{
    for (;;) {
        EpochId const epoch = epoch_current(a);
        void* const p = slab_malloc_epoch(a, size, epoch);
        if (p != NULL || tslab_temporal_heap(a) == NULL || tslab_temporal_load(&a->current_epoch) == epoch)
            return p;
    }
}

/* Frees memory of slab_malloc or slab_malloc_epoch, on any thread. Null is ignored; another pointer that is no live allocation is reported
 * and nothing changes. */
static inline void slab_free(SlabAllocator* a, void* pointer) { tslab_free(tslab_temporal_heap(a), pointer); }

/* Objects in a slab of the class that serves `size`; 0 for 0, and above 65,536 bytes, which have pages of their own. */
static inline uint32_t slab_object_count(uint32_t size)
{
    tslab_size_class c;
    tslab_size_class_of(size, size - 1 < TSLAB_TEMPORAL_MOST_BY_HANDLE, &c, sizeof c);
    return size != 0 ? c.objects_per_slab : 0;
}

/* Counters of a size class, 0 to 7. No effect for another one, or a null `out`. Takes a snapshot: linear in the pages ever used. */
static inline void get_perf_counters(SlabAllocator* a, uint32_t size_class, PerfCounters* out)
{
    tslab_snapshot* s;
    tslab_class_stats c;
    if (size_class >= TSLAB_TEMPORAL_CLASSES || out == NULL)
        return;
    s = tslab_snapshot_take(tslab_temporal_heap(a), false);
    if (s == NULL)
        return;
    if (tslab_snapshot_class(s, size_class, &c, sizeof c)) {
        out->slow_path_hits = c.slow_path_hits;
        out->new_slab_count = c.new_slab_count;
        out->list_move_partial_to_full = c.list_move_partial_to_full;
        out->list_move_full_to_partial = c.list_move_full_to_partial;
        out->current_partial_null = c.current_partial_null;
        out->current_partial_full = c.current_partial_full;
        out->empty_slab_recycled = c.empty_slab_recycled;
        out->empty_slab_overflowed = c.empty_slab_overflowed;
    }
    tslab_snapshot_free(s);
}

/* Resident bytes of the process; 0 if it cannot be read. */
static inline uint64_t read_rss_bytes_linux(void) { return tslab_read_rss_bytes(); }
/* CLOCK_MONOTONIC in nanoseconds; the coarse one is as old as a timer tick, and cheaper. */
static inline uint64_t now_ns(void) { return tslab_now_ns(); }
static inline uint64_t now_ns_coarse(void) { return tslab_now_ns_coarse(); }

#endif
