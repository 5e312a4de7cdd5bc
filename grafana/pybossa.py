"""PYBOSSA: volunteers, projects, and the answers they give."""

from typing import Any

from grafana.dashboard import Row, dashboard
from grafana.fields import Colour, Column, Steps
from grafana.panels import NO_HISTORY, TABLE_HEIGHT, Query, bars, lines, stat, table
from grafana.queries import per, ratio, series, total, weekly_change
from grafana.well import can_it_be_trusted, is_it_well

PLATFORM = 'platform="pybossa"'


def build() -> dict[str, Any]:
    """Return the dashboard as JSON."""
    rows = [is_it_well(PLATFORM), _people(), _contribution(), _progress(), _projects(), can_it_be_trusted(PLATFORM)]
    return dashboard(
        "pybossa",
        "Engagement / PYBOSSA",
        "Volunteers, projects and task runs of PYBOSSA servers. The server computes its statistics at most once a "
        "day, so totals move in steps; they can fall when projects are deleted.",
        rows,
        targets_of=PLATFORM,
    )


def _people() -> Row:
    answered = ratio(total(series("pybossa_pending_task_runs")), total(series("pybossa_requested_task_runs")))
    return Row(
        "People and projects",
        [
            stat(
                "Accounts",
                "Authenticated users: all accounts, whether or not they ever contributed.",
                Query(total(series("pybossa_users", 'kind="authenticated"'))),
                width=3,
            ),
            stat(
                "Anonymous contributors",
                "Distinct anonymised addresses that ever sent a task run. One person may have many, many persons one.",
                Query(total(series("pybossa_users", 'kind="anonymous"'))),
                width=3,
            ),
            stat(
                "Published projects",
                "Projects that volunteers can find.",
                Query(total(series("pybossa_projects", 'status="published"'))),
                width=3,
            ),
            stat(
                "Drafts",
                "Projects that are not published yet.",
                Query(total(series("pybossa_projects", 'status="draft"'))),
                colour=Colour.MUTED,
                width=3,
            ),
            stat("Tasks", "Tasks of all projects, drafts included.", Query(total(series("pybossa_tasks"))), width=3),
            stat(
                "Task runs",
                "Answers given, to tasks of all projects, drafts included.",
                Query(total(series("pybossa_task_runs"))),
                width=3,
            ),
            stat(
                "Results",
                "Results whose information is filled in.",
                Query(total(series("pybossa_results"))),
                width=3,
            ),
            stat(
                "Answers given",
                "Share of the wanted answers that were given: 1 minus pending over requested task runs. More than "
                "100 % when tasks got more answers than they ask for.",
                Query(f"1 - {answered}"),
                unit="percentunit",
                decimals=1,
                width=3,
            ),
        ],
    )


def _contribution() -> Row:
    return Row(
        "Contribution",
        [
            stat(
                "Task runs in 7 days",
                "Net change of the number of task runs in the last seven days; negative when projects were deleted.",
                Query(total(weekly_change("pybossa_task_runs"))),
                no_value=NO_HISTORY,
            ),
            stat(
                "In the 7 days before",
                "The same for the seven days before those, to compare with.",
                Query(total(weekly_change("pybossa_task_runs", weeks_ago=1))),
                colour=Colour.MUTED,
                no_value=NO_HISTORY,
            ),
            stat(
                "New accounts in 7 days",
                "Net change of the number of accounts in the last seven days.",
                Query(total(weekly_change("pybossa_users", 'kind="authenticated"'))),
                no_value=NO_HISTORY,
            ),
            stat(
                "New results in 7 days",
                "Net change of the number of results in the last seven days.",
                Query(total(weekly_change("pybossa_results"))),
                no_value=NO_HISTORY,
            ),
            stat(
                "Featured projects",
                "Projects that the server presents on its front page.",
                Query(total(series("pybossa_featured_projects"))),
            ),
            stat(
                "Locations",
                "Locations of anonymous contributors. Only servers before 2.9.3 send them.",
                Query(total(series("pybossa_contributor_locations"))),
                no_value="not sent",
            ),
            stat(
                "Projects without numbers",
                "Published projects whose numbers the server has not computed yet: new ones, or all when its scheduler "
                "is down. Needs the collector projects.",
                Query(total(series("pybossa_projects_without_statistics"))),
                colour=Colour.MUTED,
            ),
            lines(
                "Task runs per week",
                "Net change of the number of task runs over seven days, now and a week earlier.",
                Query(total(weekly_change("pybossa_task_runs")), "this week"),
                Query(total(weekly_change("pybossa_task_runs", weeks_ago=1)), "the week before"),
                colours={"this week": Colour.NEUTRAL, "the week before": Colour.MUTED},
                from_zero=False,
            ),
            bars(
                "Busiest projects of the day",
                "Task runs of the five projects with the most on the day of the server's computation (UTC). The "
                "server's own list, by short name.",
                Query(f"sort_desc({series('pybossa_top_project_task_runs')})", "{{project}}"),
            ),
            bars(
                "Busiest volunteers of the day",
                "Task runs of the five users with the most on the day of the server's computation (UTC), by rank "
                "instead of name. Ranks change hands: a rank is not a person.",
                Query(series("pybossa_top_user_task_runs"), "rank {{rank}}"),
                colour=Colour.SECOND,
            ),
        ],
    )


def _progress() -> Row:
    return Row(
        "Progress",
        [
            lines(
                "Wanted and pending answers",
                "Answers that all tasks ask for, and those still missing. Pending can be negative when tasks got "
                "more answers than they ask for.",
                Query(total(series("pybossa_requested_task_runs")), "wanted"),
                Query(total(series("pybossa_pending_task_runs")), "pending"),
                colours={"wanted": Colour.MUTED, "pending": Colour.THIRD},
                from_zero=False,
                width=8,
            ),
            bars(
                "Projects by category",
                "Published projects without a password, by the short name of their category.",
                Query(total(series("pybossa_category_projects"), "category"), "{{category}}"),
                width=8,
            ),
            lines(
                "Background jobs",
                "Jobs that wait in the server's queues. Needs the collector queues and an administrator's key.",
                Query(total(series("pybossa_queue_jobs"), "queue"), "{{queue}}"),
                width=8,
            ),
        ],
    )


def _projects() -> Row:
    info = series("pybossa_project_info")
    others = per(series("pybossa_project_tasks", 'project="other"'), "project")
    return Row(
        "Projects",
        [
            table(
                "Every project",
                "One row per published project that has series of its own, by name, and one for all others together: "
                "by default the 1,000 with the most task runs. The server refreshes these numbers hourly, for popular "
                "projects every ten minutes; progress is rounded to 1 %. Volunteers of several projects count in each: "
                "they do not add up. Needs the collector projects.",
                f'{info} or label_replace({others}, "name", "all other projects", "", "")',
                {"target": "Target", "name": "Project", "category": "Category"},
                [
                    Column(
                        "Progress", per(series("pybossa_project_progress_ratio"), "project"), "percentunit", 0, bar=True
                    ),
                    Column("Tasks", per(series("pybossa_project_tasks"), "project")),
                    Column("Completed", per(series("pybossa_project_completed_tasks"), "project")),
                    Column("Task runs", per(series("pybossa_project_task_runs"), "project")),
                    Column("Results", per(series("pybossa_project_results"), "project")),
                    Column("Volunteers", per(series("pybossa_project_volunteers"), "project")),
                    Column("Mean answer", per(series("pybossa_project_task_run_seconds"), "project"), "s", 0),
                    Column(
                        "Last answer",
                        per(f"time() - {series('pybossa_project_last_activity_timestamp_seconds')}", "project"),
                        "s",
                        0,
                        steps=Steps(Colour.GOOD, ((7 * 86400, Colour.WARNING), (30 * 86400, Colour.BAD))),
                    ),
                ],
                sort="Task runs",
                height=TABLE_HEIGHT + 4,
                widths={"Target": 90, "Project": 260},
            ),
        ],
    )
