"""Read the past unit by unit, and write it down."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Protocol

from exporter import __version__
from exporter.api.client import Client
from exporter.api.pacing import LONGEST_PAUSE_SECONDS
from exporter.api.run import new_run
from exporter.backfill.holes import Holes, without
from exporter.backfill.openmetrics import END, Timestamps, heading, series_text
from exporter.backfill.partial import PartialFile, Progress
from exporter.backfill.units import Part, Unit
from exporter.history import Past, Run, Span, Steps
from exporter.metrics import Family
from exporter.storage import source_of


class Watcher(Protocol):
    """Whoever wants to know how far it is."""

    def reading(self, unit: str, target: str) -> None:
        """A unit asks a target's platform."""

    def read(self, unit: str, target: str, pages: int) -> None:
        """A unit has read so many pages of a target."""

    def waiting(self, unit: str, target: str, seconds: float, endpoint: str) -> None:
        """A target's platform has asked for a pause, which is waited for."""

    def writing(self, unit: str, done: float, samples: int) -> None:
        """A share of a unit is written, and so many samples of all units are."""


@dataclass(frozen=True, slots=True)
class Job:
    """A whole backfill. `labels` are what Prometheus adds to a scrape, `clients` the targets' by name.

    `output` is None when nothing is written to a file; with `holes`, only these are filled.
    """

    units: tuple[Unit, ...]
    labels: Mapping[str, str]
    output: Path | None
    clients: Mapping[str, Client]
    now: Callable[[], float]
    holes: Holes | None = None

    def fingerprint(self, start_seconds: int, end_seconds: int | None, step_seconds: int) -> str:
        """Tell this job from any that would write something else; the end is None where the clock decides it."""
        sources = [
            source_of(part.target.settings, collector)
            for unit in self.units
            for part in unit.parts
            for collector in part.collectors
        ]
        asked = self.holes.url if self.holes else ""
        spoken = (__version__, start_seconds, end_seconds, step_seconds, sorted(self.labels.items()), sources, asked)
        return hashlib.sha256(repr(spoken).encode()).hexdigest()


Pasts = Sequence[tuple[Part, Past]]


class Sink(Protocol):
    """Where samples go."""

    async def family(self, family: Family) -> None:
        """The series that follow are of another family."""

    async def series(self, target: str, steps: Steps, runs: Sequence[Run]) -> None:
        """Take all samples of a series."""


async def write(job: Job, span: Span, file: PartialFile, progress: Progress, watcher: Watcher) -> None:
    """Write the units that are not finished yet, and then the whole; without any sample there will be no file.

    Raises CollectError when a platform fails, BackfillError when the disk does.
    """
    timestamps = Timestamps(span)
    with file.writing(progress) as out:
        for unit in job.units:
            if unit.name not in progress.units:
                pasts = await read(job, unit, span, progress, watcher)
                await give(unit, pasts, FileSink(timestamps, out, job.labels), span, progress, watcher, job.holes)
                progress.units.append(unit.name)
                file.save(out, progress)
        if not progress.samples:
            file.discard(out)
            return
        out.write(END)
        file.finish(out)


class FileSink:
    """A sink that writes OpenMetrics; a family without samples leaves no trace."""

    def __init__(self, timestamps: Timestamps, out: IO[bytes], labels: Mapping[str, str]) -> None:
        self._timestamps = timestamps
        self._out = out
        self._labels = labels
        self._heading = b""

    async def family(self, family: Family) -> None:
        """See Sink."""
        self._heading = heading(family)

    async def series(self, target: str, steps: Steps, runs: Sequence[Run]) -> None:
        """See Sink."""
        self._out.write(self._heading)
        self._heading = b""
        self._out.writelines(self._timestamps.lines(series_text(steps, target, self._labels), runs))


async def read(job: Job, unit: Unit, span: Span, progress: Progress, watcher: Watcher) -> Pasts:
    """Ask the platforms of a unit, and take down what they leave out and doubt. Raises CollectError."""
    pasts: list[tuple[Part, Past]] = []
    for part in unit.parts:
        settings = part.target.settings
        watcher.reading(unit.name, settings.name)
        client = job.clients[settings.name]
        client.pace.longest_wait_seconds = LONGEST_PAUSE_SECONDS
        client.pace.on_wait = partial(watcher.waiting, unit.name, settings.name)
        assert unit.history.read is not None  # noqa: S101 - units() takes no others
        with new_run() as its:
            its.on_page = partial(watcher.read, unit.name, settings.name)
            async with client.session():
                told = await unit.history.read(client, settings, span, job.now)
            its.require_readable()
        pasts.append((part, told.past))
        unreadable = [f"{values.count} values that cannot be read, {values}" for values in its.unreadable()]
        progress.left_out += [f"{settings.name}: {reason}" for reason in (*told.left_out, *unreadable)]
        progress.doubts += [f"{settings.name}: {reason}" for reason in told.doubts]
    return pasts


async def give(
    unit: Unit, pasts: Pasts, sink: Sink, span: Span, progress: Progress, watcher: Watcher, holes: Holes | None
) -> None:
    """Hand the samples of a unit to the sink, family by family; with `holes`, only those that fall into one."""
    for position, family in enumerate(unit.families):
        await sink.family(family)
        for part, past in pasts:
            if family not in part.families:
                continue
            target = part.target.settings.name
            held = await holes.held(family, target, span) if holes else ()
            for steps in past.get(family, ()):
                runs = list(without(steps.runs(span), held))
                if runs:
                    await sink.series(target, steps, runs)
                    progress.series += 1
                    progress.samples += sum([last - first for first, last, _ in runs])
                    watcher.writing(unit.name, position / len(unit.families), progress.samples)
