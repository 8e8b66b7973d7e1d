# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Rows that come from the patterns of perf/bench: speed, purging, locks, peak, waste, huge pages."""
from driver import figures, runner

from .rows import Row

UNDER_THREADS = ("server", "burst", "containers", "json", "request")
AGAINST_ONE_THREAD = ("kernel", "fifo_100k")
PEAKS = (*UNDER_THREADS, "kernel", "fifo_100k")
TIME, CPU = "ns_per_op_median", "cpu_ns_per_op_median"
LONG_TURNS = ("fifo_100k",)
WASTE = ("server", "containers", "json")
CLOSING = ("server", "burst")
LOCKING = ("fifo_100k", "kernel", "burst", "server")
# What makes heaps of about 1 GiB of them: objects of that size, or objects that live beside.
HUGE = {"fifo_1m_touched": ("--size", "1024"), "scatter": ("--size", "2560"), "server": ("--held", "1024")}

VARIANTS = ("tslab", "tslab-huge")

MOST_DEBIAN, MOST_GIVEN, MOST_OWN = 1.0, 1.1, 1.25
MOST_MADVISE, MOST_LOCKS, MOST_PEAK, MOST_WASTE = 0.01, 0.002, 1.1, 1.5


def counted(threads):
    return f"{threads} thread" + ("s" if threads > 1 else "")


class Patterns:
    """Runs patterns on contenders in turns. A pattern that tslab fails at is reported; a peer that fails is left out."""

    def __init__(self, run, everyone, given, tell):
        self.run = run
        self.everyone = everyone
        self.given = [c.name for c in everyone if c.name in given]
        self.debian = [c.name for c in everyone if c.general and c.name not in given]
        self.tell = tell
        self.known = {pattern["name"]: pattern for pattern in run.patterns()}
        self.failures = {}

    def measure(self, cases, kind, rounds, turns=0):
        """A figures.Table of (pattern, threads) cases; memory runs are so many turns."""
        results = {}
        for number in range(rounds):
            for name, threads in cases:
                self.tell(f"{kind}, round {number + 1} of {rounds}: {name} x{threads}")
                for i in range(len(self.everyone)):
                    c = self.everyone[(i + number) % len(self.everyone)]   # no contender always goes first
                    key = (name, threads, c.name)
                    if c.name in self.run.out or key in self.failures:
                        continue
                    try:
                        more = ("--phases", str(turns // (10 if name in LONG_TURNS else 1))) if kind == "memory" else ()
                        found = self.run.measure_more(c, self.known[name], threads, kind, c.program, more)
                        results.setdefault(key, {}).setdefault(kind, []).append(found)
                    except runner.Failed as failure:
                        if c.name == "tslab":
                            self.failures[key] = str(failure)
                        else:
                            self.run.out.add(c.name)
                            self.run.notes.append(f"{c.name} is left out: {failure}")
        for key in [k for k in results if k[2] in self.run.out]:
            del results[key]
        return figures.Table(figures.make_rows(results), self.debian + self.given)

    def failure(self, case):
        return self.failures.get((*case, "tslab"))

    def one(self, name, threads, kind, *more, contender="tslab"):
        """One run of tslab alone, as it is printed. Raises runner.Failed."""
        self.tell(f"{kind}: {name} x{threads}")
        c = next(c for c in self.everyone if c.name == "tslab")
        return self.run.measure_more(c, self.known[name], threads, kind, contender, more)


def against(table, case, names, field):
    """(ratio, name of the best of these, its value); Nones if there is none."""
    best = figures.Table(table.rows.values(), names)
    name, value = best.best_peer(case, field)
    return figures.ratio(table.value(case, "tslab", field), value), name, value


def compare(area, what, table, case, names, field, bar, show, whose):
    """A row against the best of `names`, or one that says that there is none."""
    found, best, value = against(table, case, names, field)
    if found is None:
        return Row(area, what, bar=bar, note=f"no {whose} to compare with")
    note = f"{show(table.value(case, 'tslab', field))} against {show(value)} of {best}"
    # On a machine with neighbours this one repeats better; it leaves out what threads wait for.
    alone, best, _ = against(table, case, names, CPU)
    if field == TIME and alone is not None:
        note += f"; without waiting {alone:.2f} of {best}"
    return Row(area, what, found, bar, note=note)


def nanoseconds(value):
    return f"{value:,.0f} ns" if value >= 1000 else f"{value:.1f} ns"


def mebibytes(value):
    return f"{value / 2**20:.2f} MiB"


def speed(patterns, size):
    cases = [(name, threads) for threads in size.threads for name in UNDER_THREADS]
    own = [(name, threads) for name in AGAINST_ONE_THREAD for threads in size.threads]
    table = patterns.measure([*cases, *own], "throughput", size.rounds)
    field = TIME
    for case in cases:
        what = f"time of {case[0]}, {counted(case[1])}, against "
        if patterns.failure(case):
            yield Row("speed", what + "other allocators", bar=MOST_DEBIAN, note=patterns.failure(case), failed=True)
            continue
        yield compare("speed", what + "the best of the packaged allocators", table, case, patterns.debian, field, MOST_DEBIAN,
                      nanoseconds, "packaged allocator")
        if patterns.given:
            yield compare("speed", what + "the best given by --peer", table, case, patterns.given, field, MOST_GIVEN, nanoseconds,
                          "--peer")
    for case in own:
        if case[1] == 1:
            continue
        what = f"time of {case[0]}, {counted(case[1])}, against 1 thread"
        if patterns.failure(case) or patterns.failure((case[0], 1)):
            yield Row("speed", what, bar=MOST_OWN, note=patterns.failure(case) or patterns.failure((case[0], 1)), failed=True)
            continue
        ours, alone = table.value(case, "tslab", field), table.value((case[0], 1), "tslab", field)
        best, value = table.best_peer(case, field)
        note = f"{nanoseconds(ours)} against {nanoseconds(alone)}" + (f"; {best} {nanoseconds(value)}" if best else "")
        waiting = figures.ratio(table.value(case, "tslab", CPU), table.value((case[0], 1), "tslab", CPU))
        if waiting is not None:
            note += f"; without waiting {waiting:.2f}"
        yield Row("speed", what, figures.ratio(ours, alone), MOST_OWN, note=note)


def per(run, count, of):
    """count / of, or None if the program does not print them."""
    if count not in run or of not in run:
        return None
    return run[count] / max(run[of], 1)


def purging(patterns, size):
    for threads in size.threads:
        for name in CLOSING:
            what = f"madvise calls a close, {name}, {counted(threads)}"
            try:
                run = patterns.one(name, threads, "throughput", "--seconds", str(size.steady_seconds))
            except runner.Failed as failure:
                yield Row("purging", what, bar=MOST_MADVISE, note=str(failure), failed=True)
                continue
            yield Row("purging", what, per(run, "madvise_calls", "epoch_closes"), MOST_MADVISE,
                      note=f"{run.get('madvise_calls', 0):,.0f} calls, {run.get('epoch_closes', 0):,.0f} closes")


def locks(patterns, size):
    for name in LOCKING:
        what = f"lock operations an object, {name}, 2 threads"
        try:
            run = patterns.one(name, 2, "throughput", "--seconds", str(size.steady_seconds))
        except runner.Failed as failure:
            yield Row("locks", what, bar=MOST_LOCKS, note=str(failure), failed=True)
            continue
        run["locks"] = run.get("locks_free", 0) + run.get("locks_contended", 0)
        yield Row("locks", what, per(run, "locks", "allocations"), MOST_LOCKS,
                  note=f"{run['locks']:,.0f} locks, {run.get('allocations', 0):,.0f} objects")


def peak_and_waste(patterns, size, areas):
    cases = [(name, threads) for threads in size.threads for name in PEAKS] if "peak" in areas else []
    cases += [(name, 1) for name in WASTE if "waste" in areas and (name, 1) not in cases]
    table = patterns.measure(cases, "memory", 1, size.turns)
    if "peak" in areas:
        for case in [c for c in cases if c[0] in PEAKS]:
            what = f"peak of {case[0]}, {counted(case[1])}, against the best other"
            if patterns.failure(case):
                yield Row("peak", what, bar=MOST_PEAK, note=patterns.failure(case), failed=True)
            else:
                yield compare("peak", what, table, case, table.general, "rss_peak_bytes", MOST_PEAK, mebibytes, "allocator")
    if "waste" in areas:
        for case in [(name, 1) for name in WASTE]:
            what = f"held for each live byte, {case[0]}, 1 thread"
            if patterns.failure(case):
                yield Row("waste", what, bar=MOST_WASTE, note=patterns.failure(case), failed=True)
                continue
            found = table.value(case, "tslab", "held_per_live")
            best, value = table.best_peer(case, "held_per_live")
            yield Row("waste", what, found, MOST_WASTE,
                      note=(f"best other: {value:.2f} of {best}" if best else "") if found else "too little was live to compare")


def granted():
    """Whether the kernel gives huge pages to who asks; what it says."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as file:
            text = file.read()
    except OSError as error:
        return False, error.strerror
    chosen = text[text.find("[") + 1:text.find("]")]
    return chosen in ("madvise", "always"), f"transparent huge pages: {chosen}"


def own_time(run):
    """Processor time of an operation: with one thread nothing is waited for but neighbours."""
    return run["cpu_ns"] / max(run["operations"], 1)


def huge_pages(patterns, size):
    allowed, said = granted()
    for name, more in HUGE.items():
        what = f"{name} in a heap of about 1 GiB with huge pages, against without: "
        if not allowed:
            yield Row("huge-pages", what + "time", note=said)
            continue
        if size.tiny:
            more = ()
        try:
            times = {c: figures.median(own_time(patterns.one(name, 1, "throughput", *more, contender=c))
                                       for _ in range(size.rounds)) for c in VARIANTS}
            used = {c: patterns.one(name, 1, "memory", "--phases", "4" if not size.tiny else "1", *more, contender=c)
                    for c in VARIANTS}
        except runner.Failed as failure:
            yield Row("huge-pages", what + "time", note=str(failure), failed=True)
            continue
        yield Row("huge-pages", what + "time", figures.ratio(times["tslab-huge"], times["tslab"]),
                  note=f"{nanoseconds(times['tslab-huge'])} against {nanoseconds(times['tslab'])}; {said}")
        without, with_ = (used[c] for c in VARIANTS)
        yield Row("huge-pages", what + "peak", figures.ratio(with_["peak"], without["peak"]),
                  note=f"{mebibytes(with_['peak'])} against {mebibytes(without['peak'])}; in huge pages "
                       f"{mebibytes(with_['huge'])} against {mebibytes(without['huge'])}")
