"""Log lines on stderr: both formats, levels, tracebacks, and the silence of libraries that would tell too much."""

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.logs import configure

PRIVATE = "ada.abbott@example.org"


@pytest.fixture(autouse=True)
def logging_left_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def logged(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_logfmt_begins_with_time_level_and_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "logfmt")
    structlog.get_logger().info("run", target="crowd", error="no reply", quoted='a "b" =c')

    [line] = logged(capsys)
    assert line.startswith("ts=")
    assert 'Z level=info event=run target=crowd error="no reply" quoted="a \\"b\\" =c"' in line


def test_json_is_one_object_to_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    structlog.get_logger().info("run", error="two\nlines", samples=3)

    [line] = logged(capsys)
    record = json.loads(line)
    assert record.pop("ts").endswith("Z")
    assert record == {"level": "info", "event": "run", "error": "two\nlines", "samples": 3}


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warn", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_a_level_and_all_above_it(level: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    configure(level, "json")
    logger = structlog.get_logger()
    logger.debug("x")
    logger.info("x")
    logger.warning("x")
    logger.error("x")

    assert [json.loads(line)["level"] for line in logged(capsys)] == expected


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_a_traceback_is_part_of_its_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", form)
    try:
        raise ZeroDivisionError("by nought")
    except ZeroDivisionError:
        structlog.get_logger().exception("collector failed by a bug")

    [line] = logged(capsys)
    assert "Traceback (most recent call last)" in line
    assert "ZeroDivisionError" in line


def fail_with(private: str) -> None:
    """Fail in every way in which errors follow from others or hold them, each with the text in its message."""
    try:
        try:
            {}[private]
        except KeyError as error:
            raise ValueError(private) from error
    except ValueError as error:
        error.add_note(private)
        members = [OSError(2, "gone", private), ExceptionGroup(private, [error])]
        raise ExceptionGroup(private, members)  # noqa: B904 - the context is one of the ways


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_a_traceback_shows_where_and_never_a_message(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message of a KeyError is the key, which may be a mail address; others quote what they like."""
    configure("info", form)
    try:
        fail_with(PRIVATE)
    except ExceptionGroup:
        structlog.get_logger().exception("collector failed by a bug")
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")

    for line in logged(capsys):
        assert PRIVATE not in line
        assert [kind in line for kind in ("KeyError", "ValueError", "FileNotFoundError", "ExceptionGroup")] == [
            True
        ] * 4
        assert "raise ValueError(private) from error" in line


def test_a_traceback_that_leads_back_to_itself_ends(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "logfmt")
    first, second = ValueError(), TypeError()
    first.__cause__, second.__cause__ = second, first
    structlog.get_logger().error("collector failed by a bug", exc_info=first)

    [line] = logged(capsys)
    assert (line.count("ValueError"), line.count("TypeError")) == (1, 1)


@given(st.lists(st.text(), min_size=1), st.sampled_from(["logfmt", "json"]))
@example(["x\nts=2026-01-01 level=info event=forged", "\r\x1b[31m", "\x85\u2028", '\\"', "\\n", "", "\ud800"], "logfmt")
def test_whatever_a_value_holds_it_is_one_line_that_can_be_read_back(values: list[str], form: str) -> None:
    """A value from outside can neither forge a line nor speak to a terminal."""
    with redirect_stderr(io.StringIO()) as stderr:
        configure("info", form)
        structlog.get_logger().info(values[0], **{f"value_{number}": text for number, text in enumerate(values)})

    [line] = stderr.getvalue().splitlines()
    assert line.isprintable()
    record = json.loads(line) if form == "json" else read_logfmt(line)
    record.pop("ts")
    expected = {"level": "info", "event": values[0]} | {f"value_{number}": text for number, text in enumerate(values)}
    assert record == expected


def read_logfmt(line: str) -> dict[str, str]:
    """Read a line as the format has it: bare words, or strings in double quotes with the escapes of JSON."""
    pairs = re.findall(r'(?:^| )([^ ="]+)=("(?:[^"\\]|\\.)*"|[^ ="]*)', line)
    assert " ".join(f"{key}={value}" for key, value in pairs) == line
    return {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (3, "3"), (0.25, "0.25"), (None, "None")]
)
def test_values_that_are_no_text(value: object, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "logfmt")
    structlog.get_logger().info("x", value=value)

    assert read_logfmt(logged(capsys)[0])["value"] == text


def test_other_libraries_come_out_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logging.getLogger("some.library").warning("%s is late", "something")

    record = json.loads(logged(capsys)[0])
    assert (record["level"], record["event"]) == ("warning", "something is late")


def test_urls_that_libraries_log_stay_out(capsys: pytest.CaptureFixture[str]) -> None:
    """httpx logs whole URLs with their queries at level info."""
    configure("debug", "logfmt")
    logging.getLogger("httpx").info("HTTP Request: GET https://crowd.example.org/api?key=hunter2")

    assert logged(capsys) == []


def test_configuring_again_does_not_repeat_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "logfmt")
    configure("info", "logfmt")
    structlog.get_logger().info("once")

    assert len(logged(capsys)) == 1
