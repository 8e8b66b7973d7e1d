/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Domains, resources and scopes: holds on epochs. Each has the caller's storage, which is begun and ended by functions and must not
 * be moved or copied in between. A function that gets storage that was not begun, or has ended, reports it as a bad argument, as far
 * as that can be seen: storage is known by a mark that beginning sets and ending clears.
 *
 * `at` is the place of the program that leak reports name. TSLAB_HERE is the place of its use; a null pointer is no place. */
#ifndef TSLAB_C_SCOPE_H
#define TSLAB_C_SCOPE_H

#include <tslab/c/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A place in a source file. Null texts are empty ones. The texts are compared by address first; they may be freed later. */
typedef struct tslab_place {
    const char* file;
    const char* function;
    uint32_t line;
    uint32_t column;
} tslab_place;

#ifndef __cplusplus
/* The place of its use. */
#define TSLAB_HERE (&(tslab_place){__FILE__, __func__, __LINE__, 0})
#endif

/* Domains. Functions are for the thread that began the domain, unless they say otherwise. */

typedef struct tslab_domain_options {
    const char* label;  /* of the epoch; null or empty: an existing epoch keeps its label */
    bool keep_open;     /* the last exit does not close the epoch; otherwise it does, if its era is unchanged and no other domain
                           holds it */
} tslab_domain_options;

/* Opens an epoch and begins a domain around it, which is not entered yet. If no ring slot is free, it shares the current epoch and
 * never closes it. `o`: null for the defaults. Returns `d`; null if an argument is bad. */
TSLAB_API tslab_domain* tslab_domain_begin(tslab_domain* d, tslab_heap* heap, const tslab_domain_options* o, size_t size,
                                           const tslab_place* at) TSLAB_NOEXCEPT;
/* Begins a domain around the existing epoch `e`. */
TSLAB_API tslab_domain* tslab_domain_wrap(tslab_domain* d, tslab_heap* heap, tslab_epoch e, const tslab_domain_options* o,
                                          size_t size) TSLAB_NOEXCEPT;
/* Ends the domain: closes an epoch of its own that was never entered, unless `keep_open`. A domain that is entered is reported, and
 * left first. */
TSLAB_API void tslab_domain_end(tslab_domain* d) TSLAB_NOEXCEPT;
/* Enters; the domain becomes the thread's current one. May be repeated. On another thread it reports the misuse and has no effect.
 * Returns false, without effect, if memory is out. */
TSLAB_API bool tslab_domain_enter(tslab_domain* d, const tslab_place* at) TSLAB_NOEXCEPT;
/* Leaves the domain once. Another thread, a domain not entered, or another domain entered since is reported and has no effect. */
TSLAB_API void tslab_domain_exit(tslab_domain* d) TSLAB_NOEXCEPT;
/* Closes the epoch now, even if other domains hold it: see tslab_epoch_close. Thread safe. */
TSLAB_API bool tslab_domain_force_close(tslab_domain* d, tslab_close_report* report, size_t size) TSLAB_NOEXCEPT;
/* The domain that the calling thread entered last and has not left, also one of a scope or of C++ code; null outside of all. */
TSLAB_API tslab_domain* tslab_domain_current(void) TSLAB_NOEXCEPT;
/* Keeps a pointer of the caller's with a domain that it began and is inside of, until the last exit; for headers that build their own
 * domains of this one. On another thread, and for a domain that is not entered, TSLAB_MISUSE_BAD_ARGUMENT is reported, without effect. */
TSLAB_API void tslab_domain_set_context(tslab_domain* d, void* context) TSLAB_NOEXCEPT;
/* That pointer of the calling thread's current domain. Null outside of all domains, and if the current one is of a resource, a scope or
 * C++ code, or has no such pointer. Linear in the domains with one that the thread is inside. */
TSLAB_API void* tslab_domain_current_context(void) TSLAB_NOEXCEPT;
/* These are thread safe, except against the domain's own enter, exit and end. */
TSLAB_API tslab_heap* tslab_domain_heap(const tslab_domain* d) TSLAB_NOEXCEPT;
TSLAB_API tslab_epoch tslab_domain_epoch(const tslab_domain* d) TSLAB_NOEXCEPT;
TSLAB_API uint32_t tslab_domain_depth(const tslab_domain* d) TSLAB_NOEXCEPT; /* enters without an exit */
TSLAB_API bool tslab_domain_closes_epoch(const tslab_domain* d) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_domain_shares_epoch(const tslab_domain* d) TSLAB_NOEXCEPT;

/* Holds: what a domain that is inside is for the epoch, but of no thread. */

/* The storage is the caller's and may be moved; its content is the library's. All bytes zero: no hold. */
typedef struct tslab_hold {
    tslab_epoch epoch;
    void* opaque[2];
} tslab_hold;

/* Holds `e` as a domain that has entered it does: it counts in `refcount`, appears in leak reports with the place `at`, and no domain's
 * last exit closes the epoch. Sets `*hold`. Returns false, with no hold, if `e` is gone. Thread safe. */
TSLAB_API bool tslab_epoch_hold(tslab_heap* heap, tslab_epoch e, tslab_hold* hold, const tslab_place* at) TSLAB_NOEXCEPT;
/* Ends a hold, on any thread, and clears `*hold`; no hold is ignored. `close`: if no domain or other hold is left, the epoch closes.
 * Requires: no other thread ends the same hold. */
TSLAB_API void tslab_epoch_release(tslab_heap* heap, tslab_hold* hold, bool close) TSLAB_NOEXCEPT;

/* Resources. */

typedef struct tslab_resource_options {
    const char* label;   /* of the epoch; up to 31 bytes are stored */
    bool share_epoch;    /* use the current epoch instead of one of its own */
    bool count_only;     /* deallocations are only counted; what is left is released when the resource ends */
    bool keep_open;      /* the end of the resource does not close its own epoch */
    bool serial;         /* uses do not overlap, on whichever thread; checked builds report those that do */
    const uint64_t* limit; /* the most bytes that its epoch may hold, see tslab_set_limit; null: no limit. Not with share_epoch */
} tslab_resource_options;

/* Opens an epoch, or takes the current one, and enters it. If no ring slot is free, it shares the current epoch (counted as
 * ring_exhausted). If memory for the thread's record is out, allocations return null. `o`: null for the defaults. Returns `r`; null
 * if an argument is bad, or if there is no memory for the heap's first limit. */
TSLAB_API tslab_resource* tslab_resource_begin(tslab_resource* r, tslab_heap* heap, const tslab_resource_options* o, size_t size,
                                               const tslab_place* at) TSLAB_NOEXCEPT;
/* Leaves the domain, on any thread; an epoch of its own closes, unless `keep_open`. Objects still live are counted and reported as a
 * leak; their memory stays valid until tslab_free frees it or the heap ends. Requires: no other thread is using the resource. Linear
 * in the slabs that the resource holds. */
TSLAB_API void tslab_resource_end(tslab_resource* r) TSLAB_NOEXCEPT;
/* Allocates `bytes` (0 counts as 1) at `alignment`, a power of two. Returns null if the epoch is CLOSING, memory is out, or the
 * request is absurd. Constant time; on the thread that began the resource, no lock and no atomic read-modify-write on the fast path. */
TSLAB_API void* tslab_resource_allocate(tslab_resource* r, size_t bytes, size_t alignment) TSLAB_NOEXCEPT;
/* Frees what the resource allocated, as `bytes` at `alignment`, on any thread. Null is ignored. A pointer that is no live allocation
 * of this resource, of this size class, is reported and nothing changes. */
TSLAB_API void tslab_resource_deallocate(tslab_resource* r, void* pointer, size_t bytes, size_t alignment) TSLAB_NOEXCEPT;
/* Releases everything that the resource allocated, live or not; it stays usable. A resource that shares its epoch releases what its
 * own thread allocated. Returns the number of objects that were live. Requires: no other thread is using the resource or freeing its
 * memory. */
TSLAB_API uint64_t tslab_resource_release(tslab_resource* r) TSLAB_NOEXCEPT;
/* The std::pmr::memory_resource, for C++; throws tslab::epoch_closed or std::bad_alloc. Valid while the resource is. */
TSLAB_API void* tslab_resource_pmr(tslab_resource* r) TSLAB_NOEXCEPT;
/* Its domain, which it is inside from begin to end. Not to be ended. */
TSLAB_API tslab_domain* tslab_resource_domain(tslab_resource* r) TSLAB_NOEXCEPT;
TSLAB_API tslab_heap* tslab_resource_heap(const tslab_resource* r) TSLAB_NOEXCEPT;
TSLAB_API tslab_epoch tslab_resource_epoch(const tslab_resource* r) TSLAB_NOEXCEPT;

/* For guards of other languages: makes the domain of `r` the thread's current one without another enter; and the end of such a guard,
 * where a wrong order is reported and corrected. `leave`: one exit belongs to the guard; else `r` ends next. Return false if memory is
 * out; and on another thread than the one that began `r`, which is reported. Without `leave` that thread is then inside `r` no more. */
TSLAB_API bool tslab_resource_push(tslab_resource* r) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_resource_pop(tslab_resource* r, bool leave) TSLAB_NOEXCEPT;

/* Scopes, for the thread that begins them; the innermost one ends first. */

/* Makes a resource with an epoch of its own, labelled `label` (null: no label), and makes its domain the thread's current one. Returns
 * the resource to allocate from; null if an argument is bad or memory is out, and then the scope is not begun. */
TSLAB_API tslab_resource* tslab_scope_begin(tslab_scope* s, tslab_heap* heap, const char* label,
                                            const tslab_place* at) TSLAB_NOEXCEPT;
/* The same with all options of a resource. */
TSLAB_API tslab_resource* tslab_scope_begin_with(tslab_scope* s, tslab_heap* heap, const tslab_resource_options* o, size_t size,
                                                 const tslab_place* at) TSLAB_NOEXCEPT;
/* Enters the domain of `r` again. Requires: the calling thread began `r`, and `r` outlives the scope. */
TSLAB_API tslab_resource* tslab_scope_begin_in(tslab_scope* s, tslab_resource* r, const tslab_place* at) TSLAB_NOEXCEPT;
/* Leaves, and ends a resource of its own. A wrong order or thread is reported. */
TSLAB_API void tslab_scope_end(tslab_scope* s) TSLAB_NOEXCEPT;
/* The resource that it allocates from. */
TSLAB_API tslab_resource* tslab_scope_resource(tslab_scope* s) TSLAB_NOEXCEPT;

#if defined(__GNUC__) && !defined(__cplusplus)
/* For compilers with the attribute: a variable `name` of a scope that ends where the block is left.
 * Example: TSLAB_SCOPE(request, heap, "GET /orders"); char* text = tslab_resource_allocate(tslab_scope_resource(&request), 80, 1); */
static inline void tslab_scope_leave_block(tslab_scope* s)
{
    if (s->opaque[0] != NULL) /* it was begun */
        tslab_scope_end(s);
}
#define TSLAB_SCOPE(name, heap, label) \
    __attribute__((cleanup(tslab_scope_leave_block))) tslab_scope name; \
    tslab_scope_begin(&name, heap, label, TSLAB_HERE)
#endif

#ifdef __cplusplus
}
#endif

#endif
