// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.slab: pages and what is cut from them. Size classes, the slab word, the address range, handles,
// the caches of empty slabs, the operating system seam and the reports of misuse.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#if !defined(__has_feature)
#define __has_feature(x) 0
#endif
export module tslab.slab;

import tslab.stats;

// In the order of their dependencies.
// clang-format off
#include "size_class.hpp"
#include "system/os.hpp"
#include "system/environment.hpp"
#include "system/memory_group.hpp"
#include "report.hpp"
#include "system/fork_gate.hpp"
#include "system/mutex.hpp"
#include "descriptor.hpp"
#include "checks.hpp"
#include "handle.hpp"
#include "pages/page_set.hpp"
#include "unused_pages.hpp"
#include "pages/window.hpp"
#include "pages/page_heap.hpp"
#include "pages/slab_cache.hpp"
#include "segment/arena.hpp"
#include "segment/segment.hpp"
// clang-format on
