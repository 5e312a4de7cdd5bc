"""VIKTOR: users, developers, workspaces and apps, with the platform's own daily and monthly active users."""

from typing import Any

from grafana.dashboard import Row, dashboard
from grafana.fields import Colour, Column, Steps
from grafana.panels import NO_HISTORY, Query, bars, lines, stat, table
from grafana.queries import named, per, ratio, series, total
from grafana.well import HOUR_SECONDS, can_it_be_trusted, is_it_well

PLATFORM = 'platform="viktor"'
START_OF_LAST_MONTH = series("viktor_window_start_timestamp_seconds", 'window="last_month"')


def stickiness_of_last_month(people: str) -> str:
    """Mean daily active people of last month over its monthly active ones; `people` is users or developers."""
    monthly = series(f"viktor_monthly_active_{people}", 'window="last_month"')
    return ratio(total(mean_day_of_last_month(people)), total(f"{monthly} and {START_OF_LAST_MONTH}"))


def mean_day_of_last_month(people: str) -> str:
    """Daily active people, by target: added up over the month that the numbers are of, over the days of that month."""
    daily = series(f"viktor_daily_active_{people}", 'window="last_month"')
    return f"{daily} / days_in_month({START_OF_LAST_MONTH})"


def build() -> dict[str, Any]:
    """Return the dashboard as JSON."""
    rows = [
        is_it_well(PLATFORM, tells_quota=False),
        _people(),
        _activity(),
        _apps(),
        _workspaces(),
        can_it_be_trusted(PLATFORM, tells_quota=False),
    ]
    return dashboard(
        "viktor",
        "Engagement / VIKTOR",
        "Users, developers, workspaces and apps of VIKTOR organisations. The platform counts by days and months in "
        "UTC, and the current ones are still filling.",
        rows,
        targets_of=PLATFORM,
    )


def _people() -> Row:
    this_week = total(series("viktor_daily_active_users", 'window="this_week"'))
    a_week_ago = total(series("viktor_daily_active_users", 'window="this_week"', offset="1w"))
    return Row(
        "People",
        [
            stat(
                "Users",
                "Everyone in the organisation, developers included.",
                Query(total(series("viktor_users"))),
                width=3,
            ),
            stat("Developers", "Users with developer access.", Query(total(series("viktor_developers"))), width=3),
            stat(
                "Active yesterday",
                "Distinct users who used a workspace yesterday (UTC), development and public workspaces apart.",
                Query(total(series("viktor_daily_active_users", 'window="yesterday"'))),
                width=3,
            ),
            stat(
                "Active last month",
                "Distinct users of the last whole calendar month: the platform's monthly active users.",
                Query(total(series("viktor_monthly_active_users", 'window="last_month"'))),
                width=3,
            ),
            stat(
                "Active this month",
                "Distinct users of the current calendar month so far. It starts from 0 on the first: do not compare "
                "it with a whole month.",
                Query(total(series("viktor_monthly_active_users", 'window="this_month"'))),
                colour=Colour.MUTED,
                width=3,
            ),
            stat(
                "Stickiness last month",
                "Mean daily active users of last month, weekends included, over its monthly active users (DAU/MAU). "
                "At 20 % a typical user came on six of thirty days.",
                Query(stickiness_of_last_month("users")),
                unit="percentunit",
                decimals=0,
                width=3,
            ),
            stat(
                "Week against last",
                "Daily active users added up since Monday, over the same up to this moment of last week, minus 1.",
                Query(f"{ratio(this_week, a_week_ago)} - 1"),
                unit="percentunit",
                decimals=0,
                colour=Steps(Colour.BAD, ((-0.3, Colour.WARNING), (-0.1, Colour.GOOD))),
                no_value=NO_HISTORY,
                width=3,
            ),
            stat(
                "Newest day told",
                "Age of the newest day for which the platform gave a number: counted from 00:00 UTC of that day, so "
                "below two days is normal.",
                Query(f"time() - min({series('viktor_statistics_newest_point_timestamp_seconds')})"),
                unit="s",
                decimals=0,
                colour=Steps(Colour.GOOD, ((72 * HOUR_SECONDS, Colour.WARNING), (168 * HOUR_SECONDS, Colour.BAD))),
                width=3,
            ),
        ],
    )


def _activity() -> Row:
    def active(people: str, window: str, offset: str = "") -> str:
        return total(series(f"viktor_daily_active_{people}", f'window="{window}"', offset=offset))

    return Row(
        "Activity",
        [
            lines(
                "Daily active users",
                "Distinct users of the day before, and developers in their development workspaces. Low points are "
                "weekends.",
                Query(active("users", "yesterday"), "users"),
                Query(active("developers", "yesterday"), "developers"),
                colours={"users": Colour.NEUTRAL, "developers": Colour.SECOND},
            ),
            lines(
                "This week against last week",
                "Daily active users added up since Monday 00:00 UTC, and the same at this moment of last week. A "
                "user who comes on three days counts three times.",
                Query(active("users", "this_week"), "this week so far"),
                Query(active("users", "this_week", "1w"), "last week so far"),
                colours={"this week so far": Colour.NEUTRAL, "last week so far": Colour.MUTED},
            ),
            lines(
                "Monthly active users",
                "Distinct users of a calendar month: the last whole one, and the current one while it fills.",
                Query(total(series("viktor_monthly_active_users", 'window="last_month"')), "last month"),
                Query(total(series("viktor_monthly_active_users", 'window="this_month"')), "this month so far"),
                Query(
                    total(series("viktor_monthly_active_developers", 'window="this_month"')), "developers this month"
                ),
                colours={
                    "last month": Colour.NEUTRAL,
                    "this month so far": Colour.THIRD,
                    "developers this month": Colour.SECOND,
                },
            ),
            lines(
                "Stickiness",
                "Mean daily active users over monthly active users of the last whole calendar month; it steps on the "
                "first.",
                Query(stickiness_of_last_month("users"), "users"),
                Query(stickiness_of_last_month("developers"), "developers"),
                unit="percentunit",
                colours={"users": Colour.NEUTRAL, "developers": Colour.SECOND},
            ),
        ],
    )


def _apps() -> Row:
    def apps(name: str, *matchers: str) -> Query:
        return Query(total(series("viktor_apps", *matchers)), name)

    return Row(
        "Apps and events",
        [
            bars(
                "Workspaces by type",
                "All workspaces that the token can list, archived ones included.",
                Query(total(series("viktor_workspaces"), "type"), "{{type}}"),
            ),
            bars(
                "Apps",
                "Apps: in use are those with a published version that are not archived. Needs the collector apps.",
                apps("in use", 'published="true"', 'archived="false"'),
                apps("not published", 'published="false"', 'archived="false"'),
                apps("archived", 'archived="true"'),
            ),
            lines(
                "Audit events",
                "Audit events of the configured types during the day before. Needs the collector audit_events, and "
                "its types.",
                Query(total(series("viktor_audit_events", 'window="yesterday"'), "event_type"), "{{event_type}}"),
                legend_beside=True,
            ),
        ],
    )


def _workspaces() -> Row:
    def of(metric: str, window: str) -> str:
        return per(series(f"viktor_workspace_{metric}", f'window="{window}"'), "workspace")

    return Row(
        "Workspaces",
        [
            table(
                "Every workspace",
                "One row per workspace, by name. Workspaces share users: rows do not add up. Development and test "
                "workspaces are left out unless configured.",
                series("viktor_workspace_info"),
                {"target": "Target", "name": "Workspace", "type": "Type", "visibility": "Visibility"},
                [
                    Column("Users", per(series("viktor_workspace_users"), "workspace")),
                    Column("Active last month", of("monthly_active_users", "last_month")),
                    Column("Active this month", of("monthly_active_users", "this_month")),
                    Column("Logins last month", of("daily_active_users", "last_month")),
                    Column("Logins this month", of("daily_active_users", "this_month")),
                ],
                sort="Active last month",
                widths={"Target": 90, "Workspace": 260},
            ),
            lines(
                "Monthly active users by workspace",
                "Distinct users of each workspace during the last whole calendar month.",
                Query(
                    named(
                        series("viktor_workspace_monthly_active_users", 'window="last_month"'),
                        "viktor_workspace_info",
                        "workspace",
                    ),
                    "{{name}}",
                ),
                width=24,
                height=10,
                legend_beside=True,
            ),
        ],
    )
