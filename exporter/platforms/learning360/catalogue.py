"""What a 360Learning platform holds: courses, groups, classrooms, skills and live projects."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import product

from msgspec import UNSET

from exporter.api.client import Client
from exporter.errors import BadRequestError, ForbiddenError
from exporter.metrics import Family, Sample
from exporter.platform import Collector
from exporter.platforms.learning360 import evidence
from exporter.platforms.learning360.counting import state_samples
from exporter.platforms.learning360.lists import (
    CLASSROOMS,
    COURSES,
    GROUPS,
    PROJECTS,
    SKILL_POWERS,
    SKILLS,
    count_by,
    pages,
    probe,
)
from exporter.platforms.learning360.records import Group
from exporter.platforms.learning360.settings import Learning360Settings

COURSE_STATES = list(product(("archived", "deleted", "published"), ("elearning standard", "external", "native")))
VISIBILITIES = [("public",), ("private",)]
SKILL_STATUSES = [("archived",), ("published",)]
POWER_STATUSES = [("toAssess",), ("pendingValidation",), ("validated",)]

SKILLS_OFF = "skillSolutionNotEnabled"
"""Error code of a company that has not bought the module."""

COURSES_BY_STATE = Family(
    "learning360_courses",
    "Courses by status and type. API v1 tells no type (empty) and lists drafts too. From /courses; by default up to "
    "1 h old.",
    ("status", "type"),
)
GROUPS_BY_VISIBILITY = Family(
    "learning360_groups", "Groups, public or private. From /groups; by default up to 1 h old.", ("visibility",)
)
CLASSROOMS_HELD = Family("learning360_classrooms", "Classrooms. From /classrooms of API v2; by default up to 6 h old.")
SKILLS_BY_STATUS = Family(
    "learning360_skills", "Skills by status. From /skills of API v2; by default up to 6 h old.", ("status",)
)
SKILL_POWERS_BY_STATUS = Family(
    "learning360_skill_powers",
    "Skills that users hold or claim, one for each user and skill, by status. From /skills/powers of API v2; by "
    "default up to 6 h old.",
    ("status",),
)
LIVE_PROJECTS = Family(
    "learning360_live_projects",
    "Live projects, completed or not. From /projects of API v2; by default up to 6 h old.",
    ("completed",),
)


def visibility(group: Group) -> tuple[str]:
    """Return the group's label value, empty where API v1 does not tell it."""
    if group.public is UNSET:
        return ("",)
    return ("public" if group.public else "private",)


async def collect_courses(client: Client, settings: Learning360Settings, now: datetime) -> list[Sample]:
    """Count all courses."""
    counts = await count_by(client, settings, COURSES, lambda course: (course.status, course.type))
    return state_samples(COURSES_BY_STATE, COURSE_STATES, counts)


async def collect_groups(client: Client, settings: Learning360Settings, now: datetime) -> list[Sample]:
    """Count all groups."""
    return state_samples(GROUPS_BY_VISIBILITY, VISIBILITIES, await count_by(client, settings, GROUPS, visibility))


async def collect_classrooms(client: Client, settings: Learning360Settings, now: datetime) -> list[Sample]:
    """Count all classrooms."""
    return [CLASSROOMS_HELD.sample(sum([len(page) async for page in pages(client, settings, CLASSROOMS)]))]


@contextmanager
def skills_enabled() -> Iterator[None]:
    """Turn the refusal of a company that has not bought the module into what it means."""
    try:
        yield
    except BadRequestError as error:
        if error.error_code != SKILLS_OFF:
            raise
        raise ForbiddenError(
            f"{error}: the company has not enabled skills",
            remedy="turn the collector skills off, or ask 360Learning to enable the module",
        ) from error


async def collect_skills(client: Client, settings: Learning360Settings, now: datetime) -> list[Sample]:
    """Count skills and powers. Raises ForbiddenError when the company has not enabled skills."""
    with skills_enabled():
        skills = await count_by(client, settings, SKILLS, lambda skill: (skill.status,))
        powers = await count_by(client, settings, SKILL_POWERS, lambda power: (power.status,))
    return [
        *state_samples(SKILLS_BY_STATUS, SKILL_STATUSES, skills),
        *state_samples(SKILL_POWERS_BY_STATUS, POWER_STATUSES, powers),
    ]


async def collect_projects(client: Client, settings: Learning360Settings, now: datetime) -> list[Sample]:
    """Count all live projects."""
    counts = await count_by(client, settings, PROJECTS, lambda project: (str(project.completed).lower(),))
    return state_samples(LIVE_PROJECTS, [("true",), ("false",)], counts)


COURSES_COLLECTOR = Collector(
    "courses",
    (COURSES_BY_STATE,),
    timedelta(hours=1),
    collect_courses,
    (probe(COURSES),),
    planned_requests=lambda settings: {COURSES.endpoint: 2 if settings.api_version == "v2" else 1},
    planned_series=lambda settings: {COURSES_BY_STATE: len(COURSE_STATES) if settings.api_version == "v2" else 4},
    bases=evidence.COURSES,
)

GROUPS_COLLECTOR = Collector(
    "groups",
    (GROUPS_BY_VISIBILITY,),
    timedelta(hours=1),
    collect_groups,
    (probe(GROUPS),),
    planned_requests=lambda _: {GROUPS.endpoint: 1},
    planned_series=lambda _: {GROUPS_BY_VISIBILITY: len(VISIBILITIES)},
    bases=evidence.GROUPS,
)

CLASSROOMS_COLLECTOR = Collector(
    "classrooms",
    (CLASSROOMS_HELD,),
    timedelta(hours=6),
    collect_classrooms,
    (probe(CLASSROOMS),),
    planned_requests=lambda _: {CLASSROOMS.endpoint: 1},
    planned_series=lambda _: {CLASSROOMS_HELD: 1},
    enabled=False,
    bases=evidence.CLASSROOMS,
)

SKILLS_COLLECTOR = Collector(
    "skills",
    (SKILLS_BY_STATUS, SKILL_POWERS_BY_STATUS),
    timedelta(hours=6),
    collect_skills,
    (probe(SKILLS, skills_enabled), probe(SKILL_POWERS, skills_enabled)),
    planned_requests=lambda _: {SKILLS.endpoint: 1, SKILL_POWERS.endpoint: 100},
    planned_series=lambda _: {SKILLS_BY_STATUS: len(SKILL_STATUSES), SKILL_POWERS_BY_STATUS: len(POWER_STATUSES)},
    enabled=False,
    bases=evidence.SKILLS,
)

PROJECTS_COLLECTOR = Collector(
    "projects",
    (LIVE_PROJECTS,),
    timedelta(hours=6),
    collect_projects,
    (probe(PROJECTS),),
    planned_requests=lambda _: {PROJECTS.endpoint: 1},
    planned_series=lambda _: {LIVE_PROJECTS: 2},
    enabled=False,
    bases=evidence.PROJECTS,
)
