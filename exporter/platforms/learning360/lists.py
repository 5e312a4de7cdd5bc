"""Reading lists of 360Learning page by page, whichever API version the target has; nothing else needs to know which."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from exporter.api.client import Client
from exporter.api.pagination import children, link_pages, unique
from exporter.api.reply import Reply, decode
from exporter.metrics import Sample
from exporter.platform import Probe
from exporter.platforms.learning360 import records, v1
from exporter.platforms.learning360.settings import Learning360Settings


class Record(Protocol):
    """Anything with the id by which a walk tells records apart."""

    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """A list, where it is and the scope it needs; `from_v1` reads v1's array where that differs from a page of v2."""

    endpoint: str
    scope: str
    page: type[list[R]]
    from_v1: Callable[[Reply], Sequence[R]] | None = None


USERS = Listing("/users", "users:read", list[records.User], v1.users)
COURSES = Listing("/courses", "courses:read", list[records.Course], v1.courses)
GROUPS = Listing("/groups", "groups:read", list[records.Group], v1.groups)
ATTEMPTS = Listing("/courses/stats", "courseStats:read", list[records.Attempt], v1.attempts)
PATHS = Listing("/paths", "paths:read", list[records.Path], v1.paths)
PATH_SESSIONS = Listing("/paths/sessions", "paths:read", list[records.PathSession], v1.path_sessions)
PATH_STATS = Listing("/paths/stats", "pathStats:read", list[records.PathStat])
CLASSROOMS = Listing("/classrooms", "classrooms:read", list[records.Classroom])
SKILLS = Listing("/skills", "skills:read", list[records.Skill])
SKILL_POWERS = Listing("/skills/powers", "skillsPowers:read", list[records.Skill])
PROJECTS = Listing("/projects", "projects:read", list[records.Project])

V1_SESSION_STATS = "/paths/sessions/{session}/stats/users"


async def pages(client: Client, settings: Learning360Settings, listing: Listing[R]) -> AsyncIterator[Sequence[R]]:
    """Walk a list to its end; v1 sends it whole. See `exporter.api.pagination` for what the walk promises."""
    if settings.api_version == "v1":
        yield unique(await first_page(client, settings, listing), identity, set())
        return
    async for page in link_pages(client, listing.endpoint, listing.page, identity):
        yield page


async def first_page(client: Client, settings: Learning360Settings, listing: Listing[R]) -> Sequence[R]:
    """Read one page; that of v1 is the whole list."""
    reply = await client.get(listing.endpoint)
    if settings.api_version == "v1" and listing.from_v1:
        return listing.from_v1(reply)
    return decode(reply, listing.page)


def probe(
    listing: Listing[R], understood: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Probe[Learning360Settings]:
    """Ask for a page of the list, which proves its scope; `understood` gives errors the meaning they have in a run."""

    async def ask(client: Client, settings: Learning360Settings, _now: datetime) -> list[Sample]:
        with understood():
            await first_page(client, settings, listing)
        return []

    return Probe(listing.endpoint, ask, listing.scope)


def identity(record: Record) -> bytes | str:
    """Return the id as compactly as it goes: a walk keeps every one, and 24 hex digits are 12 bytes.

    Ids that differ in the case of a letter are two; of these, those in lower case alone, as the platform writes them,
    become bytes.
    """
    try:
        compact = bytes.fromhex(record.id)
    except ValueError:
        return record.id
    return compact if compact.hex() == record.id else record.id  # capitals and blanks make another id


async def path_stat_pages(client: Client, settings: Learning360Settings) -> AsyncIterator[Sequence[records.PathStat]]:
    """Walk all enrollments; v1 lists them per session, with one request each and a few at a time."""
    if settings.api_version == "v2":
        async for page in pages(client, settings, PATH_STATS):
            yield page
        return
    sessions = [session async for page in pages(client, settings, PATH_SESSIONS) for session in page]
    async for stats in children(client, sessions, lambda session: _v1_session_stats(client, session.id)):
        yield stats


async def _v1_session_stats(client: Client, session: str) -> Sequence[records.PathStat]:
    return v1.path_stats(await client.get(V1_SESSION_STATS, ids={"session": session}))


async def count_by(
    client: Client, settings: Learning360Settings, listing: Listing[R], labels: Callable[[R], tuple[str, ...] | None]
) -> Counter[tuple[str, ...]]:
    """Walk a list and count its records by label values, without those that have none."""
    counts: Counter[tuple[str, ...]] = Counter()
    async for page in pages(client, settings, listing):
        counts.update(found for found in map(labels, page) if found is not None)
    return counts
