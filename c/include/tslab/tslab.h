/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * tslab for C11: heaps, epochs, domains, scopes, memory, handles, statistics. docs/c.md is the introduction. The parts:
 * base.h has the conventions, results and reports of misuse; heap.h heaps, epochs and memory; scope.h domains, resources and scopes;
 * stats.h statistics, leaks and settings of the process. */
#ifndef TSLAB_TSLAB_H
#define TSLAB_TSLAB_H

#include <tslab/c/base.h>
#include <tslab/c/heap.h>
#include <tslab/c/scope.h>
#include <tslab/c/stats.h>

#endif
