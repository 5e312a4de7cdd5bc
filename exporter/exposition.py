"""Snapshot to page: rendered once when published, compressed once per change, so that a scrape only copies bytes."""

import asyncio
import functools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from itertools import groupby
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Metric, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter import self_metrics
from exporter.errors import State
from exporter.gzip_stream import Head, compress_head
from exporter.metrics import TARGET_LABEL, Family, Kind, Sample
from exporter.snapshot import Entry, Families, Key, arranged

Row = tuple[Sequence[str], float]
Chunks = dict[Family, dict[Key, bytes]]


class Lines(NamedTuple):
    """The rendered lines of a family, with the very samples that they say."""

    samples: tuple[Sample, ...]
    text: bytes


Rendered = Mapping[Family, Lines]


class Change(NamedTuple):
    """All that the page has to take over to say what an entry says: the lines of new samples, and of the status."""

    entry: Entry
    exposed: Families
    samples: Mapping[Family, bytes]
    status: Mapping[Family, bytes]


LARGE_SAMPLES = 2_000
"""Rendering fewer holds the event loop for less than 3 ms, about what a thread costs on a busy machine."""
LARGE_BYTES = 2**19
"""Compressing less holds the event loop for about 2 ms."""
BATCH_BYTES = 2**18
LARGE_COLLECTORS = 50
"""The live part of fewer is rendered within about 3 ms: their targets have about five live series each."""

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
    collects at the moment of the scrape. All methods are called in the event loop.
    """

    def __init__(self, families: Iterable[Family], live: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # it would double the counters with their start times
        self._samples: Chunks = {family: {} for family in families}
        self._status: Chunks = {family: {} for family in self_metrics.FAMILIES}
        self._shown: dict[Key, Entry] = {}
        self._rendered: dict[Key, Families] = {}
        self._shared: set[Family] = set()
        self._live = live
        self._version = 0
        self._heads: dict[Format, tuple[int, Head]] = {}
        self._compressing = {form: asyncio.Lock() for form in Format}
        self._threads = ThreadPoolExecutor(2, "page")
        """For scrapes alone: whatever else takes a thread for long, such as a reload, holds none up."""

    def arrange(self, families: Iterable[Family], gone: Collection[Key]) -> None:
        """Set the platforms' families, in the order of the page, and drop what is shown of the collectors `gone`.

        Families of several collectors come several times.
        """
        self._version += 1
        declared = Counter(families)
        self._shared = {family for family, number in declared.items() if number > 1}
        self._samples = {family: self._samples.get(family, {}) for family in declared}
        for key in gone:
            self._shown.pop(key, None)
            self._rendered.pop(key, None)
            for chunks in (*self._samples.values(), *self._status.values()):
                chunks.pop(key, None)

    async def render(self, entry: Entry) -> Rendered:
        """Render what `prepare` will need, beside the event loop when that would hold it up."""
        families = self._not_rendered(entry)
        if not families:
            return {}
        if sum(map(len, families.values())) < LARGE_SAMPLES:
            return rendered(entry.key.target, families)
        return await asyncio.to_thread(rendered, entry.key.target, families)

    def prepare(self, entry: Entry, ready: Rendered) -> Change:
        """Work out what `show` needs, and change nothing yet; what is new and not `ready` is rendered now."""
        new = self._not_rendered(entry)
        lines = {family: lines for family, lines in ready.items() if new.get(family) == lines.samples}
        if missing := {family: samples for family, samples in new.items() if family not in lines}:
            lines |= rendered(entry.key.target, missing)
        samples = {family: of_family.text for family, of_family in lines.items()}
        return Change(entry, _exposed(entry), samples, status_lines(entry))

    def show(self, change: Change) -> None:
        """Let the page hold what was prepared. Nothing can go wrong any more."""
        key = change.entry.key
        for family in self._rendered.get(key, {}).keys() - change.exposed.keys():
            self._samples[family].pop(key, None)
        for family, text in change.samples.items():
            self._samples[family][key] = text
        self._rendered[key] = change.exposed
        self._show_status(change.entry, change.status)

    def publish(self, entry: Entry, ready: Rendered) -> None:
        """Let the page hold what the entry exposes, and its status."""
        if self._shown.get(entry.key) is not entry:
            self.show(self.prepare(entry, ready))

    def _not_rendered(self, entry: Entry) -> Families:
        on_page = self._rendered.get(entry.key, {})
        return {family: samples for family, samples in _exposed(entry).items() if on_page.get(family) is not samples}

    def update_status(self, entry: Entry) -> None:
        """Replace what the page says about the entry's collector, without its samples."""
        self._show_status(entry, status_lines(entry))

    def _show_status(self, entry: Entry, status: Mapping[Family, bytes]) -> None:
        self._version += 1
        self._shown[entry.key] = entry
        for family, text in status.items():
            self._status[family][entry.key] = text

    def page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]:
        """Return the page in pieces; with `keys`, only these collectors' samples and status, not the live part."""
        return [*self._parts(form, keys), self._end(form, keys)]

    async def gzip_page(self, form: Format, keys: Collection[Key] | None = None) -> list[bytes]:
        """Return the page as one gzip stream in pieces; all but its end is compressed once after each change.

        Scrapes that meet a compression under way wait for it, and for one more if the page changed before they came.
        """
        if keys is not None:
            head = await self._compress(self._parts(form, keys))
        else:
            head = await self._head(form)

        def rest() -> bytes:
            return head.rest(self._end(form, keys))

        if len(self._shown) < LARGE_COLLECTORS:
            return [head.data, rest()]
        return [head.data, await asyncio.get_running_loop().run_in_executor(self._threads, rest)]

    async def _head(self, form: Format) -> Head:
        wanted = self._version
        async with self._compressing[form]:
            version, head = self._heads.get(form, (-1, None))
            if head is None or version < wanted:
                version, head = self._version, await self._compress(self._parts(form, None))
                self._heads[form] = version, head
            return head

    async def _compress(self, parts: Sequence[bytes]) -> Head:
        if sum(map(len, parts)) < LARGE_BYTES:
            return compress_head(batches(parts))
        return await asyncio.get_running_loop().run_in_executor(self._threads, compress_head, batches(parts))

    def _parts(self, form: Format, keys: Collection[Key] | None) -> list[bytes]:
        parts = []
        for family, chunks in (*self._samples.items(), *self._status.items()):
            if family is self_metrics.UP:
                rows = up_rows(self._shown.values(), {key.target for key in keys} if keys is not None else None)
                lines = [sample_lines(family, family.labels, rows)]
            elif keys is None:
                lines = list(chunks.values())
            else:
                lines = [chunks[key] for key in keys if key in chunks]
            if family in self._shared:
                lines = each_series_once(lines)
            if any(lines):
                parts += [metadata(family, form), *lines]
        return parts

    def _end(self, form: Format, keys: Collection[Key] | None) -> bytes:
        return live_page(self._live if keys is None else CollectorRegistry(), form)


def each_series_once(chunks: Iterable[bytes]) -> list[bytes]:
    """Return the lines without those of series that an earlier line has: several collectors may know the same."""
    first: dict[bytes, bytes] = {}
    for line in b"".join(chunks).split(b"\n")[:-1]:
        first.setdefault(line.rpartition(b" ")[0], line + b"\n")
    return list(first.values())


def batches(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join small parts until they are worth a call: neither a million calls nor one long copy is made of them."""
    batch: list[bytes] = []
    size_bytes = 0
    for part in parts:
        batch.append(part)
        size_bytes += len(part)
        if size_bytes >= BATCH_BYTES:
            yield b"".join(batch)
            batch, size_bytes = [], 0
    if batch:
        yield b"".join(batch)


class _One(Collector):
    """What prometheus-client renders from: a registry of one family."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def metadata(family: Family, form: Format) -> bytes:
    """Render the HELP and TYPE lines."""
    return _header(family.name.removesuffix(TYPE_SUFFIXES.get(family.kind, "")), family.help, family.kind.value, form)


@functools.cache
def _header(name: str, documentation: str, kind: str, form: Format) -> bytes:
    registry = _One(Metric(name, documentation, kind))
    if form is Format.TEXT:
        return generate_latest(registry)
    lines: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
    return lines.removesuffix(OPENMETRICS_END)


def sample_lines(family: Family, label_names: Sequence[str], rows: Iterable[Row]) -> bytes:
    """Render one line per row, in the order given.

    prometheus-client's bytes in a fifth of its time; property tests hold whole pages to it.
    """
    order = sorted(range(len(label_names)), key=label_names.__getitem__)
    labels_template = ",".join(f'{label_names[index]}="%s"' for index in order)
    template = f"{family.name}{{{labels_template}}} %s\n" if order else f"{family.name} %s\n"
    lines = [
        template % (*[_escape(labels[index]) for index in order], floatToGoString(value))  # type: ignore[no-untyped-call]
        for labels, value in rows
    ]
    return "".join(lines).encode()


def _escape(label: str) -> str:
    return label.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def rendered(target: str, families: Families) -> Rendered:
    """Render a platform's samples; here, and only here, they get the label `target`."""
    return {
        family: Lines(
            samples,
            sample_lines(
                family, (TARGET_LABEL, *family.labels), [((target, *sample.labels), sample.value) for sample in samples]
            ),
        )
        for family, samples in families.items()
    }


def samples_page(target: str, samples: Iterable[Sample], form: Format) -> bytes:
    """Render the samples of one target as a page of its own, its families by name."""
    families, _ = arranged(samples)
    by_name = sorted(rendered(target, families).items(), key=lambda item: item[0].name)
    parts = [metadata(family, form) + lines.text for family, lines in by_name]
    return b"".join(parts) + (OPENMETRICS_END if form is Format.OPENMETRICS else b"")


def live_page(registry: Collector, form: Format) -> bytes:
    """Render what the registry holds now, without exemplars and start times; in OpenMetrics it ends the page.

    Like `sample_lines`, prometheus-client's bytes in less of its time: this is what a scrape waits for.
    """
    parts = []
    for metric in registry.collect():
        parts.append(_header(metric.name, metric.documentation, metric.type, form))
        parts += [_live_line(sample.name, sample.labels, sample.value) for sample in metric.samples]
    return b"".join(parts) + (OPENMETRICS_END if form is Format.OPENMETRICS else b"")


def _live_line(name: str, labels: Mapping[str, str], value: float) -> bytes:
    number = floatToGoString(value)  # type: ignore[no-untyped-call]
    if not labels:
        return f"{name} {number}\n".encode()
    pairs = ",".join([f'{label}="{_escape(labels[label])}"' for label in sorted(labels)])
    return f"{name}{{{pairs}}} {number}\n".encode()


def up_rows(entries: Iterable[Entry], targets: Collection[str] | None) -> list[Row]:
    """A target is up when the last run of every enabled collector gave a complete result; None means all targets."""
    up: dict[tuple[str, str], bool] = {}
    for entry in entries:
        if targets is None or entry.key.target in targets:
            labels = (entry.key.target, entry.platform)
            up[labels] = up.get(labels, True) and entry.state is State.OK
    return [(labels, float(is_up)) for labels, is_up in up.items()]


def _exposed(entry: Entry) -> Families:
    return entry.published.exposed if entry.published else {}


def status_lines(entry: Entry) -> dict[Family, bytes]:
    """Render what `status_samples` says."""
    ordered = sorted(status_samples(entry), key=lambda sample: sample.family.name)
    return {
        family: sample_lines(family, family.labels, [(sample.labels, sample.value) for sample in group])
        for family, group in groupby(ordered, key=lambda sample: sample.family)
    }


def status_samples(entry: Entry) -> list[Sample]:
    """Say how the entry's collector is doing; what is not known yet is absent."""
    own = {"target": entry.key.target, "platform": entry.platform, "collector": entry.key.collector}
    samples = [
        self_metrics.COLLECTOR_UP.sample(entry.state is State.OK, **own),
        self_metrics.INTERVAL.sample(entry.interval_seconds, **own),
        self_metrics.SAMPLES.sample(entry.published.series if entry.published else 0, **own),
        self_metrics.SERIES_DROPPED.sample(entry.published.series_dropped if entry.published else 0, **own),
        self_metrics.RUNS.sample(entry.runs, **own),
        self_metrics.FAILURES.sample(entry.failures, **own),
    ]
    samples += [self_metrics.COLLECTOR_STATE.sample(state is entry.state, state=state, **own) for state in State]
    samples += [
        self_metrics.SKIPPED_RUNS.sample(count, reason=reason, **own) for reason, count in entry.skipped.items()
    ]
    if entry.published is not None:
        samples.append(self_metrics.UNREADABLE_VALUES.sample(entry.published.unreadable, **own))
        samples.append(self_metrics.CUT_LABELS.sample(entry.published.cut_labels, **own))
    if entry.last_success_at is not None:
        samples.append(self_metrics.LAST_SUCCESS.sample(entry.last_success_at, **own))
    if entry.last is not None:
        samples.append(self_metrics.DURATION.sample(entry.last.duration_seconds, **own))
    return samples
