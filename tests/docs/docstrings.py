#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Checks that no public name lacks a docstring.

Public are the names that the umbrella module lists, with the members of these types that are not private; and everything that the
headers for C and C++17 declare, macros included. A docstring is a comment of three slashes before the declaration or behind it; in a
header for C, any comment there. One before a declaration, and of a field or an enumerator also one behind it, stands for those that follow without
an empty line too; one of a function for its overloads in the same scope; one of a type for its members if none of them has one; one of a
name of the module for the same name of the header for C++17.
Declarations that say all there is, `= delete`, `= default` and inherited constructors, need none, nor do overriding functions, friends,
forward declarations, include guards, what is in a namespace `detail`, and fields that a table declares, which has a help text for each."""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "script/support"))
from declarations import declarations_in, header_files, module_files, public_names   # noqa: E402


def undocumented(declarations, wanted, where, elsewhere=frozenset(), outer=""):
    """The problems of declarations, and the names that were found, as type::member. `wanted`: the public names, or None for all;
    `elsewhere`: names that have their docstring in another file."""
    problems, names = [], set()
    group_documented, group_end = False, -1
    overloads = {one.name() for one in declarations if (one.documented or one.documented_behind) and one.is_function()}
    for one in declarations:
        if one.documented or one.documented_behind and outer and not one.is_function():
            group_documented = True
        elif one.first > group_end + 1:
            group_documented = False
        group_end = one.last
        name = one.name()
        if one.access == "private" or (wanted is not None and name not in wanted):
            continue
        names.add(outer + name)
        if not (group_documented or one.documented_behind or one.needs_none() or one.is_function() and name in overloads or outer + name in elsewhere):
            problems.append(f"{where}:{one.first}: {outer}{name} has no docstring")
        if any(member.documented or member.documented_behind for member in one.members):
            more, inner = undocumented(one.members, None, where, elsewhere, f"{outer}{name}::")
            problems += more
            names |= inner
    return problems, names


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True, help="the source tree")
    root = parser.parse_args().root
    public = public_names(root)
    problems, found = [], set()
    for path in module_files(root):
        more, names = undocumented(declarations_in(path), public, path.relative_to(root))
        problems += more
        found |= names
    problems += [f"modules/tslab.cppm: {name} is declared in no file that was looked at" for name in sorted(public - found)]
    headers = header_files(root)
    in_headers = 0
    for path in headers:
        more, names = undocumented(declarations_in(path), None, path.relative_to(root), found if path.suffix == ".hpp" else frozenset())
        problems += more
        in_headers += len(names)
    print("\n".join(problems) or f"{len(found)} public names and members of the modules, {in_headers} of {len(headers)} headers: all have docstrings")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
