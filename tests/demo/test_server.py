"""The demo server over real HTTP: four origins, clean start and end, and connections that are cut."""

import asyncio
import signal
import time
from datetime import UTC, date, datetime

import httpx
import pytest

from exporter.demo import konstantly, viktor
from exporter.demo.faults import RecordedRequest, cut
from exporter.demo.organisation import Organisation, organisation
from exporter.demo.server import GENEROUS_LIMITS, Demo, Served, serve
from tests.command import PATIENCE_SECONDS

NOW = datetime(2025, 3, 12, 11, 30, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def demo() -> Organisation:
    return organisation(7, date(2024, 11, 20))


def platforms(running: Demo) -> list[Served]:
    return [running.konstantly, running.viktor, running.pybossa, running.learning360]


async def test_each_platform_answers_on_a_port_of_its_own(demo: Organisation) -> None:
    async with serve(demo, lambda: NOW) as running, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        statistics = await http.get(
            f"{running.konstantly.url}{konstantly.BASE_PATH}/statistics",
            headers={"X-API-KEY": konstantly.API_KEY},
        )
        apps = await http.get(f"{running.viktor.url}/api/apps/", headers={"Authorization": f"Bearer {viktor.TOKEN}"})
        stats = await http.get(f"{running.pybossa.url}/stats/", headers=JSON)
        refused = await http.get(f"{running.learning360.url}/api/v2/users")

        assert [response.status_code for response in (statistics, apps, stats, refused)] == [200, 200, 200, 401]
        assert len({platform.url for platform in platforms(running)}) == 4
        assert list(running.pybossa.requests) == [RecordedRequest("GET", "/stats/", "")]


async def test_the_next_page_lies_on_the_servers_own_origin(demo: Organisation) -> None:
    async with serve(demo, lambda: NOW) as running, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        headers = {"Authorization": f"Bearer {viktor.TOKEN}"}
        reply = await http.get(f"{running.viktor.url}/api/apps/?limit=1", headers=headers)

        assert reply.json()["next"].startswith(f"{running.viktor.url}/api/apps/?")


async def test_the_clock_of_the_caller_is_the_clock_of_the_platforms(demo: Organisation) -> None:
    clock = [NOW]
    async with (
        serve(demo, lambda: clock[0]) as running,
        httpx.AsyncClient(headers=JSON, timeout=PATIENCE_SECONDS) as http,
    ):
        before = (await http.get(f"{running.pybossa.url}/stats/")).json()["stats"]["n_task_runs"]
        clock[0] = NOW.replace(month=6)
        after = (await http.get(f"{running.pybossa.url}/stats/")).json()["stats"]["n_task_runs"]

    assert after > before


async def test_options_reach_the_applications(demo: Organisation) -> None:
    options = {**GENEROUS_LIMITS, "pybossa": {"rate_limit": 1}}
    async with (
        serve(demo, lambda: NOW, options=options) as running,
        httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http,
    ):
        assert (await http.get(f"{running.pybossa.url}/api/category")).status_code == 429
        statistics = await http.get(
            f"{running.konstantly.url}{konstantly.BASE_PATH}/statistics",
            headers={"X-API-KEY": konstantly.API_KEY},
        )
        assert int(statistics.headers["X-RateLimit-Limit"]) > 100_000


async def test_a_fixed_port_can_be_used_again_at_once_but_not_twice(demo: Organisation) -> None:
    async with serve(demo, lambda: NOW) as first:
        port = httpx.URL(first.viktor.url).port
        assert port is not None
        with pytest.raises(OSError, match="in use"):
            async with serve(demo, lambda: NOW, ports={"viktor": port}):
                pytest.fail("two servers on one port")
    async with serve(demo, lambda: NOW, ports={"viktor": port}) as second:
        assert second.viktor.url == first.viktor.url


async def test_a_cut_connection_ends_in_the_middle_of_the_body(demo: Organisation) -> None:
    async with serve(demo, lambda: NOW) as running, httpx.AsyncClient(headers=JSON, timeout=PATIENCE_SECONDS) as http:
        running.pybossa.faults.set(cut(), times=1)
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"{running.pybossa.url}/stats/")
        assert (await http.get(f"{running.pybossa.url}/stats/")).status_code == 200


async def test_the_end_waits_neither_for_idle_connections_nor_for_slow_replies(demo: Organisation) -> None:
    arrived = asyncio.Event()

    async def stuck(*_: object) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with httpx.AsyncClient(headers=JSON, timeout=PATIENCE_SECONDS) as http:
        async with serve(demo, lambda: NOW) as running:
            await http.get(f"{running.pybossa.url}/stats/")
            running.viktor.faults.set(stuck)
            waiting = asyncio.create_task(http.get(f"{running.viktor.url}/api/apps/"))
            await arrived.wait()
            began_seconds = time.monotonic()
        assert time.monotonic() - began_seconds < 3
        assert (await waiting).status_code == 500
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{running.pybossa.url}/stats/")


async def test_signals_stay_with_the_program(demo: Organisation) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    async with serve(demo, lambda: NOW) as running, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        await http.get(f"{running.pybossa.url}/stats/")
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


async def test_an_error_inside_the_block_still_ends_the_servers(demo: Organisation) -> None:
    urls: list[str] = []

    async def fail() -> None:
        async with serve(demo, lambda: NOW) as running:
            urls.append(running.viktor.url)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(urls[0])
