#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Validates snapshots of a program against the JSON Schema, and shows that the schema refuses what is wrong.

Wrong is: each required field left out, each field with a value of another type, and what the list below says.
"""
import argparse
import copy
import json
import pathlib
import sys

import stats_documents

try:
    from jsonschema import Draft202012Validator
except ImportError:
    sys.exit(f"schema.py: {sys.executable} has no module jsonschema; script/bootstrap installs python3-jsonschema.")


def set_field(*path, to):
    def change(document):
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to
    return change


def drop(*path):
    def change(document):
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]
    return change


BROKEN = {
    "a schema version from the future": set_field("schema_version", to=2),
    "a schema version in words": set_field("schema_version", to="1"),
    "no schema version": drop("schema_version"),
    "a negative count": set_field("total_slow_path_hits", to=-1),
    "a count above 64 bits": set_field("total_slow_path_hits", to=2**64),
    "a broken count": set_field("total_slow_path_hits", to=1.5),
    "a count in words": set_field("total_slow_path_hits", to="1"),
    "null where a count should be": set_field("total_slow_path_hits", to=None),
    "a negative count of a class": set_field("classes", 3, "slow_path_hits", to=-1),
    "no classes": drop("classes"),
    "a class too few": drop("classes", 23),
    "a class too many": lambda d: d["classes"].append(copy.deepcopy(d["classes"][23])),
    "a class out of order": lambda d: d["classes"].insert(0, d["classes"].pop()),
    "a class of another size": set_field("classes", 4, "object_size", to=255),
    "a class that is no object": set_field("classes", 0, to=[]),
    "no large allocations": drop("large"),
    "large allocations as a class": set_field("large", "class_index", to=23),
    "a state there is not": set_field("epochs", 0, "state", to="OPEN"),
    "a state in small letters": set_field("epochs", 0, "state", to="active"),
    "a lifecycle there is not": set_field("epochs", 0, "lifecycle", to="DEAD"),
    "a negative age": set_field("epochs", 0, "age_sec", to=-0.5),
    "a label that is too long": set_field("epochs", 0, "label", to="x" * 32),
    "a label number that is too large": set_field("epochs", 0, "label_id", to=16),
    "a place without its line": drop("epochs", 0, "opened_at", "line"),
    "more cooperation than there can be": set_field("epochs", 0, "cooperation_pct", to=100.5),
    "a list by label that is too short": drop("classes", 0, "lock_contended_by_label", 15),
    "a list by label that is too long": lambda d: d["classes"][0]["lock_contended_by_label"].append(0),
    "a negative entry by label": set_field("classes", 0, "bitmap_free_cas_retries_by_label", 2, to=-1),
    "a histogram that is too short": drop("sampled", "alloc_wall_ns_log2", 39),
    "a ring that is too small": set_field("epoch_count", to=1),
    "more labels than there can be": lambda d: d["labels"].append(copy.deepcopy(d["labels"][0])),
    "a 17th registered name": set_field("label_registry", "labels", "16", to="x"),
    "a misuse that is no count": set_field("misuses", "leak", to=True),
    "a misuse counted below 0": set_field("misuses", "leak", to=-1),
    "a last close that is a list": set_field("last_epoch_close", to=[]),
    "a waterfall that is null": set_field("waterfall", to=None),
    "lists that are objects": set_field("epochs", to={}),
}

ALLOWED = {
    "unknown fields": lambda d: (d.update(later=1), d["classes"][0].update(later=[]), d["epochs"][0].update(later={})),
    "no close yet": set_field("last_epoch_close", to=None),
    "no epochs, threads or labels": lambda d: d.update(epochs=[], threads=[], labels=[]),
    "nothing asked of the kernel": set_field("epochs", 0, "cooperation_pct", to=None),
    "no domain inside": set_field("epochs", 0, "opened_at", to=None),
    "a memory that shrank": set_field("waterfall", "not_tslab_bytes", to=-(2**40)),
}


def small(document):
    """The document with one entry in each list that may be shorter, so that validating it is quick."""
    document = copy.deepcopy(document)
    for name in ("epochs", "threads", "labels"):
        del document[name][1:]
    del document["epochs"][0]["classes"][1:]
    return document


def without_each_field(document, required):
    """(what, name, field, object) for each required field of each object of a document: the object without it."""
    for name, fields in required.items():
        for field in fields:
            broken = dict(stats_documents.instances(document, name)[0])
            del broken[field]
            yield f"{name} without {field}", name, field, broken


def with_each_type_wrong(document):
    """The same for each field of each object, given a value of another type."""
    for name in stats_documents.OBJECTS:
        instance = stats_documents.instances(document, name)[0]
        for field, value in instance.items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            yield f"{name} with a wrong {field}", name, field, {**instance, field: "text" if number else 1}


def with_each_object_empty(document):
    """(what, document) for each place of each object."""
    for name, paths in stats_documents.OBJECTS.items():
        for path in paths:
            broken = copy.deepcopy(document)
            for instance in stats_documents.at(broken, path)[:1]:
                instance.clear()
                yield f"{name} at {'.'.join(path)} without fields", broken


class Parts:
    """Validators of one object alone. What refuses a part of a document refuses the document, so a wrong field is looked for in its
    object; that documents are held to the definitions of their parts is shown by one object of each place that is empty."""

    def __init__(self, schema):
        self.schema = schema
        self.of = {name: Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]})
                   for name in stats_documents.OBJECTS if name != "snapshot"}

    def accept(self, name, field, instance):
        if name in self.of:
            return self.of[name].is_valid(instance)
        # A snapshot's own field: the others are the objects.
        own = {**self.schema, "properties": {field: self.schema["properties"].get(field, True)}}
        return Draft202012Validator(own).is_valid(instance)


def required_fields(schema):
    def of(definition):
        inherited = of(schema["$defs"][definition["$ref"].rpartition("/")[2]]) if "$ref" in definition else []
        return definition.get("required", []) + inherited
    return {name: of(schema if name == "snapshot" else schema["$defs"][name]) for name in stats_documents.OBJECTS}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schema", type=pathlib.Path, required=True)
    parser.add_argument("--program", required=True, help="prints snapshots, see print_snapshots.cpp")
    arguments = parser.parse_args()

    schema = json.loads(arguments.schema.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    failures = []

    documents = stats_documents.snapshots(arguments.program)
    for name, document in documents.items():
        for error in validator.iter_errors(document):
            failures.append(f"snapshot `{name}`: {error.json_path}: {error.message}")

    filled = small(documents["filled"])
    for what, change in ALLOWED.items():
        document = copy.deepcopy(filled)
        change(document)
        failures += [f"refused, and should not be: {what}: {e.json_path}: {e.message}" for e in validator.iter_errors(document)]

    parts = Parts(schema)
    fields = [*without_each_field(filled, required_fields(schema)), *with_each_type_wrong(filled)]
    failures += [f"not refused: {what}" for what, *field in fields if parts.accept(*field)]

    broken = list(with_each_object_empty(filled))
    for what, change in BROKEN.items():
        document = copy.deepcopy(documents["filled"])
        change(document)
        broken.append((what, document))
    failures += [f"not refused: {what}" for what, document in broken if validator.is_valid(document)]

    if failures:
        sys.exit("\n".join(failures))
    print(f"{len(documents)} snapshots are valid, {len(ALLOWED)} variants too, {len(broken) + len(fields)} broken ones are refused")


if __name__ == "__main__":
    main()
