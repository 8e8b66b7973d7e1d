#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a real Prometheus against a live process with a leak: every expression of the rules, the dashboard and the collected
queries must be valid, and what should have data must have it. Measures how long the leak takes to become an alert.

Where the metrics come from can be exchanged: by default the demo writes them and this program serves them; with --serve it
is `TSLAB serve PID`; with --target an address that is served already (then no demo is started and nothing measured).
"""
import argparse
import contextlib
import functools
import http.server
import json
import math
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

import definitions

LEAK_AFTER = 12   # seconds of data before it
QUICK_AGE = 3     # instead of the 300 s of the rule as it is shipped
# Panels without data although all is well: what they show takes longer than this test.
LATER = {"Held Longer Than a Minute"}
PATIENCE = 60   # seconds, for whatever must come: the machine may be busy otherwise
SCRAPE = 1
SLOW_SCRAPE = 5   # of a second Prometheus, out of phase with the closes of the demo
COOPERATION = ("sum by (heap) (increase(temporal_slab_madvise_gone_bytes_total[30s])) / "
               "(sum by (heap) (increase(temporal_slab_madvise_asked_bytes_total[30s])) > 0)")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves a directory; everything is text of the exposition format."""
    def guess_type(self, path):
        return "text/plain; version=0.0.4; charset=utf-8"

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass   # Prometheus has gone at the end


@contextlib.contextmanager
def running(command, **options):
    """A child that is ended with the test, whatever happens."""
    with subprocess.Popen(command, **options) as child:
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


@contextlib.contextmanager
def endpoint(arguments, demo, directory):
    """The address of the metrics, host:port/path."""
    if arguments.target:
        yield arguments.target.removeprefix("http://")
    elif arguments.serve:
        port = free_port()
        with running([arguments.serve, "serve", str(demo.pid), "--port", str(port), "--interval", "1s"]):
            yield f"127.0.0.1:{port}/metrics"
    else:
        server = Server(("127.0.0.1", 0), functools.partial(Files, directory=directory))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}/metrics"
        server.shutdown()


class Prometheus:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/api/v1/"

    def get(self, path, **parameters):
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        try:
            with urllib.request.urlopen(self.base + path + query, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def samples(self, expression):
        """(what is wrong, the finite values)."""
        answer = self.get("query", query=expression)
        if answer["status"] != "success":
            return answer["error"], []
        result = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return "", [float(result[1])]
        return "", [v for v in (float(one["value"][1]) for one in result) if not math.isnan(v)]

    def wait(self, what, ready, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):   # not ready yet
                if found := ready():
                    return found
            time.sleep(0.05)
        sys.exit(f"waited {seconds} s in vain: {what}")


def quick_rules(alerts):
    """The rule for leaks as it is shipped, with its times shortened."""
    rule = dict(next(rule for rule in alerts if rule["alert"] == "EpochLeak"), alert="QuickEpochLeak")
    rule["expr"], count = re.subn(r"\b300\b", str(QUICK_AGE), rule["expr"])
    assert count == 2, "the rule has changed; this test must follow"
    del rule["for"]
    return {"groups": [{"name": "quick", "rules": [rule]}]}


def dashboard_expression(text, instance):
    text = text.replace("$__rate_interval", "10s").replace("$left", instance).replace("$right", instance)
    return re.sub(r"\$\w+", ".*", text)


def check(prometheus, monitoring, instance, failures):
    """Every expression there is; returns how many."""
    n = 0
    end = time.monotonic() + PATIENCE

    def one(where, expression, data_wanted):
        nonlocal n
        n += 1
        error, values = prometheus.samples(expression)
        while data_wanted and not error and not values and time.monotonic() < end:
            time.sleep(0.5)
            error, values = prometheus.samples(expression)
        if error:
            failures.append(f"{where}: {error}")
        elif data_wanted and not values:
            failures.append(f"{where}: no data: {expression}")

    for rule in definitions.rules(monitoring / "rules/alerts.yml"):
        one(rule["alert"], rule["expr"], data_wanted=False)
    for rule in definitions.rules(monitoring / "rules/recording.yml"):
        one(rule["record"], rule["expr"], data_wanted=True)
        one(rule["record"], rule["record"], data_wanted=True)
    for dashboard in definitions.dashboards(monitoring):
        for panel in definitions.panels(dashboard):
            for target in panel.get("targets", []):
                one(f"panel `{panel['title']}`", dashboard_expression(target["expr"], instance),
                    panel["title"] not in LATER)
    for query in definitions.queries(pathlib.Path(__file__).with_name("queries.txt")):
        one("queries.txt", query, data_wanted=True)
    for group in prometheus.get("rules")["data"]["groups"]:
        for rule in group["rules"]:
            if rule["health"] == "err":
                failures.append(f"{rule['name']}: {rule['lastError']}")
    return n


def wait_for_alert(prometheus, name, since, seconds):
    """The first alert of that name that fires, and how long after `since`."""
    firing = prometheus.wait(f"the alert {name}", lambda: [
        a for a in prometheus.get("alerts")["data"]["alerts"]
        if a["labels"]["alertname"] == name and a["state"] == "firing"], seconds)
    return firing[0], time.time() - since


@contextlib.contextmanager
def scraping(arguments, where, scratch, interval=SCRAPE, options=()):
    """A Prometheus with the rules as they are shipped and the quick one, that has scraped once."""
    rules = arguments.source / "monitoring/rules"
    host, _, path = where.partition("/")
    directory = pathlib.Path(scratch)
    quick = quick_rules(definitions.rules(rules / "alerts.yml"))
    (directory / "quick.yml").write_text(yaml.safe_dump(quick), encoding="utf-8")
    configuration = {
        "global": {"scrape_interval": f"{interval}s", "evaluation_interval": "1s"},
        "rule_files": [str(rules / "recording.yml"), str(rules / "alerts.yml"), scratch + "/quick.yml"],
        "scrape_configs": [{"job_name": "demo", "metrics_path": "/" + path, "static_configs": [{"targets": [host]}]}]}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    port = free_port()
    with running([arguments.prometheus, f"--config.file={scratch}/prometheus.yml", f"--storage.tsdb.path={scratch}/data",
                  f"--web.listen-address=127.0.0.1:{port}", *options], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
        prometheus = Prometheus(port)
        prometheus.wait("the first scrape", lambda: 1.0 in prometheus.samples('up{job="demo"} == 1')[1])
        yield prometheus


def measure(prometheus, demo, failures):
    """When the leak began, and what there is to tell of how it became an alert."""
    leak_at = float(demo.stdout.readline().split()[1])
    alert, seconds = wait_for_alert(prometheus, "QuickEpochLeak", leak_at, PATIENCE)
    firing = 'ALERTS{alertname="QuickEpochLeak",alertstate="firing"}'
    prometheus.wait("the alert as a series", lambda: prometheus.samples(firing)[1])
    time.sleep(4)
    if alert["labels"]["label"] != "background-worker-3":
        failures.append(f"the alert is about {alert['labels']}")
    return leak_at, [f"from the leak to the firing alert: {seconds:.1f} s, with an age of {QUICK_AGE} s instead of 300, no "
                     f"`for`, a scrape and an evaluation each {SCRAPE} s", f"what it said: {alert['annotations']['summary']}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, required=True, help="the root of the repository")
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--demo", required=True)
    parser.add_argument("--serve", metavar="TSLAB", help="take the metrics from this program's `serve`")
    parser.add_argument("--target", metavar="URL", help="take them from here")
    parser.add_argument("--shipped", action="store_true", help="measure the rules as they are shipped too; takes minutes")
    arguments = parser.parse_args()
    arguments.source = arguments.source.resolve()

    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="tslab-prometheus-"))
        demo = None if arguments.target else stack.enter_context(running(
            [arguments.demo, "--leak-after", str(LEAK_AFTER), "--seconds", "900",
             "--write", scratch], stdout=subprocess.PIPE, text=True))
        if demo and (word := demo.stdout.readline()) != "ready\n":   # before that, `serve` would find no heap in it
            sys.exit(f"the demo said {word!r}")
        where = stack.enter_context(endpoint(arguments, demo, scratch))
        prometheus = stack.enter_context(scraping(arguments, where, scratch))
        slow_scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="tslab-prometheus-"))
        slow = stack.enter_context(scraping(arguments, where, slow_scratch, SLOW_SCRAPE))
        failures, waits = [], []
        if demo:
            leak_at, waits = measure(prometheus, demo, failures)
        else:
            time.sleep(20)
        slow.wait(f"the kernel's cooperation, scraped each {SLOW_SCRAPE} s", lambda: slow.samples(COOPERATION)[1])
        n = check(prometheus, arguments.source / "monitoring", where.partition("/")[0], failures)
        if arguments.shipped and demo:
            for name in ("EpochMemoryLeak", "EpochLeak"):
                waits.append(f"{name} as it is shipped: {wait_for_alert(prometheus, name, leak_at, 600)[1]:.1f} s")
        others = sorted({f"{a['labels']['alertname']} ({a['labels']['severity']}, {a['state']})"
                         for a in prometheus.get("alerts")["data"]["alerts"]})

    if failures:
        sys.exit("\n".join(dict.fromkeys(failures)))
    print(f"{n} expressions are valid, and those that should have data have it", *waits, sep="\n")
    print("pending or firing at the end: " + ", ".join(others))


if __name__ == "__main__":
    main()
