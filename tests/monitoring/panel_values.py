#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The table in docs/monitoring.md that says what each query of the dashboards returns.

Runs the monitored demo, `tslab serve` and a real Prometheus, and asks it every query of every panel; --write puts the table into the
page. With --check nothing runs: the table must have the panels and the queries that the dashboards have now. Exit code: 0 every
query returned a value, 1 one did not or the page is out of date.
"""
import argparse
import contextlib
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import definitions
import live

BEGIN, END = "<!-- panel values -->\n", "<!-- end of panel values -->\n"
HEADER = ["| panel | query | unit | series | values seen |", "| --- | --- | --- | ---: | --- |"]
SCALES = {"bytes": (1024, ("B", "KiB", "MiB", "GiB", "TiB")), "s": (1000, ("ns", "µs", "ms", "s")), "short": (1000, ("", "k", "M", "G"))}
UNITS = {"bytes": ("bytes", "bytes", ""), "Bps": ("bytes/s", "bytes", "/s"), "ops": ("1/s", "short", "/s"), "s": ("s", "s", ""),
         "percent": ("%", None, "%"), "percentunit": ("%", None, "%"), "short": ("", "short", "")}


def as_text(value, unit):
    """A value as Grafana shows it, three digits."""
    _, scale, suffix = UNITS[unit]
    if unit == "percentunit":
        value *= 100
    if scale is None or value == 0:
        return f"{value:.3g}{suffix}" if suffix.startswith("%") else f"{value:g}{suffix}"
    base, names = SCALES[scale]
    value *= 1e9 if scale == "s" else 1
    step = 0
    while abs(value) >= base and step + 1 < len(names):
        value, step = value / base, step + 1
    number = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {names[step]}".rstrip() + suffix


def units(panel):
    """The unit of each query of a panel, by its letter: a column of a table may have its own."""
    config = panel["fieldConfig"]
    own = {override["matcher"]["options"]: one["value"] for override in config["overrides"] for one in override["properties"]
           if override["matcher"]["id"] == "byName" and one["id"] == "unit"}
    columns = {}
    for transformation in panel.get("transformations", []):
        columns |= transformation["options"].get("renameByName", {})
    return {target["refId"]: own.get(columns.get("Value #" + target["refId"]), config["defaults"].get("unit", "short"))
            for target in panel.get("targets", [])}


def queries(monitoring):
    """(panel, query as it is in the dashboard, unit) of every query, in order, the comparison last. A panel for the left of two processes
    stands for both."""
    for dashboard in reversed(definitions.dashboards(monitoring)):
        for panel in definitions.panels(dashboard):
            if panel["title"].endswith(": $right"):
                continue
            title = panel["title"]
            title = f"{title.removesuffix(': $left')} (comparison)" if title.endswith(": $left") else title
            for target in panel.get("targets", []):
                yield title, target["expr"], units(panel)[target["refId"]]


def as_cells(panel, expression, unit):
    """What of a row does not depend on a run. The selectors, which are the same everywhere, are left out."""
    shown = re.sub(r'(?:job=~"\$job",)?instance=~?"\$\w+"(?:,heap=~"\$heap")?,?', "", expression).replace("{}", "").replace("|", "\\|")
    return f"| {panel} | `{shown}` | {UNITS[unit][0]} |".replace("||", "| |")


def measured(arguments):
    """The rows, with what a live process answered."""
    source = arguments.source
    options = argparse.Namespace(source=source, prometheus=arguments.prometheus, target=None,
                                 serve=str(arguments.build / "tools/tslab"))
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="tslab-panels-"))
        demo = stack.enter_context(live.running(
            [str(arguments.build / "tests/monitoring/tslab_monitored_demo"), "--leak-after", "5", "--seconds",
             str(arguments.seconds + 60)], stdout=subprocess.PIPE, text=True))
        if (word := demo.stdout.readline()) != "ready\n":
            sys.exit(f"the demo said {word!r}")
        where = stack.enter_context(live.endpoint(options, demo, scratch))
        prometheus = stack.enter_context(live.scraping(options, where, scratch))
        time.sleep(arguments.seconds)
        instance = where.partition("/")[0]
        for panel, expression, unit in queries(source / "monitoring"):
            error, values = prometheus.samples(live.dashboard_expression(expression, instance))
            if error:
                sys.exit(f"panel `{panel}`: {error}")
            ends = [as_text(v, unit) for v in dict.fromkeys([min(values), max(values)])] if values else ["none"]
            yield f"{as_cells(panel, expression, unit)} {len(values)} | {' to '.join(dict.fromkeys(ends))} |", bool(values)


def parts(page):
    """The page before the table, the table's lines without its header, and the page after it."""
    before, _, rest = page.partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table.splitlines()[len(HEADER):], after


def differences(lines, monitoring):
    """How the panels and queries of a table differ from those of the dashboards."""
    wanted = [as_cells(*query) for query in queries(monitoring)]
    there = [line.rsplit("|", 3)[0] + "|" for line in lines]
    return [("only in the page: " if line in there else "only in the dashboards: ") + line
            for line in dict.fromkeys(there + wanted) if there.count(line) != wanted.count(line)]


def main():
    parser = argparse.ArgumentParser(prog="panel-values", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2], help="the repository")
    parser.add_argument("--build", type=pathlib.Path, metavar="DIR", help="[build/release]")
    parser.add_argument("--prometheus", default="prometheus", metavar="PROGRAM", help="[prometheus]")
    parser.add_argument("--seconds", type=int, default=80, help="of data before the questions; a panel needs a minute [80]")
    parser.add_argument("--write", action="store_true", help="put the table into docs/monitoring.md")
    parser.add_argument("--check", action="store_true", help="only compare the page with the dashboards")
    arguments = parser.parse_args()
    arguments.build = arguments.build or arguments.source / "build/release"
    path = arguments.source / "docs/monitoring.md"
    before, lines, after = parts(path.read_text(encoding="utf-8"))
    if arguments.check:
        if failures := differences(lines, arguments.source / "monitoring"):
            sys.exit("\n".join(failures) + f"\n{path.name} has not the queries of the dashboards; run script/panel-values --write")
        print(f"{len(lines)} queries")
        return
    rows = list(measured(arguments))
    table = "\n".join([*HEADER, *(line for line, _ in rows)]) + "\n"
    if arguments.write:
        path.write_text(before + BEGIN + table + END + after, encoding="utf-8")
    else:
        print(table, end="")
    if empty := [line for line, found in rows if not found]:
        sys.exit("without a value:\n" + "\n".join(empty))


if __name__ == "__main__":
    main()
