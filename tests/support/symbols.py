#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Checks that the hot functions are inlined into every importer.

A member function defined in its class inside a module is not implicitly inline: forget the keyword, and every importer
calls it out of line, without a warning. So for each function of a list this looks for a definition in the library (T),
for a reference to it from the code of a small importer, and for its name in the importer's debug information (a function
that was renamed must not leave the list toothless).
"""
import argparse
import pathlib
import re
import subprocess
import sys

SKIPPED = 77  # what CTest is told for "not applicable here"


def output_of(*command, given=None):
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout


def demangled(names):
    """The names as in the sources: without the module that each entity is attached to (allocator@tslab.epoch)."""
    names = list(names)
    plain = output_of("c++filt", given="\n".join(names)).splitlines()
    return {name: re.sub(r"@[A-Za-z_][\w.]*", "", p) for name, p in zip(names, plain)}


def read_hot(path):
    """Pairs (function, whether the importer may call a copy of its own)."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return [(line.removeprefix("copy:").strip(), line.startswith("copy:")) for line in lines if line]


def is_function(entry, name):
    """An entry with parameters means that overload, one without means all of them."""
    return name == entry or ("(" not in entry and name.startswith(entry + "("))


def defined_in(nm, file, kinds):
    """The functions that the file defines: T as the only ones of their name, W as copies of inline ones."""
    lines = (line.split() for line in output_of(nm, "--defined-only", file).splitlines())
    return {fields[2] for fields in lines if len(fields) == 3 and fields[1] in kinds}


def referred_to(objdump, importer):
    """Pairs (function, symbol): the importer's function refers to the symbol."""
    pairs, function = set(), "?"
    for line in output_of(objdump, "-dr", "--no-show-raw-insn", importer).splitlines():
        if start := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            function = start[1]
        elif relocation := re.search(r": +R_(?:X86_64|AARCH64)_\w+\t(_Z\w+)", line):
            pairs.add((function, relocation[1]))
    return pairs


def known_names(importer):
    return {m.decode() for m in re.findall(rb"_Z\w+", pathlib.Path(importer).read_bytes())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hot", type=pathlib.Path, required=True, help="list of functions, one a line")
    parser.add_argument("--library", required=True, help="libtslab.a")
    parser.add_argument("--importer", required=True, help="object file of a program that uses the hot functions")
    parser.add_argument("--nm", default="nm", help="of the processor the library is for")
    parser.add_argument("--objdump", default="objdump", help="likewise")
    parser.add_argument("--compiled-with", default="", help="compiler flags: the check needs optimised code")
    args = parser.parse_args()

    if "-fsanitize" in args.compiled_with or not re.search(r"-O[23]\b", args.compiled_with):
        print(f"skipped: nothing is inlined for certain in a build with these flags: {args.compiled_with}")
        return SKIPPED

    hot = read_hot(args.hot)
    defined, copies = defined_in(args.nm, args.library, "T"), defined_in(args.nm, args.importer, "W")
    references, known = referred_to(args.objdump, args.importer), known_names(args.importer)
    plain = demangled(defined | known | {name for pair in references for name in pair})

    problems = []
    for entry, copy_will_do in hot:
        for name in sorted(defined):
            if is_function(entry, plain[name]):
                problems.append(f"{plain[name]} is defined out of line in the library: is it declared inline?")
        for function, name in sorted(references):
            if is_function(entry, plain[name]) and not (copy_will_do and name in copies):
                problems.append(f"{plain[function]} in the importer refers to {plain[name]} instead of inlining it")
        if "-g" in args.compiled_with and not any(is_function(entry, plain[name]) for name in known):
            problems.append(f"{entry} is not used by the importer: renamed, or missing there?")
    print("\n".join(problems) or f"all {len(hot)} hot functions are inlined")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
