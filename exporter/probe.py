"""`check --probe`: call every target once and tell which rights its credential lacks, and which it does not need."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from exporter.api.client import Client
from exporter.config import Target
from exporter.errors import CollectError, ForbiddenError, UnauthorizedError
from exporter.platform import Collector, is_enabled
from exporter.settings import TargetSettings


@dataclass(frozen=True, slots=True)
class Finding:
    """What the probe of one collector showed. `is_failure` says that the collector would not work."""

    target: str
    collector: str
    text: str
    is_failure: bool = False


async def probe(target: Target, client: Client) -> AsyncIterator[Finding]:
    """Send the cheapest request of each collector, also of those that are off if they need a right of their own."""
    name = target.settings.name
    async with client.session():
        for collector in target.platform.collectors:
            enabled = is_enabled(target.settings, collector)
            if not enabled and not collector.right:
                continue
            error = await _ask(client, collector, target.settings)
            if (text := _verdict(collector, error, enabled=enabled)) is not None:
                yield Finding(name, collector.name, text, is_failure=enabled and error is not None)
    yield Finding(name, "credential", target.platform.credential)


async def _ask(client: Client, collector: Collector[Any], settings: TargetSettings) -> CollectError | None:
    try:
        request = collector.probe(settings)
        await client.get(request.endpoint, params=request.params)
    except CollectError as error:
        return error
    return None


def _verdict(collector: Collector[Any], error: CollectError | None, *, enabled: bool) -> str | None:
    right = f" ({collector.right})" if collector.right else ""
    if enabled and error is None:
        return "ok"
    if enabled and isinstance(error, ForbiddenError):
        return f"missing right{right}: {error}; {error.remedy}"
    if enabled and isinstance(error, UnauthorizedError):
        return f"credential refused{', or missing right' + right if right else ''}: {error}; {error.remedy}"
    if enabled and error is not None:
        return f"{error.state}: {error}; {error.remedy}"
    if error is None:
        return f"right in excess{right}: the collector is off, but the credential can read this"
    return None
