"""The endpoints, over a view that says what the test wants: formats, choices, health, other paths and methods."""

import socket

import httpx
import pytest

from exporter.web.listen import listen, parse_address
from exporter.web.routes import application
from tests.shown import Shown, answer, pending


@pytest.mark.parametrize(
    ("accept", "form", "content_type"),
    [
        ("", "TEXT", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "TEXT", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text", "OPENMETRICS", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "OPENMETRICS",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
async def test_metrics_in_the_format_that_the_scraper_prefers(accept: str, form: str, content_type: str) -> None:
    response = await answer("/metrics", accept=accept)

    assert (response.status_code, response.text) == (200, f"page of {form}\n")
    assert response.headers["content-type"] == content_type
    assert response.headers["vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize(("accept_encoding", "encoding"), [("gzip", "gzip"), ("br, gzip", "gzip"), ("identity", None)])
async def test_metrics_in_the_encoding_that_the_scraper_prefers(accept_encoding: str, encoding: str | None) -> None:
    """The HTTP client decodes, so its length of the body is not that of the wire."""
    response = await answer("/metrics", **{"accept-encoding": accept_encoding})

    assert response.text == "page of TEXT\n"
    assert response.headers.get("content-encoding") == encoding
    assert response.headers["vary"] == "Accept, Accept-Encoding"
    assert int(response.headers["content-length"]) == response.num_bytes_downloaded


SITES = [
    pending(target, collector) for target, collector in (("a", "stats"), ("a", "users"), ("b", "stats"), ("c", "users"))
]


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("target=a", "a/stats a/users"),
        ("target=a&target=b", "a/stats a/users b/stats"),
        ("collect[]=stats", "a/stats b/stats"),
        ("collect%5B%5D=stats&collect[]=users", "a/stats a/users b/stats c/users"),
        ("target=c&target=a&collect[]=users", "a/users c/users"),
        ("target=b&collect[]=users", ""),
        ("name[]=anything", "whole"),
    ],
)
@pytest.mark.parametrize("accept_encoding", ["gzip", "identity"])
async def test_a_query_chooses_targets_and_collectors(query: str, chosen: str, accept_encoding: str) -> None:
    response = await answer(f"/metrics?{query}", Shown(SITES), **{"accept-encoding": accept_encoding})

    expected = [] if chosen == "whole" else chosen.split()
    assert (response.status_code, response.text.splitlines()[1:]) == (200, expected)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("target=nobody", "target=nobody names nothing here; there are: a, b, c\n"),
        ("target=a&target=", "target= names nothing here; there are: a, b, c\n"),
        ("target=a&collect[]=<b>", "collect[]=<b> names nothing here; there are: stats, users\n"),
    ],
)
async def test_a_name_that_there_is_not_is_refused_with_the_names_that_there_are(query: str, message: str) -> None:
    response = await answer(f"/metrics?{query}", Shown(SITES))

    assert (response.status_code, response.text) == (400, message)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_metrics_under_another_path() -> None:
    transport = httpx.ASGITransport(application(Shown(), "/numbers"))
    async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as http:
        assert (await http.get("/numbers")).status_code == 200
        assert (await http.get("/metrics")).status_code == 404
        assert '<a href="numbers">' in (await http.get("/")).text


@pytest.mark.parametrize(
    ("path", "good", "shown", "expected"),
    [
        ("/-/healthy", True, Shown(), "healthy\n"),
        ("/-/healthy", False, Shown(healthy=False), "the scheduler's heartbeat stopped\n"),
        ("/-/ready", True, Shown(), "ready\n"),
        ("/-/ready", False, Shown(ready=False), "first runs are under way\n"),
        ("/-/healthy", True, Shown(ready=False), "healthy\n"),
    ],
)
async def test_health(path: str, good: bool, shown: Shown, expected: str) -> None:
    response = await answer(path, shown)

    assert (response.status_code, response.text) == (200 if good else 503, expected)


@pytest.mark.parametrize("path", ["/nowhere", "/api", "/sd.json", "/../etc/passwd", "/metrics/", "/sd/"])
async def test_there_is_nothing_else(path: str) -> None:
    assert (await answer(path)).status_code == 404


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/status", "/config", "/sd", "/-/healthy", "/-/ready"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed(path: str, method: str) -> None:
    assert (await answer(path, method=method)).status_code == 405


@pytest.mark.parametrize("path", ["/metrics", "/config", "/sd", "/-/healthy"])
async def test_head_is_answered_like_get(path: str) -> None:
    head, get = await answer(path, method="HEAD"), await answer(path)

    assert (head.status_code, head.headers) == (get.status_code, get.headers)


@pytest.mark.parametrize(
    "path", ["/", "/api/status", "/config", "/sd", "/-/healthy", "/-/ready", "/metrics?target=nobody"]
)
async def test_a_browser_may_load_send_frame_and_keep_nothing(path: str) -> None:
    headers = (await answer(path)).headers

    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/api/status"])
async def test_the_status_of_a_target_that_there_is_not_is_refused(path: str) -> None:
    response = await answer(f"{path}?target=a&target=<b>", Shown(SITES))

    assert (response.status_code, response.text) == (400, "target=<b> names nothing here; there are: a, b, c\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":10360", ("", 10360)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:10360", ("::1", 10360)),
        ("Localhost:80", ("localhost", 80)),
    ],
)
def test_addresses_are_written_as_prometheus_writes_them(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "10360", "localhost", ":", ":x", ":70000", "::1:80", "http://a:1", "a:1/b", "u@a:1"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write HOST:PORT or :PORT, such as 127\.0\.0\.1:10360"):
        parse_address(text)


@pytest.mark.parametrize("host", ["", "127.0.0.1"])
def test_listening_on_any_free_port(host: str) -> None:
    with listen(host, 0) as listener:
        assert listener.getsockname()[1] > 0


def test_an_answer_on_a_kept_alive_connection_is_not_held_back() -> None:
    """asyncio leaves that to whoever made the socket; without it every scrape after the first takes 40 ms more."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
