# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""script/bench: measure, then report."""
import json
import os
import sys

from . import bars, contenders, figures, machine, options, runner, table


def fail(message):
    print(f"bench: {message}", file=sys.stderr)
    return 2


def choose(everyone, names):
    """The contenders asked for. Raises runner.Failed for one that there is not."""
    if names is None:
        return [c for c in everyone if c.name not in contenders.OPTIONS]
    known = {c.name for c in everyone}
    for name in names:
        if name not in known:
            raise runner.Failed(f"no such contender: {name}; there are {', '.join(sorted(known))}")
    return [c for c in everyone if c.name in names]


def left_out(patterns, everyone):
    """Who is not measured where, a line for each reason."""
    reasons = {}
    for c in everyone:
        for pattern in patterns:
            why = contenders.why_not(c, pattern)
            if why:
                reasons.setdefault((c.name, why), []).append(pattern["name"])
    return [f"{name} is left out of {', '.join(where)}: {why}" for (name, why), where in reasons.items()]


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main(arguments, root):
    chosen = options.parse(arguments)
    chosen.build = os.path.join(root, chosen.build) if chosen.build == options.BUILD else chosen.build
    program = os.path.join(chosen.build, "perf/bench/tslab_bench")
    if not os.access(program, os.X_OK):
        return fail(f"{program} is not built: script/test release builds it, or "
                    f"cmake --preset release && cmake --build {chosen.build} --target tslab_bench")
    if chosen.plots:
        try:
            from . import plots
        except ImportError as error:
            return fail(f"plots need matplotlib, which is not there ({error}): script/bootstrap installs it")
    others = machine.Others()
    try:
        everyone, notes = contenders.all_contenders(chosen.peer, protected=chosen.protected_peer if chosen.protected else None)
        everyone = choose(everyone, chosen.contenders)
        run = runner.Runner(program, chosen)
        patterns = run.patterns()
        results = run.run(patterns, everyone)
    except (runner.Failed, ValueError) as failure:
        return fail(failure)
    everyone = [c for c in everyone if c.name not in run.out]
    names = [c.name for c in everyone]
    rows = figures.make_rows(results)
    made = figures.Table(rows, [c.name for c in everyone if c.general], [c.name for c in everyone if c.checks])
    about = machine.describe(everyone, chosen, arguments, others.share())
    notes += run.notes + left_out(patterns, everyone)

    print(machine.as_text(about))
    tables = table.parts(made, names, chosen.contention)
    for title, header, lines in tables:
        print(f"\n{title}\n{table.as_text(header, lines)}")
    print("\n" + "\n".join(notes) if notes else "")
    try:
        if chosen.json:
            write(chosen.json, json.dumps({"machine": about, "notes": notes, "rows": rows}, indent=1) + "\n")
        if chosen.markdown:
            write(chosen.markdown, machine.as_text(about) + "\n" + "".join(
                f"\n{title}:\n\n{table.as_markdown(header, lines)}\n" for title, header, lines in tables)
                + ("\n" + "\n".join(f"- {note}" for note in notes) + "\n" if notes else ""))
        if chosen.plots:
            plots.draw_contention(made, names, chosen.plots) if chosen.contention else plots.draw(made, names, chosen.plots)
    except OSError as error:
        return fail(f"cannot write {error.filename}: {error.strerror}")
    return bars.tell(bars.judge(made)) if chosen.check else 0
