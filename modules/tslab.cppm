// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// tslab: the public face, and the list of what is public. What the modules export to each other beyond it is not seen by who imports
// this one. Tests import tslab.internal instead.
export module tslab;

import tslab.inspect;
import tslab.pmr;
import tslab.epoch;
import tslab.tls_cache;
import tslab.slab;
import tslab.stats;

// tslab.pmr
export namespace tslab {
using tslab::deallocate_policy;
using tslab::epoch_resource;
using tslab::epoch_scope;
using tslab::escape_detection;
using tslab::resource_options;
using tslab::set_escape_detection;
using tslab::stl_allocator;
using tslab::threading;
}

// tslab.epoch and tslab.tls_cache
export namespace tslab {
using tslab::allocator;
using tslab::allocator_options;
using tslab::close_report;
using tslab::domain_options;
using tslab::epoch_closed;
using tslab::epoch_domain;
using tslab::epoch_id;
using tslab::limit_kind;
using tslab::live_count;
using tslab::over_limit;
using tslab::refusal;
using tslab::soft_limit_event;
using tslab::soft_limit_handler;
using tslab::stack_walk;
using tslab::this_thread_number;
using tslab::this_thread_sampling;
}

// tslab.slab
export namespace tslab {
using tslab::check_mode;
using tslab::class_count;
using tslab::class_of;
using tslab::class_sizes;
using tslab::error_handler;
using tslab::free_result;
using tslab::handle;
using tslab::handle_class_count;
using tslab::large_class;
using tslab::lock_timing;
using tslab::max_class_size;
using tslab::max_handle_size;
using tslab::misuse;
using tslab::misuse_count;
using tslab::misuse_report;
using tslab::page_bytes;
using tslab::reclaim_policy;
using tslab::set_error_handler;
using tslab::set_lock_timing;
}

// tslab.stats: the records of a snapshot and what is read from the system.
export namespace tslab {
using tslab::class_share;
using tslab::class_stats;
using tslab::close_stats;
using tslab::contention_stats;
using tslab::epoch_state;
using tslab::epoch_stats;
using tslab::global_stats;
using tslab::heap_map;
using tslab::label_buckets;
using tslab::label_stats;
using tslab::lifecycle;
using tslab::lock_histogram_stats;
using tslab::lock_timing_stats;
using tslab::log2_histogram;
using tslab::map_run;
using tslab::named_count;
using tslab::now_ns;
using tslab::now_ns_coarse;
using tslab::page_use;
using tslab::phase_cost_stats;
using tslab::quarter_histogram;
using tslab::read_rss_bytes;
using tslab::read_rss_bytes_of;
using tslab::residency_known;
using tslab::resident_bytes;
using tslab::resident_pages;
using tslab::sampling_stats;
using tslab::seconds_from_to;
using tslab::snapshot;
using tslab::snapshot_options;
using tslab::source_entry;
using tslab::stopwatch;
using tslab::thread_stats;
using tslab::timing_stats;
using tslab::wall_clock_ns;
using tslab::waterfall_stats;
}

// tslab.inspect, and the names of misuses.
export namespace tslab {
using tslab::by_label;
using tslab::bytes_text;
using tslab::cooperation_pct;
using tslab::count_limits;
using tslab::decimal_text;
using tslab::describe_derived;
using tslab::describe_derived_heap_lock_times;
using tslab::describe_fields;
using tslab::describe_heap_lock_times;
using tslab::diagnose;
using tslab::doctor_thresholds;
using tslab::duration_text;
using tslab::field_info;
using tslab::field_kind;
using tslab::figure;
using tslab::find_leaks;
using tslab::find_pins;
using tslab::finding;
using tslab::finding_kind;
using tslab::finding_kinds;
using tslab::for_each_derived;
using tslab::for_each_field;
using tslab::from_json;
using tslab::global_timing_name;
using tslab::heap_profile;
using tslab::json_writer;
using tslab::leak;
using tslab::name_of;
using tslab::observe_error;
using tslab::observe_fault;
using tslab::observer;
using tslab::percent_text;
using tslab::pin;
using tslab::pin_share;
using tslab::printable;
using tslab::processes_with_heaps;
using tslab::profiled_mapping;
using tslab::profiled_stack;
using tslab::ratio;
using tslab::ratio_limits;
using tslab::read_heap_profile;
using tslab::severity;
using tslab::severity_name;
using tslab::snapshot_error;
using tslab::to_json;
using tslab::to_text;
}
