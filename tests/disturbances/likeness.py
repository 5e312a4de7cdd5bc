"""What two exporters that show the same organisation have to agree on: page, status, storage and log.

Left out is what tells when something happened, how often, and how long it took.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from exporter.storage import FILE_NAME
from tests.page import Series, series

OF_A_MOMENT = re.compile(
    r"process_|python_|engagement_api_request|engagement_api_retries|engagement_api_rate_limit_remaining"
    r"|engagement_collector_(runs|failures|skipped_runs|duration)|engagement_\w*timestamp_seconds"
)
"""Names of series whose values differ between two exporters that have run for the same time."""

MOMENTS = ("at", "_at", "_seconds", "remaining", "runs", "failures", "last_reload")
"""Endings of keys of the status that tell the same."""

LASTING = ("interval_seconds", "max_age_seconds")


def page(text: str) -> Series:
    """Reduce a page to what has to be alike; of numbers that differ by nature only that they are there."""
    return {
        (name, labels): 0.0 if OF_A_MOMENT.match(name) else value
        for (name, labels), value in series(text).items()
        if not name.startswith("engagement_api_requests_total")
    }


def status(document: Any) -> Any:
    """Reduce the status likewise."""
    if isinstance(document, list):
        return [status(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {key: status(value) for key, value in document.items() if key in LASTING or not key.endswith(MOMENTS)}


def events(lines: Iterable[Mapping[str, Any]]) -> set[str]:
    """Reduce a log to the kinds of its lines."""
    kept = ("level", "event", "target", "collector", "state", "error", "reason", "samples", "pages")
    return {json.dumps({key: line[key] for key in kept if key in line}) for line in lines}


def stored(folder: Path, targets: Iterable[str]) -> list[tuple[object, ...]]:
    """Return what is stored of the targets, but for times."""
    columns = "target, collector, fingerprint, state, error, remedy, illegal, unreadable, samples"
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        rows = connection.execute(f"SELECT {columns} FROM collectors ORDER BY target, collector").fetchall()  # noqa: S608
    return [row for row in rows if row[0] in targets]


def differences(name: str, one: Any, other: Any) -> Iterator[str]:
    """Say where two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from differences(f"{name} {key}", one.get(key), other.get(key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(f"{name}[{number}]", *pair)
    elif one != other:
        yield f"{name}: {str(one)[:200]} instead of {str(other)[:200]}"
