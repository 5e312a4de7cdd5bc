"""What a PYBOSSA server says about itself as a whole: its totals, and its queues of background jobs."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct

from exporter.api.client import Client
from exporter.api.reply import Count
from exporter.api.unreadable import OrUnknown
from exporter.errors import InvalidResponseError, ServerError, UnauthorizedError
from exporter.metrics import Family, Sample
from exporter.platform import Collector, Probe
from exporter.platforms.pybossa.access import (
    CATEGORY,
    FAVORITES,
    ask_database,
    ask_key,
    explained,
    planned_key,
)
from exporter.platforms.pybossa.settings import FAVORITES_BASIS, PybossaSettings, recorded

T = TypeVar("T")

STATS = "/stats/"
GLOBALSTATS = "/api/globalstats"
QUEUES = "/admin/rq/queues.json"

ADMINISTRATOR = "administrator"
"""The one right that a key may have or lack."""

TOP = 5

_STATS_AGE = "From /stats/, which the server caches: up to 24 h old."
_GLOBALSTATS_AGE = "From /api/globalstats, which the server caches: up to 24 h old."

USERS = Family(
    "pybossa_users",
    "Users: authenticated are all accounts, anonymous the distinct (anonymised) addresses that ever sent a task run. "
    f"Contributors with only an external id are not counted by the server. {_STATS_AGE}",
    ("kind",),
)
PROJECTS = Family("pybossa_projects", f"Projects, drafts included. {_STATS_AGE}", ("status",))
TASKS = Family("pybossa_tasks", f"Tasks, those of drafts included. {_STATS_AGE}")
TASK_RUNS = Family("pybossa_task_runs", f"Task runs (answers given), those of drafts included. {_STATS_AGE}")
TOP_PROJECT_TASK_RUNS = Family(
    "pybossa_top_project_task_runs",
    "Task runs of the five projects with the most on the UTC day of the server's computation, by short name. "
    + _STATS_AGE,
    ("project",),
)
TOP_USER_TASK_RUNS = Family(
    "pybossa_top_user_task_runs",
    f"Task runs of the five users with the most on the UTC day of the server's computation, by rank. {_STATS_AGE}",
    ("rank",),
)
CONTRIBUTOR_LOCATIONS = Family(
    "pybossa_contributor_locations",
    f"Locations of anonymous contributors; only servers before v2.9.3 send them. {_STATS_AGE}",
)

RESULTS = Family("pybossa_results", f"Results whose information is filled in. {_GLOBALSTATS_AGE}")
REQUESTED_TASK_RUNS = Family(
    "pybossa_requested_task_runs",
    f"Task runs wanted: the answers that all tasks ask for, added up. {_GLOBALSTATS_AGE}",
)
PENDING_TASK_RUNS = Family(
    "pybossa_pending_task_runs",
    "Task runs wanted minus those given; negative when tasks got more answers than they ask for. " + _GLOBALSTATS_AGE,
)
CATEGORY_PROJECTS = Family(
    "pybossa_category_projects",
    "Published projects without a password, by short name of the category. A category named featured or draft has no "
    "series: the server tells the number of all featured projects or drafts for it. "
    "From /api/globalstats: up to 1 h old.",
    ("category",),
)
FEATURED_PROJECTS = Family("pybossa_featured_projects", "Featured projects. From /api/globalstats: up to 75 min old.")

QUEUE_JOBS = Family(
    "pybossa_queue_jobs",
    "Background jobs waiting in the queue. From /admin/rq/queues.json, as of the poll.",
    ("queue",),
)


class Totals(Struct, frozen=True):
    """The object `stats` of /stats/."""

    n_anon: Count | None = None
    n_auth: Count | None = None
    n_published_projects: Count | None = None
    n_draft_projects: Count | None = None
    n_tasks: Count | None = None
    n_task_runs: Count | None = None


class Bar(Struct, frozen=True):
    """One value of a chart: `value` holds its position and the number."""

    label: str
    value: tuple[int, Count]


class Chart(Struct, frozen=True):
    """Totals as /stats/ repeats them for its charts."""

    values: tuple[Bar, ...] = ()


class TopProject(Struct):
    """One of the projects with the most task runs."""

    short_name: str
    n_answers: OrUnknown[Count]


class TopUser(Struct):
    """One of the users with the most task runs, without who it is."""

    n_answers: OrUnknown[Count]


class Stats(Struct):
    """The reply of /stats/. The documentation spells the top lists in two ways."""

    stats: Totals = Totals()
    users: Chart = Chart()
    projects: Chart = Chart()
    tasks: Chart = Chart()
    top5_projects_24_hours: list[TopProject] | None = None
    top_5_projects_24_hours: list[TopProject] | None = None
    top5_users_24_hours: list[TopUser] | None = None
    top_5_users_24_hours: list[TopUser] | None = None
    locs: list[Any] | str | None = None


class GlobalStats(Struct):
    """The reply of /api/globalstats; `categories` is a list of objects with one key each."""

    n_results: Count
    n_pending_tasks: Annotated[int, Meta(ge=-(2**53), le=2**53)]
    categories: list[dict[str, Count]]
    n_tasks: Count | None = None


class Queue(Struct):
    """A queue of background jobs."""

    name: str
    count: OrUnknown[Count]


class Queues(Struct):
    """The reply of /admin/rq/queues.json; `status` stands there alone when the server cannot tell."""

    queues: list[Queue] | None = None
    status: str | None = None


def stats_samples(stats: Stats) -> list[Sample]:
    """Map /stats/. Raises InvalidResponseError when a total stands neither in `stats` nor in its chart."""
    totals = stats.stats
    return [
        USERS.sample(_total("n_anon", totals.n_anon, stats.users, "Anonymous"), kind="anonymous"),
        USERS.sample(_total("n_auth", totals.n_auth, stats.users, "Authenticated"), kind="authenticated"),
        PROJECTS.sample(
            _total("n_published_projects", totals.n_published_projects, stats.projects, "Published"), status="published"
        ),
        PROJECTS.sample(_total("n_draft_projects", totals.n_draft_projects, stats.projects, "Draft"), status="draft"),
        TASKS.sample(_total("n_tasks", totals.n_tasks, stats.tasks, "Tasks")),
        TASK_RUNS.sample(_total("n_task_runs", totals.n_task_runs, stats.tasks, "Answers")),
        *_top_samples(stats),
        *_location_samples(stats.locs),
    ]


def _total(key: str, value: int | None, chart: Chart, label: str) -> int:
    if value is not None:
        return value
    for bar in chart.values:
        if bar.label == label:
            return bar.value[1]
    raise InvalidResponseError(f"GET {STATS}: neither `$.stats.{key}` nor a chart value labelled {label} is there")


def _top_samples(stats: Stats) -> Iterator[Sample]:
    projects = _either(stats.top5_projects_24_hours, stats.top_5_projects_24_hours, "top5_projects_24_hours")
    users = _either(stats.top5_users_24_hours, stats.top_5_users_24_hours, "top5_users_24_hours")
    for project in projects[:TOP]:
        if project.n_answers is not UNSET:
            yield TOP_PROJECT_TASK_RUNS.sample(project.n_answers, project=project.short_name)
    for rank, user in enumerate(users[:TOP], start=1):
        if user.n_answers is not UNSET:
            yield TOP_USER_TASK_RUNS.sample(user.n_answers, rank=str(rank))


def _either(one: list[T] | None, other: list[T] | None, key: str) -> list[T]:
    top = other if one is None else one
    if top is None:
        raise InvalidResponseError(f"GET {STATS}: `$.{key}` is missing")
    return top


def _location_samples(locations: list[Any] | str | None) -> Iterator[Sample]:
    if isinstance(locations, str):
        try:
            locations = msgspec.json.decode(locations, type=list[Any])
        except (msgspec.DecodeError, RecursionError):
            raise InvalidResponseError(f"GET {STATS}: the text of `$.locs` is not a list") from None
    if locations is not None:
        yield CONTRIBUTOR_LOCATIONS.sample(len(locations))


def globalstats_samples(stats: GlobalStats) -> list[Sample]:
    """Map /api/globalstats. Raises InvalidResponseError unless `categories` ends with the featured and draft entries.

    A category may itself be called "featured" or "draft". The server then counts all projects of that kind for it, not
    those of the category, so only the last two entries are taken.
    """
    samples = [RESULTS.sample(stats.n_results), PENDING_TASK_RUNS.sample(stats.n_pending_tasks)]
    if stats.n_tasks is not None:
        samples.append(REQUESTED_TASK_RUNS.sample(stats.n_tasks))
    match [entry for category in stats.categories for entry in category.items()]:
        case [*categories, ("featured", featured), ("draft", _)]:
            samples += [
                CATEGORY_PROJECTS.sample(projects, category=name)
                for name, projects in categories
                if name not in ("featured", "draft")
            ]
            samples.append(FEATURED_PROJECTS.sample(featured))
        case _:
            raise InvalidResponseError(f"GET {GLOBALSTATS}: `$.categories` does not end with featured and draft")
    return samples


def queue_samples(reply: Queues) -> list[Sample]:
    """Map the queues. Raises ServerError for the 200 with which a server says that it cannot tell."""
    if reply.status == "error":
        raise ServerError(
            f"GET {QUEUES} answered 200 with an error: the server cannot reach Redis, or its REDIS_URL is unset",
            status=200,
            remedy="see that Redis runs, set REDIS_URL in the server's settings, or turn the collector queues off",
        )
    if reply.queues is None:
        raise InvalidResponseError(f"GET {QUEUES}: `$.queues` is missing")
    return [QUEUE_JOBS.sample(queue.count, queue=queue.name) for queue in reply.queues if queue.count is not UNSET]


async def collect_stats(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Read /stats/, of a server that is well and knows the key."""
    samples = await ask_stats(client, settings, now)
    await ask_key(client, settings, now)
    await ask_database(client, settings, now)
    return samples


async def ask_stats(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Read /stats/ alone."""
    with explained():
        return stats_samples(await client.get_as(Stats, STATS, params={"response_format": "json"}))


async def collect_globalstats(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Read /api/globalstats, of a server that is well and knows the key."""
    samples = await ask_globalstats(client, settings, now)
    await ask_key(client, settings, now)
    await ask_database(client, settings, now)
    return samples


async def ask_globalstats(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Read /api/globalstats alone."""
    with explained():
        return globalstats_samples(await client.get_as(GlobalStats, GLOBALSTATS))


async def collect_queues(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Read the depth of the job queues. A wrong key and one that is no administrator's are refused alike."""
    with explained():
        try:
            return queue_samples(await client.get_as(Queues, QUEUES))
        except UnauthorizedError as error:
            error.remedy = f"give the API key of an {ADMINISTRATOR}, or turn the collector queues off"
            raise


_CHECKS = (Probe(FAVORITES, ask_key), Probe(CATEGORY, ask_database))


STATS_COLLECTOR = Collector(
    "stats",
    (USERS, PROJECTS, TASKS, TASK_RUNS, TOP_PROJECT_TASK_RUNS, TOP_USER_TASK_RUNS, CONTRIBUTOR_LOCATIONS),
    timedelta(minutes=15),
    collect_stats,
    (Probe(STATS, ask_stats), *_CHECKS),
    planned_requests=lambda settings: {STATS: 1, **planned_key(settings), CATEGORY: 1},
    planned_series=lambda _: {
        USERS: 2,
        PROJECTS: 2,
        TASKS: 1,
        TASK_RUNS: 1,
        TOP_PROJECT_TASK_RUNS: TOP,
        TOP_USER_TASK_RUNS: TOP,
    },
    bases=(recorded(STATS), recorded(CATEGORY), FAVORITES_BASIS),
)

GLOBALSTATS_COLLECTOR = Collector(
    "globalstats",
    (RESULTS, REQUESTED_TASK_RUNS, PENDING_TASK_RUNS, CATEGORY_PROJECTS, FEATURED_PROJECTS),
    timedelta(minutes=15),
    collect_globalstats,
    (Probe(GLOBALSTATS, ask_globalstats), *_CHECKS),
    planned_requests=lambda settings: {GLOBALSTATS: 1, **planned_key(settings), CATEGORY: 1},
    planned_series=lambda _: {
        RESULTS: 1,
        REQUESTED_TASK_RUNS: 1,
        PENDING_TASK_RUNS: 1,
        CATEGORY_PROJECTS: 100,
        FEATURED_PROJECTS: 1,
    },
    bases=(recorded(GLOBALSTATS), recorded(CATEGORY), FAVORITES_BASIS),
)

QUEUES_COLLECTOR = Collector(
    "queues",
    (QUEUE_JOBS,),
    timedelta(minutes=5),
    collect_queues,
    (Probe(QUEUES, collect_queues, ADMINISTRATOR),),
    planned_requests=lambda _: {QUEUES: 1},
    planned_series=lambda _: {QUEUE_JOBS: 10},
    enabled=False,
    bases=(recorded(QUEUES),),
)
