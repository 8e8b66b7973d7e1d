# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The bars of --check: what tslab has to reach, and whether it does."""
import dataclasses

from . import figures

# The time of a pattern, at most so many times that of the best peer, by whether the peer checks what is freed.
CROSSING = ("scatter", "larson", "cross_thread_free", "producer_consumer")
PLAIN = ("pair", "lifo_1k", "fifo_1k", "random_1k", "locality", "hotspot", "kernel")
MOST_PLAIN, WORST_PLAIN, MOST_CROSSING, MOST_OF_OTHERS = 1.15, 1.25, 1.3, 1.0
MOST_CROSSING_CHECKED, MOST_CHECKED = 1.0, 0.7
SPECIAL = {"fifo_100k": 0.60}   # with one thread
AGAINST_MONOTONIC = {"request_windout": 1.0, "scope_8": 0.7}
EMPTY_SCOPE, MOST_PAIRS = ("scope_empty", 1), 8
WORST_TAIL, MOST_LONGER_TAILS = 2.0, 14 / 84
OWN_LATENCY = ("fifo_1m_touched", 1)
MOST_P50, MOST_P99 = 8, 24   # nanoseconds
MOST_CAS_RETRIES, MOST_LOCK_CONTENTION = 0.0037, 0.075
MOST_PEAK, MOST_DRAINED, MOST_DRIFT = 1.10, 0.50, 0.01
PAGE = 4096


@dataclasses.dataclass
class Bar:
    name: str
    figure: float | None
    most: float
    detail: str = ""
    strict: bool = False   # the figure must stay below

    @property
    def met(self):
        """None if it was not measured."""
        if self.figure is None:
            return None
        return self.figure < self.most if self.strict else self.figure <= self.most


def title(case):
    return f"{case[0]} x{case[1]}"


def is_plain(pattern):
    return pattern in PLAIN or pattern.startswith("sizes/")


def most_time(case):
    """Against peers that check nothing."""
    if case[1] == 1 and case[0] in SPECIAL:
        return SPECIAL[case[0]]
    return MOST_PLAIN if is_plain(case[0]) else MOST_CROSSING if case[0] in CROSSING else MOST_OF_OTHERS


def compared(table, among):
    """(case, ratio, detail) of each case with 1, 2 or 16 threads that tslab and one of these peers can run."""
    for case in table.cases:
        ours = table.value(case, "tslab", "ns_per_op_median")
        if case[1] not in (1, 2, 16) or case[0] == EMPTY_SCOPE[0] or ours is None:
            continue
        best, value = table.best_peer(case, "ns_per_op_median", among=among)
        detail = f"{ours:.1f} ns" + (f" against {value:.1f} ns of {best}" if best else "")
        yield case, table.ratio(case, among=among), detail


def speed(table):
    plain = []
    for case, ratio, detail in compared(table, table.general):
        if case[0] == "scope_8":   # what it is against is a buffer of its own, not a malloc without scopes
            continue
        yield Bar(f"time of {title(case)}", ratio, most_time(case), detail)
        if is_plain(case[0]) and ratio is not None:
            plain.append((ratio, title(case)))
    if plain:
        yield Bar("time of the slowest plain row", max(plain)[0], WORST_PLAIN, max(plain)[1])


def protected(table):
    if not table.checking:
        return
    for case, ratio, detail in compared(table, table.checking):
        most = MOST_CROSSING_CHECKED if case[0] in CROSSING else MOST_CHECKED
        yield Bar(f"time of {title(case)} against those that check frees", ratio, most, detail)


def scopes(table):
    for pattern, most in AGAINST_MONOTONIC.items():
        case = (pattern, 1)
        if case not in table.cases:
            continue
        ours, theirs = (table.value(case, n, "ns_per_op_median") for n in ("tslab", "monotonic-heap"))
        detail = f"{ours:.1f} ns against {theirs:.1f} ns" if ours and theirs else ""
        yield Bar(f"time of {title(case)} against monotonic-heap", figures.ratio(ours, theirs), most, detail)
    empty, pair = (table.value(case, "tslab", "ns_per_op_median") for case in (EMPTY_SCOPE, ("pair", 1)))
    if empty is not None and pair is not None:
        yield Bar("time of an empty scope in pairs", figures.ratio(empty, pair), MOST_PAIRS, f"{empty:.1f} ns and {pair:.1f} ns")


def tails(table):
    rows = longer = 0
    for case in table.cases:
        ours = table.value(case, "tslab", "p999_ns")
        if case[1] not in (1, 16) or ours is None:
            continue
        best, value = table.best_peer(case, "p999_ns")
        ratio = table.ratio(case, "p999_ns")
        detail = f"{ours:.0f} ns" + (f" against {value:.0f} ns of {best}" if best else "")
        yield Bar(f"p99.9 of {title(case)}", ratio, WORST_TAIL, detail)
        rows += ratio is not None
        longer += ratio is not None and ratio > 1
    if rows:
        yield Bar("rows whose p99.9 is longer than the best peer's", longer / rows, MOST_LONGER_TAILS, f"{longer} of {rows}")


def above_base(row):
    """What stays after the drain, at least a page: there is no ratio to nothing."""
    if row.get("rss_drained_bytes") is None:
        return None
    return max(row["rss_drained_bytes"] - row["rss_base_bytes"], PAGE)


def memory(table):
    for case in table.cases:
        row = table.rows.get((*case, "tslab"))
        if row is None or row.get("rss_base_bytes") is None:
            continue
        if case[0] in ("server", "steady"):
            best, value = table.best_peer(case, "rss_peak_bytes")
            detail = f"{row['rss_peak_bytes'] / 2**20:.2f} MiB" + (f" against {value / 2**20:.2f} of {best}" if best else "")
            yield Bar(f"peak of {title(case)}", table.ratio(case, "rss_peak_bytes"), MOST_PEAK, detail)
        ours = above_base(row)
        best, value = table.best_peer(case, None, above_base)
        detail = f"{ours / 1024:.0f} KiB" + (f" against {value / 1024:.0f} of {best}" if best else "")
        yield Bar(f"left after the drain of {title(case)}", figures.ratio(ours, value), MOST_DRAINED, detail)
        yield Bar(f"drift of {title(case)}", row["drift"], MOST_DRIFT, f"over {row['phases']:.0f} phases", strict=True)
        if case[0] in ("containers", "json"):
            theirs = table.value(case, "mimalloc", "held_per_live")
            held = row["held_per_live"]
            detail = f"{held:.2f} against {theirs:.2f}" if held and theirs else ""
            yield Bar(f"held per live byte of {title(case)} against mimalloc", figures.ratio(held, theirs), 1.0, detail)


def absolute(table):
    row = table.rows.get((*OWN_LATENCY, "tslab"))
    if row is not None:
        yield Bar(f"p50 of {title(OWN_LATENCY)}, ns", row["p50_ns"], MOST_P50)
        yield Bar(f"p99 of {title(OWN_LATENCY)}, ns", row["p99_ns"], MOST_P99)
    for case in table.cases:
        row = table.rows.get((*case, "tslab"))
        if case[1] != 16 or row is None:
            continue
        yield Bar(f"CAS retries per operation of {title(case)}", row.get("cas_retries_per_op"), MOST_CAS_RETRIES)
        detail = f"{row['locks_per_op']:.4f} locks per operation" if row.get("locks_per_op") is not None else ""
        yield Bar(f"lock contention of {title(case)}", row.get("lock_contention"), MOST_LOCK_CONTENTION, detail)


def judge(table):
    return [bar for part in (speed, protected, scopes, tails, memory, absolute) for bar in part(table)]


def as_line(bar):
    word = {True: "met     ", False: "NOT MET ", None: "no data "}[bar.met]
    figure = "-" if bar.figure is None else f"{bar.figure:.4g}"
    line = f"{word} {bar.name}: {figure}, bar {'<' if bar.strict else '<='} {bar.most:g}"
    return line + (f" ({bar.detail})" if bar.detail else "")


def tell(judged):
    """Prints every bar; returns the exit code."""
    print("\nBars")
    for bar in judged:
        print(as_line(bar))
    missed = sum(bar.met is False for bar in judged)
    unknown = sum(bar.met is None for bar in judged)
    print(f"{len(judged) - missed - unknown} bars met, {missed} not met, {unknown} without data")
    return 1 if missed or not judged else 0
