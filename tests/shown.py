"""What the pages show in tests: a view of an exporter that says what the test wants, and an organisation in trouble."""

import gzip
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import httpx

from exporter.api.client import Quota
from exporter.collection import Result
from exporter.config import Config, Target
from exporter.errors import CollectError, RateLimitedError, State, UnauthorizedError
from exporter.exposition import Format
from exporter.metrics import Family, Sample
from exporter.platform import Platform
from exporter.settings import TargetSettings
from exporter.snapshot import Entry, Key, Published, by_target
from exporter.web.routes import application
from exporter.web.status import Reload
from tests.fakes import SITE

VISITS = Family("fake_visits", "Visits.", ("place",))


@dataclass(frozen=True, slots=True)
class Shown:
    """A view whose targets are those of its entries, and `others` without any."""

    snapshot: Sequence[Entry] = ()
    others: Sequence[str] = ()
    next_run: datetime | None = None
    limits: Mapping[str, Mapping[str, Quota]] = field(default_factory=dict)
    paused: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    last_reload: Reload | None = None
    healthy: bool = True
    ready: bool = True

    @property
    def config(self) -> Config:
        entries = by_target(self.snapshot)
        platforms = {name: own[0].platform for name, own in entries.items()} | dict.fromkeys(self.others, "fake")
        return Config(tuple(_target(name, platform) for name, platform in platforms.items()))

    def page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]:
        chosen = "" if keys is None else "".join(f"{key.target}/{key.collector}\n" for key in keys)
        return [f"page of {form.name}\n".encode(), chosen.encode()]

    async def gzip_page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]:
        return [gzip.compress(b"".join(self.page(form, keys)))]

    def next_run_at(self, key: Key) -> datetime | None:
        return self.next_run

    def quotas(self, target: str) -> Mapping[str, Quota]:
        return self.limits.get(target, {})

    def pauses(self, target: str) -> Mapping[str, float]:
        return self.paused.get(target, {})

    def is_healthy(self) -> bool:
        return self.healthy

    def is_ready(self) -> bool:
        return self.ready


async def answer(path: str, shown: Shown | None = None, method: str = "GET", **headers: str) -> httpx.Response:
    """What the application answers."""
    transport = httpx.ASGITransport(application(shown or Shown(), "/metrics"))
    async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as http:
        return await http.request(method, path, headers=headers)


def _target(name: str, platform: str) -> Target:
    """A target whose name need not be one that the configuration would accept."""
    settings = TargetSettings.model_construct(name=name, platform=platform, url=f"https://{name}.example.org")
    known = Platform("fake", TargetSettings, lambda _: SITE, (), credential="none", planned_for="nobody")
    return Target(settings, replace(known, name=platform))


def pending(target: str, collector: str, platform: str = "fake", interval_seconds: float = 900.0) -> Entry:
    """A collector whose first run has not ended."""
    return Entry(Key(target, collector), platform, interval_seconds, 86_400.0, 20_000)


def good(
    entry: Entry, at: float, samples: int = 0, dropped: int = 0, unreadable: int = 0, seconds: float = 0.4
) -> Entry:
    """The entry after a run that ended at `at` with so many samples."""
    visits = tuple(Sample(VISITS, (str(number),), 1.0) for number in range(samples))
    last, families = Result(State.OK, at - seconds, seconds), {VISITS: visits} if visits else {}
    return replace(entry, last=last, published=Published(families, at, dropped, unreadable), last_success_at=at, runs=1)


def failed(entry: Entry, at: float, error: CollectError) -> Entry:
    """The entry after a run that failed at `at`; what was published before stays."""
    last = Result(error.state, at - 0.3, 0.3, error=str(error), remedy=error.remedy)
    return replace(entry, last=last, runs=entry.runs + 1, failures=entry.failures + 1)


def organisation(now: float) -> Shown:
    """Six targets at `now`: a refused credential, a pause, late values, series left out, first runs, and one well."""
    refused = UnauthorizedError("GET /openapi/v1/groups answered 401")
    paused = RateLimitedError("GET /courses/stats answered 429")
    ago = [now - seconds for seconds in (30, 75, 200, 640, 2_500, 8_000)]
    entries = [
        good(pending("bridges", "users", "viktor", 1800), ago[2], 9),
        good(pending("bridges", "workspaces", "viktor", 1800), ago[3], 412),
        failed(good(pending("academy", "statistics", "konstantly"), ago[5], 29), ago[0], refused),
        failed(pending("academy", "groups", "konstantly", 1800), ago[1], refused),
        good(pending("learning", "users", "learning360", 1800), ago[2], 8),
        failed(good(pending("learning", "attempts", "learning360", 3600), ago[4], 1587), ago[1], paused),
        good(pending("crowd", "stats", "pybossa"), ago[2], 6),
        good(pending("crowd", "projects", "pybossa", 3600), ago[5], 408),
        good(pending("library", "courses", "konstantly"), ago[2], 19_000, dropped=1_204, seconds=21.0),
        pending("workshop", "stats", "pybossa"),
    ]
    return Shown(
        entries,
        next_run=datetime.fromtimestamp(now, UTC) + timedelta(minutes=10, seconds=30),
        limits={"learning": {"": Quota(100, 0, now - 75)}, "bridges": {"": Quota(None, 4_800, now - 200)}},
        paused={"learning": {"": now + 720.5}},
    )
