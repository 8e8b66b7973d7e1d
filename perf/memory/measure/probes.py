# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Rows that come from perf/memory's own program, memory_probe."""
import concurrent.futures
import json
import os
import subprocess
import tempfile
import time

from .rows import Row

MIB, KIB = 2**20, 2**10
UNAVAILABLE = 3   # exit code: it cannot be measured here
SURVIVOR_SIZES = (2, 4, 16, 64)   # KiB
AT_A_TIME = 4   # programs that mostly sleep


class Failed(Exception):
    """One line about what went wrong."""


class Unavailable(Exception):
    """One line about why it cannot be measured here."""


class Probe:
    def __init__(self, program, tell, limit=300):
        self.program = program
        self.tell = tell
        self.limit = limit

    def run(self, measure, **options):
        """The figures that the program prints. Raises Failed, Unavailable."""
        arguments = [self.program, measure]
        for name, value in options.items():
            if value is True:
                arguments.append(f"--{name}")
            elif value is not False:
                arguments += [f"--{name}", str(value)]
        self.tell(" ".join(arguments[1:]))
        environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        try:
            done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=self.limit, check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f"took longer than {self.limit} seconds") from None
        except OSError as error:
            raise Failed(f"{self.program}: {error.strerror}") from None
        last = (done.stderr.strip().splitlines() or [""])[-1]
        if done.returncode == UNAVAILABLE:
            raise Unavailable(last)
        if done.returncode != 0:
            raise Failed(f"{measure}: " + (f"ended by signal {-done.returncode}" if done.returncode < 0 else
                                           last or f"exit code {done.returncode}"))
        try:
            return json.loads(done.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            raise Failed(f"{measure}: printed no figures") from None


def rows_of(area, what, run, make, **bar):
    """The rows that `make` makes of what `run` finds; one that says why if it does not."""
    try:
        return make(run())
    except Unavailable as why:
        return [Row(area, what, note=str(why), **bar)]
    except Failed as why:
        return [Row(area, what, note=str(why), failed=True, **bar)]


def long_phases(size):
    """(what, options) of each."""
    made = [(f"{size.mib} MiB of {text}, freed but for a tenth, {how}", {"objects": objects, "raw": raw})
            for objects, text in (("small", "1 KiB objects"), ("mixed", "16 bytes to 64 KiB"), ("large", "256 KiB to 4 MiB"))
            for raw, how in ((False, "resource"), (True, "heap.malloc"))
            if not raw or objects == "small"]
    made = [(f"{what}; {size.settle:g} s of light work", options) for what, options in made]
    made += [(f"{size.mib} MiB of {text}, freed but for a tenth; {size.settle:g} s idle, background_purge",
              {"objects": objects, "background": True})
             for objects, text in (("small", "1 KiB objects"), ("mixed", "16 bytes to 64 KiB"), ("large", "256 KiB to 4 MiB"))]
    return made


def long_phase(probe, size):
    def make(what):
        def rows(found):
            allowed = found["live"] + found["caches"]
            note = (f"{found['held'] / MIB:.1f} MiB held, {found['live'] / MIB:.1f} live, {found['caches'] / MIB:.1f} of caches "
                    f"stated; {found['peak'] / MIB:.0f} at the peak, {found['trimmed'] / MIB:.1f} after trim")
            return [Row("long-phase", what, found["held"] / allowed, 1.10, note=note),
                    Row("long-phase", what + ", then trim", found["trimmed"] / allowed, 1.10)]
        return rows

    def one(case):
        what, options = case
        return rows_of("long-phase", what,
                       lambda: probe.run("long-phase", mib=size.mib, seconds=size.settle, **options), make(what), bar=1.10)

    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        for rows in pool.map(one, long_phases(size)):
            yield from rows


def idle_threads(probe, size):
    what = f"{size.idle_threads} idle threads that used 2 MiB in every class, after close and trim: "
    yield from rows_of(
        "idle-threads", what + "resident above before", lambda: probe.run("idle-threads", threads=size.idle_threads, mib=2),
        lambda found: [Row("idle-threads", what + "resident above before", found["held"] / MIB, 1, "MiB",
                           note=f"{found['used'] / MIB:.1f} MiB before close and trim"),
                       Row("idle-threads", what + "resident without a live object", found["kept"] / MIB, 1, "MiB",
                           note=f"{found['cached_slabs']:.0f} slabs cached")], bar=1, unit="MiB")
    for bytes_, name in ((1024, "1 KiB"), (16384, "16 KiB"), (65536, "64 KiB")):
        what = f"served of 48 MiB in {name} by a heap of 64 MiB that an idle thread used"
        yield from rows_of(
            "idle-threads", what, lambda b=bytes_: probe.run("bounded", mib=64, size=b),
            lambda found, w=what: [Row("idle-threads", w, found["served"] / MIB, found["wanted"] / MIB, "MiB", least=True)],
            bar=48, unit="MiB", least=True)


def survivors(probe, size):
    for kib in SURVIVOR_SIZES:
        what = f"{size.phases} closed phases with a survivor of {kib} KiB each, held after "

        def make(found, what=what):
            live = found["live"] / MIB
            bar = 2 * live + 2
            note = f"{live:.2f} MiB live; bar: twice that and 2 MiB"
            return [Row("survivors", what + "close", found["closed"] / MIB, bar, "MiB", note=note),
                    Row("survivors", what + "trim", found["trimmed"] / MIB, bar, "MiB", note=note)]
        yield from rows_of("survivors", what + "close", lambda k=kib: probe.run("survivors", count=size.phases, size=k * KIB),
                           make, unit="MiB")


def reservation(probe, size):
    what = f"{size.heaps:,} heaps of one object each: "

    def heaps(found):
        return [Row("reservation", what + "heaps made", found["made"], found["wanted"], least=True),
                Row("reservation", what + "address space a heap", found["space_each"] / MIB, 1, "MiB"),
                Row("reservation", what + "resident a heap", found["resident_each"] / KIB, 64, "KiB")]
    yield from rows_of("reservation", what + "heaps made", lambda: probe.run("heaps", count=size.heaps), heaps,
                       bar=size.heaps, least=True)
    for mib in size.reserved:
        name = f"address space of a heap that holds {mib} MiB, above that"
        yield from rows_of("reservation", name, lambda m=mib: probe.run("reserved", mib=m),
                           lambda found, n=name: [Row("reservation", n, found["above"] / MIB, 64, "MiB")], bar=64, unit="MiB")
    name = "three heaps under an RLIMIT_AS of 8 GiB: "
    yield from rows_of("reservation", name + "heaps made", lambda: probe.run("limited", count=3, mib=8192),
                       lambda found: [Row("reservation", name + "heaps made", found["made"], found["wanted"], least=True),
                                      Row("reservation", name + "address space a heap", found["space_each"] / MIB, 64, "MiB")],
                       bar=3, least=True)
    for mib, late in [(mib, late) for mib in size.locked for late in (False, True)]:
        name = f"a heap that holds {mib} MiB, mlockall {'when it is filled' if late else 'before it is made'}: resident"

        def locked(found, name=name, mib=mib):
            return [Row("reservation", name, found["held"] / MIB, 2 * mib + 2, "MiB", note=f"{found['ms']:,.0f} ms")]
        yield from rows_of("reservation", name, lambda m=mib, late=late: probe.run("locked", mib=m, late=late), locked, bar=2 * mib + 2, unit="MiB")


def many_heaps(probe, size):
    what = f"{size.turn_heaps:,} heaps in turn against 4: "

    def turns(found):
        return [Row("many-heaps", what + "an allocation with its free", found["many_ns"] / found["few_ns"], 2.0,
                    note=f"{found['many_ns']:,.0f} ns against {found['few_ns']:,.0f} ns"),
                Row("many-heaps", what + "a scope with one object", found["many_scopes_ns"] / found["few_scopes_ns"], 2.0,
                    note=f"{found['many_scopes_ns']:,.0f} ns against {found['few_scopes_ns']:,.0f} ns")]
    yield from rows_of("many-heaps", what + "an allocation with its free", lambda: probe.run("turns", count=size.turn_heaps),
                       turns, bar=2.0)
    name = f"descriptors that {size.few_heaps} heaps open"
    yield from rows_of("many-heaps", name, lambda: probe.run("descriptors", count=size.few_heaps),
                       lambda found: [Row("many-heaps", name, found["more"], 1)], bar=1)


def small_heaps(probe, size):
    for scopes, more in ((False, ""), (True, " and one scope that has ended")):
        name = f"resident memory of a heap with one object{more}, average of {size.few_heaps}"
        yield from rows_of("small-heaps", name, lambda s=scopes: probe.run("heaps", count=size.few_heaps, scopes=s),
                           lambda found, n=name: [Row("small-heaps", n, found["resident_each"] / KIB, 128, "KiB",
                                                      note=f"{found['made']:.0f} heaps made")], bar=128, unit="KiB")


def group_folder(mounts="/proc/self/mounts"):
    """Where control groups of version 2 with a memory controller can be made. Raises Unavailable."""
    try:
        with open(mounts, encoding="utf-8") as file:
            found = [line.split()[1] for line in file if line.split()[2] == "cgroup2"]
    except OSError as error:
        raise Unavailable(f"{mounts}: {error.strerror}") from None
    if not found:
        raise Unavailable("no control groups of version 2 are mounted")
    try:
        with open(os.path.join(found[0], "cgroup.subtree_control"), encoding="ascii") as file:
            controlled = file.read().split()
    except OSError as error:
        raise Unavailable(f"{found[0]}: {error.strerror}") from None
    if "memory" not in controlled:
        raise Unavailable(f"{found[0]} gives its groups no memory controller")
    return found[0]


def run_in_group(probe, folder, high, **options):
    """The probe in a group of its own with memory.high; its figures, and how often the group was throttled."""
    try:
        group = tempfile.mkdtemp(prefix="tslab-memory-", dir=folder)
    except OSError as error:
        raise Unavailable(f"no group can be made in {folder}: {error.strerror}") from None
    try:
        with open(os.path.join(group, "memory.high"), "w", encoding="ascii") as file:
            file.write(str(high * MIB))
        # A shell that joins the group and becomes the program.
        words = " ".join([f"'{probe.program}'", "near-limit", *(f"--{k} {v}" for k, v in options.items())])
        done = subprocess.run(["/bin/sh", "-c", f"echo $$ > '{group}/cgroup.procs' && exec {words}"], capture_output=True,
                              text=True, timeout=probe.limit, check=False)
        if done.returncode != 0:
            raise Failed(f"near-limit: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
        figures = json.loads(done.stdout)
        with open(os.path.join(group, "memory.events"), encoding="ascii") as file:
            events = dict(line.split() for line in file)
        return figures | {"high": int(events.get("high", 0))}
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {probe.limit} seconds") from None
    except OSError as error:
        raise Unavailable(f"{error.filename}: {error.strerror}") from None
    finally:
        for _ in range(20):   # the last process of a group is gone a moment after its parent knows
            try:
                os.rmdir(group)
                break
            except OSError:
                time.sleep(0.05)


def memory_high(probe, size):
    mib = max(size.mib // 4, 1)
    what = f"{mib} MiB freed, then {mib} MiB of others', memory.high of {mib * 3 // 2} MiB: times throttled"
    yield from rows_of("memory-high", what, lambda: run_in_group(probe, group_folder(), mib * 3 // 2, mib=mib),
                       lambda found: [Row("memory-high", what, found["high"], note=f"{found['seconds']:.2f} s")])
