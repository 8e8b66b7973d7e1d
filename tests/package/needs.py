#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Checks what a program that only allocates needs: libc and the C++ library at run time, and nothing of Boost in the archive."""
import argparse
import re
import subprocess
import sys

ALLOWED = re.compile(r"(libc|libm|libstdc\+\+|libgcc_s|ld-linux[\w-]*)\.so(\.\d+)*$")


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readelf", default="readelf")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--program", required=True, help="linked against tslab::core")
    parser.add_argument("--library", required=True, help="the archive of tslab::core")
    args = parser.parse_args()

    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", output_of(args.readelf, "-d", args.program))
    problems = [f"the program needs {name}" for name in needed if not ALLOWED.match(name)]
    if not needed:
        problems.append("the program needs no library at all: is it a dynamically linked one?")
    undefined = output_of(args.nm, "--undefined-only", args.library)
    if "tslab" not in undefined:
        problems.append("the archive's members need nothing of each other: is it tslab's?")
    problems += [f"the archive needs {line.split()[-1]}" for line in undefined.splitlines() if "boost" in line]
    print("\n".join(problems) or "needed: " + " ".join(needed))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
