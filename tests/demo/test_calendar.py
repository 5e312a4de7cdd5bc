"""The calendar: when the demo organisation works, and that its randomness can be repeated."""

import subprocess
import sys
from datetime import UTC, date, datetime, time
from itertools import pairwise

from exporter.demo.calendar import activity_level, moments_of, random_of

MONDAY, FRIDAY, SUNDAY = date(2026, 3, 2), date(2026, 3, 6), date(2026, 3, 8)


def test_weekends_are_quiet_fridays_quieter_than_mondays_and_nothing_is_dead() -> None:
    assert 0 < activity_level(SUNDAY) < activity_level(FRIDAY) < activity_level(MONDAY) <= 1.2


def test_holidays_august_and_the_turn_of_the_year_are_slow() -> None:
    ordinary = activity_level(MONDAY)
    for day in (date(2026, 5, 1), date(2026, 8, 3), date(2026, 12, 28), date(2027, 1, 4)):
        assert activity_level(day) < 0.7 * ordinary


def test_random_streams_differ_by_part_and_repeat_in_another_process() -> None:
    """The hash of strings differs between processes; the streams must not."""
    script = "from exporter.demo.calendar import random_of; print(random_of(7, 'a', 1).random())"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert float(other.stdout) == random_of(7, "a", 1).random()
    assert len({random_of(seed, part).random() for seed in (7, 8) for part in ("a", "b")}) == 4


def test_moments_of_a_day_are_in_order_within_working_hours_and_in_whole_milliseconds() -> None:
    moments = moments_of(MONDAY, 200, random_of(1, "moments"))
    assert len(moments) == 200
    assert all(earlier <= later for earlier, later in pairwise(moments))
    assert datetime.combine(MONDAY, time(6), UTC) <= moments[0]
    assert moments[-1] <= datetime.combine(MONDAY, time(20), UTC)
    assert all(moment.microsecond % 1000 == 0 for moment in moments)
