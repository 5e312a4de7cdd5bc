"""The records of 360Learning that are counted, in the shape of API v2 and with the fields that a series needs.

A date that cannot be read is neither a date nor none: UNSET, so that its record is in no number that depends on it.
None holds a person's name or address; ids of users serve to tell them apart and are not exposed.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, UnsetType, field

from exporter.api.reply import Percent
from exporter.api.unreadable import OrUnknown

Instant = Annotated[datetime, Meta(tz=True)]
"""ISO 8601 with an offset: UTC as documented, any other is understood."""

Milliseconds = Annotated[float, Meta(ge=0)]


class User(Struct, rename="camel", gc=False):
    """A row of /users; `deleted` is what older replies have instead of `status`."""

    id: str = field(name="_id")
    status: str | None = None
    deleted: bool | None = None
    last_login_date: OrUnknown[Instant | None] = None


class Course(Struct, rename="camel", gc=False):
    """A row of /courses; `type` is empty where API v1 does not tell it."""

    id: str = field(name="_id")
    name: OrUnknown[str]
    status: str
    type: str


class Group(Struct, rename="camel", gc=False):
    """A row of /groups; `public` is unset where API v1 does not tell it."""

    id: str = field(name="_id")
    public: bool | UnsetType


class Attempt(Struct, rename="camel", gc=False):
    """A row of /courses/stats: one play of a course by a user. `score` and `progress` are 0 to 100."""

    id: str = field(name="_id")
    course_id: str
    user_id: str
    time_spent: OrUnknown[Milliseconds]
    progress: OrUnknown[float]
    score: OrUnknown[Percent | None] = None
    first_activity_at: OrUnknown[Instant | None] = None
    last_activity_at: OrUnknown[Instant | None] = None
    completed_at: OrUnknown[Instant | None] = None


class Path(Struct, rename="camel", gc=False):
    """A row of /paths; `status` is empty where API v1 does not tell it."""

    id: str = field(name="_id")
    status: str


class PathSession(Struct, rename="camel", gc=False):
    """A row of /paths/sessions."""

    id: str = field(name="_id")
    start_date: OrUnknown[Instant]
    end_date: OrUnknown[Instant | None] = None


class PathStatus(Struct, gc=False):
    """Where an enrollment stands."""

    type: str


class PathStat(Struct, rename="camel", gc=False):
    """A row of /paths/stats: one enrollment of a user in a path session; API v1 does not tell `enrolled_at`.

    Somebody who was taken out of a session and enrolled again has an `unenrolled_at` before `enrolled_at`.
    """

    id: str = field(name="_id")
    status: PathStatus
    enrolled_at: OrUnknown[Instant]
    unenrolled_at: OrUnknown[Instant | None] = None
    due_date: OrUnknown[Instant | None] = None
    completed_at: OrUnknown[Instant | None] = None

    @property
    def ended_at(self) -> datetime | UnsetType | None:
        """When the user was taken out for good; None if that has not happened, UNSET if nobody knows."""
        out, back = self.unenrolled_at, self.enrolled_at
        return None if isinstance(out, datetime) and isinstance(back, datetime) and out < back else out


class Classroom(Struct, gc=False):
    """A row of /classrooms."""

    id: str = field(name="_id")


class Skill(Struct, gc=False):
    """A row of /skills, or of /skills/powers: a user's hold on a skill."""

    id: str = field(name="_id")
    status: str


class Project(Struct, gc=False):
    """A row of /projects, the live projects."""

    id: str = field(name="_id")
    completed: bool
