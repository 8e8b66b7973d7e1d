#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Writes provisioning/alerting/tslab.yml, the alerts of ../rules/alerts.yml as alerts that Grafana evaluates itself, or says
whether it is up to date.

A rule of Prometheus fires for each series that its expression returns, whatever the value. Grafana fires where a condition is not 0.
So each rule becomes a query, A, and a condition, B, that is 1 for every value of A.
"""
import argparse
import pathlib
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
RULES = HERE.parent / "rules/alerts.yml"
WRITTEN = HERE / "provisioning/alerting/tslab.yml"
DATASOURCE_FILE = HERE / "provisioning/datasources/prometheus.yml"
FOLDER = "tslab"
INTERVAL = "10s"   # Grafana takes only multiples of 10 s
LONGEST_UID = 40   # Grafana's limit
HEADER = """\
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# Goes to /etc/grafana/provisioning/alerting. Made of rules/alerts.yml by monitoring/grafana/alerting.py: change the rules and run that.
"""


class Writer(yaml.SafeDumper):
    """Expressions of several lines stay expressions of several lines."""


def represent_text(writer, text):
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Writer.add_representer(str, represent_text)


def of_grafana(template):
    """An annotation: in Grafana `$value` is a text that names every value, and the number stands in `$values`."""
    return template.replace("$value", "$values.A.Value")


def converted(rule, datasource):
    """One rule of Prometheus as one of Grafana."""
    name, severity = rule["alert"], rule["labels"]["severity"]
    uid = f"tslab-{name}-{severity}"
    if len(uid) > LONGEST_UID:
        sys.exit(f"{name}: the identifier {uid} is longer than the {LONGEST_UID} characters that Grafana takes")
    return {
        "uid": uid, "title": f"{name} ({severity})", "condition": "B",
        "data": [
            {"refId": "A", "datasourceUid": datasource, "relativeTimeRange": {"from": 600, "to": 0},
             "model": {"refId": "A", "expr": rule["expr"], "instant": True, "range": False}},
            {"refId": "B", "datasourceUid": "__expr__",
             "model": {"refId": "B", "type": "math", "expression": "is_number($A) || is_nan($A) || is_inf($A)"}}],
        "noDataState": "OK", "execErrState": "Error", "for": rule.get("for", "0s"),
        "annotations": {key: of_grafana(text) for key, text in rule["annotations"].items()},
        "labels": {"alert": name, **rule["labels"]}, "isPaused": False}


def document():
    """What Grafana reads, as text."""
    (datasource,) = yaml.safe_load(DATASOURCE_FILE.read_text(encoding="utf-8"))["datasources"]
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    made = {"apiVersion": 1, "groups": [
        {"orgId": 1, "name": group["name"], "folder": FOLDER, "interval": INTERVAL,
         "rules": [converted(rule, datasource["uid"]) for rule in group["rules"]]} for group in groups]}
    return HEADER + yaml.dump(made, Dumper=Writer, sort_keys=False, width=1000, allow_unicode=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is not what this makes")
    arguments = parser.parse_args()
    text = document()
    if not arguments.check:
        WRITTEN.parent.mkdir(parents=True, exist_ok=True)
        WRITTEN.write_text(text, encoding="utf-8")
    elif not WRITTEN.exists() or WRITTEN.read_text(encoding="utf-8") != text:
        sys.exit(f"{WRITTEN.name} is not what {pathlib.Path(__file__).name} makes; run it and commit the result")


if __name__ == "__main__":
    main()
