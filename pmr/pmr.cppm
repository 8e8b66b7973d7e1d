// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab.pmr: the front end. A std::pmr::memory_resource over one domain, and the scope that makes one for a phase of a
// program.
module;
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <new>
#include <optional>
#include <source_location>
#include <string_view>
#include <type_traits>
export module tslab.pmr;

export import tslab.epoch;
import tslab.slab;
import tslab.stats;
import tslab.tls_cache;

// In the order of their dependencies.
// clang-format off
#include "epoch_resource.hpp"
#include "epoch_scope.hpp"
#include "escape.hpp"
#include "stl_allocator.hpp"
// clang-format on

// What their signatures speak of and is defined below, so that `import tslab.pmr;` alone can name it.
export namespace tslab {
using tslab::check_mode;
using tslab::error_handler;
using tslab::free_result;
using tslab::handle;
using tslab::limit_kind;
using tslab::live_count;
using tslab::misuse;
using tslab::misuse_report;
using tslab::page_bytes;
using tslab::reclaim_policy;
using tslab::set_error_handler;
using tslab::snapshot;
using tslab::snapshot_options;
using tslab::soft_limit_event;
using tslab::soft_limit_handler;
using tslab::stack_walk;
}
