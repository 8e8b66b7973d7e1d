#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Prints what Ninja must build so that CTest can run some tests: a file a line, relative to the build directory.

usage: targets_of_tests.py BUILD_DIRECTORY [CTEST ARGUMENT...]

The arguments choose the tests, as for ctest. Looks at the commands of the tests: each file below the build directory that
Ninja knows how to make is a target. Works before anything is built.
"""
import pathlib
import re
import subprocess
import sys


def chosen(build, arguments):
    """The names of the tests that CTest would run."""
    listing = subprocess.run(["ctest", "--test-dir", build, "-N", *arguments], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"^ *Test *#\d+: (\S+)", listing, re.MULTILINE))


def commands(build):
    """(name, arguments) of every test that CMake wrote down."""
    for file in build.rglob("CTestTestfile.cmake"):
        for line in file.read_text().splitlines():
            if line.startswith("add_test("):
                words = re.findall(r'\[=*\[(.*?)\]=*\]|"((?:[^"\\]|\\.)*)"|([^\s()"]+)', line[len("add_test("):])
                name, *arguments = ["".join(alternatives) for alternatives in words]
                yield name, arguments


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    known = {line.rsplit(":", 1)[0]
             for line in subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], check=True, capture_output=True,
                                        text=True).stdout.splitlines()}
    wanted = chosen(build, sys.argv[2:])
    targets = set()
    for name, arguments in commands(build):
        if name not in wanted:
            continue
        for argument in arguments:
            path = argument.rsplit("=", 1)[-1]
            if path.startswith(f"{build}/") and path[len(f"{build}/"):] in known:
                targets.add(path[len(f"{build}/"):])
    print("\n".join(sorted(targets)))


if __name__ == "__main__":
    main()
