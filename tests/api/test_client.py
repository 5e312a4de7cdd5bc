"""The client of one target, over a fake transport and a clock that nobody waits for."""

import asyncio
import re
import ssl

import httpx
import pytest
from prometheus_client import CollectorRegistry

from exporter.api.client import USER_AGENT, Access, Quota
from exporter.api.reply import Reply
from exporter.errors import (
    CollectError,
    ForbiddenError,
    InvalidResponseError,
    RedirectError,
    UnreachableError,
)
from tests.fakes import NOW_SECONDS, Chunks, Clock, Handler, Script, gzip_bomb, make_client, ok, status

ENDPOINT = "/things"


async def get(handler: Handler, max_body_bytes: int = 2**20) -> Reply:
    async with make_client(handler, max_body_bytes=max_body_bytes).session() as client:
        return await client.get(ENDPOINT)


async def test_ids_are_quoted_into_the_path_and_brackets_stay_in_the_query() -> None:
    script = Script(ok())
    async with make_client(script).session() as client:
        reply = await client.get(
            "/groups/{group}/statistics", ids={"group": "a/b?c"}, params=[("status[eq]", "x y"), ("n", 2)]
        )

    assert str(script.requests[0].url) == "https://site.test/api/groups/a%2Fb%3Fc/statistics?status[eq]=x+y&n=2"
    assert reply.endpoint == "/groups/{group}/statistics"


async def test_an_id_that_makes_no_url_is_an_invalid_reply_since_ids_come_from_replies() -> None:
    script = Script(ok())
    async with make_client(script).session() as client:
        with pytest.raises(InvalidResponseError, match="makes no URL"):
            await client.get("/groups/{group}/statistics", ids={"group": "x" * 70_000})

    assert script.requests == []


async def test_every_request_says_who_asks_and_carries_the_platforms_headers() -> None:
    script = Script(ok())
    access = Access("https://site.test", headers={"360-api-version": "v2.0"})
    async with make_client(script, access).session() as client:
        await client.get(ENDPOINT)

    headers = script.requests[0].headers
    assert headers["User-Agent"] == USER_AGENT
    assert headers["Accept"] == "application/json"
    assert headers["Accept-Encoding"] == "gzip"
    assert headers["360-api-version"] == "v2.0"


async def test_a_request_outside_a_session_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="session"):
        await make_client(Script(ok())).get(ENDPOINT)


async def test_overlapping_sessions_share_connections_which_close_with_the_last() -> None:
    class Transport(httpx.MockTransport):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    made: list[Transport] = []

    def transport() -> httpx.AsyncBaseTransport:
        made.append(Transport(Script(ok())))
        return made[-1]

    client = make_client(Script(ok()), transport=transport)
    async with client.session():
        async with client.session():
            await client.get(ENDPOINT)
        assert (len(made), made[0].closed) == (1, 0)
        await client.get(ENDPOINT)
    assert (len(made), made[0].closed) == (1, 1)
    async with client.session():
        await client.get(ENDPOINT)
    assert [transport.closed for transport in made] == [1, 1]


async def test_every_request_and_every_retry_is_counted() -> None:
    registry = CollectorRegistry()
    script = Script(status(500), httpx.ConnectError("refused"), ok(None, x_ratelimit_limit="100"))
    async with make_client(script, registry=registry).session() as client:
        await client.get("/things/{thing}", ids={"thing": 7})

    def count(code: str) -> float | None:
        labels = {"target": "site", "platform": "fake", "endpoint": "/things/{thing}", "code": code}
        return registry.get_sample_value("engagement_api_requests_total", labels)

    own = {"target": "site", "platform": "fake"}
    assert (count("500"), count("error"), count("200"), count("404")) == (1, 1, 1, None)
    assert registry.get_sample_value("engagement_api_retries_total", own) == 2
    assert registry.get_sample_value("engagement_api_rate_limit", {**own, "endpoint": ""}) == 100


async def test_the_quota_is_what_the_last_reply_that_spoke_of_it_said() -> None:
    clock = Clock()
    headers: list[dict[str, str]] = [{}, {"x_ratelimit_limit": "60", "x_ratelimit_remaining": "59"}, {}]
    headers += [{"x_ratelimit_remaining": "58"}, {"x_ratelimit_remaining": "many"}]
    quotas = []
    async with make_client(Script(*(ok(None, **each) for each in headers)), clock=clock).session() as client:
        for _ in headers:
            await client.get("/things")
            quotas.append(client.quotas.get(""))
            await clock.sleep(60)

    first, second = Quota(60, 59, NOW_SECONDS + 60), Quota(None, 58, NOW_SECONDS + 180)
    assert quotas == [None, first, first, second, second]


async def test_a_body_over_the_cap_is_refused_while_it_arrives() -> None:
    chunks = Chunks([bytes(1000)] * 1000)
    with pytest.raises(InvalidResponseError, match="larger than 5000 bytes") as error:
        await get(lambda _: httpx.Response(200, stream=chunks), max_body_bytes=5000)

    assert chunks.taken == 6
    assert "max_body_bytes" in error.value.remedy


async def test_a_body_of_exactly_the_cap_is_accepted() -> None:
    reply = await get(lambda _: httpx.Response(200, stream=Chunks([bytes(5000)])), max_body_bytes=5000)

    assert len(reply.body) == 5000


async def test_a_small_reply_that_unpacks_beyond_the_cap_is_refused() -> None:
    with pytest.raises(InvalidResponseError, match="larger than 100000 bytes"):
        await get(lambda _: gzip_bomb(), max_body_bytes=100_000)


async def test_damaged_compression_is_an_invalid_reply() -> None:
    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Chunks([b"\x1f\x8bnot gzip"]))
    with pytest.raises(InvalidResponseError, match="compression"):
        await get(lambda _: response)


async def test_a_redirect_is_told_and_not_followed() -> None:
    script = Script(status(302, location="https://elsewhere.test/account/signin?next=secret"))
    with pytest.raises(RedirectError) as error:
        await get(script)

    assert error.value.location_path == "/account/signin"
    assert "elsewhere" not in str(error.value)
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://site.test/api/things?page=2", "https://site.test/api/things?page=2"),
        ("https://site.test:443/x", "https://site.test/x"),
        ("/api/things?page=2", "https://site.test/api/things?page=2"),
        ("?page=2", "https://site.test/api/things?page=2"),
        ("others?page=2", "https://site.test/api/others?page=2"),
    ],
)
async def test_a_next_link_of_the_own_origin_is_followed(link: str, url: str) -> None:
    script = Script(ok())
    async with make_client(script).session() as client:
        await client.follow(ENDPOINT, link, "https://site.test/api/things?page=1")

    assert [str(request.url) for request in script.requests] == [url]


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.test/api/others",
        "http://site.test/api/things/",
        "https://site.test:8443/things",
        "https://site.test.elsewhere.test/",
        "https://site.test@elsewhere.test/",
        "//elsewhere.test/things",
        "https://[broken/",
        "https://site.test:port/",
        "/things\x00",
        "file:///etc/passwd",
    ],
)
async def test_a_next_link_that_leaves_the_origin_is_never_asked(link: str) -> None:
    script = Script(ok())
    async with make_client(script).session() as client:
        with pytest.raises(InvalidResponseError, match="link to the next page"):
            await client.follow(ENDPOINT, link, "https://site.test/api/things")

    assert script.requests == []


@pytest.mark.parametrize(
    "link",
    [
        "http://site.test/api/things?page=2",
        "https://inner.test:8443/api/things?page=2",
        "https://me:password@elsewhere.test/api/things?page=2#x",
    ],
)
async def test_of_a_link_to_the_path_asked_for_only_the_query_counts(link: str) -> None:
    """Whatever a server behind a proxy takes for its own address; the credential goes nowhere else."""
    script = Script(ok())
    async with make_client(script).session() as client:
        await client.follow(ENDPOINT, link, "https://site.test/api/things?page=1")

    assert [str(request.url) for request in script.requests] == ["https://site.test/api/things?page=2"]


async def test_the_code_of_an_error_is_told_and_free_text_is_not() -> None:
    coded = httpx.Response(400, json={"error": {"code": "unknown_field", "message": "ada@example.org"}})
    with pytest.raises(InvalidResponseError) as error:
        await get(Script(coded))

    assert (str(error.value), error.value.error_code) == ("GET /things answered 400 (unknown_field)", "unknown_field")
    with pytest.raises(InvalidResponseError) as error:
        await get(Script(httpx.Response(400, json={"error": "ada@example.org is not known"})))
    assert (str(error.value), error.value.error_code) == ("GET /things answered 400", "")


async def test_of_a_huge_error_only_the_start_is_read() -> None:
    chunks = Chunks([bytes(10_000)] * 1000)
    with pytest.raises(InvalidResponseError, match="answered 400"):
        await get(lambda _: httpx.Response(400, stream=chunks))

    assert chunks.taken < 10


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (OSError(111, "Connection refused"), "no reply (ConnectError: Connection refused)"),
        (OSError("http://user:password@proxy.test"), "no reply (ConnectError)"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate verify failed"),
    ],
)
async def test_an_unreachable_platform_is_told_by_its_cause_and_without_addresses(cause: OSError, said: str) -> None:
    error = httpx.ConnectError("http://user:password@proxy.test")
    error.__cause__ = cause
    with pytest.raises(UnreachableError, match=re.escape(said)) as told:
        await get(Script(error))

    assert "password" not in str(told.value)


async def test_messages_name_the_endpoint_and_never_the_query() -> None:
    for answer in (status(500), status(404), status(429), httpx.ReadTimeout("x"), httpx.ConnectError("x"), ok("x")):
        async with make_client(Script(answer)).session() as client:
            with pytest.raises(CollectError, match="GET /things") as error:
                await client.get_as(int, ENDPOINT, params={"query": "ada@example.org"})
            assert "ada" not in f"{error.value} {error.value.remedy}"


async def test_concurrent_requests_come_back_in_order_and_never_more_at_a_time_than_allowed() -> None:
    under_way, most = 0, 0

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return ok(int(request.url.params["n"]))

    async with make_client(handler, concurrency=3).session() as client:
        numbers = await client.concurrently(client.get_as(int, ENDPOINT, params={"n": n}) for n in range(20))

    assert numbers == list(range(20))
    assert most == 3


async def test_the_first_failure_ends_the_requests_beside_it() -> None:
    cancelled = asyncio.Event()

    async def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("bad"):
            return status(403)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ok()

    async with make_client(handler).session() as client:
        with pytest.raises(ForbiddenError):
            await client.concurrently([client.get("/waits"), client.get("/bad"), client.get("/waits")])

    assert cancelled.is_set()


async def test_cancellation_passes_through_and_frees_the_place() -> None:
    waits = asyncio.Event()

    async def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("waits"):
            waits.set()
            await asyncio.Event().wait()
        return ok(1)

    async with make_client(handler, concurrency=1).session() as client:
        task = asyncio.create_task(client.get("/waits"))
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.get_as(int, ENDPOINT) == 1
