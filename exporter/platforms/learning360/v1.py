"""Replies of the deprecated API v1, turned into the records of v2.

v1 documents fewer fields, so that a record may leave unset what v1 does not tell: a course's type, a path's status, a
user's status and logins, and the dates of an enrollment. Lists come whole, as one array; the statistics of a path
session are an object around theirs.
"""

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType, field

from exporter.api.reply import Percent, Reply, decode
from exporter.api.unreadable import OrUnknown
from exporter.errors import InvalidResponseError
from exporter.platforms.learning360 import records
from exporter.platforms.learning360.records import Instant, Milliseconds, PathStatus


class Course(records.Course, kw_only=True):
    """A row of /courses; drafts are among them. `status` is empty where the row does not tell it."""

    status: str = ""
    type: str = ""


class Group(records.Group, kw_only=True):
    """A row of /groups."""

    public: bool | UnsetType = UNSET


class Path(records.Path, kw_only=True):
    """A row of /paths."""

    status: str = ""


class Attempt(Struct, rename="camel", gc=False):
    """An attempt inside /courses/stats; `global_time` is what v2 calls `timeSpent`."""

    id: str = field(name="_id")
    global_time: OrUnknown[Milliseconds]
    progress: OrUnknown[float]
    score: OrUnknown[Percent | None] = None
    first_activity: OrUnknown[Instant | None] = None
    last_activity: OrUnknown[Instant | None] = None
    completed_at: OrUnknown[Instant | None] = None


class Object(Struct, gc=False):
    """A course or a user, as far as attempts need it."""

    id: str = field(name="_id")


class UserAttempts(Struct, gc=False):
    """The attempts of one user at one course."""

    user: Object
    attempts: list[Attempt]


class CourseAttempts(Struct, gc=False):
    """An item of /courses/stats."""

    course: Object
    stats: list[UserAttempts]


class PathSession(records.PathSession, kw_only=True):
    """A row of /paths/sessions."""

    id: str = field(name="sessionId")


class UserStat(Struct, rename="camel", gc=False):
    """A user in the statistics of a path session; deleted users are among them, as in v2."""

    id: str = field(name="_id")
    detailed_status: PathStatus
    completed_at: OrUnknown[Instant | None] = None

    @property
    def status(self) -> PathStatus:
        """The status as v2 spells it: v1 may begin it with a capital."""
        kind = self.detailed_status.type
        return PathStatus(kind[:1].lower() + kind[1:])


class SessionStats(Struct, rename="camel", gc=False):
    """The reply of /paths/sessions/{session}/stats/users; a sample writes `usersStats`, the reference `userStats`."""

    users_stats: list[UserStat] | UnsetType = UNSET
    user_stats: list[UserStat] | UnsetType = UNSET


def users(reply: Reply) -> Sequence[records.User]:
    """Read /users. Without `deleted`, nothing tells a user's status: it is neither active nor anything else known."""
    rows = decode(reply, list[records.User])
    return [records.User(row.id, "other" if row.deleted is None else None, row.deleted) for row in rows]


def courses(reply: Reply) -> Sequence[records.Course]:
    """Read /courses."""
    return decode(reply, list[Course])


def groups(reply: Reply) -> Sequence[records.Group]:
    """Read /groups."""
    return decode(reply, list[Group])


def paths(reply: Reply) -> Sequence[records.Path]:
    """Read /paths."""
    return decode(reply, list[Path])


def path_sessions(reply: Reply) -> Sequence[records.PathSession]:
    """Read /paths/sessions."""
    return decode(reply, list[PathSession])


def attempts(reply: Reply) -> Sequence[records.Attempt]:
    """Read /courses/stats, which groups attempts by course and user."""
    return [
        records.Attempt(
            attempt.id,
            item.course.id,
            stats.user.id,
            attempt.global_time,
            attempt.progress,
            attempt.score,
            attempt.first_activity,
            attempt.last_activity,
            attempt.completed_at,
        )
        for item in decode(reply, list[CourseAttempts])
        for stats in item.stats
        for attempt in stats.attempts
    ]


def path_stats(reply: Reply) -> Sequence[records.PathStat]:
    """Read /paths/sessions/{session}/stats/users; a row has the id of its user. Raises InvalidResponseError."""
    body = decode(reply, SessionStats)
    rows = body.user_stats if body.users_stats is UNSET else body.users_stats
    if rows is UNSET:
        raise InvalidResponseError(f"GET {reply.endpoint}: the reply has neither `usersStats` nor `userStats`")
    return [records.PathStat(row.id, row.status, UNSET, completed_at=row.completed_at) for row in rows]
