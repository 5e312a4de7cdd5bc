"""How people of the demo organisation take courses: each attempt from its opening to its end."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from exporter.demo.calendar import moment_of
from exporter.demo.catalogue import Course, PathSession
from exporter.demo.object_id import object_id
from exporter.demo.roster import Person

_NEVER_OPENED_SHARE = 0.04
_ONE_SITTING_SHARE = 0.6
_FINISHING_SHARE = 0.78
_CLOSED_BY_TRAINER_SHARE = 0.08
_EXTERNAL_START_PERCENT = 50


@dataclass(frozen=True, slots=True)
class Attempt:
    """The state of one attempt at some moment; `progress` and `score` are percentages.

    An attempt that was never opened has no dates but `created_at`. One that a trainer closed has
    `completed_at` with a `progress` below 100.
    """

    id: str
    course: Course
    person: Person
    path_session: PathSession | None
    created_at: datetime
    first_activity_at: datetime | None
    last_activity_at: datetime | None
    completed_at: datetime | None
    time_spent_ms: int
    progress: int
    score: int | None


@dataclass(frozen=True, slots=True)
class AttemptHistory:
    """All states of one attempt, the future ones included: `states[i]` holds from `moments[i]` on."""

    id: str
    created_at: datetime
    moments: tuple[datetime, ...]
    states: tuple[Attempt, ...]

    def at(self, now: datetime) -> Attempt:
        """The state at `now`, which must not be before `created_at`."""
        if self.moments[-1] <= now:
            return self.states[-1]
        return self.states[bisect_right(self.moments, now) - 1]


@dataclass(frozen=True, slots=True)
class Opening:
    """Somebody launching a course, on their own or in a session of a path."""

    at: datetime
    person: Person
    course: Course
    path_session: PathSession | None


def attempt_history(opening: Opening, number: int, rng: Random) -> AttemptHistory:
    """What becomes of an opening: nothing, one or several sittings within four weeks, completion or not."""
    attempt_id = object_id(opening.at, "attempt", number)
    if rng.random() < _NEVER_OPENED_SHARE:
        states = [_unopened(attempt_id, opening)]
        moments = [opening.at]
    else:
        states = _sittings(attempt_id, opening, rng)
        moments = [state.completed_at or state.last_activity_at or opening.at for state in states]
    return AttemptHistory(attempt_id, opening.at, tuple(moments), tuple(states))


def _unopened(attempt_id: str, opening: Opening) -> Attempt:
    person, course, session = opening.person, opening.course, opening.path_session
    return Attempt(attempt_id, course, person, session, opening.at, None, None, None, 0, 0, None)


def _sittings(attempt_id: str, opening: Opening, rng: Random) -> list[Attempt]:
    """The states from the first activity on; nobody learns after they have left, or what is taught no more."""
    person, course, session, at = opening.person, opening.course, opening.path_session, opening.at
    sittings = 1 if rng.random() < _ONE_SITTING_SHARE else rng.randint(2, 4)
    goal_percent = 100 if rng.random() < _FINISHING_SHARE else rng.randint(5, 95)
    percent = _EXTERNAL_START_PERCENT if course.type == "external" else 0
    time_spent_ms = 0
    states = [Attempt(attempt_id, course, person, session, at, at, at, None, 0, percent, None)]
    ended_at = at
    for sitting in range(1, sittings + 1):
        begun_at = at if sitting == 1 else _later_day(ended_at, rng)
        sitting_ms = int(course.duration_minutes * 60_000 * rng.uniform(0.5, 1.4) / sittings)
        ended_at = begun_at + timedelta(milliseconds=sitting_ms)
        if person.has_left(ended_at) or course.status(ended_at) != "published":
            return states
        time_spent_ms += sitting_ms
        percent = max(percent, goal_percent * sitting // sittings)
        completed_at = ended_at if percent == 100 else None
        score = rng.randint(40, 100) if completed_at and course.is_scored else None
        times = (at, at, ended_at, completed_at)
        states.append(Attempt(attempt_id, course, person, session, *times, time_spent_ms, percent, score))
    return [*states, *_closing(states[-1], rng)]


def _later_day(ended_at: datetime, rng: Random) -> datetime:
    return moment_of(ended_at.date() + timedelta(days=rng.randint(1, 7)), rng)


def _closing(last: Attempt, rng: Random) -> list[Attempt]:
    """The last state of an unfinished attempt, if a trainer closes it, two days after the last activity."""
    if last.completed_at or last.last_activity_at is None or rng.random() > _CLOSED_BY_TRAINER_SHARE:
        return []
    return [
        Attempt(
            id=last.id,
            course=last.course,
            person=last.person,
            path_session=last.path_session,
            created_at=last.created_at,
            first_activity_at=last.first_activity_at,
            last_activity_at=last.last_activity_at,
            completed_at=last.last_activity_at + timedelta(days=2),
            time_spent_ms=last.time_spent_ms,
            progress=last.progress,
            score=None,
        )
    ]
