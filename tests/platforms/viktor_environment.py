"""A fake VIKTOR environment, which answers as the reference documents it, with made-up people."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from exporter.api.client import Access, Client
from exporter.metrics import Sample
from exporter.platforms.viktor import PLATFORM
from exporter.platforms.viktor.settings import ViktorSettings

from .conftest import Handler

FIXTURES = Path(__file__).parent / "viktor"
NOW = datetime(2026, 3, 11, 10, 30, 15, 678_000, tzinfo=UTC)
"""A Wednesday of ISO week 11."""
COLLECTORS = {collector.name: collector for collector in PLATFORM.collectors}
STATISTICS = "/api/statistics/"
EVENT_TYPES = {"audit_events": {"enabled": True, "event_types": ["EDITOR.COMPUTE", "USER.LOGIN"]}}

ClientFor = Callable[[Access, Handler], Client]
Collect = Callable[..., Awaitable[list[Sample]]]


def documented(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def changed(name: str, path: str, value: object) -> Any:
    """A documented reply with the value at a path such as `results.0.name` replaced, or removed when it is `...`."""
    reply = place = documented(name)
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part) if isinstance(place, list) else part]
    key = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return reply


class Environment:
    """Answers as documented, lists in pages of `page_size`; `replies` replaces what fixtures answer."""

    def __init__(self, replies: Mapping[str, object] | None = None, *, page_size: int = 100) -> None:
        self.requests: list[httpx.Request] = []
        self.page_size = page_size
        self.replies: Mapping[str, Any] = replies or {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        name = request.url.path.strip("/").rsplit("/", maxsplit=1)[-1]
        if name == "statistics":
            name = f"statistics_{request.url.params['stats_type']}"
        reply = self.replies[name] if name in self.replies else documented(name)
        if isinstance(reply, httpx.Response):
            return reply
        if isinstance(reply.get("results"), list) and name != "audit_events":
            reply = self.page(request.url, reply)
        return httpx.Response(200, json=reply)

    def page(self, url: httpx.URL, reply: dict[str, Any]) -> dict[str, Any]:
        offset = int(url.params.get("offset", 0))
        end = offset + self.page_size
        following = str(url.copy_set_param("offset", end)) if end < len(reply["results"]) else None
        return {**reply, "results": reply["results"][offset:end], "next": following}


def settings(**keys: Any) -> ViktorSettings:
    required = {"name": "bridges", "platform": "viktor", "url": "https://bridges.example.org", "token": "vktrpat_1"}
    return ViktorSettings.model_validate({**required, **keys})


async def run_collector(
    client_for: ClientFor, name: str, environment: Handler, *, now: datetime = NOW, **keys: Any
) -> list[Sample]:
    """Run one collector against an environment; `keys` are settings of the target."""
    target = settings(**{"collectors": EVENT_TYPES, **keys})
    async with client_for(PLATFORM.access(target), environment).session() as client:
        return await COLLECTORS[name].collect(client, target, now)


def values(samples: Iterable[Sample], family: str) -> dict[tuple[str, ...], float]:
    return {sample.labels: sample.value for sample in samples if sample.family.name == family}
