"""What the demo organisation teaches: courses, learning paths, classrooms, skills and live projects."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from exporter.demo.calendar import Day
from exporter.demo.object_id import object_id
from exporter.demo.roster import Group, Person

# The day's groups and people are there by eight, the courses of the first day published by ten.
_COURSES_HOUR, _OTHERS_HOUR, _PATHS_HOUR, _SESSIONS_HOUR = 8, 9, 10, 11
_FIRST_COURSES, _COURSES_A_DAY = 60, 1 / 8
_FIRST_PATHS, _PATHS_A_DAY = 6, 1 / 40
_FIRST_SESSIONS, _SESSIONS_A_DAY = 6, 1 / 6
_FIRST_CLASSROOMS, _CLASSROOMS_A_DAY = 8, 1 / 14
_FIRST_SKILLS, _SKILLS_A_DAY = 30, 1 / 30
_FIRST_PROJECTS, _PROJECTS_A_DAY = 4, 1 / 20

_SUBJECTS = (
    "Working at height", "First aid", "Data protection", "Crane signals", "Bridge inspection", "Fire wardens",
    "Customer talks", "Spreadsheets", "Welding", "Lagerlogistik für Anfänger", "Soil & water", "Forklift",
    "Project planning", "English for engineers", "Sécurité routière", "Ladders, \"rungs\" and ropes",
    "Backups in C:\\Data", "Handover\nchecklist", "Mindful breaks \N{HOT BEVERAGE}", "Code of conduct",
    "Asbestos", "Sensor calibration", "Team leadership", "Tendering", "Zażółć gęślą jaźń",
)  # fmt: skip
_FORMS = ("basics", "refresher", "advanced", "for team leads", "in practice", "what is new")
_NEVER_PUBLISHED_EVERY = 12
_COURSE_TYPES = ("native",) * 6 + ("elearning standard",) * 3 + ("external",)


@dataclass(frozen=True, slots=True)
class Course:
    """A course over its whole life, a draft until `published_at`; `appeal` is its relative demand."""

    number: int
    id: str
    site_id: int
    on_site: bool
    name: str
    type: str
    group: Group
    author: Person
    duration_minutes: int
    is_scored: bool
    appeal: float
    created_at: datetime
    published_at: datetime | None
    archived_at: datetime | None
    deleted_at: datetime | None

    def status(self, now: datetime) -> str:
        """`draft`, `published`, `archived` or `deleted`."""
        if self.deleted_at is not None and self.deleted_at <= now:
            return "deleted"
        if self.archived_at is not None and self.archived_at <= now:
            return "archived"
        return "published" if self.published_at is not None and self.published_at <= now else "draft"

    def modified_at(self, now: datetime) -> datetime:
        """When its text last changed: by its publication, at the latest."""
        return self.published_at if self.published_at and self.published_at <= now else self.created_at


@dataclass(frozen=True, slots=True)
class Path:
    """A learning path: courses in an order, all published when it was made, taught in sessions."""

    number: int
    id: str
    name: str
    group: Group
    author: Person
    courses: tuple[Course, ...]
    created_at: datetime
    archived_at: datetime | None

    def status(self, now: datetime) -> str:
        """`published` or `archived`."""
        return "archived" if self.archived_at is not None and self.archived_at <= now else "published"


@dataclass(frozen=True, slots=True)
class PathSession:
    """One run of a path, from `start_at` to `end_at`, or open for ever without the latter."""

    number: int
    id: str
    name: str
    path: Path
    instructor: Person
    created_at: datetime
    start_at: datetime
    end_at: datetime | None


@dataclass(frozen=True, slots=True)
class Classroom:
    """A course taught in a room."""

    id: str
    name: str
    group: Group
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Skill:
    """Something people can become good at."""

    id: str
    name: str
    created_at: datetime
    archived_at: datetime | None

    def status(self, now: datetime) -> str:
        """`published` or `archived`."""
        return "archived" if self.archived_at is not None and self.archived_at <= now else "published"


@dataclass(frozen=True, slots=True)
class LiveProject:
    """A course in the making."""

    id: str
    name: str
    group: Group
    created_at: datetime
    completed_at: datetime

    def is_completed(self, now: datetime) -> bool:
        """Whether the work was done by then."""
        return self.completed_at <= now


def new_courses(
    day: Day,
    groups: Sequence[Group],
    people: Sequence[Person],
    courses: Sequence[Course],
) -> list[Course]:
    """The courses begun on `day`, in order; `courses` are all earlier ones.

    Those of the first day are published at once, later ones after some weeks of drafting.
    """
    rng = day.random("courses")
    created = day.creations(_COURSES_HOUR, _FIRST_COURSES, _COURSES_A_DAY, rng)
    return [_course(len(courses) + index, created_at, groups, people, rng) for index, created_at in enumerate(created)]


def _course(
    number: int,
    created_at: datetime,
    groups: Sequence[Group],
    people: Sequence[Person],
    rng: Random,
) -> Course:
    drafting = timedelta(minutes=5) if number < _FIRST_COURSES else timedelta(days=rng.uniform(1, 30))
    published_at = created_at + drafting if number % _NEVER_PUBLISHED_EVERY != 10 else None
    retired_at = published_at + timedelta(days=rng.uniform(200, 1500)) if published_at else None
    archived_at = retired_at if rng.random() < 0.4 else None
    deleted_at = archived_at + timedelta(days=rng.uniform(10, 90)) if archived_at and rng.random() < 0.4 else None
    return Course(
        number=number,
        id=object_id(created_at, "course", number),
        site_id=1001 + number,
        on_site=number % 5 == 0,
        name=_course_name(number),
        type=rng.choice(_COURSE_TYPES),
        group=rng.choice(groups),
        author=_one_of_staff(people, created_at, rng),
        duration_minutes=rng.randint(5, 90),
        is_scored=rng.random() < 0.7,
        appeal=rng.expovariate(1) ** 2,
        created_at=created_at,
        published_at=published_at,
        archived_at=archived_at,
        deleted_at=deleted_at,
    )


def _one_of_staff(people: Sequence[Person], now: datetime, rng: Random) -> Person:
    return rng.choice([person for person in people if not person.has_left(now)])


def _course_name(number: int) -> str:
    volume, place = divmod(number, len(_SUBJECTS) * len(_FORMS))
    form, subject = divmod(place, len(_SUBJECTS))
    return f"{_SUBJECTS[subject]}: {_FORMS[form]}" + (f", volume {volume + 1}" if volume else "")


def new_paths(
    day: Day,
    people: Sequence[Person],
    courses: Sequence[Course],
    paths: Sequence[Path],
) -> list[Path]:
    """The paths created on `day`, in order; `paths` are all earlier ones."""
    rng = day.random("paths")
    created = day.creations(_PATHS_HOUR, _FIRST_PATHS, _PATHS_A_DAY, rng)
    return [_path(len(paths) + index, created_at, people, courses, rng) for index, created_at in enumerate(created)]


def _path(number: int, created_at: datetime, people: Sequence[Person], courses: Sequence[Course], rng: Random) -> Path:
    author = _one_of_staff(people, created_at, rng)
    # there is always one path to hold a session of
    archives = number > 0 and rng.random() < 0.3
    return Path(
        number=number,
        id=object_id(created_at, "path", number),
        name=f"{_SUBJECTS[number % len(_SUBJECTS)]} path {number + 1}",
        group=author.group,
        author=author,
        courses=tuple(rng.sample([course for course in courses if course.status(created_at) == "published"], 4)),
        created_at=created_at,
        archived_at=created_at + timedelta(days=rng.uniform(200, 900)) if archives else None,
    )


def new_sessions(
    day: Day,
    people: Sequence[Person],
    paths: Sequence[Path],
    sessions: Sequence[PathSession],
) -> list[PathSession]:
    """The path sessions planned on `day`, in order; `sessions` are all earlier ones."""
    rng = day.random("path sessions")
    created = day.creations(_SESSIONS_HOUR, _FIRST_SESSIONS, _SESSIONS_A_DAY, rng)
    return [_session(len(sessions) + index, created_at, people, paths, rng) for index, created_at in enumerate(created)]


def _session(
    number: int, created_at: datetime, people: Sequence[Person], paths: Sequence[Path], rng: Random
) -> PathSession:
    path = rng.choice([path for path in paths if path.status(created_at) == "published"])
    start_at = created_at + timedelta(days=rng.randint(2, 25))
    end_at = start_at + timedelta(days=rng.randint(40, 130)) if rng.random() < 0.85 else None
    return PathSession(
        number=number,
        id=object_id(created_at, "path session", number),
        name=f"{path.name}, session {number + 1}",
        path=path,
        instructor=_one_of_staff(people, created_at, rng),
        created_at=created_at,
        start_at=start_at,
        end_at=end_at,
    )


def new_classrooms(day: Day, groups: Sequence[Group]) -> list[Classroom]:
    """The classrooms created on `day`, in order."""
    rng = day.random("classrooms")
    created = day.creations(_OTHERS_HOUR, _FIRST_CLASSROOMS, _CLASSROOMS_A_DAY, rng)
    return [
        Classroom(object_id(at, "classroom", index), f"{rng.choice(_SUBJECTS)} workshop", rng.choice(groups), at)
        for index, at in enumerate(created)
    ]


def new_skills(day: Day) -> list[Skill]:
    """The skills defined on `day`, in order."""
    rng = day.random("skills")
    created = day.creations(_OTHERS_HOUR, _FIRST_SKILLS, _SKILLS_A_DAY, rng)
    return [
        Skill(
            object_id(at, "skill", index),
            f"{rng.choice(_SUBJECTS)}, level {rng.randint(1, 3)}",
            at,
            at + timedelta(days=rng.uniform(100, 800)) if rng.random() < 0.2 else None,
        )
        for index, at in enumerate(created)
    ]


def new_projects(day: Day, groups: Sequence[Group]) -> list[LiveProject]:
    """The live projects begun on `day`, in order."""
    rng = day.random("live projects")
    created = day.creations(_OTHERS_HOUR, _FIRST_PROJECTS, _PROJECTS_A_DAY, rng)
    return [
        LiveProject(
            object_id(at, "live project", index),
            f"Making of {rng.choice(_SUBJECTS)}",
            rng.choice(groups),
            at,
            at + timedelta(days=rng.uniform(20, 400)),
        )
        for index, at in enumerate(created)
    ]
