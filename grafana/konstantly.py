"""Konstantly: users, groups, courses, and how far the learners are."""

from typing import Any

from grafana.dashboard import Row, dashboard
from grafana.fields import Colour, Column, Steps
from grafana.panels import NO_HISTORY, Query, bars, lines, stat, table
from grafana.queries import per, ratio, series, total, weekly_change
from grafana.well import can_it_be_trusted, is_it_well

PLATFORM = 'platform="konstantly"'
OPT_IN = "off"
LEARNER_STATES = {
    "finished": Colour.GOOD,
    "in_progress": Colour.NEUTRAL,
    "not_started": Colour.MUTED,
    "expired": Colour.BAD,
}


def build() -> dict[str, Any]:
    """Return the dashboard as JSON."""
    rows = [
        is_it_well(PLATFORM),
        _people(),
        _activity(),
        _learning(),
        _courses(),
        _groups(),
        can_it_be_trusted(PLATFORM),
    ]
    return dashboard(
        "konstantly",
        "Engagement / Konstantly",
        "Users, groups and courses of Konstantly sites. Konstantly reports no active users per day or month: "
        "activity is seen from what was started and finished.",
        rows,
        targets_of=PLATFORM,
    )


def _people() -> Row:
    users, idle = series("konstantly_users"), series("konstantly_users_without_activity")
    return Row(
        "People and courses",
        [
            stat(
                "Users", "All users of the chosen sites, added up; banned ones included.", Query(total(users)), width=3
            ),
            stat(
                "Started a course",
                "Share of the users who ever started a course. It says nothing about when.",
                Query(f"1 - {ratio(total(idle), total(users))}"),
                unit="percentunit",
                decimals=0,
                colour=Steps(Colour.BAD, ((0.5, Colour.WARNING), (0.8, Colour.GOOD))),
                width=3,
            ),
            stat(
                "Never started",
                "Users who started no course, as many as the API listed. Not the same as inactive: who started once "
                "and never came back is not among them.",
                Query(total(idle)),
                width=3,
            ),
            stat(
                "Never completed",
                "Users who completed no course, as many as the API listed; those who never started are among them.",
                Query(total(series("konstantly_users_without_results"))),
                width=3,
            ),
            stat(
                "Top performers",
                "Users whom the site lists as top performers. The table of the best ten is below, without names.",
                Query(total(series("konstantly_leaders"))),
                width=3,
            ),
            stat(
                "Groups",
                "Groups of the chosen sites, at every level.",
                Query(total(series("konstantly_groups"))),
                width=3,
            ),
            stat(
                "Courses",
                "Courses of the chosen sites, drafts included.",
                Query(total(series("konstantly_courses"))),
                width=3,
            ),
            stat(
                "Assignments",
                "Assignments of courses to users: a user with three courses counts three times.",
                Query(total(series("konstantly_course_assignments"))),
                width=3,
            ),
        ],
    )


def _activity() -> Row:
    finished = series("konstantly_course_learners", 'state="finished"')
    return Row(
        "Activity",
        [
            stat(
                "Finished in 7 days",
                "Net change of finished course assignments in the last seven days. It can be negative when courses or "
                "users were removed. Needs the collector courses.",
                Query(total(weekly_change("konstantly_course_learners", 'state="finished"'))),
                no_value=NO_HISTORY,
                width=5,
            ),
            stat(
                "Finished in the 7 days before",
                "The same for the seven days before those, to compare with.",
                Query(total(weekly_change("konstantly_course_learners", 'state="finished"', weeks_ago=1))),
                colour=Colour.MUTED,
                no_value=NO_HISTORY,
                width=5,
            ),
            stat(
                "Assigned in 7 days",
                "Net change of course assignments in the last seven days.",
                Query(total(weekly_change("konstantly_course_assignments"))),
                no_value=NO_HISTORY,
                width=5,
            ),
            stat(
                "New users in 7 days",
                "Net change of the number of users in the last seven days: who left is taken off.",
                Query(total(weekly_change("konstantly_users"))),
                no_value=NO_HISTORY,
                width=5,
            ),
            stat(
                "Finished",
                "Course assignments that are finished, of all time. Needs the collector courses.",
                Query(total(finished)),
                no_value=OPT_IN,
            ),
            lines(
                "Finished per week",
                "Net change of finished course assignments over seven days, now and a week earlier.",
                Query(total(weekly_change("konstantly_course_learners", 'state="finished"')), "this week"),
                Query(
                    total(weekly_change("konstantly_course_learners", 'state="finished"', weeks_ago=1)),
                    "the week before",
                ),
                colours={"this week": Colour.NEUTRAL, "the week before": Colour.MUTED},
                from_zero=False,
            ),
            lines(
                "Users over time",
                "Users of the chosen sites, those without any started course, and those without any completed one.",
                Query(total(series("konstantly_users")), "users"),
                Query(total(series("konstantly_users_without_activity")), "never started"),
                Query(total(series("konstantly_users_without_results")), "never completed"),
                colours={"users": Colour.NEUTRAL, "never started": Colour.BAD, "never completed": Colour.WARNING},
            ),
        ],
    )


def _learning() -> Row:
    return Row(
        "Learning",
        [
            lines(
                "Assignments by state",
                "Course assignments: finished, else expired, else in progress, else not started. Needs the collector "
                "courses.",
                Query(total(series("konstantly_course_learners"), "state"), "{{state}}"),
                colours=LEARNER_STATES,
                stacked=True,
            ),
            bars(
                "Courses assigned to nobody",
                "Courses without a single assignment, as many as the API listed. Drafts are expected here; published "
                "ones reach nobody.",
                Query(total(series("konstantly_unassigned_courses"), "status"), "{{status}}"),
                colour=Colour.WARNING,
                width=4,
            ),
            bars(
                "Catalogue",
                "Courses by status. Needs the collector courses.",
                Query(total(series("konstantly_catalog_courses"), "status"), "{{status}}"),
                width=4,
            ),
            bars(
                "Accounts by role",
                "Accounts that are not banned, by the alias of their role. Needs the collector users.",
                Query(total(series("konstantly_user_accounts", 'banned="false"'), "role"), "{{role}}"),
                width=4,
            ),
        ],
    )


def _courses() -> Row:
    def learners(state: str) -> str:
        return per(series("konstantly_course_learners", f'state="{state}"'), "course")

    return Row(
        "Courses and top performers",
        [
            table(
                "Every course",
                "One row per course, by name. Progress is the mean over everyone to whom the course is assigned, "
                "result the mean over those who finished it. Needs the collector courses.",
                series("konstantly_course_info"),
                {"target": "Target", "name": "Course"},
                [
                    Column("Not started", learners("not_started")),
                    Column("In progress", learners("in_progress")),
                    Column("Finished", learners("finished")),
                    Column("Expired", learners("expired")),
                    Column(
                        "Progress",
                        per(series("konstantly_course_progress_ratio"), "course"),
                        "percentunit",
                        0,
                        bar=True,
                    ),
                    Column(
                        "Result", per(series("konstantly_course_result_ratio"), "course"), "percentunit", 0, bar=True
                    ),
                ],
                sort="In progress",
                width=17,
                widths={"Target": 90, "Course": 260},
            ),
            table(
                "The ten best",
                "The best ten of each site in the platform's own order, by rank instead of name. Ranks change hands: a "
                "rank is not a person.",
                series("konstantly_leader_completed_courses"),
                {"target": "Target", "rank": "Rank"},
                [
                    Column("Completed", per(series("konstantly_leader_completed_courses"), "rank")),
                    Column(
                        "Mean result", per(series("konstantly_leader_result_ratio"), "rank"), "percentunit", 0, bar=True
                    ),
                ],
                sort="Completed",
                width=7,
                widths={"Target": 90, "Rank": 70},
            ),
        ],
    )


def _groups() -> Row:
    return Row(
        "Groups in detail",
        [
            table(
                "Every group",
                "One row per group, by name. Groups share users, so rows do not add up to the users of the site. "
                "Parent is the id of the group above.",
                series("konstantly_group_info"),
                {"target": "Target", "name": "Group", "group": "Id", "parent": "Parent"},
                [
                    Column("Users", per(series("konstantly_group_users"), "group")),
                    Column("Courses", per(series("konstantly_group_courses"), "group")),
                    Column("Never started", per(series("konstantly_group_users_without_activity"), "group")),
                    Column("Never assessed", per(series("konstantly_group_users_without_results"), "group")),
                    Column(
                        "Never started, share",
                        per(
                            ratio(series("konstantly_group_users_without_activity"), series("konstantly_group_users")),
                            "group",
                        ),
                        "percentunit",
                        0,
                        bar=True,
                    ),
                ],
                sort="Users",
                widths={"Target": 90, "Group": 300, "Id": 80, "Parent": 80},
            ),
        ],
    )
