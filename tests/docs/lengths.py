#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at how long files are, and how much a folder of the library has: a reader takes in so much at once. A model may be longer: its
steps share their variables.

usage: lengths.py --root DIR
"""
import argparse
import pathlib
import sys

MOST_OF_FILE, MOST_OF_PART = 450, 2500   # lines
CODE = {".cpp", ".hpp", ".cppm", ".c", ".h", ".def", ".py", ".pml", ".bash", ".cmake"}
FOLDERS = ("c", "cmake", "examples", "modules", "monitoring", "packaging", "perf", "pmr", "script", "tests", "tools")


def lines_of(path):
    with path.open(encoding="utf-8") as file:
        return sum(1 for _ in file)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--root", required=True, type=pathlib.Path)
    root = parser.parse_args().root
    files = {path: lines_of(path) for folder in FOLDERS for path in (root / folder).rglob("*")
             if path.is_file() and (path.suffix in CODE or path.parent == root / "script") and "__pycache__" not in path.parts}
    folders = {}
    for path, lines in files.items():
        if path.relative_to(root).parts[0] in ("modules", "pmr"):
            folders[path.parent] = folders.get(path.parent, 0) + lines
    problems = [f"{path.relative_to(root)}: {lines} lines, {MOST_OF_FILE} at most" for path, lines in files.items() if lines > MOST_OF_FILE and path.suffix != ".pml"]
    problems += [f"{part.relative_to(root)}: {lines} lines, {MOST_OF_PART} at most in a folder of the library" for part, lines in folders.items() if lines > MOST_OF_PART]
    if len(files) < 100 or not folders:
        problems.append(f"only {len(files)} files found below {root}")
    print("\n".join(sorted(problems)) or f"{len(files)} files, the longest {max(files.values())} lines; {len(folders)} folders, the largest {max(folders.values())}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
