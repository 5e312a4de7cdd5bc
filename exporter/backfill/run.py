"""Read the past unit by unit, and write it down."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from exporter import __version__
from exporter.api.client import Client
from exporter.api.pacing import LONGEST_PAUSE_SECONDS
from exporter.backfill.openmetrics import END, Timestamps, heading, series_text
from exporter.backfill.partial import PartialFile, Progress
from exporter.backfill.units import Part, Unit
from exporter.history import Past, Span
from exporter.metrics import Family
from exporter.storage import source_of


class Watcher(Protocol):
    """Whoever wants to know how far it is."""

    def reading(self, unit: str, target: str) -> None:
        """A unit asks a target's platform."""

    def writing(self, unit: str, done: float, samples: int) -> None:
        """A share of a unit is written, and so many samples of all units are."""


@dataclass(frozen=True, slots=True)
class Job:
    """A whole backfill. `labels` are what Prometheus adds to a scrape, `clients` the targets' by name."""

    units: tuple[Unit, ...]
    labels: Mapping[str, str]
    output: Path
    clients: Mapping[str, Client]
    now: Callable[[], float]

    def fingerprint(self, start_seconds: int, end_seconds: int | None, step_seconds: int) -> str:
        """Tell this job from any that would write something else; the end is None where the clock decides it."""
        sources = [
            source_of(part.target.settings, collector)
            for unit in self.units
            for part in unit.parts
            for collector in part.collectors
        ]
        spoken = (__version__, start_seconds, end_seconds, step_seconds, sorted(self.labels.items()), sources)
        return hashlib.sha256(repr(spoken).encode()).hexdigest()


async def write(job: Job, span: Span, file: PartialFile, progress: Progress, watcher: Watcher) -> None:
    """Write the units that are not finished yet, and then the whole. Raises CollectError when a platform fails."""
    timestamps = Timestamps(span)
    with file.open(progress) as out:
        for unit in job.units:
            if unit.name not in progress.units:
                pasts, left_out = await _read(job, unit, span, watcher)
                _write_unit(job, unit, pasts, timestamps, out, progress, watcher)
                progress.left_out += left_out
                progress.units.append(unit.name)
                file.save(out, progress)
        out.write(END)
        file.finish(out)


async def _read(job: Job, unit: Unit, span: Span, watcher: Watcher) -> tuple[list[tuple[Part, Past]], list[str]]:
    pasts: list[tuple[Part, Past]] = []
    left_out: list[str] = []
    for part in unit.parts:
        settings = part.target.settings
        watcher.reading(unit.name, settings.name)
        client = job.clients[settings.name]
        client.pace.longest_wait_seconds = LONGEST_PAUSE_SECONDS
        assert unit.history.read is not None  # noqa: S101 - units() takes no others
        async with client.session():
            past, reasons = await unit.history.read(client, settings, span, job.now)
        pasts.append((part, past))
        left_out += [f"{settings.name}: {reason}" for reason in reasons]
    return pasts, left_out


def _write_unit(
    job: Job,
    unit: Unit,
    pasts: Sequence[tuple[Part, Past]],
    timestamps: Timestamps,
    out: IO[bytes],
    progress: Progress,
    watcher: Watcher,
) -> None:
    for position, family in enumerate(unit.families):
        lines = _family_lines(job, family, pasts, timestamps, progress)
        is_empty = True
        for line in lines:
            if is_empty:
                out.write(heading(family))
                is_empty = False
            out.write(line)
            watcher.writing(unit.name, position / len(unit.families), progress.samples)


def _family_lines(
    job: Job,
    family: Family,
    pasts: Iterable[tuple[Part, Past]],
    timestamps: Timestamps,
    progress: Progress,
) -> Iterable[bytes]:
    for part, past in pasts:
        if family in part.families:
            for steps in past.get(family, ()):
                runs = list(steps.runs(timestamps.span))
                progress.series += bool(runs)
                progress.samples += sum(run.last - run.first for run in runs)
                yield from timestamps.lines(series_text(steps, part.target.settings.name, job.labels), runs)
