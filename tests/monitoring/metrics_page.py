#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Compares the list in docs/metrics.md with a real exposition, or writes it (--write)."""
import argparse
import pathlib
import sys

import definitions

HEADING = "## The metrics\n"


def table(families):
    lines = ["| metric | type | labels | what it is |", "| --- | --- | --- | --- |"]
    for name, family in sorted(families.items()):
        labels = ", ".join(f"`{label}`" for label in family.labels) or "—"
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.help} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=pathlib.Path, required=True)
    parser.add_argument("--program", required=True, help="prints a full exposition")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()

    page = arguments.page.read_text(encoding="utf-8")
    begin = page.index(HEADING) + len(HEADING)
    wanted = page[:begin] + "\n" + table(definitions.families(arguments.program))
    if arguments.write:
        arguments.page.write_text(wanted, encoding="utf-8")
    elif page != wanted:
        there, made = page[begin:].splitlines(), wanted[begin:].splitlines()
        for line in sorted(set(there) ^ set(made)):
            print(("only in the page: " if line in there else "only exported: ") + line)
        sys.exit(f"{arguments.page} does not list what is exported; run this with --write")


if __name__ == "__main__":
    main()
