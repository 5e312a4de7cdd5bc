"""The raw rows that a PYBOSSA server lists: tasks and task runs, a page at a time.

Inferred: rows of drafts are listed to everyone; a task's id grows with its project's, since tasks are made in batches
and nobody can tell from outside in which order.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from typing import Any

from exporter.demo.crowd import Crowd, Project, TaskRun, completed_tasks, tasks
from exporter.demo.pybossa_statistics import naive_iso

_TASKS_OF_A_PROJECT = 10_000
"""Room for the ids of a project's tasks."""

Row = dict[str, Any]


def task_rows(
    crowd: Crowd, now: datetime, after_id: int, limit: int, is_asked_for: Callable[[Project], bool]
) -> list[Row]:
    """The tasks with ids above `after_id`, in the order of their ids."""
    standing = crowd.standing(now)

    def rows() -> Iterator[Row]:
        for project in crowd.projects(now):
            if (project.id + 1) * _TASKS_OF_A_PROJECT <= after_id or not is_asked_for(project):
                continue
            tally = standing.projects.get(project.id)
            completed = completed_tasks(project, tally.task_runs if tally else 0)
            for number in range(tasks(project, now)):
                row = _task_row(project, number, is_completed=number < completed)
                if row["id"] > after_id:
                    yield row

    return list(islice(rows(), limit))


def _task_row(project: Project, number: int, is_completed: bool) -> Row:
    batch = number // project.batch_tasks
    return {
        "id": project.id * _TASKS_OF_A_PROJECT + number,
        "created": naive_iso(project.created_at + timedelta(days=batch * project.days_between_batches)),
        "project_id": project.id,
        "state": "completed" if is_completed else "ongoing",
        "quorum": 0,
        "calibration": 0,
        "priority_0": 0.0,
        "n_answers": project.n_answers,
        "fav_user_ids": None,
        "info": {"url": f"https://example.org/{project.short_name}/{number}"},
    }


def task_run_rows(
    crowd: Crowd, now: datetime, after_id: int, limit: int, is_asked_for: Callable[[Project], bool]
) -> list[Row]:
    """The task runs with ids above `after_id`, in the order of their ids, which is the order of their arrival."""
    runs = crowd.task_runs(datetime.combine(crowd.start, time(), UTC), now)
    numbered = ((index + 1, runs[index]) for index in range(after_id, len(runs)))
    return list(islice((_task_run_row(key, run) for key, run in numbered if is_asked_for(run.project)), limit))


def _task_run_row(key: int, run: TaskRun) -> Row:
    return {
        "id": key,
        "created": naive_iso(run.at - timedelta(seconds=run.duration_seconds)),
        "finish_time": naive_iso(run.at),
        "project_id": run.project.id,
        "task_id": run.project.id * _TASKS_OF_A_PROJECT,
        "user_id": run.user_id,
        "user_ip": run.user_ip,
        "external_uid": None if run.user_id or run.user_ip else "partner",
        "timeout": None,
        "calibration": None,
        "media_url": None,
        "info": "yes",
    }
