"""360Learning: learners, attempts and completions, paths, and the catalogue."""

from typing import Any

from grafana.dashboard import Row, dashboard
from grafana.fields import Colour, Steps
from grafana.learning360_catalogue import catalogue, every_course
from grafana.panels import CHART_HEIGHT, NO_HISTORY, Query, lines, stat
from grafana.queries import ratio, series, total
from grafana.well import can_it_be_trusted, is_it_well

PLATFORM = 'platform="learning360"'
WINDOW_COLOURS = {"24h": Colour.NEUTRAL, "7d": Colour.SECOND, "30d": Colour.THIRD}
ATTEMPT_COLOURS = {"completed": Colour.GOOD, "in_progress": Colour.NEUTRAL, "not_started": Colour.MUTED}


def stickiness() -> str:
    """Learners of the last 24 hours over those of the last 30 days."""
    return ratio(active("24h"), active("30d"))


def active(window: str, offset: str = "") -> str:
    """Distinct active learners of a rolling window, of the chosen targets added up."""
    return total(series("learning360_active_learners", f'window="{window}"', offset=offset))


def build() -> dict[str, Any]:
    """Return the dashboard as JSON."""
    rows = [
        is_it_well(PLATFORM, tells_quota=False),
        _people(),
        _activity(),
        _learning(),
        _paths(),
        every_course(),
        catalogue(),
        can_it_be_trusted(PLATFORM, tells_quota=False),
    ]
    return dashboard(
        "learning360",
        "Engagement / 360Learning",
        "Learners, attempts, paths and catalogue of 360Learning platforms. Windows are rolling and end at the poll. "
        "Two targets that poll one platform by API v1 and v2 give the same numbers twice: choose one.",
        rows,
        targets_of=PLATFORM,
    )


def _people() -> Row:
    def completions(offset: str = "") -> str:
        return total(series("learning360_course_completions", 'window="7d"', offset=offset))

    return Row(
        "People",
        [
            stat(
                "Users",
                "Users who are allowed to connect. Invited and deleted ones are not among them; API v1 cannot tell "
                "them apart.",
                Query(total(series("learning360_users", 'status="active"'))),
                width=3,
            ),
            stat(
                "Active in 24 h",
                "Distinct learners whose newest activity in any course lies in the 24 hours before the poll (DAU). A "
                "login alone does not count.",
                Query(active("24h")),
                width=3,
            ),
            stat(
                "Active in 7 d",
                "The same for seven days (WAU). Windows overlap: they must not be added.",
                Query(active("7d")),
                width=3,
            ),
            stat("Active in 30 d", "The same for thirty days (MAU).", Query(active("30d")), width=3),
            stat(
                "Stickiness",
                "Learners of the last 24 hours over those of the last 30 days (DAU/MAU). It is low on weekends: look "
                "at the course over a week.",
                Query(stickiness()),
                unit="percentunit",
                decimals=0,
                width=3,
            ),
            stat(
                "WAU against last week",
                "Learners of the last seven days over those of the seven days before, minus 1.",
                Query(f"{ratio(active('7d'), active('7d', '1w'))} - 1"),
                unit="percentunit",
                decimals=0,
                colour=Steps(Colour.BAD, ((-0.3, Colour.WARNING), (-0.1, Colour.GOOD))),
                no_value=NO_HISTORY,
                width=3,
            ),
            stat(
                "Completions in 7 d",
                "Attempts at courses completed in the last seven days. A learner who completes two courses counts "
                "twice.",
                Query(completions()),
                width=3,
            ),
            stat(
                "Never logged in",
                "Active users without any login. API v1 does not tell.",
                Query(total(series("learning360_users_never_logged_in"))),
                no_value="unknown",
                width=3,
            ),
        ],
    )


def _activity() -> Row:
    def in_windows(name: str) -> str:
        return total(series(name), "window")

    return Row(
        "Activity",
        [
            lines(
                "Active learners",
                "Distinct learners by the rolling window of their newest activity: a day, a week, a month.",
                Query(in_windows("learning360_active_learners"), "{{window}}"),
                colours=WINDOW_COLOURS,
            ),
            lines(
                "This week against last week",
                "Distinct learners of seven days, now and a week earlier.",
                Query(active("7d"), "this week"),
                Query(active("7d", "1w"), "the week before"),
                colours={"this week": Colour.NEUTRAL, "the week before": Colour.MUTED},
            ),
            lines(
                "Logged in",
                "Users by the rolling window of their last login. A login lasts 30 days on a device, so fewer log in "
                "than learn. API v1 does not tell.",
                Query(in_windows("learning360_users_logged_in"), "{{window}}"),
                colours=WINDOW_COLOURS,
                width=8,
            ),
            lines(
                "Stickiness over time",
                "Learners of the last 24 hours over those of the last 30 days.",
                Query(stickiness(), "DAU/MAU"),
                unit="percentunit",
                colours={"DAU/MAU": Colour.NEUTRAL},
                width=8,
            ),
            lines(
                "Users by status",
                "Active users may connect, invited ones have not accepted yet. API v1 tells at most who is deleted.",
                Query(total(series("learning360_users"), "status"), "{{status}}"),
                colours={
                    "active": Colour.NEUTRAL,
                    "invited": Colour.THIRD,
                    "deleted": Colour.MUTED,
                    "other": Colour.SECOND,
                },
                stacked=True,
                width=8,
            ),
        ],
    )


def _learning() -> Row:
    def in_window(name: str, window: str, offset: str = "") -> str:
        return total(series(name, f'window="{window}"', offset=offset))

    return Row(
        "Learning",
        [
            lines(
                "Started and completed in 7 days",
                "Attempts whose first activity, and whose completion, lies in the last seven days. They are not the "
                "same attempts.",
                Query(in_window("learning360_course_attempts_started", "7d"), "started"),
                Query(in_window("learning360_course_completions", "7d"), "completed"),
                Query(in_window("learning360_course_completions", "7d", "1w"), "completed the week before"),
                colours={
                    "started": Colour.NEUTRAL,
                    "completed": Colour.GOOD,
                    "completed the week before": Colour.MUTED,
                },
                width=8,
            ),
            lines(
                "Attempts by state",
                "All attempts so far. Completed have a completion date, whatever their progress.",
                Query(total(series("learning360_course_attempts"), "state"), "{{state}}"),
                colours=ATTEMPT_COLOURS,
                stacked=True,
                width=8,
            ),
            stat(
                "Time spent",
                "Time spent in all attempts so far, as the platform measures it: an upper estimate.",
                Query(total(series("learning360_course_time_spent_seconds"))),
                unit="s",
                decimals=1,
                height=CHART_HEIGHT,
            ),
            stat(
                "Mean score",
                "Mean score of all attempts that have one, weighted by their number.",
                Query(
                    ratio(
                        total(
                            f"{series('learning360_course_score_ratio')} * "
                            f"{series('learning360_course_attempts_scored')}"
                        ),
                        total(series("learning360_course_attempts_scored")),
                    )
                ),
                unit="percentunit",
                decimals=0,
                height=CHART_HEIGHT,
            ),
        ],
    )


def _paths() -> Row:
    return Row(
        "Paths",
        [
            lines(
                "Enrollments by status",
                "Enrollments of users in path sessions by the platform's own status. Those that ended by unenrolling "
                "are left out.",
                Query(total(series("learning360_path_enrollments"), "status"), "{{status}}"),
                stacked=True,
            ),
            lines(
                "Enrolled and completed in 7 days",
                "Enrollments made, and enrollments completed, in the last seven days. API v1 does not tell the first.",
                Query(total(series("learning360_path_enrollments_started", 'window="7d"')), "enrolled"),
                Query(total(series("learning360_path_completions", 'window="7d"')), "completed"),
                colours={"enrolled": Colour.NEUTRAL, "completed": Colour.GOOD},
                width=8,
            ),
            stat(
                "Overdue",
                "Enrollments whose due date passed before they were completed. API v1 does not tell.",
                Query(total(series("learning360_path_enrollments_overdue"))),
                colour=Colour.THIRD,
                no_value="unknown",
                height=CHART_HEIGHT,
            ),
        ],
    )
