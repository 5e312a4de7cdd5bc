"""How fast one target may be asked: requests per second, requests at a time, and pauses that it asks for."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime

from aiolimiter import AsyncLimiter

from exporter.errors import RateLimitedError

LONGEST_WAIT_SECONDS = 30.0
"""A longer pause ends the run: waiting would hold its deadline, and the schedule can wait for free."""

LONGEST_PAUSE_SECONDS = 86_400.0
"""No rate limit window is longer than a day; an answer that asks for more must not stop a target for good."""

UNREADABLE_PAUSE_SECONDS = 60.0
"""For a 429 whose Retry-After nobody understands: it asked for a pause."""

DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")

EPOCH_SECONDS_FROM = 1_000_000_000
"""X-RateLimit-Reset is a Unix time from here on (2001), and seconds from now below."""


class Pace:
    """The budget of one target, shared by all its collectors. `now` gives Unix time in seconds.

    `longest_wait_seconds` may be raised by a caller that has nothing better to do than to wait.
    """

    def __init__(
        self,
        requests_per_second: float,
        concurrency: int,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.paused_until = 0.0
        self.longest_wait_seconds = LONGEST_WAIT_SECONDS
        self._now = now
        self._sleep = sleep
        self._places = asyncio.Semaphore(concurrency)
        self._limiter = AsyncLimiter(concurrency, concurrency / requests_per_second)

    def pause(self, seconds: float) -> None:
        """Let no request start for `seconds` from now; a pause already longer stays."""
        self.paused_until = max(self.paused_until, self._now() + min(seconds, LONGEST_PAUSE_SECONDS))

    def remaining_pause_seconds(self) -> float:
        """Return how long the pause still lasts, 0 without one."""
        return max(0.0, self.paused_until - self._now())

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for the right to send one request, and hold a place among the concurrent ones until its body is read.

        Raises RateLimitedError at once when the platform's pause is too long to wait for.
        """
        async with self._places:
            while (pause_seconds := self.remaining_pause_seconds()) > 0:
                if pause_seconds > self.longest_wait_seconds:
                    raise RateLimitedError(
                        f"the platform asked for a pause of {pause_seconds:.0f} s more", wait_seconds=pause_seconds
                    )
                await self._sleep(pause_seconds)
            await self._limiter.acquire()
            yield


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Read `Retry-After`: seconds, with decimals as some servers send them, or a date of any form of RFC 9110.

    A date without a zone is that of C's asctime, and in UTC. Where the header stands repeatedly, the longest counts.
    None when absent or unreadable.
    """
    text = headers.get("retry-after", "")
    if text.count(",") <= 1 and (seconds := _retry_after_seconds(text, now)) is not None:
        return seconds
    told = [_retry_after_seconds(part, now) for part in text.split(",")]  # a date is one without its weekday too
    return max((seconds for seconds in told if seconds is not None), default=None)


def _retry_after_seconds(text: str, now: float) -> float | None:
    if DECIMAL.fullmatch(text.strip()):
        return min(float(text), LONGEST_PAUSE_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def reset_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Read how far away the end of the rate limit's window is (`X-RateLimit-Reset`); None when absent or unreadable."""
    reset = whole_number(headers, "x-ratelimit-reset")
    if reset is None:
        return None
    return max(0.0, reset - now) if reset >= EPOCH_SECONDS_FROM else float(reset)


def wait_seconds(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Return the pause that a reply asks for, None without one.

    Retry-After counts on 429 and 503; the end of the window on 429, and on any reply that used up the last request.
    """
    if status in (429, 503) and (asked := retry_after_seconds(headers, now)) is not None:
        return asked
    asked = None
    if status == 429 or whole_number(headers, "x-ratelimit-remaining") == 0:
        asked = reset_seconds(headers, now)
    if asked is None and status == 429 and "retry-after" in headers:
        return UNREADABLE_PAUSE_SECONDS
    return asked


def whole_number(headers: Mapping[str, str], name: str) -> int | None:
    """Return a header's value when it is a whole number of at most 12 digits, else None."""
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
