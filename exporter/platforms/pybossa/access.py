"""How a PYBOSSA server is reached, and what its failures mean."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import msgspec

from exporter.api.auth import HeaderKey
from exporter.api.client import Access, Client
from exporter.errors import NotFoundError, RedirectError, ServerError, UnauthorizedError
from exporter.metrics import Sample
from exporter.platforms.pybossa.settings import PybossaSettings

CATEGORY = "/api/category"
FAVORITES = "/api/favorites"


def access(settings: PybossaSettings) -> Access:
    """Reach the server's root, with the key when there is one."""
    key = settings.secret("api_key")
    auth = HeaderKey("Authorization", key) if key else None
    return Access(settings.url, auth, {"Content-Type": "application/json"})


@contextmanager
def explained() -> Iterator[None]:
    """Turn a redirect to the sign-in page into what it means, and send whoever runs the server to its own log."""
    try:
        yield
    except RedirectError as error:
        if "signin" not in error.location_path:
            raise
        raise UnauthorizedError(
            f"{error}: it leads to the sign-in page",
            remedy="configure an api_key (api_key_file) of a user who may see the page; a wrong key counts as none",
        ) from error
    except ServerError as error:
        if error.remedy == ServerError.remedy:
            error.remedy = "look into the server's own log; its PostgreSQL or its Redis may be down"
        raise


async def ask_database(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Ask for a row that no cache holds: totals still come from Redis when the database is down."""
    with explained():
        await client.get_as(list[msgspec.Raw], CATEGORY, params={"limit": 1})
    return []


async def ask_key(client: Client, settings: PybossaSettings, now: datetime) -> list[Sample]:
    """Ask, with a key, for what the server shows nobody without one: it takes a wrong key for none and answers 200.

    Servers of before 2017 have no such list, and leave a wrong key unnoticed.
    """
    if settings.secret("api_key") is None:
        return []
    with explained(), suppress(NotFoundError):
        try:
            await client.get_as(list[msgspec.Raw], FAVORITES, params={"limit": 1})
        except UnauthorizedError as error:
            error.remedy = "the server does not know the API key: copy it anew from its user's profile, or remove it"
            raise
    return []


def planned_key(settings: PybossaSettings) -> dict[str, int]:
    """Count the requests of `ask_key`."""
    return {FAVORITES: 1} if settings.secret("api_key") else {}
