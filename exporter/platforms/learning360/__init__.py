"""360Learning, a learning management system: users, courses, groups, course attempts, paths and enrollments.

API reference: https://360learning.readme.io (v2, read 2026-11) and https://api.360learning.com (v1, deprecated, to be
shut down by mid-2027). Both versions fill the same series, so that a customer can run one target of each side by side
and compare them before switching; what v1 does not tell is absent, or an empty label where it is one property of many.

- Authentication: v2 by OAuth2 client credentials (scopes in each collector's `right`) and the header 360-api-version;
  v1 by the company's id and key in headers.
- Paging: v2 sends pages of up to 500 (paths 200, path statistics 2,000) and the next one's address in the header Link,
  absolute or relative. Neither order nor a total is documented, so records are told apart by id. v1 sends one array,
  and its list of attempts is limited to a number that the vendor does not tell.
- Limits: 50 GETs a second for the whole company, shared with its other integrations; the default here is 5.
- Lists are read unfiltered, which alone is complete: no filter finds the attempts that changed. On a large platform,
  raise the target's `timeout` and `interval`: 1,000,000 attempts are 2,000 requests, 400 seconds at 5 a second.
- Windows roll: they end at the poll and hold what happened since exactly 24 hours, 7 or 30 days before it. A time up to
  a day ahead of our clock is inside, a later one is a wrong date and in no window. An attempt keeps its newest activity
  only, so past windows cannot be computed.
- Attempts and enrollments of deleted users and courses count as long as the platform lists them, in either version.
- Accepted contradictions: older replies have `deleted` instead of a user's `status`; `expires_in` of a token is a
  number or a text; errors come in three shapes; `completedAt` does not imply progress 100.

What is exposed, in excerpt:

    learning360_users{status="active"} 18250
    learning360_active_learners{window="30d"} 9120
    learning360_course_attempts{course="507f1f77bcf86cd799439011",state="completed"} 811
    learning360_course_attempts{course="other",state="completed"} 60412
    learning360_path_enrollments{status="late"} 37
"""

from datetime import timedelta

from exporter.platform import Limit, Platform
from exporter.platforms.learning360.attempts import ATTEMPTS_COLLECTOR
from exporter.platforms.learning360.catalogue import (
    CLASSROOMS_COLLECTOR,
    COURSES_COLLECTOR,
    GROUPS_COLLECTOR,
    PROJECTS_COLLECTOR,
    SKILLS_COLLECTOR,
)
from exporter.platforms.learning360.history import HISTORIES
from exporter.platforms.learning360.paths import PATH_STATS_COLLECTOR, PATHS_COLLECTOR
from exporter.platforms.learning360.settings import Learning360Settings, access
from exporter.platforms.learning360.users import USERS_COLLECTOR

PLATFORM = Platform(
    name="learning360",
    settings=Learning360Settings,
    access=access,
    collectors=(
        USERS_COLLECTOR,
        COURSES_COLLECTOR,
        GROUPS_COLLECTOR,
        ATTEMPTS_COLLECTOR,
        PATHS_COLLECTOR,
        PATH_STATS_COLLECTOR,
        CLASSROOMS_COLLECTOR,
        SKILLS_COLLECTOR,
        PROJECTS_COLLECTOR,
    ),
    credential=(
        "v2: an administrator makes an API credential with the read scopes of the collectors in use and no others; "
        "it can then only read. v1: the company's API key, which may do everything, writing included."
    ),
    planned_for=(
        "10,000 users, 1,000 courses, 200,000 attempts, 200 paths with 500 sessions and 20,000 enrollments, "
        "50,000 skill powers"
    ),
    histories=HISTORIES,
    limit=Limit(50, timedelta(seconds=1)),
    has_rights=lambda settings: settings.api_version == "v2",
)
