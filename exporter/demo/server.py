"""Serve the four platforms of the demo organisation over HTTP on loopback, each on a port of its own."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from exporter.demo import konstantly, learning360, pybossa, viktor
from exporter.demo.faults import Faulty, RecordedRequest, Switch
from exporter.demo.organisation import Organisation

_HOST = "127.0.0.1"

GENEROUS_LIMITS: Mapping[str, Mapping[str, Any]] = {
    "konstantly": {"requests_per_minute": 1_000_000},
    "pybossa": {"rate_limit": 1_000_000},
    "learning360": {"requests_per_second": 1_000_000},
}
"""Options for `serve` that let an exporter poll every few seconds, far more often than the real platforms do."""


@dataclass(frozen=True, slots=True)
class Served:
    """One running platform: its origin, the switch of its faults, and the latest requests, oldest first."""

    url: str
    faults: Switch
    requests: deque[RecordedRequest]


@dataclass(frozen=True, slots=True)
class Demo:
    """The four running platforms."""

    konstantly: Served
    viktor: Served
    pybossa: Served
    learning360: Served


@asynccontextmanager
async def serve(
    organisation: Organisation,
    now: Callable[[], datetime],
    *,
    ports: Mapping[str, int] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[Demo]:
    """Run the platforms inside the current event loop until the block ends.

    `now` is aware and UTC. By platform name, `ports` fixes ports (0, the default, is any free one) and `options`
    gives keyword arguments of the platform's `application`. Raises OSError for a port that is taken.
    """
    applications = _applications(organisation, now, options or {})
    listeners = _listeners({name: (ports or {}).get(name, 0) for name in applications})
    servers = {name: _server(application) for name, application in applications.items()}
    tasks = [asyncio.create_task(server.serve([listeners[name]])) for name, server in servers.items()]
    try:
        yield Demo(
            **{
                name: Served(_url(listeners[name]), application.switch, application.requests)
                for name, application in applications.items()
            }
        )
    finally:
        for server in servers.values():
            server.should_exit = True
        await asyncio.gather(*tasks)


def _applications(
    organisation: Organisation, now: Callable[[], datetime], options: Mapping[str, Mapping[str, Any]]
) -> dict[str, Faulty]:
    halves: dict[str, tuple[Callable[..., ASGIApp], object]] = {
        "konstantly": (konstantly.application, organisation.academy),
        "viktor": (viktor.application, organisation.engineering),
        "pybossa": (pybossa.application, organisation.crowd),
        "learning360": (learning360.application, organisation.academy),
    }
    return {
        name: Faulty(application(half, now, **options.get(name, {})), Switch())
        for name, (application, half) in halves.items()
    }


def _listeners(ports: Mapping[str, int]) -> dict[str, socket.socket]:
    """Sockets that listen already, so that a client may connect before its server has come up."""
    listeners: dict[str, socket.socket] = {}
    try:
        for name, port in ports.items():
            listeners[name] = socket.create_server((_HOST, port))
            # without it, asyncio's answers on kept-alive connections wait 40 ms for an ACK
            listeners[name].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        for listener in listeners.values():
            listener.close()
        raise
    return listeners


def _url(listener: socket.socket) -> str:
    return f"http://{_HOST}:{listener.getsockname()[1]}"


class _Server(uvicorn.Server):
    """A server that leaves the signals to the program it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(application: Faulty) -> _Server:
    return _Server(
        uvicorn.Config(
            application,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            # A client that keeps its connection, or waits for a slow reply, must not hold up the end.
            timeout_graceful_shutdown=0,
        )
    )
