# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of script/bench."""
import argparse
import os

from . import contenders
from .runner import KINDS

QUICK_PATTERNS = ("pair,fifo_1k,fifo_100k,sizes/64,sizes/4K,request,request_windout,scope_8,containers,json,server,"
                  "burst,steady,producer_consumer,larson").split(",")
CONTENTION_PATTERNS = "hotspot,steady,straggler,cross_thread_free,producer_consumer,burst,kernel,fifo_100k,larson".split(",")
CONTENTION_THREADS = [1, 2, 4, 8, 16]
BUILD = "build/release"


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"bench: {message} (script/bench --help)\n")


def names(text):
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError("at least one name is needed")
    return found


def thread_counts(text):
    try:
        counts = [int(count) for count in names(text)]
    except ValueError:
        raise argparse.ArgumentTypeError(f"numbers, as in 1,2,16, not {text}") from None
    if any(not 1 <= count <= 256 for count in counts):
        raise argparse.ArgumentTypeError("from 1 to 256 threads")
    return counts


def between(least, most, make):
    def parse(text):
        try:
            value = make(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most}, not {text}") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most}, not {text}")
        return value
    return parse


def peer(text):
    try:
        return contenders.parse_peer(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse(arguments):
    p = Parser(prog="script/bench", description=(
        "Compares tslab with other allocators through std::pmr::memory_resource: contenders in turns, each measurement in a "
        "process of its own, several rounds. docs/performance.md says what the patterns and figures are."))
    p.add_argument("--quick", action="store_true", help="a selection of patterns, shorter; ends within two minutes")
    p.add_argument("--contention", action="store_true", help=(
        "how times, lock operations and claim retries change with the number of threads: throughput of "
        + ", ".join(CONTENTION_PATTERNS) + " on 1, 2, 4, 8 and 16 threads, with a table and plots of their own"))
    p.add_argument("--patterns", type=names, metavar="A,B", help="only these; sizes/* stands for all of that kind")
    p.add_argument("--threads", type=thread_counts, metavar="1,2,16",
                   help="[1,2,16; 1,16 with --quick; 1,2,4,8,16 with --contention]")
    p.add_argument("--contenders", type=names, metavar="A,B", help="only these")
    p.add_argument("--kinds", type=names, metavar="A,B",
                   help="of " + ", ".join(KINDS) + " [all; throughput with --contention]")
    p.add_argument("--rounds", type=between(1, 1000, int), metavar="N", help="[5; 3 with --quick]")
    p.add_argument("--seconds", type=between(0.001, 3600, float), metavar="S", help="a throughput run [0.1; 0.03 with --quick]")
    p.add_argument("--peer", type=peer, action="append", default=[], metavar="NAME=PATH",
                   help="another malloc, a shared library; may be given several times")
    p.add_argument("--protected", action="store_true",
                   help="also against allocators that check what is freed: scudo, and those of --protected-peer")
    p.add_argument("--protected-peer", type=peer, action="append", default=[], metavar="NAME=PATH",
                   help="such a malloc, a shared library; may be given several times; says --protected too")
    p.add_argument("--json", metavar="FILE", help="write all figures")
    p.add_argument("--markdown", metavar="FILE", help="write the table")
    p.add_argument("--plots", metavar="DIR", help="draw plots, PNG")
    p.add_argument("--check", action="store_true", help="compare with the bars; exit 1 if one is not met")
    p.add_argument("--build", default=BUILD, metavar="DIR", help="[build/release]")
    p.add_argument("--tiny", action="store_true", help="as little as possible: only to see that it works")
    chosen = p.parse_args(arguments)
    if chosen.quick and chosen.contention:
        p.error("--quick and --contention are two selections: give one of them")
    chosen.kinds = chosen.kinds or (["throughput"] if chosen.contention else list(KINDS))
    unknown = [kind for kind in chosen.kinds if kind not in KINDS]
    if unknown:
        p.error(f"no such kind: {', '.join(unknown)}")
    if chosen.contention and "throughput" not in chosen.kinds:
        p.error("--contention is about throughput: --kinds must have it")
    chosen.protected = chosen.protected or bool(chosen.protected_peer)
    chosen.threads = chosen.threads or (list(CONTENTION_THREADS) if chosen.contention else [1, 16] if chosen.quick else [1, 2, 16])
    chosen.rounds = chosen.rounds or (1 if chosen.tiny else 3 if chosen.quick else 5)
    chosen.seconds = chosen.seconds or (0.001 if chosen.tiny else 0.03 if chosen.quick else 0.1)
    if chosen.patterns is None and chosen.quick:
        chosen.patterns = list(QUICK_PATTERNS)
    if chosen.patterns is None and chosen.contention:
        chosen.patterns = list(CONTENTION_PATTERNS)
    for path in (chosen.json, chosen.markdown):
        check_writable(p, path)
    check_folder(p, chosen.plots)
    return chosen


def check_writable(parser, path):
    """Before half an hour of measuring, not after it."""
    if path is None:
        return
    try:
        with open(path, "a", encoding="utf-8"):
            pass
    except OSError as error:
        parser.error(f"cannot write {path}: {error.strerror}")


def check_folder(parser, path):
    if path is None:
        return
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        parser.error(f"cannot make the folder {path}: {error.strerror}")
    if not os.access(path, os.W_OK):
        parser.error(f"cannot write into {path}")
