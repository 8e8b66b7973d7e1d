# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of script/memory."""
import argparse

from driver import options as bench

AREAS = {
    "speed": "processor time of patterns with threads, against other allocators and against one thread",
    "purging": "madvise calls for each close in steady state",
    "locks": "lock operations for each object with two threads",
    "peak": "peak of resident memory against other allocators",
    "long-phase": "what stays of a phase that frees nearly all and goes on",
    "idle-threads": "what idle threads keep from the system and from others",
    "survivors": "what closed phases hold for one survivor each",
    "reservation": "address space and locked memory",
    "many-heaps": "time and descriptors of many heaps",
    "small-heaps": "resident memory of a heap with one object",
    "waste": "bytes held for each live byte",
    "huge-pages": "time and resident memory with and without huge pages",
    "memory-high": "a heap in a control group near memory.high",
}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"memory: {message} (script/memory --help)\n")


def areas(text):
    chosen = bench.names(text)
    unknown = [name for name in chosen if name not in AREAS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such area: {', '.join(unknown)}; there are {', '.join(AREAS)}")
    return chosen


def parse(arguments):
    p = Parser(prog="script/memory", formatter_class=argparse.RawDescriptionHelpFormatter, description=(
        "Measures how memory comes and goes: what tslab holds, gives back and reserves, and what that costs under threads.\n"
        "Prints one table; each measurement is a process of its own. docs/memory.md explains the rows.\n\nareas:\n"
        + "\n".join(f"  {name:14}{about}" for name, about in AREAS.items())))
    p.add_argument("--quick", action="store_true", help="less of everything, about five minutes instead of half an hour")
    p.add_argument("--only", type=areas, action="append", metavar="AREA", help="only these areas; several with commas")
    p.add_argument("--check", action="store_true", help="exit 1 if a bar is not met")
    p.add_argument("--peer", type=bench.peer, action="append", default=[], metavar="NAME=PATH",
                   help="another malloc to compare with, a shared library; may be given several times")
    p.add_argument("--json", metavar="FILE", help="write all figures")
    p.add_argument("--markdown", metavar="FILE",
                   help="write the table; in a page that has a section \"## Measured\", only that section's text is replaced")
    p.add_argument("--plots", metavar="DIR", help="run three more programs and draw their resident memory over time, PNG")
    p.add_argument("--build", default=bench.BUILD, metavar="DIR", help="[build/release]")
    p.add_argument("--tiny", action="store_true", help="as little as possible: only to see that it works")
    chosen = p.parse_args(arguments)
    chosen.areas = [name for name in AREAS if chosen.only is None or any(name in some for some in chosen.only)]
    chosen.interrupted = False
    for path in (chosen.json, chosen.markdown):
        bench.check_writable(p, path)
    bench.check_folder(p, chosen.plots)
    return chosen
