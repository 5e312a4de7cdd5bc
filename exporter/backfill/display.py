"""How far a backfill is: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click

from exporter.backfill.run import Watcher

STEPS_A_UNIT = 1_000
REDRAW_SECONDS = 0.2
SILENCE_SECONDS = 30.0
"""After so long without a line, another one says how far it is."""


def waiting_text(target: str, seconds: float, endpoint: str) -> str:
    """Say what is waited for."""
    return f"{target} has asked for a pause of {endpoint or 'everything'}, waiting {seconds:.0f} s for it to end"


class Lines:
    """Says what begins, how far a long reading is, and what is waited for, one line each."""

    def __init__(self, echo: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._echo = echo
        self._clock = clock
        self._said_at = clock()

    def reading(self, unit: str, target: str) -> None:
        """See Watcher."""
        self._said_at = self._clock()
        self._echo(f"{unit}: reading {target}")

    def read(self, unit: str, target: str, pages: int) -> None:
        """See Watcher."""
        if self._clock() - self._said_at >= SILENCE_SECONDS:
            self._said_at = self._clock()
            self._echo(f"{unit}: {pages:,} pages of {target} so far")

    def waiting(self, unit: str, target: str, seconds: float, endpoint: str) -> None:
        """See Watcher."""
        self._echo(f"{unit}: {waiting_text(target, seconds, endpoint)}")

    def writing(self, unit: str, done: float, samples: int) -> None:
        """See Watcher."""


class Bar:
    """Moves as units are read and written; says how many samples were written, and how fast."""

    def __init__(self, bar: Any, unit_names: list[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._bar = bar
        self._units = unit_names
        self._clock = clock
        self._drawn_at = 0.0
        self._written_at = clock()
        self._samples = 0

    def reading(self, unit: str, target: str) -> None:
        """See Watcher."""
        self._move(unit, 0.0, f"reading {target}: {unit}")

    def read(self, unit: str, target: str, pages: int) -> None:
        """See Watcher."""
        now = self._clock()
        if now - self._drawn_at >= REDRAW_SECONDS:
            self._drawn_at = now
            self._move(unit, 0.0, f"reading {target}: {unit}, {pages:,} pages")

    def waiting(self, unit: str, target: str, seconds: float, endpoint: str) -> None:
        """See Watcher."""
        self._move(unit, 0.0, waiting_text(target, seconds, endpoint))

    def writing(self, unit: str, done: float, samples: int) -> None:
        """See Watcher."""
        now = self._clock()
        if now - self._drawn_at >= REDRAW_SECONDS:
            rate = (samples - self._samples) / (now - self._written_at)
            self._drawn_at, self._written_at, self._samples = now, now, samples
            self._move(unit, done, f"writing {unit}: {samples:,} samples, {rate:,.0f}/s")

    def _move(self, unit: str, done: float, text: str) -> None:
        position = int((self._units.index(unit) + done) * STEPS_A_UNIT)
        self._bar.update(position - self._bar.pos, text)


@contextmanager
def watcher(unit_names: list[str], stream: TextIO) -> Iterator[Watcher]:
    """Yield whoever is to be told."""
    if not stream.isatty():
        yield Lines(lambda text: click.echo(text, file=stream))
        return
    length = len(unit_names) * STEPS_A_UNIT
    bar: Any = click.progressbar(length=length, file=stream, item_show_func=lambda text: text, show_percent=True)
    with bar:
        yield Bar(bar, unit_names)
        bar.update(length - bar.pos)
