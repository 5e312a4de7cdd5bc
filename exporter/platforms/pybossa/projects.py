"""The published projects of a PYBOSSA server, each with its numbers."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import UNSET, Meta, Struct

from exporter.api.client import Client
from exporter.api.pagination import keyset_pages
from exporter.api.reply import Count, Percent
from exporter.api.run import note_unreadable
from exporter.api.unreadable import OrUnknown
from exporter.metrics import Family, Sample, info
from exporter.platform import Collector, Probe
from exporter.platforms.pybossa.access import CATEGORY, FAVORITES, ask_key, explained, planned_key
from exporter.platforms.pybossa.settings import FAVORITES_BASIS, ProjectsSettings, PybossaSettings, recorded

PROJECT = "/api/project"
PROJECTSTATS = "/api/projectstats"

PAGE_SIZE = 100

OTHER = "other"
"""Label value of the projects that have no series of their own."""

NEVER = "0"
"""The `last_activity` of a row that the server's jobs have not computed yet; all numbers beside it are zeros."""

_PROJECT = ("project",)
_BY_JOBS = (
    "Published projects only, absent until the server has computed it. From /api/projectstats, refreshed by the "
    "server's jobs hourly, popular ones every 10 min."
)

PROJECTS_WITHOUT_STATISTICS = Family(
    "pybossa_projects_without_statistics",
    "Published projects whose numbers the server has not computed yet: new ones, or all when its scheduler is down. "
    "Their series are absent, and other is without them. From /api/projectstats, as of the poll.",
)
PROJECT_INFO = info(
    "pybossa_project_info",
    "A published project that has series of its own; category is its category's short name; a name that cannot be read "
    "is empty. From /api/project and /api/category, as of the poll.",
    ("project", "short_name", "name", "category"),
)
PROJECT_TASKS = Family("pybossa_project_tasks", f"Tasks of the project. {_BY_JOBS}", _PROJECT)
PROJECT_COMPLETED_TASKS = Family(
    "pybossa_project_completed_tasks", f"Tasks of the project that got all their answers. {_BY_JOBS}", _PROJECT
)
PROJECT_TASK_RUNS = Family("pybossa_project_task_runs", f"Task runs of the project. {_BY_JOBS}", _PROJECT)
PROJECT_RESULTS = Family(
    "pybossa_project_results", f"Results of the project whose information is filled in. {_BY_JOBS}", _PROJECT
)
PROJECT_VOLUNTEERS = Family(
    "pybossa_project_volunteers",
    "Users, anonymous ones included, who contributed to the project; those with only an external id are not counted by "
    "the server. Projects share users, so do not add up; other, which is a sum, counts a user in each of its projects. "
    + _BY_JOBS,
    _PROJECT,
)
PROJECT_PROGRESS_RATIO = Family(
    "pybossa_project_progress_ratio",
    "Progress, 0 to 1; rounded by the server to 0.01, so 1 does not prove completeness. That of other is its completed "
    f"tasks over its tasks. {_BY_JOBS}",
    _PROJECT,
)
PROJECT_TASK_RUN_SECONDS = Family(
    "pybossa_project_task_run_seconds",
    f"Mean duration of a task run of the project, or of all task runs of other; absent without task runs. {_BY_JOBS}",
    _PROJECT,
)
PROJECT_LAST_ACTIVITY = Family(
    "pybossa_project_last_activity_timestamp_seconds",
    f"Time of the newest task run of the project, or of other; absent without one. {_BY_JOBS}",
    _PROJECT,
)


class Project(Struct, gc=False):
    """A row of /api/project."""

    id: int
    short_name: OrUnknown[str]
    name: OrUnknown[str]
    category_id: OrUnknown[int | None] = None


class Category(Struct, gc=False):
    """A row of /api/category."""

    id: int
    short_name: OrUnknown[str]


class ProjectStats(Struct, gc=False):
    """A row of /api/projectstats, which has its own id; `average_time` is in seconds, `last_activity` naive UTC."""

    id: int
    project_id: int
    n_tasks: OrUnknown[Count]
    n_completed_tasks: OrUnknown[Count]
    n_task_runs: OrUnknown[Count]
    n_results: OrUnknown[Count]
    n_volunteers: OrUnknown[Count]
    overall_progress: OrUnknown[Percent]
    average_time: OrUnknown[Annotated[float, Meta(ge=0)]]
    last_activity: OrUnknown[str | None]


def project_info(project: Project, category_names: Mapping[int, str]) -> Sample:
    """Map a project; a category that is unset or unknown is the empty string, as is a name that cannot be read."""
    category = category_names.get(project.category_id, "") if isinstance(project.category_id, int) else ""
    return PROJECT_INFO.sample(
        1, project=str(project.id), short_name=project.short_name or "", name=project.name or "", category=category
    )


def project_samples(stats: ProjectStats) -> Iterator[Sample]:
    """Map a row that the server has computed; what it says of task runs that are not there is left out."""
    project = str(stats.project_id)
    yield from _count_samples(project, (stats,))
    if stats.overall_progress is not UNSET:
        yield PROJECT_PROGRESS_RATIO.sample(stats.overall_progress / 100, project=project)
    yield from _task_run_samples(project, (stats,))


def other_samples(rows: Sequence[ProjectStats]) -> Iterator[Sample]:
    """Add up the rows of several projects that the server has computed."""
    yield from _count_samples(OTHER, rows)
    told = [(row.n_tasks, row.n_completed_tasks) for row in rows]
    known = [(tasks, completed) for tasks, completed in told if tasks is not UNSET and completed is not UNSET]
    if tasks := sum(tasks for tasks, _ in known):
        yield PROJECT_PROGRESS_RATIO.sample(sum(completed for _, completed in known) / tasks, project=OTHER)
    yield from _task_run_samples(OTHER, rows)


def _count_samples(project: str, rows: Sequence[ProjectStats]) -> Iterator[Sample]:
    for family, counts in (
        (PROJECT_TASKS, [row.n_tasks for row in rows]),
        (PROJECT_COMPLETED_TASKS, [row.n_completed_tasks for row in rows]),
        (PROJECT_TASK_RUNS, [row.n_task_runs for row in rows]),
        (PROJECT_RESULTS, [row.n_results for row in rows]),
        (PROJECT_VOLUNTEERS, [row.n_volunteers for row in rows]),
    ):
        if known := [count for count in counts if count is not UNSET]:
            yield family.sample(sum(known), project=project)


def _task_run_samples(project: str, rows: Sequence[ProjectStats]) -> Iterator[Sample]:
    """Map means and times, which without task runs are only what the server's database fills in."""
    active = [(row, row.n_task_runs) for row in rows if row.n_task_runs]
    means = [(row.average_time, task_runs) for row, task_runs in active if row.average_time is not UNSET]
    if len(means) == 1:
        yield PROJECT_TASK_RUN_SECONDS.sample(means[0][0], project=project)
    elif means:
        seconds = math.fsum(mean_seconds * task_runs for mean_seconds, task_runs in means)
        yield PROJECT_TASK_RUN_SECONDS.sample(seconds / sum(task_runs for _, task_runs in means), project=project)
    times = [time for row, _ in active if (time := _last_activity_seconds(row)) is not None]
    if times:
        yield PROJECT_LAST_ACTIVITY.sample(max(times), project=project)


def _last_activity_seconds(stats: ProjectStats) -> float | None:
    """Return Unix time; None without an activity, and for one that is no time."""
    if not isinstance(stats.last_activity, str):
        return None
    try:
        time = datetime.fromisoformat(stats.last_activity)
    except ValueError:
        note_unreadable(PROJECTSTATS, "$[...].last_activity", stats.id)
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def chosen_projects(task_runs: Mapping[int, int], choice: ProjectsSettings) -> set[int]:
    """Return the ids of the projects with series of their own: the listed ones, else those with most task runs.

    `task_runs` has those of every published project by id, -1 where nobody knows them.
    """
    if choice.ids is not None:
        return task_runs.keys() & set(choice.ids)
    return set(sorted(task_runs, key=lambda project: (-task_runs[project], project))[: choice.top])


def published_samples(
    projects: Sequence[Project],
    statistics: Iterable[ProjectStats],
    category_names: Mapping[int, str],
    choice: ProjectsSettings,
) -> list[Sample]:
    """Map the published projects; those that are not chosen are added up, so that sums over projects are the whole."""
    known = {row.project_id: row for row in statistics if row.last_activity != NEVER}
    counts = {one.id: known[one.id].n_task_runs if one.id in known else UNSET for one in projects}
    task_runs = {project: -1 if count is UNSET else count for project, count in counts.items()}
    own = chosen_projects(task_runs, choice)
    samples = [PROJECTS_WITHOUT_STATISTICS.sample(sum(one.id not in known for one in projects))]
    samples += [project_info(one, category_names) for one in projects if one.id in own]
    for one in projects:
        if one.id in own and one.id in known:
            samples += project_samples(known[one.id])
    others = [known[one.id] for one in projects if one.id not in own and one.id in known]
    if others:
        samples += other_samples(others)
    return samples


def list_params(settings: PybossaSettings, limit: int) -> dict[str, str | int]:
    """Return the query for rows of all projects, which with a key must be asked for."""
    params: dict[str, str | int] = {"limit": limit}
    return {**params, "all": 1} if settings.secret("api_key") else params


async def published_projects(client: Client, settings: PybossaSettings) -> tuple[list[Project], dict[int, str]]:
    """Read the published projects, and the names of categories by id."""
    params = list_params(settings, PAGE_SIZE)
    category_names: dict[int, str] = {}
    projects: list[Project] = []
    async for categories in keyset_pages(client, CATEGORY, list[Category], _id, params):
        category_names.update((category.id, category.short_name or "") for category in categories)
    async for page in keyset_pages(client, PROJECT, list[Project], _id, {**params, "published": "true"}):
        projects += page
    return projects, category_names


async def collect_projects(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Read all published projects and the numbers of these; /api/projectstats has rows of drafts too."""
    params = list_params(settings, PAGE_SIZE)
    statistics: list[ProjectStats] = []
    await ask_key(client, settings, now)
    with explained():
        projects, category_names = await published_projects(client, settings)
        async for rows in keyset_pages(client, PROJECTSTATS, list[ProjectStats], _id, params):
            statistics += rows
    return published_samples(projects, statistics, category_names, settings.collectors.projects)


def _id(row: Category | Project | ProjectStats) -> int:
    return row.id


async def ask(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Read one project."""
    with explained():
        await client.get_as(list[Project], PROJECT, params={**list_params(settings, 1), "published": "true"})
    return []


PROJECT_FAMILIES = (
    PROJECT_INFO,
    PROJECT_TASKS,
    PROJECT_COMPLETED_TASKS,
    PROJECT_TASK_RUNS,
    PROJECT_RESULTS,
    PROJECT_VOLUNTEERS,
    PROJECT_PROGRESS_RATIO,
    PROJECT_TASK_RUN_SECONDS,
    PROJECT_LAST_ACTIVITY,
)


def _planned_series(settings: PybossaSettings) -> dict[Family, int]:
    """Count the series of 1,000 projects, of which those that are not chosen have one together."""
    choice = settings.collectors.projects
    own = min(1_000, choice.top if choice.ids is None else len(choice.ids))
    numbers = own if own == 1_000 else own + 1
    return {PROJECTS_WITHOUT_STATISTICS: 1, **dict.fromkeys(PROJECT_FAMILIES, numbers), PROJECT_INFO: own}


PROJECTS_COLLECTOR = Collector(
    "projects",
    (PROJECTS_WITHOUT_STATISTICS, *PROJECT_FAMILIES),
    timedelta(hours=1),
    collect_projects,
    (Probe(FAVORITES, ask_key), Probe(PROJECT, ask)),
    # pages of categories, projects and their numbers, each walk with its empty page at the end
    planned_requests=lambda settings: {**planned_key(settings), CATEGORY: 2, PROJECT: 11, PROJECTSTATS: 21},
    planned_series=_planned_series,
    enabled=False,
    bases=(recorded(CATEGORY), recorded(PROJECT), recorded(PROJECTSTATS), FAVORITES_BASIS),
)
