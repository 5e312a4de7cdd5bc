"""What the scrapes and polls of a time say about the cause that acted in it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tests.disturbances.scraper import Scrape

MOST_DELAY_MS = 250.0
MOST_MB = 150.0
LATE_SECONDS = 1.5
"""What a scrape a second leaves uncertain about when a run ended."""

HEADINGS = (
    f"{'cause':32}{'scrapes':>8}{'failed':>8}{'alone ms':>10}{'under ms':>10}{'peak MB':>9}{'late':>6}{'over s':>8}"
)


@dataclass(frozen=True, slots=True)
class Span:
    """When a cause acted, on the monotonic clock: moments between its rounds; `over_at` nothing told of it any more.

    `late_seconds` is how much later than every `interval_seconds` a collector may run, `peak_mb` the most memory.
    """

    cause: str
    moments: tuple[float, ...]
    over_at: float
    interval_seconds: float
    late_seconds: float
    peak_mb: float
    is_bounded: bool
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row of the table, and all that is wrong."""

    span: Span
    scrapes: int
    failures: tuple[str, ...]
    alone_ms: float
    under_ms: float
    late: tuple[str, ...]

    def __str__(self) -> str:
        span = self.span
        counts = f"{self.scrapes:8}{len(self.failures):8}{self.alone_ms:10.0f}{self.under_ms:10.0f}"
        return f"{span.cause:32}{counts}{span.peak_mb:9.0f}{len(self.late):6}{span.over_at - span.moments[-1]:8.1f}"

    def wrong(self) -> Iterator[str]:
        """Yield what should not be, each with its cause."""
        if self.under_ms > self.alone_ms + MOST_DELAY_MS:
            yield f"{self.span.cause}: scrapes take {self.under_ms:.0f} ms instead of {self.alone_ms:.0f}"
        if self.span.is_bounded and self.span.peak_mb > MOST_MB:
            yield f"{self.span.cause}: {self.span.peak_mb:.0f} MB of memory"
        for words in (*self.failures, *self.late, *self.span.wrong):
            yield f"{self.span.cause}: {words}"


def outcome(
    span: Span, quiet: Sequence[tuple[float, float]], scrapes: Sequence[Scrape], twin: Sequence[Scrape]
) -> Outcome:
    """Judge the scrapes of an exporter under a cause by those in `quiet` times, and its polls by its twin's."""
    under = within(scrapes, span.moments[0], span.over_at)
    allowed_seconds = longest_gap_seconds(within(twin, span.moments[0], span.over_at), span.interval_seconds)
    allowed_seconds += span.late_seconds + LATE_SECONDS
    return Outcome(
        span,
        len(under),
        tuple(f"a scrape failed: {scrape.error}" for scrape in under if scrape.error),
        slowest_ms(scrapes, quiet),
        slowest_ms(scrapes, pairwise(span.moments)),
        tuple(
            f"{key} ended no run for {seconds:.1f} s instead of {allowed_seconds:.1f}"
            for key, seconds in gaps_seconds(under)
            if seconds > allowed_seconds
        ),
    )


def within(scrapes: Iterable[Scrape], since: float, until: float) -> list[Scrape]:
    """Return the scrapes that began in this time."""
    return [scrape for scrape in scrapes if since <= scrape.at < until]


def slowest_ms(scrapes: Sequence[Scrape], rounds: Iterable[tuple[float, float]]) -> float:
    """Return how long the slowest scrape of a round took: the median, since other work on this machine spoils some."""
    slowest = [max((one.seconds for one in within(scrapes, *its)), default=0.0) for its in rounds]
    return 1_000 * median(seconds for seconds in slowest if seconds)


def longest_gap_seconds(scrapes: Sequence[Scrape], least_seconds: float) -> float:
    """Return the longest time in which a collector ended no run, at least what it should be."""
    return max((seconds for _, seconds in gaps_seconds(scrapes)), default=least_seconds)


def gaps_seconds(scrapes: Sequence[Scrape]) -> Iterator[tuple[str, float]]:
    """Yield every collector with each time from one run to the next, the beginning and the end counting as runs."""
    good = [scrape for scrape in scrapes if scrape.runs]
    for key in good[0].runs if good else ():
        moments = [good[0].at]
        moments += [after.at for before, after in pairwise(good) if after.runs.get(key) != before.runs.get(key)]
        moments.append(good[-1].at)
        yield from ((key, end - begin) for begin, end in pairwise(moments))
