"""Konstantly, a learning management system.

API reference: https://docs.konstantly.com/api-reference (beta, read 2026-11).

- Authentication: one site-wide key (Settings > API) in the header X-API-KEY. It has no scopes and may also write.
- Paging: `offset` skips items, `totalCount` is the length of the list. The assignment lists document `totalCount` but
  no `offset`; the walk tries it, and a page that only repeats leaves the course without series.
- Limits: X-RateLimit-* headers, 100 requests a minute in the reference's example; the default pace stays below that.
- The statistics are computed for the whole site on each request, so runs are minutes apart.
- A group or course whose detail answers 404 vanished since it was listed, and has no series; nor has one whose detail
  is odd or incomplete, which is counted (`details.py`).
- A user may have a course directly and by a group: what is counted are assignments, which have no id of their own.
- Contradictions accepted: a role is an object with an alias in the examples and a text in the tables; `parentId` is
  null or absent at the top; user ids are texts, and numbers in one example.
- Not said: whether the lists within the statistics are cut off (so series are lengths of what arrived), and whether a
  group counts the users of its subgroups (so groups must not be added up).

An excerpt of what is exposed:

    konstantly_users 19
    konstantly_leader_result_ratio{rank="1"} 0.88
    konstantly_group_info{group="4",name="Field crew",parent=""} 1
    konstantly_group_users_without_activity{group="4"} 3
    konstantly_course_learners{course="31",state="in_progress"} 7

One file per collector: its families, the replies it reads, how they become samples, and the collector itself;
`history.py` has what is known of the past.
"""

from datetime import timedelta

from exporter.platform import Limit, Platform
from exporter.platforms.konstantly import courses, groups, statistics, users
from exporter.platforms.konstantly.history import HISTORIES
from exporter.platforms.konstantly.settings import KonstantlySettings, access

PLATFORM = Platform(
    name="konstantly",
    settings=KonstantlySettings,
    access=access,
    collectors=(statistics.COLLECTOR, groups.COLLECTOR, users.COLLECTOR, courses.COLLECTOR),
    credential="Settings > API on the site shows its key; the key may also create, change and ban users",
    planned_for="1,000 users, 60 groups, 100 courses whose assignments arrive in one reply each",
    histories=HISTORIES,
    limit=Limit(100, timedelta(minutes=1)),
)
