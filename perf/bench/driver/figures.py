# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic: percentiles of histograms, medians over rounds, ratios."""
import statistics

PERCENTILES = {"p50_ns": 0.5, "p99_ns": 0.99, "p999_ns": 0.999, "p9999_ns": 0.9999}


def merge(*histograms):
    """One histogram of several, each [[value, count], ...] by value."""
    counts = {}
    for histogram in histograms:
        for value, count in histogram:
            counts[value] = counts.get(value, 0) + count
    return sorted([value, count] for value, count in counts.items())


def percentile(histogram, share):
    """The value below which `share` of all lies; None if there is nothing.

    A count stands for values as far as half-way to its neighbours, and is spread evenly there: clocks count in steps, and a
    step may be as long as what is measured.
    """
    total = sum(count for _, count in histogram)
    if total == 0:
        return None
    wanted = share * total
    before = 0
    for i, (value, count) in enumerate(histogram):
        if before + count >= wanted:
            low = (histogram[i - 1][0] + value) / 2 if i > 0 else value
            high = (value + histogram[i + 1][0]) / 2 if i + 1 < len(histogram) else value
            return low + (high - low) * (wanted - before) / count
        before += count
    return histogram[-1][0]


def median(values):
    """The median of those that are not None; None if there is none."""
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def spread(row):
    """Half of what the fastest and the slowest round are apart, as a share of the median."""
    if not row.get("ns_per_op_median"):
        return None
    return (row["ns_per_op_max"] - row["ns_per_op_min"]) / 2 / row["ns_per_op_median"]


def ratio(ours, theirs):
    """ours / theirs, None if one of them is not known or nothing."""
    if ours is None or not theirs:
        return None
    return ours / theirs


def throughput_figures(runs):
    values = [run["ns_per_op"] for run in runs]
    figures = {
        "ns_per_op_median": median(values),
        "ns_per_op_min": min(values, default=None),
        "ns_per_op_max": max(values, default=None),
        "rounds": len(values),
    }
    if all("cpu_ns" in run for run in runs):
        figures["cpu_ns_per_op_median"] = median(run["cpu_ns"] / max(run["operations"], 1) for run in runs)
    own = [run for run in runs if "cas_retries" in run]
    if own:
        for name, part in (("cas_attempts_per_op", "cas_attempts"), ("cas_retries_per_op", "cas_retries"),
                           ("free_retries_per_op", "free_retries"), ("lost_races_per_op", "lost_races")):
            if all(part in run for run in own):
                figures[name] = median(run[part] / max(run["operations"], 1) for run in own)
        locks = [(run["locks_contended"], run["locks_free"] + run["locks_contended"]) for run in own]
        figures["lock_contention"] = median(contended / max(all_, 1) for contended, all_ in locks)
        figures["locks_per_op"] = median(
            (run["locks_free"] + run["locks_contended"]) / max(run["operations"], 1) for run in own)
    return figures


def latency_figures(runs):
    figures = {}
    kinds = (("", ("allocate", "deallocate")), ("alloc_", ("allocate",)), ("free_", ("deallocate",)))
    for prefix, parts in kinds:
        histograms = [merge(*(run[part] for part in parts)) for run in runs]
        for name, share in PERCENTILES.items():
            figures[prefix + name] = median(percentile(h, share) for h in histograms)
    figures["max_ns"] = max((run["max_ns"] for run in runs), default=None)
    figures["clock_ns"] = median(run["clock_ns"] for run in runs)
    figures["clock_step_ns"] = median(run["clock_step_ns"] for run in runs)
    return figures


def memory_figures(runs):
    def middle(name):
        return median(run[name] for run in runs)

    return {
        "rss_base_bytes": middle("base"),
        "rss_peak_bytes": middle("peak"),
        "rss_drained_bytes": middle("drained"),
        "rss_trimmed_bytes": median(run["trimmed"] or None for run in runs),
        "held_per_live": median((run["at_live"] - run["base"]) / run["live"] if run["live"] else None for run in runs),
        "live_bytes": median(run["live"] or None for run in runs),
        "drift": median(run["late"] / run["early"] - 1 if run["early"] else None for run in runs),
        "phases": middle("phases"),
    }


MAKERS = {"throughput": throughput_figures, "latency": latency_figures, "memory": memory_figures}
FIELDS = ("ns_per_op_median", "ns_per_op_min", "ns_per_op_max", "p50_ns", "p99_ns", "p999_ns", "p9999_ns", "max_ns",
          "rss_peak_bytes", "rss_drained_bytes", "rss_trimmed_bytes", "rss_base_bytes", "held_per_live", "drift")


def make_rows(results):
    """One row for each (pattern, threads, contender) of {(pattern, threads, contender): {kind: [run, ...]}}."""
    rows = []
    for (pattern, threads, contender), kinds in results.items():
        row = {"pattern": pattern, "threads": threads, "contender": contender, **dict.fromkeys(FIELDS)}
        for kind, runs in kinds.items():
            if runs:
                row.update(MAKERS[kind](runs))
        rows.append(row)
    return rows


class Table:
    """Rows by pattern, threads and contender, and who the general-purpose peers are: those that check what is freed stand apart."""

    def __init__(self, rows, general, checking=()):
        self.rows = {(r["pattern"], r["threads"], r["contender"]): r for r in rows}
        self.general = list(general)
        self.checking = list(checking)
        self.cases = list(dict.fromkeys((r["pattern"], r["threads"]) for r in rows))

    def value(self, case, contender, field):
        return self.rows.get((*case, contender), {}).get(field)

    def best_peer(self, case, field, of=None, among=None):
        """(name, value) of the peer with the least value among those given, or else of those that check nothing; (None, None) if there
        is none. `of` makes the value of a row, where it is no field."""
        values = []
        for name in self.general if among is None else among:
            row = self.rows.get((*case, name))
            value = None if row is None else of(row) if of else row.get(field)
            if value is not None:
                values.append((value, name))
        return (min(values)[1], min(values)[0]) if values else (None, None)

    def ratio(self, case, field="ns_per_op_median", among=None):
        return ratio(self.value(case, "tslab", field), self.best_peer(case, field, among=among)[1])
