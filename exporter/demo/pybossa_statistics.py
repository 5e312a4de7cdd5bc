"""The statistics of a PYBOSSA server, counted from the crowdsourcing half of the demo organisation.

A real server hands out numbers up to a day old; these are always live. Inferred: equal numbers of task runs are
ranked by id, and every second draft is one that the background job has never visited.
"""

from collections import Counter
from datetime import UTC, datetime, time
from typing import Any

from exporter.demo.calendar import random_of
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


def site_statistics(crowd: Crowd, now: datetime) -> dict[str, Any]:
    """The reply of `/stats/`, without `locs`."""
    projects, standing = crowd.projects(now), crowd.standing(now)
    published = sum(is_published(project, now) for project in projects)
    drafts = len(projects) - published
    anonymous, authenticated = len(standing.addresses), len(crowd.users(now))
    n_tasks = sum(tasks(project, now) for project in projects)
    n_task_runs = sum(tally.task_runs for tally in standing.projects.values())
    runs_today = crowd.task_runs(datetime.combine(now.date(), time(), UTC), now)
    return {
        "projects": _chart("Projects Statistics", ("Published", 0, published), ("Draft", 0, drafts)),
        "show_locs": False,
        "stats": {
            "n_anon": anonymous,
            "n_auth": authenticated,
            "n_draft_projects": drafts,
            "n_published_projects": published,
            "n_task_runs": n_task_runs,
            "n_tasks": n_tasks,
            "n_total_projects": len(projects),
            "n_total_users": anonymous + authenticated,
        },
        "tasks": _chart("Task and Task Run Statistics", ("Tasks", 0, n_tasks), ("Answers", 1, n_task_runs)),
        "template": "/stats/global.html",
        "title": "Global Statistics",
        "top5_projects_24_hours": _top_projects(runs_today),
        "top5_users_24_hours": _top_users(crowd, runs_today, now),
        "users": _chart("User Statistics", ("Anonymous", 0, anonymous), ("Authenticated", 0, authenticated)),
    }


def global_statistics(crowd: Crowd, now: datetime) -> dict[str, Any]:
    """The reply of `/api/globalstats`, where `n_tasks` is the number of task runs that all tasks want.

    A category named as a kind of project has the number of that kind.
    """
    projects, standing = crowd.projects(now), crowd.standing(now)
    wanted = sum(tasks(project, now) * project.n_answers for project in projects)
    n_task_runs = sum(tally.task_runs for tally in standing.projects.values())
    open_projects = [project for project in projects if is_published(project, now)]
    used = Counter(project.category.short_name for project in open_projects)
    of_kind = {
        "featured": sum(project.featured for project in open_projects),
        "draft": len(projects) - len(open_projects),
    }
    return {
        "n_projects": len(projects),
        "n_users": len(standing.addresses) + len(crowd.users(now)),
        "n_tasks": wanted,
        "n_task_runs": n_task_runs,
        "n_pending_tasks": wanted - n_task_runs,
        "n_results": sum(
            results(project, standing.projects[project.id].task_runs)
            for project in projects
            if project.id in standing.projects
        ),
        "categories": [
            *({c.short_name: of_kind.get(c.short_name, used[c.short_name])} for c in CATEGORIES if used[c.short_name]),
            *({kind: number} for kind, number in of_kind.items()),
        ],
    }


def project_statistics(crowd: Crowd, now: datetime) -> list[dict[str, Any]]:
    """The rows of `/api/projectstats`, drafts too, without their links."""
    return [_project_row(crowd, project, now) for project in crowd.projects(now)]


def locations(crowd: Crowd, now: datetime) -> list[dict[str, Any]]:
    """The `locs` of older servers: where anonymous contributors seem to be, for the addresses one can place."""
    places = []
    for address in sorted(crowd.standing(now).addresses):
        rng = random_of(crowd.seed, "location", address)
        if rng.random() < 0.8:
            place = {"latitude": round(rng.uniform(-60, 70), 4), "longitude": round(rng.uniform(-180, 180), 4)}
            places.append({"loc": place})
    return places


def job_has_run(project: Project, now: datetime) -> bool:
    """Whether the background job has filled in the statistics of the project; it passes over many drafts."""
    return is_published(project, now) or project.id % 8 != 0


def _project_row(crowd: Crowd, project: Project, now: datetime) -> dict[str, Any]:
    tally = crowd.standing(now).projects.get(project.id)
    has_run = job_has_run(project, now)
    n_tasks = tasks(project, now) if has_run else 0
    n_task_runs = tally.task_runs if has_run and tally else 0
    completed = completed_tasks(project, n_task_runs)
    return {
        "id": 1000 + project.id,
        "project_id": project.id,
        "n_tasks": n_tasks,
        "n_task_runs": n_task_runs,
        "n_results": results(project, n_task_runs),
        "n_volunteers": tally.volunteers if has_run and tally else 0,
        "n_completed_tasks": completed,
        "overall_progress": int(100 * completed / n_tasks + 0.5) if n_tasks else 0,
        "average_time": round(tally.duration_seconds / tally.task_runs, 6) if has_run and tally else 0.0,
        "n_blogposts": 0,
        "last_activity": (naive_iso(tally.last_activity) if tally else None) if has_run else "0",
        "info": {},
    }


def naive_iso(moment: datetime) -> str:
    """A time as the server writes it: UTC without saying so, and no fraction on a whole second."""
    return moment.replace(tzinfo=None).isoformat()


def project_info(project: Project) -> dict[str, str]:
    """The raw `info` column, in which servers keep whole pages and whatever else an owner stored."""
    return {
        "task_presenter": f"<div class='{project.short_name}'>" + "<p>Look, then answer.</p>" * 40 + "</div>",
        "contact": f"owner-{project.owner_id}@example.org",
    }


def _chart(label: str, *values: tuple[str, int, int]) -> dict[str, Any]:
    return {"label": label, "values": [{"label": name, "value": [x, y]} for name, x, y in values]}


def _top_projects(runs_today: list[TaskRun]) -> list[dict[str, Any]]:
    projects = {run.project.id: run.project for run in runs_today}
    answers = Counter(run.project.id for run in runs_today)
    ranked = sorted(answers.items(), key=lambda item: (-item[1], item[0]))[:5]
    return [
        {
            "id": key,
            "info": project_info(projects[key]),
            "n_answers": number,
            "name": projects[key].name,
            "short_name": projects[key].short_name,
        }
        for key, number in ranked
    ]


def _top_users(crowd: Crowd, runs_today: list[TaskRun], now: datetime) -> list[dict[str, Any]]:
    users = {user.id: user for user in crowd.users(now) if not user.is_restricted}
    answers = Counter(id_ for run in runs_today if (id_ := run.user_id) is not None and id_ in users)
    ranked = sorted(answers.items(), key=lambda item: (-item[1], item[0]))[:5]
    return [
        {"fullname": users[key].fullname, "id": key, "n_answers": number, "name": users[key].name}
        for key, number in ranked
    ]
