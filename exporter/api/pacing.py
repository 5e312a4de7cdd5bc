"""How fast one target may be asked: requests per second, requests at a time, and pauses that it asks for.

A pause is of the whole target or, where the platform limits its endpoints one by one, of an endpoint (path template).
"""

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
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

WHOLE_TARGET = ""
"""Stands for all endpoints together where others stand for themselves: what has no limit of its own."""

DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")

WINDOW_END_TOLERANCE_SECONDS = 2.0
"""Ends of one window differ by as much when they are told in whole seconds from now."""

EPOCH_SECONDS_FROM = 1_000_000_000
"""X-RateLimit-Reset is a Unix time from here on (2001), and seconds from now below."""


class Pace:
    """The budget of one target, shared by all its collectors.

    `now` gives Unix time and `monotonic` seconds of a clock that nobody sets, by which pauses end.
    `longest_wait_seconds` may be raised by a caller that has nothing better to do than to wait; `on_wait` is told the
    seconds of every pause that is waited for, and the endpoint that waits.
    """

    def __init__(
        self,
        requests_per_second: float,
        concurrency: int,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.longest_wait_seconds = LONGEST_WAIT_SECONDS
        self.on_wait: Callable[[float, str], None] = lambda _seconds, _endpoint: None
        self._ends: dict[str, float] = {}
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep
        self._places = asyncio.Semaphore(concurrency)
        self._limiter = AsyncLimiter(concurrency, concurrency / requests_per_second)

    @property
    def pauses(self) -> Mapping[str, float]:
        """The Unix time at which the pause of each endpoint that had one ends or ended."""
        difference_seconds = self._now() - self._monotonic()
        return {endpoint: end + difference_seconds for endpoint, end in self._ends.items()}

    def pause(self, seconds: float, endpoint: str = WHOLE_TARGET) -> None:
        """Let no request to the endpoint start for `seconds` from now; a pause already longer stays."""
        end = self._monotonic() + min(seconds, LONGEST_PAUSE_SECONDS)
        self._ends[endpoint] = max(self._ends.get(endpoint, end), end)

    def remaining_pause_seconds(self, endpoints: Collection[str] = ()) -> float:
        """Return how long the longest pause of the target or of one of the endpoints still lasts, 0 without one."""
        ends = [self._ends[endpoint] for endpoint in (WHOLE_TARGET, *endpoints) if endpoint in self._ends]
        return max(0.0, max(ends) - self._monotonic()) if ends else 0.0

    def paused_until(self, endpoint: str) -> float:
        """Return the Unix time at which the endpoint's own pause ends, 0 without one."""
        left_seconds = self._ends.get(endpoint, -math.inf) - self._monotonic()
        return self._now() + left_seconds if left_seconds > 0 else 0.0

    @asynccontextmanager
    async def place(self, endpoint: str = WHOLE_TARGET) -> AsyncIterator[None]:
        """Wait for the right to send one request, and hold a place among the concurrent ones until its body is read.

        Raises RateLimitedError at once when the platform's pause is too long to wait for.
        """
        while True:
            while (pause_seconds := self.remaining_pause_seconds((endpoint,))) > 0:
                if pause_seconds > self.longest_wait_seconds:
                    what = f" of requests to {endpoint}" if pause_seconds > self.remaining_pause_seconds() else ""
                    raise RateLimitedError(
                        f"the platform asked for a pause{what} of {pause_seconds:.0f} s more",
                        wait_seconds=pause_seconds,
                    )
                self.on_wait(pause_seconds, endpoint)
                await self._sleep(pause_seconds)  # without a place, which requests to other endpoints may need
            async with self._places:
                if self.remaining_pause_seconds((endpoint,)):
                    continue
                await self._limiter.acquire()
                yield
                return


@dataclass(slots=True)
class Window:
    """A window of a rate limit that ends at a time (Unix), and how many replies in it were to this process.

    `replies` is None when the end moved before it was reached: then nobody can say where the window began.
    """

    ends_at: float
    replies: int | None = 0

    def count(self, ends_at: float, now: float) -> None:
        """Count a reply that tells when the window ends, which may be another one by now."""
        if abs(ends_at - self.ends_at) > WINDOW_END_TOLERANCE_SECONDS:
            self.replies = 0 if now >= self.ends_at else None
            self.ends_at = ends_at
        if self.replies is not None:
            self.replies += 1


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
