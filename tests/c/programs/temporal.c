/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The specification's names: allocators, memory, numbered epochs, labels, references, domains, misuse. A text of C11 and of C++17. It
 * prints what is not so, with its line, and returns 1. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tslab/temporal_slab.h>

static int failures = 0;
#define CHECK(x) ((x) ? (void)0 : (void)(failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #x)))

static int reports;
static tslab_misuse last_kind;
static char last_line[256];
static void note(const tslab_misuse_report* r)
{
    size_t const n = tslab_format_report(r, last_line, sizeof last_line - 1);
    last_line[n] = '\0';
    last_kind = r->kind;
    reports++;
}

/* Whether exactly one misuse was reported since, of this kind. */
static bool reported(tslab_misuse kind)
{
    bool const so = reports == 1 && last_kind == kind;
    reports = 0;
    return so;
}

static void allocators(void)
{
    SlabAllocator in_place;
    SlabAllocator* const a = slab_allocator_create();
    allocator_init(&in_place);
    CHECK(a != NULL && a->heap != NULL && in_place.heap != NULL && in_place.heap != a->heap);
    CHECK(strcmp(tslab_heap_name(a->heap), "temporal-slab") == 0);
    CHECK(*(tslab_heap**)tslab_heap_front(a->heap) == a->heap);
    slab_allocator_free(a);
    slab_allocator_free(NULL);
    allocator_destroy(&in_place);
    CHECK(in_place.heap == NULL);
    allocator_destroy(&in_place);
    allocator_destroy(NULL);
    allocator_init(NULL);
}

static void memory(void)
{
    SlabAllocator* const a = slab_allocator_create();
    SlabAllocator* const other = slab_allocator_create();
    static const uint32_t sizes[] = {1, 64, 65, 96, 128, 192, 200, 256, 384, 512, 768};
    SlabHandle h = 7, again = 0;
    size_t i;
    unsigned char* p;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        p = (unsigned char*)alloc_obj_epoch(a, sizes[i], 0, &h);
        CHECK(p != NULL && h != 0 && (uintptr_t)p % 16 == 0);
        memset(p, 0x5a, sizes[i]);
        CHECK(free_obj(a, h) && !free_obj(a, h));
    }
    h = 7;
    CHECK(alloc_obj_epoch(a, 0, 0, &h) == NULL && h == 0);
    h = 7;
    CHECK(alloc_obj_epoch(a, 769, 0, &h) == NULL && h == 0);
    CHECK(alloc_obj_epoch(a, UINT32_MAX, 0, &h) == NULL);
    CHECK(alloc_obj_epoch(a, 64, 16, &h) == NULL && alloc_obj_epoch(a, 64, UINT32_MAX, &h) == NULL && h == 0);
    CHECK(!free_obj(a, 0));
    CHECK(alloc_obj(a, 100, &h) != NULL && alloc_obj(other, 100, &again) != NULL && h != again);
    CHECK(!free_obj(other, h) && !free_obj(a, again));
    CHECK(free_obj(a, h) && free_obj(other, again) && !free_obj(a, h));

    CHECK(slab_malloc(a, 0) == NULL && slab_malloc_epoch(a, 505, 0) == NULL && slab_malloc_epoch(a, SIZE_MAX, 0) == NULL);
    CHECK(slab_malloc_epoch(a, 100, 16) == NULL);
    for (i = 1; i <= 504; i++) {
        p = (unsigned char*)slab_malloc_epoch(a, i, (EpochId)(i % 16));
        CHECK(p != NULL && (uintptr_t)p % 16 == 0);
        memset(p, 0x5a, i);
        slab_free(a, p);
    }
    p = (unsigned char*)slab_malloc(a, 504);
    CHECK(p != NULL);
    slab_free(a, p);
    slab_free(a, NULL);
    CHECK(slab_object_count(0) == 0 && slab_object_count(64) == 64 && slab_object_count(128) == 32);
    CHECK(slab_object_count(768) == 21 && slab_object_count(769) == 18 && slab_object_count(65537) == 0);
    CHECK(now_ns() >= now_ns_coarse() && now_ns_coarse() != 0 && read_rss_bytes_linux() > 4096);
    slab_allocator_free(other);
    slab_allocator_free(a);
}

static void epochs(void)
{
    SlabAllocator* const a = slab_allocator_create();
    SlabHandle first, later, kept[40];
    unsigned char* of_first;
    EpochId i;
    SlabGlobalStats g;
    CHECK(epoch_current(a) == 0 && a->epoch_count == EPOCH_COUNT && EPOCH_COUNT == 16);
    of_first = (unsigned char*)alloc_obj_epoch(a, 128, 0, &first);
    CHECK(of_first != NULL);
    *of_first = 77;
    CHECK(alloc_obj_epoch(a, 128, 5, &later) != NULL); /* every number serves before epoch_advance has been there */
    CHECK(free_obj(a, later));
    epoch_advance(a);
    CHECK(epoch_current(a) == 1);
    CHECK(alloc_obj_epoch(a, 128, 0, &later) == NULL && slab_malloc_epoch(a, 128, 0) == NULL); /* 0 is CLOSING */
    slab_stats_global(a, &g);
    CHECK(g.total_slow_epoch_closed == 2 && g.current_epoch == 1 && g.active_epoch_count == 15 && g.closing_epoch_count == 1);
    CHECK(*of_first == 77);
    for (i = 0; i < 40; i++) { /* more than twice around: what is live stays so, and each number means a new epoch */
        EpochId const now = epoch_current(a);
        CHECK(now == (1 + i) % 16);
        CHECK(alloc_obj(a, 64, &kept[i]) != NULL);
        CHECK(a->epoch_era[now] == 1u + i && a->epoch_era_counter == 1u + i);
        epoch_advance(a);
        CHECK(alloc_obj_epoch(a, 64, now, &later) == NULL);
    }
    CHECK(*of_first == 77 && free_obj(a, first));
    for (i = 0; i < 40; i++)
        CHECK(free_obj(a, kept[i]));
    slab_stats_global(a, &g);
    CHECK(g.active_epoch_count == 1 && g.closing_epoch_count == 15);

    /* Closing the current epoch: nothing is served until the next one. */
    i = epoch_current(a);
    CHECK(alloc_obj(a, 64, &first) != NULL);
    epoch_close(a, i);
    CHECK(epoch_current(a) == i && alloc_obj(a, 64, &later) == NULL && slab_malloc(a, 64) == NULL);
    epoch_close(a, i); /* again */
    epoch_close(a, 16);
    CHECK(free_obj(a, first));
    epoch_advance(a);
    CHECK(epoch_current(a) == (i + 1) % 16 && alloc_obj(a, 64, &later) != NULL && free_obj(a, later));
    /* A number that epoch_advance has not reached. */
    i = (epoch_current(a) + 3) % 16;
    epoch_close(a, i);
    CHECK(alloc_obj_epoch(a, 64, i, &later) == NULL);
    epoch_advance(a);
    epoch_advance(a);
    epoch_advance(a);
    CHECK(epoch_current(a) == i && alloc_obj_epoch(a, 64, i, &later) != NULL && free_obj(a, later));
    tls_flush_epoch_all_threads(a, i);
    tls_flush_epoch_all_threads(a, 16);
    slab_allocator_free(a);
}

/* Advancing for ever uses up no slot of the heap's ring. */
static void many_epochs(void)
{
    SlabAllocator* const a = slab_allocator_create();
    tslab_global_stats g;
    SlabHandle h;
    int i;
    for (i = 0; i < 3000; i++) {
        CHECK(alloc_obj(a, 128, &h) != NULL && free_obj(a, h));
        epoch_advance(a);
    }
    CHECK(tslab_heap_stats(a->heap, &g, sizeof g) && g.ring_exhausted == 0 && g.closing_epochs <= 16 && g.slabs_in_use <= 16);
    slab_allocator_free(a);
}

/* A full ring: numbers share the heap's current epoch, and each still opens and closes by itself. */
static void full_ring(void)
{
    SlabAllocator* const a = slab_allocator_create();
    tslab_global_stats g;
    tslab_epoch e;
    SlabHandle h, kept;
    while (tslab_epoch_open(a->heap, NULL, &e)) {
    }
    CHECK(e.era == tslab_epoch_current(a->heap).era);
    CHECK(alloc_obj_epoch(a, 64, 5, &kept) != NULL);
    epoch_close(a, 5);
    CHECK(alloc_obj_epoch(a, 64, 5, &h) == NULL && h == 0);
    CHECK(alloc_obj(a, 64, &h) != NULL && free_obj(a, h) && free_obj(a, kept));
    epoch_advance(a);
    CHECK(epoch_current(a) == 1 && alloc_obj_epoch(a, 64, 0, &h) == NULL);
    CHECK(alloc_obj_epoch(a, 64, 1, &h) != NULL && free_obj(a, h));
    epoch_close(a, 0);
    CHECK(alloc_obj_epoch(a, 64, 1, &h) != NULL && free_obj(a, h));
    CHECK(tslab_heap_stats(a->heap, &g, sizeof g) && g.ring_exhausted >= 3);
    slab_allocator_free(a);
}

static bool label_is(SlabAllocator* a, EpochId i, const char* label)
{
    SlabEpochStats e;
    slab_stats_epoch(a, 0, i, &e);
    return strcmp(e.label, label) == 0;
}

static void labels(void)
{
    SlabAllocator* const a = slab_allocator_create();
    char name[48];
    int i;
    CHECK(label_is(a, 0, "") && strcmp(a->label_registry.labels[0], "(unlabeled)") == 0 && a->label_registry.count == 1);
    for (i = 1; i < (int)MAX_LABEL_IDS; i++) {
        (void)snprintf(name, sizeof name, "label %d", i);
        slab_epoch_set_label(a, 0, name);
        CHECK(label_is(a, 0, name) && a->epoch_meta[0].label_id == i && strcmp(a->label_registry.labels[i], name) == 0);
    }
    slab_epoch_set_label(a, 1, "one too many");
    CHECK(label_is(a, 1, "one too many") && a->epoch_meta[1].label_id == 0 && a->label_registry.count == MAX_LABEL_IDS);
    slab_epoch_set_label(a, 2, "label 5");
    CHECK(a->epoch_meta[2].label_id == 5);
    slab_epoch_set_label(a, 2, "");
    CHECK(a->epoch_meta[2].label_id == 0 && label_is(a, 2, ""));
    slab_epoch_set_label(a, 3, "0123456789012345678901234567890123456789");
    CHECK(label_is(a, 3, "0123456789012345678901234567890"));
    slab_epoch_set_label(a, 3, NULL);
    slab_epoch_set_label(a, 16, "x");
    CHECK(label_is(a, 3, "0123456789012345678901234567890"));
    epoch_advance(a);
    CHECK(label_is(a, 1, "") && label_is(a, 0, "label 15") && a->epoch_meta[1].label_id == 0);
    slab_allocator_free(a);
}

static void references(void)
{
    SlabAllocator* const a = slab_allocator_create();
    tslab_snapshot* s;
    int i;
    CHECK(slab_epoch_get_refcount(a, 0) == 0 && slab_epoch_get_refcount(a, 9) == 0 && slab_epoch_get_refcount(a, 16) == 0);
    slab_epoch_inc_refcount(a, 0);
    slab_epoch_inc_refcount(a, 0);
    slab_epoch_inc_refcount(a, 9);
    slab_epoch_inc_refcount(a, 16);
    CHECK(slab_epoch_get_refcount(a, 0) == 2 && slab_epoch_get_refcount(a, 9) == 1);
    s = tslab_snapshot_take(a->heap, false);
    CHECK(tslab_find_leaks(s, 0, NULL, NULL) == 2); /* they are seen as what is inside */
    tslab_snapshot_free(s);
    for (i = 0; i < 4; i++)
        slab_epoch_dec_refcount(a, 0); /* never below 0 */
    slab_epoch_dec_refcount(a, 16);
    CHECK(slab_epoch_get_refcount(a, 0) == 0);
    for (i = 0; i < 9; i++)
        epoch_advance(a);
    CHECK(epoch_current(a) == 9 && slab_epoch_get_refcount(a, 9) == 0); /* a new epoch */
    slab_epoch_inc_refcount(a, 9);
    slab_allocator_free(a); /* ends what is left */
}

static void domains(void)
{
    SlabAllocator* const a = slab_allocator_create();
    epoch_domain_t* const outer = epoch_domain_create(a);
    epoch_domain_t* inner;
    tslab_scope scope;
    SlabHandle h;
    int i;
    CHECK(epoch_domain_current() == NULL && epoch_domain_allocator() == NULL && current_label_id(a) == 0);
    CHECK(outer->alloc == a && outer->epoch_id == 0 && outer->epoch_era == 0 && outer->refcount == 0 && !outer->auto_close);
    slab_epoch_set_label(a, 0, "outer");
    epoch_domain_enter(outer);
    CHECK(epoch_domain_current() == outer && epoch_domain_allocator() == a && slab_epoch_get_refcount(a, 0) == 1);
    CHECK(current_label_id(a) == 1);
    inner = epoch_domain_wrap(a, 4, true);
    epoch_domain_enter(inner);
    domain_enter(outer); /* outer, inner, outer */
    CHECK(epoch_domain_current() == outer && outer->refcount == 2 && slab_epoch_get_refcount(a, 0) == 1);
    domain_exit(outer);
    CHECK(epoch_domain_current() == inner && current_label_id(a) == 0);
    CHECK(tslab_scope_begin(&scope, a->heap, "scope", NULL) != NULL);
    CHECK(epoch_domain_current() == NULL); /* a scope of another kind is innermost */
    tslab_scope_end(&scope);
    epoch_domain_exit(inner); /* closes the epoch */
    CHECK(inner->refcount == 0 && alloc_obj_epoch(a, 64, 4, &h) == NULL);
    epoch_domain_exit(outer);
    CHECK(epoch_domain_current() == NULL && alloc_obj_epoch(a, 64, 0, &h) != NULL && free_obj(a, h)); /* stays open */
    epoch_domain_destroy(inner);
    CHECK(epoch_domain_wrap(a, 16, false) == NULL);

    /* Another holder keeps the epoch open; a number that means another epoch by now is not closed. */
    inner = epoch_domain_wrap(a, 0, true);
    epoch_domain_enter(inner);
    slab_epoch_inc_refcount(a, 0);
    epoch_domain_exit(inner);
    CHECK(alloc_obj_epoch(a, 64, 0, &h) != NULL && free_obj(a, h));
    slab_epoch_dec_refcount(a, 0);
    epoch_domain_enter(inner);
    for (i = 0; i < 16; i++)
        epoch_advance(a);
    CHECK(epoch_current(a) == 0);
    epoch_domain_exit(inner);
    epoch_domain_force_close(inner);
    epoch_domain_destroy(inner);
    CHECK(alloc_obj_epoch(a, 64, 0, &h) != NULL && free_obj(a, h));
    inner = epoch_domain_wrap(a, 0, false);
    epoch_domain_force_close(inner);
    CHECK(alloc_obj_epoch(a, 64, 0, &h) == NULL);
    epoch_domain_destroy(inner);
    inner = epoch_domain_wrap(a, 7, true);
    epoch_domain_destroy(inner); /* closes, though never entered */
    CHECK(alloc_obj_epoch(a, 64, 7, &h) == NULL);
    epoch_domain_destroy(outer);
    epoch_domain_destroy(NULL);
    slab_allocator_free(a);
}

struct used {
    epoch_domain_t* domain;
    void (*use)(epoch_domain_t*);
};
static void* use_elsewhere(void* context)
{
    struct used const* const u = (struct used const*)context;
    u->use(u->domain);
    return NULL;
}
static void enter(epoch_domain_t* d) { epoch_domain_enter(d); }
static bool wrong_thread(epoch_domain_t* d, void (*use)(epoch_domain_t*))
{
    struct used u;
    pthread_t other;
    u.domain = d;
    u.use = use;
    CHECK(pthread_create(&other, NULL, use_elsewhere, &u) == 0 && pthread_join(other, NULL) == 0);
    return reported(TSLAB_MISUSE_WRONG_THREAD);
}

static void misuse(void)
{
    SlabAllocator* const a = slab_allocator_create();
    SlabAllocator ended;
    epoch_domain_t *x, *y;
    SlabHandle h = 1;
    PerfCounters counters;
    SlabGlobalStats g;
    EpochLeakReport leaks;
    void* p;
    memset((void*)&ended, 0, sizeof ended);
    CHECK(tslab_set_error_handler(note) == NULL);
    CHECK(alloc_obj_epoch(NULL, 64, 0, &h) == NULL && reported(TSLAB_MISUSE_BAD_ARGUMENT));
    CHECK(strcmp(last_line, "tslab: bad argument: tslab_allocate: the heap is null\n") == 0);
    CHECK(alloc_obj_epoch(&ended, 64, 0, &h) == NULL && reported(TSLAB_MISUSE_BAD_ARGUMENT));
    CHECK(alloc_obj_epoch(a, 64, 0, NULL) == NULL && reported(TSLAB_MISUSE_BAD_ARGUMENT));
    CHECK(!free_obj(NULL, 7) && reported(TSLAB_MISUSE_BAD_ARGUMENT));
    CHECK(slab_malloc_epoch(NULL, 64, 0) == NULL && reported(TSLAB_MISUSE_BAD_ARGUMENT));
    slab_free(NULL, &h);
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    CHECK(epoch_current(NULL) == 0 && reported(TSLAB_MISUSE_BAD_ARGUMENT));
    epoch_advance(NULL);
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    epoch_close(NULL, 0);
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    slab_epoch_set_label(NULL, 0, "x");
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    slab_epoch_inc_refcount(NULL, 0);
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    slab_epoch_dec_refcount(NULL, 0);
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    CHECK(slab_epoch_get_refcount(NULL, 0) == 0 && reported(TSLAB_MISUSE_BAD_ARGUMENT));
    tls_flush_epoch_all_threads(NULL, 0);
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    CHECK(epoch_domain_wrap(NULL, 0, true) == NULL && reported(TSLAB_MISUSE_BAD_ARGUMENT));
    CHECK(epoch_domain_create(NULL) == NULL && reported(TSLAB_MISUSE_BAD_ARGUMENT));
    epoch_domain_enter(NULL);
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    epoch_domain_exit(NULL);
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    epoch_domain_force_close(NULL);
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    get_perf_counters(NULL, 0, &counters);
    CHECK(reported(TSLAB_MISUSE_BAD_ARGUMENT));
    slab_stats_global(NULL, &g);
    CHECK(g.version == 0 && reported(TSLAB_MISUSE_BAD_ARGUMENT));
    CHECK(slab_detect_epoch_leaks(NULL, 0, 1, &leaks) == 0 && leaks.candidates == NULL && reported(TSLAB_MISUSE_BAD_ARGUMENT));

    p = slab_malloc(a, 64);
    slab_free(a, p);
    slab_free(a, p);
    CHECK(reported(TSLAB_MISUSE_DOUBLE_FREE) && strstr(last_line, "double free of 0x") != NULL);
    slab_free(a, &h);
    CHECK(reported(TSLAB_MISUSE_FOREIGN_POINTER));

    x = epoch_domain_create(a);
    y = epoch_domain_wrap(a, 3, false);
    CHECK(wrong_thread(x, enter) && wrong_thread(x, epoch_domain_exit) && wrong_thread(x, epoch_domain_force_close));
    CHECK(wrong_thread(x, epoch_domain_destroy) && x->refcount == 0 && slab_epoch_get_refcount(a, 0) == 0);
    epoch_domain_exit(x);
    CHECK(reported(TSLAB_MISUSE_NOT_ENTERED));
    epoch_domain_enter(x);
    epoch_domain_enter(y);
    epoch_domain_exit(x);
    CHECK(reported(TSLAB_MISUSE_SCOPE_ORDER) && x->refcount == 1);
    epoch_domain_destroy(y); /* entered: it is left first */
    CHECK(reported(TSLAB_MISUSE_DESTROYED_ENTERED) && epoch_domain_current() == x && slab_epoch_get_refcount(a, 3) == 0);
    epoch_domain_exit(x);
    epoch_domain_destroy(x);
    CHECK(reports == 0 && tslab_set_error_handler(NULL) == note);
    slab_allocator_free(a);
}

int main(void)
{
    allocators();
    memory();
    epochs();
    many_epochs();
    full_ring();
    labels();
    references();
    domains();
    misuse();
    if (failures == 0)
        puts("all as it should be");
    return failures != 0;
}
