"""What a disturbance happens to: an exporter, beside it a twin that is left alone, and all that they need."""

import asyncio
import json
import os
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.command import PATIENCE_SECONDS, Running, running_with_log, until
from tests.disturbances.scraper import Scrape

USER, PASSWORD = "prometheus", "password-of-prometheus"


@dataclass(slots=True)
class Watched:
    """A running exporter, the log it writes, a client of ours for it, and the process that scrapes it all the time."""

    exporter: Running
    log: Path
    http: httpx.AsyncClient
    scrapes_file: Path

    async def text(self, path: str) -> str:
        """Return what it answers."""
        reply = await self.http.get(path)
        reply.raise_for_status()
        return reply.text

    def scrapes(self, since_bytes: int = 0) -> list[Scrape]:
        """Return all scrapes so far, or those that ended after so much was written about others."""
        with open(self.scrapes_file) as file:
            file.seek(since_bytes)
            return [Scrape(**json.loads(line)) for line in file if line.endswith("\n")]

    def events(self, since_bytes: int) -> list[dict[str, Any]]:
        """Return what it logged from a place in its log on."""
        return [json.loads(line) for line in self.log.read_bytes()[since_bytes:].splitlines()]

    def forget_peak(self) -> None:
        """Let the peak of its memory begin anew."""
        Path(f"/proc/{self.exporter.process.pid}/clear_refs").write_text("5")

    def peak_mb(self) -> float:
        """Return the most memory that it had since."""
        status = Path(f"/proc/{self.exporter.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1000


@dataclass(slots=True)
class Scene:
    """`disturbed` is what everything happens to, `twin` is not, and `crowd` has thousands of targets.

    `added` are targets that the disturbed one has besides its own, as YAML by what they are added for.
    """

    folder: Path
    configuration: str
    hostile_port: int
    disturbed: Watched
    twin: Watched
    crowd: Watched
    tls: ssl.SSLContext
    added: dict[str, str] = field(default_factory=dict)

    @property
    def config_file(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def data(self) -> Path:
        """The folder with the storage of the disturbed one, on a small disk of its own."""
        return self.folder / "data"

    async def add_targets(self, name: str, yaml: str) -> None:
        """Let the disturbed one poll more targets."""
        self.added[name] = yaml
        await self._apply()

    async def remove_targets(self, name: str) -> None:
        """Take them away again."""
        self.added.pop(name)
        await self._apply()

    async def _apply(self) -> None:
        self.config_file.write_text(self.configuration + "".join(self.added.values()))
        (await self.disturbed.http.post("/-/reload")).raise_for_status()


@asynccontextmanager
async def program(module: str) -> AsyncIterator[str]:
    """Run a module that serves until its input ends; gives what it says before."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await process.stdout.read()).decode()
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def watched(
    folder: Path, name: str, *arguments: str | Path, environment: dict[str, str] | None = None
) -> AsyncIterator[Watched]:
    """Run the installed command with the configuration of that name, and scrape it once it is ready.

    With a web configuration it speaks TLS.
    """
    log, scrapes = folder / f"{name}.log", folder / f"{name}.scrapes"
    options = ("--config.file", folder / f"{name}.yaml", "--log.format=json", *arguments)
    access = (folder / "ca.crt", USER, PASSWORD) if "--web.config.file" in arguments else ()
    async with AsyncExitStack() as stack:
        exporter = await stack.enter_async_context(running_with_log(log, *options, environment=environment))
        url = exporter.url.replace("http:", "https:") if access else exporter.url
        tls = ssl.create_default_context(cafile=folder / "ca.crt")
        client = httpx.AsyncClient(
            base_url=url, auth=access[1:] or None, verify=tls, timeout=PATIENCE_SECONDS, trust_env=False
        )
        http = await stack.enter_async_context(client)

        async def is_ready() -> bool:
            return (await http.get("/-/ready")).status_code == 200

        await until(is_ready)
        await stack.enter_async_context(_scraping(scrapes, url, *access))
        yield Watched(exporter, log, http, scrapes)


@asynccontextmanager
async def _scraping(file: Path, *arguments: str | Path) -> AsyncIterator[Process]:
    with open(file, "wb") as output:  # noqa: ASYNC230 - a file on this machine
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.disturbances.scraper", *arguments, stdin=PIPE, stdout=output
        )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        await process.wait()


def replace(file: Path, text: str) -> None:
    """Write a file so that nobody ever sees a part of it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)
