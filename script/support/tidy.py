#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy over C++ files, many in one translation unit. Prints the findings; exits 1 if there are any.

usage: tidy.py BUILD_DIRECTORY FILE...

clang-tidy visits the standard library's headers anew in every translation unit, and in every compiled module interface that it
imports: 10 to 40 seconds for a file of 100 lines. So files of one top folder that are compiled with the same flags become one unit.
Each is copied to BUILD_DIRECTORY/tidy, line for line, without what stands at the head of the unit: units.py. Files that do not compile
together are looked at in smaller units.

A header is looked at in the first unit that includes it. A unit without findings is not looked at again until one of its files, any
header or interface unit, its flags or .clang-tidy change. A file that the build directory does not compile gets the flags of another
one of its top folder.
"""
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import units
from units import ROOT, Source

HEADERS = r"((modules|pmr|examples|tests|perf|tools)/|c/[^/]*\.hpp$|c/include/.*\.hpp$)"   # those of C are not C++

FILES_IN_UNIT = 40
FINDING = re.compile(r"^(\S+?):\d+:\d+: (?:error|warning|fatal error): ")
COMPILER_ERROR = "[clang-diagnostic-error"


class Unit:
    def __init__(self, name, flags, sources):
        self.name, self.flags, self.sources = name, flags, sources

    def write(self, directory):
        """Returns the path of the unit. A file that is alone in it stays as it is."""
        if len(self.sources) == 1:
            return ROOT / self.sources[0].path

        def copied(source):
            copy = directory / source.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(source.body)
            return f'#include "{copy}"'

        path = directory / f"{self.name}.cpp"
        path.write_text(units.text_of_unit(self.sources, copied))
        return path

    def parts(self, at_fault):
        """Two smaller units: the files that compiler errors stand in, and the others."""
        apart = [source for source in self.sources if source.path in at_fault]
        others = [source for source in self.sources if source.path not in at_fault]
        if not apart or not others:
            half = len(self.sources) // 2
            apart, others = self.sources[:half], self.sources[half:]
        return Unit(f"{self.name}a", self.flags, others), Unit(f"{self.name}b", self.flags, apart)

    def digest(self, headers):
        state = hashlib.sha256(f"{headers} {self.flags}".encode())
        for source in self.sources:
            state.update(f"{source.path}\n".encode() + (ROOT / source.path).read_bytes())
        return state.hexdigest()[:32]


def flags_of(entry):
    """The flags of a command that matter for reading: without the output, the precompiled header, the module map."""
    words, flags = iter(shlex.split(entry["command"])[1:]), []
    for word in words:
        if word == "-o":
            next(words)
        elif word == "-Xclang":
            option, _, value = next(words), next(words), next(words)
            if option == "-include":
                flags += ["-include", value]
        elif not word.startswith(("@", "-W", "-g")) and word not in ("-c", entry["file"]):
            flags.append(word)
    return flags


def is_of_second_copy(entry):
    """Whether it is of the library's second copy, for the scheduler's tests."""
    return "-DTSLAB_SCHEDULED" in entry["command"]


class Database:
    """What the build directory compiles: the command of each file, and the interfaces of modules."""

    def __init__(self, build):
        self.commands = {}      # by path; of the library its first copy
        self.interfaces = {}    # (of the second copy, module): (compiled interface, object)
        self.used = set()       # of the interfaces
        self.build = build
        for entry in json.loads((build / "compile_commands.json").read_text()):
            path = os.path.relpath(entry["file"], ROOT)
            if path.startswith(("..", "build/")):
                continue
            if path not in self.commands or is_of_second_copy(self.commands[path]):
                self.commands[path] = entry
            if path.endswith(".cppm"):
                module = re.search(r"^export module ([\w.]+);", (ROOT / path).read_text(), re.MULTILINE)[1]
                folder = entry["output"].partition(".dir/")[0]
                self.interfaces[is_of_second_copy(entry), module] = f"{folder}.dir/{module}.pcm", entry["output"]

    def flags(self, path):
        entry = self.commands.get(path) or next(
            (entry for at, entry in self.commands.items() if at.split("/")[0] == path.split("/")[0]), None)
        if entry is None:
            return None
        second = is_of_second_copy(entry)
        self.used |= {key for key in self.interfaces if key[0] == second}
        maps = [f"-fmodule-file={module}={self.build / compiled}" for (of_second, module), (compiled, _) in self.interfaces.items()
                if of_second == second]
        kind = ["-x", "c++-module"] if path.endswith(".cppm") else []
        return (*flags_of(entry), *maps, *kind, "-w", "-ferror-limit=0")

    def includer_of(self, header):
        """A file that includes the header: its folder's first."""
        name = re.compile(rf'^#include "([\w./]*/)?{re.escape(os.path.basename(header))}"', re.MULTILINE)
        folder = os.path.dirname(header)
        near_first = sorted(self.commands, key=lambda path: (os.path.dirname(path) != folder, not path.endswith(".cppm"), path))
        return next((path for path in near_first if name.search((ROOT / path).read_text())), None)


def units_of(files, database):
    wanted = dict.fromkeys(database.includer_of(path) if path.endswith(".hpp") else path for path in files)
    groups = collections.defaultdict(list)
    for path in wanted:
        flags = database.flags(path) if path else None
        if flags:
            source = Source(path)
            groups[path.split("/")[0], source.module, flags, path if source.is_interface else ""].append(source)
    found = []
    for (folder, _, flags, _), sources in groups.items():
        count = -(-len(sources) // FILES_IN_UNIT)
        for i in range(count):
            found.append(Unit(f"{folder}_{len(found)}", flags, sources[i::count]))
    return sorted(found, key=lambda unit: -sum(len(source.body) for source in unit.sources))   # the longest first


def findings(unit, directory):
    """The texts that clang-tidy writes about a unit."""
    path = unit.write(directory)
    checks = ["--checks=-bugprone-suspicious-include"] if len(unit.sources) > 1 else []   # a unit includes .cpp files
    done = subprocess.run(["clang-tidy-19", "--quiet", f"--header-filter=^{ROOT}/{HEADERS}", *checks, path, "--", *unit.flags],
                          cwd=directory.parent, capture_output=True, text=True, check=False)
    output = done.stdout.replace(f"{directory}/", f"{ROOT}/")
    if len(unit.sources) > 1 and COMPILER_ERROR in output:
        at_fault = {os.path.relpath(line.partition(":")[0], ROOT) for line in output.splitlines() if COMPILER_ERROR in line}
        return [text for part in unit.parts(at_fault) for text in findings(part, directory)]
    if done.returncode != 0 and not output:
        output = done.stderr
    return [output] if done.returncode != 0 else []


def each_once(texts):
    """The lines of all findings. One in a header is in the text of every unit that includes it."""
    seen, shown = set(), True
    for text in texts:
        for line in text.splitlines():
            if FINDING.match(line):
                shown = line not in seen
                seen.add(line)
            if shown:
                yield line


def digest_of_headers():
    """Of everything that is not a source and changes what is found in one."""
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.hpp", "*.cppm", "*.def", ".clang-tidy", "script/support/tidy.py",
                            "script/support/units.py"],
                           cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    state = hashlib.sha256()
    for name in sorted(filter(None, names)):
        if (ROOT / name).exists():
            state.update(f"{name}\n".encode() + (ROOT / name).read_bytes())
    return state.hexdigest()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    build = pathlib.Path(sys.argv[1]).resolve()
    directory, passed = build / "tidy", build / "tidy/passed"
    passed.mkdir(parents=True, exist_ok=True)
    database = Database(build)
    headers = digest_of_headers()
    wanted = units_of(sys.argv[2:], database)
    left = [unit for unit in wanted if not (passed / unit.digest(headers)).exists()]
    if left:
        objects = [database.interfaces[key][1] for key in sorted(database.used)]
        built = subprocess.run(["ninja", "-C", build, *objects], capture_output=True, text=True, check=False)
        if built.returncode != 0:
            sys.exit(built.stdout[-4000:] + built.stderr)

    def examine(unit):
        texts = findings(unit, directory)
        if not texts:
            (passed / unit.digest(headers)).touch()
        return texts

    found = False
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for line in each_once(text for of_unit in pool.map(examine, left) for text in of_unit):
            print(line, flush=True)
            found = True
    files = sum(len(unit.sources) for unit in wanted)
    print(f"{files} files in {len(wanted)} units, {len(wanted) - len(left)} of them unchanged since they passed", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
