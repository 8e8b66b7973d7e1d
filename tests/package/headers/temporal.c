/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A program in C that was written for the specification's headers, by their names. */
#include <epoch_domain.h>
#include <slab_alloc.h>
#include <slab_stats.h>
#include <stdio.h>

int main(void)
{
    SlabAllocator* const a = slab_allocator_create();
    if (a == NULL)
        return 1;
    epoch_domain_t* const request = epoch_domain_wrap(a, epoch_current(a), true);
    epoch_domain_enter(request);
    SlabHandle handles[100];
    for (int i = 0; i < 100; ++i)
        if (alloc_obj_epoch(a, 120, request->epoch_id, &handles[i]) == NULL)
            return 1;
    SlabEpochStats inside;
    slab_stats_epoch(a, 2, request->epoch_id, &inside);
    for (int i = 0; i < 100; ++i)
        if (!free_obj(a, handles[i]))
            return 1;
    epoch_domain_exit(request);
    SlabEpochStats after;
    slab_stats_epoch(a, 2, request->epoch_id, &after);
    printf("by the specification's names: %d live objects, then %d\n", (int)inside.alloc_count, (int)after.alloc_count);
    epoch_domain_destroy(request);
    slab_allocator_free(a);
    return inside.alloc_count == 100 && after.alloc_count == 0 && after.state == EPOCH_CLOSING ? 0 : 1;
}
