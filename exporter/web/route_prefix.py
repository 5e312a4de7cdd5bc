"""Serving below a path, as behind a reverse proxy: `--web.route-prefix` and `--web.external-url`."""

import re
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")


def parse_prefix(text: str) -> str:
    """Return a path without its trailing slash, empty for /. Raises ValueError with the remedy."""
    if not text.startswith("/") or not PATH.fullmatch(text):
        raise ValueError("write a path such as /engagement, or / for none")
    return text.rstrip("/")


def external_path(url: str) -> str:
    """Return the path of the URL under which the exporter is reached from outside, without its trailing slash.

    Raises ValueError with the remedy.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or not PATH.fullmatch(parts.path):
        raise ValueError("write a URL such as https://monitoring.example.org/engagement")
    return parts.path.rstrip("/")


def below(prefix: str, application: ASGIApp) -> ASGIApp:
    """Move an application below `prefix`; / and the prefix without its slash then lead there."""
    if not prefix:
        return application

    async def to_prefix(request: object) -> RedirectResponse:
        return RedirectResponse(f"{prefix}/")

    whole = Starlette(routes=[Route("/", to_prefix), Route(prefix, to_prefix), Mount(prefix, application)])
    whole.router.redirect_slashes = False  # it would send the client to whatever its Host header says
    return whole
