#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""What AddressSanitizer or Valgrind says of faults in tslab's memory: the same as of malloc's, with where the object came
from and where it went; and nothing of a program without faults."""
import argparse
import os
import shutil
import subprocess
import sys

# What a report must contain: of the tool, and of the program's own functions.
ASAN = {
    "use-after-free": ("heap-use-after-free", "freed by thread", "previously allocated by thread", "touched_here"),
    "read-after-free": ("heap-use-after-free", "READ of size 1", "freed by thread", "read_here"),
    "overflow": ("heap-buffer-overflow", "0 bytes after 40-byte region", "touched_here", "obtained_here"),
    "double-free": ("attempting double-free", "freed by thread", "fault_in"),
    "leak": ("LeakSanitizer: detected memory leaks", "Direct leak of 40 byte(s)", "obtained_here"),
}
VALGRIND = {
    "use-after-free": ("Invalid write of size 1", "0 bytes inside a block of size 40 free'd", "fault_in", "obtained_here"),
    "read-after-free": ("Invalid read of size 1", "0 bytes inside a block of size 40 free'd", "fault_in"),
    "overflow": ("Invalid write of size 1", "0 bytes after a block of size 40 alloc'd", "fault_in", "obtained_here"),
    "double-free": ("Invalid free()", "0 bytes inside a block of size 40 free'd", "fault_in"),
    "leak": ("40 bytes in 1 blocks are definitely lost", "obtained_here"),
}
# Elsewhere the sizes are others.
ELSEWHERE = {
    ("--asan", "container", "use-after-free"): ("heap-use-after-free", "freed by thread", "touched_here"),
    ("--asan", "container", "overflow"): ("heap-buffer-overflow", "0 bytes after 61-byte region", "touched_here"),
    ("--asan", "container", "leak"): ("Direct leak of 40 byte(s)", "Indirect leak of 101 byte(s)", "fault_in_container"),
    ("--asan", "large", "use-after-free"): ("heap-use-after-free", "300000-byte region", "touched_here"),
    ("--asan", "large", "overflow"): ("heap-buffer-overflow", "0 bytes after 300000-byte region", "touched_here"),
    ("--asan", "released", "use-after-free"): ("heap-use-after-free", "epoch_resource", "release", "touched_here"),
    ("--valgrind", "container", "use-after-free"): ("Invalid write of size 1", "inside a block of size 61 free'd"),
    ("--valgrind", "container", "overflow"): ("Invalid write of size 1", "0 bytes after a block of size 61 alloc'd"),
    ("--valgrind", "container", "leak"): ("141 (40 direct, 101 indirect) bytes in 1 blocks are definitely lost",
                                          "fault_in_container"),
    ("--valgrind", "large", "use-after-free"): ("Invalid write of size 1", "inside a block of size 300,000 free'd"),
    ("--valgrind", "large", "overflow"): ("Invalid write of size 1", "0 bytes after a block of size 300,000 alloc'd"),
    ("--valgrind", "released", "use-after-free"): ("Invalid write of size 1", "block of size 40 free'd", "release"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    tool = parser.add_mutually_exclusive_group(required=True)
    tool.add_argument("--asan", dest="tool", action="store_const", const="--asan")
    tool.add_argument("--valgrind", dest="tool", action="store_const", const="--valgrind")
    arguments = parser.parse_args()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TSLAB_")}
    if arguments.tool == "--asan":
        command = [arguments.program]
        environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=1"
        wanted = ASAN
    else:
        valgrind = shutil.which("valgrind")
        if valgrind is None:
            print("valgrind is not here")
            sys.exit(77)
        # 33: what it exits with when it found something.
        command = [valgrind, "--quiet", "--leak-check=full", "--error-exitcode=33", arguments.program]
        wanted = VALGRIND

    cases = {(place, fault): texts for fault, texts in wanted.items() for place in ("malloc", "slab")}
    cases |= {(place, fault): texts for (of, place, fault), texts in ELSEWHERE.items() if of == arguments.tool}
    wrong = []
    for (place, fault), texts in cases.items():
        answer = subprocess.run([*command, place, fault], env=environment, capture_output=True, text=True, timeout=120)
        missing = [text for text in texts if text not in answer.stderr]
        if missing or answer.returncode == 0:
            wrong.append(f"{place} {fault}: exit {answer.returncode}, without {missing}\n{answer.stderr}\n{answer.stdout}")
    for place in ("malloc", "sound"):
        answer = subprocess.run([*command, place, "none"], env=environment, capture_output=True, text=True, timeout=120)
        if answer.returncode != 0 or answer.stderr:
            wrong.append(f"{place} without a fault: exit {answer.returncode}\n{answer.stderr}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(cases)} faults are reported as those of malloc are, and a program without one is left alone")


main()
