"""Where a Prometheus has no samples of a series, so that only these moments are filled."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import httpx
import msgspec
from msgspec import Struct

from exporter.errors import BackfillError
from exporter.history import Run, Span, Steps
from exporter.metrics import TARGET_LABEL, Family

MOMENTS_AT_ONCE = 2_000
"""Prometheus answers at most 11,000 points of a series; this keeps a reply about a hundred series below 5 MB."""

NEAREST_SECONDS = 60
"""A moment is held when a sample lies at most half a step before it, and this long in any case: a usual scrape."""

Key = frozenset[tuple[str, str]]
"""The label pairs of a series, without its name and those that Prometheus adds; an empty value is no label."""

Held = Sequence[tuple[int, int]]
"""Positions of moments with samples, as ranges with exclusive ends, in order."""


class Vector(Struct):
    """A series of a range query; values are [Unix time, text]."""

    metric: dict[str, str]
    values: list[tuple[float, str]]


class Data(Struct):
    result: list[Vector]


class Answer(Struct):
    data: Data


def held_key(steps: Steps) -> Key:
    """Return what tells a series from the others of its family and target."""
    pairs = zip(steps.family.labels, steps.labels, strict=True)
    return frozenset((name, value) for name, value in pairs if value)


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
        self.url = url.rstrip("/") + "/api/v1/query_range"
        self._labels = labels

    async def held(self, family: Family, target: str, span: Span) -> Mapping[Key, Held]:
        """Return the moments of the span that the target's series of the family have. Raises BackfillError."""
        found: dict[Key, list[tuple[int, int]]] = {}
        for first in range(0, span.count, MOMENTS_AT_ONCE):
            last = min(first + MOMENTS_AT_ONCE, span.count) - 1
            for vector in await self._ask(family, target, span, first, last):
                ranges = found.setdefault(self._key(vector.metric), [])
                for time, _ in vector.values:
                    position = (round(time) - span.start_seconds) // span.step_seconds
                    if ranges and ranges[-1][1] == position:
                        ranges[-1] = (ranges[-1][0], position + 1)
                    else:
                        ranges.append((position, position + 1))
        return found

    def _key(self, metric: Mapping[str, str]) -> Key:
        return frozenset(pair for pair in metric.items() if pair[0] != TARGET_LABEL and pair[0] not in self._labels)

    async def _ask(self, family: Family, target: str, span: Span, first: int, last: int) -> list[Vector]:
        selected = {TARGET_LABEL: target, **self._labels}
        matchers = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in selected.items())
        seconds = max(span.step_seconds // 2, NEAREST_SECONDS)
        params = {
            "query": f"present_over_time({family.name}{{{matchers}}}[{seconds}s])",
            "start": str(span.start_seconds + first * span.step_seconds),
            "end": str(span.start_seconds + last * span.step_seconds),
            "step": str(span.step_seconds),
        }
        try:
            response = await self._http.post(self.url, data=params)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise BackfillError(f"--gaps: no answer from {self.url} ({type(error).__name__})") from None
        if response.status_code != 200:
            raise BackfillError(f"--gaps: {self.url} answered {response.status_code} instead of a range of samples")
        try:
            return msgspec.json.decode(response.content, type=Answer).data.result
        except msgspec.DecodeError:
            raise BackfillError(f"--gaps: {self.url} does not answer as Prometheus does") from None
