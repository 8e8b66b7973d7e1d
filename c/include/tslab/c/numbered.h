/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sixteen epochs by number, over the epochs of a heap: what <tslab/temporal_slab.h> is made of. Not to be included by itself.
 *
 * A heap has a ring of many epochs, and an era for each use of a slot, so that no name comes twice. The specification has sixteen numbers,
 * which are used again. A SlabAllocator maps a number to the epoch that it means now:
 *
 *     number            epoch
 *     0 at first        the heap's first current epoch
 *     another one       opened at the first use of the number
 *     epoch_advance     the next number means the heap's next current epoch; what the number meant before is closed
 *     epoch_close       the number keeps its epoch, which is CLOSING, until epoch_advance comes by
 *
 * Where the heap's ring is full, a number shares the heap's current epoch (counted as `ring_exhausted`).
 *
 * Readers of the map take no lock. `lock` orders the functions that change it; no system call and no allocation of the heap is made under
 * it, except what opening an epoch takes. A thread that forks while another one is inside such a function leaves the child's lock taken. */
#ifndef TSLAB_C_NUMBERED_H
#define TSLAB_C_NUMBERED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tslab/tslab.h>

#ifdef __cplusplus
/* An object that several threads read and write, and its load with acquire and store with release. C++ has no _Atomic. */
#define TSLAB_TEMPORAL_ATOMIC(type) type
#define tslab_temporal_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define tslab_temporal_store(p, value) __atomic_store_n((p), (value), __ATOMIC_RELEASE)
#else
#include <stdatomic.h>
/* An object that several threads read and write, and its load with acquire and store with release. */
#define TSLAB_TEMPORAL_ATOMIC(type) _Atomic(type)
#define tslab_temporal_load(p) atomic_load_explicit((p), memory_order_acquire)
#define tslab_temporal_store(p, value) atomic_store_explicit((p), (value), memory_order_release)
#endif

#ifndef TSLAB_TEMPORAL_RING_SLOTS
/* Slots of the heap's ring, at most 65,536: epochs that may be in use at once, those that objects outlive among them. Each takes 3 KiB once
 * it was used. A program may define another number before it includes the header. */
#define TSLAB_TEMPORAL_RING_SLOTS 256
#endif
/* Numbers of epochs, of labels, of size classes; the most bytes of an object by handle and by pointer. */
#define TSLAB_TEMPORAL_EPOCHS 16u
#define TSLAB_TEMPORAL_LABELS 16u
#define TSLAB_TEMPORAL_CLASSES 8u
#define TSLAB_TEMPORAL_MOST_BY_HANDLE 768u
#define TSLAB_TEMPORAL_MOST_BY_POINTER 504u

/* The number of an epoch, 0 to 15. */
typedef uint32_t EpochId;

/* Whether an epoch serves allocations. */
typedef enum EpochLifecycleState {
    EPOCH_ACTIVE = 0,
    EPOCH_CLOSING = 1
} EpochLifecycleState;

/* What is known of the epoch that a number means. Guarded by the allocator's lock. */
typedef struct EpochMetadata {
    uint64_t open_since_ns;    /* now_ns() when epoch_advance came by; 0: never */
    char label[32];            /* terminated */
    uint8_t label_id;          /* in the registry; 0: none, or no number was left */
    uint64_t rss_before_close; /* resident bytes of the process when epoch_close began; 0: not closed so */
    uint64_t rss_after_close;  /* and when it returned */
    uint64_t slabs_recycled;   /* by those calls of epoch_close */
    uint64_t bytes_madvised;   /* handed to the kernel by them */
} EpochMetadata;

/* Names of labels by number. Guarded by the allocator's lock. */
typedef struct LabelRegistry {
    char labels[TSLAB_TEMPORAL_LABELS][32]; /* terminated; 0 is "(unlabeled)" */
    uint8_t count;
} LabelRegistry;

/* A reference of slab_epoch_inc_refcount. */
struct tslab_temporal_hold {
    tslab_hold hold;
    struct tslab_temporal_hold* next;
};

/* A heap with sixteen numbered epochs. It must not be moved or copied. Use functions; members are for those who know them. */
typedef struct SlabAllocator {
    tslab_heap* heap; /* first, so that the heap's front is a tslab::allocator of <tslab/tslab.hpp>; null: not made, or destroyed */
    uint32_t epoch_count;
    TSLAB_TEMPORAL_ATOMIC(uint32_t) current_epoch;
    TSLAB_TEMPORAL_ATOMIC(uint64_t) epochs[TSLAB_TEMPORAL_EPOCHS];      /* ring slot in 16 bits, era above; 0: not opened */
    TSLAB_TEMPORAL_ATOMIC(uint32_t) epoch_state[TSLAB_TEMPORAL_EPOCHS]; /* EpochLifecycleState */
    TSLAB_TEMPORAL_ATOMIC(uint64_t) epoch_era_counter;                  /* calls of epoch_advance */
    TSLAB_TEMPORAL_ATOMIC(uint64_t) epoch_era[TSLAB_TEMPORAL_EPOCHS];   /* that count when it came by; 0: never */
    EpochMetadata epoch_meta[TSLAB_TEMPORAL_EPOCHS];
    LabelRegistry label_registry;
    struct tslab_temporal_hold* holds[TSLAB_TEMPORAL_EPOCHS]; /* of slab_epoch_inc_refcount */
    pthread_mutex_t lock;
} SlabAllocator;

/* The heap; null if there is none. */
static inline tslab_heap* tslab_temporal_heap(const SlabAllocator* a) { return a != NULL ? a->heap : NULL; }

/* The name of an epoch as one word, and back: eras have 48 bits, ring slots 16. */
static inline uint64_t tslab_temporal_pack(tslab_epoch e) { return e.era << 16 | e.index; }
static inline tslab_epoch tslab_temporal_unpack(uint64_t packed)
{
    tslab_epoch e;
    e.index = (uint32_t)(packed & 0xffff);
    e.era = packed >> 16;
    return e;
}

/* Copies a text of at most 31 bytes, terminated. */
static inline void tslab_temporal_copy_label(char* to, const char* from)
{
    size_t n = 0;
    for (; n < 31 && from[n] != '\0'; n++)
        to[n] = from[n];
    memset(to + n, 0, 32 - n);
}

/* Opens the epoch that a number means. The caller has the lock. */
static inline void tslab_temporal_open_locked(SlabAllocator* a, EpochId i)
{
    tslab_epoch e;
    if (tslab_temporal_load(&a->epochs[i]) != 0)
        return;
    (void)tslab_epoch_open(a->heap, a->epoch_meta[i].label, &e); /* or the current one, if no ring slot is free */
    tslab_temporal_store(&a->epochs[i], tslab_temporal_pack(e));
}

/* The epoch that a number means, opened if it was not. Requires: a heap, and i < 16. */
static inline tslab_epoch tslab_temporal_epoch(SlabAllocator* a, EpochId i)
{
    uint64_t packed = tslab_temporal_load(&a->epochs[i]);
    if (packed == 0) {
        pthread_mutex_lock(&a->lock);
        tslab_temporal_open_locked(a, i);
        packed = tslab_temporal_load(&a->epochs[i]);
        pthread_mutex_unlock(&a->lock);
    }
    return tslab_temporal_unpack(packed);
}

/* Whether another number than `i` that is ACTIVE means the same epoch: the ring was full. The caller has the lock. */
static inline bool tslab_temporal_is_shared_locked(SlabAllocator* a, EpochId i, uint64_t packed)
{
    EpochId other;
    for (other = 0; other < TSLAB_TEMPORAL_EPOCHS; other++)
        if (other != i && tslab_temporal_load(&a->epochs[other]) == packed &&
            tslab_temporal_load(&a->epoch_state[other]) == (uint32_t)EPOCH_ACTIVE)
            return true;
    return false;
}

/* Ends a list of holds. */
static inline void tslab_temporal_release_all(tslab_heap* heap, struct tslab_temporal_hold* first)
{
    while (first != NULL) {
        struct tslab_temporal_hold* const next = first->next;
        tslab_epoch_release(heap, &first->hold, false);
        free(first);
        first = next;
    }
}

/* epoch_close, if `era` is null or the number's era. */
static inline void tslab_temporal_close(SlabAllocator* a, EpochId i, const uint64_t* era)
{
    tslab_close_report r;
    uint64_t packed;
    bool shared;
    uint64_t const rss_before = tslab_read_rss_bytes();
    memset(&r, 0, sizeof r);
    pthread_mutex_lock(&a->lock);
    if (era != NULL && tslab_temporal_load(&a->epoch_era[i]) != *era) {
        pthread_mutex_unlock(&a->lock);
        return;
    }
    tslab_temporal_open_locked(a, i); /* so that what is refused from now on is counted */
    packed = tslab_temporal_load(&a->epochs[i]);
    tslab_temporal_store(&a->epoch_state[i], (uint32_t)EPOCH_CLOSING);
    shared = tslab_temporal_is_shared_locked(a, i, packed);
    pthread_mutex_unlock(&a->lock);
    if (shared)
        (void)tslab_epoch_trim(a->heap, tslab_temporal_unpack(packed), &r, sizeof r);
    else
        (void)tslab_epoch_close(a->heap, tslab_temporal_unpack(packed), &r, sizeof r);
    pthread_mutex_lock(&a->lock);
    if (tslab_temporal_load(&a->epochs[i]) == packed) {
        EpochMetadata* const meta = &a->epoch_meta[i];
        meta->rss_before_close = r.rss_before != 0 ? r.rss_before : rss_before;
        meta->rss_after_close = r.rss_after != 0 ? r.rss_after : tslab_read_rss_bytes();
        meta->slabs_recycled += r.recycled_slabs;
        meta->bytes_madvised += r.madvise_bytes;
    }
    pthread_mutex_unlock(&a->lock);
}

#endif
