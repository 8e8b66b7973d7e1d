#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Holds the reference, the JSON Schema and the JSON of the statistics to the table of figures (modules/stats/figures.def).

The reference has a section "## `object`" for each object, and in it tables whose rows are one field each:
| `name` | type | unit | kind | what it is for | healthy | outside it |
Every field must be in all places. Name, type, unit and kind of a figure, and whether it may be absent, must be those of
the table; what is no figure must have the same type in the reference and in the schema.

The section "## The same in C++" has a row | in | `field` | `member` | for each figure whose member is called otherwise than by its
rule.

--write adds to the schema the figures of the table that it lacks, each behind the one before it in the table.
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
    """Object -> field -> (type, unit, kind), and what does not follow the form."""
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
                fields[current][name.group(1)] = (cells[1], cells[2], cells[3])
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


def read_table(program):
    """(object, name) -> (type, unit, kind) of every figure, in the order of the table."""
    lines = subprocess.run([program, "table"], check=True, capture_output=True, text=True).stdout.splitlines()
    return {(obj, name): (kind_of_value, unit, kind)
            for obj, name, kind_of_value, unit, kind in (line.split("\t") for line in lines)}


def against_table(table, reference, schema):
    """What the reference and the schema say of a figure, and the table does not."""
    for (obj, name), expected in table.items():
        for what, found, wanted in zip(("type", "unit", "kind"), reference.get(obj, {}).get(name, ("nothing",) * 3), expected):
            if found != wanted:
                yield f"{obj}.{name}: {what} is '{found}' in the reference, '{wanted}' in the table"
        found = schema.fields(schema.definition(obj)).get(name, "nothing")
        if found != expected[0]:
            yield f"{obj}.{name}: type is '{found}' in the schema, '{expected[0]}' in the table; --write adds what is missing"


def renamed_members(folder):
    """(field, member) of every figure whose member in C++ does not follow the rule that the reference gives."""
    places = {"FIGURE": (1, 2), "COUNTED": (0, 2), "SUMMED": (0, 1), "CLASS_SUM": (0, 2), "PART": (0, 1)}
    for table in ("figures.def", "phase_figures.def"):
        for kind, rest in re.findall(r"^TSLAB_(\w+)\((.*)", (folder / table).read_text(encoding="utf-8"), re.M):
            if kind not in places:
                continue
            cells = [cell.strip() for cell in rest.split(",")]
            member, field = (cells[at] for at in places[kind])
            by_rule = (field, field.removeprefix("total_"), f"contention.{field}")
            if member not in by_rule and member.replace(".", "_") != field:
                yield field, member


def against_members(text, figures):
    """What the section about C++ lacks, and what it has too much."""
    section = text.partition("## The same in C++")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| [^|]+ \| `(\w+)` \| `([\w.]+)` \|$", section, re.M))
    for field, member in sorted(told ^ set(renamed_members(figures))):
        what = "stands in the reference only" if (field, member) in told else "is not in the reference"
        yield f"The same in C++: {field} as {member} {what}"


def schema_type(name, figure_type):
    """A property of the schema for a figure of that name and type."""
    plain = figure_type.rstrip("?")
    if name.endswith("_by_label"):
        return '{"$ref": "#/$defs/by_label"}'
    if plain.endswith(" or null"):
        return '{"oneOf": [{"$ref": "#/$defs/%s"}, {"type": "null"}]}' % plain.removesuffix(" or null")
    named = {"string": '{"type": "string"}', "bool": '{"type": "boolean"}', "array": '{"$ref": "#/$defs/histogram"}'}
    return named.get(plain, '{"$ref": "#/$defs/%s"}' % plain)


def complete(text, table):
    """The text of the schema with the figures that it lacks."""
    behind = {}
    for (obj, name), (figure_type, _, _) in table.items():
        inherited = obj == "thread" and ("sampled", name) in table
        schema = Schema(json.loads(text))
        if name not in schema.fields(schema.definition(obj)) and not inherited:
            begin = 0 if obj == "snapshot" else re.search(rf'^    "{obj}": {{$', text, re.M).start()
            before = behind[obj]
            at = text.index('"properties": {', begin)
            line = re.compile(rf'^( +)"{before}": .*$', re.M).search(text, at)
            added = f'{line.group(1)}"{name}": {schema_type(name, figure_type)}'
            if line.group(0).endswith(","):
                text = f"{text[:line.end()]}\n{added},{text[line.end():]}"
            else:
                text = f"{text[:line.end()]},\n{added}{text[line.end():]}"
            if not figure_type.endswith("?"):
                needed = text.index(f'"{before}"', text.index('"required": [', begin)) + len(before) + 2
                text = f'{text[:needed]}, "{name}"{text[needed:]}'
        if not inherited:
            behind[obj] = name
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=pathlib.Path, required=True)
    parser.add_argument("--schema", type=pathlib.Path, required=True)
    parser.add_argument("--figures", type=pathlib.Path, required=True, help="the folder of the tables")
    parser.add_argument("--program", required=True, help="prints snapshots, see print_snapshots.cpp")
    parser.add_argument("--write", action="store_true", help="add missing figures to the schema")
    arguments = parser.parse_args()

    table = read_table(arguments.program)
    if arguments.write:
        text = arguments.schema.read_text(encoding="utf-8")
        arguments.schema.write_text(complete(text, table), encoding="utf-8")

    text = arguments.reference.read_text(encoding="utf-8")
    reference, failures = read_reference(text)
    failures.extend(against_members(text, arguments.figures))
    schema = Schema(json.loads(arguments.schema.read_text(encoding="utf-8")))
    documents = stats_documents.snapshots(arguments.program)
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

    failures.extend(against_table(table, reference, schema))

    if failures:
        sys.exit("\n".join(dict.fromkeys(failures)))
    print(f"{sum(map(len, reference.values()))} fields of {len(reference)} objects agree, {len(table)} of them figures")


if __name__ == "__main__":
    main()
