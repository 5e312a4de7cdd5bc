"""The traps that exporters like this one fell into while polling, each with the test that shows that this one does not.

Traps of the web and of the configuration are tested beside these. Issue numbers are those of the projects named.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog.testing
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from exporter import collection
from exporter.api.auth import ClientCredentials
from exporter.api.client import Access, Client
from exporter.api.status import error_for
from exporter.app import READY_WITHOUT_FIRST_RUNS_SECONDS
from exporter.collection import Result
from exporter.errors import NotFoundError, State
from exporter.exposition import Exposition, Format
from exporter.metrics import Sample
from exporter.platform import Collect
from exporter.platforms.pybossa import PLATFORM as PYBOSSA
from exporter.platforms.pybossa.settings import PybossaSettings
from exporter.schedule import Phase, phase
from exporter.settings import Secret
from exporter.snapshot import Entry, Key, Snapshot
from tests.command import PATIENCE_SECONDS
from tests.fakes import (
    PEOPLE,
    PLACES,
    Clock,
    Handler,
    Script,
    make_client,
    make_collector,
    make_settings,
    make_target,
    ok,
    running,
    status,
)

SITE, PLACES_OF_SITE, OTHER = Key("site", "people"), Key("site", "places"), Key("other", "people")


class Polled:
    """The path from a run to the page, without the schedule: run a collector, publish, look at the page."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(Entry(key, "fake", 60.0, 3600.0, 100) for key in (SITE, PLACES_OF_SITE, OTHER))
        self.exposition = Exposition([PEOPLE, PLACES], CollectorRegistry())

    async def run(self, key: Key, collect: Collect[Any], handler: Handler, timeout_seconds: float = 60.0) -> Result:
        family = PEOPLE if key.collector == "people" else PLACES
        settings = make_settings(key.target, timeout=timedelta(seconds=timeout_seconds))
        result = await collection.run(make_client(handler), make_collector(key.collector, family, collect), settings)
        entry = self.snapshot.publish(key, result)
        self.exposition.publish(entry, {})
        return result

    def series(self, name: str) -> dict[str, float]:
        """Return values by the labels that matter here."""
        page = b"".join(self.exposition.page(Format.TEXT)).decode()
        return {
            sample.labels.get("place")
            or f"{sample.labels['target']}/{sample.labels.get('collector', '')}": sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == name
        }


@pytest.fixture
def polled() -> Polled:
    return Polled()


async def people(client: Client, settings: Any, now: datetime) -> list[Sample]:
    return [PEOPLE.sample(await client.get_as(int, "/people"))]


async def places(client: Client, settings: Any, now: datetime) -> list[Sample]:
    """Read a list, then one reply per place; a place that vanished since it was listed is left out."""
    names = await client.get_as(list[str], "/places")

    async def read(name: str) -> list[Sample]:
        try:
            visits = await client.get_as(int, "/places/{place}", ids={"place": name})
        except NotFoundError:
            return []
        return [PLACES.sample(visits, place=name)]

    read_places = await client.concurrently(read(name) for name in names)
    return [sample for samples in read_places for sample in samples]


def site(**replies: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    """Answer `/places`, and a place by its name."""

    def handler(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[-1]
        return ok(sorted(replies)) if name == "places" else replies[name]

    return handler


async def test_a_failure_does_not_move_the_time_of_the_last_success(polled: Polled) -> None:
    """Trap: the success time is set on failure too (fastly exporter)."""
    name = "engagement_collector_last_success_timestamp_seconds"
    await polled.run(SITE, people, Script(ok(7)))
    before = polled.series(name)
    await polled.run(SITE, people, Script(status(500)))

    assert polled.series(name) == before != {}


async def test_a_platform_that_answers_nothing_at_all_is_no_success(polled: Polled) -> None:
    """Trap: total failure of the API counts as a success with no values (meraki 509)."""
    result = await polled.run(PLACES_OF_SITE, places, Script(httpx.ConnectError("refused")))

    assert result.state is State.UNREACHABLE
    assert polled.series("engagement_collector_up")["site/places"] == 0
    assert polled.series("engagement_collector_samples")["site/places"] == 0
    assert polled.series("fake_places") == {}


async def test_the_failure_of_one_request_of_many_fails_the_run(polled: Polled) -> None:
    """Trap: the failure of a part is swallowed and the rest passes for the whole (meraki 510)."""
    await polled.run(PLACES_OF_SITE, places, site(a=ok(1), b=ok(2)))
    result = await polled.run(PLACES_OF_SITE, places, site(a=ok(9), b=status(403)))

    assert result.state is State.FORBIDDEN
    assert polled.series("fake_places") == {"a": 1, "b": 2}


async def test_a_collector_that_broke_runs_again_and_again() -> None:
    """Trap: a panic, or an error taken for permanent, stops a collector for good (Harvest; query-exporter)."""
    bugs = [ZeroDivisionError(), RecursionError(), KeyError("x")]
    healed = asyncio.Event()

    async def collect(client: Client, settings: Any, now: datetime) -> list[Sample]:
        if bugs:
            raise bugs.pop()
        healed.set()
        return [PEOPLE.sample(1)]

    target = make_target(collect, places, interval=timedelta(milliseconds=10), collectors={"places": False})
    with structlog.testing.capture_logs():
        async with running(target):
            await asyncio.wait_for(healed.wait(), PATIENCE_SECONDS)


async def test_layers_of_retry_do_not_multiply(polled: Polled) -> None:
    """Trap: the retries of the HTTP library, the client, the login and the run multiply (meraki 545)."""
    script = Script(status(503))
    auth = ClientCredentials("https://site.test/token", Secret("i"), Secret("s"), Clock().now)
    client = make_client(script, Access("https://site.test", auth))
    collector = make_collector("people", PEOPLE, people)
    assert (await collection.run(client, collector, make_settings())).state is State.SERVER_ERROR
    assert script.methods == ["POST"] * 3

    script = Script(ok({"access_token": "t"}), status(503))
    client = make_client(script, Access("https://site.test", auth))
    await collection.run(client, collector, make_settings())
    assert script.methods == ["POST"] + ["GET"] * 3

    script = Script(status(401))
    await polled.run(SITE, people, script)
    assert script.methods == ["GET"]


async def test_a_404_of_one_object_is_neither_retried_nor_a_pause(polled: Polled) -> None:
    """Trap: a 404 on something optional puts the whole account into backoff (meraki 704)."""
    clock = Clock()
    places_site = site(a=ok(1), gone=status(404))
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return places_site(request)

    client = make_client(handler, clock=clock)
    collector = make_collector("places", PLACES, places)
    result = await collection.run(client, collector, make_settings())

    assert result.samples == (PLACES.sample(1, place="a"),)
    assert len(asked) == len(set(asked)) == 3
    assert (client.pace.remaining_pause_seconds(), clock.slept) == (0, [])


async def test_one_401_empties_nothing(polled: Polled) -> None:
    """Trap: a single 401 empties the cache and all its metrics vanish (harvest 2444)."""
    await polled.run(SITE, people, Script(ok(7)))
    await polled.run(PLACES_OF_SITE, places, site(a=ok(1)))
    await polled.run(SITE, people, Script(status(401)))

    assert polled.series("fake_people") == {"site/": 7}
    assert polled.series("fake_places") == {"a": 1}
    assert polled.series("engagement_collector_up") == {"site/people": 0, "site/places": 1}


@pytest.mark.parametrize("code", [400, 401, 403, 404, 501])
async def test_an_error_that_looks_permanent_does_not_park_the_collector(code: int) -> None:
    """Trap: after an error that looks permanent the collector rests for a day (harvest 2175).

    Instead the next run comes at its usual time, one and a half intervals later at most.
    """
    failed = asyncio.Event()

    async def collect(client: Client, settings: Any, now: datetime) -> list[Sample]:
        failed.set()
        raise error_for("GET", "/people", code, {})

    async with running(make_target(collect, places, interval="15m", collectors={"places": False})) as exporter:
        await asyncio.wait_for(failed.wait(), PATIENCE_SECONDS)
        next_run_at = exporter.next_run_at(SITE)

    assert next_run_at is not None
    assert next_run_at - datetime.now(UTC) < timedelta(minutes=22.5)


@pytest.mark.parametrize("interval_seconds", [300.0, 3600.0, 86_400.0])
async def test_values_live_longer_than_the_time_between_two_runs(interval_seconds: float) -> None:
    """Trap: values expire before the next run can renew them, which makes periodic gaps (harvest 356).

    The age at which values are dropped is its own setting; with the least that the configuration accepts, two
    intervals, values are there until the next run but one.
    """
    snapshot = Snapshot([Entry(SITE, "fake", interval_seconds, 2 * interval_seconds, 100)])
    snapshot.publish(SITE, Result(State.OK, 1000.0, 0.0, (PEOPLE.sample(7),)))
    latest_next_run = 1000.0 + 1.5 * interval_seconds

    assert snapshot.expire(latest_next_run) == []


async def test_the_first_run_does_not_wait_for_its_phase() -> None:
    """Trap: what spreads the runs also delays the first one, and readiness with it (meraki 591)."""
    ran = asyncio.Event()

    async def collect(client: Client, settings: Any, now: datetime) -> list[Sample]:
        ran.set()
        return []

    target = make_target(collect, places, interval="1d", collectors={"places": False})
    async with running(target) as exporter:
        await asyncio.wait_for(ran.wait(), PATIENCE_SECONDS)
        await asyncio.sleep(0)
        assert exporter.is_ready()

    assert phase("site/people", timedelta(days=1)) > timedelta(hours=1)


async def test_readiness_and_health_do_not_hang_on_the_platform() -> None:
    """Trap: readiness is tied to the vendor, so that its outage takes the exporter out of service (GCPE)."""
    clock = Clock()

    async def hang(client: Client, settings: Any, now: datetime) -> list[Sample]:
        await asyncio.Event().wait()
        return []

    async with running(make_target(hang, hang), clock=clock) as exporter:
        clock.seconds += READY_WITHOUT_FIRST_RUNS_SECONDS
        assert exporter.is_ready()
        assert exporter.is_healthy()


async def test_a_new_result_of_one_target_wipes_only_its_own_series(polled: Polled) -> None:
    """Trap: `clear()` of a metric before it is filled anew wipes the series of all targets (meraki 338)."""
    await polled.run(OTHER, people, Script(ok(8)))
    await polled.run(SITE, people, Script(ok(7)))

    async def nothing(client: Client, settings: Any, now: datetime) -> list[Sample]:
        return []

    await polled.run(SITE, nothing, Script(ok()))

    assert polled.series("fake_people") == {"other/": 8}


async def test_a_run_cut_by_its_deadline_leaves_no_half_of_its_values(polled: Polled) -> None:
    """Trap: values read before the timeout are published beside older ones (meraki 546)."""
    await polled.run(PLACES_OF_SITE, places, site(a=ok(1), b=ok(2)))

    async def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/b"):
            await asyncio.Event().wait()
        return ok(["a", "b"] if request.url.path.endswith("places") else 9)

    result = await polled.run(PLACES_OF_SITE, places, handler, timeout_seconds=0.01)

    assert result.state is State.TIMEOUT
    assert polled.series("fake_places") == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "body",
    [
        {"status": "failed", "error": "internal"},
        {"stats": {}, "error": "cache not ready"},
        {"errors": ["quota"]},
        {"stats": None},
        {},
        [],
    ],
)
async def test_an_error_in_a_200_is_never_a_zero(body: object) -> None:
    """Trap: an error body decodes to defaults, and a zero is exposed (meraki 415 and 437)."""
    settings = PybossaSettings(name="crowd", platform="pybossa", url="https://site.test")
    for collector in PYBOSSA.collectors[:2]:
        result = await collection.run(make_client(Script(ok(body))), collector, settings)
        assert (result.state, result.samples) == (State.INVALID_RESPONSE, ())


@pytest.mark.parametrize("name", [None, 7, ["x"], b"x"])
async def test_a_label_value_is_text_or_its_series_is_refused(polled: Polled, name: Any) -> None:
    """Trap: None as a label value breaks the page, or stands there as "None" (meraki 435)."""

    async def collect(client: Client, settings: Any, now: datetime) -> list[Sample]:
        return [Sample(PLACES, (name,), 1.0), PLACES.sample(2, place="good")]

    await polled.run(PLACES_OF_SITE, collect, Script(ok()))

    assert polled.series("fake_places") == {"good": 2}
    assert polled.series("engagement_series_dropped")["site/places"] == 1


@pytest.mark.parametrize("value", ["", None, float("nan"), float("inf"), 10**400])
async def test_a_value_that_is_no_number_does_not_break_the_page(polled: Polled, value: Any) -> None:
    """Trap: an empty or malformed value makes the whole page unreadable for the scraper (harvest 2383)."""

    async def collect(client: Client, settings: Any, now: datetime) -> list[Sample]:
        return [PEOPLE.sample(value)]

    await polled.run(OTHER, people, Script(ok(8)))
    await polled.run(SITE, collect, Script(ok()))

    assert polled.series("fake_people") == {"other/": 8}
    assert polled.series("engagement_series_dropped")["site/people"] == 1


def test_jitter_does_not_move_the_period() -> None:
    """Trap: random delays add up, so that runs drift through the interval and bunch (own, of APScheduler's jitter)."""
    interval = timedelta(minutes=15)
    trigger = Phase(interval, phase("site/people", interval))
    start = datetime.fromisoformat("2026-11-20T12:00:00+00:00")
    first = following = trigger.get_next_fire_time(start, start)
    for _ in range(1000):
        following = trigger.get_next_fire_time(following, following)

    assert abs(following - first - 1000 * interval) < timedelta(milliseconds=1)


async def test_the_credential_of_a_target_goes_nowhere_else() -> None:
    """Trap: an address chosen from outside is asked with the stored credential (review of json_exporter 49)."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        if len(seen) == 1:
            return status(302, location="https://elsewhere.test/")
        return httpx.Response(200, content=json.dumps({"next": "https://elsewhere.test/"}))

    async with make_client(handler).session() as client:
        for ask in (
            client.get("/things"),
            client.follow("/things", "https://elsewhere.test/things", "https://site.test/"),
        ):
            with pytest.raises(Exception, match=r"redirect|another origin"):
                await ask

    assert set(seen) == {"site.test"}
