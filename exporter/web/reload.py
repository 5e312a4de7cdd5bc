"""`/-/reload`: put the configuration file in force, or with `?dry_run=1` tell what that would change."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from exporter.difference import Difference
from exporter.errors import ConfigError
from exporter.web.security_headers import SECURITY_HEADERS

DRY_RUN = {"1": True, "true": True, "0": False, "false": False}


def is_foreign(headers: Mapping[str, str], external_url: str) -> bool:
    """True if the request comes from a page of another site in somebody's browser; programs send neither header.

    A proxy may have changed Host, so a page at `external_url` is none of another site either.
    """
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("same-origin", "none")
    host, external = headers.get("host"), "/".join(external_url.split("/")[:3])
    return headers.get("origin") not in (None, f"http://{host}", f"https://{host}", external)


async def reload_reply(request: Request, reload: Callable[[bool], Awaitable[Difference]]) -> Response:
    """Answer 200 with what changed once it is in force, or 500 with what is wrong with the file.

    `reload` takes whether it is a dry run and raises ConfigError.
    """
    dry_run = DRY_RUN.get(request.query_params.get("dry_run", "0"))
    if dry_run is None:
        return PlainTextResponse("dry_run must be 1 or 0\n", 400, SECURITY_HEADERS)
    try:
        changes = await reload(dry_run)
    except ConfigError as error:
        return PlainTextResponse(f"{error}\n", 500, SECURITY_HEADERS)
    return JSONResponse(
        {
            "applied": not dry_run,
            "added": changes.added,
            "changed": changes.changed,
            "removed": changes.removed,
            "unchanged": len(changes.unchanged),
        },
        headers=SECURITY_HEADERS,
    )
