"""What is written of the exporter for people and programs besides the metrics: in one thread, at most once a second."""

import asyncio
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor

from exporter.web.status import Observation, Observed, observe

FRESH_SECONDS = 1.0


class Reports:
    """Writes documents about `view`, each from one moment, in a thread of their own beside which scrapes go on.

    However many clients ask, a document is written once a second: those who come meanwhile get the same bytes. A new
    configuration is shown at once.
    """

    def __init__(self, view: Observed, clock: Callable[[], float] = time.monotonic) -> None:
        self._view = view
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "report")
        self._seen: Observation | None = None
        self._seen_at = 0.0
        self._written: dict[Hashable, asyncio.Future[bytes]] = {}

    async def written(self, name: Hashable, write: Callable[[Observation], bytes]) -> bytes:
        """Return what `write` makes of the present; a `name` stands for one way of writing."""
        seen, clock = self._seen, self._clock()
        if seen is None or clock - self._seen_at >= FRESH_SECONDS or seen.config is not self._view.config:
            self._seen = seen = observe(self._view, time.time())
            self._seen_at = clock
            # one that takes longer than a second must not stand in its own line
            self._written = {name: writing for name, writing in self._written.items() if not writing.done()}
        if name not in self._written:
            self._written[name] = asyncio.get_running_loop().run_in_executor(self._thread, write, seen)
        return await asyncio.shield(self._written[name])
