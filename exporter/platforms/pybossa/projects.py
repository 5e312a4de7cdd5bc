"""The published projects of a PYBOSSA server, each with its numbers."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from exporter.api.client import Client
from exporter.api.pagination import keyset_pages
from exporter.api.reply import Count, Percent
from exporter.errors import InvalidResponseError
from exporter.metrics import Family, Sample, info
from exporter.platform import Collector, Probe
from exporter.platforms.pybossa.access import signed_in
from exporter.platforms.pybossa.settings import PybossaSettings, recorded

PROJECT = "/api/project"
PROJECTSTATS = "/api/projectstats"
CATEGORY = "/api/category"

PAGE_SIZE = 100

_PROJECT = ("project",)
_BY_JOBS = (
    "Published projects only. From /api/projectstats, refreshed by the server's jobs hourly, popular ones every 10 min."
)

PROJECT_INFO = info(
    "pybossa_project_info",
    "A published project; category is its category's short name. From /api/project and /api/category, as of the poll.",
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
    f"Users, anonymous ones included, who contributed to the project. {_BY_JOBS}",
    _PROJECT,
)
PROJECT_PROGRESS_RATIO = Family(
    "pybossa_project_progress_ratio",
    f"Progress, 0 to 1; rounded by the server to 0.01, so 1 does not prove completeness. {_BY_JOBS}",
    _PROJECT,
)
PROJECT_TASK_RUN_SECONDS = Family(
    "pybossa_project_task_run_seconds",
    f"Mean duration of a task run of the project; absent without task runs. {_BY_JOBS}",
    _PROJECT,
)
PROJECT_LAST_ACTIVITY = Family(
    "pybossa_project_last_activity_timestamp_seconds",
    f"Time of the newest task run of the project; absent without one. {_BY_JOBS}",
    _PROJECT,
)


class Project(Struct, gc=False):
    """A row of /api/project."""

    id: int
    short_name: str
    name: str
    category_id: int | None = None


class Category(Struct, gc=False):
    """A row of /api/category."""

    id: int
    short_name: str


class ProjectStats(Struct, gc=False):
    """A row of /api/projectstats, which has its own id; `average_time` is in seconds, `last_activity` naive UTC."""

    id: int
    project_id: int
    n_tasks: Count
    n_completed_tasks: Count
    n_task_runs: Count
    n_results: Count
    n_volunteers: Count
    overall_progress: Percent
    average_time: Annotated[float, Meta(ge=0)]
    last_activity: str | None


def project_info(project: Project, category_names: dict[int, str]) -> Sample:
    """Map a project; a category that is unset or unknown is the empty string."""
    category = "" if project.category_id is None else category_names.get(project.category_id, "")
    return PROJECT_INFO.sample(
        1, project=str(project.id), short_name=project.short_name, name=project.name, category=category
    )


def project_samples(stats: ProjectStats) -> Iterator[Sample]:
    """Map a row of /api/projectstats; the mean duration of 0 that stands there without any task run is left out."""
    project = str(stats.project_id)
    yield PROJECT_TASKS.sample(stats.n_tasks, project=project)
    yield PROJECT_COMPLETED_TASKS.sample(stats.n_completed_tasks, project=project)
    yield PROJECT_TASK_RUNS.sample(stats.n_task_runs, project=project)
    yield PROJECT_RESULTS.sample(stats.n_results, project=project)
    yield PROJECT_VOLUNTEERS.sample(stats.n_volunteers, project=project)
    yield PROJECT_PROGRESS_RATIO.sample(stats.overall_progress / 100, project=project)
    if stats.n_task_runs:
        yield PROJECT_TASK_RUN_SECONDS.sample(stats.average_time, project=project)
    if stats.last_activity not in (None, "0"):
        yield PROJECT_LAST_ACTIVITY.sample(_unix_time(stats.last_activity), project=project)


def _unix_time(text: str) -> float:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidResponseError(f"GET {PROJECTSTATS}: `$[...].last_activity` is not a time") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def list_params(settings: PybossaSettings, limit: int) -> dict[str, str | int]:
    """Return the query for rows of all projects, which with a key must be asked for."""
    params: dict[str, str | int] = {"limit": limit}
    return {**params, "all": 1} if settings.secret("api_key") else params


async def collect_projects(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Read all published projects and the numbers of these; /api/projectstats has rows of drafts too."""
    params = list_params(settings, PAGE_SIZE)
    samples: list[Sample] = []
    published: set[int] = set()
    category_names: dict[int, str] = {}
    with signed_in():
        async for categories in keyset_pages(client, CATEGORY, list[Category], _id, params):
            category_names.update((category.id, category.short_name) for category in categories)
        async for projects in keyset_pages(client, PROJECT, list[Project], _id, {**params, "published": "true"}):
            published.update(project.id for project in projects)
            samples += [project_info(project, category_names) for project in projects]
        async for rows in keyset_pages(client, PROJECTSTATS, list[ProjectStats], _id, params):
            samples += _published_samples(rows, published)
    return samples


def _id(row: Category | Project | ProjectStats) -> int:
    return row.id


def _published_samples(rows: Iterable[ProjectStats], published: set[int]) -> list[Sample]:
    return [sample for row in rows if row.project_id in published for sample in project_samples(row)]


async def ask(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Read one project."""
    with signed_in():
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

PROJECTS_COLLECTOR = Collector(
    "projects",
    PROJECT_FAMILIES,
    timedelta(hours=1),
    collect_projects,
    (Probe(PROJECT, ask),),
    # pages of categories, projects and their numbers, each walk with its empty page at the end
    planned_requests=lambda _: {CATEGORY: 2, PROJECT: 11, PROJECTSTATS: 21},
    planned_series=lambda _: dict.fromkeys(PROJECT_FAMILIES, 1_000),
    enabled=False,
    bases=(recorded(CATEGORY), recorded(PROJECT), recorded(PROJECTSTATS)),
)
