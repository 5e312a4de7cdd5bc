"""Panels of the core types, each with all that the linter asks for; they have a size, and `dashboard` places them."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.models import bargauge as bargauge_model
from grafana_foundation_sdk.models import common, prometheus
from grafana_foundation_sdk.models import stat as stat_model
from grafana_foundation_sdk.models import table as table_model
from grafana_foundation_sdk.models import text as text_model
from grafana_foundation_sdk.models import timeseries as timeseries_model
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DashboardLink,
    DashboardLinkType,
    DataTransformerConfig,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    FieldConfigSource,
    GridPos,
    Panel,
)

from grafana.fields import COUNT, Colour, Column, Steps, column_override, fixed, mappings, nothing, override, set_colour

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
SMALLEST_STEP = "1m"
"""Scraping faster than a minute shows nothing new of a platform that is polled every quarter of an hour."""
KEYS = ("course", "group", "workspace", "project", "short_name")
"""Labels that hold ids: the columns of a table find their rows by them, but they are not shown unless asked for."""
NO_DATA = "no data"
NO_HISTORY = "no history"
STAT_HEIGHT = 4
CHART_HEIGHT = 8
TABLE_HEIGHT = 10


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression; `legend` names its series, with `{{label}}` for a label's value."""

    expression: str
    legend: str = ""


def stat(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = COUNT,
    decimals: int | None = None,
    colour: Colour | Steps = Colour.NEUTRAL,
    words: dict[float, str] | None = None,
    width: int = 4,
    height: int = STAT_HEIGHT,
    no_value: str = NO_DATA,
    name_only: bool = False,
    link: tuple[str, str] | None = None,
) -> Panel:
    """One big number per series, of this moment: the query is an instant one, so an old number is never the latest.

    With `name_only` the legend is shown instead of the number.
    """
    text_mode = common.BigValueTextMode.VALUE_AND_NAME if "{{" in query.legend else common.BigValueTextMode.VALUE
    empty = no_value.replace(" ", "\N{NO-BREAK SPACE}")
    defaults = FieldConfig(
        unit=unit, decimals=decimals, no_value=empty, mappings=[*mappings(words or {}), nothing(empty)]
    )
    set_colour(defaults, colour)
    options = stat_model.Options(
        graph_mode=common.BigValueGraphMode.NONE,
        color_mode=common.BigValueColorMode.VALUE,
        justify_mode=common.BigValueJustifyMode.AUTO,
        text_mode=common.BigValueTextMode.NAME if name_only else text_mode,
        reduce_options=_last(),
        text=common.VizTextDisplayOptions(title_size=14, value_size=32),
        orientation=common.VizOrientation.AUTO,
    )
    panel = _panel("stat", title, description, [query], options, defaults, width, height, True)
    if link:
        panel.links = [DashboardLink(title=link[0], type_val=DashboardLinkType.LINK, url=link[1])]
    return panel


def bars(
    title: str,
    description: str,
    *queries: Query,
    unit: str = COUNT,
    colour: Colour | Steps = Colour.NEUTRAL,
    width: int = 6,
    height: int = CHART_HEIGHT,
) -> Panel:
    """One horizontal bar per series, of this moment."""
    defaults = FieldConfig(unit=unit, min_val=0, no_value=NO_DATA, mappings=[])
    set_colour(defaults, colour)
    options = bargauge_model.Options(
        display_mode=common.BarGaugeDisplayMode.BASIC,
        value_mode=common.BarGaugeValueMode.TEXT,
        name_placement=common.BarGaugeNamePlacement.LEFT,
        show_unfilled=False,
        max_viz_height=34,
        reduce_options=_last(),
        text=common.VizTextDisplayOptions(title_size=13, value_size=14),
        orientation=common.VizOrientation.HORIZONTAL,
    )
    return _panel("bargauge", title, description, queries, options, defaults, width, height, True)


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    colours: dict[str, Colour] | None = None,
    stacked: bool = False,
    from_zero: bool = True,
    steps: bool = False,
    width: int = 12,
    height: int = CHART_HEIGHT,
    legend_beside: bool = False,
) -> Panel:
    """Series over time. `colours` fixes those of named series; others take the next one of the palette."""
    defaults = FieldConfig(
        unit=unit,
        min_val=0 if from_zero else None,
        no_value=NO_DATA,
        color=FieldColor(mode=FieldColorModeId.PALETTE_CLASSIC),
        custom=common.GraphFieldConfig(
            draw_style=common.GraphDrawStyle.LINE,
            line_interpolation=common.LineInterpolation.STEP_AFTER if steps else common.LineInterpolation.LINEAR,
            line_width=2,
            fill_opacity=60 if stacked else 8,
            show_points=common.VisibilityMode.NEVER,
            span_nulls=False,
            stacking=common.StackingConfig(mode=common.StackingMode.NORMAL, group="A") if stacked else None,
        ),
    )
    options = timeseries_model.Options(
        legend=common.VizLegendOptions(
            display_mode=common.LegendDisplayMode.TABLE if legend_beside else common.LegendDisplayMode.LIST,
            placement=common.LegendPlacement.RIGHT if legend_beside else common.LegendPlacement.BOTTOM,
            show_legend=True,
            calcs=["lastNotNull"] if legend_beside else [],
        ),
        tooltip=common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING),
    )
    overrides = [override(name, ("color", fixed(colour))) for name, colour in (colours or {}).items()]
    return _panel("timeseries", title, description, queries, options, defaults, width, height, False, overrides)


def table(
    title: str,
    description: str,
    rows: str,
    labels: dict[str, str],
    columns: Sequence[Column],
    *,
    sort: str,
    descending: bool = True,
    width: int = 24,
    height: int = TABLE_HEIGHT,
    widths: dict[str, int] | None = None,
    links: dict[str, str] | None = None,
) -> Panel:
    """A row per series of `rows`, whose labels (name to heading) come first; then a number per column.

    The expressions of all columns have the same labels, all of them labels of `rows`: that is how Grafana knows which
    number belongs in which row. `widths` goes from a label's heading to pixels, `links` from a heading to where its
    cells lead.
    """
    queries = [Query(rows), *(Query(column.expression) for column in columns)]
    values = [f"Value #{_ref(index)}" for index in range(len(queries))]
    hidden = ["Time", "__name__", "job", "instance", values[0], *KEYS]
    transformations = [
        DataTransformerConfig(id_val="merge", options={}),
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {name: True for name in hidden if name not in labels},
                "indexByName": {name: index for index, name in enumerate([*labels, *values[1:]])},
                "renameByName": labels | dict(zip(values[1:], (column.title for column in columns), strict=True)),
            },
        ),
    ]
    defaults = FieldConfig(
        no_value="",
        mappings=[],
        unit=COUNT,
        color=fixed(Colour.NEUTRAL),
        custom=common.TableFieldOptions(
            align=common.FieldTextAlignment.AUTO,
            min_width=70,
            cell_options=common.TableAutoCellOptions(),
            inspect=False,
            filterable=True,
        ),
    )
    overrides = [column_override(column) for column in columns]
    overrides += [override(heading, ("custom.width", pixels)) for heading, pixels in (widths or {}).items()]
    overrides += [
        override(heading, ("links", [{"title": "Open its dashboard", "url": url}]))
        for heading, url in (links or {}).items()
    ]
    options = table_model.Options(
        cell_height=common.TableCellHeight.SM,
        sort_by=[common.TableSortByFieldState(display_name=sort, desc=descending)],
    )
    panel = _panel("table", title, description, queries, options, defaults, width, height, True, overrides)
    panel.transformations = transformations
    return panel


def note(title: str, markdown: str, *, width: int = 24, height: int = 4) -> Panel:
    """Words that belong beside the numbers."""
    return Panel(
        type_val="text",
        title=title,
        description=title,
        grid_pos=GridPos(h=height, w=width),
        options=text_model.Options(mode=text_model.TextMode.MARKDOWN, content=markdown),
        field_config=FieldConfigSource(defaults=FieldConfig(), overrides=[]),
    )


def _panel(
    kind: str,
    title: str,
    description: str,
    queries: Sequence[Query],
    options: object,
    defaults: FieldConfig,
    width: int,
    height: int,
    instant: bool,
    overrides: Sequence[DashboardFieldConfigSourceOverrides] = (),
) -> Panel:
    return Panel(
        type_val=kind,
        title=title,
        description=description,
        datasource=DATASOURCE,
        interval=SMALLEST_STEP,
        grid_pos=GridPos(h=height, w=width),
        targets=[_target(_ref(index), query, instant, as_table=kind == "table") for index, query in enumerate(queries)],
        options=options,
        field_config=FieldConfigSource(defaults=defaults, overrides=list(overrides)),
    )


def _ref(index: int) -> str:
    return chr(ord("A") + index)


def _target(ref: str, query: Query, instant: bool, as_table: bool) -> prometheus.Dataquery:
    form = prometheus.PromQueryFormat.TABLE if as_table else prometheus.PromQueryFormat.TIME_SERIES
    return prometheus.Dataquery(
        ref_id=ref,
        datasource=DATASOURCE,
        editor_mode=prometheus.QueryEditorMode.CODE,
        expr=query.expression,
        legend_format=query.legend or "__auto",
        format_val=form,
        instant=instant,
        range_val=not instant,
    )


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions(calcs=["lastNotNull"], fields="", values=False)
