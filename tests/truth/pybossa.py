"""What the PYBOSSA series should read, counted from the raw projects, accounts and task runs."""

from collections import Counter
from datetime import UTC, datetime, time

from exporter.demo.crowd import (
    CATEGORIES,
    Crowd,
    Project,
    TaskRun,
    completed_tasks,
    is_published,
    results,
    tasks,
)
from exporter.demo.pybossa_statistics import locations

Key = tuple[str, tuple[tuple[str, str], ...]]
Samples = dict[Key, float]


def expected(crowd: Crowd, now: datetime, *, locs: bool = False) -> Samples:
    """Every sample of every collector at `now`, without the label `target`.

    `locs` tells whether the server sends the locations of contributors. Only published projects have series
    of their own.
    """
    runs = crowd.task_runs(datetime.combine(crowd.start, time(), UTC), now)
    samples = {**_stats(crowd, now, runs), **_globalstats(crowd, now, runs), **_queues(crowd, now)}
    for project in crowd.projects(now):
        if is_published(project, now):
            own = [run for run in runs if run.project.id == project.id]
            samples |= {**_project(project, now, own), **_info(project)}
    samples[_key("pybossa_projects_without_statistics")] = 0  # the job passes over drafts only
    if locs:
        samples[_key("pybossa_contributor_locations")] = len(locations(crowd, now))
    return samples


def _key(name: str, /, **labels: str) -> Key:
    return name, tuple(sorted(labels.items()))


def _stats(crowd: Crowd, now: datetime, runs: list[TaskRun]) -> Samples:
    projects = crowd.projects(now)
    published = [project for project in projects if is_published(project, now)]
    today = [run for run in runs if run.at.date() == now.date()]
    return {
        _key("pybossa_users", kind="anonymous"): len({run.user_ip for run in runs} - {None}),
        _key("pybossa_users", kind="authenticated"): len(crowd.users(now)),
        _key("pybossa_projects", status="published"): len(published),
        _key("pybossa_projects", status="draft"): len(projects) - len(published),
        _key("pybossa_tasks"): sum(tasks(project, now) for project in projects),
        _key("pybossa_task_runs"): len(runs),
        **_top_projects(today),
        **_top_users(crowd, now, today),
    }


def _top_projects(today: list[TaskRun]) -> Samples:
    short_names = {run.project.id: run.project.short_name for run in today}
    ranked = _ranked(Counter(run.project.id for run in today))
    return {_key("pybossa_top_project_task_runs", project=short_names[key]): number for key, number in ranked}


def _top_users(crowd: Crowd, now: datetime, today: list[TaskRun]) -> Samples:
    restricted = {user.id for user in crowd.users(now) if user.is_restricted}
    ids = [run.user_id for run in today if run.user_id is not None]
    ranked = _ranked(Counter(id_ for id_ in ids if id_ not in restricted))
    return {
        _key("pybossa_top_user_task_runs", rank=str(rank)): number for rank, (_, number) in enumerate(ranked, start=1)
    }


def _ranked(counted: Counter[int]) -> list[tuple[int, int]]:
    """The five with the most, equals by id."""
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:5]


def _globalstats(crowd: Crowd, now: datetime, runs: list[TaskRun]) -> Samples:
    projects = crowd.projects(now)
    published = [project for project in projects if is_published(project, now)]
    task_runs = Counter(run.project.id for run in runs)
    requested = sum(tasks(project, now) * project.n_answers for project in projects)
    categories = Counter(project.category.short_name for project in published)
    return {
        _key("pybossa_results"): sum(results(project, task_runs[project.id]) for project in projects),
        _key("pybossa_requested_task_runs"): requested,
        _key("pybossa_pending_task_runs"): requested - len(runs),
        _key("pybossa_featured_projects"): sum(project.featured for project in published),
        **{
            _key("pybossa_category_projects", category=category.short_name): categories[category.short_name]
            for category in CATEGORIES
            if categories[category.short_name] and category.short_name not in ("featured", "draft")
        },
    }


def _info(project: Project) -> Samples:
    labels = {
        "project": str(project.id),
        "short_name": project.short_name,
        "name": project.name,
        "category": project.category.short_name,
    }
    return {_key("pybossa_project_info", **labels): 1}


def _project(project: Project, now: datetime, runs: list[TaskRun]) -> Samples:
    """The times are those of the server: averages to the microsecond, progress in whole per cent."""
    project_id = str(project.id)
    n_tasks, completed = tasks(project, now), completed_tasks(project, len(runs))
    seconds = sum(run.duration_seconds for run in runs)
    contributors = {run.user_id or run.user_ip for run in runs} - {None}
    values: dict[str, float] = {
        "tasks": n_tasks,
        "completed_tasks": completed,
        "task_runs": len(runs),
        "results": results(project, len(runs)),
        "volunteers": len(contributors),
        "progress_ratio": int(100 * completed / n_tasks + 0.5) / 100,
    }
    if runs:
        values["task_run_seconds"] = round(seconds / len(runs), 6)
        values["last_activity_timestamp_seconds"] = max(run.at for run in runs).timestamp()
    return {_key(f"pybossa_project_{value}", project=project_id): number for value, number in values.items()}


def _queues(crowd: Crowd, now: datetime) -> Samples:
    return {_key("pybossa_queue_jobs", queue=name): jobs for name, jobs in crowd.queues(now).items()}
