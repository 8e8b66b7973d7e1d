#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the structures of statistics for C, include/tslab/c/figures.h, from modules/stats/figures.def; or checks them.

A structure only grows: members that the header has stay in their places, new figures of the table follow behind them. A member whose
figure is gone from the table is an error. usage: figures.py --write | --check
"""
import argparse
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE.parent / "modules/stats/figures.def"
HEADER = HERE / "include/tslab/c/figures.h"
TYPES = {"u32": "uint32_t", "u64": "uint64_t", "i64": "int64_t", "number": "double", "flag": "bool", "text": "tslab_text",
         "optional_u64": "uint64_t"}
# Record of the table, structure, what it is.
RECORDS = [
    ("CONTENTION", "tslab_contention_stats", "Contention between threads. It is a member of others and does not grow."),
    ("HEAP", "tslab_global_stats", "All size classes and large allocations together."),
    ("CLASS", "tslab_class_stats", "A size class; the last one is everything above the classes."),
    ("EPOCH", "tslab_epoch_stats", "A ring slot that was ever opened."),
    ("LABEL", "tslab_label_stats", "The epochs of one label, and the counters under its name."),
    ("THREAD", "tslab_thread_stats", "A thread that used the heap."),
    ("CLOSE", "tslab_close_stats", "The last timed close."),
    ("WATERFALL", "tslab_waterfall_stats", "The resident memory of the process by use."),
    ("SHARE", "tslab_class_share", "The part of one class in one epoch."),
    ("LOCK_TIMES", "tslab_lock_timing_stats", "Timed acquisitions of locks, of a class or of the heap."),
    ("SAMPLING", "tslab_sampling_stats", "What sampling found: one allocation in 1,024 while it was on, and every repair."),
]
# Structures without figures of their own, in front of the others that have them as members.
PLAIN = """\
/* Durations counted by powers of two. Bucket 0 holds 0 ns, bucket b from 2^(b-1) to 2^b - 1; the last one holds all above. It is a member
 * of others and does not grow. */
#define TSLAB_HISTOGRAM_BUCKETS 40
typedef struct tslab_histogram {
    uint64_t buckets[TSLAB_HISTOGRAM_BUCKETS];
} tslab_histogram;

/* Timed events: by the clock (wall), of the processor (cpu), and the difference, in which the thread did not run (wait). It is a member
 * of others and does not grow. */
typedef struct tslab_timing_stats {
    uint64_t samples;
    uint64_t wall_ns_sum;
    uint64_t cpu_ns_sum;
    uint64_t wait_ns_sum;
    uint64_t wall_ns_max;
    uint64_t cpu_ns_max;
    uint64_t wait_ns_max;
    tslab_histogram wall;
    tslab_histogram wait;
} tslab_timing_stats;

/* Timed acquisitions of locks by duration. */
typedef struct tslab_lock_histograms {
    tslab_histogram wait;
    tslab_histogram hold;
} tslab_lock_histograms;
"""
# Members that are no figures; they come first, so that figures can be appended.
FIRST = {
    "CLASS": [("tslab_contention_stats", "contention", "of all labels")],
    "EPOCH": [("uint32_t", "state", "0 ACTIVE, 1 CLOSING"),
              ("uint32_t", "lifecycle", "0 IDLE, 1 ACTIVE, 2 CLOSING, 3 DRAINED"),
              ("tslab_text", "file", "where the oldest domain inside was entered; empty if not known"),
              ("tslab_text", "function", "the function of that place"),
              ("uint32_t", "line", "the line of that place")],
    "LABEL": [("tslab_contention_stats", "contention", "of all classes, and of the epochs' own bookkeeping")],
    "SAMPLING": [("tslab_timing_stats", "alloc", "allocations"), ("tslab_timing_stats", "free", "frees that leave the fast path"),
                 ("tslab_timing_stats", "repair", "repairs of slab lists")],
}
MEMBER = re.compile(r"^TSLAB_(FIGURE|COUNTED|SUMMED|CLASS_SUM)\((.*)$")


def table():
    """The figures by record: (type, member, unit, help)."""
    records, current = {}, None
    for line in TABLE.read_text().splitlines():
        if start := re.match(r"#ifdef TSLAB_OF_(\w+)", line):
            current = records.setdefault(start[1], [])
        elif line.startswith("#endif"):
            current = None
        elif current is not None and (found := MEMBER.match(line)):
            texts = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
            words = [w.strip() for w in re.sub(r'"(?:[^"\\]|\\.)*"', "", found[2]).split(",")]
            kind, member = (words[0], words[1]) if found[1] == "FIGURE" else ("u64", words[0])
            current.append((TYPES[kind], member, texts[0], texts[1]))
    return records


def kept_order():
    """The members that the header has, by structure."""
    if not HEADER.exists():
        return {}
    order = {}
    for body, name in re.findall(r"typedef struct \w+ \{\n(.*?)\n\} (\w+);", HEADER.read_text(), re.S):
        order[name] = re.findall(r"^    \w+ (\w+);", body, re.M)
    return order


def text():
    out = ["/* SPDX-FileCopyrightText: 2026 The tslab authors",
           " * SPDX-License-Identifier: Apache-2.0",
           " *",
           " * The figures of a snapshot, made by c/figures.py from modules/stats/figures.def. docs/stats-reference.md says what each is",
           " * for. Members are only appended. TSLAB_UNKNOWN: a figure that was not asked for, or cannot be had. */",
           "#ifndef TSLAB_C_FIGURES_H", "#define TSLAB_C_FIGURES_H", "", "#include <tslab/c/base.h>", "",
           "/* The value of a figure that was not asked for, or cannot be had. */", "#define TSLAB_UNKNOWN UINT64_MAX", "", PLAIN]
    figures, kept = table(), kept_order()
    for record, structure, about in RECORDS:
        extra = [(kind, name, help_text) for kind, name, help_text in FIRST.get(record, [])]
        rows = {name: (kind, f"{unit}: {help_text}" if unit else help_text) for kind, name, unit, help_text in figures[record]}
        rows.update({name: (kind, help_text) for kind, name, help_text in extra})
        order = list(kept.get(structure, [name for _, name, _ in extra]))
        if gone := [name for name in order if name not in rows]:
            sys.exit(f"figures.py: {structure} has members that the table lacks: {', '.join(gone)}")
        if structure not in kept or record != "CONTENTION":   # that one is a member of others, so it must not grow
            order += [name for name in rows if name not in order]
        out.append(f"/* {about} */")
        out.append(f"typedef struct {structure} {{")
        for name in order:
            kind, help_text = rows[name]
            out.append(f"    {kind} {name}; /* {help_text} */")
        out += [f"}} {structure};", ""]
    return "\n".join(out + ["#endif", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true")
    what.add_argument("--check", action="store_true")
    if parser.parse_args().write:
        HEADER.write_text(text())
    elif not HEADER.exists() or HEADER.read_text() != text():
        sys.exit("include/tslab/c/figures.h does not fit modules/stats/figures.def; run c/figures.py --write")


if __name__ == "__main__":
    main()
