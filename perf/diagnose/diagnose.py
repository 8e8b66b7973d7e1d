#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""How long it takes to find out what is wrong with a running process: by the tslab tool, by tslab's heap profile, by Prometheus over `tslab serve`, and
by jemalloc's own profiler and statistics. Each scenario is a fault that the subject commits after a while; the clock runs
from the fault to the answer that names its cause. What was answered is printed, so that a reader can judge it.

The questions are known in advance; for a person, add the time to think and type. A profiler that must be switched on at the
start needs a restart, after which the fault has to happen again: that wait is not in the figures.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

SCENARIOS = ("leak", "latency", "attribution", "reclaim")
AGE = 3   # seconds, instead of the 300 of the shipped rule
JEMALLOC = "libjemalloc.so.2"
PROFILER = "prof:true,lg_prof_sample:17"


class Subject:
    """The process, its fault, and how many requests it serves each 100 ms."""

    def __init__(self, program, scenario, allocator="tslab", after=1.5, environment=None):
        self.process = subprocess.Popen(
            [program, "--scenario", scenario, "--allocator", allocator, "--after", str(after), "--lasts", "600"],
            stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
        self.pid = self.process.pid
        self.served = []
        os.set_blocking(self.process.stdout.fileno(), False)
        self.rest = ""
        self.said = {}

    def listen(self):
        """Takes what it said since; returns the time of the fault, if it happened."""
        with contextlib.suppress(BlockingIOError, TypeError):
            self.rest += self.process.stdout.read() or ""
        *lines, self.rest = self.rest.split("\n")
        for line in lines:
            word, *numbers = line.split()
            if word == "served":
                self.served.append((float(numbers[1]), int(numbers[0])))
            else:
                self.said[word] = float(numbers[0])
        if self.process.poll() is not None:
            raise RuntimeError("the subject has ended")
        return self.said.get("fault")

    def wait_for(self, word, patience=30):
        end = time.time() + patience
        while time.time() < end:
            self.listen()
            if word in self.said:
                return self.said[word]
            time.sleep(0.002)
        raise RuntimeError(f"the subject did not say {word!r}")

    def rate(self, begin, end):
        """Requests a second between two times: the median of its tenths of a second."""
        self.listen()
        return statistics.median([n for at, n in self.served if begin <= at <= end] or [0]) * 10

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def run(command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


# --- the tslab tool ---

def leak_by_tool(tslab, pid):
    lines = run([tslab, "leaks", str(pid), "--older-than", "0s"]).splitlines()
    at = next((i for i, line in enumerate(lines) if "POST /upload" in line), len(lines))
    return lines[at:at + 4] if any("subject.cpp" in line for line in lines[at:at + 4]) else []


def latency_by_tool(tslab, pid):
    findings = [json.loads(line) for line in run([tslab, "doctor", str(pid), "--json"]).splitlines() if line]
    return [f"{f['subject']}: {f['title']}. {f['evidence']} {f['action']}" for f in findings
            if f["code"] == "cache_too_small"][:1]


def attribution_by_tool(tslab, pid):
    text = run([tslab, "top", str(pid), "--labels", "--by", "held_bytes", "--once"])
    found = [line.strip() for line in text.splitlines() if re.search(r"catalogue|sessions|prices", line)]
    return found if len(found) == 3 else []


def reclaim_by_tool(tslab, pid):
    text = run([tslab, "stats", str(pid), "--json"])
    if not text:
        return []
    # The counters: ends of requests go on, and last_epoch_close is of one of them soon.
    heap = json.loads(text.splitlines()[0])
    if heap["total_madvise_asked_bytes"] < 90_000_000:
        return []
    return [f"handed back {heap['total_madvise_bytes']:,} of {heap['total_madvise_asked_bytes']:,} bytes,"
            f" {heap['total_madvise_gone_bytes']:,} gone from memory, {heap['total_madvise_failures']} calls failed"]


TOOL = {"leak": leak_by_tool, "latency": latency_by_tool, "attribution": attribution_by_tool,
        "reclaim": reclaim_by_tool}
ASKED = {"leak": "tslab leaks PID --older-than 0s", "latency": "tslab doctor PID", "attribution": "tslab top PID --labels",
         "reclaim": "tslab stats PID"}


def by_tool(arguments, scenario):
    with Subject(arguments.subject, scenario) as subject:
        fault = subject.wait_for("fault")
        asked = 0
        while not (answer := TOOL[scenario](arguments.tslab, subject.pid)):
            asked += 1
            if time.time() > fault + 30:
                return {"how": ASKED[scenario], "seconds": None, "answer": ["none within 30 s"]}
        seconds = time.time() - fault
        begin = time.time()
        run([arguments.tslab, "leaks", str(subject.pid)])
        one = time.time() - begin
        # What looking costs: the same load with the question asked ten times a second, and without.
        ratios = []
        for _ in range(1 if arguments.quick else 3):
            time.sleep(0.2)
            start = time.time()
            time.sleep(1)
            quiet = subject.rate(start, time.time())
            start = time.time()
            while time.time() < start + 1:
                TOOL[scenario](arguments.tslab, subject.pid)
                time.sleep(0.1)
            ratios.append(subject.rate(start, time.time()) / max(quiet, 1))
        return {"how": ASKED[scenario], "seconds": seconds, "steps": 1, "restart": False, "answer": answer,
                "one_question_ms": one * 1000, "rate_while_looking": statistics.median(ratios)}


# --- tslab's heap profile ---

STACKS = {"leak": {"upload_that_is_never_finished"}, "attribution": {"load_catalogue", "load_sessions", "load_prices"}}
BY_STACK = "tslab profile PID"


def stacks_in(text, wanted):
    """The rows of the functions that are wanted, if all of them are there."""
    lines = [line for line in text.splitlines() if any(name in line for name in wanted)]
    return [" ".join(line.split()) for line in lines] if all(any(n in line for line in lines) for n in wanted) else []


def by_stack(arguments, scenario):
    """Sampling is on from the start, in one sample for as many bytes as jemalloc's profiler takes. It answers who allocates what is held;
    the other faults are no question of stacks."""
    if scenario not in STACKS:
        return None
    sampled = {"TSLAB_PROFILE_INTERVAL": str(1 << 17)}
    with Subject(arguments.subject, scenario, environment=sampled) as subject:
        fault = subject.wait_for("fault")
        while not (answer := stacks_in(run([arguments.tslab, "profile", str(subject.pid)]), STACKS[scenario])):
            if time.time() > fault + 30:
                return {"how": BY_STACK, "seconds": None, "answer": ["none within 30 s"]}
        seconds = time.time() - fault
        begin = time.time()
        run([arguments.tslab, "profile", str(subject.pid)])
        one = time.time() - begin
    ratios = []   # what it costs to take samples, in turns with a process that does not
    for _ in range(1 if arguments.quick else 3):
        rates = []
        for environment in ({}, sampled):
            with Subject(arguments.subject, scenario, after=100, environment=environment) as other:
                start = time.time() + 0.3
                time.sleep(1.5)
                rates.append(other.rate(start, time.time()))
        ratios.append(rates[1] / max(rates[0], 1))
    return {"how": BY_STACK, "seconds": seconds, "steps": 1, "restart": False, "answer": answer, "one_question_ms": one * 1000,
            "rate_while_looking": statistics.median(ratios)}


# --- Prometheus ---

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


QUERIES = {
    "leak": f'ALERTS{{alertname="EpochLeak",alertstate="firing"}}',
    "latency": 'topk(1, rate(temporal_slab_cache_overflows_total[5s]) > 0)',
    "attribution": 'sum by (label) (temporal_slab_epoch_rss_bytes{label=~"catalogue|sessions|prices"}) > 1e6',
    "reclaim": 'temporal_slab_madvise_bytes_total > 9e7',
}
ALERT = f"""groups:
- name: shortened
  interval: 1s
  rules:
  - alert: EpochLeak
    expr: temporal_slab_epoch_refcount > 0 and temporal_slab_epoch_age_seconds > {AGE}
"""


def get(address):
    with urllib.request.urlopen(address, timeout=5) as answer:
        return answer.read()


def by_prometheus(arguments, scenario):
    with tempfile.TemporaryDirectory() as folder, Subject(arguments.subject, scenario, after=8) as subject:
        subject.wait_for("began")
        port, metrics = free_port(), free_port()
        serve = subprocess.Popen([arguments.tslab, "serve", str(subject.pid), "--port", str(metrics), "--interval", "1s"],
                                 stdout=subprocess.DEVNULL)
        pathlib.Path(folder, "rules.yml").write_text(ALERT)
        pathlib.Path(folder, "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\nscrape_configs:\n"
            f"- job_name: tslab\n  static_configs: [{{targets: ['127.0.0.1:{metrics}']}}]\n")
        prometheus = subprocess.Popen(
            [arguments.prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"], stderr=subprocess.DEVNULL)
        try:
            address = (f"http://127.0.0.1:{port}/api/v1/query?query=" + urllib.parse.quote(QUERIES[scenario]))
            fault = subject.wait_for("fault", 60)
            while time.time() < fault + 60:
                with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                    found = json.loads(get(address))["data"]["result"]
                    wanted = 3 if scenario == "attribution" else 1
                    if scenario == "leak":
                        found = [f for f in found if f["metric"].get("label") == "POST /upload"]
                    if len(found) >= wanted:
                        answer = [f"{f['metric'].get('label', f['metric'].get('heap', ''))}: {float(f['value'][1]):,.0f}"
                                  for f in found]
                        how = f"alert EpochLeak, shortened to {AGE} s" if scenario == "leak" else QUERIES[scenario]
                        return {"how": how, "seconds": time.time() - fault, "steps": 1, "restart": False,
                                "answer": answer}
                time.sleep(0.05)
            return {"how": QUERIES[scenario], "seconds": None, "answer": ["none within 60 s"]}
        finally:
            for process in (prometheus, serve):
                process.kill()
                process.wait()


# --- jemalloc ---

def by_jemalloc(arguments, scenario):
    """The profiler for what is held, the statistics for what was done. Both need the program to call them."""
    with tempfile.TemporaryDirectory() as folder:
        profile, stats = f"{folder}/profile", f"{folder}/stats"
        profiled = scenario in ("leak", "attribution")
        environment = {"LD_PRELOAD": arguments.jemalloc, "DIAGNOSE_PROFILE": profile, "DIAGNOSE_STATS": stats}
        if profiled:
            environment["MALLOC_CONF"] = PROFILER
        elif scenario == "latency":
            environment["MALLOC_CONF"] = "dirty_decay_ms:0,muzzy_decay_ms:0"   # nothing is kept: the same fault
        with Subject(arguments.subject, scenario, "malloc", environment=environment) as subject:
            fault = subject.wait_for("fault")
            if profiled:
                os.kill(subject.pid, signal.SIGUSR1)
                subject.wait_for("dumped")
                if arguments.jeprof:
                    text = run([arguments.jeprof, "--text", "--cum", arguments.subject, profile])
                    names = "upload_that|load_catalogue|load_sessions|load_prices"
                    answer = [" ".join(line.split()) for line in text.splitlines() if re.search(names, line)]
                else:
                    answer = ["a profile of addresses; jeprof (libjemalloc-dev), which names them, is not installed"]
                how, steps = "restart with the profiler, signal the program, jeprof --text", 3
            else:
                time.sleep(1)
                os.kill(subject.pid, signal.SIGUSR2)
                subject.wait_for("printed")
                lines = pathlib.Path(stats).read_text().splitlines()
                answer = [" ".join(line.split()) for line in lines
                          if re.match(r"decaying:|\s+dirty:|\s+muzzy:|Allocated:", line)][:4]
                how, steps = "signal the program, read malloc_stats_print", 2
            seconds = time.time() - fault
        result = {"how": how, "seconds": seconds, "steps": steps, "restart": profiled, "answer": answer}
        if profiled:
            # What it costs to have the profiler on, in turns with a process that has not.
            ratios = []
            for _ in range(3):
                rates = []
                for conf in ("", PROFILER):
                    with Subject(arguments.subject, scenario, "malloc", after=100,
                                 environment={**environment, "MALLOC_CONF": conf}) as other:
                        start = time.time() + 0.3
                        time.sleep(1.5)
                        rates.append(other.rate(start, time.time()))
                ratios.append(rates[1] / max(rates[0], 1))
            result["rate_while_looking"] = statistics.median(ratios)
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", required=True, help="diagnose_subject")
    parser.add_argument("--tslab", required=True, help="the tslab program")
    parser.add_argument("--prometheus", default="prometheus")
    parser.add_argument("--jemalloc", default=JEMALLOC, help="library to preload")
    parser.add_argument("--jeprof", default="", help="jemalloc's script that reads profiles")
    parser.add_argument("--tools", default="tslab,stacks,prometheus,jemalloc")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, and fail when an answer is missing")
    parser.add_argument("--json", type=pathlib.Path, help="write everything there")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    how = {"tslab": by_tool, "stacks": by_stack, "prometheus": by_prometheus, "jemalloc": by_jemalloc}
    rows, missing = [], 0
    for scenario in SCENARIOS:
        for tool in arguments.tools.split(","):
            all_rounds = [how[tool](arguments, scenario) for _ in range(rounds)]
            if None in all_rounds:   # no question for it
                continue
            times = [r["seconds"] for r in all_rounds]
            row = {"scenario": scenario, "tool": tool, **all_rounds[-1], "all_seconds": times}
            if None in times:
                missing += 1
                print(f"{scenario} by {tool}: {all_rounds[-1]['answer'][0]}")
            else:
                row["seconds"] = statistics.median(times)
                costs = [r["rate_while_looking"] for r in all_rounds if "rate_while_looking" in r]
                cost = f", {100 * statistics.median(costs):.0f} % of the requests while looking" if costs else ""
                restart = ", after a restart" if row["restart"] else ""
                print(f"{scenario} by {tool}: {row['seconds']:.3f} s ({min(times):.3f} to {max(times):.3f}),"
                      f" {row['steps']} step{'s' if row['steps'] > 1 else ''}{restart}{cost}\n    {row['how']}")
            for line in row["answer"]:
                print("    |", line[:200])
            rows.append(row)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
