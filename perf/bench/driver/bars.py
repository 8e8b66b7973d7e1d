# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The bars of --check: what tslab has to reach, and whether it does."""
import dataclasses

from . import figures

SPECIAL = {"fifo_100k": 0.60, "request": 0.80, "server": 0.80}   # with one thread
AGAINST_MONOTONIC = ("request_windout", "scope_8")
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


def speed(table):
    for case in table.cases:
        if case[1] not in (1, 2, 16):
            continue
        most = SPECIAL.get(case[0], 1.0) if case[1] == 1 else 1.0
        best, value = table.best_peer(case, "ns_per_op_median")
        ours = table.value(case, "tslab", "ns_per_op_median")
        if ours is None:
            continue
        detail = f"{ours:.1f} ns" + (f" against {value:.1f} ns of {best}" if best else "")
        yield Bar(f"time of {title(case)}", table.ratio(case), most, detail)


def monotonic(table):
    for case in table.cases:
        if case[0] in AGAINST_MONOTONIC and case[1] == 1:
            ours, theirs = (table.value(case, n, "ns_per_op_median") for n in ("tslab", "monotonic-heap"))
            detail = f"{ours:.1f} ns against {theirs:.1f} ns" if ours and theirs else ""
            yield Bar(f"time of {title(case)} against monotonic-heap", figures.ratio(ours, theirs), 1.0, detail)


def tails(table):
    for case in table.cases:
        ours = table.value(case, "tslab", "p999_ns")
        if case[1] not in (1, 16) or ours is None:
            continue
        best, value = table.best_peer(case, "p999_ns")
        detail = f"{ours:.0f} ns" + (f" against {value:.0f} ns of {best}" if best else "")
        yield Bar(f"p99.9 of {title(case)}", table.ratio(case, "p999_ns"), 1.0, detail)


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
    return [bar for part in (speed, monotonic, tails, memory, absolute) for bar in part(table)]


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
