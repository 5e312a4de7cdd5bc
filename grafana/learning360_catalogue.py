"""360Learning: the courses one by one, and how much there is of everything else."""

from grafana.dashboard import Row
from grafana.fields import Column
from grafana.panels import TABLE_HEIGHT, Query, bars, stat, table
from grafana.queries import per, ratio, series, told, total

OFF = "off"
CATALOGUE_HEIGHT = 5


def every_course() -> Row:
    """The table of courses."""
    info = series("learning360_course_info")
    others = per(series("learning360_course_attempts", 'course="other"'), "course")

    def in_window(name: str, window: str) -> str:
        return per(series(f"learning360_course_{name}", f'window="{window}"'), "course")

    return Row(
        "Courses",
        [
            table(
                "Every course",
                "One row per course that has series of its own, by name, and one for all others together: by default "
                "the 100 with the most attempts of the last 30 days. Learners, started and finished are of the last 30 "
                "days, the other columns of all time. Learners of several courses count in each: they do not add up.",
                f'{info} or label_replace({others}, "name", "all other courses", "", "")',
                {"target": "Target", "name": "Course", "type": "Type"},
                [
                    Column("Learners", in_window("active_learners", "30d")),
                    Column("Started", in_window("attempts_started", "30d")),
                    Column("Finished", in_window("completions", "30d")),
                    Column("Attempts", per(series("learning360_course_attempts"), "course")),
                    Column(
                        "Completed",
                        ratio(
                            per(series("learning360_course_attempts", 'state="completed"'), "course"),
                            per(series("learning360_course_attempts"), "course"),
                        ),
                        "percentunit",
                        0,
                        bar=True,
                    ),
                    Column(
                        "Mean score",
                        per(series("learning360_course_score_ratio"), "course"),
                        "percentunit",
                        0,
                        bar=True,
                    ),
                    Column("Time spent", per(series("learning360_course_time_spent_seconds"), "course"), "s", 1),
                ],
                sort="Learners",
                height=TABLE_HEIGHT + 4,
                widths={"Target": 90, "Course": 320, "Type": 150},
            ),
        ],
    )


def catalogue() -> Row:
    """How much there is of everything."""
    return Row(
        "Catalogue",
        [
            bars(
                "Courses by status",
                "Courses by status. API v1 lists drafts too.",
                Query(total(series("learning360_courses"), "status"), "{{status}}"),
                height=CATALOGUE_HEIGHT,
            ),
            bars(
                "Published courses by type",
                "Published courses by type. API v1 does not tell the type.",
                Query(told(total(series("learning360_courses", 'status="published"'), "type"), "type"), "{{type}}"),
                height=CATALOGUE_HEIGHT,
            ),
            bars(
                "Path sessions",
                "Sessions of paths that start after the poll, run, or have ended; some have no end.",
                Query(total(series("learning360_path_sessions"), "phase"), "{{phase}}"),
                height=CATALOGUE_HEIGHT,
            ),
            bars(
                "Paths by status",
                "Paths by status, which API v1 does not tell.",
                Query(told(total(series("learning360_paths"), "status"), "status"), "{{status}}"),
                height=CATALOGUE_HEIGHT,
            ),
            bars(
                "Groups",
                "Groups, public or private.",
                Query(total(series("learning360_groups"), "visibility"), "{{visibility}}"),
                height=CATALOGUE_HEIGHT,
            ),
            bars(
                "Skills by status",
                "Skills by status. Needs the collector skills and API v2.",
                Query(total(series("learning360_skills"), "status"), "{{status}}"),
                height=CATALOGUE_HEIGHT,
            ),
            bars(
                "Skills held or claimed",
                "One for each user and skill, by status. Needs the collector skills and API v2.",
                Query(total(series("learning360_skill_powers"), "status"), "{{status}}"),
                height=CATALOGUE_HEIGHT,
            ),
            stat(
                "Classrooms",
                "Classrooms. Needs the collector classrooms and API v2.",
                Query(total(series("learning360_classrooms"))),
                no_value=OFF,
                width=3,
                height=CATALOGUE_HEIGHT,
            ),
            stat(
                "Live projects",
                "Live projects that are not completed. Needs the collector projects and API v2.",
                Query(total(series("learning360_live_projects", 'completed="false"'))),
                no_value=OFF,
                width=3,
                height=CATALOGUE_HEIGHT,
            ),
        ],
    )
