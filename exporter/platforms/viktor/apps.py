"""The apps of a VIKTOR environment, counted."""

from collections import Counter
from datetime import datetime, timedelta

from msgspec import Struct, field

from exporter.api.client import Client
from exporter.api.pagination import offset_list
from exporter.api.reply import Count
from exporter.evidence import Basis, Evidence
from exporter.metrics import Family, Sample
from exporter.platform import Collector, Probe
from exporter.platforms.viktor import people, statistics
from exporter.platforms.viktor.settings import ADMIN, PAGE_LIMIT, ViktorSettings

ENDPOINT = "/api/apps/"
PARAMS: dict[str, str | int] = {"limit": PAGE_LIMIT, "include_archived": "true"}

APPS = Family(
    "viktor_apps",
    "Apps by whether a version of them is published and whether they are archived. "
    f"Source: GET {ENDPOINT}, by default at most 1 hour old.",
    ("published", "archived"),
)


class AppVersion(Struct, gc=False):
    """Decoded only to tell that there is one."""


class App(Struct, gc=False):
    id: int
    is_archived: bool
    latest_published_app_version: AppVersion | None


class AppsPage(Struct):
    records: list[App] = field(name="results")
    total: Count = field(name="count")


def app_samples(apps: Counter[tuple[bool, bool]]) -> list[Sample]:
    """Map counts by (published, archived); all four combinations are sent."""
    text = {False: "false", True: "true"}
    return [
        APPS.sample(apps[published, archived], published=text[published], archived=text[archived])
        for published in text
        for archived in text
    ]


async def collect(client: Client, _settings: ViktorSettings, _now: datetime) -> list[Sample]:
    """Count the whole list."""
    apps = await offset_list(client, ENDPOINT, AppsPage, lambda app: app.id, params=PARAMS)
    return app_samples(Counter((app.latest_published_app_version is not None, app.is_archived) for app in apps))


async def ask(client: Client, _settings: ViktorSettings, _now: datetime) -> list[Sample]:
    """Read one app."""
    await client.get_as(AppsPage, ENDPOINT, params={**PARAMS, "limit": 1})
    return []


COLLECTOR = Collector(
    name="apps",
    families=(APPS,),
    interval=timedelta(hours=1),
    collect=collect,
    # whoever is no admin is answered without the archived apps, so that this list cannot show the right
    probes=(
        Probe(ENDPOINT, ask),
        Probe(statistics.ENDPOINT, people.collect_users, ADMIN, only_right=True),
    ),
    planned_requests=lambda _: {ENDPOINT: 2},
    planned_series=lambda _: {APPS: 4},
    enabled=False,
    bases=(Basis(ENDPOINT, Evidence.REFERENCE, "the REST reference, read 2026-11: a schema; no sample"),),
)
