#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The ways in, by compiler and standard: each cell compiles a program of programs/ and runs it. A compiler that is not installed is
named, and its cells are skipped. With --row one compiler's cells run: the exit status is 77 if it is not installed."""
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
OF_C = ["interface.c", "parts.c", *OF_BOTH]
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

    def program(self, compiler, flags, source, name, link=None):
        program = self.out / name
        run(compiler, *flags, *WARNINGS, "-O1", f"-I{self.args.include}", self.here / source, "-o", program,
            *(self.link if link is None else link))
        expect_ok(program)

    def cells(self, compiler):
        """(name, what to do) of each cell of a compiler's row."""
        if compiler in C:
            for standard in C[compiler].split():
                for source in OF_C:
                    yield f"{standard} {source}", lambda s=standard, f=source: self.program(compiler, [f"-std={s}"], f, f[:-2])
            static = [self.args.static, "-lstdc++", "-lm", "-pthread"]
            yield "c11 static", lambda: self.program(compiler, ["-std=c11"], "interface.c", "interface", static)
            yield "c11 -static", lambda: self.wholly_static(compiler, static)
            yield "another ABI", lambda: self.another_abi(compiler)
            return
        for standard in CPP[compiler].split():
            for more in ([], ["-fno-rtti"]):
                yield " ".join([standard, *more]), lambda s=standard, m=more: self.program(
                    compiler, [f"-std={s}", *m], "names.cpp", "names")
            yield f"{standard} -fno-exceptions -fno-rtti", lambda s=standard: self.program(
                compiler, [f"-std={s}", "-fno-exceptions", "-fno-rtti"], "quiet.cpp", "quiet")
            for source in OF_BOTH:
                yield f"{standard} {source}", lambda s=standard, f=source: self.program(
                    compiler, [f"-std={s}", "-x", "c++"], f, f[:-2])
            yield f"{standard} with the module", lambda s=standard: self.mixed(compiler, s)
        yield "c++17 static", lambda: self.program(
            compiler, ["-std=c++17"], "names.cpp", "names", [self.args.static, "-pthread"])

    def wholly_static(self, compiler, link):
        """Nothing shared. An archive cannot be linked against an older libstdc++ than the one it was compiled with."""
        theirs, ours = libstdcxx(compiler), libstdcxx(self.args.library_compiler)
        if theirs is None or theirs < ours:
            return f"left out: its libstdc++.a is GCC {theirs}'s, the library was compiled with GCC {ours}'s"
        return self.program(compiler, ["-std=c11", "-static"], "interface.c", "interface", link)

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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", required=True, help="the compiler")
    parser.add_argument("--library-compiler", required=True, help="the compiler of the library")
    parser.add_argument("--include", required=True)
    parser.add_argument("--shared", required=True)
    parser.add_argument("--static", required=True)
    parser.add_argument("--module-object", nargs="+", required=True)
    parser.add_argument("--archives", nargs="+", required=True)
    args = parser.parse_args()
    if shutil.which(args.row) is None:
        print(f"skipped: {args.row} is not installed")
        sys.exit(SKIPPED)
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, cell in Matrix(args, pathlib.Path(directory)).cells(args.row):
            try:
                print(f"{args.row} {name}: {cell() or 'ran'}")
            except Failure as e:
                failed += 1
                print(f"{args.row} {name}: FAILED\n{e}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
