# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The figures as a table, for a terminal and as Markdown."""
from . import figures


def number(value):
    if value is None:
        return "-"
    if value >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}"


def percent(value):
    return "-" if value is None else f"±{value * 100:.0f}%"


def times(value):
    return "-" if value is None else f"{value:.2f}"


def mebibytes(value):
    return "-" if value is None else f"{value / 2**20:.2f}"


def throughput(table, names):
    """(header, lines): ns per operation of every contender, and tslab's ratio."""
    return against(table, names, table.general, "best peer")


def protected(table, names):
    """The same of tslab and those that check what is freed; no line without one of them."""
    header, lines = against(table, [n for n in names if n == "tslab" or n in table.checking], table.checking, "best of them")
    return header, [line for line in lines if line[-1] != "-"]


def against(table, names, among, title):
    header = ["pattern", "threads", *names, "spread", title, "ratio"]
    lines = []
    for case in table.cases:
        row = table.rows.get((*case, "tslab"))
        best, _ = table.best_peer(case, "ns_per_op_median", among=among)
        lines.append([case[0], str(case[1]), *(number(table.value(case, n, "ns_per_op_median")) for n in names),
                      percent(figures.spread(row)) if row else "-", best or "-", times(table.ratio(case, among=among))])
    return header, lines


def latency(table):
    header = ["pattern", "threads", "p50", "p99", "p99.9", "p99.99", "max", "best peer's p99.9", "ratio"]
    lines = []
    fields = ("p50_ns", "p99_ns", "p999_ns", "p9999_ns", "max_ns")
    for case in table.cases:
        if table.value(case, "tslab", "p999_ns") is None:
            continue
        best, value = table.best_peer(case, "p999_ns")
        lines.append([case[0], str(case[1]), *(number(table.value(case, "tslab", f)) for f in fields),
                      f"{number(value)} {best or ''}", times(table.ratio(case, "p999_ns"))])
    return header, lines


def memory(table, names):
    header = ["pattern", "threads", "contender", "base", "peak", "drained", "trimmed", "held per live byte", "drift"]
    lines = []
    for case in table.cases:
        for name in names:
            row = table.rows.get((*case, name))
            if row is None or row["rss_base_bytes"] is None:
                continue
            drift = "-" if row["drift"] is None else f"{row['drift'] * 100:+.1f}%"
            lines.append([case[0], str(case[1]), name, *(mebibytes(row[f"rss_{f}_bytes"])
                                                         for f in ("base", "peak", "drained", "trimmed")),
                          times(row["held_per_live"]), drift])
    return header, lines


def per_operation(value):
    """Counts for one operation, which may be far below one."""
    return "-" if value is None else "0" if value == 0 else f"{value:.1g}" if value < 0.0001 else f"{value:.4f}"


def contention(table):
    """tslab's locks, claims and retries beside its times, by pattern, and by threads within a pattern."""
    header = ["pattern", "threads", "tslab ns", "best peer", "its ns", "ratio", "locks", "contended", "claims", "retries",
              "reclaim retries", "lost races"]
    lines = []
    for case in by_pattern(table):
        row = table.rows.get((*case, "tslab"), {})
        best, value = table.best_peer(case, "ns_per_op_median")
        contended = row.get("lock_contention")
        lines.append([case[0], str(case[1]), number(row.get("ns_per_op_median")), best or "-", number(value),
                      times(table.ratio(case)), per_operation(row.get("locks_per_op")),
                      "-" if contended is None else f"{contended * 100:.1f}%",
                      *(per_operation(row.get(f"{what}_per_op"))
                        for what in ("cas_attempts", "cas_retries", "free_retries", "lost_races"))])
    return header, lines


def by_pattern(table):
    """The cases, those of a pattern together, fewest threads first."""
    patterns = list(dict.fromkeys(pattern for pattern, _ in table.cases))
    return sorted(table.cases, key=lambda case: (patterns.index(case[0]), case[1]))


def parts(table, names, contended=False):
    """(title, header, lines) of each table that has something to say; `contended` adds the one of contention."""
    unchecked = [n for n in names if n not in table.checking]
    made = [("Against allocators that check what is freed: nanoseconds of processor time for one operation, median of the rounds",
             *protected(table, names)),
            ("Nanoseconds of processor time for one operation, median of the rounds", *throughput(table, unchecked)),
            ("Latency of a single allocation or deallocation of tslab, nanoseconds", *latency(table)),
            ("Resident memory, MiB", *memory(table, names))]
    if contended:
        made.append(("Contention: tslab's own counts, each for one operation", *contention(table)))
    return [part for part in made if part[2]]


def as_text(header, lines):
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
    left = {0, header.index("contender") if "contender" in header else 0}

    def align(line):
        return "  ".join(cell.ljust(w) if i in left else cell.rjust(w)
                         for i, (cell, w) in enumerate(zip(line, widths))).rstrip()
    return "\n".join(align(line) for line in [header, *lines])


def as_markdown(header, lines):
    left = ["pattern", "contender"]
    rule = ["---" if name in left else "---:" for name in header]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])
