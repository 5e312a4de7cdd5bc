"""Lines of OpenMetrics with timestamps, as promtool makes blocks of them.

A series mostly keeps its value for many moments, so a run of them is one `join` of ready timestamps with all that
stands between two of them: that is ten times as fast as formatting every line.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.utils import floatToGoString

from exporter.exposition import Format, metadata, sample_lines
from exporter.history import Run, Span, Steps
from exporter.metrics import TARGET_LABEL, Family

END = b"# EOF\n"

MOMENTS_AT_ONCE = 8_192
"""A longer run is written in pieces, of about a megabyte."""


class Timestamps:
    """The moments of a span as text, made once for all series; they take about 50 bytes each."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self._texts = [str(second).encode() for second in span.moments()]

    def lines(self, series: bytes, runs: Iterable[Run]) -> Iterator[bytes]:
        """Yield the samples of a series, which is given as its name with its labels."""
        texts = self._texts
        for first, last, value in runs:
            between = b"\n%b %b " % (series, _number(value))
            for begin in range(first, last, MOMENTS_AT_ONCE):
                yield b"%b%b\n" % (between[1:], between.join(texts[begin : min(begin + MOMENTS_AT_ONCE, last)]))


@functools.lru_cache(maxsize=4096)
def _number(value: float) -> bytes:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text.encode()


def heading(family: Family) -> bytes:
    """Return the lines that stand before a family's samples."""
    return metadata(family, Format.OPENMETRICS)


def series_text(steps: Steps, target: str, labels: Mapping[str, str]) -> bytes:
    """Return name and labels as a scrape would show them, with those that Prometheus adds to a scrape."""
    names = (TARGET_LABEL, *steps.family.labels, *labels)
    values = (target, *steps.labels, *labels.values())
    return sample_lines(steps.family, names, [(values, 0.0)]).removesuffix(b" 0.0\n")
