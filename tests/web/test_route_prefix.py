"""Serving below a path: where the endpoints are then, and which paths and URLs the flags take."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from exporter.web.route_prefix import below, external_path, parse_prefix


async def numbers(request: object) -> PlainTextResponse:
    return PlainTextResponse("numbers\n")


async def status(prefix: str, path: str) -> tuple[int, str]:
    """Status and Location of what is answered below a prefix."""
    endpoints = Starlette(routes=[Route("/", numbers), Route("/metrics", numbers)])
    endpoints.router.redirect_slashes = False
    transport = httpx.ASGITransport(below(prefix, endpoints))
    async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as http:
        response = await http.get(path)
    return response.status_code, response.headers.get("location", "")


@pytest.mark.parametrize(
    ("prefix", "path", "expected"),
    [
        ("", "/metrics", (200, "")),
        ("", "/", (200, "")),
        ("/a/b", "/a/b/metrics", (200, "")),
        ("/a/b", "/a/b/", (200, "")),
        ("/a/b", "/a/b", (307, "/a/b/")),
        ("/a/b", "/a/b/metrics/", (404, "")),
        ("/a/b", "/", (307, "/a/b/")),
        ("/a/b", "/metrics", (404, "")),
        ("/a/b", "/a/bmetrics", (404, "")),
    ],
)
async def test_the_endpoints_are_below_the_prefix(prefix: str, path: str, expected: tuple[int, str]) -> None:
    assert await status(prefix, path) == expected


@pytest.mark.parametrize(("text", "prefix"), [("/", ""), ("/a", "/a"), ("/a/", "/a"), ("/a/b-c.d_e~f", "/a/b-c.d_e~f")])
def test_a_prefix_has_no_trailing_slash(text: str, prefix: str) -> None:
    assert parse_prefix(text) == prefix


@pytest.mark.parametrize("text", ["", "a", "//", "/a//b", "/{x}", "/a b", "http://x/a", "/a?b"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a path such as /engagement, or / for none"):
        parse_prefix(text)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://monitoring.example.org", ""),
        ("https://monitoring.example.org/", ""),
        ("http://localhost:10360/a/b/", "/a/b"),
    ],
)
def test_the_path_of_the_external_url(url: str, path: str) -> None:
    assert external_path(url) == path


@pytest.mark.parametrize(
    "url",
    [
        *("", "/a", "monitoring.example.org/a", "ftp://x/a", "http:///a", "http://[x/a", "http://user:password@x/a"),
        *("http://x/a?b", "http://x/#a", "http://x//a", "http://x/{a}", "http://x:99999/a", "http://x:y/a"),
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"write a URL such as https://monitoring\.example\.org/engagement"):
        external_path(url)
