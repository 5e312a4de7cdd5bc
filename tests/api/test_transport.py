"""The last gate before the wire."""

import httpx
import pytest
import structlog.testing
from prometheus_client import CollectorRegistry

from exporter.api.run import new_run
from exporter.api.transport import ENDPOINT, Gate, GatedTransport, same_origin
from exporter.errors import InvalidResponseError
from exporter.self_metrics import ApiMetrics
from tests.fakes import Chunks, Handler, Script, ok, status

BASE = httpx.URL("https://site.test/api")
TOKEN = httpx.URL("https://site.test/api/oauth2/token")


def gated(
    handler: Handler, token_url: httpx.URL | None = TOKEN, registry: CollectorRegistry | None = None
) -> GatedTransport:
    metrics = ApiMetrics(registry or CollectorRegistry())
    return GatedTransport(httpx.MockTransport(handler), Gate(BASE, token_url), 1000, metrics, "site", "fake")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
async def test_every_method_but_get_is_refused(method: str) -> None:
    script = Script(ok())
    with pytest.raises(RuntimeError, match="not allowed"):
        await gated(script).handle_async_request(httpx.Request(method, f"{BASE}/users"))

    assert script.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test/api/users",
        "http://site.test/api/users",
        "https://site.test:444/api/users",
        "https://api.site.test/users",
        "https://user:password@elsewhere.test/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_other_origin_is_refused_and_only_its_host_told(method: str, url: str) -> None:
    script = Script(ok())
    with pytest.raises(RuntimeError) as error:
        await gated(script).handle_async_request(httpx.Request(method, url))

    assert script.requests == []
    assert "password" not in str(error.value)


async def test_post_is_for_the_token_url_alone() -> None:
    script = Script(ok())
    await gated(script).handle_async_request(httpx.Request("POST", TOKEN))
    for url in (f"{TOKEN}/", f"{TOKEN}?x=1", f"{BASE}/users"):
        with pytest.raises(RuntimeError):
            await gated(script).handle_async_request(httpx.Request("POST", url))
    with pytest.raises(RuntimeError):
        await gated(script, token_url=None).handle_async_request(httpx.Request("POST", TOKEN))

    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.test", "https://a.test:443/x", True),
        ("http://a.test:80", "http://a.test/y?z", True),
        ("https://A.test", "https://a.test", True),
        ("https://a.test", "http://a.test", False),
        ("https://a.test", "https://a.test:8443", False),
        ("https://a.test", "https://b.test", False),
        ("http://a.test:443", "https://a.test", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert same_origin(httpx.URL(one), httpx.URL(other)) is same


async def test_requests_are_counted_by_path_template_and_code_and_timed() -> None:
    registry = CollectorRegistry()
    transport = gated(Script(ok(), status(404), httpx.ConnectError("refused")), registry=registry)

    def request() -> httpx.Request:
        return httpx.Request("GET", f"{BASE}/users/7", extensions={ENDPOINT: "/users/{user}"})

    await transport.handle_async_request(request())
    await transport.handle_async_request(request())
    with pytest.raises(httpx.ConnectError):
        await transport.handle_async_request(request())

    own = {"platform": "fake", "endpoint": "/users/{user}"}
    for code in ("200", "404", "error"):
        labels = {"target": "site", "code": code, **own}
        assert registry.get_sample_value("engagement_api_requests_total", labels) == 1
    assert registry.get_sample_value("engagement_api_request_duration_seconds_count", own) == 3


async def test_a_body_is_cut_off_at_the_cap_whoever_reads_it() -> None:
    chunks = Chunks([bytes(400)] * 100)
    response = await gated(lambda _: httpx.Response(200, stream=chunks)).handle_async_request(
        httpx.Request("GET", f"{BASE}/users", extensions={ENDPOINT: "/users"})
    )
    with pytest.raises(InvalidResponseError, match="GET /users: the reply is larger than 1000 bytes"):
        await response.aread()

    assert chunks.taken == 3


async def test_every_request_is_a_line_at_debug_without_query_and_with_the_id_that_was_sent() -> None:
    """The bytes are those on the wire; repeated requests and those without a reply have lines of their own."""
    sent: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["x-request-id"])
        if len(sent) > 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, stream=Chunks([b"123", b"45"]))

    transport = gated(handler)
    request = httpx.Request("GET", f"{BASE}/users/7?key=hunter2", extensions={ENDPOINT: "/users/{user}"})
    with structlog.testing.capture_logs() as lines, new_run() as run:
        await (await transport.handle_async_request(request)).aread()
        with pytest.raises(httpx.ConnectError):
            await transport.handle_async_request(request)

    for line in lines:
        assert 0 <= line.pop("duration_seconds") < 5
    told = {"event": "request", "log_level": "debug", "target": "site", "method": "GET", "endpoint": "/users/{user}"}
    assert lines == [
        {**told, "request": f"{run.id}-1", "code": "200", "body_bytes": 5},
        {**told, "request": f"{run.id}-2", "code": "error", "body_bytes": 0},
    ]
    assert sent == [f"{run.id}-1", f"{run.id}-2"]


async def test_a_request_outside_of_a_run_has_an_id_too() -> None:
    script = Script(ok())
    for _ in range(2):
        await gated(script).handle_async_request(httpx.Request("GET", f"{BASE}/users"))

    first, second = (request.headers["x-request-id"] for request in script.requests)
    assert first != second
