"""The serving process: it answers until it is told to end, and keeps what goes wrong in it out of the log's words."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import structlog.testing

from exporter.app import Exporter
from exporter.config import Config
from exporter.metrics import Sample
from exporter.process import serve
from tests.command import PATIENCE_SECONDS
from tests.fakes import PEOPLE, make_target


async def people(*_: object) -> list[Sample]:
    return [PEOPLE.sample(7)]


@asynccontextmanager
async def serving(logs: list[MutableMapping[str, Any]]) -> AsyncIterator[httpx.AsyncClient]:
    """Serve until SIGTERM; `logs` get what is logged."""
    with socket.create_server(("127.0.0.1", 0)) as listener, structlog.testing.capture_logs() as captured:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        target = make_target(people, people, collectors={"places": False})
        task = asyncio.create_task(serve(Exporter(Config((target,))), [listener]))
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS) as http:
            await http.get("/metrics")
            yield http
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(task, PATIENCE_SECONDS)
    logs += captured


async def test_the_server_answers_until_it_is_told_to_end() -> None:
    logs: list[MutableMapping[str, Any]] = []
    paths = ("/metrics", "/-/healthy", "/", "/api/status", "/config", "/sd")
    async with serving(logs) as http:
        replies = [await http.get(path) for path in paths]

    assert [reply.status_code for reply in replies] == [200] * len(paths)
    assert logs[-1]["event"] == "stopped"
    assert signal.getsignal(signal.SIGTERM) is not None


async def test_an_error_that_nobody_waits_for_is_told_with_its_traceback() -> None:
    async def fail() -> None:
        raise KeyError("person@example.org")

    logs: list[MutableMapping[str, Any]] = []
    async with serving(logs):
        failing = asyncio.create_task(fail())
        await asyncio.wait([failing])
        del failing

    [log] = [log for log in logs if log["event"] == "unexpected error"]
    assert log["what"] == "Task exception was never retrieved"
    assert isinstance(log["exc_info"], KeyError)
