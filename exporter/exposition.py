"""Snapshot to page: families are rendered by prometheus-client when they are published, a page only joins the bytes."""

import functools
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import groupby

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from exporter import self_metrics
from exporter.errors import State
from exporter.metrics import TARGET_LABEL, Family, Kind, Sample
from exporter.snapshot import Entry, Key, Snapshot, admit

Row = tuple[Sequence[str], float]

OPENMETRICS_END = b"# EOF\n"
TYPE_SUFFIXES = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
"""prometheus-client names these families without the suffix that their samples carry."""


class Format(Enum):
    """What a scraper may ask for; the value is the content type."""

    TEXT = CONTENT_TYPE_PLAIN_0_0_4
    OPENMETRICS = openmetrics.CONTENT_TYPE_LATEST


class Exposition:
    """Rendered sample lines by family and collector; sample lines are the same bytes in both formats.

    `families` are the platforms' families in the order of the page; the exporter's own follow, and last what `live`
    collects at the moment of the scrape.
    """

    def __init__(self, families: Iterable[Family], live: CollectorRegistry) -> None:
        self._families = {family.name: family for family in (*families, *self_metrics.FAMILIES)}
        self._chunks: dict[str, dict[Key, bytes]] = {name: {} for name in self._families}
        self._live = live

    def publish(self, entry: Entry) -> None:
        """Replace what the page holds of the entry's collector: its samples and its status."""
        for chunks in self._chunks.values():
            chunks.pop(entry.key, None)
        if entry.published:
            for family, lines in target_lines(entry.key.target, entry.published.samples):
                self._chunks[family.name][entry.key] = lines
        self.update_status(entry)

    def update_status(self, entry: Entry) -> None:
        """Replace what the page says about the entry's collector, without its samples."""
        ordered = sorted(status_samples(entry), key=lambda sample: sample.family.name)
        for family, group in groupby(ordered, key=lambda sample: sample.family):
            rows = [(sample.labels, sample.value) for sample in group]
            self._chunks[family.name][entry.key] = sample_lines(family, family.labels, rows)

    def page(self, form: Format, snapshot: Snapshot) -> bytes:
        """Join the whole page."""
        up = sample_lines(self_metrics.UP, self_metrics.UP.labels, up_rows(snapshot))
        parts = []
        for name, chunks in self._chunks.items():
            lines = [up] if name == self_metrics.UP.name else chunks.values()
            body = b"".join(lines)
            if body:
                parts += [metadata(self._families[name], form), body]
        return b"".join(parts) + live_page(self._live, form)


class _One(Collector):
    """What prometheus-client renders from: a registry of one family."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def _metric(family: Family) -> Metric:
    name = family.name.removesuffix(TYPE_SUFFIXES.get(family.kind, ""))
    return Metric(name, family.help, family.kind.value)


@functools.cache
def metadata(family: Family, form: Format) -> bytes:
    """Render the HELP and TYPE lines."""
    return live_page(_One(_metric(family)), form).removesuffix(OPENMETRICS_END)


def sample_lines(family: Family, label_names: Sequence[str], rows: Iterable[Row]) -> bytes:
    """Render one line per row, in the order given."""
    metric = _metric(family)
    for labels, value in rows:
        metric.add_sample(family.name, dict(zip(label_names, labels, strict=True)), value)
    rendered = generate_latest(_One(metric))
    return rendered[len(metadata(family, Format.TEXT)) :]


def target_lines(target: str, samples: Iterable[Sample]) -> Iterator[tuple[Family, bytes]]:
    """Render a platform's samples, which come grouped by family; here, and only here, they get the label `target`."""
    for family, group in groupby(samples, key=lambda sample: sample.family):
        rows = [((target, *sample.labels), sample.value) for sample in group]
        yield family, sample_lines(family, (TARGET_LABEL, *family.labels), rows)


def samples_page(target: str, samples: Iterable[Sample], form: Format) -> bytes:
    """Render the samples of one target as a page of its own."""
    admitted, _ = admit(samples, sys.maxsize)
    parts = [metadata(family, form) + lines for family, lines in target_lines(target, admitted)]
    return b"".join(parts) + (OPENMETRICS_END if form is Format.OPENMETRICS else b"")


def live_page(registry: Collector, form: Format) -> bytes:
    """Render what the registry holds now; in OpenMetrics it ends the page."""
    if form is Format.TEXT:
        return generate_latest(registry)
    return openmetrics.generate_latest(registry)  # type: ignore[no-any-return, no-untyped-call]


def up_rows(snapshot: Snapshot) -> list[Row]:
    """A target is up when the last run of every enabled collector gave a complete result."""
    targets: dict[tuple[str, str], bool] = {}
    for entry in snapshot:
        target = (entry.key.target, entry.platform)
        targets[target] = targets.get(target, True) and entry.state is State.OK
    return [(target, float(up)) for target, up in targets.items()]


def status_samples(entry: Entry) -> list[Sample]:
    """Say how the entry's collector is doing; what is not known yet is absent."""
    own = {"target": entry.key.target, "platform": entry.platform, "collector": entry.key.collector}
    samples = [
        self_metrics.COLLECTOR_UP.sample(entry.state is State.OK, **own),
        self_metrics.INTERVAL.sample(entry.interval_seconds, **own),
        self_metrics.SAMPLES.sample(len(entry.published.samples) if entry.published else 0, **own),
        self_metrics.SERIES_DROPPED.sample(entry.published.series_dropped if entry.published else 0, **own),
        self_metrics.RUNS.sample(entry.runs, **own),
        self_metrics.FAILURES.sample(entry.failures, **own),
    ]
    samples += [self_metrics.COLLECTOR_STATE.sample(state is entry.state, state=state, **own) for state in State]
    samples += [
        self_metrics.SKIPPED_RUNS.sample(count, reason=reason, **own) for reason, count in entry.skipped.items()
    ]
    if entry.last_success_at is not None:
        samples.append(self_metrics.LAST_SUCCESS.sample(entry.last_success_at, **own))
    if entry.last is not None:
        samples.append(self_metrics.DURATION.sample(entry.last.duration_seconds, **own))
    return samples


def negotiate(accept: str) -> Format:
    """Choose by the quality values of an Accept header; OpenMetrics only when asked for by name and not liked less."""
    qualities = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for item in accept.split(","):
        media_type, *parameters = (part.strip() for part in item.lower().split(";"))
        quality = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
        matches = [media_type] if media_type in qualities else []
        if media_type in ("*/*", "text/*"):
            matches = ["text/plain"]
        for match in matches:
            qualities[match] = max(qualities[match], _quality(quality))
    wanted, plain = qualities["application/openmetrics-text"], qualities["text/plain"]
    return Format.OPENMETRICS if wanted > 0 and wanted >= plain else Format.TEXT


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
