"""Yesterday's audit events of a VIKTOR environment, counted by the platform: one request per configured event type."""

from datetime import UTC, datetime, time, timedelta

from msgspec import Struct

from exporter.api.client import Client
from exporter.api.reply import Count
from exporter.evidence import Basis, Evidence
from exporter.metrics import Family, Sample
from exporter.platform import Collector, Probe
from exporter.platforms.viktor.settings import ADMIN, ViktorSettings
from exporter.platforms.viktor.statistics import WINDOW_START, date_time, day_windows, window_start_samples

ENDPOINT = "/api/statistics/details/audit_events/"

AUDIT_EVENTS = Family(
    "viktor_audit_events",
    "Audit events of the configured types during yesterday, 00:00 to 24:00 UTC. "
    f"Source: GET {ENDPOINT}, by default at most 1 hour old.",
    ("event_type", "window"),
)


class AuditEventsPage(Struct):
    """The rows are about persons and are not decoded; `count` is of all rows, not of those in the page."""

    count: Count


def audit_event_params(event_type: str, now: datetime) -> dict[str, str | int]:
    """Return the query for yesterday with a single row, since several types in one request are not documented."""
    midnight = datetime.combine(now.date(), time(), UTC)
    return {
        "start_date": date_time(midnight - timedelta(days=1)),
        "end_date": date_time(midnight),
        "event_type": event_type,
        "limit": 1,
    }


async def collect(client: Client, settings: ViktorSettings, now: datetime) -> list[Sample]:
    """Read the counts of all configured event types."""
    event_types = sorted(set(settings.collectors.audit_events.event_types))
    pages = await client.concurrently(
        client.get_as(AuditEventsPage, ENDPOINT, params=audit_event_params(event_type, now))
        for event_type in event_types
    )
    ends_at = day_windows(now)["yesterday"].ends_at
    samples = [
        AUDIT_EVENTS.sample(page.count, ends_at, event_type=event_type, window="yesterday")
        for event_type, page in zip(event_types, pages, strict=True)
    ]
    return [*samples, *window_start_samples(samples, now)]


async def ask(client: Client, settings: ViktorSettings, now: datetime) -> list[Sample]:
    """Read the count of the first event type."""
    event_type = min(settings.collectors.audit_events.event_types)
    await client.get_as(AuditEventsPage, ENDPOINT, params=audit_event_params(event_type, now))
    return []


COLLECTOR = Collector(
    name="audit_events",
    families=(AUDIT_EVENTS, WINDOW_START),
    interval=timedelta(hours=1),
    collect=collect,
    probes=(Probe(ENDPOINT, ask, ADMIN),),
    planned_requests=lambda settings: {ENDPOINT: len(set(settings.collectors.audit_events.event_types))},
    planned_series=lambda settings: {
        AUDIT_EVENTS: len(set(settings.collectors.audit_events.event_types)),
        WINDOW_START: 1,
    },
    enabled=False,
    bases=(
        Basis(
            ENDPOINT,
            Evidence.REFERENCE,
            "the REST reference, read 2026-11: the page around the rows, `count` being of all rows; no sample",
        ),
    ),
)
