"""Paths of 360Learning: how many there are, their sessions, and how the enrollments in these stand."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import UNSET

from exporter.api.client import Client
from exporter.metrics import Family, Sample
from exporter.platform import Collector, Probe
from exporter.platforms.learning360 import evidence, v1
from exporter.platforms.learning360.counting import WINDOWS, Windows, by_window, no_counts, state_samples
from exporter.platforms.learning360.lists import (
    PATH_SESSIONS,
    PATH_STATS,
    PATHS,
    V1_SESSION_STATS,
    count_by,
    first_page,
    path_stat_pages,
    probe,
)
from exporter.platforms.learning360.records import PathSession, PathStat
from exporter.platforms.learning360.settings import Learning360Settings

PATH_STATUSES = [("archived",), ("published",)]
PHASES = [("upcoming",), ("open",), ("ended",)]
KNOWN_STATUSES = (
    "awaitingCorrection",
    "late",
    "notYetStarted",
    "onTime",
    "sessionNotOpened",
    "successful",
    "toRetake",
    "unsuccessful",
)
ENROLLMENT_STATUSES = [*((status,) for status in KNOWN_STATUSES), ("other",)]

_STATS = (
    "Users who were taken out of a session count only if they were enrolled again since; deleted users count. From "
    "/paths/stats (API v1: the statistics of each session); by default up to 1 h old."
)

PATHS_BY_STATUS = Family(
    "learning360_paths",
    "Paths by status, which API v1 does not tell (empty). From /paths; by default up to 1 h old.",
    ("status",),
)
PATH_SESSIONS_BY_PHASE = Family(
    "learning360_path_sessions",
    "Path sessions that start after the poll (upcoming), have ended before it (ended), or run (open; some have no "
    "end). From /paths/sessions; by default up to 1 h old.",
    ("phase",),
)
PATH_ENROLLMENTS = Family(
    "learning360_path_enrollments",
    f"Enrollments of users in path sessions by the API's status, other for one not known here. {_STATS}",
    ("status",),
)
PATH_ENROLLMENTS_OVERDUE = Family(
    "learning360_path_enrollments_overdue",
    f"Enrollments whose due date passed before they were completed. Not in API v1. {_STATS}",
)
PATH_ENROLLMENTS_STARTED = Family(
    "learning360_path_enrollments_started",
    f"Enrollments made in the rolling window before the poll. Not in API v1. {_STATS}",
    ("window",),
)
PATH_COMPLETIONS = Family(
    "learning360_path_completions",
    f"Enrollments completed in the rolling window before the poll. {_STATS}",
    ("window",),
)


def phase(session: PathSession, now: datetime) -> tuple[str] | None:
    """Return the session's label value, None if a date is unreadable on which it depends.

    A session that starts or ends right now is open or ended.
    """
    start, end = session.start_date, session.end_date
    if start is not UNSET and start > now:
        return ("upcoming",)
    if isinstance(end, datetime) and end <= now:
        return ("ended",)
    return None if start is UNSET or end is UNSET else ("open",)


@dataclass(slots=True)
class EnrollmentTotals:
    """What is added up over all pages; `started` and `completed` are by narrowest window."""

    now: datetime
    windows: Windows
    statuses: Counter[tuple[str, ...]] = field(default_factory=Counter)
    overdue: int = 0
    started: list[int] = field(default_factory=no_counts)
    completed: list[int] = field(default_factory=no_counts)

    def add(self, stats: Sequence[PathStat]) -> None:
        """Count the enrollments of a page."""
        for stat in stats:
            if stat.ended_at is not None:  # unreadable ones, who may have ended, included
                continue
            self.statuses[stat.status.type if stat.status.type in KNOWN_STATUSES else "other",] += 1
            if stat.enrolled_at is not UNSET:
                self.started[self.windows.narrowest(stat.enrolled_at)] += 1
            if isinstance(stat.completed_at, datetime):
                self.completed[self.windows.narrowest(stat.completed_at)] += 1
            elif stat.completed_at is None and isinstance(stat.due_date, datetime) and stat.due_date < self.now:
                self.overdue += 1


def enrollment_samples(totals: EnrollmentTotals) -> list[Sample]:
    """Map what both API versions tell."""
    return [
        *state_samples(PATH_ENROLLMENTS, ENROLLMENT_STATUSES, totals.statuses),
        *(PATH_COMPLETIONS.sample(number, window=window) for window, number in by_window(totals.completed)),
    ]


def enrollment_date_samples(totals: EnrollmentTotals) -> list[Sample]:
    """Map what v2 alone tells: when users were enrolled and until when they had time."""
    return [
        PATH_ENROLLMENTS_OVERDUE.sample(totals.overdue),
        *(PATH_ENROLLMENTS_STARTED.sample(number, window=window) for window, number in by_window(totals.started)),
    ]


async def collect_paths(client: Client, settings: Learning360Settings, now: datetime) -> list[Sample]:
    """Count all paths and path sessions."""
    paths = await count_by(client, settings, PATHS, lambda path: (path.status,))
    sessions = await count_by(client, settings, PATH_SESSIONS, lambda session: phase(session, now))
    return [
        *state_samples(PATHS_BY_STATUS, PATH_STATUSES, paths),
        *state_samples(PATH_SESSIONS_BY_PHASE, PHASES, sessions),
    ]


async def collect_path_stats(client: Client, settings: Learning360Settings, now: datetime) -> list[Sample]:
    """Read all enrollments; v1 tells no dates but that of completion, so that their series are absent there, not 0."""
    totals = EnrollmentTotals(now, Windows.ending(now))
    async for page in path_stat_pages(client, settings):
        totals.add(page)
    if settings.api_version == "v1":
        return enrollment_samples(totals)
    return [*enrollment_samples(totals), *enrollment_date_samples(totals)]


async def ask_path_stats(client: Client, settings: Learning360Settings, _now: datetime) -> list[Sample]:
    """Read a page of enrollments; v1 has them per session, so there it reads the sessions and the first one's."""
    if settings.api_version == "v2":
        await first_page(client, settings, PATH_STATS)
    elif sessions := await first_page(client, settings, PATH_SESSIONS):
        v1.path_stats(await client.get(V1_SESSION_STATS, ids={"session": sessions[0].id}))
    return []


PATHS_COLLECTOR = Collector(
    "paths",
    (PATHS_BY_STATUS, PATH_SESSIONS_BY_PHASE),
    timedelta(hours=1),
    collect_paths,
    (probe(PATHS),),
    planned_requests=lambda _: {PATHS.endpoint: 1, PATH_SESSIONS.endpoint: 1},
    planned_series=lambda _: {PATHS_BY_STATUS: len(PATH_STATUSES), PATH_SESSIONS_BY_PHASE: len(PHASES)},
    bases=(*evidence.PATHS, *evidence.PATH_SESSIONS),
)

PATH_STATS_COLLECTOR = Collector(
    "path_stats",
    (PATH_ENROLLMENTS, PATH_ENROLLMENTS_OVERDUE, PATH_ENROLLMENTS_STARTED, PATH_COMPLETIONS),
    timedelta(hours=1),
    collect_path_stats,
    (Probe(PATH_STATS.endpoint, ask_path_stats, PATH_STATS.scope),),
    planned_requests=lambda settings: (
        {PATH_STATS.endpoint: 10}
        if settings.api_version == "v2"
        else {PATH_SESSIONS.endpoint: 1, V1_SESSION_STATS: 500}
    ),
    planned_series=lambda settings: {
        PATH_ENROLLMENTS: len(ENROLLMENT_STATUSES),
        PATH_COMPLETIONS: len(WINDOWS),
        **(
            {PATH_ENROLLMENTS_OVERDUE: 1, PATH_ENROLLMENTS_STARTED: len(WINDOWS)}
            if settings.api_version == "v2"
            else {}
        ),
    },
    bases=evidence.PATH_STATS,
)
