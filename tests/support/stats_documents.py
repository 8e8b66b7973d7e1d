# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""What schema.py and reference.py share: the objects of a snapshot's JSON, and snapshots of a program to look at."""
import json
import subprocess

# Where an object of the reference, which is a definition of the schema too, stands in the document. A list is entered
# at each of its entries; `null` is passed over.
OBJECTS = {
    "snapshot": [],
    "class": [["classes"], ["large"]],
    "epoch": [["epochs"]],
    "entry": [["epochs", "opened_at"], ["phase_costs", "largest_at"]],
    "share": [["epochs", "classes"]],
    "thread": [["threads"]],
    "sampled": [["sampled"]],
    "label": [["labels"]],
    "registry": [["label_registry"]],
    "phase_cost": [["phase_costs"]],
    "close": [["last_epoch_close"]],
    "waterfall": [["waterfall"]],
}


def snapshots(program):
    """Name -> document of every snapshot the program prints."""
    text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return {name: json.loads(document) for name, document in (line.split("\t", 1) for line in text.splitlines())}


def at(document, path):
    """Every object that stands at the path."""
    found = [document]
    for name in path:
        found = [value.get(name) for value in found if isinstance(value, dict)]
        found = [entry for value in found for entry in (value if isinstance(value, list) else [value])]
    return [value for value in found if isinstance(value, dict)]


def instances(document, name):
    """Every object of that name in the document."""
    return [found for path in OBJECTS[name] or [[]] for found in at(document, path)]
