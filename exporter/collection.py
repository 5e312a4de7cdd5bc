"""Run one collector once: bounded in time, and whatever happens, a Result comes out."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from exporter.api.client import Client
from exporter.errors import CollectError, DeadlineError, State
from exporter.metrics import Sample
from exporter.platform import Collector
from exporter.settings import TargetSettings, duration_text

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Result:
    """What one run gave: samples when `state` is ok, else `error` and `remedy`. `started_at` is Unix time."""

    state: State
    started_at: float
    duration_seconds: float
    samples: tuple[Sample, ...] = ()
    error: str = ""
    remedy: str = ""

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

    def result(state: State, samples: tuple[Sample, ...] = (), error: str = "", remedy: str = "") -> Result:
        return Result(state, started_at, time.perf_counter() - begin, samples, error, remedy)

    try:
        samples = await _collect(client, collector, settings, datetime.fromtimestamp(started_at, UTC))
    except CollectError as error:
        return result(error.state, error=str(error), remedy=error.remedy)
    except Exception as error:
        logger.exception("collector failed by a bug", target=settings.name, collector=collector.name)
        return result(
            State.INTERNAL_ERROR,
            error=f"a bug in the collector ({type(error).__name__}); the log has the traceback",
            remedy="report it to the exporter's project with the traceback",
        )
    return result(State.OK, samples)


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
    strays = {sample.family.name for sample in samples} - {family.name for family in collector.families}
    if strays:
        raise ValueError(f"{collector.name} made samples of families that it does not declare: {sorted(strays)}")
    return tuple(samples)
