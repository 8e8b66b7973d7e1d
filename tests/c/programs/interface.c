/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A C11 program that uses every part of <tslab/tslab.h>. It prints what is not so, with its line, and returns 1. */
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tslab/tslab.h>

static int failures = 0;
#define CHECK(x) ((x) ? (void)0 : (void)(failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #x)))

static bool same(tslab_epoch a, tslab_epoch b) { return a.index == b.index && a.era == b.era; }
static bool text_is(tslab_text t, const char* s) { return t.size == strlen(s) && memcmp(t.data, s, t.size) == 0; }

static int reports;
static tslab_misuse last_kind;
static char last_line[256];
static void note(const tslab_misuse_report* r)
{
    reports++;
    last_kind = r->kind;
    size_t const n = tslab_format_report(r, last_line, sizeof last_line - 1);
    last_line[n] = '\0';
}

static void versions(void)
{
    CHECK(tslab_abi() == TSLAB_ABI);
    CHECK(strcmp(tslab_version(), TSLAB_VERSION) == 0);
    CHECK(strcmp(tslab_misuse_name(TSLAB_MISUSE_DOUBLE_FREE), "double_free") == 0);
    CHECK(strcmp(tslab_misuse_name(TSLAB_MISUSE_BAD_ARGUMENT), "bad_argument") == 0);
    CHECK(strcmp(tslab_misuse_name((tslab_misuse)4711), "unknown") == 0);
}

static void heaps(void)
{
    tslab_failure why;
    tslab_heap_options o;
    tslab_heap_options_init(&o);
    o.name = "orders";
    o.epoch_count = 16;
    tslab_heap* const heap = tslab_heap_create(&o, &why);
    CHECK(heap != NULL && why.status == TSLAB_OK && why.text[0] == '\0');
    CHECK(strcmp(tslab_heap_name(heap), "orders") == 0);
    CHECK(tslab_heap_epoch_count(heap) == 16);
    CHECK(*(tslab_heap**)tslab_heap_front(heap) == heap);
    tslab_heap_set_front(heap, &o);
    CHECK(tslab_heap_front(heap) == &o);
    tslab_heap_set_sampling(heap, true);
    CHECK(tslab_heap_sampling(heap));
    tslab_heap_set_sampling(heap, false);
    CHECK(!tslab_heap_sampling(heap));
    tslab_heap_destroy(heap);
    tslab_heap_destroy(NULL);

    o.epoch_count = 1;
    CHECK(tslab_heap_create(&o, &why) == NULL && why.status == TSLAB_INVALID && strlen(why.text) > 10);
    CHECK(tslab_heap_create(&o, NULL) == NULL);
    tslab_heap_options_init(&o);
    o.slab_cache = -2;
    CHECK(tslab_heap_create(&o, &why) == NULL && why.status == TSLAB_INVALID && strstr(why.text, "slab_cache") != NULL);
    tslab_heap_options_init(&o);
    o.reclaim = (tslab_reclaim)9;
    CHECK(tslab_heap_create(&o, &why) == NULL && why.status == TSLAB_INVALID && strstr(why.text, "reclaim") != NULL);
    tslab_heap_options_init(&o);
    o.checks = (tslab_checks)-1;
    CHECK(tslab_heap_create(&o, &why) == NULL && why.status == TSLAB_INVALID && strstr(why.text, "checks") != NULL);
    tslab_heap_options_init(&o);
    o.background_purge = 2;
    CHECK(tslab_heap_create(&o, &why) == NULL && strstr(why.text, "background_purge") != NULL);
    tslab_heap_options_init(&o);
    o.decay_ms = INT64_MAX;
    CHECK(tslab_heap_create(&o, &why) == NULL && why.status == TSLAB_INVALID);
    tslab_heap* const plain = tslab_heap_create(NULL, NULL);
    CHECK(plain != NULL && strcmp(tslab_heap_name(plain), "tslab") == 0 && tslab_heap_epoch_count(plain) == 256);
    tslab_heap_destroy(plain);
}

static void limits(void)
{
    tslab_heap_options o;
    tslab_heap_options_init(&o);
    o.limit = 8 << 20;
    tslab_heap* const heap = tslab_heap_create(&o, NULL);
    tslab_epoch const e = tslab_epoch_current(heap);
    CHECK(tslab_malloc(heap, 9 << 20) == NULL);
    CHECK(tslab_epoch_set_limit(heap, e, 1 << 20) == TSLAB_OK);
    tslab_refusal why = TSLAB_REFUSED_NOT;
    CHECK(tslab_aligned_malloc_in(heap, 64, 2 << 20, e, &why) == NULL && why == TSLAB_REFUSED_LIMITED);
    CHECK(tslab_epoch_set_limit(heap, e, TSLAB_NO_LIMIT) == TSLAB_OK);
    void* const p = tslab_malloc(heap, 2 << 20);
    CHECK(p != NULL);
    tslab_free(heap, p);
    CHECK(tslab_set_limit(heap, "job", 1 << 20) == TSLAB_OK && tslab_set_limit(heap, NULL, TSLAB_NO_LIMIT) == TSLAB_OK);
    tslab_epoch const none = {9999, 1};
    CHECK(tslab_epoch_set_limit(heap, none, 1) == TSLAB_INVALID);

    tslab_resource job;
    uint64_t const most = 64 << 10;
    tslab_resource_options const with_limit = {.label = "job", .limit = &most};
    CHECK(tslab_resource_begin(&job, heap, &with_limit, sizeof with_limit, TSLAB_HERE) == &job);
    CHECK(tslab_resource_allocate(&job, 65 << 10, 8) == NULL);
    void* const q = tslab_resource_allocate(&job, 1000, 8);
    CHECK(q != NULL);
    tslab_resource_deallocate(&job, q, 1000, 8);
    tslab_resource_end(&job);
    // A caller that was compiled before the option was there.
    CHECK(tslab_resource_begin(&job, heap, &with_limit, offsetof(tslab_resource_options, limit), TSLAB_HERE) == &job);
    void* const large = tslab_resource_allocate(&job, 65 << 10, 8);
    CHECK(large != NULL);
    tslab_resource_deallocate(&job, large, 65 << 10, 8);
    tslab_resource_end(&job);
    tslab_heap_destroy(heap);
    tslab_heap_options_init(&o);
    o.limit = -2;
    CHECK(tslab_heap_create(&o, NULL) == NULL);
}

static void epochs_and_memory(void)
{
    tslab_heap* const heap = tslab_heap_create(NULL, NULL);
    tslab_epoch const first = tslab_epoch_current(heap);
    CHECK(tslab_epoch_is_active(heap, first));
    CHECK(tslab_epoch_set_label(heap, first, "first"));
    unsigned char* const p = tslab_malloc(heap, 100);
    unsigned char* const q = tslab_malloc_in(heap, 300000, first);
    CHECK(p != NULL && q != NULL);
    memset(p, 1, 100);
    memset(q, 2, 300000);
    tslab_refusal why = TSLAB_REFUSED_CLOSED;
    void* const wide = tslab_aligned_malloc_in(heap, 1024, 80, first, &why);
    CHECK(wide != NULL && (uintptr_t)wide % 1024 == 0 && why == TSLAB_REFUSED_NOT);
    CHECK(tslab_aligned_malloc_in(heap, 24, 80, first, &why) == NULL && why == TSLAB_REFUSED_OUT_OF_MEMORY);
    CHECK(tslab_aligned_malloc_in(heap, 16, SIZE_MAX, first, NULL) == NULL);

    tslab_epoch const second = tslab_epoch_advance(heap);
    CHECK(!same(first, second) && same(second, tslab_epoch_current(heap)) && !tslab_epoch_is_active(heap, first));
    CHECK(tslab_malloc_in(heap, 100, first) == NULL);
    CHECK(tslab_aligned_malloc_in(heap, 64, 80, first, &why) == NULL && why == TSLAB_REFUSED_CLOSED);
    CHECK(p[99] == 1 && q[299999] == 2);
    tslab_free(heap, p);
    tslab_free(heap, q);
    tslab_free(heap, wide);
    tslab_free(heap, NULL);

    void* const kept = tslab_malloc_in(heap, 64, second);
    tslab_close_report report;
    memset(&report, 0xff, sizeof report);
    CHECK(tslab_epoch_trim(heap, second, &report, sizeof report) && report.found && !report.closed);
    CHECK(tslab_epoch_close(heap, second, &report, sizeof report));
    CHECK(same(report.epoch, second) && report.closed && !report.drained && report.scanned_slabs == 1);
    tslab_free(heap, kept);
    CHECK(!tslab_epoch_close(heap, second, &report, sizeof report) && !report.found);
    CHECK(!tslab_epoch_set_label(heap, second, NULL));
    report.closed = true;
    tslab_epoch_trim(heap, tslab_epoch_current(heap), &report, offsetof(tslab_close_report, found));   /* an older caller */
    CHECK(report.closed && same(report.epoch, tslab_epoch_current(heap)));
    tslab_heap_trim(heap, NULL, 0);

    tslab_handle h = 0;
    CHECK(tslab_allocate(heap, 128, tslab_epoch_current(heap), &h) != NULL && h != 0);
    CHECK(tslab_free_handle(heap, h) == TSLAB_FREE_OK);
    CHECK(tslab_free_handle(heap, h) == TSLAB_FREE_ALREADY_FREE);
    CHECK(tslab_free_handle(heap, 0) == TSLAB_FREE_FOREIGN);
    tslab_handle none = 7;
    CHECK(tslab_allocate(heap, 128, first, &none) == NULL && none == 0);
    tslab_global_stats totals;
    CHECK(tslab_heap_stats(heap, &totals, sizeof totals) && totals.live_objects == 0 && totals.allocations == 5);
    CHECK(totals.slow_path_epoch_closed == 3 && totals.misuses == 0 && totals.refused_handles == 2);
    tslab_heap_destroy(heap);
}

static void domains(void)
{
    tslab_heap* const heap = tslab_heap_create(NULL, NULL);
    tslab_domain_options const o = {.label = "work", .keep_open = true};
    tslab_domain outer, inner;
    CHECK(tslab_domain_current() == NULL);
    CHECK(tslab_domain_begin(&outer, heap, &o, sizeof o, TSLAB_HERE) == &outer);
    CHECK(tslab_domain_wrap(&inner, heap, tslab_epoch_current(heap), NULL, 0) == &inner);
    CHECK(tslab_domain_heap(&outer) == heap && tslab_domain_depth(&outer) == 0);
    CHECK(!tslab_domain_closes_epoch(&outer) && !tslab_domain_shares_epoch(&outer));
    CHECK(tslab_domain_closes_epoch(&inner) && tslab_domain_shares_epoch(&inner));
    CHECK(tslab_domain_enter(&outer, TSLAB_HERE) && tslab_domain_enter(&outer, NULL));
    CHECK(tslab_domain_enter(&inner, TSLAB_HERE) && tslab_domain_current() == &inner);
    tslab_domain_exit(&inner);
    CHECK(tslab_domain_depth(&outer) == 2 && tslab_domain_current() == &outer);
    tslab_domain_exit(&outer);
    tslab_domain_exit(&outer);
    tslab_epoch const e = tslab_domain_epoch(&outer);
    CHECK(tslab_epoch_is_active(heap, e));   /* it keeps its epoch open */
    tslab_close_report report;
    CHECK(tslab_domain_force_close(&outer, &report, sizeof report) && report.closed && same(report.epoch, e));
    tslab_domain_end(&inner);
    tslab_domain_end(&outer);
    tslab_heap_destroy(heap);
}

static uint32_t scope_line;

static void work(tslab_heap* heap)
{
    TSLAB_SCOPE(request, heap, "GET /orders"); scope_line = __LINE__;
    tslab_resource* const r = tslab_scope_resource(&request);
    CHECK(r != NULL && tslab_domain_current() == tslab_resource_domain(r) && tslab_resource_heap(r) == heap);
    void* const p = tslab_resource_allocate(r, 100, 8);
    CHECK(p != NULL && tslab_resource_pmr(r) != NULL);
    tslab_resource_deallocate(r, p, 100, 8);
    tslab_resource_deallocate(r, NULL, 100, 8);
    CHECK(tslab_resource_allocate(r, 64, 24) == NULL && tslab_resource_allocate(r, SIZE_MAX, 1) == NULL);
    {
        tslab_scope again;
        CHECK(tslab_scope_begin_in(&again, r, TSLAB_HERE) == r);
        CHECK(tslab_domain_depth(tslab_resource_domain(r)) == 2);
        tslab_scope_end(&again);
    }
    CHECK(tslab_resource_push(r) && tslab_resource_pop(r, false));
    CHECK(tslab_resource_allocate(r, 200, 16) != NULL && tslab_resource_release(r) == 1);
    tslab_epoch const e = tslab_resource_epoch(r);
    CHECK(tslab_epoch_close(heap, e, NULL, 0));
    CHECK(tslab_resource_allocate(r, 64, 8) == NULL);
}

static void scopes(void)
{
    tslab_heap* const heap = tslab_heap_create(NULL, NULL);
    work(heap);
    CHECK(tslab_domain_current() == NULL);
    tslab_resource session;
    tslab_resource_options const o = {.label = "session", .count_only = true};
    CHECK(tslab_resource_begin(&session, heap, &o, sizeof o, TSLAB_HERE) == &session);
    tslab_resource_deallocate(&session, tslab_resource_allocate(&session, 64, 8), 64, 8);   /* only counted */
    tslab_resource_end(&session);
    tslab_scope s;
    tslab_resource_options const shared = {.label = "shared", .share_epoch = true};
    CHECK(tslab_scope_begin_with(&s, heap, &shared, sizeof shared, TSLAB_HERE) != NULL);
    CHECK(same(tslab_resource_epoch(tslab_scope_resource(&s)), tslab_epoch_current(heap)));
    tslab_scope_end(&s);
    tslab_global_stats totals;
    CHECK(tslab_heap_stats(heap, &totals, sizeof totals));
    CHECK(totals.counted_frees == 1 && totals.live_objects == 0 && totals.domain_enters == totals.domain_exits);
    tslab_heap_destroy(heap);
}

struct seen {
    int leaks;
    bool right;
};
static void see_leak(const tslab_leak* l, void* context)
{
    struct seen* const s = context;
    s->leaks++;
    s->right = text_is(l->label, "forgotten") && l->refcount == 1 && l->live_objects == 1 && l->line == scope_line &&
               text_is(l->file, __FILE__) && text_is(l->function, "statistics") && l->lifecycle == 1 &&
               l->missing_exits == 1 && l->sentence.size > 20;
}
static void see_json(const char* text, size_t size, void* context)
{
    *(size_t*)context = size;
    CHECK(text[0] == '{' && text[size - 1] == '}');
}

static void statistics(void)
{
    tslab_heap_options o;
    tslab_heap_options_init(&o);
    o.name = "seen";
    tslab_heap* const heap = tslab_heap_create(&o, NULL);
    tslab_resource forgotten;
    tslab_resource_options const r = {.label = "forgotten"};
    tslab_resource_begin(&forgotten, heap, &r, sizeof r, TSLAB_HERE); scope_line = __LINE__;
    void* const p = tslab_resource_allocate(&forgotten, 128, 8);
    tslab_snapshot* const s = tslab_snapshot_take(heap, true);
    tslab_snapshot_info about;
    CHECK(tslab_snapshot_about(s, &about, sizeof about) && text_is(about.name, "seen") && about.epoch_count == 256);
    CHECK(text_is(about.reclaim, "cached") && same(about.current, tslab_epoch_current(heap)) && about.pid > 0);
    tslab_global_stats totals;
    CHECK(tslab_snapshot_global(s, &totals, sizeof totals) && totals.live_objects == 1 && totals.allocations == 1);
    tslab_close_stats close;
    CHECK(!tslab_snapshot_last_close(s, &close, sizeof close));
    tslab_waterfall_stats waterfall;
    CHECK(tslab_snapshot_waterfall(s, &waterfall, sizeof waterfall) && waterfall.rss_bytes > 0);
    uint64_t objects = 0;
    tslab_class_stats c;
    for (size_t i = 0; i < tslab_snapshot_classes(s); i++)
        if (tslab_snapshot_class(s, i, &c, sizeof c))
            objects += c.live_objects;
    CHECK(objects == 1 && !tslab_snapshot_class(s, tslab_snapshot_classes(s), &c, sizeof c));
    bool found = false;
    tslab_epoch_stats e;
    for (size_t i = 0; i < tslab_snapshot_epochs(s); i++)
        if (tslab_snapshot_epoch(s, i, &e, sizeof e) && text_is(e.label, "forgotten"))
            found = e.live_objects == 1 && e.refcount == 1 && e.line == scope_line && e.lifecycle == 1;
    CHECK(found);
    found = false;
    tslab_label_stats label;
    for (size_t i = 0; i < tslab_snapshot_labels(s); i++)
        if (tslab_snapshot_label(s, i, &label, sizeof label) && text_is(label.name, "forgotten"))
            found = label.live_objects == 1;
    CHECK(found);
    tslab_thread_stats thread;
    CHECK(tslab_snapshot_threads(s) == 1 && tslab_snapshot_thread(s, 0, &thread, sizeof thread));
    CHECK(thread.allocations == 1 && thread.thread_id == tslab_this_thread());
    CHECK(tslab_snapshot_misuses(s, TSLAB_MISUSE_DOUBLE_FREE) == 0);

    size_t const length = tslab_snapshot_json(s, NULL, 0);
    char* const json = malloc(length + 1);
    CHECK(tslab_snapshot_json(s, json, length) == length);   /* no room for the terminator: nothing is written */
    CHECK(tslab_snapshot_json(s, json, length + 1) == length && strlen(json) == length);
    CHECK(strstr(json, "\"name\":\"seen\"") != NULL);
    size_t written = 0;
    CHECK(tslab_snapshot_write_json(s, see_json, &written) && written == length);
    free(json);

    struct seen leaks = {0, false};
    CHECK(tslab_find_leaks(s, 0, see_leak, &leaks) == 1 && leaks.leaks == 1 && leaks.right);
    CHECK(tslab_find_leaks(s, 3600, see_leak, &leaks) == 0 && tslab_find_leaks(s, 0, NULL, NULL) == 1);
    tslab_snapshot_free(s);
    tslab_snapshot_free(NULL);
    tslab_snapshot* const quick = tslab_snapshot_take(heap, false);
    CHECK(!tslab_snapshot_waterfall(quick, &waterfall, sizeof waterfall));
    CHECK(tslab_snapshot_class(quick, 0, &c, sizeof c) && c.resident_bytes == TSLAB_UNKNOWN);
    tslab_snapshot_free(quick);
    tslab_resource_deallocate(&forgotten, p, 128, 8);
    tslab_resource_end(&forgotten);
    tslab_heap_destroy(heap);
}

static void settings(void)
{
    tslab_set_lock_timing(8);
    CHECK(tslab_lock_timing() == 8);
    tslab_set_lock_timing(0);
    CHECK(tslab_set_escape_detection(true) && tslab_escape_detection());
    CHECK(tslab_set_escape_detection(false) && !tslab_escape_detection());
    CHECK(tslab_now_ns() > 0 && tslab_now_ns_coarse() > 0 && tslab_read_rss_bytes() > 4096);
}

static void* free_elsewhere(void* context)
{
    void** const both = context;
    tslab_free(both[0], both[1]);
    return NULL;
}

static void misuse(void)
{
    CHECK(tslab_set_error_handler(note) == NULL);
    tslab_heap* const heap = tslab_heap_create(NULL, NULL);
    void* const p = tslab_malloc(heap, 64);
    void* both[2] = {heap, p};
    pthread_t other;
    CHECK(pthread_create(&other, NULL, free_elsewhere, both) == 0 && pthread_join(other, NULL) == 0);
    CHECK(reports == 0);
    tslab_free(heap, p);
    CHECK(reports == 1 && last_kind == TSLAB_MISUSE_DOUBLE_FREE && strstr(last_line, "double free of 0x") != NULL);
    CHECK(tslab_malloc(NULL, 8) == NULL && last_kind == TSLAB_MISUSE_BAD_ARGUMENT);
    CHECK(strcmp(last_line, "tslab: bad argument: tslab_malloc: the heap is null\n") == 0);
    CHECK(tslab_set_error_handler(NULL) == note);
    tslab_heap_destroy(heap);
}

int main(void)
{
    versions();
    heaps();
    limits();
    epochs_and_memory();
    domains();
    scopes();
    statistics();
    settings();
    misuse();
    if (failures == 0)
        puts("all as it should be");
    return failures != 0;
}
