// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The names of the figures: one list for each record of a snapshot, from which JSON, the ranking by a key and the
// metrics are made, so that a figure is named once. Names are those of schema 1.
#pragma once

export namespace tslab {

enum class field_kind : std::uint8_t {
    identity,   ///< what the record is about; never summed
    counter,    ///< only grows while the heap lives
    gauge,      ///< goes up and down
    derived     ///< computed from other fields of the same record; not read back
};

/// part / whole; 0 if whole is 0.
[[nodiscard]] constexpr double ratio(std::uint64_t part, std::uint64_t whole) noexcept
{
    return whole != 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

/// The percentage of the bytes passed to madvise that were not resident afterwards; nothing if none were passed.
[[nodiscard]] constexpr std::optional<double> cooperation_pct(std::uint64_t asked, std::uint64_t gone) noexcept
{
    if (asked == 0)
        return std::nullopt;
    return 100.0 * ratio(gone, asked);
}

// Each function below calls visit(name, kind, field) for every field of `s` that has a plain value: an unsigned or
// signed integer, a double, a bool, a string, an optional integer, or a log2_histogram. `s` may be const.

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, snapshot>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("timestamp_ns", identity, s.timestamp_ns);
    visit("pid", identity, s.pid);
    visit("page_size", identity, s.page_size);
    visit("epoch_count", identity, s.epoch_count);
    visit("current_epoch", gauge, s.current_epoch);
    visit("current_era", gauge, s.current_era);
    visit("name", identity, s.name);
    visit("reclaim_policy", identity, s.reclaim);
    visit("decay_ms", identity, s.decay_ms);
    visit("thread_cache_bytes", identity, s.thread_cache_bytes);
    visit("background_purge", identity, s.background_purge);
    visit("pressure_watch", identity, s.pressure_watch);
    visit("sampling", identity, s.sampling);
    visit("live_known", identity, s.live_known);
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, global_stats>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("active_epoch_count", gauge, s.active_epochs);
    visit("closing_epoch_count", gauge, s.closing_epochs);
    visit("total_slabs_allocated", counter, s.slabs_allocated);
    visit("total_slabs_recycled", counter, s.slabs_recycled);
    visit("rss_bytes_current", gauge, s.rss_bytes);
    visit("total_slow_path_hits", counter, s.slow_path_hits);
    visit("total_cache_overflows", counter, s.cache_overflows);
    visit("total_slow_cache_miss", counter, s.slow_path_cache_miss);
    visit("total_slow_epoch_closed", counter, s.slow_path_epoch_closed);
    visit("total_madvise_calls", counter, s.madvise_calls);
    visit("total_madvise_bytes", counter, s.madvise_bytes);
    visit("total_madvise_failures", counter, s.madvise_failures);
    visit("total_unmap_failures", counter, s.unmap_failures);
    visit("total_purges_by_time", counter, s.purges_by_time);
    visit("total_purges_by_work", counter, s.purges_by_work);
    visit("total_purges_by_background", counter, s.purges_by_background);
    visit("total_purges_by_pressure", counter, s.purges_by_pressure);
    visit("total_bitmap_alloc_cas_retries", counter, s.bitmap_alloc_cas_retries);
    visit("total_bitmap_free_cas_retries", counter, s.bitmap_free_cas_retries);
    visit("total_current_partial_cas_failures", counter, s.current_partial_cas_failures);
    visit("total_bitmap_alloc_attempts", counter, s.bitmap_alloc_attempts);
    visit("total_bitmap_free_attempts", counter, s.bitmap_free_attempts);
    visit("total_current_partial_cas_attempts", counter, s.current_partial_cas_attempts);
    visit("total_current_partial_lost_races", counter, s.current_partial_lost_races);
    visit("total_current_partial_mismatches", counter, s.current_partial_mismatches);
    visit("total_lock_fast_acquire", counter, s.lock_fast_acquire);
    visit("total_lock_contended", counter, s.lock_contended);
    visit("total_allocations", counter, s.allocations);
    visit("total_frees", counter, s.frees);
    visit("live_objects", gauge, s.live_objects);
    visit("live_bytes", gauge, s.live_bytes);
    visit("slabs_in_use", gauge, s.slabs_in_use);
    visit("slabs_cached", gauge, s.slabs_cached);
    visit("large_pages", gauge, s.large_pages);
    visit("free_resident_pages", gauge, s.free_resident_pages);
    visit("free_purged_pages", gauge, s.free_purged_pages);
    visit("unwanted_pages", gauge, s.unwanted_pages);
    visit("retained_bytes", gauge, s.retained_bytes);
    visit("slab_pages", gauge, s.slab_pages);
    visit("committed_bytes", gauge, s.committed_bytes);
    visit("empty_held_bytes", gauge, s.empty_held_bytes);
    visit("metadata_bytes", gauge, s.metadata_bytes);
    visit("total_out_of_memory", counter, s.out_of_memory);
    visit("total_epoch_opens", counter, s.epoch_opens);
    visit("total_epoch_advances", counter, s.epoch_advances);
    visit("total_epoch_closes", counter, s.epoch_closes);
    visit("total_epoch_drains", counter, s.epoch_drains);
    visit("total_epoch_close_scanned_slabs", counter, s.epoch_close_scanned_slabs);
    visit("total_epoch_close_recycled_slabs", counter, s.epoch_close_recycled_slabs);
    visit("total_epoch_close_deferred", counter, s.epoch_close_deferred);
    visit("total_epoch_close_timed", counter, s.epoch_close_timed);
    visit("total_epoch_close_ns", counter, s.epoch_close_total_ns);
    visit("total_ring_exhausted", counter, s.ring_exhausted);
    visit("total_labels_in_overflow", counter, s.labels_in_overflow);
    visit("total_labels_cut", counter, s.labels_cut);
    visit("total_domain_enters", counter, s.domain_enters);
    visit("total_domain_exits", counter, s.domain_exits);
    visit("total_counted_frees", counter, s.counted_frees);
    visit("total_released_objects", counter, s.released_objects);
    visit("total_leaked_objects", counter, s.leaked_objects);
    visit("total_refused_handles", counter, s.refused_handles);
    visit("total_misuses", counter, s.misuses);
    visit("total_escapes", counter, s.escapes);
    visit("total_escaped_bytes", counter, s.escaped_bytes);
}

/// `page_size`: of the snapshot.
template <class Visit> constexpr void for_each_derived(global_stats const& s, std::uint64_t page_size, Visit&& visit)
{
    using enum field_kind;
    visit("net_slabs", derived, s.slabs_in_use);
    visit("estimated_slab_rss_bytes", derived, s.slab_pages * page_size);
    visit("total_lock_acquisitions", derived, s.lock_fast_acquire + s.lock_contended);
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, class_stats>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("class_index", identity, s.class_index);
    visit("object_size", identity, s.object_size);
    visit("objects_per_slab", identity, s.objects_per_slab);
    visit("pages_per_slab", identity, s.pages_per_slab);
    visit("slow_path_hits", counter, s.slow_path_hits);
    visit("new_slab_count", counter, s.new_slab_count);
    visit("list_move_partial_to_full", counter, s.list_move_partial_to_full);
    visit("list_move_full_to_partial", counter, s.list_move_full_to_partial);
    visit("current_partial_null", counter, s.current_partial_null);
    visit("current_partial_full", counter, s.current_partial_full);
    visit("empty_slab_recycled", counter, s.empty_slab_recycled);
    visit("empty_slab_overflowed", counter, s.empty_slab_overflowed);
    visit("slow_path_cache_miss", counter, s.slow_path_cache_miss);
    visit("slow_path_epoch_closed", counter, s.slow_path_epoch_closed);
    visit("out_of_memory", counter, s.out_of_memory);
    visit("madvise_calls", counter, s.madvise_calls);
    visit("madvise_bytes", counter, s.madvise_bytes);
    visit("madvise_failures", counter, s.madvise_failures);
    visit("epoch_close_calls", counter, s.epoch_close_calls);
    visit("epoch_close_scanned_slabs", counter, s.epoch_close_scanned_slabs);
    visit("epoch_close_recycled_slabs", counter, s.epoch_close_recycled_slabs);
    visit("epoch_close_total_ns", counter, s.epoch_close_total_ns);
    visit("cache_size", gauge, s.cache_size);
    visit("cache_capacity", identity, s.cache_capacity);
    visit("cache_overflow_len", gauge, s.cache_overflow_len);
    visit("cached_slabs", gauge, s.cached_slabs);
    visit("total_partial_slabs", gauge, s.partial_slabs);
    visit("total_full_slabs", gauge, s.full_slabs);
    visit("empty_slabs_count", gauge, s.empty_slabs);
    visit("large_pages", gauge, s.large_pages);
    visit("allocations", counter, s.allocations);
    visit("live_objects", gauge, s.live_objects);
    visit("live_bytes", gauge, s.live_bytes);
    visit("resident_bytes", gauge, s.resident_bytes);
    visit("cache_hits", counter, s.cache_hits);
    visit("collects", counter, s.collects);
    visit("adoptions", counter, s.adoptions);
    visit("tls_cache_bypassed", counter, s.bypassed);
    visit("tls_cache_flushed", counter, s.flushed);
    visit("remote_frees", counter, s.remote_frees);
    visit("repairs", counter, s.repairs);
    visit("bitmap_alloc_cas_retries", counter, s.contention.bitmap_alloc_cas_retries);
    visit("bitmap_free_cas_retries", counter, s.contention.bitmap_free_cas_retries);
    visit("bitmap_alloc_attempts", counter, s.bitmap_alloc_attempts);
    visit("bitmap_free_attempts", counter, s.bitmap_free_attempts);
    visit("current_partial_cas_attempts", counter, s.current_partial_cas_attempts);
    visit("current_partial_lost_races", counter, s.current_partial_lost_races);
    visit("current_partial_mismatches", counter, s.current_partial_mismatches);
    visit("lock_fast_acquire", counter, s.contention.lock_fast_acquire);
    visit("lock_contended", counter, s.contention.lock_contended);
    visit("scan_adapt_checks", counter, s.scan_adapt_checks);
    visit("scan_adapt_switches", counter, s.scan_adapt_switches);
    visit("scan_rotated_threads", gauge, s.scan_rotated_threads);
}

template <class Visit> constexpr void for_each_derived(class_stats const& s, std::uint64_t page_size, Visit&& visit)
{
    using enum field_kind;
    std::uint64_t const failures = s.current_partial_lost_races + s.current_partial_mismatches;
    std::uint64_t const acquisitions = s.contention.lock_fast_acquire + s.contention.lock_contended;
    // An allocation that a thread cache served without a refill is a hit.
    std::uint64_t const refills = s.slow_path_hits;
    visit("tls_cache_attempts", derived, s.allocations);
    visit("tls_cache_hits", derived, s.allocations > refills ? s.allocations - refills : 0);
    visit("tls_cache_refills", derived, refills);
    visit("net_slabs", derived, s.slabs_in_use());
    std::uint64_t const slab_bytes = s.pages_per_slab * page_size;
    visit("estimated_rss_bytes", derived, s.slabs_in_use() * slab_bytes + s.large_pages * page_size);
    visit("committed_bytes", derived,
          (s.slabs_in_use() + s.cached_slabs) * slab_bytes + (s.large_pages + s.cache_overflow_len) * page_size);
    visit("recycle_rate_pct", derived,
          100.0 * ratio(s.empty_slab_recycled, s.empty_slab_recycled + s.empty_slab_overflowed));
    visit("cache_hit_rate", derived, ratio(s.cache_hits, s.cache_hits + s.slow_path_cache_miss));
    visit("current_partial_cas_failures", derived, failures);
    visit("current_partial_cas_failure_rate", derived, ratio(failures, s.current_partial_cas_attempts));
    visit("avg_alloc_cas_retries_per_attempt", derived,
          ratio(s.contention.bitmap_alloc_cas_retries, s.bitmap_alloc_attempts));
    visit("avg_free_cas_retries_per_attempt", derived,
          ratio(s.contention.bitmap_free_cas_retries, s.bitmap_free_attempts));
    visit("lock_acquisitions", derived, acquisitions);
    visit("lock_contention_rate", derived, ratio(s.contention.lock_contended, acquisitions));
    visit("scan_mode", derived, s.scan_rotated_threads != 0 ? std::uint64_t{1} : std::uint64_t{0});
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, contention_stats>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("lock_fast_acquire", counter, s.lock_fast_acquire);
    visit("lock_contended", counter, s.lock_contended);
    visit("bitmap_alloc_cas_retries", counter, s.bitmap_alloc_cas_retries);
    visit("bitmap_free_cas_retries", counter, s.bitmap_free_cas_retries);
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, lock_timing_stats>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("lock_timing_samples", counter, s.samples);
    visit("lock_wait_time_ns", counter, s.wait_ns);
    visit("lock_hold_time_ns", counter, s.hold_ns);
    visit("lock_wait_time_ns_max", gauge, s.wait_ns_max);
    visit("lock_hold_time_ns_max", gauge, s.hold_ns_max);
}

template <class Visit> constexpr void for_each_derived(lock_timing_stats const& s, std::uint64_t, Visit&& visit)
{
    using enum field_kind;
    visit("avg_lock_wait_time_ns", derived, ratio(s.wait_ns, s.samples));
    visit("avg_lock_hold_time_ns", derived, ratio(s.hold_ns, s.samples));
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, class_share>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("class_index", identity, s.class_index);
    visit("slabs", gauge, s.slabs);
    visit("pages", gauge, s.pages);
    visit("live_objects", gauge, s.live_objects);
    visit("live_bytes", gauge, s.live_bytes);
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, epoch_stats>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("epoch_id", identity, s.index);
    visit("epoch_era", identity, s.era);
    visit("label", identity, s.label);
    visit("label_id", identity, s.label_id);
    visit("age_sec", gauge, s.age_seconds);
    visit("open_since_ns", identity, s.open_since_ns);
    visit("closing_sec", gauge, s.closing_seconds);
    visit("entered_sec", gauge, s.entered_seconds);
    visit("refcount", gauge, s.refcount);
    visit("domain_enters", counter, s.enters);
    visit("domain_exits", counter, s.exits);
    visit("alloc_count", counter, s.allocations);
    visit("live_objects", gauge, s.live_objects);
    visit("live_bytes", gauge, s.live_bytes);
    visit("slabs", gauge, s.slabs);
    visit("slab_pages", gauge, s.slab_pages);
    visit("total_partial_slabs", gauge, s.partial_slabs);
    visit("total_full_slabs", gauge, s.full_slabs);
    visit("total_reclaimable_slabs", gauge, s.empty_slabs);
    visit("reclaimable_pages", gauge, s.empty_slab_pages);
    visit("large_pages", gauge, s.large_pages);
    visit("resident_bytes", gauge, s.resident_bytes);
    visit("rss_before_close", gauge, s.rss_before_close);
    visit("rss_after_close", gauge, s.rss_after_close);
    visit("madvise_bytes", gauge, s.madvise_bytes);
    visit("madvise_asked_bytes", gauge, s.madvise_asked_bytes);
    visit("madvise_gone_bytes", gauge, s.madvise_gone_bytes);
}

template <class Visit> constexpr void for_each_derived(epoch_stats const& s, std::uint64_t page_size, Visit&& visit)
{
    using enum field_kind;
    visit("estimated_rss_bytes", derived, (s.slab_pages + s.large_pages) * page_size);
    visit("empty_partial_count", derived, s.empty_slabs);
    visit("reclaimable_bytes", derived, s.empty_slab_pages * page_size);
    visit("cooperation_pct", derived, cooperation_pct(s.madvise_asked_bytes, s.madvise_gone_bytes));
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, label_stats>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("label_id", identity, s.label_id);
    visit("name", identity, s.name);
    visit("epochs", gauge, s.epochs);
    visit("refcount", gauge, s.refcount);
    visit("live_objects", gauge, s.live_objects);
    visit("live_bytes", gauge, s.live_bytes);
    visit("held_bytes", gauge, s.held_bytes);
    visit("resident_bytes", gauge, s.resident_bytes);
    visit("escapes", counter, s.escapes);
    visit("escaped_bytes", counter, s.escaped_bytes);
    for_each_field(s.contention, visit);
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, sampling_stats>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("alloc_samples", counter, s.alloc.samples);
    visit("alloc_wall_ns_sum", counter, s.alloc.wall_ns_sum);
    visit("alloc_cpu_ns_sum", counter, s.alloc.cpu_ns_sum);
    visit("alloc_wait_ns_sum", counter, s.alloc.wait_ns_sum);
    visit("alloc_wall_ns_max", gauge, s.alloc.wall_ns_max);
    visit("alloc_cpu_ns_max", gauge, s.alloc.cpu_ns_max);
    visit("alloc_wait_ns_max", gauge, s.alloc.wait_ns_max);
    visit("alloc_wall_ns_log2", counter, s.alloc.wall);
    visit("alloc_wait_ns_log2", counter, s.alloc.wait);
    visit("repair_count", counter, s.repair_count);
    visit("repair_samples", counter, s.repair.samples);
    visit("repair_wall_ns_sum", counter, s.repair.wall_ns_sum);
    visit("repair_cpu_ns_sum", counter, s.repair.cpu_ns_sum);
    visit("repair_wait_ns_sum", counter, s.repair.wait_ns_sum);
    visit("repair_wall_ns_max", gauge, s.repair.wall_ns_max);
    visit("repair_cpu_ns_max", gauge, s.repair.cpu_ns_max);
    visit("repair_wait_ns_max", gauge, s.repair.wait_ns_max);
    visit("repair_wall_ns_log2", counter, s.repair.wall);
    visit("repair_wait_ns_log2", counter, s.repair.wait);
    visit("repair_reason_full_bitmap", counter, s.repair_reason_full_bitmap);
    visit("repair_reason_list_mismatch", counter, s.repair_reason_list_mismatch);
    visit("repair_reason_other", counter, s.repair_reason_other);
}

template <class Visit> constexpr void for_each_derived(sampling_stats const& s, std::uint64_t, Visit&& visit)
{
    using enum field_kind;
    visit("alloc_wall_ns_p50", derived, s.alloc.wall.quantile(0.5));
    visit("alloc_wall_ns_p99", derived, s.alloc.wall.quantile(0.99));
    visit("alloc_wall_ns_p999", derived, s.alloc.wall.quantile(0.999));
    visit("alloc_wall_cpu_ratio", derived, ratio(s.alloc.wall_ns_sum, s.alloc.cpu_ns_sum));
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, thread_stats>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("thread_id", identity, s.thread_id);
    visit("alive", gauge, s.alive);
    visit("allocations", counter, s.allocations);
    visit("slow_path_hits", counter, s.slow_path_hits);
    visit("retained_bytes", gauge, s.retained_bytes);
    for_each_field(s.sampling, visit);
}

template <class Visit> constexpr void for_each_derived(thread_stats const& s, std::uint64_t page_size, Visit&& visit)
{
    for_each_derived(s.sampling, page_size, std::forward<Visit>(visit));
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, close_stats>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("timestamp_ns", identity, s.timestamp_ns);
    visit("epoch_id", identity, s.index);
    visit("epoch_era", identity, s.era);
    visit("label", identity, s.label);
    visit("duration_ns", gauge, s.nanoseconds);
    visit("rss_before", gauge, s.rss_before);
    visit("rss_after", gauge, s.rss_after);
    visit("scanned_slabs", gauge, s.scanned_slabs);
    visit("recycled_slabs", gauge, s.recycled_slabs);
    visit("madvise_calls", gauge, s.madvise_calls);
    visit("madvise_bytes", gauge, s.madvise_bytes);
    visit("madvise_failures", gauge, s.madvise_failures);
    visit("madvise_asked_bytes", gauge, s.madvise_asked_bytes);
    visit("madvise_gone_bytes", gauge, s.madvise_gone_bytes);
}

template <class Visit> constexpr void for_each_derived(close_stats const& s, std::uint64_t, Visit&& visit)
{
    using enum field_kind;
    visit("rss_delta_bytes", derived, static_cast<std::int64_t>(s.rss_after) - static_cast<std::int64_t>(s.rss_before));
    visit("cooperation_pct", derived, cooperation_pct(s.madvise_asked_bytes, s.madvise_gone_bytes));
}

template <class S, class Visit>
    requires std::is_same_v<std::remove_const_t<S>, waterfall_stats>
constexpr void for_each_field(S& s, Visit&& visit)
{
    using enum field_kind;
    visit("rss_bytes", gauge, s.rss_bytes);
    visit("live_bytes", gauge, s.live_bytes);
    visit("slack_bytes", gauge, s.slack_bytes);
    visit("empty_slot_bytes", gauge, s.empty_slot_bytes);
    visit("cached_bytes", gauge, s.cached_bytes);
    visit("free_bytes", gauge, s.free_bytes);
    visit("metadata_bytes", gauge, s.metadata_bytes);
    visit("not_tslab_bytes", gauge, s.not_tslab_bytes);
    visit("untouched_bytes", gauge, s.untouched_bytes);
}

}
