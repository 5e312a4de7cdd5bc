"""The past of a PYBOSSA server, out of the dates of its tasks and task runs.

The server caches the totals that it shows for up to a day, so what it showed at a moment lagged behind; the history has
the totals as they were. Nothing dates the publication of a project, so the past of one begins at its first task run.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import merge
from operator import itemgetter

from msgspec import UNSET, Struct, UnsetType

from exporter.api.client import Client
from exporter.api.pagination import keyset_pages
from exporter.api.reply import Count
from exporter.api.run import note_unreadable
from exporter.api.unreadable import OrUnknown
from exporter.history import ALWAYS_MS, MS_PER_SECOND, Fidelity, Known, Span, Steps, Told, by_family, counted, summed
from exporter.metrics import Family
from exporter.platform import History, no_history
from exporter.platforms.pybossa import projects, server
from exporter.platforms.pybossa.access import explained
from exporter.platforms.pybossa.projects import (
    OTHER,
    PAGE_SIZE,
    chosen_projects,
    list_params,
    project_info,
    published_projects,
)
from exporter.platforms.pybossa.server import Stats, stats_samples
from exporter.platforms.pybossa.settings import PybossaSettings

TASK = "/api/task"
TASK_RUN = "/api/taskrun"

US_PER_MS = 1_000
US_PER_SECOND = 1_000_000

CACHED_MS = 25 * 3600 * MS_PER_SECOND
"""The totals are at most this old."""

_PUBLICATION = "the API does not date the publication of a project"
_RUNS = "from the first task run; without the lag of up to 1 h of the server's jobs; chosen projects are those of now"
_LAG = "without the lag of up to 24 h with which the server shows it"


class Task(Struct, gc=False):
    """A row of /api/task; `created` is naive UTC."""

    id: int
    project_id: int
    created: OrUnknown[str]
    n_answers: OrUnknown[Count]


class TaskRun(Struct, gc=False):
    """A row of /api/taskrun, without who sent it; `finish_time` is naive UTC."""

    id: int
    project_id: int
    finish_time: OrUnknown[str]


def microseconds(text: str | UnsetType, endpoint: str, key: str, row_id: int) -> int | None:
    """Return Unix time; None for what is no time."""
    if text is UNSET:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        note_unreadable(endpoint, f"$[...].{key}", row_id)
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def milliseconds(time_us: int) -> int:
    """Round up: what happened within a millisecond is seen at its end."""
    return -(-time_us // US_PER_MS)


@dataclass(slots=True)
class Rows:
    """What the walks keep: when tasks were made with the answers that they want, and when task runs came, by project.

    Times are in Unix microseconds. `hidden` are the endpoints that keep rows from this key. Some tasks may not say
    readably how many answers they want.
    """

    tasks: defaultdict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    runs: "defaultdict[int, array[int]]" = field(default_factory=lambda: defaultdict(lambda: array("q")))
    hidden: set[str] = field(default_factory=set)
    are_answers_known: bool = True


def hides(lengths: Sequence[int]) -> bool:
    """True if a page before the last is shorter than another: the server cuts pages first, and then hides rows.

    A deleted row leaves no such trace.
    """
    return any(length < max(lengths) for length in lengths[:-1])


async def _walk(client: Client, settings: PybossaSettings) -> Rows:
    rows = Rows()
    params = list_params(settings, PAGE_SIZE)
    lengths: list[int] = []
    async for tasks in keyset_pages(client, TASK, list[Task], lambda row: row.id, params):
        lengths.append(len(tasks))
        for task in tasks:
            if (made_us := microseconds(task.created, TASK, "created", task.id)) is not None:
                rows.tasks[task.project_id].append((made_us, task.n_answers or 0))
                rows.are_answers_known &= task.n_answers is not UNSET
    if hides(lengths):
        rows.hidden.add(TASK)
    lengths.clear()
    async for runs in keyset_pages(client, TASK_RUN, list[TaskRun], lambda row: row.id, params):
        lengths.append(len(runs))
        for run in runs:
            if (came_us := microseconds(run.finish_time, TASK_RUN, "finish_time", run.id)) is not None:
                rows.runs[run.project_id].append(came_us)
    if hides(lengths):
        rows.hidden.add(TASK_RUN)
    return rows


async def read_totals(client: Client, settings: PybossaSettings, _span: Span, now: Callable[[], float]) -> Told:
    """Walk all tasks and task runs. Totals are left out when rows are hidden; a total that differs otherwise is said.

    The server's total may be older than a deletion, which the rows show at once.
    """
    with explained():
        rows = await _walk(client, settings)
        stats = await client.get_as(Stats, server.STATS, params={"response_format": "json"})
    tasks = sorted((milliseconds(made_us), wanted) for made in rows.tasks.values() for made_us, wanted in made)
    runs_ms = array("q", sorted(milliseconds(came_us) for came in rows.runs.values() for came_us in came))
    series = [
        counted(server.TASKS, (), ALWAYS_MS, [created_ms for created_ms, _ in tasks]),
        counted(server.TASK_RUNS, (), ALWAYS_MS, runs_ms),
        summed(server.REQUESTED_TASK_RUNS, (), ALWAYS_MS, tasks),
        summed(
            server.PENDING_TASK_RUNS,
            (),
            ALWAYS_MS,
            merge(tasks, ((time_ms, -1) for time_ms in runs_ms), key=itemgetter(0)),
        ),
    ]
    now_ms = int(now() * MS_PER_SECOND)
    totals = {sample.family: sample.value for sample in stats_samples(stats)}
    left_out: list[str] = []
    doubts: list[str] = []
    for steps, endpoint, count in ((series[0], TASK, len(tasks)), (series[1], TASK_RUN, len(runs_ms))):
        numbers = (
            f"{steps.family.name}: {count:,} rows can be listed, and the server's total is {totals[steps.family]:,}"
        )
        if endpoint in rows.hidden:
            left_out.append(f"{numbers}: it hides some from this key, and all that they add up to is left out")
        elif not _may_have_been(steps, totals[steps.family], now_ms):
            doubts.append(f"{numbers}, up to 24 h old: what was deleted is not in the history")
    families = (*server.STATS_COLLECTOR.families, *server.GLOBALSTATS_COLLECTOR.families)
    unknown = set() if rows.are_answers_known else {server.REQUESTED_TASK_RUNS, server.PENDING_TASK_RUNS}
    told = [one for one in series if one.family not in unknown and not rows.hidden & COUNTED_FROM[one.family]]
    return Told(by_family(told, families), left_out, doubts)


COUNTED_FROM = {
    server.TASKS: {TASK},
    server.TASK_RUNS: {TASK_RUN},
    server.REQUESTED_TASK_RUNS: {TASK},
    server.PENDING_TASK_RUNS: {TASK, TASK_RUN},
}


def _may_have_been(steps: Steps, value: float, now_ms: int) -> bool:
    """True if the server may have computed the total within the time that it caches one."""
    return (steps.at(now_ms - CACHED_MS) or 0) <= value <= (steps.at(now_ms) or 0)


async def read_projects(client: Client, settings: PybossaSettings, _span: Span, _now: Callable[[], float]) -> Told:
    """Walk all tasks, task runs and published projects; those with series of their own are those of now.

    Publishing a project deletes its earlier task runs, so from the first one that is left it was published.
    """
    with explained():
        rows = await _walk(client, settings)
        listed, category_names = await published_projects(client, settings)
    if rows.hidden:
        return Told({}, [f"projects: the server hides rows of {' and '.join(sorted(rows.hidden))} from this key"])
    own = chosen_projects({one.id: len(rows.runs.get(one.id, ())) for one in listed}, settings.collectors.projects)
    series: list[Steps] = []
    others: list[int] = []
    for project in listed:
        if project.id in rows.runs:
            if project.id in own:
                series += _project_steps(str(project.id), [project.id], rows)
                sample = project_info(project, category_names)
                info_steps = Steps(sample.family, sample.labels)
                info_steps.set(milliseconds(min(rows.runs[project.id])), sample.value)
                series.append(info_steps)
            else:
                others.append(project.id)
    if others:
        series += _project_steps(OTHER, others, rows)
    return Told(by_family(series, projects.PROJECTS_COLLECTOR.families))


def _project_steps(label: str, ids: Sequence[int], rows: Rows) -> list[Steps]:
    """Follow one project, or several as one; each counts from its first task run on."""
    begins_us = {project: min(rows.runs[project]) for project in ids}
    since_ms = milliseconds(min(begins_us.values()))
    tasks_ms = [
        milliseconds(max(made_us, begins_us[project])) for project in ids for made_us, _ in rows.tasks.get(project, ())
    ]
    runs_us = array("q", sorted(came_us for project in ids for came_us in rows.runs[project]))
    last_activity = Steps(projects.PROJECT_LAST_ACTIVITY, (label,))
    for came_us in runs_us:
        last_activity.set(milliseconds(came_us), came_us / US_PER_SECOND)
    return [
        counted(projects.PROJECT_TASKS, (label,), since_ms, tasks_ms),
        counted(projects.PROJECT_TASK_RUNS, (label,), since_ms, map(milliseconds, runs_us)),
        last_activity,
    ]


def _unknown(why: str, *families: Family) -> tuple[Known, ...]:
    return tuple(Known(family, Fidelity.UNKNOWN, why) for family in families)


HISTORIES = (
    History(
        ("stats", "globalstats"),
        (
            *_unknown("the API dates neither accounts nor, without telling who they are, contributors", server.USERS),
            *_unknown(_PUBLICATION, server.PROJECTS),
            Known(server.TASKS, Fidelity.EXCEPT_DELETED, _LAG),
            Known(server.TASK_RUNS, Fidelity.EXCEPT_DELETED, _LAG),
            *_unknown(
                "the server alone knows when it computed them and how it ranks equals",
                server.TOP_PROJECT_TASK_RUNS,
                server.TOP_USER_TASK_RUNS,
            ),
            *_unknown("no present server sends them", server.CONTRIBUTOR_LOCATIONS),
            *_unknown("the API does not date the filling in of a result", server.RESULTS),
            Known(server.REQUESTED_TASK_RUNS, Fidelity.EXCEPT_DELETED, f"by the wanted answers of now; {_LAG}"),
            Known(server.PENDING_TASK_RUNS, Fidelity.EXCEPT_DELETED, f"by the wanted answers of now; {_LAG}"),
            *_unknown(_PUBLICATION, server.CATEGORY_PROJECTS, server.FEATURED_PROJECTS),
        ),
        read_totals,
    ),
    History(
        ("projects",),
        (
            *_unknown("the server alone knows what it has computed", projects.PROJECTS_WITHOUT_STATISTICS),
            Known(projects.PROJECT_INFO, Fidelity.PRESENT),
            Known(projects.PROJECT_TASKS, Fidelity.FROM_FIRST_USE, _RUNS),
            *_unknown("the API does not date the completion of a task", projects.PROJECT_COMPLETED_TASKS),
            Known(projects.PROJECT_TASK_RUNS, Fidelity.FROM_FIRST_USE, _RUNS),
            *_unknown("the API does not date the filling in of a result", projects.PROJECT_RESULTS),
            *_unknown("the API does not tell it without telling who they are", projects.PROJECT_VOLUNTEERS),
            *_unknown("the API does not date the completion of a task", projects.PROJECT_PROGRESS_RATIO),
            *_unknown("the server alone knows which task runs it averages", projects.PROJECT_TASK_RUN_SECONDS),
            Known(projects.PROJECT_LAST_ACTIVITY, Fidelity.FROM_FIRST_USE, _RUNS),
        ),
        read_projects,
    ),
    no_history(server.QUEUES_COLLECTOR, "the server does not keep it"),
)
