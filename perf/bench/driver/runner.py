# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the bench program: one process for each measurement, contenders in turns."""
import json
import os
import subprocess
import sys
import time

from . import contenders

KINDS = ("throughput", "latency", "memory")
TIME_LIMIT = 300
QUICK_LIMIT = 105   # seconds, after which --quick measures no more
MEMORY_ROUNDS = 2   # it hardly varies, and takes long


class Failed(Exception):
    """One line about what went wrong."""


class Runner:
    def __init__(self, program, chosen):
        self.program = program
        self.chosen = chosen
        self.started = time.monotonic()
        self.notes = []
        self.out = set()   # contenders that turned out not to work

    def patterns(self):
        """What the program offers, reduced to what was asked for."""
        offered = json.loads(self.call(["--list"]))
        if self.chosen.patterns is None:
            return offered
        found = []
        for name in self.chosen.patterns:
            matching = [p for p in offered if p["name"] == name or (name.endswith("/*") and p["name"].startswith(name[:-1]))]
            if not matching:
                raise Failed(f"no such pattern: {name}; there are " + ", ".join(p["name"] for p in offered))
            found += matching
        return found

    def call(self, arguments, preload=""):
        environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        if preload:
            environment["LD_PRELOAD"] = preload
        try:
            done = subprocess.run([self.program, *arguments], env=environment, capture_output=True, text=True,
                                  timeout=TIME_LIMIT, check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f"took longer than {TIME_LIMIT} seconds: {' '.join(arguments)}") from None
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise Failed(f"{' '.join(arguments)}: {last}")
        return done.stdout

    def measure(self, contender, pattern, threads, kind):
        c = self.chosen
        seconds = c.seconds if kind == "throughput" else c.seconds / 2
        arguments = ["--pattern", pattern["name"], "--threads", str(threads), "--contender", contender.program,
                     "--kind", kind, "--seconds", str(seconds)]
        if c.tiny or (kind == "memory" and c.quick):
            arguments += ["--phases", "20" if c.tiny else "100"]
        if c.tiny:
            arguments.append("--tiny")
        run = json.loads(self.call(arguments, contender.preload))
        if contender.preload and os.path.realpath(run["malloc"]) != os.path.realpath(contender.preload):
            raise Failed(f"{contender.preload} brings no malloc, or could not be loaded")
        return run

    def cases(self, patterns):
        """(pattern, threads) in the order of the table."""
        return [(pattern, threads) for threads in self.chosen.threads for pattern in patterns
                if pattern["least_threads"] <= threads <= pattern["most_threads"] and not (pattern["pairs"] and threads % 2)]

    def run(self, patterns, everyone):
        """{(pattern, threads, contender): {kind: [run, ...]}} in the order of the table."""
        cases = self.cases(patterns)
        if not cases:
            raise Failed("none of these patterns runs with that many threads")
        results = {(pattern["name"], threads, c.name): {} for pattern, threads in cases for c in everyone
                   if contenders.why_not(c, pattern) is None}
        for number, kind in self.passes():
            measured = [(pattern, threads) for pattern, threads in cases if kind != "memory" or pattern["memory"]]
            for at, (pattern, threads) in enumerate(measured):
                if self.out_of_time():
                    self.notes.append(f"time was up in round {number + 1} of {kind}, at {pattern['name']} x{threads}")
                    self.tell("")
                    return self.known(results)
                self.tell(f"{kind}, round {number + 1} of {self.chosen.rounds}: {at + 1}/{len(measured)} "
                          f"{pattern['name']} x{threads}")
                self.one_case(results, pattern, threads, everyone, number, kind)
        self.tell("")
        return self.known(results)

    def passes(self):
        """(round, kind) in order. With --quick what is slow comes last, and once."""
        rounds = self.chosen.rounds
        most = {"throughput": rounds, "latency": 1 if self.chosen.quick else rounds,
                "memory": 1 if self.chosen.quick else min(rounds, MEMORY_ROUNDS)}
        made = [(number, kind) for number in range(rounds) for kind in KINDS
                if kind in self.chosen.kinds and number < most[kind]]
        return sorted(made, key=lambda one: KINDS.index(one[1])) if self.chosen.quick else made

    @staticmethod
    def known(results):
        return {key: kinds for key, kinds in results.items() if kinds}

    def one_case(self, results, pattern, threads, everyone, number, kind):
        for i in range(len(everyone)):
            c = everyone[(i + number) % len(everyone)]   # no contender always goes first
            key = (pattern["name"], threads, c.name)
            if key not in results or c.name in self.out:
                continue
            try:
                results[key].setdefault(kind, []).append(self.measure(c, pattern, threads, kind))
            except Failed as failure:
                if c.name == "tslab":
                    raise
                # A peer that fails is left out with a message, and tslab is not compared with it.
                self.out.add(c.name)
                self.notes.append(f"{c.name} is left out: {failure}")
                for other in [k for k in results if k[2] == c.name]:
                    results[other].clear()

    def out_of_time(self):
        return self.chosen.quick and time.monotonic() - self.started > QUICK_LIMIT

    @staticmethod
    def tell(text):
        """Progress, for who watches a terminal."""
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
