// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab for C++17 and later without modules: the names of `import tslab;`, over the C interface. docs/c.md is the introduction.
// The resource is a std::pmr::memory_resource of the library; the rest is inline, and each binary's own (TSLAB_LOCAL). Needs libstdc++,
// as the library does.
//
// A file may not import the module and include this header, unless it defines TSLAB_WITHOUT_NAMES before: then the names of the header
// are in tslab::v0 only. Files of one program may do either.
#pragma once
#include <tslab/cpp/allocator.hpp>
#include <tslab/cpp/domain.hpp>
#include <tslab/cpp/epoch_closed.hpp>
#include <tslab/cpp/over_limit.hpp>
#include <tslab/cpp/report.hpp>
#include <tslab/cpp/resource.hpp>
#include <tslab/cpp/snapshot.hpp>
#include <tslab/cpp/stl_allocator.hpp>

#if !defined(TSLAB_WITHOUT_NAMES)
namespace tslab {

using v0::allocator;
using v0::allocator_options;
using v0::check_mode;
using v0::class_stats;
using v0::close_report;
using v0::close_stats;
using v0::contention_stats;
using v0::deallocate_policy;
using v0::domain_options;
using v0::epoch_domain;
using v0::epoch_id;
using v0::epoch_resource;
using v0::epoch_scope;
using v0::epoch_state;
using v0::epoch_stats;
using v0::error_handler;
using v0::escape_detection;
using v0::find_leaks;
using v0::free_result;
using v0::global_stats;
using v0::handle;
using v0::label_stats;
using v0::leak;
using v0::lifecycle;
using v0::lock_timing;
using v0::misuse;
using v0::misuse_count;
using v0::misuse_report;
using v0::name_of;
using v0::now_ns;
using v0::now_ns_coarse;
using v0::read_rss_bytes;
using v0::reclaim_policy;
using v0::resource_options;
using v0::set_error_handler;
using v0::set_escape_detection;
using v0::set_lock_timing;
using v0::snapshot;
using v0::snapshot_options;
using v0::source_location;
using v0::stl_allocator;
using v0::this_thread_number;
using v0::thread_stats;
using v0::threading;
using v0::to_json;
using v0::waterfall_stats;

}
#endif
