"""Every fault of every platform at installed exporters, and all that is then said, served, stored and sent.

Two installed exporters, one for each format of the log, poll the demo through a proxy that remembers every request.
All that they say, serve and store is kept by place, and so is what the other commands print. The target on Konstantly
has a name that stands for a leak: what finds it in a place would find a secret there.
"""

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.app import Exporter
from exporter.config import Config
from exporter.demo import konstantly, learning360, pybossa, viktor
from exporter.demo.configuration import configuration
from exporter.demo.faults import Fault, faults, slow
from exporter.demo.organisation import Organisation
from exporter.demo.server import Demo, Served
from exporter.errors import State
from exporter.storage import FILE_NAME
from exporter.web.routes import application
from tests.command import PATIENCE_SECONDS, Running, run, running_with_log, until, until_ready
from tests.forward_proxy import ForwardProxy, Sent
from tests.leaks import people
from tests.page import series
from tests.test_faults_over_http import STATES

CANARY = "canary-4711"
PROXY_PASSWORD = "proxy-passw0rd"
SECRETS = {
    konstantly.API_KEY,
    viktor.TOKEN,
    pybossa.ADMIN_KEY,
    learning360.CLIENT_SECRET,
    learning360.API_KEY,
    PROXY_PASSWORD,
}
TOKEN_PATH = "/api/v2/oauth2/token"
PLATFORMS = {CANARY: "konstantly", "bridges": "viktor", "crowd": "pybossa", "learning": "learning360"}
DARK = "  - {{name: dark, platform: pybossa, url: 'https://dark.invalid', api_key: '{key}', proxy: '{proxy}'}}\n"
OFTEN = ("users", "groups", "apps", "projects")
"""Collectors of lists, one or more of each platform, that poll each second, so that a fault is soon met."""

ACCEPTED = ("text/html", "application/json", "text/plain", "application/openmetrics-text; version=1.0.0")

IN_PAGES = {
    "slow": {*PLATFORMS},
    "wrong total": {CANARY, "bridges"},
    "foreign next": {"learning"},
    "repeated page": {*PLATFORMS},
    "endless pages": {*PLATFORMS},
}
"""Faults that must stay on to be met, and whom they harm: PYBOSSA and 360Learning give no totals, for example."""

POLLED = (
    ("text", CANARY),
    ("json", CANARY),
    ("openmetrics", CANARY),
    ("json", "crowd"),
    ("text", "learning"),
    ("json", "dark"),
)
RETRIED = {State.RATE_LIMITED, State.SERVER_ERROR, State.TIMEOUT, State.UNREACHABLE}


def telling(headers: dict[str, str], status: int, secrets: Iterable[str], persons: Iterable[str]) -> Fault:
    """A reply that repeats what was asked with all its headers, and names secrets and people wherever it can."""

    async def fault(_: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {name.decode(): value.decode() for name, value in scope["headers"]}
        told = json.dumps({"error": {"message": f"{asked} {[*secrets, *persons]}"}, "users": [*persons]})
        await Response(told, status, headers, media_type="application/json")(scope, receive, send)

    return fault


@dataclass(frozen=True, slots=True)
class Swept:
    """What was told, by place; what was sent; everybody whom the platforms know; the states that targets were in."""

    places: dict[str, set[str]]
    sent: list[Sent]
    urls: dict[str, str]
    persons: set[str]
    files: list[bytes] = field(default_factory=list)
    states: set[tuple[str, str]] = field(default_factory=set)

    def tell(self, place: str, *texts: str) -> None:
        self.places.setdefault(place, set()).update(line for text in texts for line in text.splitlines())

    def told(self, place: str) -> str:
        return "\n".join(sorted(self.places[place]))


async def sweep(folder: Path, site: Demo, proxy: ForwardProxy, demo: Organisation, now: datetime) -> Swept:
    """Let every fault happen while two exporters run, and keep what they and the other commands tell."""
    urls = {name: getattr(site, platform).url for name, platform in PLATFORMS.items()}
    swept = Swept({}, proxy.sent, urls | {"learning-v1": urls["learning"]}, people(demo, now))
    config, text = folder / "config.yaml", configured(folder, site, proxy)
    write(config, text)
    site.learning360.faults.set(telling({}, 401, SECRETS, swept.persons), TOKEN_PATH)
    async with AsyncExitStack() as stack:
        exporters = [
            await stack.enter_async_context(
                running_with_log(
                    folder / f"{form}.log",
                    *("--config.file", config, "--storage.path", folder / form),
                    *("--log.level=debug", "--log.format", form),
                )
            )
            for form in ("logfmt", "json")
        ]
        await every_fault(site, exporters[0], swept)
        await asyncio.gather(*(until_ready(exporter.url) for exporter in exporters))
        for exporter in exporters:
            await keep_pages(exporter, swept)
        await keep_refused_reloads(exporters, config, text, swept)
        for form in ("logfmt", "json"):
            keep_files(folder / form, swept)
    for form in ("logfmt", "json"):
        swept.tell(f"log {form}", (folder / f"{form}.log").read_text(encoding="utf-8"))
    await keep_commands(config, site, swept)
    return swept


def configured(folder: Path, site: Demo, proxy: ForwardProxy) -> str:
    """Every collector of the demo each second through the proxy, one key in a file, and a target out of reach."""
    write(folder / "crowd.key", f"{pybossa.ADMIN_KEY}\n")
    through = f"http://prometheus:{PROXY_PASSWORD}@{proxy.address}"
    text = configuration(site).replace("name: academy", f"name: {CANARY}").replace("timeout: 1m", "timeout: 4s")
    text = text.replace(f"api_key: {pybossa.ADMIN_KEY}", "api_key_file: crowd.key")
    text = re.sub(r"interval: \d+s", "interval: 20s", text)
    text = re.sub(rf"^(      (?:{'|'.join(OFTEN)})): .*$", r"\1: {interval: 1s}", text, flags=re.MULTILINE)
    text = text.replace("    requests_per_second:", f"    proxy: {through}\n    requests_per_second:")
    return text + DARK.format(key=pybossa.ADMIN_KEY, proxy=through)


async def every_fault(site: Demo, exporter: Running, swept: Swept) -> None:
    """Let every fault hit every platform until runs have failed of it; at last, platforms that tell all they know."""
    await until_failed(exporter, swept, {"learning"})
    named = faults(lambda: datetime.now(UTC))
    again = {name for name, state in STATES.items() if state in RETRIED} - {"slow", "endless pages"}
    location = {"Location": f"http://elsewhere.invalid/{viktor.TOKEN}?key={konstantly.API_KEY}"}
    for hitting in (
        [named[name] for name in named.keys() - again - IN_PAGES.keys()],
        [named[name] for name in again],
        [telling(location, status, SECRETS, swept.persons) for status in (200, 302, 400, 401, 500)],
    ):
        turns = [InTurn(hitting) for _ in platforms(site)]
        for served, turn in zip(platforms(site), turns, strict=True):
            served.faults.set(turn)
        await until_failed(exporter, swept, {*PLATFORMS}, turns)
    for name, harmed in IN_PAGES.items():
        for served in platforms(site):
            served.faults.set(slow(3600) if name == "slow" else named[name])
        await until_failed(exporter, swept, harmed)
    for served in platforms(site):
        served.faults.clear()


class InTurn:
    """A fault that is another one at each request; `rounds` tells how often each was met."""

    def __init__(self, several: Sequence[Fault]) -> None:
        self._several = several
        self._requests = 0

    async def __call__(self, application: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._several[self._requests % len(self._several)]
        self._requests += 1
        await fault(application, scope, receive, send)

    @property
    def rounds(self) -> int:
        return self._requests // len(self._several)


def platforms(site: Demo) -> tuple[Served, ...]:
    return (site.konstantly, site.viktor, site.pybossa, site.learning360)


async def until_failed(exporter: Running, swept: Swept, targets: set[str], turns: Sequence[InTurn] = ()) -> None:
    """Wait until two runs of each target have failed and every fault has had its turn three times; keep the pages."""
    before = failures(await status_page(exporter))

    async def have_failed() -> bool:
        page = await status_page(exporter)
        states = series(page, "engagement_collector_state")
        swept.states.update(
            (dict(labels)["target"], dict(labels)["state"]) for (_, labels), value in states.items() if value
        )
        failed = failures(page)
        return all(failed[target] >= before[target] + 2 for target in targets) and all(
            turn.rounds >= 3 for turn in turns
        )

    await until(have_failed)
    await keep_pages(exporter, swept)


def failures(page: str) -> dict[str, float]:
    """Failed runs by target."""
    found: dict[str, float] = {}
    for (_, labels), value in series(page, "engagement_collector_failures_total").items():
        target = dict(labels)["target"]
        found[target] = found.get(target, 0) + value
    return found


async def status_page(exporter: Running) -> str:
    """The lines of `/metrics` about collectors: parsing all of them, again and again, would take too long."""
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        lines = (await http.get(f"{exporter.url}/metrics")).text.splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("engagement_collector_"))


async def keep_pages(exporter: Running, swept: Swept) -> None:
    """Ask every endpoint in every format, and for the errors of the server itself."""
    async with httpx.AsyncClient(base_url=exporter.url, timeout=PATIENCE_SECONDS) as http:
        for method, path in endpoints():
            for accepted in ACCEPTED:
                reply = await http.request(method, path, headers={"Accept": accepted})
                swept.tell(f"{method} {path}", str(reply.headers), reply.text)
        errors = [
            await http.get("/nowhere"),
            await http.post("/metrics"),
            await http.get("/metrics?target=nobody"),
            await http.request("TRACE", "/"),
        ]
    swept.tell("errors of the server", *(f"{reply.headers} {reply.text}" for reply in errors))


def endpoints() -> set[tuple[str, str]]:
    """Every method and path that is served, from the application itself, so that a new one is swept too."""
    routes = application(Exporter(Config(())), "/metrics").routes
    return {(method, route.path) for route in routes if isinstance(route, Route) for method in route.methods or ()}


async def keep_refused_reloads(exporters: list[Running], config: Path, good: str, swept: Swept) -> None:
    """What a reload answers and logs when a credential stands in the wrong place of the file."""
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        for wrong in (
            f"- {viktor.TOKEN}",
            f"x: !{viktor.TOKEN}",
            f'x: "${{{viktor.TOKEN}"',
            f"defaults: {viktor.TOKEN}",
        ):
            write(config, f"{good}\n{wrong}\n")
            replies = [await http.post(f"{exporter.url}/-/reload") for exporter in exporters]
            assert {reply.status_code for reply in replies} == {500}
            swept.tell("POST /-/reload", *(reply.text for reply in replies))
    write(config, good)


def write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def keep_files(folder: Path, swept: Swept) -> None:
    """Keep the rows of the store, and its files as they are, with what was deleted from them."""
    swept.files.extend(file.read_bytes() for file in sorted(folder.iterdir()))
    with closing(sqlite3.connect(f"file:{folder / FILE_NAME}?mode=ro", uri=True)) as connection:
        for row in connection.execute("SELECT * FROM collectors"):
            swept.tell("storage", *(f"{column!r}" for column in row))


async def keep_commands(config: Path, site: Demo, swept: Swept) -> None:
    """What `check` and `poll` print, of platforms that answer and of platforms that tell all in a refusal."""
    for status in (None, 401):
        for served in platforms(site):
            if status:
                served.faults.set(telling({}, status, SECRETS, swept.persons))
        await asyncio.gather(
            *(
                keep_command(config, swept, *command)
                for command in (["check"], ["check", "--plan"], ["check", "--probe"])
            ),
            *(keep_command(config, swept, "poll", f"--format={form}", "--target", target) for form, target in POLLED),
        )
    for served in platforms(site):
        served.faults.clear()


async def keep_command(config: Path, swept: Swept, *arguments: str) -> None:
    end = await run(*arguments, "--config.file", config)
    swept.tell(" ".join(arguments[:2]), end.out, end.err)
