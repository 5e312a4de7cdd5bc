"""Clients that say nothing, never end their request, or never read: how long they are waited for, with both parsers."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exporter import process
from exporter.app import Exporter
from exporter.collection import Result
from exporter.config import Config
from exporter.errors import State
from exporter.process import serve
from exporter.snapshot import Key
from exporter.web import accept, connection
from exporter.web.connection import Bounds
from exporter.web.listen import listen
from tests.fakes import PLACES, make_target, record
from tests.test_app import hang

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
SHORT_SECONDS, LONG_SECONDS = 0.2, 3600.0
SERIES = 40_000
PAGE_BYTES = 256 * SERIES
PATIENCE_SECONDS = 20


class OverH11(Bounds, H11Protocol):
    """What serves where httptools is not installed."""


class OverHttptools(Bounds, HttpToolsProtocol):
    """What serves where it is."""


@pytest.fixture(params=[OverH11, OverHttptools])
async def port(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """An exporter whose page is larger than what sockets hold; deadlines are as long as the test leaves them."""
    monkeypatch.setattr(process, "BoundedConnection", request.param)
    monkeypatch.setattr(connection, "HEAD_SECONDS", LONG_SECONDS)
    monkeypatch.setattr(connection, "ANSWER_SECONDS", LONG_SECONDS)
    exporter = Exporter(Config((make_target(hang, hang, max_series=SERIES),)))
    samples = tuple(PLACES.sample(number, place=f"{number:0256}") for number in range(SERIES))
    await record(exporter, Key("site", "places"), Result(State.OK, time.time(), 1.0, samples))
    with listen("127.0.0.1", 0) as listener:
        task = asyncio.create_task(serve(exporter, [listener]))
        yield listener.getsockname()[1]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def client(port: int) -> Iterator[socket.socket]:
    """A connection that takes little at a time."""
    with connected(port) as client:
        yield client


def connected(port: int) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    return client


async def is_ended(client: socket.socket) -> int:
    """Wait until the exporter ends the connection; returns how many bytes came before that."""
    loop = asyncio.get_running_loop()
    size_bytes = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        with contextlib.suppress(ConnectionError):
            while chunk := await loop.sock_recv(client, 65536):
                size_bytes += len(chunk)
    return size_bytes


async def status(client: socket.socket, request: bytes = HEALTH) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, request)
    async with asyncio.timeout(PATIENCE_SECONDS):
        return (await loop.sock_recv(client, 65536)).partition(b"\r\n")[0]


async def test_a_client_that_says_nothing_is_not_waited_for(
    port: int, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "SILENCE_SECONDS", SHORT_SECONDS)
    with connected(port) as silent:
        await is_ended(silent)


@pytest.mark.parametrize("before", [b"", HEALTH], ids=["first request", "second request"])
async def test_a_head_that_arrives_byte_by_byte_is_not_waited_for(
    before: bytes, port: int, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its bytes nor the answer before it give it more time."""
    if before:
        assert await status(client) == b"HTTP/1.1 200 OK"
    monkeypatch.setattr(connection, "HEAD_SECONDS", SHORT_SECONDS)
    loop = asyncio.get_running_loop()
    with pytest.raises(ConnectionError), client if before else connected(port) as slow:  # noqa: PT012
        async with asyncio.timeout(PATIENCE_SECONDS):
            await loop.sock_sendall(slow, b"GET /metrics HTTP/1.1\r\nX-Slow: ")
            while True:
                await loop.sock_sendall(slow, b"x")
                await asyncio.sleep(SHORT_SECONDS / 10)


async def test_a_head_without_end_is_refused_before_it_fills_the_memory(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            await loop.sock_sendall(client, b"GET /metrics HTTP/1.1\r\n")
            while True:
                await loop.sock_sendall(client, b"X-Many: " + bytes(b"x" * 4000) + b"\r\n")
        except ConnectionError:
            pass


async def test_a_head_that_is_too_long_is_refused_even_when_it_arrives_at_once_and_whole(
    client: socket.socket,
) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with contextlib.suppress(ConnectionError):
            await loop.sock_sendall(client, HEALTH[:-2] + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        assert (await loop.sock_recv(client, 65536)).partition(b" ")[2][:3] in (b"", b"400")
    await is_ended(client)


async def test_a_body_that_goes_on_after_the_answer_is_not_read_without_end(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    request = b"POST /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
    assert (await status(client, request)).startswith(b"HTTP/1.1 405")
    async with asyncio.timeout(PATIENCE_SECONDS):
        with contextlib.suppress(ConnectionError):
            while True:
                await loop.sock_sendall(client, b"x" * 4000)


@pytest.mark.parametrize("path", [b"/metrics", b"/metrics?target=site"])
async def test_an_answer_that_is_not_read_is_cut_off(
    path: bytes, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", SHORT_SECONDS)
    received = await status(client, REQUEST.replace(b"/metrics", path))
    await asyncio.sleep(2 * SHORT_SECONDS)  # what is shown is that nothing is read meanwhile

    assert received == b"HTTP/1.1 200 OK"
    assert await is_ended(client) < PAGE_BYTES


async def test_a_deadline_that_was_kept_disturbs_no_later_request(
    client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", SHORT_SECONDS)
    assert await status(client) == b"HTTP/1.1 200 OK"
    await asyncio.sleep(2 * SHORT_SECONDS)  # the deadline passes while the connection rests

    assert await status(client) == b"HTTP/1.1 200 OK"


async def test_a_new_connection_takes_the_place_of_the_one_that_was_silent_for_longest(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "MOST_CONNECTIONS", 3)
    with connected(port) as scraper, connected(port) as silent, connected(port) as other:
        for _ in range(3):
            assert await status(scraper) == b"HTTP/1.1 200 OK"
        with connected(port) as newcomer:
            assert await status(newcomer) == b"HTTP/1.1 200 OK"
            await is_ended(silent)
            assert await status(scraper) == b"HTTP/1.1 200 OK"
            assert await status(other) == b"HTTP/1.1 200 OK"


async def test_a_reader_that_is_slow_but_reads_gets_the_whole_page(port: int) -> None:
    async with (
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http,
        http.stream("GET", f"http://127.0.0.1:{port}/metrics", headers={"accept-encoding": "identity"}) as reply,
    ):
        size_bytes = 0
        async for chunk in reply.aiter_raw(100_000):
            size_bytes += len(chunk)
            await asyncio.sleep(0.001)

    assert size_bytes == int(reply.headers["content-length"]) > PAGE_BYTES
