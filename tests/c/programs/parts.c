/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A C11 program that uses epochs without domains, holds, domains with a context, and the parts of a snapshot. It prints what is not so,
 * with its line, and returns 1. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <tslab/tslab.h>

static int failures = 0;
#define CHECK(x) ((x) ? (void)0 : (void)(failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #x)))

static bool text_is(tslab_text t, const char* s) { return t.size == strlen(s) && memcmp(t.data, s, t.size) == 0; }

/* The place of an epoch in the list of a snapshot. */
static size_t place_of(const tslab_snapshot* s, tslab_epoch e)
{
    tslab_epoch_stats of;
    for (size_t i = 0; i < tslab_snapshot_epochs(s); i++)
        if (tslab_snapshot_epoch(s, i, &of, sizeof of) && of.index == e.index && of.era == e.era)
            return i;
    return SIZE_MAX;
}

static void open_epochs(void)
{
    tslab_heap_options o;
    tslab_heap_options_init(&o);
    o.epoch_count = 2;
    tslab_heap* const heap = tslab_heap_create(&o, NULL);
    tslab_epoch e, none;
    CHECK(tslab_epoch_open(heap, "batch", &e) && tslab_epoch_is_active(heap, e) && e.era != tslab_epoch_current(heap).era);
    void* const p = tslab_malloc_in(heap, 64, e);
    CHECK(p != NULL);
    CHECK(!tslab_epoch_open(heap, NULL, &none) && none.index == tslab_epoch_current(heap).index); /* no slot is free */
    tslab_free(heap, p);
    tslab_close_report report;
    CHECK(tslab_epoch_close(heap, e, &report, sizeof report) && report.closed && report.drained);
    CHECK(tslab_epoch_open(heap, NULL, &none) && !tslab_epoch_is_active(heap, e));
    tslab_heap_destroy(heap);
}

static const char* leak_function;
static void see_leak(const tslab_leak* l, void* context)
{
    CHECK(l->refcount == 1 && text_is(l->function, leak_function));
    *(int*)context += 1;
}

static void* release_elsewhere(void* context)
{
    tslab_hold* const hold = context;
    tslab_epoch_release((tslab_heap*)hold->opaque[0], hold, true);
    return NULL;
}

static void holds(void)
{
    tslab_heap* const heap = tslab_heap_create(NULL, NULL);
    tslab_epoch e;
    tslab_hold hold;
    CHECK(tslab_epoch_open(heap, "held", &e) && tslab_epoch_refcount(heap, e) == 0);
    CHECK(tslab_epoch_hold(heap, e, &hold, TSLAB_HERE) && tslab_epoch_refcount(heap, e) == 1);
    tslab_snapshot* const s = tslab_snapshot_take(heap, false);
    int leaks = 0;
    leak_function = __func__;
    CHECK(tslab_find_leaks(s, 0, see_leak, &leaks) == 1 && leaks == 1);
    tslab_snapshot_free(s);

    /* A domain that leaves does not close what is held. */
    tslab_domain d;
    tslab_domain_wrap(&d, heap, e, NULL, 0);
    CHECK(tslab_domain_enter(&d, NULL) && tslab_epoch_refcount(heap, e) == 2);
    tslab_domain_exit(&d);
    CHECK(tslab_epoch_is_active(heap, e) && tslab_epoch_refcount(heap, e) == 1);
    tslab_hold second = hold; /* it may be moved */
    memset(&hold, 0, sizeof hold);
    tslab_epoch_release(heap, &hold, true);
    CHECK(tslab_epoch_is_active(heap, e));
    pthread_t other;
    CHECK(pthread_create(&other, NULL, release_elsewhere, &second) == 0 && pthread_join(other, NULL) == 0);
    CHECK(!tslab_epoch_is_active(heap, e) && second.opaque[0] == NULL);
    tslab_domain_end(&d);
    CHECK(!tslab_epoch_hold(heap, e, &hold, NULL) && hold.opaque[0] == NULL && tslab_epoch_refcount(heap, e) == 0);
    tslab_heap_destroy(heap);
}

static void* context_elsewhere(void* context)
{
    (void)context;
    return tslab_domain_current_context();
}

static void contexts(void)
{
    tslab_heap* const heap = tslab_heap_create(NULL, NULL);
    tslab_domain a, b, plain;
    tslab_scope scope;
    int for_a, for_b;
    tslab_domain_begin(&a, heap, NULL, 0, NULL);
    tslab_domain_begin(&b, heap, NULL, 0, NULL);
    tslab_domain_begin(&plain, heap, NULL, 0, NULL);
    CHECK(tslab_domain_current_context() == NULL);
    CHECK(tslab_domain_enter(&a, NULL) && tslab_domain_current_context() == NULL);
    tslab_domain_set_context(&a, &for_b);
    tslab_domain_set_context(&a, &for_a); /* in its place */
    CHECK(tslab_domain_current_context() == &for_a);
    CHECK(tslab_domain_enter(&b, NULL));
    tslab_domain_set_context(&b, &for_b);
    CHECK(tslab_domain_current_context() == &for_b);
    CHECK(tslab_domain_enter(&a, NULL) && tslab_domain_current_context() == &for_a);
    CHECK(tslab_domain_enter(&plain, NULL) && tslab_domain_current_context() == NULL);
    tslab_scope_begin(&scope, heap, NULL, NULL);
    CHECK(tslab_domain_current_context() == NULL);
    tslab_scope_end(&scope);
    tslab_domain_exit(&plain);
    pthread_t other;
    void* seen = &for_a;
    CHECK(pthread_create(&other, NULL, context_elsewhere, NULL) == 0 && pthread_join(other, &seen) == 0 && seen == NULL);
    tslab_domain_exit(&a);
    CHECK(tslab_domain_current_context() == &for_b);
    tslab_domain_exit(&b);
    CHECK(tslab_domain_current_context() == &for_a);
    tslab_domain_exit(&a);
    CHECK(tslab_domain_current_context() == NULL);
    CHECK(tslab_domain_enter(&a, NULL) && tslab_domain_current_context() == NULL); /* the last exit has ended it */
    tslab_domain_exit(&a);
    tslab_domain_end(&plain);
    tslab_domain_end(&b);
    tslab_domain_end(&a);
    tslab_heap_destroy(heap);
}

static void size_classes(void)
{
    tslab_size_class c;
    tslab_size_class_of(65, false, &c, sizeof c);
    CHECK(c.object_size == 80 && c.class_index >= 8 && c.pages_per_slab == 1 && c.objects_per_slab == 51);
    tslab_size_class_of(65, true, &c, sizeof c);
    CHECK(c.object_size == 96 && c.class_index == 1 && c.objects_per_slab == 42);
    tslab_size_class_of(0, false, &c, sizeof c);
    CHECK(c.object_size == 16 && c.objects_per_slab == 256);
    tslab_size_class_of(65536, false, &c, sizeof c);
    CHECK(c.object_size == 65536 && c.pages_per_slab == 64 && c.objects_per_slab == 4);
    tslab_size_class_of(65537, false, &c, sizeof c);
    CHECK(c.object_size == 0 && c.objects_per_slab == 0 && c.pages_per_slab == 0);
    uint32_t const above = c.class_index;
    tslab_size_class_of(769, true, &c, sizeof c);
    CHECK(c.object_size == 0 && c.class_index == above);
}

static void parts(void)
{
    tslab_heap_options o;
    tslab_heap_options_init(&o);
    o.sampling = true;
    tslab_heap* const heap = tslab_heap_create(&o, NULL);
    tslab_epoch e;
    tslab_handle h;
    CHECK(tslab_epoch_open(heap, "parts", &e));
    void* kept[33];
    for (int i = 0; i < 33; i++) /* a full slab and one with an object */
        kept[i] = tslab_malloc_in(heap, 128, e);
    CHECK(tslab_allocate(heap, 64, e, &h) != NULL && tslab_free_handle(heap, h) == TSLAB_FREE_OK); /* an empty one */
    void* const large = tslab_malloc_in(heap, 100000, e);
    tslab_snapshot* s = tslab_snapshot_take(heap, false);
    size_t const at = place_of(s, e);
    tslab_class_share share;
    CHECK(at != SIZE_MAX && tslab_snapshot_epoch_classes(s, at) == 3 && tslab_snapshot_epoch_classes(s, 4711) == 0);
    CHECK(tslab_snapshot_epoch_class(s, at, 0, &share, sizeof share) && share.class_index == 0 && share.empty_slabs == 1);
    CHECK(share.slabs == 1 && share.full_slabs == 0 && share.live_objects == 0);
    CHECK(tslab_snapshot_epoch_class(s, at, 1, &share, sizeof share) && share.class_index == 2 && share.full_slabs == 1);
    CHECK(share.slabs == 2 && share.empty_slabs == 0 && share.live_objects == 33 && share.live_bytes == 33 * 128 && share.pages == 2);
    CHECK(tslab_snapshot_epoch_class(s, at, 2, &share, sizeof share) && share.slabs == 0 && share.pages == 25);
    CHECK(!tslab_snapshot_epoch_class(s, at, 3, &share, sizeof share) && !tslab_snapshot_epoch_class(s, 4711, 0, &share, sizeof share));
    share.slabs = 77;
    CHECK(tslab_snapshot_epoch_class(s, at, 0, &share, offsetof(tslab_class_share, slabs)) && share.slabs == 77); /* an older caller */

    tslab_contention_stats by_label;
    uint64_t acquired = 0;
    tslab_class_stats c;
    CHECK(tslab_snapshot_class(s, 2, &c, sizeof c));
    for (size_t label = 0; tslab_snapshot_class_label(s, 2, label, &by_label, sizeof by_label); label++)
        acquired += by_label.lock_fast_acquire;
    CHECK(acquired == c.contention.lock_fast_acquire && acquired > 0);
    CHECK(!tslab_snapshot_class_label(s, 4711, 0, &by_label, sizeof by_label));

    tslab_lock_timing_stats timing;
    tslab_lock_histograms locks;
    tslab_close_stats close;
    CHECK(!tslab_snapshot_lock_timing(s, &timing, sizeof timing) && !tslab_snapshot_class_lock_timing(s, 2, &timing, sizeof timing));
    CHECK(!tslab_snapshot_lock_histograms(s, &locks, sizeof locks) && !tslab_snapshot_label_last_close(s, 1, &close, sizeof close));
    tslab_snapshot_free(s);

    tslab_set_lock_timing(1);
    for (int i = 0; i < 33; i++)
        tslab_free(heap, kept[i]);
    tslab_free(heap, large);
    for (int i = 0; i < 64 * 1024; i++)
        tslab_free(heap, tslab_malloc(heap, 64));
    CHECK(tslab_epoch_close(heap, e, NULL, 0));
    for (int i = 0; i < 1000; i++)
        tslab_epoch_advance(heap);
    void* const more = tslab_malloc(heap, 100000);
    s = tslab_snapshot_take(heap, false);
    tslab_set_lock_timing(0);
    uint64_t waits = 0, holds_ = 0;
    CHECK(tslab_snapshot_lock_timing(s, &timing, sizeof timing) && timing.samples > 0 && timing.hold_ns >= timing.hold_ns_max);
    CHECK(tslab_snapshot_lock_histograms(s, &locks, sizeof locks));
    for (int i = 0; i < TSLAB_HISTOGRAM_BUCKETS; i++) {
        waits += locks.wait.buckets[i];
        holds_ += locks.hold.buckets[i];
    }
    CHECK(waits == timing.samples && holds_ == timing.samples && tslab_histogram_quantile(&locks.hold, 1) >= timing.hold_ns_max);
    uint64_t of_classes = 0;
    for (size_t i = 0; i < tslab_snapshot_classes(s); i++)
        if (tslab_snapshot_class_lock_timing(s, i, &timing, sizeof timing))
            of_classes += timing.samples;
    CHECK(of_classes > 0 && !tslab_snapshot_class_lock_timing(s, 4711, &timing, sizeof timing));
    tslab_label_stats label;
    CHECK(tslab_snapshot_label(s, 1, &label, sizeof label) && text_is(label.name, "parts"));
    CHECK(tslab_snapshot_label_last_close(s, 1, &close, sizeof close) && close.index == e.index && close.era == e.era);
    CHECK(text_is(close.label, "parts") && close.timestamp_ns > 0 && !tslab_snapshot_label_last_close(s, 4711, &close, sizeof close));

    tslab_sampling_stats all, of_thread, own;
    CHECK(tslab_snapshot_sampling(s, &all, sizeof all) && all.alloc.samples >= 16 && all.alloc.samples <= 256);
    CHECK(tslab_snapshot_thread_sampling(s, 0, &of_thread, sizeof of_thread) && of_thread.alloc.samples == all.alloc.samples);
    CHECK(!tslab_snapshot_thread_sampling(s, 4711, &of_thread, sizeof of_thread));
    tslab_this_thread_sampling(&own, sizeof own);
    CHECK(own.alloc.samples == all.alloc.samples && own.alloc.wall_ns_sum == all.alloc.wall_ns_sum);
    CHECK(own.repair_count == all.repair_count && own.free.samples == all.free.samples);
    uint64_t timed = 0;
    for (int i = 0; i < TSLAB_HISTOGRAM_BUCKETS; i++)
        timed += all.alloc.wall.buckets[i];
    CHECK(timed == all.alloc.samples && tslab_histogram_quantile(&all.alloc.wall, 0.5) <= tslab_histogram_quantile(&all.alloc.wall, 1));
    tslab_snapshot_free(s);
    tslab_free(heap, more);
    tslab_heap_destroy(heap);
}

int main(void)
{
    open_epochs();
    holds();
    contexts();
    size_classes();
    parts();
    if (failures == 0)
        puts("all as it should be");
    return failures != 0;
}
