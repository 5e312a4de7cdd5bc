"""Users of 360Learning by status, and when they last logged in."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import UNSET

from exporter.api.client import Client
from exporter.errors import InvalidResponseError
from exporter.metrics import Family, Sample
from exporter.platform import Collector
from exporter.platforms.learning360 import evidence
from exporter.platforms.learning360.counting import WINDOWS, Windows, by_window, no_counts, state_samples
from exporter.platforms.learning360.lists import USERS, pages, probe
from exporter.platforms.learning360.records import User
from exporter.platforms.learning360.settings import Learning360Settings

KNOWN_STATUSES = ("active", "invited", "deleted")
STATUSES = (*KNOWN_STATUSES, "other")

_AGE = "From /users; by default up to 30 min old."

USERS_BY_STATUS = Family(
    "learning360_users",
    "Users by status; active means allowed to connect, other is any status not known here. API v1 lists users without "
    f"a status, so all are other there, or deleted and active if it tells who is deleted. {_AGE}",
    ("status",),
)
USERS_LOGGED_IN = Family(
    "learning360_users_logged_in",
    "Users who are not deleted and whose last login lies in the rolling window before the poll. A login lasts 30 days "
    f"on a device, so fewer log in than learn. Not in API v1. {_AGE}",
    ("window",),
)
USERS_NEVER_LOGGED_IN = Family(
    "learning360_users_never_logged_in", f"Active users without any login. Not in API v1. {_AGE}"
)


@dataclass(slots=True)
class UserTotals:
    """What is added up over all pages; `logged_in` is by narrowest window."""

    windows: Windows
    statuses: Counter[tuple[str, ...]] = field(default_factory=Counter)
    logged_in: list[int] = field(default_factory=no_counts)
    never_logged_in: int = 0

    def add(self, users: Sequence[User]) -> None:
        """Count the users of a page."""
        for user in users:
            status = user_status(user)
            self.statuses[status,] += 1
            if user.last_login_date is UNSET or status == "deleted":
                continue
            if user.last_login_date is not None:
                self.logged_in[self.windows.narrowest(user.last_login_date)] += 1
            elif status == "active":
                self.never_logged_in += 1


def user_status(user: User) -> str:
    """Return the user's status, `other` for one not known. Raises InvalidResponseError when the record has none.

    Older replies tell only whether a user is `deleted`.
    """
    if user.status is not None:
        return user.status if user.status in KNOWN_STATUSES else "other"
    if user.deleted is None:
        raise InvalidResponseError(f"GET {USERS.endpoint}: a user has neither `status` nor `deleted`")
    return "deleted" if user.deleted else "active"


def login_samples(totals: UserTotals) -> list[Sample]:
    """Map what v2 alone tells: logins."""
    return [
        *(USERS_LOGGED_IN.sample(users, window=window) for window, users in by_window(totals.logged_in)),
        USERS_NEVER_LOGGED_IN.sample(totals.never_logged_in),
    ]


async def collect_users(client: Client, settings: Learning360Settings, now: datetime) -> list[Sample]:
    """Read all users. v1 tells neither logins nor most statuses, so that these are absent there, not 0."""
    totals = UserTotals(Windows.ending(now))
    async for page in pages(client, settings, USERS):
        totals.add(page)
    if settings.api_version == "v1":
        return state_samples(USERS_BY_STATUS, (), totals.statuses)
    known = [(status,) for status in STATUSES]
    return [*state_samples(USERS_BY_STATUS, known, totals.statuses), *login_samples(totals)]


USERS_COLLECTOR = Collector(
    "users",
    (USERS_BY_STATUS, USERS_LOGGED_IN, USERS_NEVER_LOGGED_IN),
    timedelta(minutes=30),
    collect_users,
    (probe(USERS),),
    planned_requests=lambda settings: {USERS.endpoint: 20 if settings.api_version == "v2" else 1},
    planned_series=lambda settings: (
        {USERS_BY_STATUS: len(STATUSES), USERS_LOGGED_IN: len(WINDOWS), USERS_NEVER_LOGGED_IN: 1}
        if settings.api_version == "v2"
        else {USERS_BY_STATUS: 2}
    ),
    bases=evidence.USERS,
)
