# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Panels of a Grafana dashboard. A panel is one call; where it stands and its number follow from the order."""
import re

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
PROCESS = 'job=~"$job",instance=~"$instance"'
RATE = "[$__rate_interval]"
ROW_WIDTH = 24

panels = []
place = {"x": 0, "y": 0, "height": 0}


def select(expression, side):
    """Fills in which series: `name{}` and `name{more}` are those of the chosen heaps, of the process for process_*. With a side,
    those of the process chosen for it."""
    process = f'instance="${side}"' if side else PROCESS

    def chosen(match):
        of = process if side or match[1].startswith("process_") else process + ',heap=~"$heap"'
        return f"{match[1]}{{{of}{',' + match[2] if match[2] else ''}}}"
    return re.sub(r"\b([a-z_:0-9]+)\{([^}]*)\}", chosen, expression).replace("[R]", RATE)


def add(panel, width, height):
    if place["x"] + width > ROW_WIDTH:
        place.update(x=0, y=place["y"] + place["height"], height=0)
    panel["id"] = len(panels) + 1
    panel["gridPos"] = {"x": place["x"], "y": place["y"], "w": width, "h": height}
    place["x"] += width
    place["height"] = max(place["height"], height)
    panels.append(panel)


def row(title):
    place.update(x=ROW_WIDTH)
    add({"type": "row", "title": title, "collapsed": False, "panels": []}, ROW_WIDTH, 1)


def steps(limits):
    colors = ["green", "yellow", "red"]
    return {"mode": "absolute", "steps": [{"color": color, "value": value}
                                          for color, value in zip(colors, [None, *limits])]}


def panel(title, description, *queries, kind="timeseries", unit="short", limits=(), stacked=False, width=8, height=8,
          options=None, overrides=(), maximum=None, instant=False, side=""):
    """`queries`: (expression, legend). `limits`: where yellow and red begin."""
    custom = {}
    if kind == "timeseries":
        custom = {"fillOpacity": 30 if stacked else 10, "showPoints": "never",
                  "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
                  "thresholdsStyle": {"mode": "dashed" if limits else "off"}}
        options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                   "tooltip": {"mode": "multi", "sort": "desc"}}
    defaults = {"unit": unit, "min": 0, "thresholds": steps(limits), "custom": custom,
                "color": {"mode": "thresholds" if limits and kind != "timeseries" else "palette-classic"}}
    if maximum is not None:
        defaults["max"] = maximum
    if kind == "heatmap":
        defaults = {"custom": {}}
    targets = []
    for letter, (expression, legend) in zip("ABCDEFGHIJ", queries):
        target = {"refId": letter, "datasource": DATASOURCE, "expr": select(expression, side), "legendFormat": legend}
        if instant:
            target.update(instant=True, range=False)
        if instant and kind == "table" or kind == "heatmap":
            target["format"] = kind
        targets.append(target)
    add({"type": kind, "title": title, "description": description, "datasource": DATASOURCE, "targets": targets,
         "fieldConfig": {"defaults": defaults, "overrides": list(overrides)}, "options": options or {}}, width, height)


def table(title, description, columns, labels):
    """A row for each value of `labels` (name: heading), with `columns` (letter: heading, expression, unit)."""
    panel(title, description, *[(expression, "") for _, expression, _ in columns.values()], kind="table", width=24, height=10,
          instant=True, options={"showHeader": True, "cellHeight": "sm"},
          overrides=[{"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "unit", "value": unit}]}
                     for heading, _, unit in columns.values() if unit != "short"])
    names = {f"Value #{letter}": heading for letter, (heading, _, _) in columns.items()} | labels
    panels[-1]["transformations"] = [{"id": "merge", "options": {}},
                                     {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names}}]


BARS = {"orientation": "horizontal", "displayMode": "gradient", "showUnfilled": True,
        "reduceOptions": {"calcs": ["lastNotNull"], "values": False, "fields": ""}}
GAUGE = {"reduceOptions": {"calcs": ["lastNotNull"], "values": False, "fields": ""}, "showThresholdLabels": False,
         "showThresholdMarkers": True}
STAT = {"reduceOptions": {"calcs": ["lastNotNull"], "values": False, "fields": ""}, "colorMode": "value",
        "graphMode": "area", "textMode": "auto"}
HEAT = {"calculate": False, "yAxis": {"unit": "s"}, "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64}, "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": False}}
STATUS = {"showValue": "never", "rowHeight": 0.9, "colWidth": 0.9,
          "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False}}
EPOCH = "{{heap}} epoch {{epoch}} {{label}} {{state}}"
THREAD = "{{heap}} thread {{thread}} {{name}}"


def begin():
    """A dashboard begins: no panel yet."""
    panels.clear()
    place.update(x=0, y=0, height=0)
