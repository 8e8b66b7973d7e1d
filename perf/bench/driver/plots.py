# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Plots as PNG images of few colours, small enough to be committed beside the docs that show them."""
import io
import os

import matplotlib
import matplotlib.ticker
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from PIL import Image  # noqa: E402

matplotlib.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})

MARKERS = {"tslab": ("D", "#c0392b"), "glibc": ("o", "#7f8c8d"), "jemalloc": ("s", "#2980b9"), "tcmalloc": ("^", "#27ae60"),
           "mimalloc": ("v", "#8e44ad"), "unsynchronized": ("x", "#d35400"), "synchronized": ("+", "#f0b27a"),
           "monotonic-stack": ("1", "#16a085"), "monotonic-heap": ("2", "#73c6b6"), "snmalloc": ("p", "#b7950b"),
           "mimalloc3": ("d", "#e056a0"), "scudo": ("s", "#2980b9"), "snmalloc-checks": ("p", "#b7950b"),
           "mimalloc3-secure": ("d", "#e056a0")}
OTHERS = [("P", "#2c3e50"), ("X", "#784212"), ("*", "#5d6d7e"), ("<", "#ca6f1e"), (">", "#117a65"), ("h", "#1b2631")]


def look_of(name, names):
    """The same marker and colour for a contender in all plots."""
    if name in MARKERS:
        return MARKERS[name]
    others = [n for n in names if n not in MARKERS]
    return OTHERS[others.index(name) % len(OTHERS)]


WIDTH = 900     # pixels
COLOURS = 128   # a palette; with fewer, a marker of few pixels loses its colour


def save(figure, folder, name):
    """Writes the figure as `name`.png, WIDTH pixels wide, with a palette of COLOURS."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=130, bbox_inches="tight")
    pyplot.close(figure)
    image = Image.open(drawn).convert("RGB")
    image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        os.path.join(folder, f"{name}.png"), optimize=True)


def dots(table, names, cases, field, title, axis, reference):
    """A line a case, a marker a contender, relative to `reference(case)`; None if there is nothing to draw."""
    lines = [(case, reference(case)) for case in cases]
    lines = [(case, base) for case, base in lines if base]
    if not lines:
        return None
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.24 * len(lines)))
    for name in reversed(names):   # tslab, the first, is drawn last, on top
        marker, colour = look_of(name, names)
        points = [(table.value(case, name, field), base, at) for at, (case, base) in enumerate(lines)]
        points = [(value / base, at) for value, base, at in points if value]
        if points:
            axes.plot(*zip(*points), linestyle="none", marker=marker, color=colour, label=name,
                      markersize=6.5 if name == "tslab" else 5, zorder=3 if name == "tslab" else 2)
    axes.axvline(1, color="black", linewidth=0.8, zorder=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axes.set_yticks(range(len(lines)), [case[0] for case, _ in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.grid(axis="both", color="#e5e7e9", linewidth=0.6)
    axes.set_xlabel(axis)
    axes.set_title(title, loc="left")
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: names.index(labels[i]))
    axes.legend([handles[i] for i in order], [labels[i] for i in order], loc="center left", bbox_to_anchor=(1, 0.5),
                frameon=False)
    return figure


def counted(threads):
    return f"{threads} thread" + ("s" if threads > 1 else "")


def memory(table, names, threads):
    """Bars a contender: above base at the peak, and what of it stays after the drain."""
    cases = [c for c in table.cases if c[1] == threads and table.value(c, "tslab", "rss_base_bytes") is not None]
    if not cases:
        return None
    columns = 3
    rows = -(-len(cases) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(10, 0.9 + (0.5 + 0.2 * len(names)) * rows), squeeze=False,
                                   layout="constrained")
    for axes in grid.flat[len(cases):]:
        axes.remove()
    for axes, case in zip(grid.flat, cases):
        for at, name in enumerate(names):
            row = table.rows.get((*case, name))
            if row is None or row["rss_base_bytes"] is None:
                continue
            base = row["rss_base_bytes"]
            colour = look_of(name, names)[1]
            axes.barh(at, (row["rss_peak_bytes"] - base) / 2**20, color=colour, alpha=0.3)
            axes.barh(at, max(row["rss_drained_bytes"] - base, 0) / 2**20, color=colour, height=0.45)
            if row["rss_trimmed_bytes"]:
                axes.plot(max(row["rss_trimmed_bytes"] - base, 0) / 2**20, at, marker="|", color="black", markersize=8)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.invert_yaxis()
        axes.set_title(case[0], loc="left", fontsize=9)
    figure.suptitle(f"Resident memory above the start, MiB, {counted(threads)}: pale at the peak, full after the drain, "
                    "stroke after trim()", fontsize=9)
    return figure


def draw(table, names, folder):
    safe = [name for name in names if name == "tslab" or name in table.checking]
    names = [name for name in names if name not in table.checking]
    for threads in sorted({case[1] for case in table.cases}):
        cases = [case for case in table.cases if case[1] == threads]
        what = {
            "time": ("ns_per_op_median", f"Time of an operation, {counted(threads)}",
                     "relative to the best general-purpose allocator; left is faster"),
            "tail": ("p999_ns", f"99.9th percentile of a single operation, {counted(threads)}",
                     "relative to the best general-purpose allocator; left is shorter"),
        }
        for kind, (field, title, axis) in what.items():
            figure = dots(table, names, cases, field, title, axis, lambda case, f=field: table.best_peer(case, f)[1])
            if figure is not None:
                save(figure, folder, f"{kind}-{threads}")
        if table.checking:
            field = "ns_per_op_median"
            figure = dots(table, safe, cases, field, f"Time of an operation with checked frees, {counted(threads)}",
                          "relative to the best other allocator that checks frees; left is faster",
                          lambda case: table.best_peer(case, field, among=table.checking)[1])
            if figure is not None:
                save(figure, folder, f"protected-{threads}")
        figure = memory(table, names, threads)
        if figure is not None:
            save(figure, folder, f"memory-{threads}")


OWN = (("locks_per_op", "locks", "#c0392b", "-"), ("cas_attempts_per_op", "claims", "#2980b9", "-"),
       ("cas_retries_per_op", "retries", "#2980b9", "--"), ("lost_races_per_op", "lost races", "#8e44ad", ":"))


def curves(table, title, axis, curve, with_zero):
    """A small plot for each pattern with a curve over the number of threads; `curve(axes, pattern, threads)` draws it. Both axes are
    logarithmic; `with_zero`: below a millionth down to 0."""
    counts = {}
    for pattern, threads in table.cases:
        counts.setdefault(pattern, []).append(threads)
    columns = 3
    rows = -(-len(counts) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(10, 0.9 + 2.4 * rows), squeeze=False, layout="constrained")
    for axes in grid.flat[len(counts):]:
        axes.remove()
    for axes, (pattern, threads) in zip(grid.flat, counts.items()):
        threads = sorted(threads)
        curve(axes, pattern, threads)
        axes.set_xscale("log", base=2)
        axes.set_xticks(threads, [str(n) for n in threads])
        axes.minorticks_off()
        if with_zero:
            axes.set_yscale("symlog", linthresh=1e-6)
            axes.set_ylim(bottom=0)
        else:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axes.grid(color="#e5e7e9", linewidth=0.6)
        axes.set_title(pattern, loc="left", fontsize=9)
    for axes in grid[:, 0]:
        axes.set_ylabel(axis)
    handles = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="upper center", bbox_to_anchor=(0.5, 0), ncols=6, frameon=False)
    figure.suptitle(title, fontsize=9)
    return figure


def draw_contention(table, names, folder):
    """contention-time.png: every contender's time by threads. contention-locks.png: tslab's locks, claims and retries."""
    def times(axes, pattern, threads):
        for name in reversed(names):
            marker, colour = look_of(name, names)
            points = [(n, table.value((pattern, n), name, "ns_per_op_median")) for n in threads]
            points = [point for point in points if point[1] is not None]
            if points:
                axes.plot(*zip(*points), marker=marker, color=colour, label=name, markersize=4, linewidth=1,
                          zorder=3 if name == "tslab" else 2)

    def counts(axes, pattern, threads):
        for field, label, colour, style in OWN:
            points = [(n, table.value((pattern, n), "tslab", field)) for n in threads]
            points = [point for point in points if point[1] is not None]
            if points:
                axes.plot(*zip(*points), color=colour, linestyle=style, marker="o", label=label, markersize=3, linewidth=1)

    save(curves(table, "Processor time of an operation by the number of threads, waiting included", "ns", times, False),
         folder, "contention-time")
    save(curves(table, "tslab: locks, claims of shared slabs and their retries, for one operation", "per operation", counts, True),
         folder, "contention-locks")
