#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Compares what is said of the statistics in three places: the reference, the JSON Schema and the JSON itself.

The reference has a section "## `object`" for each object, and in it tables whose rows are one field each:
| `name` | type | unit | kind | what it is for | healthy | outside it |
Every field must be in all three places. Its type, and whether it may be absent, must agree with the schema, its kind with
the lists of fields in the code.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

import stats_documents

HEADER = ["field", "type", "unit", "kind", "what it is for", "healthy", "outside it"]


def read_reference(text):
    """Object -> field -> (type, kind), and what does not follow the form."""
    fields, faults, includes, current = {}, [], {}, None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            heading = re.match(r"## `(\w+)`", line)
            current = heading.group(1) if heading else None
            if current:
                fields[current] = {}
                if also := re.search(r"has the fields of `(\w+)` too", line):
                    includes[current] = also.group(1)
        elif current and line.startswith("|") and not line.startswith("| ---"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if cells == HEADER:
                continue
            name = re.fullmatch(r"`(\w+)`", cells[0])
            if len(cells) != len(HEADER) or not name or not (cells[3] or cells[1].startswith(("array", "object"))):
                faults.append(f"reference, line {number}: not a row of {len(HEADER)} cells that begins with a field")
            elif not cells[4] or not cells[5] or not cells[6]:
                faults.append(f"reference, line {number}: an empty cell; a dash says that there is nothing to say")
            elif name.group(1) in fields[current]:
                faults.append(f"reference, line {number}: {name.group(1)} is there twice")
            else:
                fields[current][name.group(1)] = (cells[1], cells[3])
    for name, other in includes.items():
        fields[name] = {**fields[name], **fields[other]}
    return fields, faults


class Schema:
    def __init__(self, root):
        self.root = root

    def definition(self, name):
        return self.root if name == "snapshot" else self.root["$defs"][name]

    def fields(self, definition):
        """Field -> type as the reference writes it."""
        fields = {}
        if "$ref" in definition:
            fields.update(self.fields(self.definition(definition["$ref"].rpartition("/")[2])))
        required = definition.get("required", [])
        for name, value in definition["properties"].items():
            fields[name] = self.type_of(value) + ("" if name in required else "?")
        return fields

    def type_of(self, value):
        if "oneOf" in value:
            return " or ".join(self.type_of(one) for one in value["oneOf"])
        if "$ref" in value:
            name = value["$ref"].rpartition("/")[2]
            return name if name in ("u32", "u64", "i64", "number") else self.type_of(self.root["$defs"][name])
        if "const" in value or "enum" in value:
            one = value.get("const", value.get("enum", [None])[0])
            return "string" if isinstance(one, str) else "u32"
        return {"boolean": "bool"}.get(value["type"], value["type"])


def compare(what, expected, found, failures):
    for name in sorted(set(expected) | set(found)):
        if name not in expected:
            failures.append(f"{what}: {name} is not in the reference")
        elif name not in found:
            failures.append(f"{what}: {name} is in the reference only")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=pathlib.Path, required=True)
    parser.add_argument("--schema", type=pathlib.Path, required=True)
    parser.add_argument("--program", required=True, help="prints snapshots, see print_snapshots.cpp")
    arguments = parser.parse_args()

    reference, failures = read_reference(arguments.reference.read_text(encoding="utf-8"))
    schema = Schema(json.loads(arguments.schema.read_text(encoding="utf-8")))
    documents = stats_documents.snapshots(arguments.program)
    kinds = [line.split() for line in subprocess.run([arguments.program, "kinds"], check=True, capture_output=True,
                                                     text=True).stdout.splitlines()]
    compare("objects", reference, stats_documents.OBJECTS, failures)

    for name in stats_documents.OBJECTS:
        expected = reference.get(name, {})
        in_schema = schema.fields(schema.definition(name))
        compare(f"schema, {name}", expected, in_schema, failures)
        for field in expected.keys() & in_schema.keys():
            if expected[field][0] != in_schema[field]:
                failures.append(f"{name}.{field}: {expected[field][0]} in the reference, {in_schema[field]} in the schema")
        # Every optional field is in the filled document; no document has a field of its own.
        everywhere = stats_documents.instances(documents["filled"], name)
        compare(f"JSON, {name}", expected, set.intersection(*map(set, everywhere)) if everywhere else set(), failures)
        for title, document in documents.items():
            for found in stats_documents.instances(document, name):
                for field in found.keys() - expected.keys():
                    failures.append(f"snapshot `{title}`, {name}: {field} is not in the reference")

    for name, field, kind in kinds:
        said = reference.get(name, {}).get(field, ("", "nothing"))[1]
        if said != kind and (said, kind) != ("estimate", "derived"):
            failures.append(f"{name}.{field}: {said} in the reference, {kind} in the code")

    if failures:
        sys.exit("\n".join(dict.fromkeys(failures)))
    print(f"{sum(map(len, reference.values()))} fields of {len(reference)} objects agree")


if __name__ == "__main__":
    main()
