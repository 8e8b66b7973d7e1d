#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# Draws what a soak told: plot.py FILE.csv OUTPUT, without the ending; makes an SVG and a PNG.
import csv
import sys

import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

matplotlib.rcParams.update({"svg.hashsalt": "tslab", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})


def main(source, target):
    with open(source, encoding="utf-8", newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    if not rows:
        sys.exit(f"{source} has no rows")
    scale, unit = (3600, "hours") if rows[-1]["seconds"] > 7200 else (60, "minutes") if rows[-1]["seconds"] > 180 else (1, "seconds")
    time = [row["seconds"] / scale for row in rows]

    def rate(name):
        before = [{name: 0, "seconds": 0}, *rows]
        return [(row[name] - last[name]) / max(row["seconds"] - last["seconds"], 1e-9) for last, row in zip(before, rows)]

    figure, (memory, objects, work) = pyplot.subplots(3, 1, figsize=(8, 6.4), sharex=True, layout="constrained")
    for name, label, colour in (("rss_bytes", "resident, whole process", "#7f8c8d"), ("committed_bytes", "pages of the heap", "#2980b9"),
                                ("live_bytes", "live", "#c0392b")):
        memory.plot(time, [row[name] / 2**20 for row in rows], label=label, color=colour, linewidth=1.2)
    memory.set_ylabel("MiB")
    memory.set_title("Memory: it follows what lives, and does not grow with time", loc="left")
    objects.plot(time, [row["live_objects"] for row in rows], color="#c0392b", linewidth=1.2, label="live objects")
    objects.plot(time, [row["epochs_alive"] for row in rows], color="#8e44ad", linewidth=1.2, label="epochs alive")
    objects.set_title("What outlives its request, and the epochs it keeps", loc="left")
    work.plot(time, [value / 1000 for value in rate("requests")], color="#27ae60", linewidth=1.2, label="requests, thousands a second")
    work.plot(time, [value / 1e6 for value in rate("allocations")], color="#2c3e50", linewidth=1.2, label="allocations, millions a second")
    work.set_title("Work done", loc="left")
    work.set_xlabel(unit)
    for axes in (memory, objects, work):
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.grid(color="#e5e7e9", linewidth=0.6)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    for kind in ("svg", "png"):
        figure.savefig(f"{target}.{kind}", dpi=85, metadata={"Date": None} if kind == "svg" else None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
