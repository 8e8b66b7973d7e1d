#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""docs/specification.md against what there is: each name in its second column must be in the JSON of a live process, its metrics, the
recording rules, the dashboards, the alerts, the help of the programs, the sources or the repository, as the comment above each table says;
each test in its third column must exist. At last every name is taken away once, which must be noticed each time.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import time
from typing import NamedTuple

import definitions
import live

TABLE = re.compile(r"<!-- names: (.+?) -->\n\|.*\n\|.*\n((?:\|.*\n)+)")
SPAN = re.compile(r"`([^`]+)`")
PATIENCE = 90   # seconds, for a machine that is busy otherwise


class Row(NamedTuple):
    kind: str
    asked: str
    here: tuple
    shown: tuple
    state: str


def rows(text):
    """Every row of every table of the page."""
    found = []
    for kind, lines in TABLE.findall(text):
        for line in lines.splitlines():
            asked, here, shown, state = (cell.strip() for cell in line.strip("|").split(" |"))
            found.append(Row(kind, asked, tuple(SPAN.findall(here)), tuple(SPAN.findall(shown)), state))
    return found


def names_of(kind, span, there):
    """The names, each with where it must be, that a piece of the second column stands for."""
    if span.startswith(("tslab ", "stats_dump")):
        command, _, options = span.partition(" --")
        return [("command", command), *(("command", f"{command} {option}") for option in re.findall(r"--[a-z-]+", "--" + options))]
    if kind.startswith("json "):
        return [(kind, span)]
    if kind == "series":
        if "/" in span:
            return [("file", span)]
        return [("recorded", span) if ("recorded", span) in there else ("exported", span)]
    if kind == "panels" and ("panel", span) not in there and ("file", span) in there:
        return [("file", span)]
    if kind == "files" or "/" in span:
        return [("file", span)] if kind != "panels" else [("panel", span)]
    return [({"panels": "panel", "alerts": "alert", "code": "word"}[kind], span)]


def check(page, there):
    """What of the page is not there, and what is wrong with the page itself."""
    failures = []
    for row in page:
        named = [name for span in row.here for name in names_of(row.kind, span, there)]
        failures += [f"`{row.asked}`: no {where} `{name}`" for where, name in named if (where, name) not in there]
        for test in row.shown:
            where = "file" if "/" in test else "test"
            if (where, test.split()[0]) not in there:
                failures.append(f"`{row.asked}`: no {where} `{test}` that shows it")
        if not row.state.startswith("✓") and not row.state.startswith("not yet: "):
            failures.append(f"`{row.asked}`: neither done nor not yet")
        if row.state.startswith("✓") and not (row.here and row.shown):
            failures.append(f"`{row.asked}`: said to be done, and nothing or no test is named")
    return failures


def keys_of(document, path):
    """The keys of an object of the JSON: `.`, `name`, or of all objects of an array, `name[]`."""
    if path == ".":
        return set(document)
    part = document[path.removesuffix("[]")]
    return set().union(*part) if path.endswith("[]") else set(part)


def sample(arguments, page, pid):
    """What a process with a heap shows now: its JSON and its metrics."""
    text = subprocess.run([arguments.tslab, "stats", str(pid), "--json"], check=True, capture_output=True, text=True).stdout
    document = json.loads(text)
    kinds = {row.kind for row in page if row.kind.startswith("json ")}
    there = {(kind, key) for kind in kinds for key in keys_of(document, kind.removeprefix("json "))}
    return there | {("exported", name) for name in definitions.families(arguments.tslab, "export", "prometheus", str(pid))}


def live_names(arguments, page, recorded):
    """What it shows within PATIENCE: a close that was timed is shown until another phase takes the slot of its epoch."""
    there = set()
    with live.running([arguments.demo, "--leak-after", "1", "--seconds", "600"], stdout=subprocess.PIPE, text=True) as demo:
        if (word := demo.stdout.readline()) != "ready\n":
            sys.exit(f"the demo said {word!r}")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(0.5)
            there |= sample(arguments, page, demo.pid)
            needed = {name for row in page for span in row.here for name in names_of(row.kind, span, recorded)}
            if not {name for name in needed - there if name[0] == "exported" or name[0].startswith("json ")}:
                break
    return there


def help_names(program, command):
    """A command and its options, as its help has them."""
    there = set()
    done = subprocess.run([program, *command.split()[1:], "--help"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        there.add(("command", command))
        there |= {("command", f"{command} {option}") for option in re.findall(r"--[a-z][a-z-]*", done.stdout)}
    return there


def file_names(source, page):
    """Whatever the page mentions that is a path of the repository."""
    mentioned = {span.split()[0] for row in page for span in (*row.here, *row.shown)}
    return {("file", name) for name in mentioned if (source / name).exists()}


def all_names(arguments, page):
    source = arguments.source
    monitoring = source / "monitoring"
    there = {("recorded", rule["record"]) for rule in definitions.rules(monitoring / "rules/recording.yml")}
    there |= live_names(arguments, page, there) | file_names(source, page)
    there |= {("alert", rule["alert"]) for rule in definitions.rules(monitoring / "rules/alerts.yml")}
    there |= {("panel", panel["title"]) for path in definitions.dashboards(monitoring) for panel in definitions.panels(path)}
    for command in {name for row in page for span in row.here for where, name in names_of(row.kind, span, there)
                    if where == "command" and "--" not in name}:
        there |= help_names(arguments.tslab if command.startswith("tslab") else arguments.stats_dump, command)
    for folder in ("modules", "pmr"):
        for path in [*(source / folder).rglob("*.[ch]pp*"), *(source / folder).rglob("*.def")]:
            there |= {("word", word) for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    listed = subprocess.run([arguments.ctest, "--test-dir", arguments.build, "--show-only=json-v1"], check=True, capture_output=True,
                            text=True).stdout
    return there | {("test", test["name"]) for test in json.loads(listed)["tests"]}


def unnoticed(page, there):
    """The names whose loss `check` would not notice."""
    needed = {name for row in page for span in row.here for name in names_of(row.kind, span, there)}
    return sorted(name for name in needed if not check(page, there - {name}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, required=True, help="the root of the repository")
    parser.add_argument("--build", required=True, help="the build directory, for CTest's list")
    for program in ("demo", "tslab", "stats-dump", "ctest"):
        parser.add_argument("--" + program, required=True, metavar="PROGRAM")
    arguments = parser.parse_args()
    text = (arguments.source / "docs/specification.md").read_text(encoding="utf-8")
    page = rows(text)
    if len(page) < 250:
        sys.exit(f"only {len(page)} rows could be read")
    there = all_names(arguments, page)
    if failures := check(page, there):
        sys.exit("\n".join(dict.fromkeys(failures)))
    open_rows = [row for row in page if not row.state.startswith("✓")]
    listed = text.partition("## Not yet\n")[2].count("\n- ")
    if len(open_rows) != listed:
        sys.exit(f"{len(open_rows)} rows are not done and the last section lists {listed}")
    if lost := unnoticed(page, there):
        sys.exit("\n".join(f"the loss of {where} `{name}` would not be noticed" for where, name in lost))
    print(f"{len(page)} rows, {len(open_rows)} of them not yet")


if __name__ == "__main__":
    main()
