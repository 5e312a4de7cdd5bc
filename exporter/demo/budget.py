"""How many requests a platform of the demo organisation answers in a fixed window of time."""

from collections.abc import Callable
from datetime import datetime


class Budget:
    """`limit` requests, of all clients together, in each window of `window_seconds` since the Unix epoch."""

    def __init__(self, limit: int, window_seconds: int, now: Callable[[], datetime]) -> None:
        self._limit = limit
        self._window_seconds = window_seconds
        self._now = now
        self._window = 0
        self._used = 0

    def take(self) -> bool:
        """Counts one more request and says whether it may be answered."""
        window = int(self._now().timestamp()) // self._window_seconds
        if window != self._window:
            self._window, self._used = window, 0
        self._used += 1
        return self._used <= self._limit

    def headers(self) -> dict[str, str]:
        """The `X-RateLimit-*` headers after the last request taken; the reset is in Unix seconds."""
        return {
            "X-RateLimit-Limit": str(self._limit),
            "X-RateLimit-Remaining": str(max(0, self._limit - self._used)),
            "X-RateLimit-Reset": str((self._window + 1) * self._window_seconds),
        }
