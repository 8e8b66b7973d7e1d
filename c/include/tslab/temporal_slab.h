/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The specification's own names in C11, and in C++17: allocators with sixteen numbered epochs, domains, statistics, diagnoses, inline over
 * <tslab/tslab.h>. docs/from-c.md says what each is here. A program that includes the specification's headers by their own names gets these
 * with -I<prefix>/include/tslab/temporal; one that includes this header needs no option. */
#ifndef TSLAB_TEMPORAL_SLAB_H
#define TSLAB_TEMPORAL_SLAB_H

#include <tslab/temporal/epoch_domain.h>
#include <tslab/temporal/slab_alloc.h>
#include <tslab/temporal/slab_alloc_internal.h>
#include <tslab/temporal/slab_diagnostics.h>
#include <tslab/temporal/slab_stats.h>

#endif
