"""The crowdsourcing half of the demo organisation: projects, volunteers and their task runs.

Projects and users are functions of (seed, start, index). Task runs are drawn day after day into a log that only
grows, since a project whose tasks are all answered gets no more; a moment sees the log up to itself, so a later
one adds to what an earlier one showed and never changes it.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from itertools import count, takewhile
from random import Random

from exporter.demo.calendar import activity_level, random_of

_PROJECTS_AT_START = 18
_DAYS_BETWEEN_PROJECTS = 17
_USERS_AT_START = 300
_ADDRESSES_AT_START = 150
_DAYS_BETWEEN_ADDRESSES = 2
_ADMINISTRATOR_ID = 1
_OWNERS = 20
_DRAFT_ACTIVITY_FACTOR = 0.03
_MEDIAN_RUN_SECONDS = 40

_PROJECT_NAMES = (
    "Galaxy Counter",
    'Birds of the "Harbour"',
    "Old Letters",
    "Brücken früher und heute",
    "Water\nlevels",
    "Roof \\ tops",
    "Herbarium sheets",
    "Tide tables",
    "Street trees 🌳",
    "Ship logs",
    "Moss & lichen",
    "Night sky",
    "Crack finder",
)


@dataclass(frozen=True, slots=True)
class Category:
    """A subject that projects belong to."""

    id: int
    name: str
    short_name: str


CATEGORIES = (
    Category(1, "Thinking", "thinking"),
    Category(2, "Volunteer Sensing", "sensing"),
    Category(3, "Draft horses", "draft"),
    Category(4, 'Maps "and" plans', "maps"),
    Category(5, "Transcription", "transcription"),
)


@dataclass(frozen=True, slots=True)
class Project:
    """A project; every task wants `n_answers` task runs, and the tasks arrive in `batches` of equal size.

    `popularity` is the mean of task runs on a day when all the tasks are open, `reviewed_ratio` the part of the
    completed tasks whose result has been filled in.
    """

    id: int
    name: str
    short_name: str
    category: Category
    owner_id: int
    featured: bool
    n_answers: int
    batch_tasks: int
    batches: int
    days_between_batches: int
    popularity: float
    reviewed_ratio: float
    created_at: datetime
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class User:
    """A registered account, whether or not its owner ever contributed."""

    id: int
    name: str
    fullname: str
    is_restricted: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One answer: by an account, by an anonymised address, or (neither) through an application of others."""

    at: datetime
    project: Project
    user_id: int | None
    user_ip: str | None
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What the task runs of one project come to."""

    task_runs: int
    volunteers: int
    duration_seconds: float
    last_activity: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What a stretch of the log comes to: a tally for every project in it, and the anonymous addresses."""

    projects: dict[int, Tally]
    addresses: frozenset[str]


def tasks(project: Project, now: datetime) -> int:
    """How many tasks the project has at `now`."""
    batches_later = (now - project.created_at).days // project.days_between_batches
    return project.batch_tasks * (1 + min(batches_later, project.batches - 1))


def completed_tasks(project: Project, task_runs: int) -> int:
    """How many tasks so many task runs complete: volunteers get one task after another until it has enough."""
    return task_runs // project.n_answers


def results(project: Project, task_runs: int) -> int:
    """How many results have been filled in after so many task runs."""
    return int(completed_tasks(project, task_runs) * project.reviewed_ratio)


def is_published(project: Project, now: datetime) -> bool:
    """Whether the project is open to everyone at `now`, and no draft any more."""
    return project.published_at is not None and project.published_at <= now


class Crowd:
    """The site as seen at any moment; `start` is the first day of its recorded life."""

    def __init__(self, seed: int, start: date) -> None:
        self.seed = seed
        self.start = start
        midnight = datetime.combine(start, time(), UTC)
        self._project: Callable[[int], Project] = cache(lambda index: _project(seed, midnight, index))
        self._user: Callable[[int], User] = cache(lambda index: _user(seed, midnight, index))
        self._log: list[TaskRun] = []
        self._times: list[datetime] = []
        self._done: Counter[int] = Counter()
        self._next_day = start
        self._standing_after: Callable[[int], Standing] = lru_cache(maxsize=4)(
            lambda length: _standing(self._log[:length])
        )

    def projects(self, now: datetime) -> tuple[Project, ...]:
        """Every project created until `now`, drafts too, by id."""
        return tuple(takewhile(lambda project: project.created_at <= now, map(self._project, count())))

    def users(self, now: datetime) -> tuple[User, ...]:
        """Every account registered until `now`, by id."""
        return tuple(takewhile(lambda user: user.created_at <= now, map(self._user, count())))

    def task_runs(self, since: datetime, until: datetime) -> list[TaskRun]:
        """The task runs from `since` until `until`, oldest first; none lies before the start."""
        self._extend(until.date())
        return self._log[bisect_left(self._times, since) : bisect_right(self._times, until)]

    def standing(self, now: datetime) -> Standing:
        """What all task runs until `now` come to; a project without any has no tally."""
        self._extend(now.date())
        return self._standing_after(bisect_right(self._times, now))

    def queues(self, now: datetime) -> dict[str, int]:
        """Background jobs that wait in every queue; they change from minute to minute."""
        minute = now.replace(second=0, microsecond=0)
        return {
            name: random_of(self.seed, "queue", name, minute).randint(0, most)
            for name, most in (("high", 6), ("low", 2), ("maintenance", 0), ("super", 12))
        }

    def _extend(self, last_day: date) -> None:
        while self._next_day <= last_day:
            runs = sorted(self._draw_task_runs(self._next_day), key=lambda run: run.at)
            self._log += runs
            self._times += [run.at for run in runs]
            self._done.update(run.project.id for run in runs)
            self._next_day += timedelta(days=1)

    def _draw_task_runs(self, day: date) -> Iterator[TaskRun]:
        rng = random_of(self.seed, "task runs", day)
        midnight = datetime.combine(day, time(), UTC)
        users = len(self.users(midnight))
        addresses = _ADDRESSES_AT_START + (day - self.start).days // _DAYS_BETWEEN_ADDRESSES
        # Volunteers come when the offices are empty.
        leisure = 1.3 - 0.5 * activity_level(day)
        for project in self.projects(midnight):
            mean = project.popularity * leisure
            if not is_published(project, midnight):
                mean *= _DRAFT_ACTIVITY_FACTOR
            open_runs = tasks(project, midnight) * project.n_answers - self._done[project.id]
            for _ in range(min(open_runs, int(2 * mean * rng.random() + rng.random()))):
                run = _task_run(rng, midnight, project, users, addresses)
                # publishing deletes what the owner tried out before
                if project.published_at is None or project.published_at <= run.at:
                    yield run


def _project(seed: int, midnight: datetime, index: int) -> Project:
    rng = random_of(seed, "project", index)
    days = (index - _PROJECTS_AT_START) * _DAYS_BETWEEN_PROJECTS
    created_at = midnight + timedelta(days=days, hours=rng.randint(8, 20), microseconds=rng.randint(1, 999_999))
    is_draft, has_no_visitors = index % 4 == 3, index % 15 == 14
    series, name_index = divmod(index, len(_PROJECT_NAMES))
    return Project(
        id=index + 1,
        name=_PROJECT_NAMES[name_index] + (f" {series + 1}" if series else ""),
        short_name=f"project-{index + 1}",
        category=rng.choice(CATEGORIES),
        owner_id=_ADMINISTRATOR_ID if index % 12 == 0 else rng.randint(2, _OWNERS),
        featured=index % 9 == 0 and not is_draft,
        n_answers=rng.randint(2, 8),
        batch_tasks=rng.randint(40, 150),
        batches=rng.randint(1, 12),
        days_between_batches=rng.randint(15, 45),
        popularity=0.0 if has_no_visitors else 0.3 + rng.expovariate(1 / 3.7),
        reviewed_ratio=rng.choice((0.0, 0.5, 1.0)),
        created_at=created_at,
        published_at=None if is_draft else created_at + timedelta(days=rng.randint(1, 20)),
    )


def _user(seed: int, midnight: datetime, index: int) -> User:
    rng = random_of(seed, "user", index)
    created_at = midnight + timedelta(days=index - _USERS_AT_START, seconds=rng.randrange(86_400))
    first, last = rng.choice(("Alice", "Bob", "Çelik", "Dörte")), rng.choice(('"B" Quote', "Müller", "O'Hara"))
    return User(index + 1, f"volunteer{index + 1}", f"{first} {last}", index % 97 == 5, created_at)


def _task_run(rng: Random, midnight: datetime, project: Project, users: int, addresses: int) -> TaskRun:
    """A run at some time from six in the morning on; the earlier an account or address, the busier it is."""
    whole_second = timedelta(seconds=rng.randint(6 * 3600, 86_399))
    fraction = timedelta(microseconds=rng.randint(1, 999_999) if rng.random() < 0.9 else 0)
    user_id, user_ip, kind = None, None, rng.random()
    if kind < 0.69:
        user_id = 1 + int(users * rng.random() ** 4)
    elif kind < 0.99:
        user_ip = "198.18.{}.{}".format(*divmod(int(addresses * rng.random() ** 2), 256))
    duration_seconds = round(rng.lognormvariate(math.log(_MEDIAN_RUN_SECONDS), 0.8), 6)
    return TaskRun(midnight + whole_second + fraction, project, user_id, user_ip, duration_seconds)


def _standing(runs: Iterable[TaskRun]) -> Standing:
    """The tallies of runs that are given oldest first."""
    task_runs: Counter[int] = Counter()
    duration_seconds: defaultdict[int, float] = defaultdict(float)
    last_activity: dict[int, datetime] = {}
    volunteers: defaultdict[int, set[int | str]] = defaultdict(set)
    addresses: set[str] = set()
    for run in runs:
        task_runs[run.project.id] += 1
        duration_seconds[run.project.id] += run.duration_seconds
        last_activity[run.project.id] = run.at
        contributor = run.user_id or run.user_ip
        if contributor is not None:
            volunteers[run.project.id].add(contributor)
        if run.user_ip is not None:
            addresses.add(run.user_ip)
    return Standing(
        {
            key: Tally(number, len(volunteers[key]), duration_seconds[key], last_activity[key])
            for key, number in task_runs.items()
        },
        frozenset(addresses),
    )
