"""The command `backfill`: its flags, and what it says."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import httpx

from exporter.api.body import ACCEPTED_CODING, BoundedTransport
from exporter.api.client import USER_AGENT
from exporter.backfill.advice import HEAD_SECONDS, commands, label_warnings, nothing, summary, warnings
from exporter.backfill.display import watcher
from exporter.backfill.holes import Holes
from exporter.backfill.partial import PartialFile, Progress
from exporter.backfill.run import Job, give, read, write
from exporter.errors import BackfillError
from exporter.file_stamp import read_regular
from exporter.history import Span
from exporter.metrics import TARGET_LABEL
from exporter.settings import parse_duration

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

SECRET_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
TIMEOUT_SECONDS = 60.0
MAX_BODY_BYTES = 64 * 2**20
"""Of a Prometheus's answer; 10,000 moments of a family are 0.3 MB."""

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
            click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write."),
            click.option("--remote-write", "remote_write", help="Send to this address instead of writing a file."),
            click.option("--gaps", help="Fill only what this Prometheus has no samples of; its address."),
            click.option("--prometheus.username", "username", help="User of --remote-write and --gaps."),
            click.option("--prometheus.password-file", "password_file", type=SECRET_FILE, help="The user's password."),
            click.option("--prometheus.bearer-token-file", "token_file", type=SECRET_FILE, help="Instead of a user."),
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


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks Prometheus: a user with the password in a file, or a token in a file, or nobody."""

    username: str | None = None
    password_file: Path | None = None
    token_file: Path | None = None

    def http(self) -> httpx.AsyncClient:
        """Make a client. Raises click.UsageError for half a login, OSError for a file that cannot be read."""
        if (self.username is None) != (self.password_file is None) or (self.username and self.token_file):
            raise click.UsageError(
                "give --prometheus.username with --prometheus.password-file, or --prometheus.bearer-token-file alone"
            )
        auth = None
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPTED_CODING}
        if self.username is not None and self.password_file is not None:
            auth = httpx.BasicAuth(self.username, read_regular(self.password_file).strip())
        if self.token_file is not None:
            headers["Authorization"] = f"Bearer {_token(self.token_file)}"
        transport = BoundedTransport(httpx.AsyncHTTPTransport(trust_env=False), MAX_BODY_BYTES)
        return httpx.AsyncClient(
            auth=auth, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False, transport=transport
        )


def _token(file: Path) -> str:
    token = read_regular(file).strip()
    if not token.isascii() or not token.decode("ascii").isprintable():
        raise click.UsageError(f"--prometheus.bearer-token-file: {file} must hold one line of ASCII characters")
    return token.decode("ascii")


def check_labels(job: Job) -> None:
    """Raises click.BadParameter for a label that a series has already."""
    for unit in job.units:
        for family in unit.families:
            if taken := set(family.labels) & set(job.labels):
                raise click.BadParameter(f"{family.name} has a label {min(taken)} of its own", param_hint="--label")


async def backfill_history(
    job: Job, start: int, end: int | None, step_seconds: int, remote_write: str | None, gaps: str | None, login: Login
) -> None:
    """Write the file, or go on with it, or send, and print what to do next.

    Raises CollectError, BackfillError, OSError and click's errors for flags.
    """
    check_labels(job)
    span = span_of(start, end, step_seconds, job.now())
    async with login.http() as http:
        if gaps is not None:
            job = replace(job, holes=Holes(http, address(gaps, "--gaps"), job.labels))
        if remote_write is not None:
            await _send(job, span, http, address(remote_write, "--remote-write"))
        else:
            await _write(job, span, job.fingerprint(start, end, step_seconds))


async def _write(job: Job, span: Span, fingerprint: str) -> None:
    if job.output is None:
        raise click.UsageError("give --output or --remote-write")
    file = PartialFile(job.output)
    progress = file.load(fingerprint) or Progress(fingerprint, span.end_seconds)
    span = replace(span, end_seconds=progress.end_seconds)
    with watcher([unit.name for unit in job.units], sys.stderr) as who:
        await write(job, span, file, progress, who)
    if not progress.samples:
        raise BackfillError(nothing(span, progress, job.holes is not None))
    where = f"{job.output}, {job.output.stat().st_size:,} bytes"
    lines = [*summary(where, span, progress), *commands(job.output, progress.samples)]
    click.echo("\n".join(lines))
    for line in warnings(span, job.labels, job.now()):
        click.echo(f"warning: {line}", err=True)


async def _send(job: Job, span: Span, http: httpx.AsyncClient, url: str) -> None:
    try:
        from exporter.backfill.remote_write import RemoteWrite  # noqa: PLC0415 - its libraries are an extra
    except ImportError:
        raise click.UsageError(
            "--remote-write needs the extra remote-write: pip install '.[remote-write]' in the project's folder"
        ) from None
    if job.output is not None:
        raise click.UsageError("give either --output or --remote-write")
    progress = Progress("", span.end_seconds)
    sink = RemoteWrite(http, url, job.labels, span)
    with watcher([unit.name for unit in job.units], sys.stderr) as who:
        for unit in job.units:
            pasts = await read(job, unit, span, progress, who)
            await give(unit, pasts, sink, span, progress, who, job.holes)
        await sink.close()
    if not progress.samples:
        raise BackfillError(nothing(span, progress, job.holes is not None))
    click.echo("\n".join(summary(f"sent to {sink.where}", span, progress)))
    for line in label_warnings(job.labels):
        click.echo(f"warning: {line}", err=True)


def address(url: str, flag: str) -> str:
    """Return the address. Raises click.BadParameter unless it is an http address without a login."""
    parts = httpx.URL(url) if "://" in url else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.host:
        raise click.BadParameter("write the full address, such as http://localhost:9090", param_hint=flag)
    if flag == "--gaps" and parts.query:
        raise click.BadParameter("must be the address of the server, without a query", param_hint=flag)
    if parts.userinfo:
        raise click.BadParameter("must not hold a login; give --prometheus.username", param_hint=flag)
    return url
