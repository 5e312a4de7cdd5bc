"""Real Prometheus and Alertmanager on free ports of this machine, and an inbox for what Alertmanager sends."""

import json
import signal
import socket
import threading
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.command import PATIENCE_SECONDS, ended, start, until


def free_address() -> str:
    """Return a host:port of this machine that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


@dataclass(frozen=True, slots=True)
class Inbox:
    """What arrived: the name of the receiver and the notification, oldest first."""

    url: str
    notifications: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def received(self, receiver: str, status: str) -> set[str]:
        """Return what the receiver heard of, as `alert target`; `status` is firing or resolved."""
        return {
            " ".join(filter(None, (alert["labels"]["alertname"], alert["labels"].get("target"))))
            for name, notification in self.notifications
            for alert in notification["alerts"]
            if name == receiver and alert["status"] == status
        }


@contextmanager
def inbox() -> Iterator[Inbox]:
    """Take in webhooks, each at the name of its receiver, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            box.notifications.append((self.path.removeprefix("/"), json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        box = Inbox(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()


@asynccontextmanager
async def alertmanager(folder: Path, config: str) -> AsyncIterator[str]:
    """Run Alertmanager with this configuration; yields its address."""
    file, address = folder / "alertmanager.yml", free_address()
    file.write_text(config, encoding="utf-8")
    process = await start(
        "prometheus-alertmanager",
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    )
    async with _ready(process, address):
        yield address


@asynccontextmanager
async def prometheus(folder: Path, config: str) -> AsyncIterator[str]:
    """Run Prometheus with this configuration; yields its address."""
    file, address = folder / "prometheus.yml", free_address()
    file.write_text(config, encoding="utf-8")
    process = await start(
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
        "--rules.alert.resend-delay=1s",
    )
    async with _ready(process, address):
        yield address


@asynccontextmanager
async def _ready(process: Process, address: str) -> AsyncIterator[None]:
    try:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:

            async def is_ready() -> bool:
                assert process.returncode is None, (await ended(process)).err
                try:
                    return (await http.get(f"http://{address}/-/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(is_ready)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await ended(process)


async def suppressed(address: str) -> set[str]:
    """Return the alerts that Alertmanager holds back since another one is firing, as `alert instance target`."""
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        alerts = (await http.get(f"http://{address}/api/v2/alerts")).json()
    return {
        " ".join(filter(None, (alert["labels"].get(name) for name in ("alertname", "instance", "target"))))
        for alert in alerts
        if alert["status"]["inhibitedBy"]
    }
