"""All platforms side by side, target by target: they count differently, so little is added up across them."""

from typing import Any

from grafana.dashboard import Row, dashboard, url_of
from grafana.fields import ONE_IS_GOOD, Colour, Column, Steps
from grafana.panels import TABLE_HEIGHT, Query, bars, lines, note, table
from grafana.queries import per, ratio, series, weekly_change
from grafana.viktor import mean_day_of_last_month
from grafana.well import HOUR_SECONDS, age, can_it_be_trusted, is_it_well

HOW_THEY_COUNT = """\
| | Konstantly | VIKTOR | PYBOSSA | 360Learning |
|---|---|---|---|---|
| **users** | all users | everyone in the organisation | accounts | users that are not deleted |
| **active in a day** | not told | users of yesterday (UTC) | not told | learners of the last 24 hours |
| **active in a month** | not told | users of the last whole month | not told | learners of the last 30 days |
| **stickiness** | | mean day of last month / last month | | last 24 hours / last 30 days |
| **courses** | courses | apps in use | published projects | published courses |
| **finished** | course assignments | | task runs | attempts at courses |

A person on two platforms counts on both. Two targets on one platform, such as API v1 and v2 of
360Learning, give the same numbers twice: choose one under *Target*.
"""


def of_platforms(*expressions: str) -> str:
    """Join one expression per platform into one result by target; a platform that cannot tell is left out."""
    return per(" or ".join(expressions))


def users(offset: str = "") -> str:
    """Who has an account, by target."""
    return of_platforms(
        series("konstantly_users", offset=offset),
        series("viktor_users", offset=offset),
        series("pybossa_users", 'kind="authenticated"', offset=offset),
        series("learning360_users", 'status!="deleted"', offset=offset),
    )


def daily_active(offset: str = "") -> str:
    """Active users of a day, by target, as each platform counts them."""
    return of_platforms(
        series("viktor_daily_active_users", 'window="yesterday"', offset=offset),
        series("learning360_active_learners", 'window="24h"', offset=offset),
    )


MONTHLY_ACTIVE = of_platforms(
    series("viktor_monthly_active_users", 'window="last_month"'),
    series("learning360_active_learners", 'window="30d"'),
)
MEAN_DAILY_ACTIVE = of_platforms(
    mean_day_of_last_month("users"),
    series("learning360_active_learners", 'window="24h"'),
)
STICKINESS = ratio(MEAN_DAILY_ACTIVE, MONTHLY_ACTIVE)
COURSES = of_platforms(
    series("konstantly_courses"),
    series("viktor_apps", 'published="true"', 'archived="false"'),
    series("pybossa_projects", 'status="published"'),
    series("learning360_courses", 'status="published"'),
)
FINISHED_IN_A_WEEK = of_platforms(
    weekly_change("konstantly_course_learners", 'state="finished"'),
    weekly_change("pybossa_task_runs"),
    weekly_change("learning360_course_attempts", 'state="completed"'),
)


def build() -> dict[str, Any]:
    """Return the dashboard as JSON."""
    return dashboard(
        "overview",
        "Engagement / Overview",
        "All platforms side by side: is it well, who is active, what gets finished, and how far the numbers can be "
        "trusted.",
        [
            is_it_well(),
            _targets(),
            _activity(),
            _learning(),
            Row("How they count", [note("What the words mean", HOW_THEY_COUNT, height=9)]),
            can_it_be_trusted(),
        ],
    )


def _targets() -> Row:
    return Row(
        "Now",
        [
            table(
                "Targets",
                "One row per target, in its platform's own way of counting, which the note below says. An empty cell "
                "is a number that the platform does not give. The name leads to the platform's dashboard.",
                series("engagement_up"),
                {"target": "Target", "platform": "Platform"},
                [
                    Column("State", per(series("engagement_up")), words={0: "failing", 1: "well"}, steps=ONE_IS_GOOD),
                    Column("Users", users()),
                    Column("New in 7 d", f"{users()} - {users('1w')}"),
                    Column("Active, day", daily_active()),
                    Column("Active, month", MONTHLY_ACTIVE),
                    Column("Stickiness", STICKINESS, "percentunit", 0),
                    Column("Courses", COURSES),
                    Column("Finished in 7 d", FINISHED_IN_A_WEEK),
                    Column(
                        "Oldest numbers",
                        f"max by (job, instance, target) ({age()})",
                        "s",
                        0,
                        steps=Steps(
                            Colour.GOOD, ((12 * HOUR_SECONDS, Colour.WARNING), (24 * HOUR_SECONDS, Colour.BAD))
                        ),
                    ),
                ],
                sort="Target",
                descending=False,
                height=TABLE_HEIGHT - 3,
                links={"Target": url_of("${__data.fields.Platform}", "var-target=${__data.fields.Target}")},
            ),
        ],
    )


def _activity() -> Row:
    return Row(
        "Activity",
        [
            lines(
                "Active in a day",
                "VIKTOR: distinct users of yesterday. 360Learning: distinct learners of the last 24 hours. The other "
                "platforms do not tell.",
                Query(daily_active(), "{{target}}"),
                width=8,
            ),
            lines(
                "Active in a month",
                "VIKTOR: distinct users of the last whole calendar month, so it steps on the first. 360Learning: "
                "distinct learners of the last 30 days.",
                Query(MONTHLY_ACTIVE, "{{target}}"),
                width=8,
            ),
            lines(
                "Stickiness",
                "Active in a day over active in a month (DAU/MAU). VIKTOR: the mean day of last month over last month. "
                "360Learning: last 24 hours over last 30 days, low on weekends. Compare a target with itself.",
                Query(STICKINESS, "{{target}}"),
                unit="percentunit",
                width=8,
            ),
            lines(
                "Active in a day against a week ago",
                "How many more, or fewer, users were active in a day than on the same day of the week before: the "
                "weekly rhythm is taken out. Public holidays show twice.",
                Query(f"{daily_active()} - {daily_active('1w')}", "{{target}}"),
                from_zero=False,
                width=8,
            ),
            lines(
                "Users",
                "Accounts by target; VIKTOR's include developers, 360Learning's the invited.",
                Query(users(), "{{target}}"),
                width=8,
            ),
            bars(
                "Without any activity",
                "Share of the users who never started a course (Konstantly) or never logged in (360Learning, of the "
                "active ones). It says nothing about who stopped coming.",
                Query(
                    of_platforms(
                        ratio(series("konstantly_users_without_activity"), series("konstantly_users")),
                        ratio(
                            series("learning360_users_never_logged_in"),
                            per(series("learning360_users", 'status="active"')),
                        ),
                    ),
                    "{{target}}",
                ),
                unit="percentunit",
                colour=Steps(Colour.GOOD, ((0.2, Colour.WARNING), (0.5, Colour.BAD))),
                width=8,
            ),
        ],
    )


def _learning() -> Row:
    return Row(
        "Learning and contribution",
        [
            lines(
                "Courses finished per week",
                "Net change over seven days of finished course assignments (Konstantly) and completed attempts "
                "(360Learning). Negative when courses or users were removed.",
                Query(
                    of_platforms(
                        weekly_change("konstantly_course_learners", 'state="finished"'),
                        weekly_change("learning360_course_attempts", 'state="completed"'),
                    ),
                    "{{target}}",
                ),
                from_zero=False,
                width=12,
            ),
            lines(
                "Task runs per week",
                "Net change over seven days of the answers given (PYBOSSA). The server computes its totals once a day.",
                Query(of_platforms(weekly_change("pybossa_task_runs")), "{{target}}"),
                from_zero=False,
                width=12,
            ),
        ],
    )
