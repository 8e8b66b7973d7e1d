// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.stats: the counters, and the plain types of a snapshot. The lowest layer: it knows neither slabs nor epochs, so
// every other layer may count.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#if defined(__has_feature)   // the sanitizer must see every access
#if __has_feature(thread_sanitizer)
#define TSLAB_NO_INLINE_ASSEMBLY
#endif
#endif
export module tslab.stats;

// In the order of their dependencies.
// clang-format off
#include "atomic.hpp"
#include "counter.hpp"
#include "clock.hpp"
#include "residency.hpp"
#include "histogram.hpp"
#include "phase_cost.hpp"
#include "bounded_text.hpp"
#include "snapshot.hpp"
#include "heap_map.hpp"
// clang-format on
