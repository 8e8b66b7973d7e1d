# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Resident memory over time: programs that a contender runs, looked at from outside, and their plots."""
import dataclasses
import io
import os
import subprocess
import threading
import time

from PIL import Image

from driver import contenders, plots
from driver.plots import pyplot

SCENARIOS = {
    "burst": "A burst on 16 threads, then idle",
    "server": "A server on 16 threads under load, idle, under load",
    "long-phase": "One phase fills memory, frees it, and goes on with little work",
}
BACKGROUND = "tslab-background"
EVERY = 0.05   # seconds
LIMIT = 300


@dataclasses.dataclass
class Timeline:
    scenario: str
    contender: str
    samples: list   # [seconds since the first part, bytes]
    parts: list     # [seconds since the first part, name]
    note: str = ""


def resident_bytes(pid):
    """Of a process, without files; None when it has ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            lines = [line.split() for line in file]
    except OSError:
        return None
    fields = {line[0]: line[1] for line in lines if len(line) >= 2}
    if "Pss_Anon:" not in fields:
        return None
    return (int(fields["Pss_Anon:"]) + int(fields.get("Pss_Shmem:", 0))) * 1024


def one(build, contender, scenario, size):
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    if contender.preload:
        environment["LD_PRELOAD"] = contender.preload
    threads = size.threads[-1]
    arguments = [os.path.join(build, "perf/memory/memory_timeline"), scenario, contender.program, str(threads), str(size.mib),
                 str(size.unit)]
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        stop = threading.Timer(LIMIT, program.kill)
        stop.start()
        parts, samples = [], []
        reader = threading.Thread(target=lambda: parts.extend(line.split() for line in program.stdout))
        reader.start()
        while program.poll() is None:
            now = resident_bytes(program.pid)
            if now is not None:
                samples.append((time.monotonic(), now))
            time.sleep(EVERY)
        reader.join()
        stop.cancel()
        said = program.stderr.read().strip().splitlines()
    if program.returncode != 0 or not parts:
        return Timeline(scenario, contender.name, [], [], said[-1] if said else f"exit code {program.returncode}")
    start, end = float(parts[0][1]), float(parts[-1][1])
    return Timeline(scenario, contender.name, [[at - start, value] for at, value in samples if start <= at <= end],
                    [[float(at) - start, name] for name, at in parts])


def record(build, everyone, size, tell):
    """Of everyone, and of tslab with background purging, where the library has it."""
    made = []
    for scenario in SCENARIOS:
        for contender in [*everyone, contenders.Contender(BACKGROUND, BACKGROUND)]:
            tell(f"{scenario} of {contender.name}")
            made.append(one(build, contender, scenario, size))
    return [t for t in made if t.samples or t.contender != BACKGROUND]


def begin_of(name, timeline):
    """When a part begins; 0 if there is none."""
    return next((at for at, part in timeline.parts if part == name), 0)


def panel(axes, scenario, lines, names):
    drawn = [t for t in lines if t.scenario == scenario and t.samples]
    for t in sorted(drawn, key=lambda t: t.contender.startswith("tslab")):   # tslab is drawn last, on top
        mine = t.contender.startswith("tslab")
        shift = begin_of("free", t)
        axes.plot(*zip(*((at - shift, value / 2**20) for at, value in t.samples)), label=t.contender,
                  color=plots.look_of(t.contender, names)[1], linewidth=2 if mine else 1.3,
                  linestyle="-" if t.contender in plots.MARKERS else "--")
    mine = next((t for t in drawn if t.contender == "tslab"), None)
    parts = mine.parts if mine else []
    if parts and begin_of("free", mine) > 0:   # how long the others took to fill it is not what this is about
        axes.set_xlim(left=-1.1 * begin_of("free", mine), right=1.1 * (parts[-1][0] - begin_of("free", mine)))
    for i, (at, name) in enumerate(parts[:-1]):   # the last one is the end
        at -= begin_of("free", mine)
        axes.axvline(at, color="#d5d8dc", linewidth=0.8, zorder=0)
        if parts[i + 1][0] - parts[i][0] > parts[-1][0] / 20:   # else the next name would be written over it
            axes.text(at, 1.0, f" {name}", transform=axes.get_xaxis_transform(), fontsize=7, color="#7f8c8d", va="bottom")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds" + (" since it is freed" if scenario == "long-phase" else ""))
    axes.set_ylabel("resident memory, MiB")
    axes.set_title(SCENARIOS[scenario], loc="left", fontsize=9, pad=14)
    axes.grid(axis="y", color="#e5e7e9", linewidth=0.6)


def save(figure, path):
    """As PNG of few colours: a page of the documentation shows it."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100, format="png")
    Image.open(drawn).convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def draw(lines, folder):
    """A picture for each scenario: memory-burst.png and so on."""
    names = list(dict.fromkeys(t.contender for t in lines))
    for scenario in SCENARIOS:
        figure, axes = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
        panel(axes, scenario, lines, names)
        handles, labels = axes.get_legend_handles_labels()
        order = sorted(range(len(labels)), key=lambda i: names.index(labels[i]))
        axes.legend([handles[i] for i in order], [labels[i] for i in order], loc="center left", bbox_to_anchor=(1, 0.5),
                    frameon=False)
        save(figure, os.path.join(folder, f"memory-{scenario}.png"))
        pyplot.close(figure)
