"""The status as a page for people: problems first, readable without JavaScript, on a phone, in light and dark."""

from collections.abc import Collection
from datetime import datetime, timedelta
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from exporter.settings import duration_text
from exporter.web.security_headers import headers_with_style
from exporter.web.status import LATE_INTERVALS, URGENCY, Level, Status, TargetStatus
from exporter.web.status_words import duration, span

REFRESH_SECONDS = 15

CARDS = 30
"""Above so many targets only those that need attention show every collector, and at most so many; others are a line."""


class StatusPage:
    """Renders the page; `headers` are those of its answer. `telemetry_path` is where its links to the metrics lead."""

    def __init__(self, telemetry_path: str) -> None:
        environment = Environment(
            loader=PackageLoader("exporter.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(span=span, duration=duration, interval=interval)
        style = (files("exporter.web") / "templates" / "status.css").read_text(encoding="utf-8")
        environment.globals.update(
            metrics=telemetry_path.removeprefix("/"),
            style=style,
            late_intervals=LATE_INTERVALS,
            refresh_seconds=REFRESH_SECONDS,
            seconds_between=seconds_between,
        )
        self.headers = headers_with_style(style)
        self._template = environment.get_template("status.html")

    def render(self, status: Status, chosen: Collection[str] = (), *, refreshing: bool = True) -> str:
        """Return the HTML; `chosen` are the names of the targets that were asked for, none for all."""
        cards, lines = arranged(status.targets)
        return self._template.render(status=status, cards=cards, lines=lines, chosen=chosen, refreshing=refreshing)


def arranged(targets: Collection[TargetStatus]) -> tuple[list[TargetStatus], list[TargetStatus]]:
    """Return the targets to show with every collector and those to show as a line, each with problems first."""
    urgent_first = sorted(targets, key=lambda target: -URGENCY[target.level])
    if len(targets) <= CARDS:
        return urgent_first, []
    cards = sum(target.level is Level.ATTENTION for target in urgent_first[:CARDS])
    return urgent_first[:cards], urgent_first[cards:]


def interval(seconds: float) -> str:
    """Write an interval as the configuration file does."""
    return duration_text(timedelta(seconds=seconds))


def seconds_between(earlier: datetime, later: datetime) -> float:
    """Return how far two times are apart, negative when they are the other way round."""
    return (later - earlier).total_seconds()
