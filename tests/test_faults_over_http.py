"""Every fault of the simulated platforms over real HTTP: the right state, the last complete values, and recovery."""

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from exporter import collection, config, yaml_document
from exporter.api.client import Client
from exporter.api.pacing import Pace
from exporter.demo.configuration import configuration
from exporter.demo.faults import faults, html, status
from exporter.demo.organisation import organisation
from exporter.demo.server import GENEROUS_LIMITS, Demo, Served, serve
from exporter.errors import State
from exporter.exposition import Exposition, Format
from exporter.platform import Collector, installed
from exporter.self_metrics import ApiMetrics
from exporter.settings import TargetSettings
from exporter.snapshot import Entry, Key, Snapshot
from tests.fakes import Clock

pytestmark = pytest.mark.asyncio(loop_scope="module")

TARGETS = {"konstantly": "academy", "viktor": "bridges", "pybossa": "crowd", "learning360": "learning"}
COLLECTORS = {
    "konstantly": ("statistics", "users"),
    "viktor": ("users", "apps"),
    "pybossa": ("stats", "projects"),
    "learning360": ("groups", "attempts"),
}
"""Of each platform, what one reply tells and what takes the platform's paging; 360Learning pages all its lists."""

STATES = {
    "401": State.UNAUTHORIZED,
    "403": State.FORBIDDEN,
    "429": State.RATE_LIMITED,
    "429 retry-after seconds": State.RATE_LIMITED,
    "429 retry-after date": State.RATE_LIMITED,
    "429 reset": State.RATE_LIMITED,
    "500": State.SERVER_ERROR,
    "502": State.SERVER_ERROR,
    "503": State.SERVER_ERROR,
    "504": State.SERVER_ERROR,
    "html": State.INVALID_RESPONSE,
    "empty body": State.INVALID_RESPONSE,
    "null": State.INVALID_RESPONSE,
    "redirect": State.INVALID_RESPONSE,
    "slow": State.TIMEOUT,
    "cut": State.UNREACHABLE,
    "truncated": State.INVALID_RESPONSE,
    "numbers as strings": State.INVALID_RESPONSE,
    "lists as objects": State.INVALID_RESPONSE,
    "wrong total": State.INCOMPLETE,
    "foreign next": State.INVALID_RESPONSE,
    "repeated page": State.INCOMPLETE,
    "endless pages": State.TIMEOUT,
}

SINGLE_REPLIES = {"konstantly statistics", "viktor users", "pybossa stats"}
UNHARMED = {
    "wrong total": {*SINGLE_REPLIES, "pybossa projects", "learning360 groups", "learning360 attempts"},
    "foreign next": {*SINGLE_REPLIES, "konstantly users", "viktor apps", "pybossa projects"},
    "repeated page": SINGLE_REPLIES,
    "endless pages": SINGLE_REPLIES,
    "numbers as strings": {"learning360 groups"},
}
"""What a fault finds nothing to spoil in: a single reply has no pages, PYBOSSA no total, a group no number.

The links of VIKTOR's pages are not followed: its lists are read by offset.
"""

SHORT_TIMEOUT = timedelta(seconds=0.4)


def expected(fault: str, platform: str, collector: str) -> State:
    """PYBOSSA sends whoever has to sign in to a page; only there a redirect means that."""
    if f"{platform} {collector}" in UNHARMED.get(fault, ()):
        return State.OK
    if (fault, platform) == ("redirect", "pybossa"):
        return State.UNAUTHORIZED
    return STATES[fault]


class Recorder(httpx.AsyncBaseTransport):
    """Sends over the network, and keeps what it sent."""

    def __init__(self, sent: list[httpx.Request]) -> None:
        self._sent = sent
        # the simulated platforms speak plain HTTP, so the context needs no authorities, which take long to load
        self._inner = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._sent.append(request)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Polled:
    """One target of the demo's own configuration, polled without a schedule and without waiting between tries."""

    def __init__(self, target: config.Target, served: Served, clock: Clock) -> None:
        self.served = served
        self.sent: list[httpx.Request] = []
        self.settings: TargetSettings = target.settings
        names = COLLECTORS[target.platform.name]
        self.collectors: list[Collector[TargetSettings]] = [c for c in target.platform.collectors if c.name in names]
        registry = CollectorRegistry()
        self.client = Client(
            target.settings.name,
            target.platform.name,
            target.platform.access(target.settings),
            Pace(1e5, 4, clock.now, clock.sleep, clock.now),
            transport=lambda: Recorder(self.sent),
            metrics=ApiMetrics(registry),
            now=clock.now,
            sleep=clock.sleep,
        )
        entries = [Entry(self.key(c), target.platform.name, 60.0, 86_400.0, 100_000) for c in self.collectors]
        self.snapshot = Snapshot(entries)
        self.exposition = Exposition([family for c in self.collectors for family in c.families], registry)

    def key(self, collector: Collector[TargetSettings]) -> Key:
        return Key(self.settings.name, collector.name)

    async def run(self, timeout: timedelta | None = None) -> dict[str, State]:
        """Run and publish every collector; returns the states that the page shows."""
        settings = self.settings.model_copy(update={"timeout": timeout or self.settings.timeout})
        for collector in self.collectors:
            result = await collection.run(self.client, collector, settings)
            entry = self.snapshot.publish(self.key(collector), result)
            self.exposition.publish(entry, {})
        states = self.series("engagement_collector_state")
        return {labels["collector"]: State(labels["state"]) for labels, value in states if value}

    def series(self, prefix: str) -> list[tuple[dict[str, str], float]]:
        """Return labels (with the name as `__name__`) and value of the page's series whose names start like that."""
        page = b"".join(self.exposition.page(Format.TEXT)).decode()
        lines = "".join(line for line in page.splitlines(keepends=True) if line.startswith(prefix))
        return [
            ({"__name__": sample.name, **sample.labels}, sample.value)
            for family in text_string_to_metric_families(lines)
            for sample in family.samples
        ]

    def times_of_success(self) -> dict[str, float]:
        series = self.series("engagement_collector_last_success_timestamp_seconds")
        return {labels["collector"]: value for labels, value in series}

    def is_up(self) -> bool:
        return self.series("engagement_up")[0][1] == 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clock() -> AsyncIterator[Clock]:
    yield Clock(datetime.now(UTC).timestamp())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo() -> AsyncIterator[Demo]:
    """The four platforms, whose time stands still, so that their numbers are the same before and after a fault."""
    now = datetime.now(UTC)
    young = organisation(7, now.date() - timedelta(days=40))
    async with serve(young, lambda: now, options=GENEROUS_LIMITS) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def targets(demo: Demo) -> dict[str, config.Target]:
    document = yaml_document.read(configuration(demo), "config.yaml", {})
    return {target.settings.name: target for target in config.parse(document, Path(), installed()).targets}


async def test_every_fault_of_the_demo_is_expected_here(clock: Clock) -> None:
    assert set(faults(lambda: datetime.fromtimestamp(clock.now(), UTC))) == set(STATES)


@pytest.mark.parametrize("fault", STATES)
@pytest.mark.parametrize("platform", TARGETS)
async def test_a_fault_shows_as_its_state_and_nothing_else_changes_until_it_is_over(
    demo: Demo, targets: dict[str, config.Target], clock: Clock, platform: str, fault: str
) -> None:
    polled = Polled(targets[TARGETS[platform]], getattr(demo, platform), clock)
    assert set((await polled.run()).values()) == {State.OK}
    values, successes = polled.series(f"{platform}_"), polled.times_of_success()
    assert values

    spoiled = faults(lambda: datetime.fromtimestamp(clock.now(), UTC))[fault]
    polled.served.faults.set(spoiled)
    states = await polled.run(SHORT_TIMEOUT if STATES[fault] is State.TIMEOUT else None)
    polled.served.faults.clear()

    assert states == {name: expected(fault, platform, name) for name in COLLECTORS[platform]}
    assert polled.series(f"{platform}_") == values
    assert polled.is_up() is (set(states.values()) == {State.OK})
    moved = {name for name, success in polled.times_of_success().items() if success != successes[name]}
    assert moved == {name for name, state in states.items() if state is State.OK}

    clock.seconds += 60
    assert set((await polled.run()).values()) == {State.OK}
    assert polled.series(f"{platform}_") == values
    assert polled.is_up()
    only_allowed_requests(polled)


def only_allowed_requests(polled: Polled) -> None:
    """Nothing but GET, and POST to the token endpoint, was ever sent, and only to the platform's own origin."""
    assert {f"{request.url.scheme}://{request.url.netloc.decode()}" for request in polled.sent} == {polled.served.url}
    assert {(request.method, request.url.path) for request in polled.sent if request.method != "GET"} <= {
        ("POST", "/api/v2/oauth2/token")
    }
    received = {(request.method, request.path) for request in polled.served.requests if request.method != "GET"}
    assert received <= {("POST", "/api/v2/oauth2/token")}


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (status(400), State.UNAUTHORIZED),
        (status(401), State.UNAUTHORIZED),
        (status(429), State.RATE_LIMITED),
        (status(503), State.SERVER_ERROR),
        (html(), State.INVALID_RESPONSE),
    ],
)
async def test_a_fault_of_the_token_endpoint_is_a_state_too_and_passes(
    demo: Demo, targets: dict[str, config.Target], clock: Clock, fault: object, state: State
) -> None:
    polled = Polled(targets["learning"], demo.learning360, clock)
    polled.served.faults.set(fault, "/api/v2/oauth2/token")  # type: ignore[arg-type]
    failed = await polled.run()
    polled.served.faults.clear()
    clock.seconds += 60

    assert set(failed.values()) == {state}
    assert {request.method for request in polled.sent} == {"POST"}
    assert polled.series("learning360_") == []
    assert set((await polled.run()).values()) == {State.OK}
    only_allowed_requests(polled)


@pytest.mark.parametrize("platform", TARGETS)
async def test_a_fault_that_passes_within_three_tries_is_not_noticed(
    demo: Demo, targets: dict[str, config.Target], clock: Clock, platform: str
) -> None:
    polled = Polled(targets[TARGETS[platform]], getattr(demo, platform), clock)
    polled.served.faults.set(status(502), times=2)
    states = await polled.run()
    polled.served.faults.clear()

    assert set(states.values()) == {State.OK}
    assert polled.series("engagement_api_retries_total")
    only_allowed_requests(polled)


async def test_a_platform_that_is_gone_is_unreachable(
    demo: Demo, targets: dict[str, config.Target], clock: Clock
) -> None:
    target = targets["crowd"]
    settings = target.settings.model_copy(update={"url": "http://127.0.0.1:9"})
    polled = Polled(config.Target(settings, target.platform), demo.pybossa, clock)

    assert set((await polled.run()).values()) == {State.UNREACHABLE}
    assert polled.series("pybossa_") == []
