# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the monitoring share: the expressions of rules and dashboard, and the families of an exposition."""
import json
import pathlib
import re
import subprocess
from typing import NamedTuple

import yaml


class Family(NamedTuple):
    type: str
    help: str
    labels: tuple


def families(program, *arguments):
    """Name -> Family, of what the program prints."""
    text = subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout
    types, helps, labels = {}, {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            types[name] = kind
        elif line.startswith("# HELP "):
            _, _, name, sentence = line.split(" ", 3)
            helps[name] = sentence
        else:
            name = re.match(r"\w+", line)[0]
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            of = labels.setdefault(base if types.get(base) == "histogram" else name, {})
            of.update(dict.fromkeys(re.findall(r'[{,](\w+)="', line)))
    return {name: Family(kind, helps.get(name, ""), tuple(label for label in labels.get(name, {}) if label != "le"))
            for name, kind in types.items()}


def rules(path):
    """Every rule of a file, in order."""
    document = yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels(path):
    """Every panel of a dashboard, those in rows too."""
    found = []
    for panel in json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["panels"]:
        found += [panel, *panel.get("panels", [])]
    return found


def dashboards(monitoring):
    """The paths of the dashboards."""
    found = sorted((monitoring / "grafana").glob("*.json"))
    assert found
    return found


def queries(path):
    """The queries of a text file: paragraphs without the comments above them."""
    paragraphs = re.split(r"\n\s*\n", pathlib.Path(path).read_text(encoding="utf-8"))
    stripped = ["\n".join(line for line in p.splitlines() if not line.startswith("#")).strip() for p in paragraphs]
    return [query for query in stripped if query]


def metrics_in(expression):
    """The names of metrics an expression mentions."""
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", text)
    words = re.findall(r"(?<![\w.:])[a-zA-Z_:][\w:]*(?!\w*\s*\()", text)
    return {word for word in words if word not in ("and", "or", "unless", "offset", "bool", "by", "on")
            and not re.fullmatch(r"[smhd]|\d.*", word)}
