"""Where a Prometheus has no samples of a family, so that only these moments are filled."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import httpx
import msgspec
from msgspec import Struct

from exporter.errors import BackfillError, CollectError
from exporter.history import Run, Span
from exporter.metrics import TARGET_LABEL, Family

MOMENTS_AT_ONCE = 10_000
"""Prometheus answers at most 11,000 points of a series."""

NEAREST_SECONDS = 60
"""A moment is held when a sample lies at most half a step before it, and this long in any case: a usual scrape."""

LABELS_NAMED = 3
"""So many sets of labels stand in a refusal."""

Held = Sequence[tuple[int, int]]
"""Positions of moments with samples, as ranges with exclusive ends, in order."""

T = TypeVar("T")


class Vector(Struct):
    """A series of a range query; values are [Unix time, text]."""

    values: list[tuple[float, str]]


class Ranges(Struct):
    result: list[Vector]


class Answer(Struct, Generic[T]):
    """A reply of Prometheus's HTTP API."""

    data: T


def without(runs: Iterable[Run], held: Held) -> Iterator[Run]:
    """Yield what is left of the runs outside the ranges."""
    for run in runs:
        first = run.first
        for begin, end in held:
            if end > first and begin < run.last:
                if begin > first:
                    yield Run(first, begin, run.value)
                first = end
        if first < run.last:
            yield Run(first, run.last, run.value)


class Holes:
    """Asks the server at `url` (Prometheus's HTTP API) for the series with the external `labels`."""

    def __init__(self, http: httpx.AsyncClient, url: str, labels: Mapping[str, str]) -> None:
        self._http = http
        self.url = url.rstrip("/")
        self._labels = labels

    async def held(self, family: Family, target: str, span: Span) -> Held:
        """Return the moments of the span at which the target has samples of the family.

        One sample is enough, since all of a family is published at once: a series that has none then had no value of
        its own, like a course within `other`. Raises BackfillError, also when the server has the family under labels
        that the history would not have.
        """
        await self._check_labels(family, target, span)
        selector = _selector(family, {TARGET_LABEL: target, **self._labels})
        seconds = max(span.step_seconds // 2, NEAREST_SECONDS)
        ranges: list[tuple[int, int]] = []
        for first in range(0, span.count, MOMENTS_AT_ONCE):
            last = min(first + MOMENTS_AT_ONCE, span.count) - 1
            params = {
                "query": f"count(present_over_time({selector}[{seconds}s]))",
                "start": str(span.start_seconds + first * span.step_seconds),
                "end": str(span.start_seconds + last * span.step_seconds),
                "step": str(span.step_seconds),
            }
            for vector in (await self._ask("/api/v1/query_range", params, Ranges)).result:
                for time, _ in vector.values:
                    position = (round(time) - span.start_seconds) // span.step_seconds
                    if not max(first, ranges[-1][1] if ranges else 0) <= position <= last:
                        raise BackfillError(f"--gaps: {self.url} answered with moments that it was not asked for")
                    if ranges and ranges[-1][1] == position:
                        ranges[-1] = (ranges[-1][0], position + 1)
                    else:
                        ranges.append((position, position + 1))
        return ranges

    async def _check_labels(self, family: Family, target: str, span: Span) -> None:
        """Raises BackfillError when history and scrapes would be different series, so that all would seem a gap."""
        params = {"match[]": _selector(family, {TARGET_LABEL: target}), "start": str(span.start_seconds)}
        own = {"__name__", TARGET_LABEL, *family.labels}
        added = {
            frozenset(pair for pair in labels.items() if pair[0] not in own)
            for labels in await self._ask("/api/v1/series", params, list[dict[str, str]])
        }
        given = frozenset(pair for pair in self._labels.items() if pair[1])
        if added and (given not in added or any(given < labels for labels in added)):
            raise BackfillError(
                f"--gaps: {self.url} has {family.name} of {target} with {_alternatives(added - {given})}, "
                f"and this history would have {_flags(given)}: other series, so nothing of it would count as there; "
                "give --label for exactly what Prometheus adds to a scrape"
            )

    async def _ask(self, path: str, params: Mapping[str, str], kind: type[T]) -> T:
        url = self.url + path
        try:
            response = await self._http.post(url, data=params)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise BackfillError(f"--gaps: no answer from {url} ({type(error).__name__})") from None
        except CollectError as error:
            raise BackfillError(f"--gaps: {url} does not answer as Prometheus does: {error}") from None
        if response.status_code != 200:
            raise BackfillError(f"--gaps: {url} answered {response.status_code} instead of what it has")
        try:
            return msgspec.json.decode(response.content, type=Answer[kind]).data  # type: ignore[valid-type]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BackfillError(f"--gaps: {url} does not answer as Prometheus does") from None


def _selector(family: Family, labels: Mapping[str, str]) -> str:
    matchers = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    return f"{family.name}{{{matchers}}}"


def _alternatives(added: Iterable[Iterable[tuple[str, str]]]) -> str:
    """Write some of the sets of labels as flags."""
    texts = sorted(map(_flags, added))
    return " or ".join([*texts[:LABELS_NAMED], *(["others"] if len(texts) > LABELS_NAMED else [])])


def _flags(labels: Iterable[tuple[str, str]]) -> str:
    return " ".join(shlex.quote(f"--label={name}={value}") for name, value in sorted(labels)) or "no --label"
