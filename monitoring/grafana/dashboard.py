#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the Grafana dashboards beside this file, or says whether they are up to date.

A panel is one call; where it stands and its number follow from the order.
"""
import argparse
import json
import pathlib
import sys

from panels import (BARS, DATASOURCE, EPOCH, GAUGE, HEAT, PROCESS, STAT, STATUS, THREAD, add, begin, panel, panels, row, steps,
                    table)

HERE = pathlib.Path(__file__).parent


def overview():
    row("Memory")
    panel("RSS vs Estimated Slab RSS", "The process, and what its heaps account for. A gap between the first two is memory "
          "of another allocator.",
          ("process_resident_memory_bytes{}", "process RSS {{pid}}"), ("sum(temporal_slab_committed_bytes{})", "committed"),
          ("sum(temporal_slab_estimated_slab_rss_bytes{})", "slabs, estimated"),
          ("sum(temporal_slab_live_bytes{})", "live"), unit="bytes")
    panel("Memory by Label", "Which part of the program holds memory: pages of its epochs.",
          ("sum by (label) (temporal_slab_epoch_rss_bytes{})", "{{label}}"), unit="bytes", stacked=True)
    panel("Where Resident Memory Is", "Resident memory by what it is used for; the terms add up to the process RSS.",
          *[(f"sum(temporal_slab_waterfall_{term}_bytes{{}})", term.replace("_", " ")) for term in
            ("live", "slack", "empty_slot", "cached", "free", "metadata", "not_tslab")], unit="bytes", stacked=True)
    panel("Net Slabs (Global)", "Slabs in use and in caches. In use growing without end is a leak.",
          ("sum by (heap) (temporal_slab_slabs_in_use{})", "{{heap}} in use"),
          ("sum by (heap) (temporal_slab_slabs_cached{})", "{{heap}} cached"))
    panel("Allocations and Frees", "Per second.", ("sum by (heap) (rate(temporal_slab_allocations_total{}[R]))",
          "{{heap}} allocations"), ("sum by (heap) (rate(temporal_slab_frees_total{}[R]))", "{{heap}} frees"), unit="ops")
    panel("Slabs Allocated and Recycled", "Slabs cut from pages, and put into caches, per second. Both level: steady state.",
          ("sum by (heap) (rate(temporal_slab_slabs_allocated_total{}[R]))", "{{heap}} allocated"),
          ("sum by (heap) (rate(temporal_slab_slabs_recycled_total{}[R]))", "{{heap}} recycled"), unit="ops")


def epochs():
    row("Epochs")
    panel("Epoch Age Heatmap (ACTIVE)", "Each ACTIVE epoch over time, by its age: yellow from a minute, red from five.",
          ('temporal_slab_epoch_age_seconds{state="ACTIVE"}', "{{heap}} epoch {{epoch}} {{label}}"), kind="status-history",
          unit="s", limits=(60, 300), options=STATUS, width=12)
    panel("Epoch Age (ACTIVE Only)", "Ages that only grow belong to phases that do not end.",
          ('temporal_slab_epoch_age_seconds{state="ACTIVE"}', "{{heap}} epoch {{epoch}} {{label}}"), unit="s",
          limits=(60, 300), width=12)
    panel("Top Epochs by RSS", "Yellow from 10 MiB, red from 50.", ("topk(10, temporal_slab_epoch_rss_bytes{})", EPOCH),
          kind="bargauge", unit="bytes", limits=(10485760, 52428800), options=BARS, instant=True)
    panel("Top Epochs by Age", "Yellow from a minute, red from five.",
          ("topk(10, temporal_slab_epoch_age_seconds{})", EPOCH), kind="bargauge", unit="s", limits=(60, 300), options=BARS,
          instant=True)
    panel("Top Epochs by Refcount", "Domains inside.", ("topk(10, temporal_slab_epoch_refcount{})", EPOCH), kind="bargauge",
          options=BARS, instant=True)
    panel("Held Longer Than a Minute", "Epochs with a domain inside, by age: red from five minutes.",
          ("temporal_slab_epoch_age_seconds{} > 60 and on (job, instance, pid, heap, epoch) "
           "temporal_slab_epoch_refcount{} > 0", EPOCH), unit="s", limits=(60, 300))
    panel("Refcount (CLOSING)", "Domains inside closed epochs: these drain once the last one has left.",
          ('temporal_slab_epoch_refcount{state="CLOSING"}', EPOCH))
    panel("Reclaimable Slabs by Epoch", "Slabs without a live object that a trim or a close would take back.",
          ("topk(10, temporal_slab_epoch_reclaimable_slabs{})", EPOCH))
    panel("Epoch Ring in Use", "ACTIVE and CLOSING epochs by the slots of the ring: yellow 87.5 %, red 97 %.",
          ("(temporal_slab_active_epochs{} + temporal_slab_closing_epochs{}) / temporal_slab_epoch_slots{}", "{{heap}}"),
          unit="percentunit", limits=(0.875, 0.97), maximum=1)
    panel("ACTIVE and CLOSING Epochs", "", ("temporal_slab_active_epochs{}", "{{heap}} ACTIVE"),
          ("temporal_slab_closing_epochs{}", "{{heap}} CLOSING"))
    panel("Domains Left Open", "Enters minus exits. Growing: exits are missing.",
          ("temporal_slab_domain_enters_total{} - temporal_slab_domain_exits_total{}", "{{heap}}"))


def closing():
    row("Closing and giving back")
    panel("epoch_close() Call Rate", "Epochs that turned CLOSING, and closes that were timed, per second: those with work, and one in 1,024 of the "
          "others.",
          ("sum by (heap) (rate(temporal_slab_epoch_closes_total{}[R]))", "{{heap}} closed"),
          ("sum by (heap) (rate(temporal_slab_epoch_close_timed_total{}[R]))", "{{heap}} timed"), unit="ops")
    panel("Reclamation Yield", "Slabs reclaimed by slabs looked at. Good above 0.8; below 0.3 objects outlive their phase.",
          ("rate(temporal_slab_epoch_close_recycled_slabs_total{}[R]) / "
           "(rate(temporal_slab_epoch_close_scanned_slabs_total{}[R]) > 0)", "{{heap}}"), unit="percentunit", maximum=1)
    panel("Average Close", "Of timed closes. Looking at slabs: yellow from 1 ms, red from 10 ms. The kernel's time to take "
          "pages is apart.",
          ("rate(temporal_slab_epoch_close_seconds_total{}[R]) / (rate(temporal_slab_epoch_close_timed_total{}[R]) > 0)",
           "{{heap}}"),
          ("rate(temporal_slab_epoch_close_purge_seconds_total{}[R]) / "
           "(rate(temporal_slab_epoch_close_timed_total{}[R]) > 0)", "{{heap}} giving back"), unit="s", limits=(0.001, 0.01))
    panel("Kernel Cooperation %", "Fact: bytes that left memory by bytes handed to madvise, in 10 minutes.",
          ("100 * sum by (heap) (increase(temporal_slab_madvise_gone_bytes_total{}[10m])) / "
           "(sum by (heap) (increase(temporal_slab_madvise_asked_bytes_total{}[10m])) > 0)", "{{heap}}"), kind="gauge", unit="percent",
          maximum=100, options=GAUGE, width=4,
          overrides=[{"matcher": {"id": "byType", "options": "number"},
                      "properties": [{"id": "thresholds", "value": {"mode": "absolute", "steps": [
                          {"color": "red", "value": None}, {"color": "yellow", "value": 10},
                          {"color": "green", "value": 50}]}},
                                     {"id": "color", "value": {"mode": "thresholds"}}]}])
    panel("RSS Delta of the Last Close", "Fact: resident memory of the process, after minus before. For each label, the last close that "
          "gave memory back or that the program asked for.",
          ("temporal_slab_label_last_close_rss_after_bytes{} - temporal_slab_label_last_close_rss_before_bytes{}", "{{heap}} {{label}}"),
          kind="stat", unit="bytes", options=STAT, width=4)
    panel("madvise Bytes of the Last Close", "Fact: handed to madvise with success, by the same close of each label.",
          ("temporal_slab_label_last_close_madvise_bytes{}", "{{heap}} {{label}}"), kind="stat", unit="bytes", options=STAT, width=4)
    panel("Correlation of RSS and madvise", "Heuristic: how much of the bytes the last close gave back shows in the RSS of "
          "the process, in which everything else moves as well.",
          ("100 * (temporal_slab_label_last_close_rss_before_bytes{} - temporal_slab_label_last_close_rss_after_bytes{}) / "
           "(temporal_slab_label_last_close_madvise_bytes{} > 0)", "{{heap}} {{label}}"), kind="stat", unit="percent", options=STAT, width=4)
    panel("madvise Failures", "Calls the kernel refused, per second. Any is a fault.",
          ("sum by (heap) (rate(temporal_slab_madvise_failures_total{}[R]))", "{{heap}}"), unit="ops", limits=(0.001,))
    panel("madvise Throughput", "Bytes given back, per second.",
          ("sum by (heap) (rate(temporal_slab_madvise_bytes_total{}[R]))", "{{heap}}"), unit="Bps")
    panel("Top Classes by madvise Throughput", "", ("topk(5, sum by (object_size) "
          "(rate(temporal_slab_class_madvise_bytes_total{}[R])))", "{{object_size}} bytes"), unit="Bps")
    panel("Slab Cache Overflow", "Of the slabs that become empty, those that find the cache full: yellow 10 %, red 50 %.",
          ("rate(temporal_slab_cache_overflows_total{}[R]) / ((rate(temporal_slab_cache_overflows_total{}[R]) + "
           "rate(temporal_slab_slabs_recycled_total{}[R])) > 0)", "{{heap}}"), unit="percentunit", limits=(0.1, 0.5),
          maximum=1)
    closes = {"A": ("ago", "time() - temporal_slab_label_last_close_timestamp_seconds{}", "s"),
              "B": ("took", "temporal_slab_label_last_close_duration_seconds{}", "s"),
              "C": ("of it purging", "temporal_slab_label_last_close_purge_seconds{}", "s"),
              "D": ("slabs looked at", "temporal_slab_label_last_close_scanned_slabs{}", "short"),
              "E": ("reclaimed", "temporal_slab_label_last_close_recycled_slabs{}", "short"),
              "F": ("given back", "temporal_slab_label_last_close_madvise_bytes{}", "bytes"),
              "G": ("gone", "temporal_slab_label_last_close_madvise_gone_bytes{}", "bytes")}
    table("Last Close by Label", "For each label, the last close that gave memory back or that the program asked for.", closes,
          {"label": "label", "heap": "heap"})


def phase_quantile(quantile, figure, by="label"):
    return f"histogram_quantile({quantile}, sum by ({by}, le) (rate(temporal_slab_phase_{figure}_bucket{{}}[R])))"


def costs():
    row("What phases cost")
    for figure, title, text, unit in (
            ("bytes", "Bytes Allocated", "The ten labels whose phases allocate most.", "bytes"),
            ("peak_bytes", "Bytes Live at Once", "An upper bound, of the ten labels whose phases hold most.", "bytes"),
            ("seconds", "Time", "The ten labels whose phases take longest.", "s")):
        panel(f"{title} a Phase by Label", f"{text} Of phases that ended; right within a factor of two.",
              *[(f"topk(10, {phase_quantile(q, figure)})", f"{{{{label}}}} {name}") for q, name in ((0.5, "p50"), (0.99, "p99"))],
              unit=unit)
    panel("Phases by Label", "Phases that ended, per second, the ten labels with most.",
          ("topk(10, sum by (label) (rate(temporal_slab_phases_total{}[R])))", "{{label}}"), unit="ops")
    panel("Allocation Rate by Label", "Bytes that phases had allocated when they ended, per second, the ten labels with most. A phase that "
          "does not end is not in it.",
          ("topk(10, sum by (label) (rate(temporal_slab_phase_bytes_sum{}[R])))", "{{label}}"), unit="Bps", stacked=True)
    panel("Largest Phase by Label", "The most bytes that one phase allocated since the heap was made.",
          ("topk(10, max by (label) (temporal_slab_phase_bytes_max{}))", "{{label}}"), kind="bargauge", unit="bytes", options=BARS,
          instant=True)
    by = "heap, label"
    table("Cost of a Phase", "Of phases that ended.", {
        "A": ("phases/s", f"sum by ({by}) (rate(temporal_slab_phases_total{{}}[R]))", "short"),
        "B": ("bytes/s", f"sum by ({by}) (rate(temporal_slab_phase_bytes_sum{{}}[R]))", "Bps"),
        "C": ("bytes, mean", f"sum by ({by}) (rate(temporal_slab_phase_bytes_sum{{}}[R])) / "
              f"(sum by ({by}) (rate(temporal_slab_phase_bytes_count{{}}[R])) > 0)", "bytes"),
        "D": ("bytes, p99", phase_quantile(0.99, "bytes", by), "bytes"),
        "E": ("bytes, most", f"max by ({by}) (temporal_slab_phase_bytes_max{{}})", "bytes"),
        "F": ("which ended ago", f"time() - max by ({by}) (temporal_slab_phase_largest_timestamp_seconds{{}} > 0)", "s"),
        "G": ("live at once, p99", phase_quantile(0.99, "peak_bytes", by), "bytes"),
        "H": ("took, p99", phase_quantile(0.99, "seconds", by), "s")}, {"label": "label", "heap": "heap"})


def limits():
    row("Limits")
    panel("Nearest to Their Limit", "What the phases of a label hold, by what they may hold together: yellow from three quarters, red from "
          "nine tenths.", ("topk(10, temporal_slab_label_limit_held_bytes{} / (temporal_slab_label_limit_bytes{} > 0))", "{{heap}} {{label}}"),
          kind="bargauge", unit="percentunit", limits=(0.75, 0.9), maximum=1, options=BARS, instant=True)
    panel("Limit of the Heap", "What all phases hold, by what they may hold together: yellow from three quarters, red from nine tenths.",
          ("temporal_slab_limit_held_bytes{} / (temporal_slab_limit_bytes{} > 0)", "{{heap}}"), kind="gauge", unit="percentunit",
          limits=(0.75, 0.9), maximum=1, options=GAUGE)
    panel("Held and Limit by Label", "Labels with a limit.",
          ("temporal_slab_label_limit_held_bytes{} and temporal_slab_label_limit_bytes{}", "{{heap}} {{label}} held"),
          ("temporal_slab_label_limit_bytes{}", "{{heap}} {{label}} limit"), unit="bytes")
    panel("Refusals by Limits", "Allocations that a limit refused, per second: of a phase, a label or the heap.",
          ("sum by (heap) (rate(temporal_slab_limit_refusals_total{}[R]))", "{{heap}}"), unit="ops", limits=(0.001,))
    panel("Refusals by Limits of Labels", "Of these, those that the label's own limit refused.",
          ("sum by (label) (rate(temporal_slab_label_limit_refusals_total{}[R]))", "{{label}}"), unit="ops", limits=(0.001,))
    panel("Soft Limits, and Scopes Without Theirs", "Per second: phases that crossed their soft limit, and scopes whose limit holds for nothing, "
          "since the ring had no slot for them.",
          ("sum by (heap) (rate(temporal_slab_soft_limits_total{}[R]))", "{{heap}} soft limits"),
          ("sum by (heap) (rate(temporal_slab_unlimited_scopes_total{}[R]))", "{{heap}} scopes"), unit="ops")


def slow_path():
    row("Slow path")
    panel("Slow Path by Cause", "Per second: all, those that needed a new page, and refusals in closed epochs (a bug).",
          ("sum(rate(temporal_slab_slow_path_hits_total{}[R]))", "slow path"),
          ("sum(rate(temporal_slab_slow_cache_miss_total{}[R]))", "cache miss"),
          ("sum(rate(temporal_slab_slow_epoch_closed_total{}[R]))", "epoch closed"), unit="ops")
    panel("Top Classes by Slow-Path Rate", "", ("topk(5, sum by (object_size) "
          "(rate(temporal_slab_class_slow_path_hits_total{}[R])))", "{{object_size}} bytes"), unit="ops")
    panel("Avoidable Slow Paths by Class", "Of the allocations, beyond the one in each slab: yellow 5 %, red 20 %.",
          ("clamp_min(rate(temporal_slab_class_slow_path_hits_total{}[R]) / (rate(temporal_slab_class_allocations_total{}[R])"
           " > 0) - 1 / (temporal_slab_class_objects_per_slab{} > 0), 0)", "{{object_size}} bytes"), unit="percentunit",
          limits=(0.05, 0.2))
    panel("Allocation Tail Latency", "Of timed allocations, one in 1,024 while sampling is on. Upper bounds.",
          *[(f"histogram_quantile({q}, sum by (le) (rate(temporal_slab_alloc_wall_seconds_bucket{{}}[R])))", f"p{name}")
            for q, name in ((0.5, "50"), (0.99, "99"), (0.999, "99.9"))], unit="s")
    panel("Allocation Time Heatmap", "Of timed allocations, by the clock.",
          ("sum by (le) (increase(temporal_slab_alloc_wall_seconds_bucket{}[R]))", "{{le}}"), kind="heatmap", options=HEAT)
    panel("Wall Time by Processor Time", "Of timed allocations. Below 1.5 clean; above, the machine is short of "
          "processors and the latencies are not the allocator's.",
          ("rate(temporal_slab_alloc_wall_seconds_sum{}[R]) / (rate(temporal_slab_alloc_cpu_seconds_total{}[R]) > 0)",
           "{{heap}}"), limits=(1.5, 2))
    panel("Slab Cache Hit Rate", "Empty slabs that came from a cache, of all that were needed.",
          ("sum by (object_size) (rate(temporal_slab_class_cache_hits_total{}[R])) / (sum by (object_size) "
           "(rate(temporal_slab_class_cache_hits_total{}[R]) + rate(temporal_slab_class_slow_path_cache_miss_total{}[R])) > "
           "0)", "{{object_size}} bytes"), unit="percentunit", maximum=1)
    panel("Repairs", "Per second, by reason. Mismatches are expected; any other is a double free.",
          ("sum(rate(temporal_slab_repair_reason_full_bitmap_total{}[R]))", "full bitmap"),
          ("sum(rate(temporal_slab_repair_reason_list_mismatch_total{}[R]))", "list mismatch"),
          ("sum(rate(temporal_slab_repair_reason_other_total{}[R]))", "other"), unit="ops")
    panel("Remote Frees", "By a thread that does not own the slab, per second.",
          ("topk(5, sum by (object_size) (rate(temporal_slab_class_remote_frees_total{}[R])))", "{{object_size}} bytes"),
          unit="ops")


def by_class(part, whole):
    return (f"sum by (object_size) (rate(temporal_slab_class_{part}_total{{}}[R])) / "
            f"clamp_min(sum by (object_size) (rate(temporal_slab_class_{whole}_total{{}}[R])), 0.0001)", "{{object_size}} bytes")


def contention():
    row("Contention")
    part, legend = by_class("lock_contended", "lock_acquisitions")
    panel("Lock Contention Rate", "Of the acquisitions, those that had to wait: yellow 5 %, red 20 %.", (f"100 * {part}", legend),
          unit="percent", limits=(5, 20))
    panel("Lock Contention Rate (Tier 0 Trylock Probe)", "All locks of the heap, those of no class included. No clock is read.",
          ("100 * rate(temporal_slab_heap_lock_contended_total{}[R]) / (rate(temporal_slab_heap_lock_fast_acquire_total{}[R])"
           " + rate(temporal_slab_heap_lock_contended_total{}[R]) > 0)", "{{heap}}"), unit="percent", limits=(5, 20))
    panel("Bitmap Alloc CAS Retries/Op", "Claims of shared slabs lost to other threads: yellow 0.01, red 0.05.",
          by_class("bitmap_alloc_cas_retries", "bitmap_alloc_attempts"), limits=(0.01, 0.05))
    panel("CAS Retry Rate (Per Allocation)", "The same retries, for each allocation of the class.",
          by_class("bitmap_alloc_cas_retries", "allocations"))
    panel("Bitmap Free CAS Retries/Op", "Steps from the last free of a slab to taking it back that were repeated or lost.",
          by_class("bitmap_free_cas_retries", "bitmap_free_attempts"))
    part, legend = by_class("current_partial_cas_failures", "current_partial_cas_attempts")
    panel("current_partial CAS Failure Rate", "Attempts to acquire a slab that failed, for any reason. 80 to 100 % is normal: "
          "that a listed slab turns out to be full is expected.", (f"100 * {part}", legend), unit="percent", maximum=100)
    part, _ = by_class("current_partial_lost_races", "current_partial_cas_attempts")
    panel("Fast-Path CAS Failure Rate", "Attempts to acquire a slab lost to another thread, the worst class: yellow 5 %, red 20 %.",
          (f"max(100 * {part})", "worst class"), kind="gauge", unit="percent", limits=(5, 20), maximum=100, options=GAUGE)
    panel("CAS Retry Rate vs Threads", "Retries for each claim, all classes, and the threads that use the heap.",
          ("sum by (heap) (rate(temporal_slab_class_bitmap_alloc_cas_retries_total{}[R])) / clamp_min(sum by (heap) "
           "(rate(temporal_slab_class_bitmap_alloc_attempts_total{}[R])), 0.0001)", "{{heap}} retries/op"),
          ("temporal_slab_threads{}", "{{heap}} threads"),
          overrides=[{"matcher": {"id": "byFrameRefID", "options": "B"},
                      "properties": [{"id": "custom.axisPlacement", "value": "right"}]}])
    panel("Lock Wait and Hold Time", "Averages of the acquisitions that were timed, while lock timing is on.",
          ("rate(temporal_slab_heap_lock_wait_time_seconds_total{}[R]) / "
           "(rate(temporal_slab_heap_lock_timing_samples_total{}[R]) > 0)", "{{heap}} wait"),
          ("rate(temporal_slab_heap_lock_hold_time_seconds_total{}[R]) / "
           "(rate(temporal_slab_heap_lock_timing_samples_total{}[R]) > 0)", "{{heap}} hold"),
          ("temporal_slab_heap_lock_hold_time_seconds_max{}", "{{heap}} longest hold"), unit="s")
    for what, text in (("hold", "was held"), ("wait", "was waited for")):
        panel(f"Lock {what.title()} Time Heatmap", f"The acquisitions that were timed, by the time the lock {text}; while lock timing is on.",
              (f"sum by (le) (increase(temporal_slab_lock_{what}_seconds_bucket{{}}[R]))", "{{le}}"), kind="heatmap", options=HEAT,
              width=12)
    panel("CAS Retry Heatmap by Thread", "Each thread over time, by the share of its claims, allocating and freeing, that it lost: "
          "yellow 0.01, red 0.05. The 32 threads of a heap with the most contention.",
          ("sum by (heap, thread, name) (rate(temporal_slab_thread_bitmap_alloc_cas_retries_total{}[R]) + "
           "rate(temporal_slab_thread_bitmap_free_cas_retries_total{}[R])) / clamp_min(sum by (heap, thread, name) "
           "(rate(temporal_slab_thread_bitmap_alloc_attempts_total{}[R]) + "
           "rate(temporal_slab_thread_bitmap_free_attempts_total{}[R])), 0.0001)", THREAD), kind="status-history",
          limits=(0.01, 0.05), options=STATUS, width=12)
    panel("Lock Contention by Thread", "Of each thread's acquisitions, those that had to wait, the ten worst: yellow 5 %, red 20 %.",
          ("topk(10, 100 * sum by (heap, thread, name) (rate(temporal_slab_thread_lock_contended_total{}[R])) / "
           "clamp_min(sum by (heap, thread, name) (rate(temporal_slab_thread_lock_fast_acquire_total{}[R]) + "
           "rate(temporal_slab_thread_lock_contended_total{}[R])), 0.0001))", THREAD), unit="percent", limits=(5, 20), width=12)
    panel("Lock Contention by Label", "The three parts of the program that wait most for locks, acquisitions per second.",
          ("topk(3, sum by (label) (rate(temporal_slab_class_lock_contended_by_label_total{}[R])))", "{{label}}"), unit="ops")
    panel("Lock Contention Rate by Label", "Of each part's acquisitions, those that had to wait.",
          ("100 * sum by (label) (rate(temporal_slab_class_lock_contended_by_label_total{}[R])) / clamp_min(sum by (label) "
           "(rate(temporal_slab_class_lock_fast_acquire_by_label_total{}[R]) + "
           "rate(temporal_slab_class_lock_contended_by_label_total{}[R])), 0.0001)", "{{label}}"), unit="percent",
          limits=(5, 20))
    panel("CAS Retries by Label", "Per second.",
          ("sum by (label) (rate(temporal_slab_class_bitmap_alloc_cas_retries_by_label_total{}[R]))", "{{label}} alloc"),
          ("sum by (label) (rate(temporal_slab_class_bitmap_free_cas_retries_by_label_total{}[R]))", "{{label}} free"),
          unit="ops")


def program():
    row("The program's own faults")
    panel("Misuses", "By kind. Each one is a bug.", ("sum by (kind) (temporal_slab_misuse_reports_total{})", "{{kind}}"),
          limits=(1,))
    panel("Leaked Objects, Refused Handles, Failed Allocations", "Totals since the heap was made.",
          ("sum(temporal_slab_leaked_objects_total{})", "live when their resource ended"),
          ("sum(temporal_slab_refused_handles_total{})", "handles refused"),
          ("sum(temporal_slab_out_of_memory_total{})", "out of memory"))
    panel("Escapes by Label", "Allocations from the default resource inside a scope, while escape detection is on.",
          ("sum by (label) (rate(temporal_slab_label_escapes_total{}[R]))", "{{label}}"), unit="ops")
    columns = {letter: (title, f"sum by (object_size) (temporal_slab_class_{metric}{{}})",
                        "bytes" if metric.endswith("_bytes") else "short") for letter, title, metric in (
        ("A", "live", "live_bytes"), ("B", "partial slabs", "partial_slabs"), ("C", "full slabs", "full_slabs"),
        ("D", "cached slabs", "cached_slabs"), ("E", "committed", "committed_bytes"))}
    columns["F"] = ("allocations/s", "sum by (object_size) (rate(temporal_slab_class_allocations_total{}[R]))", "short")
    columns["G"] = ("slow paths/s", "sum by (object_size) (rate(temporal_slab_class_slow_path_hits_total{}[R]))", "short")
    table("Classes", "", columns, {"object_size": "object size"})


def variable(name, label, query):
    return {"type": "query", "name": name, "label": label, "datasource": DATASOURCE,
            "query": {"query": query, "refId": name}, "refresh": 2, "includeAll": True, "multi": True,
            "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}, "sort": 1}


def on_both_sides(title, *queries, **options):
    """One panel for each of two processes, side by side."""
    for side in ("left", "right"):
        panel(f"{title}: ${side}", "", *queries, side=side, width=12, **options)


def comparison():
    row("Memory")
    on_both_sides("RSS", ("process_resident_memory_bytes{}", "process RSS {{pid}}"),
                  ("sum(temporal_slab_committed_bytes{})", "committed"), ("sum(temporal_slab_live_bytes{})", "live"),
                  unit="bytes")
    on_both_sides("Memory by Label", ("sum by (label) (temporal_slab_epoch_rss_bytes{})", "{{label}}"), unit="bytes",
                  stacked=True)
    row("Speed")
    on_both_sides("Allocations", ("sum(rate(temporal_slab_allocations_total{}[R]))", "allocations"), unit="ops")
    on_both_sides("Slow Path by Cause", ("sum(rate(temporal_slab_slow_path_hits_total{}[R]))", "slow path"),
                  ("sum(rate(temporal_slab_slow_cache_miss_total{}[R]))", "cache miss"), unit="ops")
    on_both_sides("Allocation Tail Latency", *[
        (f"histogram_quantile({q}, sum by (le) (rate(temporal_slab_alloc_wall_seconds_bucket{{}}[R])))", f"p{name}")
        for q, name in ((0.5, "50"), (0.99, "99"), (0.999, "99.9"))], unit="s")
    on_both_sides("Lock Contention Rate", (
        "100 * sum(rate(temporal_slab_heap_lock_contended_total{}[R])) / "
        "clamp_min(sum(rate(temporal_slab_heap_lock_acquisitions_total{}[R])), 0.0001)", "all locks"), unit="percent",
        limits=(5, 20))


def one_of(name, label, query):
    one = variable(name, label, query)
    one.update(includeAll=False, multi=False, current={"text": "", "value": ""})
    del one["allValue"]
    return one


def dashboard(uid, title, description, parts, variables):
    begin()
    for part in parts:
        part()
    return {
        "uid": uid, "title": title, "tags": ["tslab", "memory"], "description": description,
        "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1, "refresh": "10s", "timezone": "browser",
        "time": {"from": "now-30m", "to": "now"}, "fiscalYearStartMonth": 0, "liveNow": False, "weekStart": "",
        "annotations": {"list": [{"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True,
                                  "hide": True, "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts",
                                  "type": "dashboard"}]},
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus",
             "current": {"text": "", "value": ""}, "includeAll": False, "multi": False, "refresh": 1, "regex": ""},
            *variables]},
        "links": [], "panels": list(panels)}


def dashboards():
    """File name -> document."""
    all_instances = "label_values(process_resident_memory_bytes, instance)"
    return {
        "temporal-slab-observability.json": dashboard(
            "temporal-slab-observability", "temporal-slab observability",
            "Heaps of tslab: whose memory it is, which phases do not end, what threads wait for.",
            (overview, epochs, closing, costs, limits, slow_path, contention, program),
            [variable("job", "Job", "label_values(temporal_slab_heap_info, job)"),
             variable("instance", "Instance", 'label_values(temporal_slab_heap_info{job=~"$job"}, instance)'),
             variable("heap", "Heap", f"label_values(temporal_slab_heap_info{{{PROCESS}}}, heap)")]),
        "temporal-slab-comparison.json": dashboard(
            "temporal-slab-comparison", "temporal-slab comparison",
            "Two processes side by side: two versions, two settings, or one with tslab beside one without, of which any "
            "Prometheus client reports the RSS.", (comparison,),
            [one_of("left", "Left", all_instances), one_of("right", "Right", all_instances)])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not what this makes")
    arguments = parser.parse_args()
    for name, document in dashboards().items():
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        if not arguments.check:
            (HERE / name).write_text(text, encoding="utf-8")
        elif not (HERE / name).exists() or (HERE / name).read_text(encoding="utf-8") != text:
            sys.exit(f"{name} is not what {pathlib.Path(__file__).name} makes; run it and commit the result")


if __name__ == "__main__":
    main()
