"""What stands in for the world in tests: a clock that only sleeping moves, and platforms that answer as told."""

import gzip
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

import httpx
from prometheus_client import CollectorRegistry

from exporter.api.client import Access, Client
from exporter.api.pacing import Pace
from exporter.app import Exporter
from exporter.collection import Result
from exporter.config import Config, Target
from exporter.jobs import id_of
from exporter.metrics import Family
from exporter.platform import Collect, Collector, Limit, Platform
from exporter.self_metrics import ApiMetrics
from exporter.settings import CollectorSettings, CollectorsSettings, OnOff, TargetSettings
from exporter.snapshot import Key

Answer = httpx.Response | Exception
Handler = Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]

NOW_SECONDS = 1_800_000_000.0
"""2027-01-15 08:00:00 UTC."""

SITE = Access("https://site.test/api")


class Clock:
    """Unix time that passes only while somebody sleeps; `slept` has the seconds of every sleep."""

    def __init__(self, seconds: float = NOW_SECONDS) -> None:
        self.seconds = seconds
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


class Script:
    """A platform that gives one answer after the other, the last for ever, and keeps the requests that it got."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = answers
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]


class Chunks(httpx.AsyncByteStream):
    """A body that arrives in pieces; `taken` counts those that were read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            self.taken += 1
            yield chunk


def gzip_bomb() -> httpx.Response:
    """A reply of a few kB that becomes 8 MB of zeros."""
    return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Chunks([gzip.compress(bytes(8 * 2**20))]))


def ok(document: Any = None, **headers: str) -> httpx.Response:
    """A 200 with the document as JSON; underscores in header names stand for hyphens."""
    return httpx.Response(200, json=document, headers={name.replace("_", "-"): text for name, text in headers.items()})


def status(code: int, **headers: str) -> httpx.Response:
    """A reply with the page of a proxy; underscores in header names stand for hyphens."""
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.Response(code, html=f"<h1>{code}</h1>", headers=names)


def make_client(
    handler: Handler,
    access: Access = SITE,
    clock: Clock | None = None,
    *,
    concurrency: int = 4,
    registry: CollectorRegistry | None = None,
    max_body_bytes: int = 2**20,
    transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    limit_of: Callable[[str], str] = lambda _endpoint: "",
) -> Client:
    """Make the client of the target `site`, whose platform is the handler; waiting takes no real time."""
    clock = clock or Clock()
    return Client(
        "site",
        "fake",
        access,
        Pace(1e5, concurrency, clock.now, clock.sleep, clock.now),
        transport=transport or (lambda: httpx.MockTransport(handler)),
        metrics=ApiMetrics(registry or CollectorRegistry()),
        max_body_bytes=max_body_bytes,
        limit_of=limit_of,
        now=clock.now,
        sleep=clock.sleep,
    )


PEOPLE = Family("fake_people", "People of the fake platform.")
PLACES = Family("fake_places", "Visits by place of the fake platform.", ("place",))


class FakeCollectors(CollectorsSettings):
    """Two collectors."""

    people: Annotated[CollectorSettings, OnOff] = CollectorSettings()
    places: Annotated[CollectorSettings, OnOff] = CollectorSettings()


class FakeSettings(TargetSettings):
    """A target on the fake platform."""

    collectors: FakeCollectors = FakeCollectors()


def make_settings(name: str = "site", **keys: Any) -> FakeSettings:
    return FakeSettings(name=name, platform="fake", url="https://site.test", **keys)


def make_collector(name: str, family: Family, collect: Collect[Any]) -> Collector[Any]:
    """Make a collector of one family that asks `/{name}`."""
    return Collector(name, (family,), timedelta(hours=1), collect, (), lambda _: {f"/{name}": 1}, lambda _: {})


PER_ENDPOINT = Limit(300, timedelta(minutes=15), is_per_endpoint=True)
"""A limit that each endpoint of the fake platform has for itself."""


def make_target(people: Collect[Any], places: Collect[Any], *, limit: Limit | None = None, **keys: Any) -> Target:
    """Make a target of the fake platform; the two functions collect its two families."""
    collectors = (make_collector("people", PEOPLE, people), make_collector("places", PLACES, places))
    platform = Platform(
        "fake", FakeSettings, lambda _: SITE, collectors, credential="none", planned_for="nobody", limit=limit
    )
    return Target(make_settings(**keys), platform)


@asynccontextmanager
async def running(*targets: Target, clock: Clock | None = None) -> AsyncIterator[Exporter]:
    """Poll the targets until the block ends."""
    now = (clock or Clock()).now
    exporter = Exporter(Config(targets), now, monotonic=now)
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.stop()


async def record(exporter: Exporter, key: Key, result: Result) -> None:
    """Let a run of the collector have given the result."""
    await exporter.record(exporter.parts.jobs[id_of(key)], result)
