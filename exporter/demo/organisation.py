"""The whole demo organisation: its learning, engineering and crowdsourcing halves from one seed."""

from dataclasses import dataclass
from datetime import date

from exporter.demo.academy import Academy
from exporter.demo.crowd import Crowd
from exporter.demo.engineering import Engineering


@dataclass(frozen=True, slots=True)
class Organisation:
    """What stands behind the four platforms; Konstantly and 360Learning share the academy."""

    academy: Academy
    engineering: Engineering
    crowd: Crowd


def organisation(seed: int, start: date) -> Organisation:
    """The organisation of that seed, whose recorded life begins on `start`."""
    return Organisation(Academy(seed, start), Engineering(seed, start), Crowd(seed, start))
