"""Samples sent by Prometheus remote write 1.0, to Prometheus with an out-of-order window, Mimir or VictoriaMetrics.

The protocol: a POST of protobuf messages of the type `prometheus.WriteRequest`, compressed as one Snappy block.
"""

import asyncio
import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import cramjam
import httpx
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from exporter.api.pacing import retry_after_seconds
from exporter.errors import BackfillError, CollectError
from exporter.history import MS_PER_SECOND, Run, Span, Steps
from exporter.metrics import TARGET_LABEL, Family

SAMPLES_PER_REQUEST = 10_000
MAX_TRIES = 6
LONGEST_BACKOFF_SECONDS = 30.0
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


_FIELDS = {
    "Label": (("name", 1, "string"), ("value", 2, "string")),
    "Sample": (("value", 1, "double"), ("timestamp", 2, "int64")),
    "TimeSeries": (("labels", 1, "Label"), ("samples", 2, "Sample")),
    "WriteRequest": (("timeseries", 1, "TimeSeries"),),
}
"""The part of https://github.com/prometheus/prometheus/blob/main/prompb/remote.proto that is sent; messages repeat."""


def _message_class() -> Any:
    field = descriptor_pb2.FieldDescriptorProto
    types = {"string": field.TYPE_STRING, "double": field.TYPE_DOUBLE, "int64": field.TYPE_INT64}
    file = descriptor_pb2.FileDescriptorProto(name="remote.proto", package="prometheus", syntax="proto3")
    for message, fields in _FIELDS.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            if kind in types:
                described.field.add(name=name, number=number, type=types[kind], label=field.LABEL_OPTIONAL)
            else:
                described.field.add(
                    name=name,
                    number=number,
                    type=field.TYPE_MESSAGE,
                    type_name=f".prometheus.{kind}",
                    label=field.LABEL_REPEATED,
                )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


WriteRequest = _message_class()


class RemoteWrite:
    """A sink that sends; `close` sends what is left. `labels` are what Prometheus adds to a scrape.

    `where` is the address without its query, which may hold a token.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        labels: Mapping[str, str],
        span: Span,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._url = url
        self.where = str(httpx.URL(url).copy_with(query=None))
        self._labels = labels
        self._span = span
        self._sleep = sleep
        self._series: list[tuple[list[tuple[str, str]], Sequence[Run]]] = []

    async def family(self, family: Family) -> None:
        """See Sink."""
        await self._send_series()

    async def series(self, target: str, steps: Steps, runs: Sequence[Run]) -> None:
        """See Sink."""
        self._series.append((self._labels_of(target, steps), runs))

    async def close(self) -> None:
        """Send what has not been sent. Raises BackfillError."""
        await self._send_series()

    async def _send_series(self) -> None:
        """Send the series of a family, some moments of all of them at a time.

        So an interrupted backfill leaves no moment at which only a part of a family is there, and --gaps can tell what
        is missing by any series.
        """
        moments = max(1, SAMPLES_PER_REQUEST // max(1, len(self._series)))
        positions = list(_positions(run for _, runs in self._series for run in runs))
        for first in range(0, len(positions), moments):
            some = positions[first : first + moments]
            await self._send_moments(range(some[0], some[-1] + 1))
        self._series.clear()

    async def _send_moments(self, positions: range) -> None:
        request = WriteRequest()
        for labels, runs in self._series:
            begin = bisect_right(runs, positions.start, key=lambda run: run.last)
            end = bisect_left(runs, positions.stop, key=lambda run: run.first)
            if begin < end:
                series = request.timeseries.add()
                for name, value in labels:
                    series.labels.add(name=name, value=value)
                for run in runs[begin:end]:
                    for position in range(max(run.first, positions.start), min(run.last, positions.stop)):
                        second = self._span.start_seconds + position * self._span.step_seconds
                        series.samples.add(value=run.value, timestamp=second * MS_PER_SECOND)
        if request.timeseries:
            await self._send(bytes(cramjam.snappy.compress_raw(request.SerializeToString())))

    def _labels_of(self, target: str, steps: Steps) -> list[tuple[str, str]]:
        """Return what names a series, in the order that the protocol wants."""
        pairs = {
            "__name__": steps.family.name,
            TARGET_LABEL: target,
            **dict(zip(steps.family.labels, steps.labels, strict=True)),
            **self._labels,
        }
        return [(name, value) for name, value in sorted(pairs.items()) if value]

    async def _send(self, body: bytes) -> None:
        for attempt in range(1, MAX_TRIES + 1):
            try:
                response = await self._http.post(self._url, content=body, headers=HEADERS)
            except (httpx.TransportError, httpx.InvalidURL, CollectError) as error:
                reason, wait_seconds = f"no answer ({type(error).__name__})", None
            else:
                if response.is_success:
                    return
                reason = f"answered {response.status_code}"
                wait_seconds = retry_after_seconds(response.headers, time.time())
                if response.status_code not in RETRIED_STATUSES:
                    raise BackfillError(f"{self.where} {reason}; {_remedy(response)}")
            backoff_seconds = random.uniform(0, min(2.0**attempt, LONGEST_BACKOFF_SECONDS))  # noqa: S311 - jitter
            if attempt < MAX_TRIES:
                await self._sleep(min(max(wait_seconds or 0.0, backoff_seconds), LONGEST_BACKOFF_SECONDS))
        raise BackfillError(f"{self.where} {reason}, {MAX_TRIES} times; the same command begins anew")


def _positions(runs: Iterable[Run]) -> Iterator[int]:
    """Yield the positions of all moments that lie in a run, in order."""
    position = 0
    for first, last, _ in sorted(runs):
        yield from range(max(first, position), last)
        position = max(position, last)


def _remedy(response: httpx.Response) -> str:
    if "out of bounds" in response.text or "out of order" in response.text or "too old" in response.text:
        return "set storage.tsdb.out_of_order_time_window of that Prometheus above the age of the history"
    if response.status_code in (401, 403):
        return "give --prometheus.username and --prometheus.password-file, or --prometheus.bearer-token-file"
    if response.status_code == 404:
        return "check the path, such as /api/v1/write, and that Prometheus runs with --web.enable-remote-write-receiver"
    return "look into its log for what it does not like"
