# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""script/memory: measure, then report."""
import dataclasses
import json
import os
import sys
import threading

from driver import contenders, machine, runner
from driver import options as bench_options

from . import options, patterns, probes, rows

SECTION = "## Measured\n"


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything."""
    threads: tuple = (1, 2, 16)
    rounds: int = 5
    seconds: float = 0.2          # of a throughput run
    steady_seconds: float = 3.0   # of a run that is only counted
    mib: int = 500
    settle: float = 10            # seconds that a program goes on after it has freed
    idle_threads: int = 32
    phases: int = 100
    heaps: int = 10_000
    turn_heaps: int = 1000
    few_heaps: int = 100
    reserved: tuple = (1, 100, 1024)
    locked: tuple = (1, 10, 100)
    turns: int = 1000             # phases of a memory run
    unit: float = 1.5             # seconds of the plots' parts
    tiny: bool = False


FULL = Size()
QUICK = dataclasses.replace(FULL, rounds=1, seconds=0.1, steady_seconds=1.0, mib=200, settle=4, heaps=2000, turns=100, unit=0.7)
TINY = Size(threads=(1, 2), rounds=1, seconds=0.001, steady_seconds=0.01, mib=8, settle=0.1, idle_threads=2, phases=4, heaps=8,
            turn_heaps=8, few_heaps=4, reserved=(1,), locked=(1,), turns=20, unit=0.02, tiny=True)


def fail(message):
    print(f"memory: {message}", file=sys.stderr)
    return 2


class BenchRunner(runner.Runner):
    def measure_more(self, contender, pattern, threads, kind, program, more):
        """As `measure`, with further arguments, the last of which count."""
        arguments = ["--pattern", pattern["name"], "--threads", str(threads), "--contender", program, "--kind", kind]
        if "--seconds" not in more:
            arguments += ["--seconds", str(self.chosen.seconds)]
        if self.chosen.tiny:
            arguments.append("--tiny")
        run = json.loads(self.call([*arguments, *more], contender.preload))
        if contender.preload and os.path.realpath(run["malloc"]) != os.path.realpath(contender.preload):
            raise runner.Failed(f"{contender.preload} brings no malloc, or could not be loaded")
        return run


class Progress:
    """For who watches a terminal; from several threads."""

    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, text):
        if sys.stderr.isatty():
            with self.lock:
                print(f"\r\033[K{text[:100]}", end="", file=sys.stderr, flush=True)


def make_patterns(chosen, size, everyone, tell):
    arguments = ["--rounds", str(size.rounds), "--seconds", str(size.seconds), "--build", chosen.build]
    arguments += ["--tiny"] if size.tiny else []   # its own --quick would leave out patterns
    run = BenchRunner(os.path.join(chosen.build, "perf/bench/tslab_bench"), bench_options.parse(arguments))
    return patterns.Patterns(run, everyone, {name for name, _ in chosen.peer}, tell)


def measure(chosen, size, of_patterns, probe, notes):
    """The rows of every area asked for, in order; of those until then if it is interrupted, and a note."""
    makers = {
        "speed": lambda: patterns.speed(of_patterns, size),
        "purging": lambda: patterns.purging(of_patterns, size),
        "locks": lambda: patterns.locks(of_patterns, size),
        "peak": lambda: patterns.peak_and_waste(of_patterns, size, chosen.areas),   # and waste: of the same runs
        "long-phase": lambda: probes.long_phase(probe, size),
        "idle-threads": lambda: probes.idle_threads(probe, size),
        "survivors": lambda: probes.survivors(probe, size),
        "reservation": lambda: probes.reservation(probe, size),
        "many-heaps": lambda: probes.many_heaps(probe, size),
        "small-heaps": lambda: probes.small_heaps(probe, size),
        "waste": lambda: [] if "peak" in chosen.areas else patterns.peak_and_waste(of_patterns, size, chosen.areas),
        "huge-pages": lambda: patterns.huge_pages(of_patterns, size),
        "memory-high": lambda: probes.memory_high(probe, size),
    }
    found = []
    for name in chosen.areas:
        try:
            for row in makers[name]():
                found.append(row)
        except KeyboardInterrupt:
            notes.append(f"interrupted in {name}: what was to follow is not measured")
            chosen.interrupted = True
            break
    return sorted(found, key=lambda row: list(options.AREAS).index(row.area))


def markdown(path, text):
    """Writes the text; where the file is a page with a section of that name, into it."""
    try:
        with open(path, encoding="utf-8") as file:
            page = file.read()
    except OSError:
        page = ""
    before, section, after = page.partition(SECTION)
    if section:
        _, following, rest = after.partition("\n## ")
        text = before + section + "\n" + text + ("\n## " + rest if following else "")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main(arguments, root):
    chosen = options.parse(arguments)
    chosen.build = os.path.join(root, chosen.build) if chosen.build == bench_options.BUILD else chosen.build
    for program in ("perf/bench/tslab_bench", "perf/memory/memory_probe", "perf/memory/memory_timeline"):
        path = os.path.join(chosen.build, program)
        if not os.access(path, os.X_OK):
            return fail(f"{path} is not built: script/test release builds it, or cmake --preset release && "
                        f"cmake --build {chosen.build} --target tslab_bench memory_probe memory_timeline")
    if chosen.plots:
        try:
            from . import timelines
        except ImportError as error:
            return fail(f"plots need matplotlib, which is not there ({error}): script/bootstrap installs it")
    size = TINY if chosen.tiny else QUICK if chosen.quick else FULL
    others = machine.Others()
    tell = Progress()
    try:
        everyone, notes = contenders.all_contenders(chosen.peer)
        general = [c for c in everyone if c.name == "tslab" or c.general]
        if chosen.tiny:
            general = [c for c in general if c.name in ("tslab", "glibc")]
        of_patterns = make_patterns(chosen, size, general, tell)
        probe = probes.Probe(os.path.join(chosen.build, "perf/memory/memory_probe"), tell)
        found = measure(chosen, size, of_patterns, probe, notes)
        lines = timelines.record(chosen.build, general, size, tell) if chosen.plots and not chosen.interrupted else []
    except (runner.Failed, ValueError) as failure:
        return fail(failure)
    finally:
        tell("")
    notes += of_patterns.run.notes
    if "speed" in chosen.areas and not of_patterns.given:
        notes.append("no --peer was given: today's snmalloc and mimalloc 3 are not compared with")
    notes += [f"no timeline of {t.contender} ({t.scenario}): {t.note}" for t in lines if not t.samples]
    chosen.rounds, chosen.seconds = size.rounds, size.seconds
    about = machine.describe(general, chosen, arguments, others.share(), command="script/memory")
    print(machine.as_text(about))
    print("\n" + rows.as_text(found) + "\n\n" + "\n".join([*notes, rows.summary(found)]))
    try:
        if chosen.json:
            with open(chosen.json, "w", encoding="utf-8") as file:
                made = [dataclasses.asdict(row) | {"met": row.met} for row in found]
                json.dump({"machine": about, "notes": notes, "rows": made, "timelines": [vars(t) for t in lines]}, file, indent=1)
                file.write("\n")
        if chosen.markdown:
            markdown(chosen.markdown, machine.as_text(about) + "\n\n" + rows.as_markdown(found) + "\n\n"
                     + "\n".join(f"- {note}" for note in [*notes, rows.summary(found)]) + "\n")
        if lines:
            timelines.draw(lines, chosen.plots)
    except OSError as error:
        return fail(f"cannot write {error.filename}: {error.strerror}")
    return 130 if chosen.interrupted else rows.exit_code(found) if chosen.check else 0
