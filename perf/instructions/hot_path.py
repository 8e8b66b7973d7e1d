#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# What the functions every allocation and free goes through are made of: instructions by kind. Compared with the golden file
# hot_path.txt, so that a change of the hot path is seen where it is made. After TCMalloc's instruction profiles.
"""usage: hot_path.py PROGRAM [--compare GOLDEN]

Prints the profile of PROGRAM, a release build for x86-64, or compares it: exit 1 where it differs, 77 where the golden file was
made with another compiler."""
import re
import shutil
import subprocess
import sys

# Name in the profile, and what its mangled name contains.
FUNCTIONS = {
    "epoch_resource::do_allocate": "14epoch_resource11do_allocate",
    "epoch_resource::do_deallocate": "14epoch_resource13do_deallocate",
    "epoch_resource::refill": "14epoch_resource6refill",
    "thread_cache::refill": "12thread_cache6refill",
    "thread_cache::restock": "12thread_cache7restockE",
}
KINDS = ("load", "store", "read-modify-write", "atomic", "arithmetic", "multiply", "divide", "address", "move", "stack",
         "branch", "call", "return")
MOVES = {"mov", "movabs", "movzx", "movsx", "movsxd", "movups", "movaps", "movdqu", "movdqa", "movq", "movd"}
READ_ONLY = {"cmp", "test", "bt", "ucomisd"}


def kind_of(text):
    """The kind of one instruction, in Intel syntax; None for padding."""
    words = text.split(None, 1)
    name, operands = words[0], words[1] if len(words) > 1 else ""
    if name in ("nop", "data16", "cs", "int3", "xchg") and "[" not in operands or name == "nop":
        return None
    if name == "lock" or (name == "xchg" and "[" in operands):
        return "atomic"
    if name == "call":
        return "call"
    if name.startswith("ret"):
        return "return"
    if name.startswith("j"):
        return "branch"
    if name in ("push", "pop"):
        return "stack"
    if name == "lea":
        return "address"
    if name in ("mul", "imul"):
        return "multiply"
    if name in ("div", "idiv"):
        return "divide"
    destination = operands.split(",")[0]
    if name in MOVES:
        return "store" if "[" in destination else "load" if "[" in operands else "move"
    if "[" in destination and name not in READ_ONLY:
        return "read-modify-write"
    return "arithmetic"


def profile_of(program):
    """{function: {kind: count}} of the functions that the program has."""
    objdump = shutil.which("objdump") or sys.exit("hot_path: objdump is not installed; run script/bootstrap")
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", "-M", "intel", program], capture_output=True, text=True,
                          check=True).stdout
    found = {}
    current = None
    for line in text.splitlines():
        header = re.fullmatch(r"[0-9a-f]+ <(.*)>:", line)
        if header:
            current = next((name for name, part in FUNCTIONS.items() if part in header[1] and ".cold" not in header[1]),
                           None)
            if current:
                found[current] = dict.fromkeys(KINDS, 0)
        elif current and "\t" in line:
            kind = kind_of(line.split("\t", 1)[1].split("#")[0].split("<")[0].strip())
            if kind:
                found[current][kind] += 1
    return found


def compiler_of(program):
    """What the compiler wrote of itself into the program."""
    text = subprocess.run(["readelf", "-p", ".comment", program], capture_output=True, text=True, check=True).stdout
    version = re.search(r"clang version [0-9.]+", text)
    return version[0] if version else "unknown compiler"


def lines_of(program):
    profile = profile_of(program)
    missing = [name for name in FUNCTIONS if name not in profile]
    if missing:
        sys.exit(f"hot_path: not in {program}: {', '.join(missing)}")
    yield f"compiler: {compiler_of(program)}"
    for name, kinds in profile.items():
        counts = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if n)
        yield f"{name}: {sum(kinds.values())} instructions: {counts}"


def main(arguments):
    if len(arguments) not in (1, 3) or (len(arguments) == 3 and arguments[1] != "--compare"):
        print(__doc__, file=sys.stderr)
        return 2
    now = sorted(lines_of(arguments[0]))
    if len(arguments) == 1:
        print("\n".join(now))
        return 0
    with open(arguments[2], encoding="utf-8") as file:
        golden = sorted(line.rstrip() for line in file if line.strip() and not line.startswith("#"))
    if golden[:1] != now[:1] and golden[0].startswith("compiler") and now[0].startswith("compiler"):
        print(f"hot_path: the golden file is of {golden[0]}, this is {now[0]}: not compared")
        return 77
    if now == golden:
        return 0
    for line in sorted(set(golden) - set(now)):
        print("-", line)
    for line in sorted(set(now) - set(golden)):
        print("+", line)
    print("The hot path is another one. If that is meant: script/instructions --profile > perf/instructions/hot_path.txt")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
