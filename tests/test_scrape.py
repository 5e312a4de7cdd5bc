"""Scrapes of a running exporter over real HTTP, by clients that each read gzip in their own way."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from exporter.app import Exporter
from exporter.collection import Result
from exporter.config import Config
from exporter.errors import State
from exporter.process import serve
from exporter.snapshot import Key
from tests.command import PATIENCE_SECONDS, ended, start
from tests.fakes import PLACES, make_target, record
from tests.page import series
from tests.test_app import hang

SERIES = 20_000
ADDRESS = "http://127.0.0.1:{}"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The address of an exporter whose one result with samples is large enough to be sent in many slices."""
    exporter = Exporter(Config((make_target(hang, hang), make_target(hang, hang, name="other"))))
    samples = tuple(PLACES.sample(number, place=f"place number {number}") for number in range(SERIES))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(serve(exporter, [listener]))
        await record(exporter, Key("site", "places"), Result(State.OK, time.time(), 1.0, samples))
        yield ADDRESS.format(listener.getsockname()[1])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def count(page: str) -> int:
    return len(series(page, "fake_places"))


async def by_httpx(url: str) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        reply = await http.get(url, headers={"accept-encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    return reply.text


async def by_curl(url: str) -> str:
    return (await ended(await start("curl", "--silent", "--noproxy", "*", "--compressed", url))).out


async def by_python(url: str) -> str:
    async with (
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http,
        http.stream("GET", url, headers={"accept-encoding": "gzip"}) as reply,
    ):
        return gzip.decompress(b"".join([piece async for piece in reply.aiter_raw()])).decode()


async def plain(url: str) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        reply = await http.get(url, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in reply.headers
    return reply.text


@pytest.mark.parametrize("read", [by_httpx, by_curl, by_python, plain])
async def test_every_client_reads_the_page_to_its_end(read: Callable[[str], Awaitable[str]], url: str) -> None:
    page = await read(f"{url}/metrics")

    assert count(page) == SERIES
    assert "\npython_gc_collections_total" in page


async def test_a_choice_of_targets_is_answered_over_http(url: str) -> None:
    assert count(await by_httpx(f"{url}/metrics?target=site")) == SERIES
    other = await by_curl(f"{url}/metrics?target=other")
    assert count(other) == 0
    assert series(other, "engagement_up", target="other")
    assert "process_" not in other


async def test_a_reader_that_leaves_in_the_middle_of_a_page_disturbs_nobody(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    writer.transport.abort()

    assert count(await plain(f"{url}/metrics")) == SERIES
