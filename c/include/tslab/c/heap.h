/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Heaps, epochs, and memory by pointer and by handle. */
#ifndef TSLAB_C_HEAP_H
#define TSLAB_C_HEAP_H

#include <tslab/c/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What happens to empty slabs and free pages; docs/memory.md. */
typedef enum tslab_reclaim {
    TSLAB_RECLAIM_EAGER = 0,  /* nothing is cached; every close purges all free pages */
    TSLAB_RECLAIM_CACHED = 1, /* empty slabs stay while they are used */
    TSLAB_RECLAIM_NEVER = 2   /* pages stay resident for reuse */
} tslab_reclaim;

/* Which checks of a checked build a heap makes; docs/checked.md. */
typedef enum tslab_checks {
    TSLAB_CHECKS_AUTOMATIC = 0, /* in a build with checks: forward under AddressSanitizer and Valgrind, else canaries */
    TSLAB_CHECKS_OFF = 1,
    TSLAB_CHECKS_CANARIES = 2,  /* refused by a library without checks */
    TSLAB_CHECKS_FORWARD = 3    /* the same */
} tslab_checks;

/* Options of a heap. tslab_heap_options_init sets the defaults; in optional numbers TSLAB_UNSET means: from the environment
 * (docs/environment.md), else as said. */
#define TSLAB_UNSET (-1)
typedef struct tslab_heap_options {
    const char* name;              /* in reports and statistics; null: "tslab" */
    uint32_t epoch_count;          /* slots of the ring, 2 to 65,536; 256 */
    tslab_reclaim reclaim;         /* TSLAB_RECLAIM_CACHED */
    int64_t slab_cache;            /* pages of empty slabs cached per size class; TSLAB_UNSET: 32 */
    uint64_t reserve_bytes;        /* limit of the address space for pages; 0: none */
    int64_t decay_ms;              /* decay interval, 24 hours at most; 0: at each close; TSLAB_UNSET: one second */
    int64_t thread_cache;          /* most bytes of empty slabs that a thread retains; TSLAB_UNSET: 32 MiB */
    int64_t background_purge;      /* 1: purge in the background; TSLAB_UNSET: no */
    int64_t guard_sampling;        /* with canaries: one allocation in so many gets guarded pages; TSLAB_UNSET: 1,000 */
    tslab_checks checks;           /* TSLAB_CHECKS_AUTOMATIC */
    bool purge_on_pressure;        /* with background_purge: purge when the control group is short of memory; true */
    bool strict;                   /* a leak aborts instead of being reported and counted; false */
    bool sampling;                 /* time one allocation in 1,024; false */
    bool huge_pages;               /* ask the kernel for transparent huge pages; false */
    bool publish;                  /* publish statistics to other processes of the user; true */
    uint64_t cost_labels;          /* labels beyond 14 that costs of phases are told apart by, 1,024 at most; 0 */
    int64_t limit;                 /* most bytes that all epochs may hold, see tslab_set_limit; TSLAB_UNSET: no limit */
} tslab_heap_options;

/* Sets the first `size` bytes of `*o` to the defaults. */
TSLAB_API void tslab_heap_options_init_sized(tslab_heap_options* o, size_t size) TSLAB_NOEXCEPT;
static inline void tslab_heap_options_init(tslab_heap_options* o) { tslab_heap_options_init_sized(o, sizeof *o); }

/* What tslab_heap_create calls; for languages that cannot include this header. `abi` and `version` are those of the declarations that
 * the caller was made from. */
TSLAB_API tslab_heap* tslab_heap_create_abi(unsigned abi, const char* version, const tslab_heap_options* o, size_t size,
                                            tslab_failure* why) TSLAB_NOEXCEPT;

/* Makes a heap and opens its first epoch. `o`: null for the defaults. Returns null if that fails, and says why in `*why` if `why` is
 * not null: TSLAB_INVALID for an option out of range, TSLAB_OUT_OF_MEMORY, TSLAB_ABI_MISMATCH if the library has another ABI than
 * this header (which is printed to stderr as well). */
static inline tslab_heap* tslab_heap_create(const tslab_heap_options* o, tslab_failure* why)
{
    return tslab_heap_create_abi(TSLAB_ABI, TSLAB_VERSION, o, sizeof *o, why);
}

/* Ends a heap that tslab_heap_create made. Reports objects that are live and scopes or resources that are open, then unmaps
 * everything. Null is ignored. Requires: no other thread uses the heap. Linear in the heap's pages. */
TSLAB_API void tslab_heap_destroy(tslab_heap* heap) TSLAB_NOEXCEPT;

/* The heap's name, terminated; valid while the heap is. */
TSLAB_API const char* tslab_heap_name(const tslab_heap* heap) TSLAB_NOEXCEPT;
/* Slots of its ring. */
TSLAB_API uint32_t tslab_heap_epoch_count(const tslab_heap* heap) TSLAB_NOEXCEPT;

/* For headers of other languages: a pointer that the maker of the heap sets, and anyone reads. If none was set, the address of a word
 * in the heap that holds the heap's own address. Setting is for the maker, before others use the heap. */
TSLAB_API void* tslab_heap_front(const tslab_heap* heap) TSLAB_NOEXCEPT;
TSLAB_API void tslab_heap_set_front(tslab_heap* heap, void* object) TSLAB_NOEXCEPT;

/* Epochs. */

/* What a close or a trim did. `rss_*`: resident bytes of the process. */
typedef struct tslab_close_report {
    tslab_epoch epoch;  /* that was asked for */
    bool found;    /* false: no such epoch, or it is gone already; nothing was done */
    bool closed;   /* the epoch is CLOSING now; false for a trim, and for a current epoch without a successor */
    bool drained;  /* nothing of the epoch remains */
    uint64_t scanned_slabs;
    uint64_t recycled_slabs;
    uint64_t deferred_claims;    /* caches of other threads' live resources, or of threads in an operation */
    uint64_t nanoseconds;        /* the whole call, without reading what is resident */
    uint64_t purge_nanoseconds;  /* of those, giving memory to the kernel */
    uint64_t rss_before;
    uint64_t rss_after;
    uint64_t madvise_calls;
    uint64_t madvise_bytes;      /* of the calls that succeeded */
    uint64_t madvise_failures;
    uint64_t madvise_asked_bytes;  /* of all calls */
    uint64_t madvise_gone_bytes;   /* of those, no longer resident afterwards */
} tslab_close_report;

/* The epoch of allocations that name none. Lock-free. */
TSLAB_API tslab_epoch tslab_epoch_current(const tslab_heap* heap) TSLAB_NOEXCEPT;
/* Turns the current epoch CLOSING and makes the next free ring slot the current epoch, which is returned. If all slots are in use,
 * nothing changes, `ring_exhausted` is counted, and the current epoch is returned. No system call except at a slot's first use. */
TSLAB_API tslab_epoch tslab_epoch_advance(tslab_heap* heap) TSLAB_NOEXCEPT;
/* Opens an epoch that belongs to no domain, labelled `label` (null: no label), and sets `*e`. It is not the current one, and stays
 * ACTIVE until tslab_epoch_close. Returns false if no ring slot is free, which is counted as `ring_exhausted`: then `*e` is the current
 * epoch. A few stores under one lock; no system call except at a slot's first use. */
TSLAB_API bool tslab_epoch_open(tslab_heap* heap, const char* label, tslab_epoch* e) TSLAB_NOEXCEPT;
/* Turns `e` CLOSING and reclaims every empty slab of it, those in caches of idle threads included; live objects stay valid. Closing
 * the current epoch advances first. `report`: null, or where the first `size` bytes of the report go. Returns false if there is no
 * such epoch. Linear in the slabs of `e` and in the threads; system calls; waits a bounded time for threads in operations. */
TSLAB_API bool tslab_epoch_close(tslab_heap* heap, tslab_epoch e, tslab_close_report* report, size_t size) TSLAB_NOEXCEPT;
/* Reclaims the empty slabs of `e`, which stays open. As tslab_epoch_close otherwise. */
TSLAB_API bool tslab_epoch_trim(tslab_heap* heap, tslab_epoch e, tslab_close_report* report, size_t size) TSLAB_NOEXCEPT;
/* Reclaims the empty slabs of all epochs, flushes every cache of empty slabs, and purges all free pages. */
TSLAB_API void tslab_heap_trim(tslab_heap* heap, tslab_close_report* report, size_t size) TSLAB_NOEXCEPT;
/* Sets the label; null is the empty one; more than 31 bytes are cut and counted. Returns false if `e` is gone. */
TSLAB_API bool tslab_epoch_set_label(tslab_heap* heap, tslab_epoch e, const char* label) TSLAB_NOEXCEPT;
/* Whether `e` serves allocations. */
TSLAB_API bool tslab_epoch_is_active(const tslab_heap* heap, tslab_epoch e) TSLAB_NOEXCEPT;
/* How many domains and holds are inside `e`; 0 if it is gone. Lock-free. */
TSLAB_API uint32_t tslab_epoch_refcount(const tslab_heap* heap, tslab_epoch e) TSLAB_NOEXCEPT;

/* Limits, in bytes, rounded down to whole pages; 0: nothing may be allocated. What is held above a new limit stays; further
 * allocations that need a slab, or are large, are refused until enough was freed. Refused allocations return null. */
#define TSLAB_NO_LIMIT UINT64_MAX
/* Limits what all phases with this label may hold together, those that are open and those to come; null or empty: phases without a
 * label. Returns TSLAB_INVALID if the heap is null, or if the label is new and 14 others have a number of their own;
 * TSLAB_OUT_OF_MEMORY. Thread safe. */
TSLAB_API tslab_status tslab_set_limit(tslab_heap* heap, const char* label, uint64_t bytes) TSLAB_NOEXCEPT;
/* Limits what the epoch `e` may hold. Returns TSLAB_INVALID if the heap is null or `e` is gone; TSLAB_OUT_OF_MEMORY. Thread safe. */
TSLAB_API tslab_status tslab_epoch_set_limit(tslab_heap* heap, tslab_epoch e, uint64_t bytes) TSLAB_NOEXCEPT;

/* Memory by pointer. */

/* Why an allocation returned null. */
typedef enum tslab_refusal {
    TSLAB_REFUSED_NOT = 0,           /* it did not */
    TSLAB_REFUSED_CLOSED = 1,        /* the epoch is not ACTIVE */
    TSLAB_REFUSED_OUT_OF_MEMORY = 2, /* or the size is above PTRDIFF_MAX, or the alignment no power of two */
    TSLAB_REFUSED_LIMITED = 3        /* by a limit */
} tslab_refusal;

/* Allocates `bytes` (0 counts as 1) in the current epoch, aligned for any fundamental type. Returns null only if memory is out.
 * Constant time; no atomic read-modify-write on the fast path. A large allocation, above 65,536 bytes, for which the heap grows is
 * linear in its size: 64 bytes are written for each page of 4 KiB. */
TSLAB_API void* tslab_malloc(tslab_heap* heap, size_t bytes) TSLAB_NOEXCEPT;
/* The same in epoch `e`. Returns null if the epoch is not ACTIVE or memory is out. */
TSLAB_API void* tslab_malloc_in(tslab_heap* heap, size_t bytes, tslab_epoch e) TSLAB_NOEXCEPT;
/* The same at `alignment`, a power of two. `why`: null, or where the reason goes if null is returned. */
TSLAB_API void* tslab_aligned_malloc_in(tslab_heap* heap, size_t alignment, size_t bytes, tslab_epoch e,
                                        tslab_refusal* why) TSLAB_NOEXCEPT;
/* Frees memory of this heap, however it was allocated, on any thread, also after its epoch closed. Null is ignored; any other pointer
 * that is no live allocation of the heap is reported to the error handler and nothing changes. */
TSLAB_API void tslab_free(tslab_heap* heap, void* pointer) TSLAB_NOEXCEPT;

/* How a request is served. */
typedef struct tslab_size_class {
    uint32_t class_index;       /* place of the class in statistics; for pages of their own the number of classes */
    uint32_t object_size;       /* bytes of its slot; 0 for pages of their own */
    uint32_t objects_per_slab;  /* slots of one slab; 0 for pages of their own */
    uint32_t pages_per_slab;    /* pages of one slab, of 4,096 bytes; 0 for pages of their own */
} tslab_size_class;
/* Tells what class serves `bytes` (0 counts as 1) by pointer, or with `by_handle` by handle. `out`: where the first `size` bytes go. */
TSLAB_API void tslab_size_class_of(size_t bytes, bool by_handle, tslab_size_class* out, size_t size) TSLAB_NOEXCEPT;

/* Memory by handle. */

/* Result of a free by handle. */
typedef enum tslab_free_result {
    TSLAB_FREE_OK = 0,            /* it was live and is free now */
    TSLAB_FREE_STALE = 1,         /* the slot has been allocated again since */
    TSLAB_FREE_ALREADY_FREE = 2,  /* freed before, and not allocated by handle since */
    TSLAB_FREE_FOREIGN = 3,       /* another heap's handle, or 0 */
    TSLAB_FREE_CORRUPT = 4        /* no heap ever issued it */
} tslab_free_result;

/* As tslab_malloc_in, and sets `*handle`; to 0 if null is returned. No handle is issued twice in a process. */
TSLAB_API void* tslab_allocate(tslab_heap* heap, size_t bytes, tslab_epoch e, tslab_handle* handle) TSLAB_NOEXCEPT;
/* Frees by handle. A wrong handle changes nothing; it is counted, and the result says what is wrong. Constant time. */
TSLAB_API tslab_free_result tslab_free_handle(tslab_heap* heap, tslab_handle handle) TSLAB_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
