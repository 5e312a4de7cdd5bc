"""The rules that every dashboard keeps: those of Grafana's dashboard-linter, and ours of layout, ids, words and units.

Two of dashboard-linter's rules are not kept: an imported dashboard is meant to be adapted, so ours are editable; and no
panel shows logs, so the rules about Loki have no object.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from grafana.contract import Metric
from grafana.lint_queries import problems_of

Dashboard = Mapping[str, Any]
Panel = Mapping[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA_VERSION = 42
COLUMNS = 24
CORE_TYPES = {"timeseries", "stat", "bargauge", "table", "text"}
COLOURED_TYPES = {"stat", "bargauge", "table"}
UNITS = {"locale", "short", "none", "percentunit", "s", "bytes"}
"""Those of Grafana's units that our numbers have: counts, ratios 0 to 1, seconds, bytes."""
VARIABLES = {"datasource": "Data source", "job": "Job", "instance": "Instance", "target": "Target"}
_BUILT_IN = re.compile(r"__\w+")


def problems_of_set(dashboards: Iterable[Dashboard], metrics: Mapping[str, Metric]) -> list[str]:
    """Return what is wrong with the dashboards, one by one and as a set; empty when nothing is."""
    documents = list(dashboards)
    found = [
        f"{document.get('uid')}: {problem}"
        for document in documents
        for problem in _document(document, documents, metrics)
    ]
    for key in ("uid", "title"):
        for value, times in Counter(document.get(key) for document in documents).items():
            if times > 1:
                found.append(f"{value}: {key} is used {times} times")
    return found


def panels_of(dashboard: Dashboard) -> list[Panel]:
    """Return all panels that show something, those inside collapsed rows too."""
    return [
        panel for outer in dashboard["panels"] for panel in (outer, *outer.get("panels", [])) if panel["type"] != "row"
    ]


def expressions_of(dashboard: Dashboard) -> list[str]:
    """Return the query of every target of every panel."""
    return [target["expr"] for panel in panels_of(dashboard) for target in panel.get("targets", [])]


def _document(document: Dashboard, documents: list[Dashboard], metrics: Mapping[str, Metric]) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", document.get("uid") or ""):
        yield "uid must be 1 to 40 letters, digits, - or _"
    if document.get("id") is not None or "version" in document:
        yield "id and version belong to a Grafana server"
    if document.get("schemaVersion") != SCHEMA_VERSION:
        yield f"schemaVersion must be {SCHEMA_VERSION}"
    if not document.get("title") or not document.get("description"):
        yield "title and description are needed"
    if "__inputs" in document:
        yield "__inputs are not resolved by provisioning; the variable datasource does it"
    yield from _requirements(document)
    yield from _links(document, documents)
    yield from _variables(document)
    yield from _variable_uses(document)
    yield from _annotations(document)
    yield from _layout(document)
    for panel in panels_of(document):
        for problem in _panel(panel, metrics):
            yield f"{panel.get('title')}: {problem}"


def _requirements(document: Dashboard) -> Iterator[str]:
    required = {entry["id"] for entry in document.get("__requires", []) if entry["type"] == "panel"}
    used = {panel["type"] for panel in panels_of(document)}
    if required != used:
        yield f"__requires names the panels {sorted(required)} instead of {sorted(used)}"


def _links(document: Dashboard, documents: list[Dashboard]) -> Iterator[str]:
    tags = document.get("tags", [])
    to_set = [
        link for link in document.get("links", []) if link["type"] == "dashboards" and set(link["tags"]) <= set(tags)
    ]
    if not any(link["keepTime"] and link["includeVars"] for link in to_set):
        yield "a link to the set by its tag, with time range and variables, is needed"
    uids = {other.get("uid") for other in documents}
    for uid in re.findall(r'"/d/([^?"$]+)', json.dumps(document)):
        if uid not in uids and not any(str(known).startswith(uid) for known in uids):
            yield f"links to the dashboard {uid}, which is not in the set"


def _variables(document: Dashboard) -> Iterator[str]:
    variables = {variable["name"]: variable for variable in document["templating"]["list"]}
    for name, label in VARIABLES.items():
        if variables.get(name, {}).get("label") != label:
            yield f"variable {name} with the label {label!r} is needed"
    for name, variable in variables.items():
        if variable["type"] == "datasource":
            if variable["query"] != "prometheus":
                yield f"variable {name} must offer data sources of type prometheus"
            continue
        if variable.get("datasource") != DATASOURCE:
            yield f"variable {name} must ask {DATASOURCE['uid']}"
        if variable.get("refresh") != 2:
            yield f"variable {name} must be asked again when the time range changes (refresh 2)"
        if not (variable.get("multi") and variable.get("includeAll") and variable.get("allValue") == ".+"):
            yield f"variable {name} must allow several values and all, as .+"
        if not re.fullmatch(rf"label_values\(\S.*, {name}\)", variable["query"]["query"]):
            yield f"variable {name} must be label_values(selector, {name})"


def _variable_uses(document: Dashboard) -> Iterator[str]:
    defined = {variable["name"] for variable in document["templating"]["list"]}
    used = {name or braced for name, braced in re.findall(r"\$(?:(\w+)|\{(\w+))", json.dumps(document))}
    used = {name for name in used if not _BUILT_IN.fullmatch(name)}
    for name in sorted(used - defined):
        yield f"uses the variable {name}, which is not defined"
    for name in sorted(defined - used):
        yield f"defines the variable {name}, which is not used"


def _annotations(document: Dashboard) -> Iterator[str]:
    annotations = document.get("annotations", {}).get("list", [])
    if not any("ALERTS{" in annotation.get("expr", "") for annotation in annotations):
        yield "the annotation of firing alerts is needed"
    for annotation in annotations:
        if annotation.get("datasource") != DATASOURCE:
            yield f"annotation {annotation['name']} must ask {DATASOURCE['uid']}"


def _layout(document: Dashboard) -> Iterator[str]:
    """Rows of panels lie below each other without holes; ids and titles are each used once."""
    everything = [panel for outer in document["panels"] for panel in (outer, *outer.get("panels", []))]
    ids = Counter(panel.get("id") for panel in everything)
    for number, times in ids.items():
        if not number or times > 1:
            yield f"panel id {number} is used {times} times"
    for title, times in Counter(panel.get("title") for panel in everything).items():
        if times > 1:
            yield f"panel title {title!r} is used {times} times"
    taken: dict[tuple[int, int], object] = {}
    for panel in everything:
        place = panel["gridPos"]
        if place["x"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > COLUMNS:
            yield f"{panel.get('title')}: lies outside of the {COLUMNS} columns"
        for cell in [(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in _lines(place)]:
            if cell in taken:
                yield f"{panel.get('title')}: lies over {taken[cell]}"
                break
            taken[cell] = panel.get("title")
    filled = {y for _, y in taken}
    if filled and filled != set(range(max(filled) + 1)):
        yield f"lines {sorted(set(range(max(filled))) - filled)} hold no panel"


def _lines(place: Mapping[str, int]) -> range:
    return range(place["y"], place["y"] + place["h"])


def _panel(panel: Panel, metrics: Mapping[str, Metric]) -> Iterator[str]:
    if not panel.get("title") or not panel.get("description"):
        yield "title and description are needed"
    if panel["type"] not in CORE_TYPES:
        yield f"type {panel['type']} is not one of {sorted(CORE_TYPES)}"
    if panel["type"] == "text":
        return
    yield from _fields(panel)
    if panel.get("datasource") != DATASOURCE:
        yield f"must ask {DATASOURCE['uid']}"
    targets = panel.get("targets", [])
    if not targets:
        yield "has no query"
    for ref, times in Counter(target["refId"] for target in targets).items():
        if times > 1:
            yield f"refId {ref} is used {times} times"
    for target in targets:
        if target.get("datasource") != DATASOURCE:
            yield f"query {target['refId']} must ask {DATASOURCE['uid']}"
        for problem in problems_of(target["expr"], metrics):
            yield f"query {target['refId']} {problem}"


def _fields(panel: Panel) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    units = [defaults.get("unit")]
    units += [
        entry["value"]
        for override in panel["fieldConfig"]["overrides"]
        for entry in override["properties"]
        if entry["id"] == "unit"
    ]
    for unit in units:
        if unit not in UNITS:
            yield f"unit {unit!r} is not one of {sorted(UNITS)}"
    if defaults.get("noValue") is None:
        yield "has no words for the case that there is nothing to show"
    mode = defaults.get("color", {}).get("mode")
    if panel["type"] in COLOURED_TYPES and not (
        mode == "fixed" or (mode == "thresholds" and defaults.get("thresholds", {}).get("steps"))
    ):
        yield "has neither a fixed colour nor thresholds: Grafana's own turn red above 80"
