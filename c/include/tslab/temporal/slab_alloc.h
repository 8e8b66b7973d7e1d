/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The specification's functions on allocators, epochs and memory, under its own names, inline over <tslab/tslab.h>. docs/from-c.md says
 * how to port with them, and what is done otherwise here.
 *
 * Functions are thread safe unless they say otherwise. A null allocator, or one that was destroyed, is reported as a bad argument; the
 * line names the function of <tslab/tslab.h> that got it. Memory has the alignment of any fundamental type. */
#ifndef TSLAB_TEMPORAL_SLAB_ALLOC_H
#define TSLAB_TEMPORAL_SLAB_ALLOC_H

#include <tslab/c/numbered.h>

/* Bytes of a page; slabs have one or more. */
#define SLAB_PAGE_SIZE 4096u

/* Names one allocation; 0 names nothing. No handle is issued twice in a process. */
typedef tslab_handle SlabHandle;

/* Counters of a size class. */
typedef struct PerfCounters {
    uint64_t slow_path_hits;
    uint64_t new_slab_count;
    uint64_t list_move_partial_to_full;
    uint64_t list_move_full_to_partial;
    uint64_t current_partial_null;
    uint64_t current_partial_full;
    uint64_t empty_slab_recycled;
    uint64_t empty_slab_overflowed;
} PerfCounters;

/* Allocators. */

/* Makes an allocator in the caller's storage. If that fails, `a->heap` is null, and every use of it is reported. Not thread safe. */
static inline void allocator_init(SlabAllocator* a)
{
    tslab_heap_options o;
    if (a == NULL)
        return;
    memset((void*)a, 0, sizeof *a);
    tslab_heap_options_init(&o);
    o.name = "temporal-slab";
    o.epoch_count = TSLAB_TEMPORAL_RING_SLOTS;
#if defined(ENABLE_SLOWPATH_SAMPLING) && ENABLE_SLOWPATH_SAMPLING
    o.sampling = true;
#endif
    a->heap = tslab_heap_create(&o, NULL);
    if (a->heap == NULL)
        return;
    if (pthread_mutex_init(&a->lock, NULL) != 0) {
        tslab_heap_destroy(a->heap);
        a->heap = NULL;
        return;
    }
    tslab_heap_set_front(a->heap, a);
    a->epoch_count = TSLAB_TEMPORAL_EPOCHS;
    tslab_temporal_store(&a->epochs[0], tslab_temporal_pack(tslab_epoch_current(a->heap)));
    tslab_temporal_copy_label(a->label_registry.labels[0], "(unlabeled)");
    a->label_registry.count = 1;
}

/* Ends an allocator: reports objects that are live and domains that are open, then unmaps everything. Null, and one that is not made, are
 * ignored. Requires: no other thread uses it. */
static inline void allocator_destroy(SlabAllocator* a)
{
    EpochId i;
    if (tslab_temporal_heap(a) == NULL)
        return;
    for (i = 0; i < TSLAB_TEMPORAL_EPOCHS; i++)
        tslab_temporal_release_all(a->heap, a->holds[i]);
    tslab_heap_destroy(a->heap);
    pthread_mutex_destroy(&a->lock);
    memset((void*)a, 0, sizeof *a);
}

/* Makes an allocator. Returns null if memory or address space is out. */
static inline SlabAllocator* slab_allocator_create(void)
{
    SlabAllocator* const a = (SlabAllocator*)malloc(sizeof(SlabAllocator));
    if (a == NULL)
        return NULL;
    allocator_init(a);
    if (a->heap != NULL)
        return a;
    free(a);
    return NULL;
}

/* Ends an allocator that slab_allocator_create made; as allocator_destroy. */
static inline void slab_allocator_free(SlabAllocator* a)
{
    allocator_destroy(a);
    free(a);
}

/* Epochs. */

/* The number of the epoch of allocations that name none. Lock-free. */
static inline EpochId epoch_current(SlabAllocator* a)
{
    return tslab_temporal_heap(a) != NULL ? tslab_temporal_load(&a->current_epoch) : tslab_epoch_current(NULL).index;
}

/* Closes the current epoch and makes the next number the current one, for a new epoch without a label. What that number meant sixteen
 * calls ago is closed as by epoch_close: its objects stay valid, and what is idle in it is reclaimed. Otherwise no system call. */
static inline void epoch_advance(SlabAllocator* a)
{
    struct tslab_temporal_hold* ended;
    tslab_epoch before, now;
    EpochId old, next;
    uint64_t stale, era;
    bool shared;
    if (tslab_temporal_heap(a) == NULL) {
        (void)tslab_epoch_advance(NULL);
        return;
    }
    pthread_mutex_lock(&a->lock);
    old = tslab_temporal_load(&a->current_epoch);
    next = (old + 1) % TSLAB_TEMPORAL_EPOCHS;
    before = tslab_temporal_unpack(tslab_temporal_load(&a->epochs[old]));
    now = tslab_epoch_current(a->heap);
    if (before.index == now.index && before.era == now.era)
        now = tslab_epoch_advance(a->heap);
    /* else the epoch was closed, and the heap has a new current one, which no number means yet */
    stale = tslab_temporal_load(&a->epochs[next]);
    era = tslab_temporal_load(&a->epoch_era_counter) + 1;
    ended = a->holds[next];
    a->holds[next] = NULL;
    memset((void*)&a->epoch_meta[next], 0, sizeof a->epoch_meta[next]);
    a->epoch_meta[next].open_since_ns = tslab_now_ns();
    tslab_temporal_store(&a->epoch_era_counter, era);
    tslab_temporal_store(&a->epoch_state[old], (uint32_t)EPOCH_CLOSING);
    tslab_temporal_store(&a->epochs[next], tslab_temporal_pack(now));
    tslab_temporal_store(&a->epoch_era[next], era);
    tslab_temporal_store(&a->epoch_state[next], (uint32_t)EPOCH_ACTIVE);
    tslab_temporal_store(&a->current_epoch, next);
    shared = stale == 0 || tslab_temporal_is_shared_locked(a, TSLAB_TEMPORAL_EPOCHS, stale);
    pthread_mutex_unlock(&a->lock);
    tslab_temporal_release_all(a->heap, ended);
    if (!shared)
        (void)tslab_epoch_close(a->heap, tslab_temporal_unpack(stale), NULL, 0);
}

/* Turns an epoch CLOSING and reclaims every empty slab of it; live objects stay valid. Allocations that name it are refused until
 * epoch_advance comes by, also if it is the current one. No effect for a number above 15. See tslab_epoch_close. */
static inline void epoch_close(SlabAllocator* a, EpochId epoch)
{
    if (tslab_temporal_heap(a) == NULL)
        (void)tslab_epoch_close(NULL, tslab_temporal_unpack(0), NULL, 0);
    else if (epoch < TSLAB_TEMPORAL_EPOCHS)
        tslab_temporal_close(a, epoch, NULL);
}

/* Labels an epoch. Of the label 31 bytes are kept. Null is ignored, and a number above 15. */
static inline void slab_epoch_set_label(SlabAllocator* a, EpochId epoch, const char* label)
{
    LabelRegistry* names;
    EpochMetadata* meta;
    uint64_t packed;
    uint8_t id;
    if (tslab_temporal_heap(a) == NULL) {
        (void)tslab_epoch_set_label(NULL, tslab_temporal_unpack(0), label);
        return;
    }
    if (epoch >= TSLAB_TEMPORAL_EPOCHS || label == NULL)
        return;
    pthread_mutex_lock(&a->lock);
    names = &a->label_registry;
    meta = &a->epoch_meta[epoch];
    tslab_temporal_copy_label(meta->label, label);
    meta->label_id = 0;
    for (id = 1; id < names->count && meta->label[0] != '\0'; id++)
        if (strcmp(names->labels[id], meta->label) == 0)
            meta->label_id = id;
    if (meta->label_id == 0 && meta->label[0] != '\0' && names->count < TSLAB_TEMPORAL_LABELS) {
        meta->label_id = names->count++;
        tslab_temporal_copy_label(names->labels[meta->label_id], meta->label);
    }
    packed = tslab_temporal_load(&a->epochs[epoch]);
    if (packed != 0 && !tslab_temporal_is_shared_locked(a, epoch, packed))
        (void)tslab_epoch_set_label(a->heap, tslab_temporal_unpack(packed), label);
    pthread_mutex_unlock(&a->lock);
}

/* How many domains and references are inside an epoch; 0 for a number above 15. Lock-free. */
static inline uint64_t slab_epoch_get_refcount(SlabAllocator* a, EpochId epoch)
{
    uint64_t packed;
    if (tslab_temporal_heap(a) == NULL || epoch >= TSLAB_TEMPORAL_EPOCHS)
        return tslab_temporal_heap(a) == NULL ? tslab_epoch_refcount(NULL, tslab_temporal_unpack(0)) : 0;
    packed = tslab_temporal_load(&a->epochs[epoch]);
    return packed != 0 ? tslab_epoch_refcount(a->heap, tslab_temporal_unpack(packed)) : 0;
}

/* Refers to an epoch once more, for no thread: a domain that leaves does not close it. epoch_advance ends the references of the number
 * that it comes to. Nothing is referred to if memory is out, or for a number above 15. */
static inline void slab_epoch_inc_refcount(SlabAllocator* a, EpochId epoch)
{
    struct tslab_temporal_hold* made;
    tslab_epoch e;
    if (tslab_temporal_heap(a) == NULL || epoch >= TSLAB_TEMPORAL_EPOCHS) {
        if (tslab_temporal_heap(a) == NULL)
            (void)tslab_epoch_refcount(NULL, tslab_temporal_unpack(0));
        return;
    }
    made = (struct tslab_temporal_hold*)malloc(sizeof *made);
    if (made == NULL)
        return;
    made->next = NULL;
    e = tslab_temporal_epoch(a, epoch);
    if (tslab_epoch_hold(a->heap, e, &made->hold, NULL)) {
        pthread_mutex_lock(&a->lock);
        if (tslab_temporal_load(&a->epochs[epoch]) == tslab_temporal_pack(e)) {
            made->next = a->holds[epoch];
            a->holds[epoch] = made;
            made = NULL;
        }
        pthread_mutex_unlock(&a->lock);
        tslab_temporal_release_all(a->heap, made); /* epoch_advance came by meanwhile */
        return;
    }
    free(made);
}

/* Ends one reference of slab_epoch_inc_refcount; none is ignored. Thread safe, on any thread. */
static inline void slab_epoch_dec_refcount(SlabAllocator* a, EpochId epoch)
{
    struct tslab_temporal_hold* ended;
    if (tslab_temporal_heap(a) == NULL || epoch >= TSLAB_TEMPORAL_EPOCHS) {
        if (tslab_temporal_heap(a) == NULL)
            (void)tslab_epoch_refcount(NULL, tslab_temporal_unpack(0));
        return;
    }
    pthread_mutex_lock(&a->lock);
    ended = a->holds[epoch];
    if (ended != NULL) {
        a->holds[epoch] = ended->next;
        ended->next = NULL;
    }
    pthread_mutex_unlock(&a->lock);
    tslab_temporal_release_all(a->heap, ended);
}

/* Returns the claims of idle threads in an epoch, which stays open. epoch_close does it too. */
static inline void tls_flush_epoch_all_threads(SlabAllocator* a, uint32_t epoch)
{
    uint64_t packed;
    if (tslab_temporal_heap(a) == NULL || epoch >= TSLAB_TEMPORAL_EPOCHS) {
        if (tslab_temporal_heap(a) == NULL)
            (void)tslab_epoch_trim(NULL, tslab_temporal_unpack(0), NULL, 0);
        return;
    }
    packed = tslab_temporal_load(&a->epochs[epoch]);
    if (packed != 0)
        (void)tslab_epoch_trim(a->heap, tslab_temporal_unpack(packed), NULL, 0);
}

#include <tslab/c/numbered_memory.h>

#endif
