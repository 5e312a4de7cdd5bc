"""Connections before their first request: what they may cost, and who makes room for whom."""

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from exporter.app import Exporter
from exporter.config import Config
from exporter.process import serve
from exporter.web import accept
from exporter.web.access import Access
from exporter.web.listen import listen
from tests.fakes import make_target
from tests.test_app import hang
from tests.web.certificates import TLS, trusting, write_certificate, write_web_config
from tests.web.test_connection import HEALTH, PATIENCE_SECONDS, SHORT_SECONDS, is_ended, status

FLOOD = 2_000
MOST = 50
HELLO_BEGUN = b"\x16\x03\x01"
"""The first bytes of a TLS handshake."""


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["http", "https"])
async def port(
    request: pytest.FixtureRequest, tmp_path: Path, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[int]:
    """An exporter that takes 50 connections, over plain HTTP or TLS."""
    monkeypatch.setattr(accept, "MOST_CONNECTIONS", MOST)
    write_certificate(tmp_path, ca)
    access = Access(write_web_config(tmp_path, TLS)) if request.param == "https" else None
    with listen("127.0.0.1", 0) as listener:
        serving = asyncio.create_task(serve(Exporter(Config((make_target(hang, hang),))), [listener], access=access))
        yield listener.getsockname()[1]
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
def url(request: pytest.FixtureRequest, port: int) -> str:
    return f"{request.node.callspec.params['port']}://127.0.0.1:{port}/-/healthy"


@pytest.fixture
def tls(ca: trustme.CA) -> ssl.SSLContext:
    return trusting(ca)


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[socket.socket]]:
    """Connect one after the other and say nothing."""
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(count)]
        for client in clients:
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        yield clients


async def taken_in(port: int) -> None:
    """Wait until the exporter has accepted all that have connected so far, since it accepts in their order."""
    async with connections(port, 1) as [last]:
        last.shutdown(socket.SHUT_WR)
        await is_ended(last)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def test_a_flood_of_silent_connections_costs_next_to_nothing_and_locks_nobody_out(
    port: int, url: str, tls: ssl.SSLContext
) -> None:
    """Beyond the limit each newcomer takes the place of the one that was silent for longest."""
    async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=PATIENCE_SECONDS) as scraper:
        assert (await scraper.get(url)).status_code == 200
        before_bytes = resident_bytes()
        async with connections(port, MOST) as first, connections(port, FLOOD):
            await asyncio.gather(*map(is_ended, first))
            assert (await scraper.get(url)).status_code == 200
            async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=PATIENCE_SECONDS) as newcomer:
                assert (await newcomer.get(url)).status_code == 200
            assert resident_bytes() - before_bytes < 10 * 2**20


@pytest.mark.parametrize("port", ["https"], indirect=True)
async def test_neither_those_who_leave_without_a_word_nor_those_in_a_handshake_take_much_memory(
    port: int, url: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "MOST_CONNECTIONS", FLOOD)
    async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=PATIENCE_SECONDS) as scraper:
        assert (await scraper.get(url)).status_code == 200
        before_bytes = resident_bytes()
        async with connections(port, FLOOD // 2) as leaving:
            await taken_in(port)
            for client in leaving:
                client.shutdown(socket.SHUT_WR)
            await asyncio.gather(*map(is_ended, leaving))
        async with connections(port, FLOOD // 2) as begun:
            await taken_in(port)
            for client in begun:
                client.send(HELLO_BEGUN)
            await asyncio.gather(*map(is_ended, begun[: -accept.MOST_HANDSHAKES]))
            assert (await scraper.get(url)).status_code == 200
        assert resident_bytes() - before_bytes < 40 * 2**20


@pytest.mark.parametrize("port", ["https"], indirect=True)
async def test_a_handshake_that_does_not_go_on_ends_soon_and_before_anything_that_was_asked(
    port: int, url: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=PATIENCE_SECONDS) as scraper:
        assert (await scraper.get(url)).status_code == 200
        async with connections(port, MOST - 1) as begun:
            loop = asyncio.get_running_loop()
            for client in begun:
                await loop.sock_sendall(client, HELLO_BEGUN)
            await taken_in(port)  # which takes the place of the first of them
            await is_ended(begun[0])
            assert (await scraper.get(url)).status_code == 200

            monkeypatch.setattr(accept, "HANDSHAKE_SECONDS", SHORT_SECONDS)
            async with connections(port, 1) as [slow]:
                await loop.sock_sendall(slow, HELLO_BEGUN)
                await is_ended(slow)


@pytest.mark.parametrize("port", ["http"], indirect=True)
async def test_room_is_made_by_who_asks_nothing_before_who_rests_between_two_requests(port: int) -> None:
    async with (
        connections(port, MOST - 2) as resting,
        connections(port, 1) as [asking],
        connections(port, 1) as [silent],
    ):
        for client in resting:
            assert await status(client) == b"HTTP/1.1 200 OK"
        await asyncio.get_running_loop().sock_sendall(asking, HEALTH[:20])
        await taken_in(port)
        await is_ended(silent)
        assert not _ended([asking, *resting])
        async with connections(port, 1) as [first]:
            assert await status(first) == b"HTTP/1.1 200 OK"
            async with connections(port, 1) as [second]:
                assert await status(second) == b"HTTP/1.1 200 OK"
                await is_ended(asking)
                assert not _ended([first, *resting])


def _ended(clients: Sequence[socket.socket]) -> list[socket.socket]:
    """Those that the exporter has ended by now."""
    ended = []
    for client in clients:
        try:
            if not client.recv(1, socket.MSG_PEEK):
                ended.append(client)
        except BlockingIOError:
            pass
        except ConnectionError:
            ended.append(client)
    return ended


@pytest.mark.parametrize("port", ["http"], indirect=True)
async def test_a_machine_without_free_files_takes_connections_again_when_there_are(
    port: int, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nobody to send away the exporter waits instead of asking in circles."""
    monkeypatch.setattr(accept, "PAUSE_SECONDS", SHORT_SECONDS)
    tries = 0
    accept_one = socket.socket.accept

    def without_files(listener: socket.socket) -> tuple[socket.socket, object]:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept_one(listener)

    monkeypatch.setattr(socket.socket, "accept", without_files)
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        assert (await http.get(url)).status_code == 200
    assert tries < 10


async def test_a_stop_ends_who_has_not_asked_anything(port: int) -> None:
    """They are not waited for."""
    async with connections(port, 3) as silent:
        await taken_in(port)
        for task in asyncio.all_tasks():
            if task.get_coro().__name__ == "serve":  # type: ignore[union-attr] # a coroutine function of ours
                task.cancel()
        await asyncio.gather(*map(is_ended, silent))
