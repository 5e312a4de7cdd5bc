"""The command `backfill`: which moments its flags mean, what it refuses, and what it tells the operator to do."""

import asyncio
import io
import zlib
from datetime import UTC, datetime
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from exporter.api.body import GZIP_WBITS
from exporter.api.client import USER_AGENT
from exporter.backfill.advice import commands, summary, warnings
from exporter.backfill.display import Bar, Lines, watcher
from exporter.backfill.holes import Holes
from exporter.backfill.partial import Progress
from exporter.backfill_command import MAX_BODY_BYTES, Login, span_of
from exporter.cli import main
from exporter.errors import BackfillError
from exporter.history import Span
from tests.fakes import PEOPLE, Clock

NOW = int(datetime(2026, 11, 21, 10, 1, 30, tzinfo=UTC).timestamp())
DAY = 86_400


def test_a_span_is_of_whole_steps_and_ends_three_hours_ago() -> None:
    span = span_of(NOW - DAY, None, 240, NOW)

    assert span.start_seconds % 240 == span.end_seconds % 240 == 0
    assert NOW - DAY <= span.start_seconds < NOW - DAY + 240
    assert NOW - 3 * 3600 - 240 < span.end_seconds <= NOW - 3 * 3600


def test_a_given_end_may_be_nearer_and_is_never_in_the_future() -> None:
    assert NOW - 240 < span_of(NOW - DAY, NOW, 240, NOW).end_seconds <= NOW
    with pytest.raises(click.BadParameter, match="future"):
        span_of(NOW - DAY, NOW + 1, 240, NOW)
    with pytest.raises(click.BadParameter, match="behind the end"):
        span_of(NOW - 3600, None, 240, NOW)


def backfill(*arguments: str, output: str | None = "--output=h.om") -> Result:
    return CliRunner().invoke(main, ["backfill", *([output] if output else []), *arguments])


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ((), "Missing option '--from'"),
        (("--from=yesterday",), "2024-11-01T06:30:00Z"),
        (("--from=1999-01-01",), "before all that these platforms know"),
        (("--from=2024-11-01", "--step=4"), "write a duration with its unit"),
        (("--from=2024-11-01", "--step=1500ms"), "whole seconds"),
        (("--from=2024-11-01", "--label=job"), "NAME=VALUE"),
        (("--from=2024-11-01", "--label=target=x"), "target is none that Prometheus adds"),
        (("--from=2024-11-01", "--label=__name__=x"), "__name__ is none that Prometheus adds"),
    ],
)
def test_a_wrong_flag_is_refused_with_its_remedy(arguments: tuple[str, ...], remedy: str) -> None:
    result = backfill(*arguments)

    assert result.exit_code == 2
    assert remedy in result.output


def test_a_wrong_name_is_refused_with_those_that_there_are(site_config: Path) -> None:
    result = backfill(f"--config.file={site_config}", "--from=2024-11-01", "--target=acadamy")

    assert result.exit_code == 2
    assert "no target is named acadamy; there are academy, bridges, crowd, learning, learning-v1" in result.output


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ((), "give --output or --remote-write"),
        (("--output=h.om", "--remote-write=http://localhost:9090/api/v1/write"), "either --output or --remote-write"),
        (("--remote-write=localhost:9090",), "the full address"),
        (("--remote-write=http://ada:s3cret@localhost/api/v1/write",), "--prometheus.username"),
        (("--output=h.om", "--gaps=ftp://localhost"), "the full address"),
        (("--output=h.om", "--gaps=http://localhost?token=s3cret"), "without a query"),
        (("--output=h.om", "--prometheus.username=ada"), "--prometheus.password-file"),
        (("--output=h.om", "--label=course=x"), "konstantly_course_info has a label course of its own"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(site_config: Path, arguments: tuple[str, ...], remedy: str) -> None:
    result = backfill(f"--config.file={site_config}", "--from=2026-11-01", *arguments, output=None)

    assert result.exit_code == 2
    assert remedy in " ".join(result.output.split())
    assert "s3cret" not in result.output


async def test_prometheus_is_asked_as_the_user_or_with_the_token_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    (tmp_path / "token").write_text("t0ken\n")

    async with Login("ada", tmp_path / "password").http() as http:
        assert http.build_request("GET", "http://x.test").headers.get("authorization") is None
        assert isinstance(http.auth, httpx.BasicAuth)
        assert http.headers["user-agent"] == USER_AGENT
    async with Login(token_file=tmp_path / "token").http() as http:
        assert http.headers["user-agent"] == USER_AGENT
        assert http.build_request("GET", "http://x.test").headers["authorization"] == "Bearer t0ken"


def test_the_summary_says_what_was_written_and_what_was_not() -> None:
    progress = Progress(
        "f", NOW, series=1200, samples=3_000_000, left_out=["crowd: a: hidden"], doubts=["crowd: b: more"]
    )

    assert list(summary("h.om", Span(NOW - NOW % DAY, NOW - NOW % DAY + DAY, 240), progress)) == [
        "h.om: 1,200 series, 3,000,000 samples, 2026-11-21T00:00:00Z to 2026-11-22T00:00:00Z",
        "left out: crowd: a: hidden",
        "in doubt: crowd: b: more",
    ]


def test_the_commands_can_be_typed_as_they_stand() -> None:
    lines = list(commands(Path("my history.om"), 42))

    assert lines[1] == (
        "  promtool tsdb create-blocks-from --max-block-duration=8760h openmetrics 'my history.om' 'my history.blocks'"
    )
    assert lines[2].startswith("  cp -r 'my history.blocks'/* ")
    assert lines[-1].endswith(" 42")


@pytest.mark.parametrize(
    ("span", "labels", "words"),
    [
        (Span(NOW - 730 * DAY, NOW - 4 * 3600, 240), {"job": "a", "instance": "b"}, ["731d"]),
        (Span(NOW - DAY, NOW - 4 * 3600, 240), {"job": "a"}, ["2d", "--label instance=..."]),
        (Span(NOW - DAY, NOW - 3600, 240), {"job": "a", "instance": "b"}, ["2d", "prometheus_tsdb_head_min_time"]),
        (Span(NOW - DAY, NOW - 4 * 3600, 300), {"job": "a", "instance": "b"}, ["2d", "graphs have holes"]),
    ],
    ids=["nothing but the retention", "no instance", "into the head", "a long step"],
)
def test_warnings_are_of_what_this_history_would_meet(span: Span, labels: dict[str, str], words: list[str]) -> None:
    given = list(warnings(span, labels, NOW))

    assert len(given) == len(words)
    assert all(word in warning for word, warning in zip(words, given, strict=True))


def test_without_a_terminal_every_reading_is_a_line_and_a_long_one_says_how_far_it_is() -> None:
    said: list[str] = []
    clock = Clock(0.0)
    lines = Lines(said.append, clock.now)

    lines.reading("fake/people", "one")
    for pages in range(1, 100):
        clock.seconds += 1
        lines.read("fake/people", "one", pages)
    lines.waiting("fake/people", "one", 843.2, "/api/task")
    lines.writing("fake/people", 0.5, 100)

    assert said == [
        "fake/people: reading one",
        "fake/people: 30 pages of one so far",
        "fake/people: 60 pages of one so far",
        "fake/people: 90 pages of one so far",
        "fake/people: one has asked for a pause of /api/task, waiting 843 s for it to end",
    ]


class FakeBar:
    """Stands in for click's bar."""

    def __init__(self) -> None:
        self.pos = 0
        self.texts: list[str] = []

    def update(self, steps: int, text: str) -> None:
        self.pos += steps
        self.texts.append(text)


class Terminal(io.StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_ends_full() -> None:
    terminal = Terminal()

    with watcher(["fake/people"], terminal) as who:
        who.reading("fake/people", "one")

    assert "reading one: fake/people" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_on_a_terminal_a_bar_says_where_it_is_and_how_fast() -> None:
    drawn, seconds = FakeBar(), iter([0.0, 5.0, 10.0, 10.1, 20.0])
    bar = Bar(drawn, ["fake/people", "fake/places"], lambda: next(seconds))

    bar.reading("fake/people", "one")
    bar.read("fake/people", "one", 40)
    bar.waiting("fake/people", "one", 9.0, "")
    bar.writing("fake/people", 0.5, 1_000_000)
    bar.writing("fake/people", 0.6, 1_500_000)
    bar.writing("fake/places", 0.0, 5_000_000)

    assert drawn.texts == [
        "reading one: fake/people",
        "reading one: fake/people, 40 pages",
        "one has asked for a pause of everything, waiting 9 s for it to end",
        "writing fake/people: 1,000,000 samples, 100,000/s",
        "writing fake/places: 5,000,000 samples, 400,000/s",
    ]
    assert drawn.pos == 1000


@pytest.mark.parametrize("content", ["geheim-ü", "two\nlines"])
def test_a_token_that_no_header_can_hold_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(click.UsageError, match="must hold one line of ASCII") as refused:
        Login(token_file=file).http()
    assert content not in str(refused.value)


async def test_a_small_answer_that_unpacks_to_gigabytes_is_refused() -> None:
    packer = zlib.compressobj(wbits=GZIP_WBITS)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(MAX_BODY_BYTES // 2**20 + 1)) + packer.flush()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, Login().http() as http:
        span = Span(NOW - DAY, NOW, DAY)
        with pytest.raises(BackfillError, match="the reply is larger than"):
            await Holes(http, f"http://{host}:{port}", {}).held(PEOPLE, "site", span)
