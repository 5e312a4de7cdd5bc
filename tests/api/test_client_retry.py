"""What the client asks again, how often, and how long it waits: by a clock that nobody waits for."""

from collections.abc import Callable

import httpx
import pytest
from prometheus_client import CollectorRegistry

from exporter.api.client import BACKOFF_SECONDS, MAX_TRIES
from exporter.api.reply import Reply
from exporter.errors import (
    CollectError,
    DeadlineError,
    ForbiddenError,
    InvalidResponseError,
    NotFoundError,
    RateLimitedError,
    RedirectError,
    ServerError,
    UnauthorizedError,
    UnreachableError,
)
from tests.fakes import NOW_SECONDS, Answer, Clock, Handler, Script, make_client, ok, status

ENDPOINT = "/things"


async def get(handler: Handler, clock: Clock | None = None) -> Reply:
    async with make_client(handler, clock=clock).session() as client:
        return await client.get(ENDPOINT)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (204, InvalidResponseError),
        (302, RedirectError),
        (400, InvalidResponseError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (422, InvalidResponseError),
        (501, ServerError),
    ],
)
async def test_what_another_try_cannot_mend_is_asked_once(code: int, error: type[CollectError]) -> None:
    script = Script(status(code))
    with pytest.raises(error, match=f"GET /things answered {code}"):
        await get(script)

    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(429), RateLimitedError),
        (status(500), ServerError),
        (status(502), ServerError),
        (status(503), ServerError),
        (status(504), ServerError),
        (httpx.ConnectError("refused"), UnreachableError),
        (httpx.RemoteProtocolError("cut"), UnreachableError),
        (httpx.ReadError("reset"), UnreachableError),
        (httpx.ConnectTimeout("slow"), DeadlineError),
        (httpx.ReadTimeout("slow"), DeadlineError),
    ],
)
async def test_what_may_pass_is_asked_three_times_at_most(answer: Answer, error: type[CollectError]) -> None:
    script = Script(answer)
    clock = Clock()
    with pytest.raises(error):
        await get(script, clock)

    assert len(script.requests) == MAX_TRIES == 3
    assert (await get(Script(answer, ok(1)))).body == b"1"
    assert (await get(Script(answer, answer, ok(1)))).body == b"1"


async def test_tries_are_counted_together_whatever_the_reasons() -> None:
    script = Script(status(429), httpx.ReadTimeout("slow"), status(500), ok())
    with pytest.raises(ServerError):
        await get(script)

    assert len(script.requests) == 3


async def test_waits_between_tries_are_random_below_their_bounds() -> None:
    seen = set()
    for _ in range(20):
        clock = Clock()
        with pytest.raises(ServerError):
            await get(Script(status(500)), clock)
        assert len(clock.slept) == 2
        assert all(0 <= wait <= bound for wait, bound in zip(clock.slept, BACKOFF_SECONDS, strict=True))
        seen.add(clock.slept[0])

    assert len(seen) > 10


@pytest.mark.parametrize(
    "headers",
    [
        {"retry_after": "7"},
        {"retry_after": "Fri, 15 Jan 2027 08:00:07 GMT"},
        {"x_ratelimit_reset": f"{NOW_SECONDS + 7:.0f}"},
        {"x_ratelimit_reset": "7"},
    ],
)
async def test_a_short_pause_is_waited_for(headers: dict[str, str]) -> None:
    clock = Clock()
    script = Script(status(429, **headers), ok())
    await get(script, clock)

    assert len(script.requests) == 2
    assert clock.seconds - NOW_SECONDS == pytest.approx(7)


@pytest.mark.parametrize("retry_after", ["soon", "-5"])
async def test_a_429_that_asks_for_a_pause_in_words_that_nobody_reads_gets_a_minute(retry_after: str) -> None:
    clock = Clock()
    client = make_client(Script(status(429, retry_after=retry_after)), clock=clock)
    async with client.session():
        with pytest.raises(RateLimitedError):
            await client.get("/things")

    assert client.pace.remaining_pause_seconds() == pytest.approx(60)


@pytest.mark.parametrize("headers", [{}, {"x_ratelimit_reset": "x"}])
async def test_a_429_that_does_not_say_how_long_pauses_for_a_second(headers: dict[str, str]) -> None:
    clock = Clock()
    await get(Script(status(429, **headers), ok()), clock)

    assert clock.seconds - NOW_SECONDS == pytest.approx(1)


@pytest.mark.parametrize("retry_after", ["0", "Fri, 15 Jan 2027 07:00:00 GMT"])
async def test_a_pause_that_is_over_is_none(retry_after: str) -> None:
    clock = Clock()
    await get(Script(status(429, retry_after=retry_after), ok()), clock)

    assert clock.seconds - NOW_SECONDS <= BACKOFF_SECONDS[0]


async def test_a_pause_of_30_s_is_waited_for_and_a_longer_one_ends_the_run() -> None:
    """The longer one is told, with its length, and no further request is sent while it lasts."""
    clock = Clock()
    await get(Script(status(429, retry_after="30"), ok()), clock)
    assert clock.seconds - NOW_SECONDS == pytest.approx(30)

    script = Script(status(429, retry_after="31"), ok())
    clock = Clock()
    client = make_client(script, clock=clock)
    async with client.session():
        with pytest.raises(RateLimitedError) as first:
            await client.get(ENDPOINT)
        with pytest.raises(RateLimitedError, match="asked for a pause of 31 s more"):
            await client.get("/others")

    assert first.value.wait_seconds == 31
    assert client.pace.remaining_pause_seconds() == 31
    assert (len(script.requests), clock.slept) == (1, [])


async def test_a_503_with_a_long_pause_is_no_rate_limit_but_pauses_too() -> None:
    script = Script(status(503, retry_after="120"))
    client = make_client(script)
    async with client.session():
        with pytest.raises(ServerError):
            await client.get(ENDPOINT)

    assert len(script.requests) == 1
    assert client.pace.remaining_pause_seconds() == 120


def used_up(reset_in: float = 600) -> Callable[[httpx.Request], httpx.Response]:
    """Refuse everything of one path, whose window has used up 300 requests, and answer the rest."""

    def handler(request: httpx.Request) -> httpx.Response:
        is_full = request.url.path.endswith(ENDPOINT)
        headers = {
            "X-RateLimit-Limit": "300",
            "X-RateLimit-Remaining": "0" if is_full else "299",
            "X-RateLimit-Reset": f"{NOW_SECONDS + reset_in:.0f}",
        }
        return httpx.Response(429 if is_full else 200, json=[], headers=headers)

    return handler


async def test_the_used_up_window_of_an_endpoint_pauses_that_endpoint_alone() -> None:
    """PYBOSSA counts 300 requests in 15 minutes for each endpoint by itself."""
    registry = CollectorRegistry()
    client = make_client(used_up(), registry=registry, limit_of=lambda endpoint: endpoint)
    async with client.session():
        with pytest.raises(RateLimitedError):
            await client.get(ENDPOINT)
        assert (await client.get("/others")).body == b"[]"
        with pytest.raises(RateLimitedError, match=f"a pause of requests to {ENDPOINT} of 600 s more"):
            await client.get(ENDPOINT)

    assert client.pace.pauses == {ENDPOINT: NOW_SECONDS + 600}
    assert {endpoint: quota.remaining for endpoint, quota in client.quotas.items()} == {ENDPOINT: 0, "/others": 299}
    for endpoint, remaining in ((ENDPOINT, 0), ("/others", 299)):
        labels = {"target": "site", "platform": "fake", "endpoint": endpoint}
        assert registry.get_sample_value("engagement_api_rate_limit_remaining", labels) == remaining
        assert registry.get_sample_value("engagement_api_rate_limit", labels) == 300


async def test_the_used_up_window_of_a_target_pauses_all_of_it() -> None:
    client = make_client(used_up())
    async with client.session():
        with pytest.raises(RateLimitedError):
            await client.get(ENDPOINT)
        with pytest.raises(RateLimitedError, match="asked for a pause of 600 s more"):
            await client.get("/others")


async def test_a_503_is_of_the_whole_server_also_where_endpoints_have_limits_of_their_own() -> None:
    client = make_client(Script(status(503, retry_after="120")), limit_of=lambda endpoint: endpoint)
    async with client.session():
        with pytest.raises(ServerError):
            await client.get(ENDPOINT)

    assert client.pace.pauses == {"": NOW_SECONDS + 120}


async def test_the_remedy_says_that_others_used_the_window_up() -> None:
    client = make_client(used_up(), limit_of=lambda endpoint: endpoint)
    async with client.session():
        for _ in range(2):  # refused by the platform, then held back before it is asked
            with pytest.raises(RateLimitedError) as caught:
                await client.get(ENDPOINT)
            assert caught.value.remedy.startswith(
                f"this process sent only 1 of the 300 requests that the window allows to {ENDPOINT}: others who ask"
            )


async def test_the_remedy_says_that_we_used_the_window_up() -> None:
    left = [ok(1, x_ratelimit_limit="4", x_ratelimit_remaining=str(n), x_ratelimit_reset="90") for n in (3, 2, 1)]
    full = status(429, x_ratelimit_limit="4", x_ratelimit_remaining="0", x_ratelimit_reset="90")
    client = make_client(Script(*left, full))
    async with client.session():
        for _ in left:
            await client.get(ENDPOINT)
        with pytest.raises(RateLimitedError) as caught:
            await client.get(ENDPOINT)

    assert caught.value.remedy.startswith(
        "this process sent 4 of the 4 requests that the window allows: lengthen the intervals"
    )


async def test_without_the_end_of_the_window_the_remedy_blames_nobody() -> None:
    client = make_client(Script(status(429, retry_after="90", x_ratelimit_limit="4", x_ratelimit_remaining="0")))
    async with client.session():
        with pytest.raises(RateLimitedError) as caught:
            await client.get(ENDPOINT)

    assert caught.value.remedy == RateLimitedError.remedy


@pytest.mark.parametrize("code", [429, 503])
async def test_no_pause_is_longer_than_a_day(code: int) -> None:
    client = make_client(Script(status(code, retry_after="99999999999999")))
    async with client.session():
        with pytest.raises((RateLimitedError, ServerError)):
            await client.get(ENDPOINT)

    assert client.pace.remaining_pause_seconds() == 86_400


async def test_the_last_request_of_a_window_is_answered_and_the_next_waits_for_the_new_window() -> None:
    clock = Clock()
    used_up = ok(1, x_ratelimit_remaining="0", x_ratelimit_reset=f"{NOW_SECONDS + 20:.0f}")
    async with make_client(Script(used_up, ok(2)), clock=clock).session() as client:
        assert (await client.get(ENDPOINT)).body == b"1"
        assert clock.seconds == NOW_SECONDS
        assert (await client.get(ENDPOINT)).body == b"2"

    assert clock.seconds == NOW_SECONDS + 20


async def test_a_used_up_window_without_an_end_is_no_pause() -> None:
    clock = Clock()
    async with make_client(Script(ok(1, x_ratelimit_remaining="0")), clock=clock).session() as client:
        await client.get(ENDPOINT)
        await client.get(ENDPOINT)

    assert clock.slept == []
