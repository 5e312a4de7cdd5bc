"""The client of one target: every request of its collectors goes through here."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from exporter import __version__
from exporter.api.auth import ClientCredentials
from exporter.api.body import ACCEPTED_CODING
from exporter.api.pacing import WHOLE_TARGET, Pace, Window, reset_seconds, wait_seconds, whole_number
from exporter.api.reply import Reply, decode
from exporter.api.run import current_run
from exporter.api.status import RETRIED_STATUSES, error_code, error_for
from exporter.api.transport import ENDPOINT, Gate, GatedTransport, same_origin
from exporter.errors import (
    DeadlineError,
    InvalidResponseError,
    ProxyLoginError,
    RateLimitedError,
    ServerError,
    UnreachableError,
)
from exporter.self_metrics import ApiMetrics

T = TypeVar("T")

USER_AGENT = f"engagement-exporter/{__version__}"
MAX_TRIES = 3
MAX_ERROR_BODY_BYTES = 64 * 2**10
CONNECT_TIMEOUT_SECONDS = 10.0
SILENCE_TIMEOUT_SECONDS = 120.0
"""A reply may take this long between two pieces; 360Learning's v1 lists are computed whole before the first byte."""
BACKOFF_SECONDS = (1.0, 4.0)
"""Upper bounds of the random waits before the second and the third try (full jitter)."""

Params = Mapping[str, str | int] | Sequence[tuple[str, str | int]]
NO_PARAMS: Params = {}
NO_IDS: Mapping[str, str | int] = {}


@dataclass(frozen=True, slots=True)
class Access:
    """How a platform is reached: `base_url` without trailing slash, who asks, and headers for every request."""

    base_url: str
    auth: httpx.Auth | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quota:
    """What the platform last said of its rate limit's window; None for what it did not say. `at` is Unix time."""

    limit: int | None
    remaining: int | None
    at: float


class Client:
    """Sends GET requests for one target within its budget and turns every failure into a CollectError.

    Connections live as long as a `session`, which a run opens: a thousand targets that rest hold no sockets. The
    pauses, the pace and the OAuth2 token outlive it. `limit_of` names the limit that counts requests to an endpoint:
    the endpoint itself, or WHOLE_TARGET; `quotas` are by limit.
    """

    def __init__(
        self,
        target: str,
        platform: str,
        access: Access,
        pace: Pace,
        *,
        transport: Callable[[], httpx.AsyncBaseTransport],
        metrics: ApiMetrics,
        max_body_bytes: int = 64 * 2**20,
        limit_of: Callable[[str], str] = lambda _endpoint: WHOLE_TARGET,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.pace = pace
        self.quotas: dict[str, Quota] = {}
        self.target = target
        self._platform = platform
        self._access = access
        self._base_url = httpx.URL(access.base_url)
        self._transport = transport
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._limit_of = limit_of
        self._windows: dict[str, Window] = {}
        self._now = now
        self._sleep = sleep
        self._http: httpx.AsyncClient | None = None
        self._sessions = 0

    @asynccontextmanager
    async def session(self) -> AsyncIterator["Client"]:
        """Keep connections open for the time of a run; runs of several collectors at once share them."""
        if self._http is None:
            self._http = self._new_http()
        http = self._http
        self._sessions += 1
        try:
            yield self
        finally:
            self._sessions -= 1
            if not self._sessions:
                self._http = None
                await http.aclose()

    def _new_http(self) -> httpx.AsyncClient:
        auth = self._access.auth
        token_url = httpx.URL(auth.token_url) if isinstance(auth, ClientCredentials) else None
        transport = GatedTransport(
            self._transport(),
            Gate(self._base_url, token_url),
            self._max_body_bytes,
            self._metrics,
            self.target,
            self._platform,
        )
        return httpx.AsyncClient(
            transport=transport,
            auth=auth,
            headers={
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                "Accept-Encoding": ACCEPTED_CODING,
                **self._access.headers,
            },
            timeout=httpx.Timeout(SILENCE_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            trust_env=False,
            follow_redirects=False,
            event_hooks={"response": [self._heed]},  # also for the replies that only `auth` sees
        )

    async def get(self, endpoint: str, *, ids: Mapping[str, str | int] = NO_IDS, params: Params = NO_PARAMS) -> Reply:
        """GET a path template such as `/groups/{group}/statistics`, filled in from `ids`; `params` make the query.

        Brackets in the names of `params` are sent as they are, as filters like `status[eq]` want it.
        Raises the CollectError that fits; never an httpx exception.
        """
        path = endpoint.format_map({name: quote(str(value), safe="") for name, value in ids.items()})
        query = urlencode(params, safe="[]:")
        return await self._get_with_retry(endpoint, self._access.base_url + path + ("?" + query if query else ""))

    async def get_as(
        self, of: type[T], endpoint: str, *, ids: Mapping[str, str | int] = NO_IDS, params: Params = NO_PARAMS
    ) -> T:
        """GET and decode; see `get` and `exporter.api.reply.decode`."""
        return decode(await self.get(endpoint, ids=ids, params=params), of)

    async def follow(self, endpoint: str, link: str, current_url: str) -> Reply:
        """GET the next page that the platform named, absolute or relative to `current_url`, at the target's own origin.

        A server behind a proxy may know itself by another scheme, host or port, so that of a link to the path asked for
        only path and query count. Raises InvalidResponseError for any other that leaves the target's origin.
        """
        try:
            current = httpx.URL(current_url)
            url = current.join(link)
        except (httpx.InvalidURL, ValueError):
            raise InvalidResponseError(f"GET {endpoint}: the link to the next page is not a URL") from None
        if not same_origin(url, self._base_url):
            if url.path != current.path:
                raise InvalidResponseError(
                    f"GET {endpoint}: the link to the next page leads to another path at another origin, so it was not"
                    " followed",
                    remedy="let the proxy before the platform tell it under which address it is reached"
                    " (X-Forwarded-Proto, X-Forwarded-Host)",
                )
            url = current.copy_with(query=url.query)
        return await self._get_with_retry(endpoint, str(url))

    async def concurrently(self, requests: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
        """Await many requests, results in their order, at the target's pace. The first failure cancels the rest."""
        tasks = [asyncio.ensure_future(request) for request in requests]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _get_with_retry(self, endpoint: str, url: str) -> Reply:
        tries = AsyncRetrying(
            retry=retry_if_exception(self._may_pass),
            stop=stop_after_attempt(MAX_TRIES),
            wait=self._backoff_seconds,
            sleep=self._sleep,
            before_sleep=lambda _: self._metrics.retries.labels(self.target, self._platform).inc(),
            reraise=True,
        )
        return await tries(self._get_once, endpoint, url)

    def _may_pass(self, error: BaseException) -> bool:
        """True for a failure that another try soon may not meet again."""
        longest_seconds = self.pace.longest_wait_seconds
        if isinstance(error, RateLimitedError | ServerError) and (error.wait_seconds or 0) > longest_seconds:
            return False
        if isinstance(error, ServerError):
            return error.status in RETRIED_STATUSES
        return isinstance(error, UnreachableError | DeadlineError | RateLimitedError)

    def _backoff_seconds(self, state: RetryCallState) -> float:
        """Full jitter; a pause that the platform asked for is waited for in `Pace.place`, by all requests alike."""
        # tenacity asks for the wait before it looks whether to stop, so after the last try as well
        bound = BACKOFF_SECONDS[min(state.attempt_number, len(BACKOFF_SECONDS)) - 1]
        return random.uniform(0, bound)  # noqa: S311 - jitter, not a secret

    async def _get_once(self, endpoint: str, url: str) -> Reply:
        limit = self._limit_of(endpoint)
        try:
            async with self.pace.place(limit):
                return await self._send(endpoint, url)
        except RateLimitedError as error:
            error.remedy = self._limit_remedy(limit) or error.remedy
            raise

    async def _send(self, endpoint: str, url: str) -> Reply:
        try:
            return await self._exchange(endpoint, url)
        except httpx.TimeoutException as error:
            raise DeadlineError(f"GET {endpoint}: no reply in time ({type(error).__name__})") from None
        except httpx.InvalidURL:
            raise InvalidResponseError(f"GET {endpoint}: an id from the platform makes no URL") from None
        except (httpx.TransportError, OSError) as error:
            if isinstance(error, httpx.ProxyError) and str(error).startswith("407 "):  # answered to CONNECT
                raise ProxyLoginError(f"GET {endpoint}: the proxy asks for a login (407)") from None
            raise UnreachableError(f"GET {endpoint}: {_reason(error)}") from None

    async def _exchange(self, endpoint: str, url: str) -> Reply:
        if self._http is None:
            raise RuntimeError("requests belong into a session")
        async with self._http.stream("GET", url, extensions={ENDPOINT: endpoint}) as response:
            if response.status_code != 200:
                wait = wait_seconds(response.status_code, response.headers, self._now())
                code = error_code(await _start_of_body(response)) if response.status_code == 400 else ""
                raise error_for("GET", endpoint, response.status_code, response.headers, wait, code)
            body = await response.aread()
            current_run().count_page()
            return Reply(endpoint, str(response.url), response.headers, body)

    async def _heed(self, response: httpx.Response) -> None:
        """Take note of what the platform says about the rate limit of the endpoint, and pause if it asks for that.

        A 503 speaks of the whole server.
        """
        now, headers = self._now(), response.headers
        endpoint = self._limit_of(response.request.extensions.get(ENDPOINT, WHOLE_TARGET))
        labels = (self.target, self._platform, endpoint)
        limit = whole_number(headers, "x-ratelimit-limit")
        remaining = whole_number(headers, "x-ratelimit-remaining")
        if limit is not None:
            self._metrics.rate_limit.labels(*labels).set(limit)
        if remaining is not None:
            self._metrics.rate_limit_remaining.labels(*labels).set(remaining)
        if limit is not None or remaining is not None:
            self.quotas[endpoint] = Quota(limit, remaining, now)
        if (reset := reset_seconds(headers, now)) is not None:
            self._windows.setdefault(endpoint, Window(now + reset)).count(now + reset, now)
        wait = wait_seconds(response.status_code, headers, now)
        if wait is None and response.status_code == 429:
            wait = 1.0
        if wait:
            self.pace.pause(wait, WHOLE_TARGET if response.status_code == 503 else endpoint)

    def _limit_remedy(self, endpoint: str) -> str:
        """Say who used up the window of the limit, empty if the platform does not tell enough for that."""
        quota, window = self.quotas.get(endpoint), self._windows.get(endpoint)
        if quota is None or quota.limit is None or window is None or window.replies is None:
            return ""
        share = f"{window.replies} of the {quota.limit} requests that the window allows" + (
            f" to {endpoint}" if endpoint else ""
        )
        if 2 * window.replies >= quota.limit:
            return f"this process sent {share}: lengthen the intervals of the collectors that ask there"
        return (
            f"this process sent only {share}: others who ask with the same key or from the same address sent the rest"
        )


async def _start_of_body(response: httpx.Response) -> bytes:
    """Read the body of an error up to the cap, beyond which it is no short JSON object anyway."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ERROR_BODY_BYTES:
            break
    return bytes(body[:MAX_ERROR_BODY_BYTES])


def _reason(error: Exception) -> str:
    """Say what broke without the address: messages of the operating system may hold a proxy's password."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    text = cause.strerror if isinstance(cause, OSError) else None
    return f"no reply ({type(error).__name__}{': ' + text if text else ''})"
