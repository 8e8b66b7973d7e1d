#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of versions say the same wherever they stand: in the sources, in what packages and examples repeat, and in
docs/versioning.md; and the tests that it names exist."""
import argparse
import pathlib
import re
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True, help="the source tree")
    root = parser.parse_args().root
    problems = []

    def number(path, pattern):
        found = re.search(pattern, (root / path).read_text(encoding="utf-8"), re.MULTILINE)
        if not found:
            problems.append(f"{path}: nothing like {pattern}")
            return None
        return found[1]

    def same(what, *places):
        numbers = [(place[0], number(*place)) for place in places]
        problems.extend(f"{what}: {numbers[0][1]} in {numbers[0][0]}, {n} in {path}" for path, n in numbers[1:] if n != numbers[0][1])

    page = "docs/versioning.md"
    same("version", ("CMakeLists.txt", r"^project\(tslab VERSION (\S+)"), ("c/include/tslab/c/base.h", r'^#define TSLAB_VERSION "(.+)"'),
         (page, r"^\| version of the project \| (\S+) \|"), ("packaging/vcpkg/ports/tslab/vcpkg.json", r'"version": "(.+?)"'),
         ("packaging/conan/conanfile.py", r'^    version = "(.+)"'), ("packaging/meson/tslab.wrap", r"^directory = tslab-(\S+)"),
         ("examples/python/heap_statistics.py", r'^ABI, VERSION = \d+, b"(.+)"'))
    same("ABI", ("c/include/tslab/c/base.h", r"^#define TSLAB_ABI (\d+)"), ("c/CMakeLists.txt", r"SOVERSION (\d+)"), ("c/libtslab.map", r"^TSLAB_(\d+) \{"),
         ("c/include/tslab/cpp/base.hpp", r"namespace v(\d+)"), ("cmake/packages.cmake", r"PACKAGE_NAME libtslab(\d+)"),
         (page, r"^\| ABI of `libtslab.so` \| (\d+) \|"), (page, r"`libtslab\.so\.(\d+)`"), (page, r"`TSLAB_(\d+)`"), (page, r"`libtslab(\d+)`"),
         (page, r"`tslab::v(\d+)`"), ("examples/python/heap_statistics.py", r"^ABI, VERSION = (\d+)"), ("docs/c.md", r"`libtslab\.so\.(\d+)`"))
    same("format of the segment", ("modules/slab/segment/segment.hpp", r"format_number = (\d+);"), (page, r"^\| format of a published segment \| (\d+) \|"),
         ("docs/observing.md", r"whose `format` is (\d+)"))
    same("schema", ("modules/stats/snapshot.hpp", r"schema_version = (\d+);"), ("c/include/tslab/cpp/snapshot.hpp", r"schema_version = (\d+);"),
         (page, r"^\| schema of the JSON \| (\d+) \|"), ("docs/schema/stats-v1.schema.json", r'"schema_version": \{"const": (\d+)\}'))
    same("minor version for CMake", ("CMakeLists.txt", r"^project\(tslab VERSION (\d+\.\d+)"), (page, r"`find_package\(tslab (\S+)\)`"))

    text = (root / page).read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in root.glob("tests/**/*") if path.suffix in (".cpp", ".py"))
    cases = re.findall(r"`((?:test_)?[a-z]+(?:_[a-z]+){2,})`", "\n".join(line.rsplit("|", 2)[-2] for line in text.splitlines() if line.startswith("| ")))
    cases = [case for case in cases if not re.match(r"(inspect|lifecycle|monitoring|tools|package|docs)_", case)]
    problems += [f"{page}: there is no case {case}" for case in cases if not re.search(rf"\b{case}\b", tests)]
    if len(cases) < 8:
        problems.append(f"{page}: {len(cases)} cases are named; is this test looking at the right text?")
    print("\n".join(problems) or f"versions agree; {len(cases)} cases of {page} exist")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
