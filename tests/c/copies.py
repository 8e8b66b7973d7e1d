#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Several copies of the library in one process, by the header: a host with libtslab.so, and plug-ins of which one has libtslab.a inside.
The functions of the header must not be exported, else one binary's would serve another one's heaps. Exit status 77: no such compiler."""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
# Symbols of the header; templates of the standard library that have its types as arguments are not.
OURS = re.compile(r"_Z(T[VIS]|GV|Z)?N?K?(5tslab|\d+tslab_|(eq|ne)10tslab_text)")
# What is exported all the same: what is one thing for the process, the compiler's own members of plain data, and, by Clang, which
# passes over the attribute there, templates in stl_allocator. The latter two call nothing of the library.
SHARED = re.compile(r"(vtable|typeinfo|typeinfo name) for tslab::|tslab::(epoch_closed|over_limit)::")
PLAIN = re.compile(r"tslab::v0::(\w+_options|snapshot|epoch_stats|leak|leak::(?:\{unnamed type#1\}|'unnamed')|misuse_report)::(~?\w*\(|operator=\()")
OF_CLANG = re.compile(r"tslab::v0::stl_allocator<.*>::stl_allocator<.*>\(|bool tslab::v0::(stl_allocator<.*>::is_as|operator==)<")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n  exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Copies:
    def __init__(self, args, out):
        self.args, self.out = args, out
        self.programs = pathlib.Path(__file__).resolve().parent / "programs"
        library = pathlib.Path(args.shared)
        self.shared = [f"-L{library.parent}", "-ltslab", f"-Wl,-rpath,{library.parent}", "-pthread", "-ldl"]
        self.archive = [args.static, "-pthread", "-Wl,-z,nodelete", "-Wl,--exclude-libs,ALL"]

    def build(self, name, source, *flags):
        run(self.args.compiler, "-std=c++17", *WARNINGS, f"-I{self.args.include}", self.programs / source, "-o", self.out / name, *flags)
        return self.out / name

    def plugin(self, name, *flags):
        return self.build(name, "copies/plugin.cpp", "-fPIC", "-shared", *flags)

    def exported(self):
        """No function of the header is exported by a program that exports all it has, and in which nothing was inlined."""
        program = self.build("names", "names.cpp", "-O0", "-Wno-error", "-rdynamic", *self.shared)
        mangled, names = (self.dynamic(program, *options) for options in ((), ("-C",)))
        ours = [name for symbol, name in zip(mangled, names, strict=True) if OURS.match(symbol)]
        if not any("epoch_closed" in name for name in ours):
            sys.exit("the program does not export what it has")
        if wrong := [name for name in ours if not any(kind.match(name) for kind in (SHARED, PLAIN, OF_CLANG))]:
            sys.exit("\n".join(["exported by a program that uses the header:", *wrong]))

    def dynamic(self, program, *options):
        lines = run(self.args.nm, "-Dp", "--defined-only", *options, program).splitlines()
        return [line.split(maxsplit=2)[2] for line in lines]

    def process(self, host, scope, plugins):
        """Runs the host; a reader sees its heap and each plug-in's while they live."""
        with subprocess.Popen([host, scope, *plugins], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            pid = process.stdout.readline()
            heaps = subprocess.run([self.args.tool, "stats", pid.strip()], capture_output=True, text=True, timeout=60)
            said, _ = process.communicate("\n", timeout=300)
        if process.returncode != 0 or said != "all as it should be\n":
            sys.exit(f"{host.name} {scope} with {[p.name for p in plugins]}: exit {process.returncode}\n{pid}{said}")
        for heap in ["host", *(f"plug-in {i}" for i in range(len(plugins)))]:
            if heap not in heaps.stdout:
                sys.exit(f"the heap {heap!r} is not seen:\n{heaps.stdout}{heaps.stderr}")

    def all(self):
        self.exported()
        for level in ("-O0", "-O2"):
            inside = self.plugin(f"inside{level}.so", level, *self.archive)
            other = self.plugin(f"other{level}.so", level, *self.shared)
            exporting = self.build(f"exporting{level}", "copies/host.cpp", level, "-rdynamic", *self.shared)
            self.process(exporting, "local", [inside])
            plain = self.build(f"plain{level}", "copies/host.cpp", level, *self.shared)
            self.process(plain, "global", [other, inside])
        templates = ["-O0", "-DTHROUGH_TEMPLATES"]
        inside = self.plugin("templates.so", *templates, *self.archive, "-Wl,-Bsymbolic-functions")
        self.process(self.build("templates", "copies/host.cpp", *templates, "-rdynamic", *self.shared), "local", [inside])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("compiler", "include", "shared", "static", "nm", "tool"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    if shutil.which(args.compiler) is None:
        print(f"skipped: {args.compiler} is not installed")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as directory:
        Copies(args, pathlib.Path(directory)).all()


if __name__ == "__main__":
    main()
