// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.epoch: epochs. The epoch ring with its eras, labels, domains, and the allocator, the public class of a heap,
// which connects all layers.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>
export module tslab.epoch;

import tslab.slab;
import tslab.stats;
import tslab.tls_cache;

// In the order of their dependencies.
// clang-format off
#include "label.hpp"
#include "ring.hpp"
#include "memory/resolve.hpp"
#include "options.hpp"
#include "memory/allocator.hpp"
#include "domain.hpp"
// clang-format on
