/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * For programs that include the specification's inner header for SlabAllocator as a complete type, and for constants. Slabs, lists, the
 * registry of slabs and caches of threads are not here: they are made otherwise. */
#ifndef TSLAB_TEMPORAL_SLAB_ALLOC_INTERNAL_H
#define TSLAB_TEMPORAL_SLAB_ALLOC_INTERNAL_H

#include "slab_alloc.h"

/* Numbers of epochs. The heap below has more epochs. */
#define EPOCH_COUNT TSLAB_TEMPORAL_EPOCHS
/* Numbers of labels; 0 is for epochs without one. */
#define MAX_LABEL_IDS TSLAB_TEMPORAL_LABELS

#endif
