"""How often a status page and its like are written, however many ask for them."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

from exporter.config import Config
from exporter.web.reports import Reports
from exporter.web.status import Observation
from tests.shown import Shown, pending

SITE = Shown([pending("a", "stats")])


class View(Shown):
    """A view whose configuration stays the same object until it is replaced."""

    in_force = SITE.config

    @property
    def config(self) -> Config:
        return self.in_force


class Writer:
    """Writes the number of its writings, and waits while the gate is shut."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.writings = 0

    def __call__(self, seen: Observation) -> bytes:
        self.writings += 1
        assert self.gate.wait(60)
        return str(self.writings).encode()


def stopped(at: list[float]) -> Callable[[], float]:
    """A clock that stands at the last time of the list."""
    return lambda: at[-1]


async def test_a_document_is_written_once_a_second_however_many_ask() -> None:
    at, write = [100.0], Writer()
    reports = Reports(View(), stopped(at))

    assert {*await asyncio.gather(*(reports.written("page", write) for _ in range(40)))} == {b"1"}
    at.append(100.9)
    assert await reports.written("page", write) == b"1"
    at.append(101.0)
    assert await reports.written("page", write) == b"2"


async def test_a_document_that_takes_longer_than_a_second_does_not_stand_in_its_own_line() -> None:
    at, write = [100.0], Writer()
    reports = Reports(View(), stopped(at))
    write.gate.clear()
    asked = []
    for seconds in range(10):
        at.append(100.0 + seconds)
        asked.append(asyncio.ensure_future(reports.written("page", write)))
        await asyncio.sleep(0)
    write.gate.set()

    assert {*await asyncio.gather(*asked)} == {b"1"}


async def test_a_client_that_leaves_takes_the_document_from_nobody() -> None:
    write = Writer()
    reports = Reports(View(), stopped([100.0]))
    write.gate.clear()
    leaving, staying = (asyncio.ensure_future(reports.written("page", write)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    write.gate.set()

    assert await staying == b"1"


async def test_a_new_configuration_is_shown_at_once() -> None:
    view, write = View(), Writer()
    reports = Reports(view, stopped([100.0]))
    await reports.written("page", write)

    View.in_force = replace(view.config)
    assert await reports.written("page", write) == b"2"
