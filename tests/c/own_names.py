#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Every name that docs/from-c.md gives a header for is in that header: a program that includes it alone, by its own name, takes the
address of each function, the size of each type and the value of each constant. Each header is compiled as C11 and as C++17."""
import argparse
import collections
import pathlib
import re
import subprocess
import sys

USE = {"Functions": "(void)&{0};", "Types": "(void)sizeof({0});", "Constants": "(void)(long)({0});"}
LEAST = {"Functions": 40, "Types": 16, "Constants": 5}  # so that a page that is read wrongly does not pass


def rows(page):
    """(section, header, names) of each row of the page's tables that names a header, and what is wrong with it."""
    section = ""
    for line in page.read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| `") else []
        if section in USE and len(cells) == 3 and (header := re.fullmatch(r"`(\w+\.h)`", cells[2])):
            yield section, header[1], [re.match(r"\w+", name)[0] for name in re.findall(r"`([^`]+)`", cells[0])]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", required=True, type=pathlib.Path)
    parser.add_argument("--include", required=True, type=pathlib.Path)
    parser.add_argument("--compiler", required=True, help="of C++ and C, with -x")
    args = parser.parse_args()
    uses, count = collections.defaultdict(list), collections.Counter()
    for section, header, names in rows(args.page):
        count[section] += len(names)
        uses[header] += [USE[section].format(name) for name in names]
    wrong = [f"only {count[section]} names in {section}" for section, least in LEAST.items() if count[section] < least]
    for header in sorted({path.name for path in (args.include / "tslab/temporal").glob("*.h")} - set(uses)):
        wrong.append(f"the page names nothing of {header}")
    for header, lines in uses.items():
        body = "\n".join(f"    {line}" for line in lines)
        text = f"#include <{header}>\nint main(void)\n{{\n{body}\n    return 0;\n}}\n"
        for language, standard in (("c", "c11"), ("c++", "c++17")):
            done = subprocess.run(
                [args.compiler, "-x", language, f"-std={standard}", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                 "-DENABLE_SLOWPATH_SAMPLING=1", f"-I{args.include}/tslab/temporal", f"-I{args.include}", "-"],
                input=text, capture_output=True, text=True)
            if done.returncode != 0:
                wrong.append(f"{header} as {standard}:\n{done.stderr}")
    print("\n".join(wrong) or f"{sum(count.values())} names in {len(uses)} headers")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
