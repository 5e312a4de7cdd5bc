"""Who works in the demo organisation: a tree of groups and the people who join them, day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from exporter.demo.calendar import Day, activity_level, random_of
from exporter.demo.object_id import object_id

_GROUPS_HOUR, _PEOPLE_HOUR = 6, 7
_FIRST_PEOPLE = 600
_JOINERS_A_DAY = 3.3
_FIRST_GROUPS = 30
_GROUPS_A_DAY = 1 / 73

_DIVISIONS = (
    "Field crew",
    "Engineering",
    "Sales & Service",
    "Administration",
    "Forschung & Lehre",
    "Logistics",
)
_TEAMS = (
    "North",
    "South",
    'Quality "Zero Defects"',
    "Depot C:\\Yard",
    "Night shift\nHarbour",
    "Prüfwesen Süd",
    "Drones \N{HELICOPTER}",
    "Łódź office",
    "Apprentices",
    "Contractors",
    "Control room",
    "Trainers",
)
_FIRST_NAMES = (
    "Ada", "Björn", "Chloé", "Dmitri", "Elif", "Femi", "Greta", "Hiro", "Inês", "Jonas", "Kira", "Luca",
    "Maya", "Noor", "Ömer", "Paula", "Quentin", "Rosa", "Søren", "Tara", "Uwe", "Vera", "Wanda", "Xin", "Yara", "Zoë",
)  # fmt: skip
_LAST_NAMES = (
    "Abbott", "Brandt", "Castillo", "Dąbrowski", "Eriksen", "Fontaine", "Grünwald", "Haddad", "Ivanova",
    "Jansen", "Kowalski", "Lindqvist", "Moreau", "Nakamura", "O'Brien", "Petrov", "Quispe", "Rossi", "Schröder",
    "Tanaka", "Ueda", "Vogel", "Weiß", "Xu", "Yilmaz", "Zimmermann",
)  # fmt: skip
_JOBS = ("Site technician", "Inspector", "Clerk", "Engineer", "Driver", "Team lead", "Nurse", "Planner")
_LANGUAGES = ("en", "en", "en", "de", "de", "fr", "es", "pl", "pt")
_TIME_ZONES = ("Europe/Berlin", "Europe/Paris", "Europe/London", "America/New_York", "UTC")
_ROLES = ("learner",) * 40 + ("manager",) * 5 + ("field-trainer",) * 2 + ("administrator",)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of people; `parent` is None for the one at the top."""

    number: int
    id: str
    name: str
    parent: "Group | None"
    public: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """A member of staff, known to 360Learning as `id` and to the Konstantly site, if `on_site`, as `site_id`.

    The dates are of the whole life of the account, the future included: ask `status` and `has_left` for what
    is known at a moment. `zeal` is the relative chance of logging in; 0 is somebody who never will.
    """

    number: int
    id: str
    site_id: str
    on_site: bool
    first_name: str
    last_name: str
    mail: str
    job: str
    language: str
    time_zone: str
    role: str
    group: Group
    zeal: float
    created_at: datetime
    activated_at: datetime | None
    left_at: datetime | None

    def has_left(self, now: datetime) -> bool:
        """Whether the account was deleted (360Learning) or banned (Konstantly) by then."""
        return self.left_at is not None and self.left_at <= now

    def status(self, now: datetime) -> str:
        """`active`, `invited` (never activated) or `deleted`."""
        if self.has_left(now):
            return "deleted"
        return "active" if self.activated_at is not None and self.activated_at <= now else "invited"


def new_groups(day: Day, groups: Sequence[Group]) -> list[Group]:
    """The groups founded on `day`, in order; `groups` are all earlier ones."""
    rng = day.random("groups")
    founded = list(groups)
    for created_at in day.creations(_GROUPS_HOUR, _FIRST_GROUPS, _GROUPS_A_DAY, rng):
        founded.append(_group(len(founded), created_at, founded, rng))
    return founded[len(groups) :]


def _group(number: int, created_at: datetime, earlier: Sequence[Group], rng: Random) -> Group:
    if number == 0:
        name, parent = "All staff", None
    elif number <= len(_DIVISIONS):
        name, parent = _DIVISIONS[number - 1], earlier[0]
    else:
        name, parent = _TEAMS[number % len(_TEAMS)], earlier[1 + number % len(_DIVISIONS)]
        name += f" {number}" if number > len(_DIVISIONS) + len(_TEAMS) else ""
    public = number == 0 or rng.random() < 0.6
    return Group(number, object_id(created_at, "group", number), name, parent, public, created_at)


def new_people(day: Day, groups: Sequence[Group], people: Sequence[Person]) -> list[Person]:
    """The people whose accounts were created on `day`, in order; `people` are all earlier ones."""
    rng = day.random("people")
    created = day.creations(_PEOPLE_HOUR, _FIRST_PEOPLE, _JOINERS_A_DAY * activity_level(day.date), rng)
    return [_person(day.seed, len(people) + index, created_at, groups, rng) for index, created_at in enumerate(created)]


def _person(seed: int, number: int, created_at: datetime, groups: Sequence[Group], rng: Random) -> Person:
    first_name, last_name = rng.choice(_FIRST_NAMES), rng.choice(_LAST_NAMES)
    activated_at = created_at + timedelta(hours=rng.expovariate(1 / 40)) if rng.random() < 0.93 else None
    left_at = created_at + timedelta(days=rng.uniform(60, 900)) if rng.random() < 0.12 else None
    return Person(
        number=number,
        id=object_id(created_at, "person", number),
        site_id=f"u-{random_of(seed, 'site id', number).getrandbits(48):012x}",
        on_site=rng.random() < 0.125,
        first_name=first_name,
        last_name=last_name,
        mail=f"{first_name}.{last_name}.{number}@example.org".lower().replace("'", ""),
        job=rng.choice(_JOBS),
        language=rng.choice(_LANGUAGES),
        time_zone=rng.choice(_TIME_ZONES),
        role=rng.choice(_ROLES),
        group=rng.choice(groups),
        zeal=0.0 if rng.random() < 0.04 else rng.expovariate(1),
        created_at=created_at,
        activated_at=activated_at,
        left_at=left_at,
    )
