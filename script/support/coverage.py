#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""What llvm-cov exported of one build or of several, added up: lines covered of each file, the places that are not, and
whether those are the ones that a page explains.

A line that one build does not compile (the branches of a checked build, say) is judged by those that do. A place is a run of
lines of one function that nothing executed; it is known by the line before it and its first line. The page explains each in a
row of a table: file, function, those two lines, and how many lines it has; or `sometimes` instead, for one that some runs
reach and others do not.
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys


def without_parameters(name):
    """A demangled name without parameters and template arguments, such as `thread_cache::drop`."""
    name = re.sub(r"@[A-Za-z_][\w.]*|\[abi:\w+\]|\(anonymous namespace\)::", "", name)
    depth, name_only = 0, ""
    for i, c in enumerate(name):
        if c == "<" and not name[:i].endswith("operator"):
            depth += 1
        elif c == ">" and depth > 0:
            depth -= 1
        elif depth == 0:
            if c == "(":
                break
            name_only += c
    return re.sub(r"::'lambda.*", "", name_only.split(" ")[-1]).removeprefix("tslab::")


def demangled(names):
    names = sorted(names)
    out = subprocess.run(["llvm-cxxfilt-19"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    return dict(zip(names, map(without_parameters, out.splitlines())))


def count_of(segments, before, first_column):
    """How often a line was executed: the largest count of what begins in it, else of what goes on from the lines before; None
    where there is no code. As llvm-cov reckons, but for a statement behind a block: that it takes for the gap between them.
    """
    of = [count for _, column, count, has_count, is_entry, is_gap in segments
          if has_count and not is_gap and (is_entry or column == first_column)]
    resumed = any(column <= first_column for _, column, *_ in segments)
    if before and before[3] and not (of and before[5] and resumed):
        of.append(before[2])
    skipped = segments and segments[0][4] and not segments[0][3]
    return max(of) if of and not (skipped and len(of) == 1 and before and of[0] == before[2]) else None


class Measured:
    """Lines and functions of every file, by the largest count that any build has for them."""

    def __init__(self, root, exports):
        self.text = {}
        self.lines = collections.defaultdict(dict)
        self.bodies = collections.defaultdict(set)  # (first line, last line, is a lambda, name)
        for export in exports:
            data = json.loads(export.read_text())["data"][0]
            for file in data["files"]:
                path = pathlib.Path(file["filename"])
                name = path.relative_to(root).as_posix()
                if not name.startswith(("modules/", "pmr/")):
                    continue   # of a program that has nothing of the library llvm-cov exports all there is
                self.text[name] = ["", *path.read_text().splitlines()]
                self.read_lines(name, file["segments"])
            for function in data["functions"]:
                name = pathlib.Path(function["filenames"][0])
                if name.is_relative_to(root):
                    regions = [region for region in function["regions"] if region[5] == 0]   # not of a macro
                    first, last = min(region[0] for region in regions), max(region[2] for region in regions)
                    mangled = function["name"].rpartition(":")[2]
                    self.bodies[name.relative_to(root).as_posix()].add((first, last, mangled))
        names = demangled({mangled for bodies in self.bodies.values() for _, _, mangled in bodies})
        for file, bodies in self.bodies.items():
            self.bodies[file] = {(first, last, re.search(r"\$_|Ul.*E\d*_", mangled) is not None, names[mangled])
                                 for first, last, mangled in bodies}

    def read_lines(self, file, segments):
        of_line = collections.defaultdict(list)
        for segment in segments:
            of_line[segment[0]].append(segment)
        before = None
        for line in range(1, len(self.text[file])):
            text = self.text[file][line]
            count = count_of(of_line[line], before, len(text) - len(text.lstrip()) + 1)
            if count is not None:
                self.lines[file][line] = max(self.lines[file].get(line, 0), count)
            before = of_line[line][-1] if of_line[line] else before

    def function(self, file, line):
        """The function that a line is in; of a lambda that in which it stands, if it stands in one."""
        around = [(is_lambda, last - first, name) for first, last, is_lambda, name in self.bodies[file] if first <= line <= last]
        return min(around)[2] if around else ""

    def places(self):
        """(file, first line, number of lines, function, text) of every run of lines that no build executed."""
        for file in sorted(self.lines):
            starts = {first for first, _, is_lambda, _ in self.bodies[file] if not is_lambda}
            run = []
            for line in [*sorted(self.lines[file]), None]:
                uncovered = line is not None and self.lines[file][line] == 0
                if run and not (uncovered and line == run[-1] + 1 and line not in starts):
                    before, text = (self.text[file][at].strip() for at in (run[0] - 1, run[0]))
                    alone = (run[0] in starts and text != "{") or before.startswith("//")
                    yield file, run[0], len(run), self.function(file, run[0]), text if alone else f"{before} {text}".strip()
                    run = []
                if uncovered:
                    run.append(line)


def explained(page):
    """The rows of a page's tables: (file, function, text): number of lines, or None for `sometimes`; a list of them, for
    lines that a function has more than once."""
    rows = collections.defaultdict(list)
    for line in page.read_text().splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and re.fullmatch(r"\d+|sometimes", cells[3]):
            file, function, text = (re.sub(r"^(`+) ?(.*?) ?\1$", r"\2", cell) for cell in cells[:3])
            rows[file, function, text].append(None if cells[3] == "sometimes" else int(cells[3]))
    return rows


def check(measured, page):
    """What is wrong with the page, line by line."""
    rows = explained(page)
    for file, first, count, function, text in measured.places():
        of = rows[file, function, text]
        if count in of:
            of.remove(count)
        elif None not in of:
            yield f"{file}:{first}: not explained: {count} lines in {function}: {text}"
    for (file, function, text), left in rows.items():
        for count in left:
            if count is not None:
                yield f"{file}: explained, but there is no such place: {count} lines in {function}: {text}"


def component(file):
    return file.rpartition("/")[0]


def table(measured):
    rows, parts, total = [], collections.defaultdict(lambda: [0, 0]), [0, 0]
    for file, lines in sorted(measured.lines.items()):
        covered = sum(1 for count in lines.values() if count > 0)
        rows.append((file, covered, len(lines)))
        for sum_of in (parts[component(file)], total):
            sum_of[0] += covered
            sum_of[1] += len(lines)
    rows.extend((part, *of) for part, of in sorted(parts.items()))
    rows.append(("all", *total))
    for name, covered, all_lines in rows:
        print(f"{name:36} {covered:6} of {all_lines:6} lines {100 * covered / all_lines:7.2f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    show = parser.add_mutually_exclusive_group()
    show.add_argument("--lines", action="store_true")
    show.add_argument("--check", type=pathlib.Path, metavar="PAGE")
    parser.add_argument("exports", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    measured = Measured(arguments.root, arguments.exports)
    if arguments.lines:
        for file, first, count, function, text in measured.places():
            print(f"{file}:{first}: {count} in {function}: {text}")
    elif arguments.check:
        wrong = list(check(measured, arguments.check))
        if wrong:
            sys.exit("\n".join(wrong))
        print(f"{arguments.check} explains every place that is not covered, and no other")
    else:
        table(measured)


if __name__ == "__main__":
    main()
