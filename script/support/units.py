#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Writes one translation unit that has the text of several C++ files: bodies of one module, or files that import modules.

usage: units.py UNIT FILE...

#includes, imports and the module declaration stand once at the head of the unit; of each file the rest follows, line for line. A file
that opens no namespace but unnamed ones is put into a namespace of its own, so that helpers may share a name.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Source:
    """A file: the lines that must stand at the head of a unit, and the rest."""

    def __init__(self, path):
        self.path = path
        self.is_interface = path.endswith(".cppm")
        self.module = None
        self.includes, self.conditions, self.imports, self.fragments = [], [], [], []   # a fragment belongs to the module's purview
        body, depth, in_global_fragment = [], 0, False
        text = (ROOT / path).read_text()
        for line in text.splitlines():
            depth += bool(re.match(r"\s*#\s*if", line)) - bool(re.match(r"\s*#\s*endif", line))
            include = re.match(r'#include (<[^>]+>|"([^"]+)")', line)
            if include and depth == 0:
                beside = (ROOT / path).parent / (include[2] or "")
                name = f'"{beside.resolve()}"' if include[2] and beside.exists() else include[1]
                (self.fragments if self.module else self.includes).append(f"#include {name}")
            elif line == "module;":
                in_global_fragment = True
            elif declaration := re.match(r"module (tslab[\w.]*);", line):
                self.module, in_global_fragment = declaration[1], False
            elif imported := re.match(r"import [\w.]+;", line):
                self.imports.append(imported[0])
            elif in_global_fragment:
                self.conditions.append(line)   # what is included and defined conditionally
            elif not line.startswith("#define BOOST_TEST_MODULE "):
                body.append(line)
                continue
            body.append("")
        self.body = "\n".join(body) + "\n"
        self.can_be_wrapped = not self.module and not re.search(
            r'^(inline )?namespace \w|^template <>|^extern "C|^(\[\[.*\]\] )?void\*? operator ', text, re.MULTILINE)


def text_of_unit(sources, body_of):
    """The text of a unit. `body_of(source)` is what stands in it for the source's body."""
    def lines(of):
        return list(dict.fromkeys(line for source in sources for line in of(source)))

    module = sources[0].module
    text = [*(["module;"] if module else []), *lines(lambda source: source.includes),
            *(line for source in sources for line in source.conditions), *([f"module {module};"] if module else []),
            *lines(lambda source: source.imports), *lines(lambda source: source.fragments)]
    for source in sources:
        name = re.sub(r"\W", "_", pathlib.Path(source.path).stem)
        text += [f"namespace unit_of_{name} {{", body_of(source), "}"] if source.can_be_wrapped else [body_of(source)]
    return "\n".join(text) + "\n"


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    sources = [Source(str(pathlib.Path(path).resolve().relative_to(ROOT))) for path in sys.argv[2:]]
    modules = {source.module for source in sources}
    if len(modules) > 1:
        sys.exit(f"units.py: files of different modules do not fit into one unit: {', '.join(sorted(map(str, modules)))}")
    pathlib.Path(sys.argv[1]).write_text(text_of_unit(sources, lambda source: f'#line 1 "{ROOT / source.path}"\n{source.body}'))


if __name__ == "__main__":
    main()
