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
#include "heap/slot_set.hpp"
#include "cache/search.hpp"
#include "published/profile_page.hpp"
#include "published/cost_page.hpp"
#include "published/stats_page.hpp"
#include "thread/this_thread.hpp"
#include "epoch_slabs/reclaim.hpp"
#include "epoch_slabs/limits.hpp"
#include "cache/empty_slab_cache.hpp"
#include "published/phase_costs.hpp"
#include "thread/thread_record.hpp"
#include "thread/fork_exclusion.hpp"
#include "epoch_slabs/epoch_slabs.hpp"
#include "cache/cache_bins.hpp"
#include "cache/thread_cache.hpp"
#include "cache/home_of.hpp"
#include "heap/source_places.hpp"
#include "profile/heap_profiler.hpp"
#include "heap/heap_options.hpp"
#include "heap/heap_state.hpp"
#include "cache/scope.hpp"
// clang-format on
