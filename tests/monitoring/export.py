#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""`tslab export prometheus` from outside: promtool finds no fault with what it prints, and it ends as it should."""
import argparse
import os
import pathlib
import stat
import subprocess
import sys
import tempfile

failures = []


def expect(what, holds, seen=""):
    if not holds:
        failures.append(f"{what}: {seen}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tslab", required=True)
    parser.add_argument("--snapshots", required=True, help="prints snapshots, see print_snapshots.cpp")
    parser.add_argument("--metrics", required=True, help="prints the metrics of a full snapshot, and of two")
    parser.add_argument("--promtool", required=True)
    arguments = parser.parse_args()

    def promtool(what, text):
        answer = subprocess.run([arguments.promtool, "check", "metrics"], input=text, capture_output=True, text=True)
        expect(f"promtool on {what}", answer.returncode == 0 and not answer.stderr, answer.stderr)

    def export(*options, document="", **others):
        options = ["prometheus", *options]
        return subprocess.run([arguments.tslab, "export", *options], input=document, stderr=subprocess.PIPE, text=True,
                              **{"stdout": subprocess.PIPE, **others})

    def expect_failure(what, answer, code):
        lines = answer.stderr.splitlines()
        expect(what, answer.returncode == code and len(lines) == 1 and lines[0].startswith("tslab: "),
               f"{answer.returncode}, {answer.stderr}")

    printed = subprocess.run([arguments.snapshots], check=True, capture_output=True, text=True).stdout
    documents = dict(line.split("\t", 1) for line in printed.splitlines())
    for name, document in documents.items():
        answer = export("--stdin", document=document)
        expect(f"export of {name}", answer.returncode == 0 and not answer.stderr, answer.stderr)
        promtool(name, answer.stdout)
    for option in ([], ["two"]):
        text = subprocess.run([arguments.metrics, *option], check=True, capture_output=True, text=True).stdout
        promtool("a full snapshot " + "".join(option), text)

    busy = documents["busy"]
    with tempfile.TemporaryDirectory(prefix="tslab-export-") as directory:
        file = pathlib.Path(directory) / "tslab.prom"
        answer = export("--stdin", "--textfile", directory, document=busy)
        expect("--textfile", answer.returncode == 0 and not answer.stdout and not answer.stderr, answer.stderr)
        expect("the file", file.read_text(encoding="utf-8") == export("--stdin", document=busy).stdout, "not what is printed")
        expect("its mode", stat.S_IMODE(file.stat().st_mode) == 0o644, oct(file.stat().st_mode))
        expect("the directory", os.listdir(directory) == ["tslab.prom"], os.listdir(directory))
        expect_failure("an absent directory", export("--stdin", "--textfile", directory + "/absent", document=busy), 2)
    with open("/dev/full", "w", encoding="utf-8") as full:
        expect_failure("a full disk", export("--stdin", document=busy, stdout=full), 2)
    expect_failure("a target and --all", export("--all", "--stdin", document=busy), 2)
    answer = export("--all")
    expect("--all", answer.returncode == 0 and answer.stdout.startswith("# HELP temporal_slab_build_info"), answer.stderr)
    promtool("--all", answer.stdout)
    if failures:
        sys.exit("\n".join(failures))
    print(f"{len(documents)} snapshots exported")


if __name__ == "__main__":
    main()
