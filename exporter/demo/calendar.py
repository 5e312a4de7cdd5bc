"""When people work, and repeatable randomness: the two clocks that drive the whole demo organisation."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random

_WEEKDAY_LEVELS = (1.1, 1.2, 1.15, 1.05, 0.8, 0.15, 0.12)
_HOLIDAYS = frozenset({(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)})
_HOLIDAY_LEVEL = 0.1
_CHRISTMAS_WEEKS_FACTOR = 0.35
_AUGUST_FACTOR = 0.6


def activity_level(day: date) -> float:
    """How busy a day is, from about 0.04 to 1.2, where 1 is an ordinary working day.

    Fridays are quieter, weekends nearly empty; public holidays count as weekends, August and the days around
    the turn of the year are slow.
    """
    level = _HOLIDAY_LEVEL if (day.month, day.day) in _HOLIDAYS else _WEEKDAY_LEVELS[day.weekday()]
    if (day.month, day.day) >= (12, 21) or (day - timedelta(days=6)).year < day.year:
        return level * _CHRISTMAS_WEEKS_FACTOR
    if day.month == 8:
        return level * _AUGUST_FACTOR
    return level


def random_of(seed: int, *parts: object) -> Random:
    """A generator whose stream depends on `seed` and the `repr` of `parts` alone, in every process alike.

    Naming what is drawn (`random_of(seed, "logins", day)`) keeps the data of one day apart from that of every
    other, so it does not matter when, or in which order, they are asked for.
    """
    return Random(repr((seed, *parts)))


def moment_of(day: date, rng: Random) -> datetime:
    """A moment of the day (UTC, whole milliseconds) between 06:00 and 20:00, most likely around 10:00."""
    return datetime.combine(day, time(), UTC) + timedelta(milliseconds=int(rng.triangular(6, 20, 10) * 3_600_000))


def moments_of(day: date, count: float, rng: Random) -> list[datetime]:
    """`count` moments of the day in order; a fraction of `count` is the chance of one more."""
    return sorted(moment_of(day, rng) for _ in range(int(count + rng.random())))


@dataclass(frozen=True, slots=True)
class Day:
    """A day of an organisation with the given seed; its first day brings all that was there from the beginning."""

    seed: int
    date: date
    is_first: bool

    def random(self, topic: str) -> Random:
        """The generator of one topic on this day."""
        return random_of(self.seed, topic, self.date)

    def creations(self, hour: int, first_count: int, daily_count: float, rng: Random) -> list[datetime]:
        """When things of a kind are created on this day, in order: `first_count` on the first, else `daily_count`.

        All of them within one hour (UTC), so that a kind which builds on another is created in a later hour than it.
        """
        count = int((first_count if self.is_first else daily_count) + rng.random())
        begin = datetime.combine(self.date, time(hour), UTC)
        return sorted(begin + timedelta(milliseconds=rng.randrange(3_600_000)) for _ in range(count))
