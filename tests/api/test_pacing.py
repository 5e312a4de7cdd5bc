"""How fast a target may be asked, and what its headers say about that."""

import asyncio
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.pacing import (
    LONGEST_PAUSE_SECONDS,
    LONGEST_WAIT_SECONDS,
    Pace,
    Window,
    reset_seconds,
    retry_after_seconds,
    wait_seconds,
    whole_number,
)
from exporter.errors import RateLimitedError
from tests.command import PATIENCE_SECONDS
from tests.fakes import NOW_SECONDS, Clock


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("Fri, 15 Jan 2027 08:02:00 GMT", 120),
        ("Friday, 15-Jan-27 08:02:00 GMT", 120),
        ("Fri, 15 Jan 2027 09:02:00 +0100", 120),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri Jan 15 08:02:00 2027", 120),
        ("1.5", 1.5),
        ("120, 60", 120),
        ("Fri, 15 Jan 2027 08:01:00 GMT, Fri, 15 Jan 2027 08:02:00 GMT", 120),
        ("soon, 120", 120),
        ("999999999999999999999", LONGEST_PAUSE_SECONDS),
        ("9" * 500, LONGEST_PAUSE_SECONDS),
        ("-1", None),
        ("1.", None),
        ("1e3", None),
        ("²", None),
        ("soon", None),
        ("", None),
        ("Fri, 99 Jan 2027 08:02:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_every_form_and_nonsense_is_none(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": text}, NOW_SECONDS) == seconds


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_date_without_a_zone_is_in_utc_wherever_the_exporter_runs(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert retry_after_seconds({"retry-after": "Fri Jan 15 08:02:00 2027"}, NOW_SECONDS) == 120
    finally:
        monkeypatch.undo()
        time.tzset()


def test_of_a_repeated_retry_after_the_longest_counts() -> None:
    headers = httpx.Headers(
        [("Retry-After", "7"), ("Retry-After", "Fri, 15 Jan 2027 08:02:00 GMT"), ("Retry-After", "x")]
    )

    assert retry_after_seconds(headers, NOW_SECONDS) == 120


PIECES = st.sampled_from(
    ["Fri,", "15", "Jan", "2027", "08:02:00", "GMT", "-2359", "+9999", "99999999999", "(", "-", "é"]
)


@given(st.lists(PIECES, max_size=7).map(" ".join))
def test_no_retry_after_breaks_the_run(text: str) -> None:
    seconds = retry_after_seconds({"retry-after": text}, NOW_SECONDS)

    assert seconds is None or seconds >= 0


@given(st.integers(0, 32_000_000_000))
def test_a_date_is_as_far_away_as_it_is(unix_time_seconds: int) -> None:
    date = format_datetime(datetime.fromtimestamp(unix_time_seconds, UTC), usegmt=True)

    assert retry_after_seconds({"retry-after": date}, NOW_SECONDS) == max(0, unix_time_seconds - NOW_SECONDS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (f"{NOW_SECONDS + 50:.0f}", 50),
        (f"{NOW_SECONDS - 50:.0f}", 0),
        ("50", 50),
        ("0", 0),
        ("-5", None),
        ("1.8e9", None),
        ("9999999999999", None),
        ("", None),
    ],
)
def test_the_end_of_the_window_is_a_unix_time_or_seconds_from_now(text: str, seconds: float | None) -> None:
    assert reset_seconds({"x-ratelimit-reset": text}, NOW_SECONDS) == seconds


RESET = {"x-ratelimit-reset": "50"}
USED_UP = {**RESET, "x-ratelimit-remaining": "0"}


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (200, {}, None),
        (200, RESET, None),
        (200, {**RESET, "x-ratelimit-remaining": "1"}, None),
        (200, USED_UP, 50),
        (404, USED_UP, 50),
        (429, RESET, 50),
        (429, {}, None),
        (429, {**USED_UP, "retry-after": "7"}, 7),
        (429, {**USED_UP, "retry-after": "soon"}, 50),
        (429, {"retry-after": "soon"}, 60),
        (503, {"retry-after": "soon"}, None),
        (503, {"retry-after": "7"}, 7),
        (503, RESET, None),
        (500, {"retry-after": "7"}, None),
        (200, {"retry-after": "7"}, None),
        (301, {"retry-after": "7"}, None),
    ],
)
def test_a_pause_is_asked_for_by_429_503_and_a_used_up_window(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    assert wait_seconds(status, headers, NOW_SECONDS) == seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [("100", 100), (" 0 ", 0), ("-1", None), ("1.0", None), ("٣", None), ("1234567890123", None), ("", None)],
)
def test_a_header_that_is_no_whole_number_counts_as_absent(text: str, number: int | None) -> None:
    assert whole_number({"x": text}, "x") == number


async def test_a_short_pause_is_waited_for_by_everybody() -> None:
    clock = Clock()
    pace = Pace(1e5, 2, clock.now, clock.sleep, clock.now)
    pace.pause(LONGEST_WAIT_SECONDS)
    async with pace.place():
        assert clock.seconds == NOW_SECONDS + LONGEST_WAIT_SECONDS
    async with pace.place():
        assert clock.slept == [LONGEST_WAIT_SECONDS]


async def test_a_pause_that_grows_while_it_is_waited_for_is_waited_for_to_its_end() -> None:
    clock = Clock()

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        if len(clock.slept) == 1:
            pace.pause(5)

    pace = Pace(1e5, 2, clock.now, sleep, clock.now)
    pace.pause(10)
    async with pace.place():
        assert clock.seconds == NOW_SECONDS + 15


async def test_a_long_pause_is_told_at_once() -> None:
    clock = Clock()
    pace = Pace(1e5, 2, clock.now, clock.sleep, clock.now)
    pace.pause(LONGEST_WAIT_SECONDS + 1)
    with pytest.raises(RateLimitedError, match="pause of 31 s more") as error:
        async with pace.place():
            raise AssertionError("a request was let through")

    assert error.value.wait_seconds == 31
    assert clock.slept == []


async def test_a_pause_of_one_endpoint_holds_up_no_other() -> None:
    clock = Clock()
    pace = Pace(1e5, 2, clock.now, clock.sleep, clock.now)
    pace.pause(LONGEST_WAIT_SECONDS + 1, "/things")
    with pytest.raises(RateLimitedError, match="a pause of requests to /things of 31 s more"):
        async with pace.place("/things"):
            raise AssertionError("a request was let through")
    async with pace.place("/others"):
        assert clock.slept == []

    assert pace.remaining_pause_seconds() == pace.remaining_pause_seconds(["/others"]) == 0
    assert pace.remaining_pause_seconds(["/others", "/things"]) == 31
    assert (pace.paused_until("/things"), pace.paused_until("/others")) == (NOW_SECONDS + 31, 0)


async def test_a_pause_of_the_whole_target_holds_up_every_endpoint() -> None:
    clock = Clock()
    pace = Pace(1e5, 2, clock.now, clock.sleep, clock.now)
    pace.pause(LONGEST_WAIT_SECONDS + 1)
    with pytest.raises(RateLimitedError, match="asked for a pause of 31 s more"):
        async with pace.place("/things"):
            raise AssertionError("a request was let through")


async def test_who_waits_for_a_paused_endpoint_takes_nobodys_place() -> None:
    go_on = asyncio.Event()
    clock = Clock()

    async def sleep(seconds: float) -> None:
        await go_on.wait()
        clock.seconds += seconds

    async def ask(endpoint: str) -> str:
        async with pace.place(endpoint):
            return endpoint

    pace = Pace(1e5, 1, clock.now, sleep, clock.now)
    pace.pause(5, "/things")
    waiting = asyncio.ensure_future(ask("/things"))
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await ask("/others") == "/others"
        assert not waiting.done()
        go_on.set()
        assert await waiting == "/things"


def test_replies_of_a_window_are_counted_until_its_end_is_another() -> None:
    window = Window(100.0)
    for now, ends_at in ((10, 100.0), (20, 101.0), (30, 99.5)):  # told in whole seconds from now
        window.count(ends_at, now)
    assert window.replies == 3

    window.count(200.0, 105)
    assert (window.replies, window.ends_at) == (1, 200.0)


def test_nobody_can_say_where_a_window_that_slides_began() -> None:
    window = Window(100.0)
    for now in range(0, 60, 10):
        window.count(now + 100.0, now)

    assert window.replies is None


def test_a_pause_is_never_shortened_nor_longer_than_a_day() -> None:
    clock = Clock()
    pace = Pace(1, 1, clock.now, monotonic=clock.now)
    pace.pause(60)
    pace.pause(5)
    assert pace.remaining_pause_seconds() == 60
    pace.pause(1e12)
    assert pace.remaining_pause_seconds() == LONGEST_PAUSE_SECONDS
    clock.seconds += LONGEST_PAUSE_SECONDS + 1
    assert pace.remaining_pause_seconds() == 0


async def test_no_more_requests_than_allowed_are_under_way() -> None:
    pace = Pace(1e5, 3, Clock().now)
    under_way, most = 0, 0

    async def request() -> None:
        nonlocal under_way, most
        async with pace.place():
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*(request() for _ in range(20)))

    assert most == 3


async def test_requests_per_second_are_kept_after_a_burst_as_large_as_the_concurrency() -> None:
    """At 100 a second, with two at a time, twelve take at least a tenth of a second."""
    pace = Pace(100, 2, Clock().now)
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(12):
        async with pace.place():
            pass

    assert loop.time() - started >= 0.095


async def test_a_failed_request_gives_its_place_back() -> None:
    pace = Pace(1e5, 1, Clock().now)
    for _ in range(3):
        with pytest.raises(KeyError):
            async with pace.place():
                raise KeyError


@pytest.mark.parametrize("step_seconds", [-7200.0, 3600.0])
def test_a_pause_is_as_long_as_it_was_asked_for_when_the_clock_is_set(step_seconds: float) -> None:
    """Set forward, the platform would be asked too early; set back, it would not be asked for hours."""
    wall, monotonic = Clock(), Clock(0.0)
    pace = Pace(1, 1, wall.now, monotonic=monotonic.now)
    pace.pause(600, "/things")
    wall.seconds += step_seconds + 60
    monotonic.seconds += 60

    assert pace.remaining_pause_seconds(["/things"]) == 540
    assert pace.paused_until("/things") == wall.now() + 540
    assert pace.pauses == {"/things": wall.now() + 540}
