// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.tls_cache: the threads of a heap and their thread caches. A thread allocates from its cache and frees into it
// without atomic read-modify-writes; an epoch keeps the slabs that no cache owns on its own lists; a closer reclaims
// the slots that caches hold. Nothing here knows of domains or of the epoch ring's order: the epoch module does.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <pthread.h>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#if !defined(__has_feature)
#define __has_feature(x) 0
#endif
export module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

// In the order of their dependencies.
// clang-format off
#include "slot_set.hpp"
#include "search.hpp"
#include "profile_page.hpp"
#include "cost_page.hpp"
#include "stats_page.hpp"
#include "this_thread.hpp"
#include "reclaim.hpp"
#include "limits.hpp"
#include "empty_slab_cache.hpp"
#include "phase_costs.hpp"
#include "thread_record.hpp"
#include "fork_exclusion.hpp"
#include "epoch_slabs.hpp"
#include "cache_bins.hpp"
#include "thread_cache.hpp"
#include "source_places.hpp"
#include "heap_profiler.hpp"
#include "heap_options.hpp"
#include "heap_state.hpp"
#include "scope.hpp"
// clang-format on
