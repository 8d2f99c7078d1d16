"""Write exporters/prometheus/dashboard.json: `.venv/bin/python -m tools.make_dashboard`.

The keys are those of Grafana's own schema in its current version; tests/exporters/prometheus/test_dashboard.py has TypeScript compare them
with the types of the npm package @grafana/schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.dashboard_fleet import FIRING, FLEET
from tools.dashboard_host import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.dashboard_panels import Panel, Steps

FILE = Path(__file__).parents[1] / "exporters/prometheus/dashboard.json"
SCHEMA_VERSION = 42  # of Grafana 13; older ones read it, too
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
CONSTANT = ("Time", "__name__", "job")  # columns that no table shows
LEVELS = {"0": ("healthy", "green"), "1": ("warning", "orange"), "2": ("critical", "red")}
HOST_LINK = {"title": "this host", "url": "/d/vitald?${job:queryparam}&var-instance=${__value.raw}&${__url_time_range}"}


def text() -> str:
    """Return the dashboard as JSON, as it is committed."""
    return json.dumps(dashboard(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def dashboard() -> dict[str, Any]:
    """Return the dashboard: the variables, and one row for each page."""
    return {
        "uid": "vitald",
        "title": "vitald",
        "description": "A fleet of vitald agents, and one host of it. Requires the recording rules of `vitald rules`.",
        "tags": ["vitald"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,  # one crosshair for all panels
        "links": [],
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "annotations": {"list": [_annotation("pages", "page", "red"), _annotation("tickets", "ticket", "orange")]},
        "templating": {"list": list(_variables())},
        "panels": _placed((("Fleet", FLEET), ("Host $instance", HOST))),
    }


def _annotation(name: str, severity: str, colour: str) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": colour,
        "target": {"refId": name, "expr": FIRING.replace("page|ticket", severity)},
        # These three are of the Prometheus plugin.
        "titleFormat": "{{alertname}}",
        "textFormat": "{{instance}} {{host}} {{target}} {{subject}}",
        "tagKeys": "severity,zone",
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "type": "datasource", "label": "Prometheus", "query": "prometheus"}
    every = {"includeAll": True, "current": {"text": "All", "value": "$__all"}}
    yield {**_query("job", "fleet", 'label_values(up{job=~"vitald.*"}, job)'), **every, "allValue": "vitald.*"}
    yield {**_query("zone", "zone", 'label_values(up{job=~"$job"}, zone)'), **every, "allValue": ".*"}
    yield _query("instance", "host", 'label_values(up{job=~"$job",zone=~"$zone"}, instance)')
    hint = "Where copies of the runbooks are, as in vitald rules --runbooks.url; empty: vitald runbook NAME"
    yield {
        "name": "runbooks",
        "type": "textbox",
        "label": "runbook URL",
        "description": hint,
        "query": "",
        "current": {"text": "", "value": ""},
    }


def _query(name: str, label: str, query: str) -> dict[str, Any]:
    """Return a variable that is read again when the time range changes, sorted by name."""
    found = {"name": name, "type": "query", "label": label, "datasource": SOURCE, "query": {"query": query, "refId": name}}
    return {**found, "refresh": 2, "sort": 1}


def _placed(pages: Sequence[tuple[str, Sequence[Panel]]]) -> list[dict[str, Any]]:
    """Return rows and panels from left to right and from top to bottom, with ids."""
    placed: list[dict[str, Any]] = []
    y = 0
    for title, panels in pages:
        placed.append({"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        y += 1
        x = height = 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y, height = 0, y + height, 0
            placed.append({**_panel(panel), "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height}})
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return [{"id": number, **panel} for number, panel in enumerate(placed, 1)]


def _panel(panel: Panel) -> dict[str, Any]:
    kind, options, custom = _KINDS[panel.kind]
    defaults: dict[str, Any] = {"unit": panel.unit, "custom": dict(custom), **_thresholds(panel.steps)}
    if panel.severity == "*":
        defaults |= _levels()
    if panel.steps and panel.kind == "graph":
        defaults["custom"]["thresholdsStyle"] = {"mode": "line"}
        defaults["color"] = {"mode": "palette-classic"}
    options = dict(options)
    if panel.kind == "table" and panel.severity:
        options["sortBy"] = [{"displayName": panel.severity, "desc": True}]
    built: dict[str, Any] = {
        "type": kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": list(_overrides(panel))},
        "options": options,
        "targets": [_target(panel, number) for number in range(len(panel.queries))],
    }
    if panel.kind == "table":
        built["transformations"] = list(_transformations(panel))
    return built


def _target(panel: Panel, number: int) -> dict[str, Any]:
    expression, legend = panel.queries[number]
    target = {"refId": chr(ord("A") + number), "datasource": SOURCE, "editorMode": "code", "expr": expression}
    if panel.kind == "table":
        return {**target, "format": "table", "instant": True, "range": False}
    return {**target, "legendFormat": legend or "__auto", "instant": False, "range": True}


def _thresholds(steps: Steps) -> dict[str, Any]:
    if not steps:
        return {}
    return {"thresholds": {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}}


def _levels() -> dict[str, Any]:
    """Return the names and colours of the levels of `vitald_health`."""
    options = {value: {"text": name, "color": colour, "index": index} for index, (value, (name, colour)) in enumerate(LEVELS.items())}
    steps: Steps = ((None, "green"), (1, "orange"), (2, "red"))
    return {"mappings": [{"type": "value", "options": options}], "color": {"mode": "thresholds"}, **_thresholds(steps)}


def _overrides(panel: Panel) -> Iterator[dict[str, Any]]:
    if panel.kind != "table":
        return
    if panel.severity:
        properties = [{"id": key, "value": value} for key, value in _levels().items()]
        yield _override(panel.severity, *properties, {"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}})
    for column in panel.times:
        yield _override(column, {"id": "unit", "value": "dateTimeAsIso"})
    host = next((new for old, new in panel.renamed if old == "instance"), "instance")
    if "instance" not in panel.hidden:
        yield _override(host, {"id": "links", "value": [HOST_LINK]})


def _override(column: str, *properties: dict[str, Any]) -> dict[str, Any]:
    return {"matcher": {"id": "byName", "options": column}, "properties": list(properties)}


def _transformations(panel: Panel) -> Iterator[dict[str, Any]]:
    if len(panel.queries) > 1:
        yield {"id": "merge", "options": {}}
    hidden = dict.fromkeys((*CONSTANT, *panel.hidden), True)
    yield {"id": "organize", "options": {"excludeByName": hidden, "renameByName": dict(panel.renamed), "indexByName": _order(panel)}}


def _order(panel: Panel) -> dict[str, int]:
    """Return positions of the columns that a reader looks for first."""
    first = ["Value", "Value #A"] if panel.severity else []
    return {name: index for index, name in enumerate([*first, "alertname", "severity", "instance", "host", "check", "subject", "Value #B"])}


_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_GRAPH = {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}
_LINES = {"lineWidth": 1, "fillOpacity": 5, "showPoints": "never", "spanNulls": False}
_KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {  # type of the panel, its options, the options of its fields
    "graph": ("timeseries", _GRAPH, _LINES),
    "stack": ("timeseries", _GRAPH, {**_LINES, "fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}),
    "states": (
        "state-timeline",
        {
            "alignValue": "left", "mergeValues": True, "rowHeight": 0.9, "showValue": "never",
            "legend": _LEGEND, "tooltip": {"mode": "single", "sort": "none"},
        },
        {"fillOpacity": 80, "lineWidth": 0},
    ),
    "number": (
        "stat",
        {
            "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto", "wideLayout": True,
            "percentChangeColorMode": "standard", "showPercentChange": False,
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
        {},
    ),
    "table": ("table", {"showHeader": True, "cellHeight": "sm"}, {"align": "auto", "filterable": True}),
}  # fmt: skip


if __name__ == "__main__":
    FILE.write_text(text())
