#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The ways in, by compiler and standard: each cell of the tables in docs/c.md compiles programs of programs/ and runs them. A compiler that
is not installed is named, and its cells are skipped: the exit status is 77. Fails if the page shows other cells than are tried."""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
C = {"gcc-12": "c11 c17 c2x", "gcc-14": "c11 c17 c23", "clang-14": "c11 c17 c2x", "clang-19": "c11 c17 c23"}
CPP = {"g++-12": "c++17 c++20 c++23", "g++-14": "c++17 c++20 c++23", "clang++-14": "c++17 c++20 c++2b", "clang++-19": "c++17 c++20 c++23"}
OF_BOTH = ["temporal.c", "temporal_stats.c"]   # texts of C that are texts of C++ too
OF_C = ["interface.c", "parts.c"]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


class Failure(Exception):
    pass


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}\n  exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def libstdcxx(compiler):
    """The version of GCC whose libstdc++ a compiler links statically, or nothing if it finds none."""
    archive = pathlib.Path(run(compiler, "-print-file-name=libstdc++.a").strip())
    return int(archive.resolve().parent.name) if archive.is_absolute() else None


def expect_ok(program):
    if (said := run(program)) != "all as it should be\n":
        raise Failure(f"{program} said {said!r}")


class Matrix:
    def __init__(self, args, directory):
        self.args, self.out = args, directory
        self.here = pathlib.Path(__file__).resolve().parent / "programs"
        self.library = pathlib.Path(args.shared)
        self.link = [f"-L{self.library.parent}", "-ltslab", f"-Wl,-rpath,{self.library.parent}", "-pthread"]

    def program(self, compiler, flags, source, link=None):
        program = self.out / source.split(".")[0]
        run(compiler, *flags, *WARNINGS, "-O1", f"-I{self.args.include}", self.here / source, "-o", program,
            *(self.link if link is None else link))
        expect_ok(program)

    def programs(self, compiler, flags, sources):
        for source in sources:
            self.program(compiler, flags, source)

    def cells(self, compiler):
        """(way in, standard, what to do) of each cell of a compiler's column in docs/c.md."""
        if compiler in C:
            for standard in C[compiler].split():
                flags = [f"-std={standard}"]
                yield "`<tslab/tslab.h>`, `libtslab.so`", standard, lambda f=flags: self.programs(compiler, f, OF_C)
                yield "`<tslab/temporal_slab.h>`, `libtslab.so`", standard, lambda f=flags: self.programs(compiler, f, OF_BOTH)
            static = [self.args.static, "-lstdc++", "-lm", "-pthread"]
            yield "`<tslab/tslab.h>`, `libtslab.a`", "c11", lambda: self.program(compiler, ["-std=c11"], "interface.c", static)
            yield "the same, linked with `-static`", "c11", lambda: self.wholly_static(compiler, static)
            yield "headers of another ABI: refused", "c11", lambda: self.another_abi(compiler)
            return
        for standard in CPP[compiler].split():
            flags = [f"-std={standard}"]
            yield "`<tslab/tslab.hpp>`, `libtslab.so`", standard, lambda f=flags: self.program(compiler, f, "names.cpp")
            yield "the same with `-fno-rtti`", standard, lambda f=flags: self.program(compiler, [*f, "-fno-rtti"], "names.cpp")
            yield "the same with `-fno-exceptions -fno-rtti`", standard, lambda f=flags: self.program(
                compiler, [*f, "-fno-exceptions", "-fno-rtti"], "quiet.cpp")
            yield "`<tslab/temporal_slab.h>`, `libtslab.so`", standard, lambda f=flags: self.programs(compiler, [*f, "-x", "c++"], OF_BOTH)
            yield "`<tslab/tslab.hpp>`, linked with a file that imports the module", standard, lambda s=standard: self.mixed(compiler, s)
        yield "`<tslab/tslab.hpp>`, `libtslab.a`", "c++17", lambda: self.program(
            compiler, ["-std=c++17"], "names.cpp", [self.args.static, "-pthread"])

    def wholly_static(self, compiler, link):
        """Nothing shared. An archive cannot be linked against an older libstdc++ than the one it was compiled with."""
        theirs, ours = libstdcxx(compiler), libstdcxx(self.args.library_compiler)
        if theirs is None or theirs < ours:
            return f"left out: its libstdc++.a is GCC {theirs}'s, the library was compiled with GCC {ours}'s"
        return self.program(compiler, ["-std=c11", "-static"], "interface.c", link)

    def mixed(self, compiler, standard):
        """This compiler's file with the header, and the file with the module, linked by this compiler."""
        program = self.out / "mixed"
        run(compiler, f"-std={standard}", *WARNINGS, "-O1", f"-I{self.args.include}", "-c", self.here / "mixed_header.cpp", "-o",
            self.out / "mixed.o")
        run(compiler, self.out / "mixed.o", *self.args.module_object, *self.args.archives, "-pthread", "-o", program)
        expect_ok(program)

    def another_abi(self, compiler):
        """A program whose headers have another ABI gets no heap, and both versions are named."""
        headers = self.out / "other"
        shutil.rmtree(headers, ignore_errors=True)
        shutil.copytree(self.args.include, headers)
        base = headers / "tslab/c/base.h"
        text = base.read_text()
        changed = re.sub(r"#define TSLAB_VERSION .*", '#define TSLAB_VERSION "9.9.9"', re.sub(r"#define TSLAB_ABI \d+", "#define TSLAB_ABI 9", text))
        if changed == text:
            raise Failure("base.h has neither version")
        base.write_text(changed)
        source = self.out / "other.c"
        source.write_text('#include <stdio.h>\n#include <tslab/tslab.h>\nint main(void)\n{\n    tslab_failure why;\n'
                          '    tslab_heap* const heap = tslab_heap_create(NULL, &why);\n'
                          '    puts(why.text);\n    return heap != NULL || why.status != TSLAB_ABI_MISMATCH;\n}\n')
        run(compiler, "-std=c11", *WARNINGS, f"-I{headers}", source, "-o", self.out / "other_abi", *self.link)
        said = run(self.out / "other_abi")
        if not re.search(r"headers of tslab 9\.9\.9, ABI 9, but the library is tslab \d+\.\d+\.\d+, ABI 0", said):
            raise Failure(f"said {said!r}")


def column(page, compiler):
    """A compiler's column of the tables in a page: standards by way in."""
    found, index = {}, None
    for line in page.splitlines():
        fields = [field.strip() for field in line.strip("|").split("|")]
        if not line.startswith("|"):
            index = None
        elif compiler in fields:
            index = fields.index(compiler)
        elif index is not None and not fields[0].startswith("---"):
            found[fields[0]] = fields[index]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", required=True, help="the compiler")
    parser.add_argument("--page", type=pathlib.Path, required=True, help="docs/c.md, whose tables have the cells")
    parser.add_argument("--library-compiler", required=True, help="the compiler of the library")
    parser.add_argument("--include", required=True)
    parser.add_argument("--shared", required=True)
    parser.add_argument("--static", required=True)
    parser.add_argument("--module-object", nargs="+", required=True)
    parser.add_argument("--archives", nargs="+", required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        cells = list(Matrix(args, pathlib.Path(directory)).cells(args.row))
        ways = {}
        for way, standard, _ in cells:
            ways[way] = f"{ways.get(way, '')} {standard}".strip()
        if (shown := column(args.page.read_text(encoding="utf-8"), args.row)) != ways:
            sys.exit(f"{args.page} shows for {args.row}\n{shown}\nbut the test has\n{ways}")
        if shutil.which(args.row) is None:
            print(f"skipped: {args.row} is not installed")
            sys.exit(SKIPPED)
        failed = 0
        for way, standard, cell in cells:
            try:
                print(f"{args.row} {standard}, {way}: {cell() or 'ran'}")
            except Failure as e:
                failed += 1
                print(f"{args.row} {standard}, {way}: FAILED\n{e}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
