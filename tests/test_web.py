"""The endpoints, over a view that says what the test wants: content types, the status page, health, other methods."""

import gzip
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from exporter.collection import Result
from exporter.errors import State
from exporter.exposition import Format
from exporter.snapshot import Entry, Key, Published
from exporter.web.listen import listen, parse_address
from exporter.web.routes import application, span

HOSTILE = "<script>alert('&')</script>"
COLLECTOR = Entry(Key("crowd", "stats"), "pybossa", 900.0, 86_400.0, 20_000)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the pages show."""

    snapshot: Sequence[Entry] = ()
    next_run: datetime | None = None
    healthy: bool = True
    ready: bool = True

    def page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]:
        chosen = "" if keys is None else "".join(f"{key.target}/{key.collector}\n" for key in keys)
        return [f"page of {form.name}\n".encode(), chosen.encode()]

    async def gzip_page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]:
        return [gzip.compress(b"".join(self.page(form, keys)))]

    def next_run_at(self, key: Key) -> datetime | None:
        return self.next_run

    def is_healthy(self) -> bool:
        return self.healthy

    def is_ready(self) -> bool:
        return self.ready


async def answer(path: str, shown: Shown | None = None, method: str = "GET", **headers: str) -> httpx.Response:
    """What the application answers."""
    transport = httpx.ASGITransport(application(shown or Shown(), "/metrics"))
    async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as http:
        return await http.request(method, path, headers=headers)


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
    replace(COLLECTOR, key=Key(target, collector))
    for target, collector in (("a", "stats"), ("a", "users"), ("b", "stats"), ("c", "users"))
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


@pytest.mark.parametrize("path", ["/nowhere", "/config", "/api/status", "/../etc/passwd"])
async def test_there_is_nothing_else(path: str) -> None:
    assert (await answer(path)).status_code == 404


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed(path: str, method: str) -> None:
    assert (await answer(path, method=method)).status_code == 405


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy"])
async def test_head_is_answered_like_get(path: str) -> None:
    head, get = await answer(path, method="HEAD"), await answer(path)

    assert (head.status_code, head.headers) == (get.status_code, get.headers)


async def test_the_status_page_may_load_and_send_nothing() -> None:
    headers = (await answer("/")).headers

    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "form-action 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def failed(error: str) -> Entry:
    """An entry whose last run failed an hour after one that gave two samples."""
    result = Result(State.UNREACHABLE, 0.0, 1.0, error=error, remedy="check url")
    hour_ago = datetime.now(UTC) - timedelta(hours=1, minutes=1)
    return replace(COLLECTOR, last=result, last_success_at=hour_ago.timestamp())


async def test_the_status_page_before_the_first_run() -> None:
    page = (await answer("/", Shown([COLLECTOR]))).text

    assert "<td>crowd<small>pybossa</small></td>" in page
    assert "<td>stats</td>" in page
    assert '<td class="pending">pending' in page
    assert "<td>never</td>" in page


async def test_the_status_page_after_a_good_run() -> None:
    now = datetime.now(UTC)
    result = Result(State.OK, now.timestamp(), 0.5)
    good = replace(
        COLLECTOR, last=result, published=Published((), now.timestamp(), 0), last_success_at=now.timestamp() - 200
    )

    page = (await answer("/", Shown([good], next_run=now + timedelta(minutes=10, seconds=30)))).text

    assert '<td class="ok">ok' in page
    assert "<td>3 min ago</td>" in page
    assert "<td>in 10 min</td>" in page


async def test_the_status_page_after_a_failed_run_says_why_and_what_to_do() -> None:
    page = (await answer("/", Shown([failed("no reply")]))).text

    assert '<td class="failed">unreachable' in page
    assert "<small>no reply</small><small>check url</small>" in page
    assert "<td>61 min ago</td>" in page


@pytest.mark.parametrize("state", State)
async def test_every_state_has_a_place_on_the_page(state: State) -> None:
    entry = replace(COLLECTOR, last=None if state is State.PENDING else Result(state, 0.0, 1.0))

    assert state.replace("_", " ") in (await answer("/", Shown([entry]))).text


async def test_hostile_text_is_only_text() -> None:
    """Errors may quote what a platform calls its things."""
    entry = replace(failed(HOSTILE), key=Key(HOSTILE, HOSTILE), platform=HOSTILE)

    page = (await answer("/", Shown([entry]))).text

    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;") == 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0.9, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_spans_are_in_their_largest_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text


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
