"""Run one collector once: bounded in time, and whatever happens, a Result comes out."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from exporter.api.client import Client
from exporter.api.run import Unreadable, new_run
from exporter.errors import CollectError, DeadlineError, State
from exporter.metrics import Sample
from exporter.platform import Collector
from exporter.settings import TargetSettings, duration_text
from exporter.tracebacks import traceback_text


@dataclass(frozen=True, slots=True)
class Result:
    """What one run gave: samples when `state` is ok, else `error` and `remedy`. `started_at` is Unix time.

    Samples come in the order in which their collector declares the families.

    `unreadable` are the values that no series could use. `run_id` and `pages` are those of `exporter.api.run.Run`; a
    result of an earlier process has neither. `traceback` is where a bug of the collector was met.
    """

    state: State
    started_at: float
    duration_seconds: float
    samples: tuple[Sample, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    error: str = ""
    remedy: str = ""
    run_id: str = ""
    pages: int = 0
    traceback: str = ""

    @property
    def finished_at(self) -> float:
        """Unix time at which the run ended."""
        return self.started_at + self.duration_seconds


async def run(
    client: Client, collector: Collector[Any], settings: TargetSettings, now: Callable[[], float] = time.time
) -> Result:
    """Collect within `settings.timeout` as a whole. Only cancellation gets out; a bug becomes `internal_error`."""
    started_at = now()
    begin = time.perf_counter()

    with new_run() as its:

        def result(state: State, **facts: Any) -> Result:
            return Result(state, started_at, time.perf_counter() - begin, run_id=its.id, pages=its.pages, **facts)

        try:
            samples = await _collect(client, collector, settings, datetime.fromtimestamp(started_at, UTC))
            its.require_readable()
        except CollectError as error:
            return result(error.state, error=str(error), remedy=error.remedy)
        except Exception as error:
            return bug("the collector", error, result(State.INTERNAL_ERROR))
        return result(State.OK, samples=samples, unreadable=its.unreadable())


def bug(where: str, error: Exception, result: Result) -> Result:
    """Return the result of state `internal_error` that comes of a run whose error is no CollectError."""
    return replace(
        result,
        state=State.INTERNAL_ERROR,
        samples=(),
        unreadable=(),
        error=f"a bug in {where} ({type(error).__name__}); the log has the traceback",
        remedy="report it to the exporter's project with the traceback",
        traceback=traceback_text(error),
    )


async def _collect(
    client: Client, collector: Collector[Any], settings: TargetSettings, now: datetime
) -> tuple[Sample, ...]:
    try:
        async with asyncio.timeout(settings.timeout.total_seconds()) as deadline, client.session():
            samples = await collector.collect(client, settings, now)
    except TimeoutError:
        if not deadline.expired():
            raise
        raise DeadlineError(f"the run did not end within its timeout of {duration_text(settings.timeout)}") from None
    by_family: dict[str, list[Sample]] = {family.name: [] for family in collector.families}
    strays = {sample.family.name for sample in samples} - by_family.keys()
    if strays:
        raise ValueError(f"{collector.name} made samples of families that it does not declare: {sorted(strays)}")
    for sample in samples:
        by_family[sample.family.name].append(sample)
    return tuple(chain.from_iterable(by_family.values()))
