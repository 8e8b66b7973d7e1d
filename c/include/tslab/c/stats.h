/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Statistics, as structures and as JSON; leaks; settings of the process. */
#ifndef TSLAB_C_STATS_H
#define TSLAB_C_STATS_H

#include <tslab/c/figures.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A copy of what a heap counted at one moment. It does not change; any number of threads may read it. Texts in its structures are
 * valid until it is freed. */
typedef struct tslab_snapshot tslab_snapshot;

/* Takes a snapshot. `residency`: ask the kernel which pages are resident and for the names of threads, which takes system calls; else
 * those figures are TSLAB_UNKNOWN or empty. Returns null if memory is out. Takes no lock that an allocation waits for. Counters are
 * exact while no thread uses the heap. Linear in the pages ever used and the threads. */
TSLAB_API tslab_snapshot* tslab_snapshot_take(const tslab_heap* heap, bool residency) TSLAB_NOEXCEPT;
/* Null is ignored. */
TSLAB_API void tslab_snapshot_free(tslab_snapshot* s) TSLAB_NOEXCEPT;

/* What was looked at. */
typedef struct tslab_snapshot_info {
    tslab_text name;            /* of the heap */
    uint64_t instance;          /* tells heaps of one name in one process apart */
    uint64_t timestamp_ns;      /* CLOCK_REALTIME */
    uint64_t monotonic_ns;      /* CLOCK_MONOTONIC at that moment */
    int64_t pid;
    uint32_t page_size;
    uint32_t epoch_count;       /* slots of the ring */
    tslab_epoch current;
    tslab_text reclaim;         /* the policy: eager, cached, never */
    uint64_t decay_ms;
    uint64_t thread_cache_bytes;
    tslab_text background_purge; /* off, on, failed, pending */
    tslab_text pressure_watch;   /* off, watching, unavailable */
    bool sampling;
} tslab_snapshot_info;

/* Each of these copies the first `size` bytes of a structure to `*out`, and returns whether there is such a structure. */
TSLAB_API bool tslab_snapshot_about(const tslab_snapshot* s, tslab_snapshot_info* out, size_t size) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_global(const tslab_snapshot* s, tslab_global_stats* out, size_t size) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_last_close(const tslab_snapshot* s, tslab_close_stats* out, size_t size) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_waterfall(const tslab_snapshot* s, tslab_waterfall_stats* out, size_t size) TSLAB_NOEXCEPT;
/* Lists: `index` is below the number of entries. Classes are by class index, the last one is everything above the classes; labels by
 * number. */
TSLAB_API size_t tslab_snapshot_classes(const tslab_snapshot* s) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_class(const tslab_snapshot* s, size_t index, tslab_class_stats* out, size_t size) TSLAB_NOEXCEPT;
TSLAB_API size_t tslab_snapshot_epochs(const tslab_snapshot* s) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_epoch(const tslab_snapshot* s, size_t index, tslab_epoch_stats* out, size_t size) TSLAB_NOEXCEPT;
TSLAB_API size_t tslab_snapshot_labels(const tslab_snapshot* s) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_label(const tslab_snapshot* s, size_t index, tslab_label_stats* out, size_t size) TSLAB_NOEXCEPT;
TSLAB_API size_t tslab_snapshot_threads(const tslab_snapshot* s) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_thread(const tslab_snapshot* s, size_t index, tslab_thread_stats* out, size_t size) TSLAB_NOEXCEPT;
/* Parts of these. Of epoch `epoch` in the list of epochs: the classes of which it holds anything. */
TSLAB_API size_t tslab_snapshot_epoch_classes(const tslab_snapshot* s, size_t epoch) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_epoch_class(const tslab_snapshot* s, size_t epoch, size_t index, tslab_class_share* out,
                                          size_t size) TSLAB_NOEXCEPT;
/* Contention for class `index` in epochs of the label with the number `label`. */
TSLAB_API bool tslab_snapshot_class_label(const tslab_snapshot* s, size_t index, size_t label, tslab_contention_stats* out,
                                          size_t size) TSLAB_NOEXCEPT;
/* Timed acquisitions of the locks of class `index`; of all locks for a class or an epoch; and those by duration. Return false while lock
 * timing is off. */
TSLAB_API bool tslab_snapshot_class_lock_timing(const tslab_snapshot* s, size_t index, tslab_lock_timing_stats* out,
                                                size_t size) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_lock_timing(const tslab_snapshot* s, tslab_lock_timing_stats* out, size_t size) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_lock_histograms(const tslab_snapshot* s, tslab_lock_histograms* out, size_t size) TSLAB_NOEXCEPT;
/* The last close of the label at `index` that purged or that the program asked for; false if there was none. */
TSLAB_API bool tslab_snapshot_label_last_close(const tslab_snapshot* s, size_t index, tslab_close_stats* out,
                                               size_t size) TSLAB_NOEXCEPT;
/* What sampling found: of all threads, those that ended included; and of the thread at `index`. */
TSLAB_API bool tslab_snapshot_sampling(const tslab_snapshot* s, tslab_sampling_stats* out, size_t size) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_snapshot_thread_sampling(const tslab_snapshot* s, size_t index, tslab_sampling_stats* out,
                                              size_t size) TSLAB_NOEXCEPT;
/* An upper bound of the quantile `q`, 0 to 1, of the durations of `h`: at most twice the true value; 0 if there are none. */
TSLAB_API uint64_t tslab_histogram_quantile(const tslab_histogram* h, double q) TSLAB_NOEXCEPT;
/* The number of misuses of one kind. */
TSLAB_API uint64_t tslab_snapshot_misuses(const tslab_snapshot* s, tslab_misuse kind) TSLAB_NOEXCEPT;

/* The totals of a heap at once, without residency. Returns false if memory is out. */
TSLAB_API bool tslab_heap_stats(const tslab_heap* heap, tslab_global_stats* out, size_t size) TSLAB_NOEXCEPT;

/* The snapshot as JSON, schema 1 (docs/schema/stats-v1.schema.json), one line of UTF-8 without a newline. Returns its length without
 * terminator; 0 if memory is out. If `size` is greater than the length, writes it, terminated, to [out, out + size); else it writes
 * nothing: call again with more room. `out` may be null if `size` is 0. */
TSLAB_API size_t tslab_snapshot_json(const tslab_snapshot* s, char* out, size_t size) TSLAB_NOEXCEPT;
/* Gets a text, not terminated; must not leave by an exception or longjmp. */
typedef void (*tslab_writer)(const char* text, size_t size, void* context);
/* Passes the same JSON to `write` in one call, with `context`. Returns false, without a call, if memory is out. */
TSLAB_API bool tslab_snapshot_write_json(const tslab_snapshot* s, tslab_writer write, void* context) TSLAB_NOEXCEPT;

/* A leak candidate: an epoch that should have drained. */
typedef struct tslab_leak {
    tslab_epoch epoch;         /* it, and its label */
    tslab_text label;
    uint32_t lifecycle;        /* 0 IDLE, 1 ACTIVE, 2 CLOSING, 3 DRAINED */
    uint32_t refcount;         /* domains inside */
    double age_seconds;        /* since the epoch was opened */
    double closing_seconds;    /* since it was closed; 0 while it is ACTIVE */
    double entered_seconds;    /* since the oldest enter without an exit; 0 if not known */
    uint64_t missing_exits;
    uint64_t live_objects;
    uint64_t live_bytes;
    uint64_t held_bytes;       /* of its slabs and large pages */
    tslab_text file;           /* where the oldest domain inside was entered */
    tslab_text function;
    uint32_t line;
    tslab_text sentence;       /* all of that in one line */
} tslab_leak;

/* Gets a candidate; the pointer and its texts are valid during the call. Must not leave by an exception or longjmp. */
typedef void (*tslab_leak_visitor)(const tslab_leak* leak, void* context);
/* Calls `visit` for each epoch that a domain entered at least `older_than_seconds` ago and has not left, and for each closed epoch
 * that objects have outlived for so long; the most bytes held first. Returns the number of candidates; -1 if memory is out. `visit`
 * may be null. */
TSLAB_API int64_t tslab_find_leaks(const tslab_snapshot* s, double older_than_seconds, tslab_leak_visitor visit,
                                   void* context) TSLAB_NOEXCEPT;

/* Settings of a heap and of the process. */

/* Sampling times one allocation in 1,024 of each thread and size. */
TSLAB_API void tslab_heap_set_sampling(tslab_heap* heap, bool on) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_heap_sampling(const tslab_heap* heap) TSLAB_NOEXCEPT;
/* Times one acquisition in `one_in` of every lock of the process's heaps; 0: none. */
TSLAB_API void tslab_set_lock_timing(uint32_t one_in) TSLAB_NOEXCEPT;
TSLAB_API uint32_t tslab_lock_timing(void) TSLAB_NOEXCEPT;
/* Counts allocations from C++'s default resource inside a scope. Returns false if memory is out. Not thread safe against
 * std::pmr::set_default_resource. */
TSLAB_API bool tslab_set_escape_detection(bool on) TSLAB_NOEXCEPT;
TSLAB_API bool tslab_escape_detection(void) TSLAB_NOEXCEPT;

/* CLOCK_MONOTONIC in nanoseconds; the coarse one is as old as a timer tick, and cheaper. */
TSLAB_API uint64_t tslab_now_ns(void) TSLAB_NOEXCEPT;
TSLAB_API uint64_t tslab_now_ns_coarse(void) TSLAB_NOEXCEPT;
/* Resident bytes of the process; 0 if it cannot be read. */
TSLAB_API uint64_t tslab_read_rss_bytes(void) TSLAB_NOEXCEPT;
/* What sampling found of the calling thread's operations in all heaps that live. Takes a lock of the process. */
TSLAB_API void tslab_this_thread_sampling(tslab_sampling_stats* out, size_t size) TSLAB_NOEXCEPT;
/* The library's own number of the calling thread; never used again. */
TSLAB_API uint64_t tslab_this_thread(void) TSLAB_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
