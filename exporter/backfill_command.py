"""The command `backfill`: its flags, and what it says."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from exporter.backfill.advice import HEAD_SECONDS, commands, summary, warnings
from exporter.backfill.display import watcher
from exporter.backfill.partial import PartialFile, Progress
from exporter.backfill.run import Job, write
from exporter.history import Span
from exporter.metrics import TARGET_LABEL
from exporter.settings import parse_duration

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

OLDEST = datetime(2001, 9, 10, tzinfo=UTC)
"""Unix times have ten digits from here on, until 2286."""


def parse_moment(text: str) -> int:
    """Return the Unix time of a day or a moment, which is UTC unless it says otherwise. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("write a day or a moment, such as 2024-11-01 or 2024-11-01T06:30:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment < OLDEST:
        raise ValueError("lies before all that these platforms know")
    return int(moment.timestamp())


def parse_step(text: str) -> int:
    """Return the whole seconds of a duration as Prometheus writes it. Raises ValueError."""
    seconds = parse_duration(text).total_seconds()
    if not seconds.is_integer():
        raise ValueError("must be whole seconds")
    return int(seconds)


def parse_label(text: str) -> tuple[str, str]:
    """Return name and value of a label that Prometheus adds to a scrape. Raises ValueError."""
    name, is_given, value = text.partition("=")
    if not is_given or not LABEL_NAME.fullmatch(name):
        raise ValueError("write NAME=VALUE, such as job=engagement")
    if name == TARGET_LABEL or name.startswith("__"):
        raise ValueError(f"the label {name} is none that Prometheus adds to a scrape")
    return name, value


def _checked(parse: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    def callback(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> T | None:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def _labels(_ctx: click.Context, _parameter: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    try:
        return dict(map(parse_label, texts))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def backfill_options(command: F) -> F:
    """Add the flags, except that of the configuration."""
    for option in reversed(
        (
            click.option("--target", "targets", multiple=True, help="Only this target; repeatable."),
            click.option("--collector", "collectors", multiple=True, help="Only this collector; repeatable."),
            click.option(
                "--from", "start", required=True, callback=_checked(parse_moment), help="First day or moment, UTC."
            ),
            click.option(
                "--to",
                "end",
                callback=_checked(parse_moment),
                help="Last moment; by default three hours ago, out of Prometheus's memory.",
            ),
            click.option(
                "--step",
                "step_seconds",
                callback=_checked(parse_step),
                default="4m",
                show_default=True,
                help="Time between two samples; Prometheus shows one for less than 5m.",
            ),
            click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file."),
            click.option(
                "--label",
                "labels",
                multiple=True,
                callback=_labels,
                help="A label that Prometheus adds to the scrape, such as job=engagement; repeatable.",
            ),
        )
    ):
        command = option(command)
    return command


def span_of(start: int, end: int | None, step_seconds: int, now: float) -> Span:
    """Return the span of whole steps within the flags. Raises click.BadParameter when there is none, or none yet."""
    latest = int(now) - HEAD_SECONDS if end is None else end
    if latest > now:
        raise click.BadParameter("lies in the future, which nobody knows", param_hint="--to")
    span = Span(-(-start // step_seconds) * step_seconds, latest // step_seconds * step_seconds, step_seconds)
    if span.end_seconds < span.start_seconds:
        raise click.BadParameter("lies behind the end", param_hint="--from")
    return span


async def write_history(job: Job, start: int, end: int | None, step_seconds: int) -> None:
    """Write the file, or go on with it, and print what to do with it. Raises CollectError, PartialError, OSError."""
    span = span_of(start, end, step_seconds, job.now())
    fingerprint = job.fingerprint(start, end, step_seconds)
    file = PartialFile(job.output)
    progress = file.load(fingerprint) or Progress(fingerprint, span.end_seconds)
    span = replace(span, end_seconds=progress.end_seconds)
    with watcher([unit.name for unit in job.units], sys.stderr) as who:
        await write(job, span, file, progress, who)
    lines = [*summary(job.output, span, progress, job.output.stat().st_size), *commands(job.output, progress.samples)]
    click.echo("\n".join(lines))
    for line in warnings(span, job.labels, job.now()):
        click.echo(f"warning: {line}", err=True)
