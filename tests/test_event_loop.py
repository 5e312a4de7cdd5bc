"""Name lookups: what a resolver that never answers may hold up, and what not."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from exporter import event_loop
from exporter.event_loop import EventLoop, run

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]


class Resolver:
    """Answers at once for every name but those that start with `dead`, for which it waits until it is `released`."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []

    def getaddrinfo(self, host: str, *_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if host.startswith("dead"):
            self.released.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return list(FOUND)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver.getaddrinfo)
    yield resolver
    resolver.released.set()


async def look_up(host: str) -> list[tuple[Any, ...]]:
    return await asyncio.get_running_loop().getaddrinfo(host, 80, type=socket.SOCK_STREAM)


async def given_up(host: str) -> None:
    """Wait for a lookup as long as a connection attempt would, as far as the lookup is concerned."""
    waiting = asyncio.ensure_future(look_up(host))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_dead_names_hold_up_neither_other_lookups_nor_the_threads_of_others(resolver: Resolver) -> None:
    async def main() -> None:
        dead = [asyncio.ensure_future(look_up(f"dead{number}.example")) for number in range(100)]
        assert await look_up("good.example") == FOUND
        assert await asyncio.to_thread(lambda: "at once") == "at once"
        assert not any(lookup.done() for lookup in dead)
        for lookup in dead:
            lookup.cancel()

    run(main())


def test_a_dead_name_holds_one_thread_however_often_it_is_tried(resolver: Resolver) -> None:
    async def main() -> None:
        for _ in range(20):
            await given_up("dead.example")
        assert await look_up("good.example") == FOUND

    run(main())
    assert resolver.asked.count("dead.example") == 1


def test_all_who_wait_for_a_name_get_its_answer_and_who_comes_later_asks_again(resolver: Resolver) -> None:
    async def main() -> None:
        first, second = asyncio.ensure_future(look_up("dead.example")), asyncio.ensure_future(look_up("dead.example"))
        await look_up("good.example")
        resolver.released.set()
        for lookup in (first, second):
            with pytest.raises(socket.gaierror):
                await lookup
        with pytest.raises(socket.gaierror):
            await look_up("dead.example")

    run(main())
    assert resolver.asked.count("dead.example") == 2


def test_more_names_than_there_may_be_threads_wait_for_their_turn(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop, "MOST_LOOKUPS", 2)

    async def main() -> None:
        lookups = [asyncio.ensure_future(look_up(f"dead{number}.example")) for number in range(3)]
        last = asyncio.ensure_future(look_up("good.example"))
        while len(resolver.asked) < 2:  # noqa: ASYNC110 - threads take them up
            await asyncio.sleep(0)
        assert not last.done()
        resolver.released.set()
        assert await last == FOUND
        await asyncio.gather(*lookups, return_exceptions=True)

    run(main())


def test_a_lookup_that_is_under_way_does_not_hold_up_the_end(resolver: Resolver) -> None:
    """The loop is closed while the resolver is still silent, and what it says later is lost without a word."""

    async def main() -> None:
        await given_up("dead.example")

    run(main())
    resolver.released.set()
    for thread in threading.enumerate():
        if thread.name == "lookup":
            thread.join()


def test_the_loop_is_of_this_kind() -> None:
    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert isinstance(run(main()), EventLoop)
