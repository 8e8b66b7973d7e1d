#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Writes BUILD_DIRECTORY/tidy/compile_commands.json for clang-tidy, which looks at a file once for each of its commands.

usage: tidy_database.py BUILD_DIRECTORY [FILE...]

One command a file: that of the library as users have it, not of its second copy for the scheduler's tests. Prints the objects
of the FILEs, a line each, for Ninja: what those import is compiled with them. A FILE without a command is left out.
"""
import json
import pathlib
import sys


def main():
    build = pathlib.Path(sys.argv[1])
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if "tslab_scheduled.dir" not in entry["output"]:
            commands.setdefault(entry["file"], entry)
    (build / "tidy").mkdir(exist_ok=True)
    (build / "tidy/compile_commands.json").write_text(json.dumps(list(commands.values()), indent=0))
    for file in sys.argv[2:]:
        entry = commands.get(str(pathlib.Path(file).resolve()))
        if entry:
            print(file, entry["output"], sep="\t")


if __name__ == "__main__":
    main()
