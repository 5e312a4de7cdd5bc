"""What to do with a history that is written, and what may go wrong with it."""

import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from exporter.backfill.partial import Progress
from exporter.history import Span

HEAD_SECONDS = 3 * 3600
"""Prometheus keeps the latest two to three hours in memory; blocks that reach into them can cost live samples."""

LOOKBACK_SECONDS = 300
"""Prometheus shows a sample for so long when no younger one follows."""

SECONDS_PER_DAY = 86_400


def moment_text(second: int) -> str:
    """Write a Unix time as a user writes --from."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def summary(where: str, span: Span, progress: Progress) -> Iterator[str]:
    """Yield what was written, what was not, and what is in doubt."""
    yield (
        f"{where}: {progress.series:,} series, {progress.samples:,} samples, "
        f"{moment_text(span.start_seconds)} to {moment_text(span.end_seconds)}"
    )
    for text in progress.left_out:
        yield f"left out: {text}"
    for text in progress.doubts:
        yield f"in doubt: {text}"


def nothing(span: Span, progress: Progress, are_gaps_asked: bool) -> str:
    """Say why there is not one sample."""
    why = "; ".join(progress.left_out) or (
        "the server has samples of every moment that the platforms tell of"
        if are_gaps_asked
        else "the platforms tell nothing of that time"
    )
    return f"nothing was written from {moment_text(span.start_seconds)} to {moment_text(span.end_seconds)}: {why}"


def commands(output: Path, samples: int) -> Iterator[str]:
    """Yield how to give the file to Prometheus."""
    blocks = output.with_suffix(".blocks")
    yield "to make blocks of it and hand them to Prometheus:"
    yield (
        "  promtool tsdb create-blocks-from --max-block-duration=8760h openmetrics "
        f"{shlex.quote(str(output))} {shlex.quote(str(blocks))}"
    )
    yield f"  cp -r {shlex.quote(str(blocks))}/* PROMETHEUS_DATA_FOLDER/"
    yield f"promtool lists the samples of every block; they must add up to {samples}"


def warnings(span: Span, labels: Mapping[str, str], now: float) -> Iterator[str]:
    """Yield what Prometheus would do to this history if nobody took care."""
    days = -(-(int(now) - span.start_seconds) // SECONDS_PER_DAY)
    yield (
        f"Prometheus deletes blocks older than its retention, 15 days unless told otherwise: "
        f"run it with --storage.tsdb.retention.time of {days + 1}d or more"
    )
    yield from label_warnings(labels)
    if now - span.end_seconds < HEAD_SECONDS:
        yield (
            "the end is less than three hours ago: it must lie before everything that Prometheus holds in memory "
            "(prometheus_tsdb_head_min_time_seconds), or Prometheus loses live samples at its next restart"
        )
    if span.step_seconds >= LOOKBACK_SECONDS:
        yield "Prometheus shows a sample for less than five minutes: with this step graphs have holes"


def label_warnings(labels: Mapping[str, str]) -> Iterator[str]:
    """Yield what is missing for history and scrapes to be the same series."""
    missing = [name for name in ("job", "instance") if name not in labels]
    if missing:
        flags = " and ".join(f"--label {name}=..." for name in missing)
        yield (
            "Prometheus tells this history from what it scrapes, as other series, "
            f"unless both carry the same job and instance: give {flags}"
        )
