#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""What libtslab.so promises: its symbols are those of the committed map, each function of the headers is among them, has a comment in
its header and a test that calls it; it needs libc and the C++ library alone; its thread-local storage is small and initial-exec."""
import argparse
import pathlib
import re
import subprocess
import sys

LEAST = 82  # functions of C when the ABI was 0.1.0: none of them may go without another TSLAB_ABI
NEEDED = {"libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
MOST_TLS = 256  # bytes; glibc reserves some more for libraries that dlopen loads


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def in_map(path):
    return set(re.findall(r"^    (\w+);$", path.read_text(), re.M))


def exported(nm, library):
    lines = (line.split() for line in output_of(nm, "-D", "--defined-only", library).splitlines())
    return {fields[-1].split("@")[0] for fields in lines} - {"TSLAB_0"}


def declared(headers):
    """Functions of the headers, and those without a comment before them or the group they stand in."""
    functions, bare = set(), set()
    for path in headers:
        text = path.read_text()
        for found in re.finditer(r"^TSLAB_API[^;]*?\b(tslab_\w+)\(", text, re.M):
            functions.add(found[1])
            above = text[: found.start()].rstrip()
            if not above.endswith("*/") and not above.endswith("TSLAB_NOEXCEPT;"):
                bare.add(found[1])
    return functions, bare


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("library", "map", "include", "tests", "nm", "readelf", "figures"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    wrong = []
    listed, there = in_map(pathlib.Path(args.map)), exported(args.nm, args.library)
    functions, bare = declared(sorted(pathlib.Path(args.include).rglob("*.h")))
    of_c = {name for name in listed if name.startswith("tslab_")}
    wrong += [f"gone from the library, but in the map: {name}" for name in sorted(listed - there)]
    wrong += [f"exported, but not in the map: {name}" for name in sorted(there - listed)]
    wrong += [f"in the headers, but not in the map: {name}" for name in sorted(functions - listed)]
    wrong += [f"in the map, but in no header: {name}" for name in sorted(of_c - functions)]
    wrong += [f"without a comment: {name}" for name in sorted(bare)]
    if len(of_c) < LEAST:
        wrong.append(f"the map has {len(of_c)} functions of C; ABI 0 began with {LEAST}")
    tests = "".join(path.read_text() for path in pathlib.Path(args.tests).rglob("*") if path.suffix in (".c", ".cpp"))
    wrong += [f"no test calls {name}" for name in sorted(functions) if not re.search(rf"\b{name.removesuffix('_sized')}\b", tests)]
    dynamic = output_of(args.readelf, "-dW", args.library)
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic))
    wrong += [f"needs {name}" for name in sorted(needed - NEEDED)]
    if "libtslab.so.0]" not in dynamic:
        wrong.append("the SONAME is not libtslab.so.0")
    if "NODELETE" not in dynamic:
        wrong.append("dlclose would unmap it")
    if tls := re.search(r"^ +TLS +\S+ \S+ \S+ \S+ (0x[0-9a-f]+)", output_of(args.readelf, "-lW", args.library), re.M):
        if int(tls[1], 16) > MOST_TLS:
            wrong.append(f"{int(tls[1], 16)} bytes of thread-local storage")
    else:
        wrong.append("no segment of thread-local storage: has its model changed?")
    if "__tls_get_addr" in output_of(args.nm, "-D", args.library):
        wrong.append("thread-local storage is reached by calls")
    if subprocess.run([sys.executable, args.figures, "--check"]).returncode != 0:
        wrong.append("figures.h is out of date")
    print("\n".join(wrong) or f"{len(there)} symbols, {len(functions)} functions of C")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
