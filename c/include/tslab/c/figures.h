/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The figures of a snapshot, made by c/figures.py from modules/stats/figures.def. docs/stats-reference.md says what each is
 * for. Members are only appended. TSLAB_UNKNOWN: a figure that was not asked for, or cannot be had. */
#ifndef TSLAB_C_FIGURES_H
#define TSLAB_C_FIGURES_H

#include <tslab/c/base.h>

/* The value of a figure that was not asked for, or cannot be had. */
#define TSLAB_UNKNOWN UINT64_MAX

/* Durations counted by powers of two. Bucket 0 holds 0 ns, bucket b from 2^(b-1) to 2^b - 1; the last one holds all above. It is a member
 * of others and does not grow. */
#define TSLAB_HISTOGRAM_BUCKETS 40
typedef struct tslab_histogram {
    uint64_t buckets[TSLAB_HISTOGRAM_BUCKETS];
} tslab_histogram;

/* Timed events: by the clock (wall), of the processor (cpu), and the difference, in which the thread did not run (wait). It is a member
 * of others and does not grow. */
typedef struct tslab_timing_stats {
    uint64_t samples;
    uint64_t wall_ns_sum;
    uint64_t cpu_ns_sum;
    uint64_t wait_ns_sum;
    uint64_t wall_ns_max;
    uint64_t cpu_ns_max;
    uint64_t wait_ns_max;
    tslab_histogram wall;
    tslab_histogram wait;
} tslab_timing_stats;

/* Timed acquisitions of locks by duration. */
typedef struct tslab_lock_histograms {
    tslab_histogram wait;
    tslab_histogram hold;
} tslab_lock_histograms;

/* Contention between threads. It is a member of others and does not grow. */
typedef struct tslab_contention_stats {
    uint64_t lock_fast_acquire; /* locks: Acquisitions that found the lock free, by the label of the epoch they were made for */
    uint64_t lock_contended; /* locks: Acquisitions that had to wait, by the label of the epoch they were made for */
    uint64_t bitmap_alloc_cas_retries; /* claims: Claims of shared slabs lost to another thread, by the label of the epoch */
    uint64_t bitmap_free_cas_retries; /* claims: Reclaim claims lost or repeated at the last free of a slab, by the label of the epoch */
} tslab_contention_stats;

/* All size classes and large allocations together. */
typedef struct tslab_global_stats {
    uint64_t active_epochs; /* epochs: Epochs that serve allocations */
    uint64_t closing_epochs; /* epochs: Closed epochs that still hold objects, claims or holders */
    uint64_t slabs_allocated; /* slabs: Slabs cut from plain pages, because no cache had an empty one */
    uint64_t slabs_recycled; /* slabs: Empty slabs put into a cache or left with a thread */
    uint64_t rss_bytes; /* bytes: Resident memory of the whole process, from the kernel */
    uint64_t slow_path_hits; /* allocations: Allocations that found no free slot in their thread's slab; about one for each slab is normal */
    uint64_t cache_overflows; /* slabs: Empty slabs that found the caches full and became plain pages */
    uint64_t slow_path_cache_miss; /* allocations: Slow paths for which no cache had an empty slab */
    uint64_t slow_path_epoch_closed; /* allocations: Allocations refused because their epoch was CLOSING; a correct program has none */
    uint64_t madvise_calls; /* calls: Calls of madvise that gave pages back */
    uint64_t madvise_bytes; /* bytes: Bytes given back by calls of madvise that succeeded */
    uint64_t madvise_failures; /* calls: Calls of madvise that the kernel refused; the pages stay */
    uint64_t madvise_asked_bytes; /* bytes: Bytes handed to madvise, of calls whose effect mincore could measure */
    uint64_t madvise_gone_bytes; /* bytes: Bytes of those no longer resident right after the call, by mincore */
    uint64_t purge_ns; /* ns: Time spent on giving memory to the kernel: madvise, mincore and munmap, on every thread */
    uint64_t unmap_failures; /* runs: Runs of free units of addresses that the kernel refused to unmap */
    uint64_t purges_by_time; /* passes: Decays of threads at work that gave unwanted pages to the kernel */
    uint64_t purges_by_work; /* passes: Purges of pages that were not needed while much was allocated */
    uint64_t purges_by_background; /* passes: Decays of the background thread that gave unwanted pages to the kernel */
    uint64_t purges_by_pressure; /* passes: Purges of all retained and cached memory because the control group was short of memory */
    uint64_t bitmap_alloc_cas_retries; /* claims: Claims of shared slabs lost to another thread, all classes. HFT: atomic counts only, no clock */
    uint64_t bitmap_free_cas_retries; /* claims: Claims to reclaim an emptied slab, lost or repeated, all classes. HFT: atomic counts only, no clock */
    uint64_t current_partial_cas_failures; /* claims: Attempts to acquire that failed: lost races and expected mismatches together, all classes */
    uint64_t bitmap_alloc_attempts; /* claims: Claims of slots that other threads may be changing, all classes */
    uint64_t bitmap_free_attempts; /* frees: Frees into slabs of other threads, all classes */
    uint64_t current_partial_cas_attempts; /* claims: Attempts to acquire a slab without an owner, all classes */
    uint64_t current_partial_lost_races; /* claims: Attempts to acquire lost to a thread that reclaimed the slab, all classes */
    uint64_t current_partial_mismatches; /* claims: Attempts to acquire that found the slab full; expected, not an alarm */
    uint64_t lock_fast_acquire; /* locks: Acquisitions of a lock for a class or an epoch that found it free. HFT: a trylock probe, no clock */
    uint64_t lock_contended; /* locks: Acquisitions of a lock for a class or an epoch that had to wait. HFT: a trylock probe, no clock */
    uint64_t allocations; /* objects: Allocations served, large ones included */
    uint64_t frees; /* objects: Objects freed or given back by a release */
    uint64_t live_objects; /* objects: Objects allocated and not freed */
    uint64_t live_bytes; /* bytes: Bytes of live slots, and of live large allocations as asked for */
    uint64_t slabs_in_use; /* slabs: Slabs that belong to an epoch: full, partial or empty */
    uint64_t slabs_cached; /* slabs: Empty slabs waiting for reuse; resident */
    uint64_t large_pages; /* pages: Pages of allocations above the size classes */
    uint64_t free_resident_pages; /* pages: Plain pages not given back to the kernel */
    uint64_t free_purged_pages; /* pages: Plain pages given back to the kernel */
    uint64_t unwanted_pages; /* pages: Free resident pages that no thread took since the heap last decayed; the next decay purges them */
    uint64_t retained_bytes; /* bytes: Bytes of empty slabs that threads retain */
    uint64_t slab_pages; /* pages: Pages of the slabs in use */
    uint64_t committed_bytes; /* bytes: Bytes of all pages not given back to the kernel, in use or not */
    uint64_t empty_held_bytes; /* bytes: Bytes of committed pages in which no object lives */
    uint64_t metadata_bytes; /* bytes: Bytes of descriptors, records and page sets made usable; most of it is never touched */
    uint64_t out_of_memory; /* allocations: Allocations refused because no page could be had */
    uint64_t epoch_opens; /* epochs: Ring slots that turned ACTIVE */
    uint64_t epoch_advances; /* epochs: Times the current epoch moved on */
    uint64_t epoch_closes; /* epochs: Epochs that turned CLOSING */
    uint64_t epoch_drains; /* epochs: Closed epochs that gave back their last slab */
    uint64_t epoch_close_scanned_slabs; /* slabs: Slabs that closes looked at */
    uint64_t epoch_close_recycled_slabs; /* slabs: Slabs that closes reclaimed */
    uint64_t epoch_close_deferred; /* claims: Claims a close had to leave to their owner */
    uint64_t epoch_close_timed; /* closes: Closes that were timed: all the program asked for, all that had work, and one in 1,024 of the others */
    uint64_t epoch_close_total_ns; /* ns: Time in timed closes without giving memory to the kernel: looking at slabs */
    uint64_t epoch_close_purge_ns; /* ns: Time in timed closes spent on giving memory to the kernel */
    uint64_t ring_exhausted; /* Scopes that had to share the current epoch and advances that could not be made, since no ring slot was free */
    uint64_t labels_in_overflow; /* labels: Times a label was counted as other, because 14 names were in use */
    uint64_t labels_cut; /* labels: Labels longer than 31 bytes */
    uint64_t places_missing; /* places: Times a source place found no memory, or none that readers outside find */
    uint64_t unlisted_holders; /* domains: Domains inside epochs whose place and time found no memory */
    uint64_t unpublished_chunks; /* chunks: 16 KiB of statistics of the process each that found no room where readers outside find them */
    uint64_t domain_enters; /* calls: Enters of domains, nested ones too */
    uint64_t domain_exits; /* calls: Exits of domains, nested ones too */
    uint64_t counted_frees; /* calls: Deallocations of count-only resources, counted and not carried out */
    uint64_t released_objects; /* objects: Objects still live when a release gave them back */
    uint64_t leaked_objects; /* objects: Objects still live when their resource ended */
    uint64_t refused_handles; /* calls: Handle operations refused, whatever the reason */
    uint64_t retired_handle_slots; /* slots: Slots all of whose generations were issued: they serve handles no more */
    uint64_t misuses; /* reports: Misuses of every kind; each one is a bug of the program */
    uint64_t escapes; /* allocations: Allocations from the default resource inside a scope, while escape detection is on */
    uint64_t escaped_bytes; /* bytes: Bytes of allocations from the default resource inside a scope */
    uint64_t profile_interval; /* bytes: Mean of the bytes between two allocations that the heap profile samples; 0: it is off */
    uint64_t profile_samples; /* objects: Objects that the heap profile sampled */
    uint64_t profile_samples_dropped; /* objects: Objects that the heap profile was to sample and had no place for */
    uint64_t profile_stacks; /* stacks: Stacks in the table of the heap profile, by class and label */
    uint64_t profile_stacks_dropped; /* stacks: Stacks for which the table of the heap profile had no place; at least so many */
    uint64_t profile_stacks_cut; /* objects: Sampled objects whose stack was deeper than what is kept */
    uint64_t phase_costs_dropped; /* phases: Ended phases whose cost found no memory or found it locked, or whose end was on a thread without a record */
    uint64_t cost_labels_in_overflow; /* labels: Times a label that costs should tell apart was counted as other, because cost_labels names were in use or memory was out */
    uint64_t limit_refusals; /* allocations: Allocations refused by a limit of a phase, a label or the heap */
    uint64_t soft_limits; /* phases: Phases that crossed their soft limit */
    uint64_t unlimited_scopes; /* scopes: Scopes with a limit that shared the current epoch, so that their limit holds for nothing */
    uint64_t limit_bytes; /* bytes: The most bytes that the heap's epochs may hold; absent without a limit */
    uint64_t limit_held_bytes; /* bytes: Bytes of slabs and large pages counted against the heap's limit; 0 without one */
} tslab_global_stats;

/* A size class; the last one is everything above the classes. */
typedef struct tslab_class_stats {
    tslab_contention_stats contention; /* of all labels */
    uint32_t class_index; /* Place of the class; for large allocations the number of classes */
    uint32_t object_size; /* bytes: Bytes of a slot; 0 for large allocations */
    uint32_t objects_per_slab; /* slots: Slots of one slab of the class */
    uint32_t pages_per_slab; /* pages: Pages of one slab of the class; 0 for large allocations */
    uint64_t slow_path_hits; /* allocations: Allocations of the class that found no free slot in their thread's slab */
    uint64_t new_slab_count; /* slabs: Slabs of the class cut from plain pages */
    uint64_t list_move_partial_to_full; /* slabs: Slabs of the class whose last free slot was handed out */
    uint64_t list_move_full_to_partial; /* slabs: Full slabs of the class that got their first free slot back */
    uint64_t current_partial_null; /* allocations: Slow paths of a thread that had no slab of the class */
    uint64_t current_partial_full; /* allocations: Slow paths of a thread whose slab of the class was used up; the normal case */
    uint64_t empty_slab_recycled; /* slabs: Empty slabs of the class that went into a cache or stayed with a thread */
    uint64_t empty_slab_overflowed; /* slabs: Empty slabs of the class that found the caches full */
    uint64_t slow_path_cache_miss; /* allocations: Slow paths of the class for which no cache had an empty slab */
    uint64_t slow_path_epoch_closed; /* allocations: Allocations of the class refused because their epoch was CLOSING */
    uint64_t out_of_memory; /* allocations: Allocations of the class refused because no page could be had */
    uint64_t madvise_calls; /* calls: Calls of madvise that began with a page of the class */
    uint64_t madvise_bytes; /* bytes: Bytes given back of pages that were slabs of the class last */
    uint64_t madvise_failures; /* calls: Refused calls of madvise that began with a page of the class */
    uint64_t epoch_close_calls; /* closes: Closes that looked at a slab of the class; does not add up over classes */
    uint64_t epoch_close_scanned_slabs; /* slabs: Slabs of the class that closes looked at */
    uint64_t epoch_close_recycled_slabs; /* slabs: Slabs of the class that closes reclaimed */
    uint64_t epoch_close_total_ns; /* ns: Duration, without giving memory to the kernel, of the timed closes that had work with a slab of the class; does not add up over classes */
    uint64_t cache_size; /* slabs: Slabs in the heap's cache of the class */
    uint64_t cache_capacity; /* slabs: Slabs that the heap's cache of the class may hold */
    uint64_t cache_overflow_len; /* pages: Plain resident pages that were slabs of the class last */
    uint64_t cached_slabs; /* slabs: Empty slabs of the class in the heap's cache and with threads */
    uint64_t partial_slabs; /* slabs: Slabs of the class in use with a free slot */
    uint64_t full_slabs; /* slabs: Slabs of the class in use without a free slot */
    uint64_t empty_slabs; /* slabs: Partial slabs of the class without a live object */
    uint64_t large_pages; /* pages: Pages of large allocations; 0 for the size classes */
    uint64_t allocations; /* objects: Allocations served from the class */
    uint64_t live_objects; /* objects: Objects of the class allocated and not freed */
    uint64_t live_bytes; /* bytes: Bytes of live objects of the class */
    uint64_t resident_bytes; /* bytes: Bytes of the class's pages in use that are resident, by mincore */
    uint64_t cache_hits; /* slabs: Empty slabs of the class that came from a cache */
    uint64_t collects; /* times: Times a thread collected the slots that others had freed in its slabs of the class */
    uint64_t adoptions; /* slabs: Slabs of the class without an owner that a thread cache acquired */
    uint64_t bypassed; /* refills: Refills that passed over the shared slabs of the class because acquiring them had not paid */
    uint64_t flushed; /* slabs: Slabs of the class that a thread cache flushed */
    uint64_t remote_frees; /* objects: Frees by a thread that did not own the slab */
    uint64_t repairs; /* slabs: Repairs of slab lists: mismatches, lost races, slots that two threads freed at once */
    uint64_t bitmap_alloc_attempts; /* claims: Claims of slots of the class that other threads may be changing */
    uint64_t bitmap_free_attempts; /* frees: Frees into slabs of the class that other threads own */
    uint64_t current_partial_cas_attempts; /* claims: Attempts to acquire a slab of the class without an owner */
    uint64_t current_partial_lost_races; /* claims: Attempts to acquire a slab of the class lost to a thread that reclaimed it */
    uint64_t current_partial_mismatches; /* claims: Attempts to acquire that found the slab full; expected, not an alarm */
    uint64_t scan_adapt_checks; /* times: Times the order of looking for shared slabs was reconsidered */
    uint64_t scan_adapt_switches; /* times: Times the order of looking for shared slabs changed */
    uint64_t scan_rotated_threads; /* threads: Threads that look for shared slabs in rotated order */
} tslab_class_stats;

/* A ring slot that was ever opened. */
typedef struct tslab_epoch_stats {
    uint32_t state; /* 0 ACTIVE, 1 CLOSING */
    uint32_t lifecycle; /* 0 IDLE, 1 ACTIVE, 2 CLOSING, 3 DRAINED */
    tslab_text file; /* where the oldest domain inside was entered; empty if not known */
    tslab_text function; /* the function of that place */
    uint32_t line; /* the line of that place */
    uint32_t index; /* slot: Slot of the ring; later epochs use it again */
    uint64_t era; /* Era of the epoch; with the slot its identity for ever */
    tslab_text label; /* The label that the epoch was opened with */
    uint32_t label_id; /* Number of the label in the registry */
    double age_seconds; /* s: Age of the epoch since it was opened */
    uint64_t open_since_ns; /* ns since 1970: When the epoch was opened, to one timer tick */
    double closing_seconds; /* s: Time since the epoch turned CLOSING; 0 while it is ACTIVE */
    double entered_seconds; /* s: Time since the oldest enter without an exit; 0 when none is known */
    uint32_t unlisted_holders; /* domains: Domains inside the epoch whose place and time found no memory */
    uint32_t refcount; /* domains: Domains inside the epoch; one that entered twice counts once */
    uint64_t enters; /* calls: Enters of the epoch, nested ones too */
    uint64_t exits; /* calls: Exits of the epoch, nested ones too */
    uint64_t allocations; /* objects: Allocations of the epoch since it was opened */
    uint64_t live_objects; /* objects: Live objects of the epoch */
    uint64_t live_bytes; /* bytes: Bytes of live objects of the epoch */
    uint64_t slabs; /* slabs: Slabs the epoch holds */
    uint64_t slab_pages; /* pages: Pages of the slabs the epoch holds */
    uint64_t partial_slabs; /* slabs: Slabs of the epoch with a free slot */
    uint64_t full_slabs; /* slabs: Slabs of the epoch without a free slot */
    uint64_t empty_slabs; /* slabs: Slabs of the epoch without a live object, which a trim or a close would reclaim */
    uint64_t empty_slab_pages; /* pages: Pages of the epoch's reclaimable slabs */
    uint64_t large_pages; /* pages: Pages of the epoch's large allocations */
    uint64_t resident_bytes; /* bytes: Bytes of the epoch's pages that are resident, by mincore */
    uint64_t rss_before_close; /* bytes: Resident memory of the process before the epoch's close, if it purged 64 pages or more or was asked for; 0: not read */
    uint64_t rss_after_close; /* bytes: Resident memory of the process when that close ended; other threads move it too */
    uint64_t madvise_bytes; /* bytes: Bytes of those in calls that succeeded */
    uint64_t madvise_asked_bytes; /* bytes: Bytes the epoch's close handed to madvise */
    uint64_t madvise_gone_bytes; /* bytes: Bytes of those no longer resident right afterwards, by mincore */
    uint64_t limit_bytes; /* bytes: The most bytes that the epoch may hold; absent without a limit of its own */
    uint64_t limit_refusals; /* allocations: Allocations of the epoch that a limit refused, its own, its label's or the heap's */
} tslab_epoch_stats;

/* The epochs of one label, and the counters under its name. */
typedef struct tslab_label_stats {
    tslab_contention_stats contention; /* of all classes, and of the epochs' own bookkeeping */
    uint32_t label_id; /* Number of the label */
    tslab_text name; /* unlabeled, a registered name, or other */
    uint64_t epochs; /* epochs: ACTIVE and CLOSING epochs of the label */
    uint64_t refcount; /* domains: Domains inside epochs of the label */
    uint64_t live_objects; /* objects: Live objects in epochs of the label */
    uint64_t live_bytes; /* bytes: Bytes of live objects in epochs of the label */
    uint64_t held_bytes; /* bytes: Bytes of the slabs and large pages of the label's epochs */
    uint64_t resident_bytes; /* bytes: Resident bytes of the slabs and large pages of the label's epochs */
    uint64_t escapes; /* allocations: Allocations from the default resource inside scopes of the label */
    uint64_t escaped_bytes; /* bytes: Bytes of allocations from the default resource inside scopes of the label */
    uint64_t madvise_asked_bytes; /* bytes: Bytes handed to madvise by closes, trims and releases of the label's epochs, and between objects that outlive them */
    uint64_t madvise_gone_bytes; /* bytes: Bytes of those no longer resident right after the call, by mincore */
    uint64_t limit_bytes; /* bytes: The most bytes that the label's epochs may hold together; absent without a limit */
    uint64_t limit_held_bytes; /* bytes: Bytes of slabs and large pages counted against the label's limit; 0 without one */
    uint64_t limit_refusals; /* allocations: Allocations that the label's limit refused */
} tslab_label_stats;

/* A thread that used the heap. */
typedef struct tslab_thread_stats {
    uint64_t thread_id; /* The library's own number of the thread; never used again */
    bool alive; /* False: the thread has ended, and its record waits for the next one */
    uint64_t allocations; /* objects: Allocations of the thread */
    uint64_t slow_path_hits; /* allocations: Allocations of the thread that found no free slot in its slab */
    uint64_t retained_bytes; /* bytes: Bytes of empty slabs that the thread retains */
    uint32_t tid; /* The system's number of the thread, as top -H shows it; 0 once it has ended */
    tslab_text name; /* The system's name of the thread; empty if it is not known, or residency was not asked for */
    uint64_t bitmap_alloc_attempts; /* claims: Claims of the thread of slots that other threads may be changing */
    uint64_t bitmap_alloc_cas_retries; /* claims: Claims of shared slabs that the thread lost to another one. HFT: atomic counts only, no clock */
    uint64_t bitmap_free_attempts; /* frees: Frees of the thread into slabs that other threads own */
    uint64_t bitmap_free_cas_retries; /* claims: Claims of the thread to reclaim an emptied slab, lost or repeated. HFT: atomic counts only, no clock */
    uint64_t lock_fast_acquire; /* locks: Acquisitions of a lock by the thread that found it free. HFT: a trylock probe, no clock */
    uint64_t lock_contended; /* locks: Acquisitions of a lock for which the thread had to wait. HFT: a trylock probe, no clock */
} tslab_thread_stats;

/* The last timed close. */
typedef struct tslab_close_stats {
    uint64_t timestamp_ns; /* ns since 1970: When the last timed close ended, seconds since 1970 */
    uint32_t index; /* slot: Slot of the epoch that was closed */
    uint64_t era; /* Its era */
    tslab_text label; /* Its label */
    uint64_t nanoseconds; /* ns: Duration of the last timed close, giving memory to the kernel included */
    uint64_t purge_nanoseconds; /* ns: Time of it spent on giving memory to the kernel */
    uint64_t rss_before; /* bytes: Resident memory of the process before the last timed close; 0: not read, since it purged little or nothing */
    uint64_t rss_after; /* bytes: Resident memory of the process after it; 0: not read */
    uint64_t scanned_slabs; /* slabs: Slabs that the last close looked at */
    uint64_t recycled_slabs; /* slabs: Slabs that the last close reclaimed */
    uint64_t madvise_calls; /* calls: Calls of madvise of the last close */
    uint64_t madvise_bytes; /* bytes: Bytes in calls of madvise of the last close that succeeded */
    uint64_t madvise_failures; /* calls: Calls of madvise of the last close that the kernel refused */
    uint64_t madvise_asked_bytes; /* bytes: Bytes the last close handed to madvise */
    uint64_t madvise_gone_bytes; /* bytes: Bytes of those no longer resident right afterwards, by mincore */
} tslab_close_stats;

/* The resident memory of the process by use. */
typedef struct tslab_waterfall_stats {
    uint64_t rss_bytes; /* bytes: Resident memory of the process; the sum of the other terms but untouched_bytes */
    uint64_t live_bytes; /* bytes: Resident bytes in use: slots and large allocations */
    uint64_t slack_bytes; /* bytes: Resident ends of slabs and large allocations that nothing covers */
    uint64_t empty_slot_bytes; /* bytes: Resident free slots of slabs that belong to an epoch */
    uint64_t cached_bytes; /* bytes: Resident empty slabs in caches and with threads */
    uint64_t free_bytes; /* bytes: Resident plain pages not given back */
    uint64_t metadata_bytes; /* bytes: Resident descriptors, records and page sets */
    int64_t not_tslab_bytes; /* bytes: Resident memory of everything else in the process; below 0 if the process shrinks meanwhile */
    uint64_t untouched_bytes; /* bytes: Bytes of pages in use that are not resident; in no sum */
} tslab_waterfall_stats;

/* The part of one class in one epoch. */
typedef struct tslab_class_share {
    uint32_t class_index; /* The class; for large allocations the number of classes */
    uint64_t slabs; /* slabs: Slabs of the class in the epoch; 0 for large allocations */
    uint64_t pages; /* pages: Their pages, or those of the large allocations */
    uint64_t live_objects; /* objects: Live objects of the class in the epoch */
    uint64_t live_bytes; /* bytes: Their bytes */
    uint64_t full_slabs; /* slabs: Slabs of the class in the epoch without a free slot */
    uint64_t empty_slabs; /* slabs: Slabs of the class in the epoch without a live object */
} tslab_class_share;

/* Timed acquisitions of locks, of a class or of the heap. */
typedef struct tslab_lock_timing_stats {
    uint64_t samples; /* locks: Timed acquisitions of a lock for the class; absent while lock timing is off. HFT: off by default, reads clocks */
    uint64_t wait_ns; /* ns: Time waited for locks of the class, of the timed acquisitions only. HFT: off by default, reads clocks */
    uint64_t hold_ns; /* ns: Time locks of the class were held, of the timed acquisitions only. HFT: off by default, reads clocks */
    uint64_t wait_ns_max; /* ns: The longest wait for a lock of the class that was timed so far */
    uint64_t hold_ns_max; /* ns: The longest time a lock of the class was held, of those timed so far */
} tslab_lock_timing_stats;

/* What sampling found: one allocation in 1,024 while it was on, and every repair. */
typedef struct tslab_sampling_stats {
    tslab_timing_stats alloc; /* allocations */
    tslab_timing_stats free; /* frees that leave the fast path */
    tslab_timing_stats repair; /* repairs of slab lists */
    uint64_t repair_count; /* slabs: Repairs of slab lists, timed or not */
    uint64_t repair_reason_full_bitmap; /* slabs: Repairs because a slab listed with free slots had none */
    uint64_t repair_reason_list_mismatch; /* slabs: Repairs because a listed slab was being reclaimed by another thread */
    uint64_t repair_reason_other; /* slots: Repairs because two threads had freed one slot; a double free of the program */
} tslab_sampling_stats;

#endif
