// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/metric_name.hpp"
#include <algorithm>
#include <array>

namespace tslab::tool {

namespace {

struct exception {
    std::string_view object;
    std::string_view field;
    std::string_view name;   // with the prefix; empty: no metric
};

// Gauges among the identities, names that the rules below would spoil, and derived figures that are sums of counters or
// bytes by pages. Everything else that is derived can be computed from what is exported, so it is not.
constexpr std::array exceptions{
    exception{"snapshot", "timestamp_ns", "temporal_slab_snapshot_timestamp_seconds"},
    exception{"snapshot", "page_size", "temporal_slab_page_size_bytes"},
    exception{"snapshot", "epoch_count", "temporal_slab_epoch_slots"},
    exception{"snapshot", "sampling", "temporal_slab_sampling"},
    exception{"snapshot", "profile_interval_bytes", "temporal_slab_profile_interval_bytes"},
    exception{"snapshot", "rss_bytes_current", ""},   // process_resident_memory_bytes, once a process
    exception{"snapshot", "estimated_slab_rss_bytes", "temporal_slab_estimated_slab_rss_bytes"},
    exception{"snapshot", "total_lock_acquisitions", "temporal_slab_heap_lock_acquisitions_total"},
    exception{"class", "objects_per_slab", "temporal_slab_class_objects_per_slab"},
    exception{"class", "cache_capacity", "temporal_slab_class_cache_capacity"},
    exception{"class", "cache_overflow_len", "temporal_slab_class_cache_overflow_pages"},
    exception{"class", "epoch_close_total_ns", "temporal_slab_class_epoch_close_seconds_total"},
    exception{"class", "estimated_rss_bytes", "temporal_slab_class_estimated_rss_bytes"},
    exception{"class", "committed_bytes", "temporal_slab_class_committed_bytes"},
    exception{"class", "lock_acquisitions", "temporal_slab_class_lock_acquisitions_total"},
    exception{"class", "current_partial_cas_failures", "temporal_slab_class_current_partial_cas_failures_total"},
    exception{"epoch", "alloc_count", "temporal_slab_epoch_allocations_total"},
    exception{"epoch", "estimated_rss_bytes", "temporal_slab_epoch_rss_bytes"},
    exception{"epoch", "reclaimable_bytes", "temporal_slab_epoch_reclaimable_bytes"},
    exception{"epoch", "rss_before_close", "temporal_slab_epoch_rss_before_close_bytes"},
    exception{"epoch", "rss_after_close", "temporal_slab_epoch_rss_after_close_bytes"},
    exception{"close", "timestamp_ns", "temporal_slab_last_close_timestamp_seconds"},
    exception{"close", "rss_before", "temporal_slab_last_close_rss_before_bytes"},
    exception{"close", "rss_after", "temporal_slab_last_close_rss_after_bytes"},
    exception{"label_close", "timestamp_ns", "temporal_slab_label_last_close_timestamp_seconds"},
    exception{"label_close", "rss_before", "temporal_slab_label_last_close_rss_before_bytes"},
    exception{"label_close", "rss_after", "temporal_slab_label_last_close_rss_after_bytes"},
    exception{"phase", "phases", "temporal_slab_phases_total"},
    exception{"phase", "empty_phases", "temporal_slab_phases_empty_total"},
    exception{"phase", "objects_sum", ""},   // the sums of histograms
    exception{"phase", "bytes_sum", ""},
    exception{"phase", "peak_bytes_sum", ""},
    exception{"phase", "wall_ns_sum", ""},
    exception{"phase", "wall_ns_max", "temporal_slab_phase_seconds_max"},
    exception{"phase", "largest_timestamp_ns", "temporal_slab_phase_largest_timestamp_seconds"},
    exception{"sampled", "alloc_wall_ns_sum", ""},   // likewise
    exception{"sampled", "alloc_wait_ns_sum", ""},
    exception{"sampled", "free_wall_ns_sum", ""},
    exception{"sampled", "free_wait_ns_sum", ""},
    exception{"sampled", "repair_wall_ns_sum", ""},
    exception{"sampled", "repair_wait_ns_sum", ""},
};

/// `field`: without `total_`.
std::string_view prefix_of(std::string_view object, std::string_view field)
{
    // Without a further word the heap's totals would share the names by which the classes' figures are recorded for old
    // queries, and be summed up with them.
    if (object == "snapshot" &&
        (field.starts_with("lock_") || field.starts_with("bitmap_") || field.starts_with("current_partial_")))
        return "heap_";
    if (object == "class")
        return "class_";
    if (object == "epoch")
        return "epoch_";
    if (object == "label")
        return "label_";
    if (object == "close")
        return "last_close_";
    if (object == "label_close")
        return "label_last_close_";
    if (object == "thread")
        return "thread_";
    if (object == "phase")
        return "phase_";
    if (object == "waterfall")
        return "waterfall_";
    return "";
}

bool replace_suffix(std::string& name, std::string_view suffix, std::string_view by)
{
    if (!name.ends_with(suffix))
        return false;
    name.replace(name.size() - suffix.size(), suffix.size(), by);
    return true;
}

/// Seconds instead of ns and sec, and no suffix that is reserved for another type of metric.
std::string conventional(std::string_view object, std::string_view field)
{
    constexpr std::string_view total = "total_";
    if (field.starts_with(total))
        field.remove_prefix(total.size());
    std::string name{"temporal_slab_"};
    name.append(prefix_of(object, field)).append(field);
    if (replace_suffix(name, "_ns_max", "_seconds_max") || replace_suffix(name, "_ns_sum", "_seconds") ||
        replace_suffix(name, "_ns", "_seconds") || replace_suffix(name, "_sec", "_seconds"))
        return name;
    if (replace_suffix(name, "_count", "") && !name.ends_with('s'))
        name.push_back('s');
    return name;
}

}

std::optional<metric> metric_of(std::string_view object, tslab::field_info const& field)
{
    metric m{.help = field.help, .scale = field.unit.starts_with("ns") ? 1e-9 : 1.0};
    auto const own = std::ranges::find_if(
        exceptions, [&](exception const& e) { return e.object == object && e.field == field.name; });
    if (own != exceptions.end()) {
        m.name = own->name;
        m.counter = m.name.ends_with("_total");
    } else if (field.kind == tslab::field_kind::counter || field.kind == tslab::field_kind::gauge) {
        m.name = conventional(object, field.name);
        m.counter = field.kind == tslab::field_kind::counter;
        if (m.counter)
            m.name += "_total";
    }
    if (m.name.empty())
        return std::nullopt;
    return m;
}

}
