/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The specification's domains: holds of a scope on a numbered epoch. Functions are for the thread that made the domain, unless they say
 * otherwise; another thread, a wrong order, an exit too many and a domain destroyed while entered are reported, as from C++. */
#ifndef TSLAB_TEMPORAL_EPOCH_DOMAIN_H
#define TSLAB_TEMPORAL_EPOCH_DOMAIN_H

#include "slab_alloc.h"

/* A hold on an epoch. Members are to be read only. */
typedef struct epoch_domain {
    /* what it holds, since when, and how often the thread is inside */
    SlabAllocator* alloc;
    EpochId epoch_id;
    uint64_t epoch_era; /* of the number, when the domain was made */
    uint32_t refcount;  /* enters without an exit */
    bool auto_close;
    pthread_t owner_tid;
    tslab_domain domain;
} epoch_domain_t;

/* A domain around an existing epoch, not entered. `auto_close`: the last exit closes the epoch, if the number still means it and nothing
 * else is inside. Returns null if memory is out, for a number above 15, and for a bad allocator. */
static inline epoch_domain_t* epoch_domain_wrap(SlabAllocator* a, EpochId epoch_id, bool auto_close)
{
    tslab_domain_options o;
    tslab_epoch e;
    epoch_domain_t* d;
    if (tslab_temporal_heap(a) == NULL) {
        tslab_domain none;
        (void)tslab_domain_wrap(&none, NULL, tslab_temporal_unpack(0), NULL, 0);
        return NULL;
    }
    if (epoch_id >= TSLAB_TEMPORAL_EPOCHS)
        return NULL;
    d = (epoch_domain_t*)malloc(sizeof *d);
    if (d == NULL)
        return NULL;
    d->alloc = a;
    d->epoch_id = epoch_id;
    d->refcount = 0;
    d->auto_close = auto_close;
    d->owner_tid = pthread_self();
    pthread_mutex_lock(&a->lock);
    tslab_temporal_open_locked(a, epoch_id);
    e = tslab_temporal_unpack(tslab_temporal_load(&a->epochs[epoch_id]));
    d->epoch_era = tslab_temporal_load(&a->epoch_era[epoch_id]);
    pthread_mutex_unlock(&a->lock);
    o.label = NULL;
    o.keep_open = true; /* closed by number: see epoch_domain_exit */
    (void)tslab_domain_wrap(&d->domain, a->heap, e, &o, sizeof o);
    return d;
}

/* A domain around the current epoch, whose exit does not close it. */
static inline epoch_domain_t* epoch_domain_create(SlabAllocator* a)
{
    return epoch_domain_wrap(a, tslab_temporal_heap(a) != NULL ? epoch_current(a) : 0, false);
}

/* Enters; the domain becomes the thread's current one. May be repeated. No effect if memory is out. `at`: the place that leak reports
 * name, or null. */
static inline void epoch_domain_enter_at(epoch_domain_t* d, const tslab_place* at)
{
    if (d == NULL || !pthread_equal(d->owner_tid, pthread_self())) {
        (void)tslab_domain_enter(d != NULL ? &d->domain : NULL, at); /* reports it */
        return;
    }
    if (tslab_domain_enter(&d->domain, at) && d->refcount == 0)
        tslab_domain_set_context(&d->domain, d);
    d->refcount = tslab_domain_depth(&d->domain);
}
/* The same. In C a call passes its own place. */
static inline void epoch_domain_enter(epoch_domain_t* d) { epoch_domain_enter_at(d, NULL); }
#ifndef __cplusplus
/* The same with the place of the call. */
#define epoch_domain_enter(domain) epoch_domain_enter_at((domain), TSLAB_HERE)
#endif

/* Leaves once; the last exit closes the epoch if `auto_close` says so. */
static inline void epoch_domain_exit(epoch_domain_t* d)
{
    uint32_t before;
    if (d == NULL || !pthread_equal(d->owner_tid, pthread_self())) {
        tslab_domain_exit(d != NULL ? &d->domain : NULL); /* reports it */
        return;
    }
    before = d->refcount;
    tslab_domain_exit(&d->domain);
    d->refcount = tslab_domain_depth(&d->domain);
    if (before != 0 && d->refcount == 0 && d->auto_close &&
        tslab_epoch_refcount(d->alloc->heap, tslab_domain_epoch(&d->domain)) == 0)
        tslab_temporal_close(d->alloc, d->epoch_id, &d->epoch_era);
}

/* The domain that the calling thread entered last and has not left; null outside of all, and inside of a scope or a domain of
 * <tslab/tslab.h> or C++ code that was entered later. */
static inline epoch_domain_t* epoch_domain_current(void)
{
    epoch_domain_t* const d = (epoch_domain_t*)tslab_domain_current_context();
    return d != NULL && &d->domain == tslab_domain_current() ? d : NULL;
}

/* Its allocator, or null. */
static inline SlabAllocator* epoch_domain_allocator(void)
{
    epoch_domain_t* const d = epoch_domain_current();
    return d != NULL ? d->alloc : NULL;
}

/* Ends a domain; null is ignored. With `auto_close` it closes the epoch, if the number still means it and nothing is inside. A domain that
 * is entered is reported, and left first. On another thread it is reported, and nothing changes. */
static inline void epoch_domain_destroy(epoch_domain_t* d)
{
    tslab_epoch e;
    if (d == NULL)
        return;
    if (!pthread_equal(d->owner_tid, pthread_self())) {
        tslab_domain_exit(&d->domain); /* reports it */
        return;
    }
    e = tslab_domain_epoch(&d->domain);
    tslab_domain_end(&d->domain);
    if (d->auto_close && tslab_epoch_refcount(d->alloc->heap, e) == 0)
        tslab_temporal_close(d->alloc, d->epoch_id, &d->epoch_era);
    free(d);
}

/* Closes the epoch now, if the number still means it, even if others are inside. On another thread it is reported, without effect. */
static inline void epoch_domain_force_close(epoch_domain_t* d)
{
    if (d == NULL || !pthread_equal(d->owner_tid, pthread_self()))
        tslab_domain_exit(d != NULL ? &d->domain : NULL); /* reports it */
    else
        tslab_temporal_close(d->alloc, d->epoch_id, &d->epoch_era);
}

/* The shorter names. */
static inline void domain_enter(epoch_domain_t* d) { epoch_domain_enter_at(d, NULL); }
static inline void domain_exit(epoch_domain_t* d) { epoch_domain_exit(d); }

/* The number of the label of the epoch that the thread's current domain is in, if that is one of `a`; else 0. */
static inline uint8_t current_label_id(SlabAllocator* a)
{
    epoch_domain_t* const d = epoch_domain_current();
    uint8_t id = 0;
    if (d == NULL || d->alloc != a)
        return 0;
    pthread_mutex_lock(&a->lock);
    if (tslab_temporal_load(&a->epoch_era[d->epoch_id]) == d->epoch_era)
        id = a->epoch_meta[d->epoch_id].label_id;
    pthread_mutex_unlock(&a->lock);
    return id;
}

#endif
