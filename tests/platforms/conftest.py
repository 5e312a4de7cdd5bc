"""What the tests of every platform share: a client over a fake platform, sample lines, and golden files."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from exporter.api.client import Access, Client
from exporter.api.pacing import Pace
from exporter.metrics import Sample
from exporter.self_metrics import ApiMetrics

Handler = Callable[[httpx.Request], httpx.Response]


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def client_for() -> Callable[[Access, Handler], Client]:
    """Make a client whose requests the handler answers; waits between tries take no time."""

    def make(access: Access, handler: Handler) -> Client:
        clock = Clock()
        return Client(
            "test",
            "test",
            access,
            Pace(1e5, 4, clock.now, clock.sleep, clock.now),
            transport=lambda: httpx.MockTransport(handler),
            metrics=ApiMetrics(CollectorRegistry()),
            now=clock.now,
            sleep=clock.sleep,
        )

    return make


class _Collected(Collector):
    def __init__(self, samples: Iterable[Sample]) -> None:
        self._families: dict[str, GaugeMetricFamily] = {}
        for sample in samples:
            family = GaugeMetricFamily(sample.family.name, sample.family.help, labels=sample.family.labels)
            self._families.setdefault(sample.family.name, family).add_metric(sample.labels, sample.value)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._families.values()


def exposition_lines(samples: Iterable[Sample]) -> str:
    """Render samples as prometheus-client does, one `name{label="value"} value` per line, sorted, without metadata."""
    registry = CollectorRegistry()
    registry.register(_Collected(samples))
    lines = generate_latest(registry).decode().splitlines(keepends=True)
    return "".join(sorted(line for line in lines if not line.startswith("#")))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, Iterable[Sample]], None]:
    """Compare samples with the golden file at a path; `pytest --update-golden` rewrites the file instead."""

    def check(path: Path, samples: Iterable[Sample]) -> None:
        lines = exposition_lines(samples)
        if request.config.getoption("--update-golden"):
            path.write_text(lines, encoding="utf-8")
        assert lines == path.read_text(encoding="utf-8")

    return check
