"""How a number looks: its colours by meaning or by value, its words, and the columns of tables."""

from dataclasses import dataclass, field
from enum import StrEnum

from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DashboardSpecialValueMapOptions,
    DynamicConfigValue,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    MatcherConfig,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsConfig,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

COUNT = "locale"
"""Grafana's unit for whole numbers: all digits, with separators."""


class Colour(StrEnum):
    """Grafana's names of the few colours used; a meaning keeps its colour on every dashboard."""

    GOOD = "green"
    WARNING = "yellow"
    BAD = "red"
    NEUTRAL = "blue"
    SECOND = "purple"
    THIRD = "orange"
    MUTED = "#8e8e8e"


@dataclass(frozen=True, slots=True)
class Steps:
    """Colours by value: `first` below the first limit, then each limit's own; limits ascend."""

    first: Colour
    limits: tuple[tuple[float, Colour], ...] = ()


ZERO_IS_GOOD = Steps(Colour.GOOD, ((1, Colour.BAD),))
ONE_IS_GOOD = Steps(Colour.BAD, ((1, Colour.GOOD),))


@dataclass(frozen=True, slots=True)
class Column:
    """A number in a table: its heading, its expression, and how it is shown."""

    title: str
    expression: str
    unit: str = COUNT
    decimals: int | None = None
    steps: Steps | None = None
    words: dict[float, str] = field(default_factory=dict)
    bar: bool = False


def fixed(colour: Colour) -> FieldColor:
    """One colour whatever the value."""
    return FieldColor(mode=FieldColorModeId.FIXED, fixed_color=colour)


def set_colour(defaults: FieldConfig, colour: Colour | Steps) -> None:
    """Colour the values of a panel."""
    if isinstance(colour, Steps):
        defaults.color = FieldColor(mode=FieldColorModeId.THRESHOLDS)
        defaults.thresholds = _thresholds(colour)
    else:
        defaults.color = fixed(colour)


def _thresholds(steps: Steps) -> ThresholdsConfig:
    limits = [Threshold(value=None, color=steps.first), *(Threshold(limit, colour) for limit, colour in steps.limits)]
    return ThresholdsConfig(mode=ThresholdsMode.ABSOLUTE, steps=limits)


def nothing(words: str) -> ValueMapping:
    """What stands in the place of a number that is not there: in grey, since it is neither good nor bad."""
    return SpecialValueMap(
        options=DashboardSpecialValueMapOptions(
            match=SpecialValueMatch.NULL_AND_NAN, result=ValueMappingResult(text=words, color=Colour.MUTED, index=9)
        )
    )


def mappings(words: dict[float, str]) -> list[ValueMapping]:
    """Words in the place of single values."""
    options = {
        f"{value:g}": ValueMappingResult(text=word, index=index) for index, (value, word) in enumerate(words.items())
    }
    return [ValueMap(options=options)] if options else []


def override(name: str, *properties: tuple[str, object]) -> DashboardFieldConfigSourceOverrides:
    """Settings of the series or column of that name; `properties` are Grafana's ids with their values."""
    return DashboardFieldConfigSourceOverrides(
        matcher=MatcherConfig(id_val="byName", options=name),
        properties=[DynamicConfigValue(id_val=key, value=value) for key, value in properties],
    )


def column_override(column: Column) -> DashboardFieldConfigSourceOverrides:
    """How a column of a table is shown: its own unit, words, colours."""
    properties: list[tuple[str, object]] = [("unit", column.unit)]
    if column.decimals is not None:
        properties.append(("decimals", column.decimals))
    if column.words:
        properties.append(("mappings", mappings(column.words)))
    if column.steps:
        properties += [
            ("thresholds", _thresholds(column.steps)),
            ("color", FieldColor(mode=FieldColorModeId.THRESHOLDS)),
        ]
    if column.bar:
        properties += [
            ("custom.cellOptions", {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}),
            ("min", 0),
            ("max", 1),
        ]
    elif column.steps:
        properties.append(("custom.cellOptions", {"type": "color-text"}))
    return override(column.title, *properties)
