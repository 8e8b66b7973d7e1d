/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A program in C that uses the installed header. With an argument it keeps its objects until standard input ends, so that another
 * program can look at them. */
#include <stdio.h>
#include <tslab/tslab.h>

static size_t live_objects(const tslab_heap* heap)
{
    tslab_global_stats stats;
    return tslab_heap_stats(heap, &stats, sizeof stats) ? (size_t)stats.live_objects : (size_t)-1;
}

int main(int count, char** arguments)
{
    (void)arguments;
    tslab_failure why;
    tslab_heap_options options;
    tslab_heap_options_init(&options);
    options.name = "orders in C";
    tslab_heap* const heap = tslab_heap_create(&options, &why);
    if (heap == NULL) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    void* objects[100];
    tslab_epoch const epoch = tslab_epoch_current(heap);
    tslab_epoch_set_label(heap, epoch, "GET /orders");
    for (int i = 0; i < 100; ++i) {
        objects[i] = tslab_malloc(heap, 120);
        if (objects[i] == NULL)
            return 1;
    }
    size_t const live = live_objects(heap);
    if (count > 1) {
        puts("ready");
        fflush(stdout);
        while (getchar() != EOF) {
        }
    }
    for (int i = 0; i < 100; ++i)
        tslab_free(heap, objects[i]);
    tslab_close_report report;
    tslab_epoch_close(heap, epoch, &report, sizeof report);
    size_t const left = live_objects(heap);
    printf("in C: %zu live objects, then %zu; %s\n", live, left, report.drained ? "drained" : "not drained");
    tslab_heap_destroy(heap);
    return live == 100 && left == 0 && report.drained ? 0 : 1;
}
