"""The past of a PYBOSSA server, out of the dates of its tasks and task runs.

The server caches the totals that it shows for up to a day, so what it showed at a moment lagged behind; the history has
the totals as they were. There is none of a single project, since nothing dates the publication of a project.
"""

from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from heapq import merge
from operator import itemgetter

from msgspec import UNSET, Struct, UnsetType

from exporter.api.client import Client
from exporter.api.pagination import keyset_pages
from exporter.api.reply import Count
from exporter.api.run import note_unreadable
from exporter.api.unreadable import OrUnknown
from exporter.history import ALWAYS_MS, MS_PER_SECOND, Fidelity, Known, Past, Span, Steps, by_family, counted, summed
from exporter.metrics import Family
from exporter.platform import History, no_history
from exporter.platforms.pybossa import projects, server
from exporter.platforms.pybossa.access import explained
from exporter.platforms.pybossa.projects import PAGE_SIZE
from exporter.platforms.pybossa.server import Stats, stats_samples
from exporter.platforms.pybossa.settings import PybossaSettings

TASK = "/api/task"
TASK_RUN = "/api/taskrun"

CACHED_MS = 25 * 3600 * MS_PER_SECOND
"""The totals are at most this old."""

_PUBLICATION = "the API does not date the publication of a project"
_LAG = "without the lag of up to 24 h with which the server shows it"


class Task(Struct, gc=False):
    """A row of /api/task; `created` is naive UTC."""

    id: int
    created: OrUnknown[str]
    n_answers: OrUnknown[Count]


class TaskRun(Struct, gc=False):
    """A row of /api/taskrun, without who sent it; `finish_time` is naive UTC."""

    id: int
    finish_time: OrUnknown[str]


def milliseconds(text: str | UnsetType, endpoint: str, key: str, row_id: int) -> int | None:
    """Return Unix time, rounded up: what happened within a millisecond is seen at its end. None for what is no time."""
    if text is UNSET:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        note_unreadable(endpoint, f"$[...].{key}", row_id)
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return -((datetime(1970, 1, 1, tzinfo=UTC) - moment) // timedelta(milliseconds=1))


async def read_totals(
    client: Client, settings: PybossaSettings, _span: Span, now: Callable[[], float]
) -> tuple[Past, Sequence[str]]:
    """Walk all tasks and task runs. Totals that the server counts otherwise are left out: rows may be hidden."""
    params: dict[str, str | int] = {"limit": PAGE_SIZE}
    if settings.secret("api_key"):
        params["all"] = 1
    tasks: list[tuple[int, int]] = []
    are_answers_known = True
    runs_ms = array("q")
    with explained():
        async for task_rows in keyset_pages(client, TASK, list[Task], lambda row: row.id, params):
            for row in task_rows:
                if (created_ms := milliseconds(row.created, TASK, "created", row.id)) is not None:
                    tasks.append((created_ms, row.n_answers or 0))
                    are_answers_known = are_answers_known and row.n_answers is not UNSET
        async for run_rows in keyset_pages(client, TASK_RUN, list[TaskRun], lambda row: row.id, params):
            finished_ms = (milliseconds(row.finish_time, TASK_RUN, "finish_time", row.id) for row in run_rows)
            runs_ms.extend([finish_ms for finish_ms in finished_ms if finish_ms is not None])
        totals = await client.get_as(Stats, server.STATS, params={"response_format": "json"})
    tasks.sort()
    runs = ((time_ms, -1) for time_ms in sorted(runs_ms))
    series = [
        counted(server.TASKS, (), ALWAYS_MS, [created_ms for created_ms, _ in tasks]),
        counted(server.TASK_RUNS, (), ALWAYS_MS, runs_ms),
        summed(server.REQUESTED_TASK_RUNS, (), ALWAYS_MS, tasks),
        summed(server.PENDING_TASK_RUNS, (), ALWAYS_MS, merge(tasks, runs, key=itemgetter(0))),
    ]
    now_ms = int(now() * MS_PER_SECOND)
    told = {sample.family: sample.value for sample in stats_samples(totals)}
    wrong = {one.family for one in series[:2] if not _may_have_been(one, told[one.family], now_ms)}
    if server.TASKS in wrong or not are_answers_known:
        wrong.add(server.REQUESTED_TASK_RUNS)
    if wrong:
        wrong.add(server.PENDING_TASK_RUNS)
    families = (*server.STATS_COLLECTOR.families, *server.GLOBALSTATS_COLLECTOR.families)
    left_out = [f"{family.name}: the rows that the key can list do not make up the server's total" for family in wrong]
    return by_family([one for one in series if one.family not in wrong], families), sorted(left_out)


def _may_have_been(steps: Steps, value: float, now_ms: int) -> bool:
    """True if the server may have computed the total within the time that it caches one."""
    return (steps.at(now_ms - CACHED_MS) or 0) <= value <= (steps.at(now_ms) or 0)


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
    no_history(projects.PROJECTS_COLLECTOR, _PUBLICATION),
    no_history(server.QUEUES_COLLECTOR, "the server does not keep it"),
)
