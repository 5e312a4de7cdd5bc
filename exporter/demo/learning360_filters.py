"""Filters of 360Learning v2: `field[op]=value` in the query string, several of them joined by AND.

Documented: `eq`, `ne`, `in`, `nin` on ids and words, `lt` and `gte` on dates, `in` and `nin` repeated with or
without an index, dates with or without a time. Inferred: a row without the field passes `ne` and `nin` only; a
filter the endpoint does not know is ignored; an operator it does not know, or a malformed date or id, is a 400.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

_RowT = TypeVar("_RowT")

_PARAMETER = re.compile(r"(?P<field>\w+)\[(?P<operator>\w+)\](?:\[\d*\])?")
_OBJECT_ID = re.compile(r"[a-fA-F0-9]{24}")


@dataclass(frozen=True, slots=True)
class Field(Generic[_RowT]):
    """A field that can be filtered on: its value in a row, its operators, and how to read a value in the query."""

    value: Callable[[_RowT], str | None]
    operators: frozenset[str]
    parse: Callable[[str], str]


def iso(moment: datetime) -> str:
    """The API's form of a moment, whose order as text is the order in time: 2026-03-02T08:00:00.000Z."""
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"


def parse_date(text: str) -> str:
    """A date or a full timestamp as `iso` writes it; ValueError if it is neither."""
    return iso(datetime.fromisoformat(text).replace(tzinfo=UTC))


def parse_object_id(text: str) -> str:
    """An ObjectId in lower case; ValueError if it is none."""
    if not _OBJECT_ID.fullmatch(text):
        raise ValueError(f"{text!r} is not an id")
    return text.lower()


def date_field(value: Callable[[_RowT], datetime | None]) -> Field[_RowT]:
    """A date, with the operators `lt` and `gte`."""

    def text(row: _RowT) -> str | None:
        moment = value(row)
        return iso(moment) if moment else None

    return Field(text, frozenset({"lt", "gte"}), parse_date)


def id_field(value: Callable[[_RowT], str | None]) -> Field[_RowT]:
    """An id, with the operators `eq`, `ne`, `in` and `nin`."""
    return Field(value, frozenset({"eq", "ne", "in", "nin"}), parse_object_id)


def conditions(query: Iterable[tuple[str, str]], fields: Mapping[str, Field[_RowT]]) -> list[Callable[[_RowT], bool]]:
    """One predicate per filter of the query; ValueError for an operator or a value that the field does not take."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for name, value in query:
        parameter = _PARAMETER.fullmatch(name)
        if parameter is None or parameter["field"] not in fields:
            continue
        field = fields[parameter["field"]]
        if parameter["operator"] not in field.operators:
            raise ValueError(f"{name} is not a filter of this endpoint")
        wanted.setdefault((parameter["field"], parameter["operator"]), set()).add(field.parse(value))
    return [_condition(fields[name].value, operator, values) for (name, operator), values in wanted.items()]


def _condition(value: Callable[[_RowT], str | None], operator: str, wanted: set[str]) -> Callable[[_RowT], bool]:
    if operator in {"eq", "in"}:
        return lambda row: value(row) in wanted
    if operator in {"ne", "nin"}:
        return lambda row: value(row) not in wanted
    if operator == "lt":
        return lambda row: (value(row) or "~") < min(wanted)
    return lambda row: (value(row) or "") >= max(wanted)
