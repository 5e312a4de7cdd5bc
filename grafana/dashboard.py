"""What all dashboards have in common: variables, alert annotations, links, and the place and id of every panel."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationContainer,
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    DashboardDashboardTemplating,
    DashboardDashboardTime,
    DashboardLink,
    DashboardLinkType,
    GridPos,
    Panel,
    RowPanel,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
    VariableType,
)

from grafana.fields import Colour
from grafana.panels import DATASOURCE

TAG = "engagement"
COLUMNS = 24
UID_PREFIX = "engagement-"

_FIRING = (
    'ALERTS{alertname=~"Engagement.+", alertstate="firing", job=~"$job|", instance=~"$instance|", target=~"$target|"}'
)


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading; they fill lines of 24 columns from left to right."""

    title: str
    panels: Sequence[Panel]


def dashboard(name: str, title: str, description: str, rows: Sequence[Row], *, targets_of: str = "") -> dict[str, Any]:
    """Put a dashboard together as the JSON that Grafana imports.

    `targets_of` is a matcher of `engagement_up` that says which targets the variables offer; empty for all.
    """
    built = Dashboard(
        uid=UID_PREFIX + name,
        title=title,
        description=description,
        tags=[TAG],
        timezone="browser",
        graph_tooltip=DashboardCursorSync.CROSSHAIR,
        time=DashboardDashboardTime(from_val="now-30d", to="now"),
        refresh="5m",
        panels=list(_placed(rows)),
        templating=DashboardDashboardTemplating(list_val=_variables(targets_of)),
        annotations=AnnotationContainer(list_val=[_alerts()]),
        links=_links(),
    )
    document: dict[str, Any] = json.loads(json.dumps(built, cls=JSONEncoder))
    _drop_sdk_defaults(document)
    document["__requires"] = _requirements(rows)
    return document


def url_of(name: str, target: str = "${target:queryparam}") -> str:
    """Lead to another dashboard of the set, with the same time range and choices; `target` may narrow it to one."""
    kept = ("${__url_time_range}", "${datasource:queryparam}", "${job:queryparam}", "${instance:queryparam}", target)
    return f"/d/{UID_PREFIX}{name}?{'&'.join(kept)}"


def _placed(rows: Sequence[Row]) -> Iterator[Panel | RowPanel]:
    """Ids count within their row, so that a panel more in one row leaves the links to the other rows' panels valid."""
    y = 0
    for number, row in enumerate(rows, start=1):
        yield RowPanel(title=row.title, id_val=100 * number, grid_pos=GridPos(h=1, w=COLUMNS, x=0, y=y), panels=[])
        y += 1
        x = height = 0
        for position, panel in enumerate(row.panels, start=1):
            grid = panel.grid_pos or GridPos()
            if x + grid.w > COLUMNS:
                x, y, height = 0, y + height, 0
            panel.id_val = 100 * number + position
            panel.grid_pos = GridPos(h=grid.h, w=grid.w, x=x, y=y)
            x, height = x + grid.w, max(height, grid.h)
            yield panel
        y += height


def _variables(targets_of: str) -> list[VariableModel]:
    source = VariableModel(
        type_val=VariableType.DATASOURCE, name="datasource", label="Data source", query="prometheus", options=[]
    )
    chosen = [targets_of] if targets_of else []
    return [
        source,
        _values("job", "Job", chosen),
        _values("instance", "Instance", [*chosen, 'job=~"$job"']),
        _values("target", "Target", [*chosen, 'job=~"$job"', 'instance=~"$instance"']),
    ]


def _values(name: str, label: str, matchers: Sequence[str]) -> VariableModel:
    selector = f"engagement_up{{{', '.join(matchers)}}}" if matchers else "engagement_up"
    query = f"label_values({selector}, {name})"
    return VariableModel(
        type_val=VariableType.QUERY,
        name=name,
        label=label,
        datasource=DATASOURCE,
        query={"query": query, "refId": name},
        definition=query,
        refresh=VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=VariableSort.ALPHABETICAL_ASC,
        multi=True,
        include_all=True,
        all_value=".+",
        current=VariableOption(selected=True, text=["All"], value=["$__all"]),
        options=[],
    )


def _alerts() -> AnnotationQuery:
    return AnnotationQuery(
        name="Alerts",
        datasource=DATASOURCE,
        enable=True,
        icon_color=Colour.BAD,
        expr=_FIRING,
        step="5m",
        title_format="{{alertname}}",
        text_format="{{target}} {{collector}}",
        tag_keys="severity,platform",
    )


def _links() -> list[DashboardLink]:
    return [
        DashboardLink(
            title="Engagement",
            type_val=DashboardLinkType.DASHBOARDS,
            tags=[TAG],
            as_dropdown=True,
            include_vars=True,
            keep_time=True,
            icon="external link",
        )
    ]


def _requirements(rows: Sequence[Row]) -> list[dict[str, str]]:
    kinds = sorted({panel.type_val for row in rows for panel in row.panels})
    return [
        {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "12.0.0"},
        {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        *({"type": "panel", "id": kind, "name": kind, "version": ""} for kind in kinds),
    ]


def _drop_sdk_defaults(document: dict[str, Any]) -> None:
    """Drop what the SDK writes unasked: links hidden in a menu, and settings of another kind of variable."""
    for entry in (*document["links"], *document["annotations"]["list"]):
        del entry["placement"]
    for panel in document["panels"]:
        for link in panel.get("links", ()):
            del link["placement"]
    for variable in document["templating"]["list"]:
        for key in ("auto", "auto_min", "auto_count"):
            del variable[key]
