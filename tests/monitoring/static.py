#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""What can be said of rules, dashboard and their documents without running them: every metric they mention exists, panels do not
overlap and have what they need, every alert has its runbook and its tests, every configuration can be read."""
import argparse
import json
import pathlib
import re
import sys

import yaml

import definitions

BUILT_IN = {"ALERTS", "up"}
MENTIONED = re.compile(r"\btemporal_slab_[a-z0-9_]*[a-z0-9]\b")


def check_metrics(monitoring, docs, known, native, failures):
    """Rules and dashboards must not need native histograms; the documents may tell of them."""
    recorded = {rule["record"] for rule in definitions.rules(monitoring / "rules/recording.yml")}
    for kind in ("recording", "alerts"):
        for rule in definitions.rules(monitoring / f"rules/{kind}.yml"):
            for name in definitions.metrics_in(rule["expr"]) - known - BUILT_IN:
                failures.append(f"{kind}.yml, {rule.get('alert') or rule['record']}: there is no metric {name}")
    for dashboard in definitions.dashboards(monitoring):
        for panel in definitions.panels(dashboard):
            for target in panel.get("targets", []):
                for name in definitions.metrics_in(target["expr"]) - known - BUILT_IN:
                    failures.append(f"panel `{panel['title']}`: there is no metric {name} without a recording rule")
    for page in ("monitoring.md", "runbooks.md"):
        for name in set(MENTIONED.findall((docs / page).read_text(encoding="utf-8"))) - known - native - recorded:
            failures.append(f"docs/{page}: there is no metric {name}")


def check_dashboard(path, failures):
    document = json.loads(path.read_text(encoding="utf-8"))
    variables = {variable["name"] for variable in document["templating"]["list"]}
    panels = definitions.panels(path)
    if len({panel["id"] for panel in panels}) != len(panels):
        failures.append("two panels have one id")
    taken = {}
    for panel in panels:
        title, at = panel["title"], panel["gridPos"]
        if at["x"] + at["w"] > 24:
            failures.append(f"panel `{title}` reaches beyond the right edge")
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                if (other := taken.setdefault((x, y), title)) != title:
                    failures.append(f"panels `{title}` and `{other}` overlap")
        if panel["type"] == "row":
            continue
        if not panel.get("targets"):
            failures.append(f"panel `{title}` asks for nothing")
        for part in [panel, *panel["targets"]]:
            if part.get("datasource") != {"type": "prometheus", "uid": "${datasource}"}:
                failures.append(f"panel `{title}` does not use the chosen data source")
        for target in panel["targets"]:
            if not target.get("expr"):
                failures.append(f"panel `{title}` has a query without an expression")
            for name in set(re.findall(r"\$(\w+)", target["expr"])) - variables - {"__rate_interval"}:
                failures.append(f"panel `{title}`: there is no variable {name}")


def check_alerts(monitoring, docs, failures):
    alerts = definitions.rules(monitoring / "rules/alerts.yml")
    sections = set(re.findall(r"^## (\w+)$", (docs / "runbooks.md").read_text(encoding="utf-8"), re.MULTILINE))
    tests = "".join(path.read_text(encoding="utf-8") for path in sorted((monitoring / "rules/tests").glob("*.yml")))
    for alert in alerts:
        name, severity = alert["alert"], alert["labels"]["severity"]
        if alert["annotations"].get("runbook_url") != f"docs/runbooks.md#{name.lower()}":
            failures.append(f"{name}: its runbook is not the section of its name")
        for what in ("summary", "description"):
            if not alert["annotations"].get(what):
                failures.append(f"{name}: no {what}")
        wanted = re.escape(f'count(ALERTS{{alertname="{name}", severity="{severity}", alertstate="firing"}})')
        for samples, what in ((r"\[\{", "fires"), (r"\[\]", "stays silent")):
            if not re.search(wanted + r"\s+eval_time: \w+\s+exp_samples: " + samples, tests):
                failures.append(f"{name}, {severity}: no test in which it {what}")
    names = {alert["alert"] for alert in alerts}
    for name in sorted(names ^ sections):
        failures.append(f"{name} is in only one of alerts.yml and docs/runbooks.md")


def check_grafana_alerts(monitoring, failures):
    """The alerts for Grafana are those for Prometheus: one each, with its expression, duration, labels and texts."""
    provisioning = monitoring / "grafana/provisioning"
    sources = {source["uid"] for source in yaml.safe_load(
        (provisioning / "datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"]}
    groups = yaml.safe_load((provisioning / "alerting/tslab.yml").read_text(encoding="utf-8"))["groups"]
    there, identifiers = {}, set()
    for group in groups:
        if int(group["interval"].removesuffix("s")) % 10:
            failures.append(f"Grafana, {group['name']}: it takes only intervals that are multiples of 10 s")
        for rule in group["rules"]:
            there[rule["labels"]["alert"], rule["labels"]["severity"]] = rule
            identifiers.add(rule["uid"])
    if len(identifiers) != sum(len(group["rules"]) for group in groups):
        failures.append("Grafana: two rules have one identifier")
    wanted = {(rule["alert"], rule["labels"]["severity"]): rule for rule in definitions.rules(monitoring / "rules/alerts.yml")}
    for name, severity in sorted(wanted.keys() ^ there.keys()):
        failures.append(f"{name}, {severity}: it is an alert of only one of Prometheus and Grafana")
    for key in wanted.keys() & there.keys():
        prometheus, grafana = wanted[key], there[key]
        query, condition = grafana["data"]
        texts = {what: text.replace("$values.A.Value", "$value") for what, text in grafana["annotations"].items()}
        for what, same in (("expression", query["model"]["expr"] == prometheus["expr"]),
                           ("data source", query["datasourceUid"] in sources),
                           ("condition", grafana["condition"] == condition["refId"] and "$A" in condition["model"]["expression"]),
                           ("duration", grafana["for"] == prometheus.get("for", "0s")),
                           ("set of labels", grafana["labels"] == {"alert": key[0], **prometheus["labels"]}),
                           ("text", texts == prometheus["annotations"]
                            and not any(re.search(r"\$value\b", text) for text in grafana["annotations"].values()))):
            if not same:
                failures.append(f"{key[0]}, {key[1]}: Grafana has another {what}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=pathlib.Path, required=True, help="the root of the repository")
    parser.add_argument("--program", required=True, help="prints a full exposition")
    arguments = parser.parse_args()
    monitoring, docs = arguments.source / "monitoring", arguments.source / "docs"

    known, native, failures = set(), set(), []
    for name, family in definitions.families(arguments.program).items():
        known |= {name + suffix for suffix in ("_bucket", "_sum", "_count")} if family.type == "histogram" else {name}
        if family.type == "histogram" and name.startswith("temporal_slab_phase_"):
            native.add(name)
        if not family.help:
            failures.append(f"{name}: nothing is said about it")
    check_metrics(monitoring, docs, known, native, failures)
    for dashboard in definitions.dashboards(monitoring):
        check_dashboard(dashboard, failures)
    check_alerts(monitoring, docs, failures)
    check_grafana_alerts(monitoring, failures)
    for path in monitoring.rglob("*.yml"):
        yaml.safe_load(path.read_text(encoding="utf-8"))
    if failures:
        sys.exit("\n".join(dict.fromkeys(failures)))
    print(f"{len(known)} metrics; rules, dashboard and documents mention no other")


if __name__ == "__main__":
    main()
