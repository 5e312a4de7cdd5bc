"""The three ways of saying who asks, as the platform sees them on the wire."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from exporter.api.auth import ClientCredentials, HeaderKey, bearer
from exporter.api.client import USER_AGENT, Access, Client
from exporter.errors import (
    CollectError,
    InvalidResponseError,
    RateLimitedError,
    ServerError,
    UnauthorizedError,
    UnreachableError,
)
from exporter.settings import Secret
from tests.fakes import Clock, Script, make_client, ok, status

TOKEN_URL = "https://site.test/oauth2/token"


async def get(client: Client) -> bytes:
    async with client.session():
        return (await client.get("/things")).body


def write(path: Path, text: str, age_seconds: int) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (age_seconds, age_seconds))


async def test_a_key_travels_in_its_header_with_those_that_belong_to_it() -> None:
    script = Script(ok())
    auth = HeaderKey("X-apiKey", Secret("k"), others={"X-company-id": "c"})
    await get(make_client(script, Access("https://site.test", auth)))

    assert (script.requests[0].headers["X-apiKey"], script.requests[0].headers["X-company-id"]) == ("k", "c")
    assert "k" not in script.requests[0].url.query.decode()


async def test_a_token_travels_as_bearer() -> None:
    script = Script(ok())
    await get(make_client(script, Access("https://site.test", bearer(Secret("t")))))

    assert script.requests[0].headers["Authorization"] == "Bearer t"


async def test_a_refused_key_that_did_not_change_is_sent_once(tmp_path: Path) -> None:
    write(tmp_path / "key", "old", 1)
    script = Script(status(401))
    auth = bearer(Secret(path=tmp_path / "key"))
    with pytest.raises(UnauthorizedError, match="GET /things answered 401"):
        await get(make_client(script, Access("https://site.test", auth)))

    assert len(script.requests) == 1


async def test_a_refused_key_whose_file_changed_is_tried_anew_once(tmp_path: Path) -> None:
    """The file is replaced while the request with the old key is under way; a second refusal is final."""
    path = tmp_path / "key"
    write(path, "old", 1)
    keys: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Authorization"])
        if keys[-1] == "Bearer good":
            return ok()
        write(path, "good" if len(keys) == 1 else "never", len(keys) + 1)
        return status(401)

    client = make_client(handler, Access("https://site.test", bearer(Secret(path=path))))
    await get(client)
    assert keys == ["Bearer old", "Bearer good"]

    keys[:] = ["Bearer x"]
    write(path, "bad", 99)
    with pytest.raises(UnauthorizedError):
        await get(client)
    assert keys == ["Bearer x", "Bearer bad", "Bearer never"]


async def test_a_key_file_that_is_replaced_between_runs_is_read_anew_and_one_that_vanished_is_kept(
    tmp_path: Path,
) -> None:
    path = tmp_path / "key"
    write(path, "first\n", 1)
    script = Script(ok())
    client = make_client(script, Access("https://site.test", bearer(Secret(path=path))))
    await get(client)
    write(path, "second", 2)
    await get(client)
    path.unlink()
    await get(client)

    assert [request.headers["Authorization"][7:] for request in script.requests] == ["first", "second", "second"]


async def test_a_key_file_that_never_was_usable_is_an_unauthorized_run_without_a_request(tmp_path: Path) -> None:
    script = Script(ok())
    auth = bearer(Secret(path=tmp_path / "missing"))
    with pytest.raises(UnauthorizedError, match="credential the file cannot be used"):
        await get(make_client(script, Access("https://site.test", auth)))

    assert script.requests == []


class TokenSite:
    """A platform with a token endpoint: each token is good until `revoke`, and every request is kept."""

    def __init__(self, **reply: object) -> None:
        self.clock = Clock()
        self.tokens = 0
        self.revoked_below = 0
        self.seen: list[str] = []
        self.token_answer: Callable[[], httpx.Response] | None = None
        self._reply = reply

    def client(self, secret: Secret | None = None, *, concurrency: int = 4) -> Client:
        auth = ClientCredentials(TOKEN_URL, Secret("id"), secret or Secret("secret"), self.clock.now)
        return make_client(self, Access("https://site.test", auth), self.clock, concurrency=concurrency)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if request.method == "POST":
            self.seen.append("POST")
            assert request.url == TOKEN_URL
            return self.token_answer() if self.token_answer else self.grant()
        token = request.headers["Authorization"]
        self.seen.append(token)
        return ok(1) if int(token.removeprefix("Bearer t")) > self.revoked_below else status(401)

    def grant(self) -> httpx.Response:
        self.tokens += 1
        return ok({"token_type": "Bearer", "access_token": f"t{self.tokens}"} | self._reply)

    def revoke(self) -> None:
        self.revoked_below = self.tokens


async def test_the_grant_is_json_with_the_credentials_in_the_body_only() -> None:
    script = Script(ok({"access_token": "t", "expires_in": 3600}), ok())
    auth = ClientCredentials(TOKEN_URL, Secret("id"), Secret("secret"), Clock().now)
    await get(make_client(script, Access("https://site.test", auth)))

    grant, request = script.requests
    assert (grant.method, str(grant.url)) == ("POST", TOKEN_URL)
    assert json.loads(grant.content) == {
        "grant_type": "client_credentials",
        "client_id": "id",
        "client_secret": "secret",
    }
    assert grant.headers["Content-Type"] == "application/json"
    assert "Authorization" not in grant.headers
    assert request.headers["Authorization"] == "Bearer t"


async def test_the_grant_comes_from_the_same_client_and_cannot_unfold_beyond_the_body_cap() -> None:
    script = Script(ok({"access_token": "t", "expires_in": 3600}), ok())
    auth = ClientCredentials(TOKEN_URL, Secret("id"), Secret("secret"), Clock().now)
    await get(make_client(script, Access("https://site.test", auth)))

    grant, request = script.requests
    assert grant.headers["User-Agent"] == request.headers["User-Agent"] == USER_AGENT
    assert grant.headers["Accept-Encoding"] == "identity"
    assert grant.extensions["timeout"] == request.extensions["timeout"]


@pytest.mark.parametrize(
    ("reply", "life_seconds"),
    [
        ({"expires_in": 7200}, 7200),
        ({"expires_in": "7200"}, 7200),
        ({"expires_in": 7200.5}, 7200.5),
        ({"expires_in": None}, 3600),
        ({}, 3600),
    ],
)
async def test_a_token_is_renewed_before_it_expires_and_not_earlier_than_needed(
    reply: dict[str, object], life_seconds: float
) -> None:
    """Its life may be told as a number, as a text, or not at all."""
    site = TokenSite(**reply)
    client = site.client()
    await get(client)
    site.clock.seconds += 0.89 * life_seconds
    await get(client)
    assert site.seen == ["POST", "Bearer t1", "Bearer t1"]

    site.clock.seconds += 0.02 * life_seconds
    await get(client)
    assert site.seen[3:] == ["POST", "Bearer t2"]


@pytest.mark.parametrize(
    "reply",
    [
        {"expires_in": "soon"},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": "nan"},
        {"expires_in": True},
        {"expires_in": []},
        {"access_token": ""},
        {"access_token": "line\nbreak"},
        {"access_token": "tökén"},
        {"access_token": 7},
        {"access_token": None},
    ],
)
async def test_a_grant_that_makes_no_sense_is_an_invalid_reply(reply: dict[str, object]) -> None:
    site = TokenSite(**reply)
    with pytest.raises(InvalidResponseError, match="POST /oauth2/token"):
        await get(site.client())

    assert site.seen == ["POST"]


@pytest.mark.parametrize(
    ("answer", "error", "posts"),
    [
        (status(400), UnauthorizedError, 1),
        (status(401), UnauthorizedError, 1),
        (status(403), UnauthorizedError, 1),
        (status(404), InvalidResponseError, 1),
        (status(302, location="https://elsewhere.test/"), InvalidResponseError, 1),
        (status(200), InvalidResponseError, 1),
        (ok([]), InvalidResponseError, 1),
        (ok({"token_type": "Bearer"}), InvalidResponseError, 1),
        (status(429), RateLimitedError, 3),
        (status(429, retry_after="31"), RateLimitedError, 1),
        (status(500), ServerError, 3),
        (status(503), ServerError, 3),
        (httpx.ConnectError("refused"), UnreachableError, 3),
    ],
)
async def test_what_the_token_endpoint_answers_is_the_state_of_the_run(
    answer: httpx.Response | Exception, error: type[CollectError], posts: int
) -> None:
    """Tries are not multiplied by the token request: it is sent three times at most, and nothing else is sent."""
    script = Script(answer)
    auth = ClientCredentials(TOKEN_URL, Secret("id"), Secret("secret"), Clock().now)
    with pytest.raises(error):
        await get(make_client(script, Access("https://site.test", auth)))

    assert script.methods == ["POST"] * posts


async def test_the_token_endpoints_pause_is_waited_for() -> None:
    site = TokenSite()
    answers = iter([status(429, retry_after="12")])
    site.token_answer = lambda: next(answers, None) or site.grant()
    started = site.clock.now()
    await get(site.client())

    assert site.clock.now() - started == pytest.approx(12)
    assert site.seen == ["POST", "POST", "Bearer t1"]


async def test_twenty_requests_that_find_no_token_ask_for_one() -> None:
    site = TokenSite()
    client = site.client(concurrency=20)
    async with client.session():
        await client.concurrently(client.get("/things") for _ in range(20))

    assert sorted(site.seen) == ["Bearer t1"] * 20 + ["POST"]


async def test_twenty_requests_whose_token_is_refused_ask_for_one() -> None:
    site = TokenSite()
    client = site.client(concurrency=20)
    async with client.session():
        await client.get("/things")
        site.revoke()
        await client.concurrently(client.get("/things") for _ in range(20))

    assert sorted(site.seen[2:]) == ["Bearer t1"] * 20 + ["Bearer t2"] * 20 + ["POST"]


async def test_a_new_token_that_is_refused_too_is_the_end() -> None:
    site = TokenSite()
    site.revoked_below = 99
    with pytest.raises(UnauthorizedError, match="GET /things answered 401"):
        await get(site.client())

    assert site.seen == ["POST", "Bearer t1", "POST", "Bearer t2"]


async def test_when_renewal_fails_no_request_is_sent_without_a_token() -> None:
    """The state is what the token endpoint said, for every request that waited for the token."""
    site = TokenSite()
    client = site.client()
    async with client.session():
        await client.get("/things")
        site.revoke()
        site.token_answer = lambda: status(404)
        results = await asyncio.gather(*(client.get("/things") for _ in range(4)), return_exceptions=True)

    assert {str(result) for result in results} == {"POST /oauth2/token answered 404"}
    assert set(site.seen) == {"POST", "Bearer t1"}


async def test_a_changed_secret_is_used_for_the_next_token(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write(path, "old", 1)
    site = TokenSite()
    client = site.client(Secret(path=path))
    await get(client)
    site.revoke()
    write(path, "new", 2)
    await get(client)

    assert site.seen == ["POST", "Bearer t1", "Bearer t1", "POST", "Bearer t2"]


async def test_a_token_outlives_the_session() -> None:
    site = TokenSite()
    client = site.client()
    await get(client)
    await get(client)

    assert site.seen.count("POST") == 1


async def test_a_cancelled_renewal_leaves_the_lock_free() -> None:
    asked = asyncio.Event()
    hang = True

    async def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and hang:
            asked.set()
            await asyncio.Event().wait()
        return ok({"access_token": "t"})

    auth = ClientCredentials(TOKEN_URL, Secret("id"), Secret("secret"), Clock().now)
    client = make_client(handler, Access("https://site.test", auth))
    async with client.session():
        task = asyncio.create_task(client.get("/things"))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hang = False
        await client.get("/things")


@pytest.mark.parametrize("answer", [status(400), status(500), ok({"access_token": ""}), httpx.ConnectError("secret-s")])
async def test_no_error_of_the_token_endpoint_shows_the_secret(answer: httpx.Response | Exception) -> None:
    auth = ClientCredentials(TOKEN_URL, Secret("client-i"), Secret("secret-s"), Clock().now)
    with pytest.raises(CollectError) as error:
        await get(make_client(Script(answer), Access("https://site.test", auth)))

    assert "secret-s" not in f"{error.value!r} {error.value} {error.value.remedy} {auth!r}"
