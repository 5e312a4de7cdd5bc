"""The whole demo organisation: its learning, engineering and crowdsourcing halves from one seed."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from exporter.demo.academy import Academy
from exporter.demo.crowd import Crowd
from exporter.demo.engineering import Engineering


@dataclass(frozen=True, slots=True)
class Organisation:
    """What stands behind the four platforms; Konstantly and 360Learning share the academy."""

    academy: Academy
    engineering: Engineering
    crowd: Crowd

    def live_until(self, now: datetime) -> None:
        """Simulate all days up to `now`, which otherwise the first to ask waits for: some seconds for two years."""
        self.academy.groups(now)
        self.crowd.standing(now)
        self.engineering.visits(datetime.min.replace(tzinfo=UTC), now)


def two_years_old(today: date) -> Organisation:
    """The organisation that `engagement-exporter demo` shows on that day, the same in every process."""
    return organisation(1, today - timedelta(days=730))


def organisation(seed: int, start: date) -> Organisation:
    """The organisation of that seed, whose recorded life begins on `start`."""
    return Organisation(Academy(seed, start), Engineering(seed, start), Crowd(seed, start))
