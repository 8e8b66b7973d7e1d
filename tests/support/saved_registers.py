#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the functions that must preserve registers do: [[clang::preserve_most]].

usage: saved_registers.py --library FILE --objdump PROGRAM --sources FOLDER...

x86-64: LLVM aligns the stack of a function by a push and a pop, and takes for the pop a register that a function usually need not
preserve. Of a preserve_most function that is the caller's, unless the function saves it anyway, as it does when it makes a usual call. So
every register that one pops must be one that it has pushed. And each must be hidden: the dynamic linker preserves fewer registers when it
binds a call to a visible one in a shared object. Exits 1, with the functions, if one is not; 2 if there is nothing to look at.
"""
import argparse
import pathlib
import re
import subprocess
import sys

DEFINITION = re.compile(r"^\[\[clang::preserve_most\]\][^;{]*?\b(\w+)\(", re.MULTILINE)
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
NAME = re.compile(r"tslab::\S*?::(\w+)\(")
MOVE = re.compile(r"^\s*[0-9a-f]+:\s+(push|pop)q?\s+%(\w+)")


def marked(folders):
    """Names of the functions that are defined with the attribute."""
    return {name for folder in folders for path in sorted(pathlib.Path(folder).rglob("*.cpp"))
            for name in DEFINITION.findall(path.read_text(encoding="utf-8"))}


def functions(listing):
    """(name, [(push or pop, register), ...]) of each function of a disassembly."""
    name, moves = None, []
    for line in listing:
        if found := FUNCTION.match(line):
            if name is not None:
                yield name, moves
            name, moves = found[1], []
        elif found := MOVE.match(line):
            moves.append((found[1], found[2]))
    if name is not None:
        yield name, moves


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", required=True)
    parser.add_argument("--objdump", required=True)
    parser.add_argument("--sources", nargs="+", required=True)
    given = parser.parse_args()
    wanted = marked(given.sources)
    listing = subprocess.run([given.objdump, "-d", "-C", "--no-show-raw-insn", given.library], capture_output=True, text=True, check=True)
    seen, wrong = set(), []
    for name, moves in functions(listing.stdout.splitlines()):
        short = NAME.search(name)
        if short is None or short[1] not in wanted or "::$_" in name:   # a lambda within one is a usual function
            continue
        seen.add(short[1])
        pushed = {register for what, register in moves if what == "push"}
        wrong += [f"{name} pops %{register}, which it has not pushed" for what, register in moves
                  if what == "pop" and register not in pushed]
    table = subprocess.run([given.objdump, "-t", "-C", given.library], capture_output=True, text=True, check=True).stdout
    wrong += [f"{line.split(None, 5)[-1]} is not hidden" for line in table.splitlines()
              if (short := NAME.search(line)) and short[1] in wanted and " F " in line and "::$_" not in line and " .hidden " not in line]
    print(f"{len(seen)} of {len(wanted)} functions found: {', '.join(sorted(seen))}")
    print("\n".join(wrong))
    if not seen:   # some may be inlined everywhere
        return 2
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
