"""The engineering half of the demo organisation: people, the workspaces they open every day, and apps.

Everything is a function of (seed, start, index) or of (seed, start, day), so a later moment adds to what an
earlier one showed and never changes it. Until a moment means up to and including it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import count, takewhile
from random import Random

from exporter.demo.calendar import activity_level, random_of

_PEOPLE_AT_START = 140
_DAYS_BETWEEN_PEOPLE = 2
_DEVELOPER_SHARE = 0.12
_WORKSPACES_AT_START = 16
_DAYS_BETWEEN_WORKSPACES = 75
_APPS_AT_START = 6
_DAYS_BETWEEN_APPS = 90

_FIRST_NAMES = (
    "Ada",
    "Björn",
    "Chidi",
    "Daphne",
    "Elif",
    "Frank",
    "Grace",
    "Hanne",
    "Ivo",
    "Jürgen",
    "Kim",
    "Łucja",
)
_LAST_NAMES = (
    "Abel",
    "Brandt",
    "Cruz",
    "De Vries",
    "Eng",
    "Fischer",
    "Groß",
    "Haas",
    "Ito",
    "Jansen",
    "O'Neil",
)
_WORKSPACE_TYPES = ("PROJECT", "PROJECT", "DEVELOPMENT", "PROJECT", "TEST", "PROJECT", "PROJECT", "PUBLIC")
_WORKSPACE_NAMES = (
    "Pile design",
    'Quay wall "North"',
    "Sheet piles sandbox",
    "Brücken über die Elbe",
    "Load test\nbench",
    "Bridge \\ deck",
    "Soil report",
    "Open footing calculator",
    "Tunnel lining",
    "Crane track",
    "Parametric girders",
    "Lock gates",
    "Cable forces",
    "Wind 100% {draft}",
    "Façade panels",
    "Concrete mix finder",
)
_APP_NAMES = (
    "piles",
    "quay-walls",
    "girders",
    "soil-report",
    "tunnels",
    "footings",
    "cranes",
    "locks",
    "cables",
)
# (published, archived): the six kinds of app take turns, so every combination exists from the start.
_APP_KINDS = ((True, False), (True, False), (False, False), (True, True), (True, False), (False, True))

_MEMBER_SHARES = {"INTERNAL": (0.1, 0.4), "PRIVATE": (0.03, 0.1), "DEVELOPMENT": (0.4, 0.9)}

AUDIT_EVENT_TYPES = (
    "EDITOR.COMPUTE",
    "EDITOR.ENTER",
    "ENTITY.CREATE",
    "ENTITY.SAVE",
    "USER.LOGIN",
    "USER.LOGIN_FAIL",
    "WORKSPACE.ENTER",
)


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the organisation; `taste` (a large number) settles which workspaces are theirs."""

    id: int
    name: str
    email: str
    is_developer: bool
    diligence: float
    taste: float
    joined_at: datetime
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class Workspace:
    """`type` is PROJECT, PUBLIC, TEST or DEVELOPMENT; `member_share` is the part of the people let in."""

    id: int
    name: str
    type: str
    visibility: str
    app_id: int
    member_share: float
    taste: float
    created_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class App:
    """An application that workspaces run; `published_at` is None while it has never been published."""

    id: int
    name: str
    created_at: datetime
    published_at: datetime | None
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class Visit:
    """The first use of a workspace by a person on one day."""

    at: datetime
    person: Person
    workspace: Workspace


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One line of the audit log; `workspace` is None for what happens outside of any."""

    at: datetime
    event_type: str
    person: Person
    workspace: Workspace | None


def is_member(person: Person, workspace: Workspace) -> bool:
    """Whether the person may ever open the workspace.

    Nobody signs in to a PUBLIC workspace, and only developers see a DEVELOPMENT one. The fraction of the
    product of both tastes stands for a draw per pair, which would be many thousands.
    """
    if workspace.type == "PUBLIC" or (workspace.type == "DEVELOPMENT" and not person.is_developer):
        return False
    return (person.taste * workspace.taste) % 1.0 < workspace.member_share


class Engineering:
    """The organisation as seen at any moment; `start` is the first day of its recorded life."""

    def __init__(self, seed: int, start: date) -> None:
        self.seed = seed
        self.start = start
        midnight = datetime.combine(start, time(), UTC)
        self._person: Callable[[int], Person] = cache(lambda index: _person(seed, midnight, index))
        self._workspace: Callable[[int], Workspace] = cache(lambda index: _workspace(seed, midnight, index))
        self._app: Callable[[int], App] = cache(lambda index: _app(midnight, index))
        self._visits_on: Callable[[date], tuple[Visit, ...]] = cache(self._draw_visits)

    def people(self, now: datetime) -> tuple[Person, ...]:
        """Everyone who had joined until `now`, in order of joining, those who have left since included."""
        return tuple(takewhile(lambda person: person.joined_at <= now, map(self._person, count())))

    def workspaces(self, now: datetime) -> tuple[Workspace, ...]:
        """Every workspace created until `now`, oldest first, archived ones included."""
        return tuple(takewhile(lambda workspace: workspace.created_at <= now, map(self._workspace, count())))

    def apps(self, now: datetime) -> tuple[App, ...]:
        """Every app created until `now`, oldest first, archived ones included."""
        return tuple(takewhile(lambda app: app.created_at <= now, map(self._app, count())))

    def visits(self, since: datetime, until: datetime) -> tuple[Visit, ...]:
        """The visits from `since` until `until`, by day; none lies before the start."""
        days = _days(max(since.date(), self.start), until.date())
        return tuple(visit for day in days for visit in self._visits_on(day) if since <= visit.at <= until)

    def audit_events(self, since: datetime, until: datetime) -> tuple[AuditEvent, ...]:
        """The audit log from `since` until `until`, by day."""
        days = _days(max(since.date(), self.start), until.date())
        events = (event for day in days for event in self._draw_audit_events(day))
        return tuple(event for event in events if since <= event.at <= until)

    def _draw_visits(self, day: date) -> tuple[Visit, ...]:
        rng = random_of(self.seed, "visits", day)
        level = activity_level(day)
        midnight = datetime.combine(day, time(), UTC)
        evening = midnight + timedelta(days=1)
        workspaces = [w for w in self.workspaces(midnight) if w.archived_at is None or w.archived_at > evening]
        return tuple(
            visit
            for person in self.people(midnight)
            if rng.random() < person.diligence * level and (person.left_at is None or person.left_at > evening)
            for visit in _visits_of(rng, person, workspaces, midnight)
        )

    def _draw_audit_events(self, day: date) -> Iterator[AuditEvent]:
        rng = random_of(self.seed, "audit", day)
        signed_in: set[int] = set()
        for visit in self._visits_on(day):
            if visit.person.id not in signed_in:
                signed_in.add(visit.person.id)
                if rng.random() < 0.06:
                    yield AuditEvent(visit.at - timedelta(seconds=20), "USER.LOGIN_FAIL", visit.person, None)
                yield AuditEvent(visit.at, "USER.LOGIN", visit.person, None)
            yield from _work(rng, visit)


def _person(seed: int, midnight: datetime, index: int) -> Person:
    rng = random_of(seed, "person", index)
    first, last = rng.choice(_FIRST_NAMES), rng.choice(_LAST_NAMES)
    joined_at = _joined_at(rng, midnight, index)
    stays_days = rng.randint(90, 1500)
    return Person(
        id=501 + index,
        name=f"{first} {last}",
        email=f"engineer-{501 + index}@example.org",
        is_developer=rng.random() < _DEVELOPER_SHARE,
        diligence=0.75 * rng.random() ** 1.5,
        taste=rng.uniform(100, 1000),
        joined_at=joined_at,
        left_at=joined_at + timedelta(days=stays_days) if rng.random() < 0.15 else None,
    )


def _joined_at(rng: Random, midnight: datetime, index: int) -> datetime:
    days = (index - _PEOPLE_AT_START) * _DAYS_BETWEEN_PEOPLE + rng.randrange(_DAYS_BETWEEN_PEOPLE)
    return midnight + timedelta(days=days, seconds=rng.randint(7 * 3600, 17 * 3600))


def _workspace(seed: int, midnight: datetime, index: int) -> Workspace:
    rng = random_of(seed, "workspace", index)
    days = (index - _WORKSPACES_AT_START) * _DAYS_BETWEEN_WORKSPACES
    created_at = midnight + timedelta(days=days, hours=rng.randint(8, 16))
    visibility = rng.choice(("INTERNAL", "PRIVATE"))
    type_ = _WORKSPACE_TYPES[index % len(_WORKSPACE_TYPES)]
    series, name_index = divmod(index, len(_WORKSPACE_NAMES))
    return Workspace(
        id=11 + 3 * index,
        name=_WORKSPACE_NAMES[name_index] + (f" {series + 1}" if series else ""),
        type=type_,
        visibility=visibility,
        app_id=1 + index % _APPS_AT_START,
        member_share=rng.uniform(*_MEMBER_SHARES["DEVELOPMENT" if type_ == "DEVELOPMENT" else visibility]),
        taste=rng.uniform(100, 1000),
        created_at=created_at,
        archived_at=created_at + timedelta(days=rng.randint(200, 900)) if rng.random() < 0.25 else None,
    )


def _app(midnight: datetime, index: int) -> App:
    created_at = midnight + timedelta(days=(index - _APPS_AT_START) * _DAYS_BETWEEN_APPS, hours=9)
    is_published, is_archived = _APP_KINDS[index % len(_APP_KINDS)]
    series, name_index = divmod(index, len(_APP_NAMES))
    return App(
        id=1 + index,
        name=_APP_NAMES[name_index] + (f"-{series + 1}" if series else ""),
        created_at=created_at,
        published_at=created_at + timedelta(days=5) if is_published else None,
        archived_at=created_at + timedelta(days=40) if is_archived else None,
    )


def _visits_of(rng: Random, person: Person, workspaces: list[Workspace], midnight: datetime) -> list[Visit]:
    own = [workspace for workspace in workspaces if is_member(person, workspace)]
    chosen = rng.sample(own, k=min(len(own), 2 if rng.random() < 0.3 else 1))
    return [
        Visit(midnight + timedelta(seconds=rng.randint(7 * 3600, 18 * 3600)), person, workspace) for workspace in chosen
    ]


def _work(rng: Random, visit: Visit) -> Iterator[AuditEvent]:
    """What one visit leaves in the log, within the three hours after it began."""
    yield AuditEvent(visit.at, "WORKSPACE.ENTER", visit.person, visit.workspace)
    yield AuditEvent(visit.at, "EDITOR.ENTER", visit.person, visit.workspace)
    for _ in range(rng.randint(0, 8)):
        at = visit.at + timedelta(seconds=rng.randint(60, 3 * 3600))
        event_type = rng.choice(("EDITOR.COMPUTE", "EDITOR.COMPUTE", "ENTITY.SAVE", "ENTITY.CREATE"))
        yield AuditEvent(at, event_type, visit.person, visit.workspace)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
