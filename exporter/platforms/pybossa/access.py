"""How a PYBOSSA server is reached, and what it means when it asks to sign in."""

from collections.abc import Iterator
from contextlib import contextmanager

from exporter.api.auth import HeaderKey
from exporter.api.client import Access
from exporter.errors import RedirectError, UnauthorizedError
from exporter.platforms.pybossa.settings import PybossaSettings


def access(settings: PybossaSettings) -> Access:
    """Reach the server's root, with the key when there is one."""
    key = settings.secret("api_key")
    auth = HeaderKey("Authorization", key) if key else None
    return Access(settings.url, auth, {"Content-Type": "application/json"})


@contextmanager
def signed_in() -> Iterator[None]:
    """Turn a redirect to the sign-in page into what it means."""
    try:
        yield
    except RedirectError as error:
        if "signin" not in error.location_path:
            raise
        raise UnauthorizedError(
            f"{error}: it leads to the sign-in page",
            remedy="configure an api_key (api_key_file) of a user who may see the page; a wrong key counts as none",
        ) from error
