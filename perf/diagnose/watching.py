#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""What it costs a process to be watched: how many requests it serves with `tslab watch PID 0.1` running against it and without,
in turns over one process. Prints the median of each and of the ratio of neighbours, and how far they spread."""
import argparse
import statistics
import subprocess
import sys
import time

from diagnose import Subject


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", required=True, help="diagnose_subject")
    parser.add_argument("--tslab", required=True, help="the tslab program")
    parser.add_argument("--rounds", type=int, default=15, help="pairs of turns")
    parser.add_argument("--seconds", type=float, default=2, help="of each turn")
    parser.add_argument("--interval", default="0.1", help="of the watcher, in seconds")
    arguments = parser.parse_args()
    rates = {False: [], True: []}
    with Subject(arguments.subject, "leak", after=10_000) as subject:
        subject.wait_for("began")
        time.sleep(0.5)
        for turn in range(2 * arguments.rounds):
            watched = turn % 4 in (1, 2)   # without, with, with, without: a drift strikes both
            watcher = None
            if watched:
                watcher = subprocess.Popen([arguments.tslab, "watch", str(subject.pid), arguments.interval],
                                           stdout=subprocess.DEVNULL)
            time.sleep(0.1)
            begin = time.time()
            time.sleep(arguments.seconds)
            rates[watched].append(subject.rate(begin, time.time()))
            if watcher is not None:
                if watcher.poll() is not None:
                    print("the watcher has ended", file=sys.stderr)
                    return 1
                watcher.kill()
                watcher.wait()
    pairs = [w / q for w, q in zip(rates[True], rates[False])]
    for name, values in (("not watched", rates[False]), ("watched", rates[True])):
        print(f"{name}: median {statistics.median(values):,.0f} requests a second,"
              f" {min(values):,.0f} to {max(values):,.0f}")
    low, _, high = statistics.quantiles(pairs, n=4)
    print(f"ratio of neighbouring turns: median {statistics.median(pairs):.4f}, middle half {low:.4f} to {high:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
