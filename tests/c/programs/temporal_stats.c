/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The specification's names: statistics, diagnoses, threads. A text of C11 and of C++17. It prints what is not so, with its line, and
 * returns 1. */
#define ENABLE_SLOWPATH_SAMPLING 1
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tslab/temporal_slab.h>

static int failures = 0;
#define CHECK(x) ((x) ? (void)0 : (void)(failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #x)))

enum { in_slab = 32, slabs = 5, objects = in_slab * (slabs - 1) + 3 }; /* of 128 bytes: four full slabs, and one with three */
static SlabHandle handles[objects];

static void fill(SlabAllocator* a, EpochId epoch)
{
    int i;
    for (i = 0; i < objects; i++)
        CHECK(alloc_obj_epoch(a, 128, epoch, &handles[i]) != NULL);
}

static void statistics(void)
{
    SlabAllocator* const a = slab_allocator_create();
    uint64_t const before = now_ns();
    SlabGlobalStats g;
    SlabClassStats c;
    SlabEpochStats e;
    PerfCounters counters;
    SlabHandle h;
    uint64_t total = 0;
    int i;
    epoch_advance(a);
    slab_epoch_set_label(a, 1, "batch");
    fill(a, 1);
    CHECK(alloc_obj_epoch(a, 64, 1, &h) != NULL); /* another class in the same epoch */
    slab_stats_global(a, &g);
    CHECK(g.version == SLAB_STATS_VERSION && g.current_epoch == 1 && g.active_epoch_count == 15 && g.closing_epoch_count == 1);
    CHECK(g.total_slabs_allocated == slabs + 1 && g.net_slabs == slabs + 1 && g.total_slabs_recycled == 0);
    CHECK(g.estimated_slab_rss_bytes == (slabs + 1) * SLAB_PAGE_SIZE && g.rss_bytes_current > 4096);
    CHECK(g.total_slow_path_hits == slabs + 1 && g.total_slow_cache_miss == slabs + 1 && g.total_slow_epoch_closed == 0);

    slab_stats_class(a, 2, &c);
    CHECK(c.version == SLAB_STATS_VERSION && c.class_index == 2 && c.object_size == 128);
    CHECK(c.new_slab_count == slabs && c.total_full_slabs == slabs - 1 && c.total_partial_slabs == 1 && c.net_slabs == slabs);
    CHECK(c.live_bytes == objects * 128u && c.committed_bytes == slabs * SLAB_PAGE_SIZE && c.empty_slabs_count == 0);
    CHECK(c.estimated_rss_bytes == slabs * SLAB_PAGE_SIZE && c.current_partial_null == 1 && c.current_partial_full == slabs - 1);
    CHECK(c.lock_contention_rate == 0 && c.lock_contended == 0 && c.lock_fast_acquire > 0);
    for (i = 0; i < (int)MAX_LABEL_IDS; i++)
        total += c.lock_fast_acquire_by_label[i];
    CHECK(total == c.lock_fast_acquire && c.lock_fast_acquire_by_label[1] > 0); /* of "batch" */

    get_perf_counters(a, 2, &counters);
    CHECK(counters.slow_path_hits == slabs && counters.new_slab_count == slabs && counters.current_partial_null == 1);
    CHECK(counters.list_move_partial_to_full == slabs - 1 && counters.empty_slab_recycled == 0);
    memset(&counters, 0x55, sizeof counters);
    get_perf_counters(a, 8, &counters);
    get_perf_counters(a, 2, NULL);
    CHECK(counters.slow_path_hits == 0x5555555555555555u);

    slab_stats_epoch(a, 2, 1, &e);
    CHECK(e.version == SLAB_STATS_VERSION && e.class_index == 2 && e.object_size == 128 && e.epoch_id == 1 && e.epoch_era == 1);
    CHECK(e.state == EPOCH_ACTIVE && strcmp(e.label, "batch") == 0 && e.alloc_count == objects + 1);
    CHECK(e.open_since_ns >= before && e.open_since_ns <= now_ns() && e.rss_before_close == 0 && e.rss_after_close == 0);
    CHECK(e.full_slab_count == slabs - 1 && e.partial_slab_count == 1 && e.reclaimable_slab_count == 0);
    CHECK(e.estimated_rss_bytes == slabs * SLAB_PAGE_SIZE && e.reclaimable_bytes == 0);
    slab_stats_epoch(a, 0, 1, &e);
    CHECK(e.partial_slab_count == 1 && e.full_slab_count == 0 && e.alloc_count == objects + 1);
    slab_stats_epoch(a, 2, 0, &e);
    CHECK(e.state == EPOCH_CLOSING && e.open_since_ns == 0 && e.alloc_count == 0 && e.partial_slab_count == 0);
    slab_stats_epoch(a, 2, 9, &e);
    CHECK(e.state == EPOCH_ACTIVE && e.epoch_id == 9 && e.alloc_count == 0 && e.epoch_era == 0);

    /* The slab of a single object becomes empty; of the others the last one keeps a live object. */
    CHECK(free_obj(a, h));
    slab_stats_epoch(a, 0, 1, &e);
    CHECK(e.reclaimable_slab_count == 1 && e.reclaimable_bytes == SLAB_PAGE_SIZE && e.alloc_count == objects);
    for (i = 0; i < objects - 1; i++)
        CHECK(free_obj(a, handles[i]));
    epoch_close(a, 1);
    slab_stats_epoch(a, 2, 1, &e);
    CHECK(e.state == EPOCH_CLOSING && e.alloc_count == 1 && e.partial_slab_count == 1 && e.full_slab_count == 0);
    CHECK(e.rss_before_close > 4096 && e.rss_after_close > 4096);
    CHECK(free_obj(a, handles[objects - 1]));
    slab_stats_epoch(a, 2, 1, &e);
    CHECK(e.alloc_count == 0 && e.estimated_rss_bytes == 0 && e.epoch_era == 1); /* drained; the number still means it */

    memset(&c, 0x55, sizeof c);
    memset(&e, 0x55, sizeof e);
    slab_stats_class(a, 8, &c);
    slab_stats_epoch(a, 8, 0, &e);
    CHECK(c.version == 0 && c.net_slabs == 0 && e.version == 0);
    memset(&e, 0x55, sizeof e);
    slab_stats_epoch(a, 0, 16, &e);
    CHECK(e.version == 0 && e.alloc_count == 0);
    slab_stats_global(a, NULL);
    slab_stats_class(a, 0, NULL);
    slab_stats_epoch(a, 0, 0, NULL);
    slab_allocator_free(a);
}

static void sampling(void)
{
    SlabAllocator* const a = slab_allocator_create();
    ThreadStats t = slab_stats_thread();
    struct timespec ts;
    SlabHandle h;
    int i;
    CHECK(t.alloc_samples == 0 && t.repair_count == 0);
    for (i = 0; i < 64 * 1024; i++)
        CHECK(alloc_obj(a, 128, &h) != NULL && free_obj(a, h));
    t = slab_stats_thread();
    CHECK(t.alloc_samples >= 16 && t.alloc_samples <= 256); /* one in 1,024 on average */
    CHECK(t.alloc_wall_ns_sum >= t.alloc_wall_ns_max && t.alloc_wall_ns_max > 0 && t.alloc_cpu_ns_sum >= t.alloc_cpu_ns_max);
    CHECK(t.repair_reason_full_bitmap + t.repair_reason_list_mismatch + t.repair_reason_other == t.repair_count);
    CHECK(SAMPLE_RATE_MASK == 1023 && REPAIR_REASON_FULL_BITMAP != REPAIR_REASON_LIST_MISMATCH);
    ts.tv_sec = 2;
    ts.tv_nsec = 5;
    CHECK(ns_from_ts(&ts) == 2000000005u);
    slab_allocator_free(a);
    CHECK(slab_stats_thread().alloc_samples == 0);
}

static void diagnoses(void)
{
    SlabAllocator* const a = slab_allocator_create();
    EpochLeakReport leaks;
    SlowPathReport slow;
    ReclamationReport given;
    SlabHandle h, of_512;
    uint32_t c;
    int i;
    epoch_advance(a);
    slab_epoch_set_label(a, 1, "leaky");
    fill(a, 1);
    CHECK(alloc_obj_epoch(a, 512, 1, &of_512) != NULL);
    CHECK(slab_detect_epoch_leaks(a, 0, 10, &leaks) == 0 && leaks.top_count == 0 && leaks.candidates == NULL); /* ACTIVE */
    epoch_close(a, 1);
    CHECK(alloc_obj_epoch(a, 64, 1, &h) == NULL);
    CHECK(slab_detect_epoch_leaks(a, 0, 1, &leaks) == 2);
    CHECK(leaks.version == SLAB_DIAGNOSTICS_VERSION && leaks.candidate_count == 2 && leaks.top_count == 1 && leaks.threshold_sec == 0);
    CHECK(leaks.candidates[0].class_index == 2 && leaks.candidates[0].object_size == 128); /* the most bytes */
    CHECK(leaks.candidates[0].epoch_id == 1 && leaks.candidates[0].epoch_era == 1 && strcmp(leaks.candidates[0].label, "leaky") == 0);
    CHECK(leaks.candidates[0].alloc_count == objects + 1 && leaks.candidates[0].full_slab_count == slabs - 1);
    CHECK(leaks.candidates[0].partial_slab_count == 1 && leaks.candidates[0].estimated_rss_bytes == slabs * SLAB_PAGE_SIZE);
    free(leaks.candidates);
    CHECK(slab_detect_epoch_leaks(a, 3600, 10, &leaks) == 0 && slab_detect_epoch_leaks(a, 0, 0, &leaks) == 2);
    CHECK(leaks.candidates == NULL && slab_detect_epoch_leaks(a, 0, 10, NULL) == 0);

    slab_analyze_slow_path(a, &slow);
    CHECK(slow.version == SLAB_DIAGNOSTICS_VERSION && slow.class_count == 8);
    for (c = 0; c < slow.class_count; c++)
        CHECK(slow.classes[c].class_index == c && slow.classes[c].recommendation[0] != '\0');
    CHECK(slow.classes[2].object_size == 128 && slow.classes[2].total_slow_path_hits == slabs && slow.classes[2].cache_miss_pct == 100.0);
    CHECK(slow.classes[2].partial_full_count == slabs - 1 && strstr(slow.classes[2].recommendation, "caches") != NULL);
    CHECK(slow.classes[0].epoch_closed_count == 1 && strstr(slow.classes[0].recommendation, "CLOSING") != NULL);
    CHECK(strcmp(slow.classes[7].recommendation, "no slow path") == 0);
    free(slow.classes);
    slab_analyze_slow_path(a, NULL);

    CHECK(free_obj(a, of_512));
    for (i = 0; i < objects; i++)
        CHECK(free_obj(a, handles[i]));
    epoch_advance(a);
    fill(a, 2);
    for (i = 0; i < objects; i++)
        CHECK(free_obj(a, handles[i]));
    epoch_close(a, 2);
    slab_analyze_reclamation(a, &given);
    CHECK(given.version == SLAB_DIAGNOSTICS_VERSION && given.epoch_count == 2);
    CHECK(given.epochs[0].epoch_id == 1 && given.epochs[1].epoch_id == 2 && given.epochs[1].was_closed);
    CHECK(strcmp(given.epochs[0].label, "leaky") == 0 && given.epochs[0].slabs_recycled == 0 && given.epochs[1].slabs_recycled > 0);
    CHECK(given.epochs[1].rss_delta == (int64_t)given.epochs[1].rss_after - (int64_t)given.epochs[1].rss_before);
    CHECK(given.epochs[1].class_index == 8 && given.epochs[1].epoch_era == 2 && given.total_madvise_failures == 0);
    free(given.epochs);
    slab_analyze_reclamation(a, NULL);
    slab_allocator_free(a);
}

enum { workers = 4, rounds = 2000, batch = 20 };
struct worker {
    SlabAllocator* a;
    uint64_t served, refused, wrong;
};

/* Allocates in whatever epoch is current, by handle and by pointer, and frees all of it. */
static void* work(void* context)
{
    struct worker* const w = (struct worker*)context;
    SlabHandle by_handle[batch];
    void* by_pointer[batch];
    int round, i;
    for (round = 0; round < rounds; round++) {
        EpochId const epoch = epoch_current(w->a);
        epoch_domain_t* const d = epoch_domain_wrap(w->a, epoch, round % 3 == 0);
        epoch_domain_enter(d);
        w->wrong += epoch_domain_current() != d;
        for (i = 0; i < batch; i++) {
            by_pointer[i] = slab_malloc_epoch(w->a, 100, epoch);
            w->served += by_pointer[i] != NULL;
            if (by_pointer[i] != NULL)
                memset(by_pointer[i], i, 100);
            w->served += alloc_obj_epoch(w->a, 64, epoch, &by_handle[i]) != NULL;
            w->refused += (by_pointer[i] == NULL) + (by_handle[i] == 0);
        }
        for (i = 0; i < batch; i++) {
            w->wrong += by_handle[i] != 0 && !free_obj(w->a, by_handle[i]);
            w->wrong += by_pointer[i] != NULL && *(unsigned char*)by_pointer[i] != i;
            slab_free(w->a, by_pointer[i]);
        }
        epoch_domain_exit(d);
        epoch_domain_destroy(d);
    }
    return NULL;
}

static void threads(void)
{
    SlabAllocator* const a = slab_allocator_create();
    struct worker w[workers];
    pthread_t t[workers];
    SlabGlobalStats g;
    tslab_global_stats all;
    uint64_t served = 0, refused = 0;
    int i;
    memset(w, 0, sizeof w);
    for (i = 0; i < workers; i++) {
        w[i].a = a;
        CHECK(pthread_create(&t[i], NULL, work, &w[i]) == 0);
    }
    for (i = 0; i < 2000; i++) {
        epoch_advance(a);
        if (i % 4 == 0)
            epoch_close(a, (epoch_current(a) + 15) % 16);
        slab_epoch_set_label(a, epoch_current(a), i % 2 == 0 ? "even" : "odd");
        slab_epoch_inc_refcount(a, epoch_current(a));
        slab_stats_global(a, &g);
        slab_epoch_dec_refcount(a, epoch_current(a));
    }
    for (i = 0; i < workers; i++) {
        CHECK(pthread_join(t[i], NULL) == 0 && w[i].wrong == 0);
        served += w[i].served;
        refused += w[i].refused;
    }
    CHECK(served + refused == 2ull * workers * rounds * batch && served > 0);
    CHECK(tslab_heap_stats(a->heap, &all, sizeof all) && all.allocations == served && all.live_objects == 0);
    CHECK(all.slow_path_epoch_closed <= refused); /* one that comes between the number's close and the heap's is not counted */
    CHECK(all.misuses == 0 && all.refused_handles == 0);
    CHECK(all.ring_exhausted == 0);
    slab_allocator_free(a);
}

int main(void)
{
    statistics();
    sampling();
    diagnoses();
    threads();
    if (failures == 0)
        puts("all as it should be");
    return failures != 0;
}
