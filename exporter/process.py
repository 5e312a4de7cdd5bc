"""The process that serves: its listeners, its signals, its limits."""

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog
import uvicorn

from exporter.app import Exporter
from exporter.web.accept import Acceptor
from exporter.web.access import Access
from exporter.web.connection import BoundedConnection
from exporter.web.request_log import logged
from exporter.web.route_prefix import below
from exporter.web.routes import application

logger = structlog.get_logger()

KEEP_ALIVE_SECONDS = 150
"""Above any sensible scrape interval, so that a scraper never meets a connection that was just closed."""
DRAIN_SECONDS = 5


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process by the signal instead of with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    exporter: Exporter,
    sockets: Sequence[socket.socket],
    telemetry_path: str = "/metrics",
    route_prefix: str = "",
    access: Access | None = None,
    external_url: str = "",
) -> None:
    """Poll and answer until SIGTERM or SIGINT, then let answers under way finish.

    `route_prefix` is the path below which the endpoints are, without its trailing slash; without `access` everyone may
    read them, over plain HTTP. `external_url` is where a reverse proxy serves them, empty without one.
    """
    endpoints = below(route_prefix, application(exporter, telemetry_path, external_url))
    tls = access.tls() if access else None
    config = uvicorn.Config(
        logged(access.guard(endpoints) if access else endpoints),
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    config.load()
    server = _Server(config)
    served: set[Any] = server.server_state.connections

    def connection() -> asyncio.Protocol:
        made: asyncio.Protocol = BoundedConnection(config, server.server_state, app_state={})
        return made

    def stop() -> None:
        acceptor.close()
        server.should_exit = True

    async def reload() -> None:
        with contextlib.suppress(Exception):  # it is logged, and nobody waits for an answer
            await exporter.reload()

    reloads: set[asyncio.Task[None]] = set()

    def start_reload() -> None:
        reloads.add(task := loop.create_task(reload()))
        task.add_done_callback(reloads.discard)

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_unexpected)
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    loop.add_signal_handler(signal.SIGHUP, start_reload)
    exporter.start()
    addresses = [listener.getsockname()[:2] for listener in sockets]
    acceptor = Acceptor(sockets, connection, served, tls)
    for host, port in addresses:
        logger.info("listening", host=host, port=port, tls=tls is not None)
    try:
        await server.serve(sockets=[])  # those that there are have been accepted from by now
    finally:
        acceptor.close()
        exporter.stop()
        logger.info("stopped")


def _log_unexpected(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log what no task waited for; asyncio's own line would hold the exception's message, which may quote a person."""
    logger.error("unexpected error", what=context["message"], exc_info=context.get("exception"))


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Spare what a start builds from the garbage collector, now and later: all of it stays.

    With 10,000 targets, going through it again and again takes 2 s of the start and 0.3 s each time after it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def allow_many_sockets() -> None:
    """Raise the soft limit of open files to the hard one: a thousand targets need as many sockets at once."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
