"""The page: what prometheus-client would say of the same families, in both formats, joined from ready parts."""

import asyncio
import gzip
import math
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from exporter import exposition, self_metrics
from exporter.collection import Result
from exporter.errors import State
from exporter.exposition import (
    LARGE_BYTES,
    LARGE_COLLECTORS,
    LARGE_SAMPLES,
    Exposition,
    Format,
    batches,
    rendered,
    samples_page,
    status_samples,
)
from exporter.gzip_stream import compress_head
from exporter.metrics import Family, Sample, info
from exporter.snapshot import Entry, Key, Snapshot
from tests.fakes import PEOPLE, PLACES

PLACE_INFO = info("fake_place_info", 'A place "with" a \\ and\na line end.', ("place", "name"))
FAMILIES = (PEOPLE, PLACES, PLACE_INFO)

SITE, SITE_PLACES, OTHER = Key("site", "people"), Key("site", "places"), Key("other", "people")


class Pages:
    """A snapshot of three collectors, and its page as series with their values."""

    def __init__(self, max_series: int = 1000) -> None:
        self.snapshot = Snapshot(Entry(key, "fake", 60.0, 100.0, max_series) for key in (SITE, SITE_PLACES, OTHER))
        self.registry = CollectorRegistry()
        self.exposition = Exposition(FAMILIES, self.registry)
        for entry in self.snapshot:
            self.exposition.update_status(entry)

    def publish(self, key: Key, *samples: Sample, state: State = State.OK, at: float = 1000.0) -> None:
        entry = self.snapshot.publish(key, Result(state, at - 2.0, 2.0, samples))
        self.exposition.publish(entry, {})

    def page(self, form: Format = Format.TEXT, keys: Collection[Key] | None = None) -> str:
        return b"".join(self.exposition.page(form, keys)).decode()

    async def gzip_page(self, form: Format = Format.TEXT, keys: Collection[Key] | None = None) -> bytes:
        return b"".join(await self.exposition.gzip_page(form, keys))

    def series(self, name: str, **labels: str) -> dict[tuple[str, ...], float]:
        """Return the values of a family's series with these labels, by their other values in order of label names."""
        return {
            tuple(value for label, value in sample.labels.items() if label not in labels): sample.value
            for family in parse_text(self.page())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }


@pytest.fixture
def pages() -> Pages:
    return Pages()


def test_before_the_first_run_the_page_says_so_and_has_no_values(pages: Pages) -> None:
    assert pages.series("engagement_up") == {("fake", "site"): 0, ("fake", "other"): 0}
    assert pages.series("engagement_collector_state", state="pending", target="site", collector="people") == {
        ("fake",): 1
    }
    assert pages.series("engagement_collector_last_success_timestamp_seconds") == {}
    assert pages.series("engagement_collector_duration_seconds") == {}
    assert "fake_people" not in pages.page()


def test_samples_get_their_targets_name_as_a_label(pages: Pages) -> None:
    pages.publish(SITE, PEOPLE.sample(7))
    pages.publish(SITE_PLACES, PLACES.sample(3, place="x"))

    assert 'fake_people{target="site"} 7.0\n' in pages.page()
    assert 'fake_places{place="x",target="site"} 3.0\n' in pages.page()


def test_the_status_of_a_complete_run(pages: Pages) -> None:
    pages.publish(SITE, PEOPLE.sample(7))
    own = {"target": "site", "platform": "fake", "collector": "people"}
    expected = {
        "engagement_collector_up": 1,
        "engagement_collector_last_success_timestamp_seconds": 1000,
        "engagement_collector_duration_seconds": 2,
        "engagement_collector_interval_seconds": 60,
        "engagement_collector_samples": 1,
        "engagement_collector_runs_total": 1,
        "engagement_collector_failures_total": 0,
        "engagement_series_dropped": 0,
        "engagement_collector_unreadable_values": 0,
        "engagement_collector_cut_labels": 0,
    }

    assert {name: pages.series(name, **own)[()] for name in expected} == expected
    assert pages.series("engagement_collector_skipped_runs_total", **own) == {
        ("overlap",): 0,
        ("missed",): 0,
        ("paused",): 0,
    }


@pytest.mark.parametrize("state", [state for state in State if state not in (State.OK, State.PENDING)])
def test_a_failed_run_shows_its_state_beside_the_last_complete_values(pages: Pages, state: State) -> None:
    pages.publish(SITE, PEOPLE.sample(7))
    pages.publish(SITE, state=state, at=5000.0)
    own = {"target": "site", "platform": "fake", "collector": "people"}

    assert pages.series("fake_people") == {("site",): 7}
    assert pages.series("engagement_collector_up", **own) == {(): 0}
    assert pages.series("engagement_collector_state", **own) == {(str(one),): float(one is state) for one in State}
    assert pages.series("engagement_collector_last_success_timestamp_seconds", **own) == {(): 1000}
    assert pages.series("engagement_collector_failures_total", **own) == {(): 1}


def test_a_target_is_up_when_all_its_collectors_are(pages: Pages) -> None:
    pages.publish(SITE, PEOPLE.sample(7))
    assert pages.series("engagement_up") == {("fake", "site"): 0, ("fake", "other"): 0}
    pages.publish(SITE_PLACES)
    assert pages.series("engagement_up") == {("fake", "site"): 1, ("fake", "other"): 0}
    pages.publish(SITE, state=State.FORBIDDEN)
    assert pages.series("engagement_up") == {("fake", "site"): 0, ("fake", "other"): 0}


def test_what_one_target_publishes_never_touches_anothers_series(pages: Pages) -> None:
    pages.publish(OTHER, PEOPLE.sample(8))
    others = [line for line in pages.page().splitlines() if 'target="other"' in line]
    pages.publish(SITE, PEOPLE.sample(7))
    pages.publish(SITE)
    pages.publish(SITE, state=State.UNAUTHORIZED)

    assert [line for line in pages.page().splitlines() if 'target="other"' in line] == others


def test_series_that_a_new_result_lacks_leave_the_page(pages: Pages) -> None:
    pages.publish(SITE_PLACES, PLACES.sample(1, place="x"), PLACES.sample(2, place="y"))
    pages.publish(SITE_PLACES, PLACES.sample(3, place="y"))
    assert pages.series("fake_places") == {("y", "site"): 3}

    pages.publish(SITE_PLACES)
    assert "fake_places" not in pages.page()


def test_expired_values_leave_the_page_and_the_time_of_the_last_success_stays(pages: Pages) -> None:
    pages.publish(SITE, PEOPLE.sample(7))
    for entry in pages.snapshot.expire(1200.0):
        pages.exposition.publish(entry, {})

    assert "fake_people" not in pages.page()
    assert pages.series("engagement_collector_samples", collector="people", target="site") == {("fake",): 0}
    assert pages.series("engagement_collector_last_success_timestamp_seconds") == {("people", "fake", "site"): 1000}


def test_dropped_series_are_counted_and_the_page_stays_whole(pages: Pages) -> None:
    pages.publish(SITE_PLACES, PLACES.sample(math.nan, place="x"), PLACES.sample(1, place="y"), Sample(PLACES, (), 1))

    assert pages.series("fake_places") == {("y", "site"): 1}
    assert pages.series("engagement_series_dropped", collector="places") == {("fake", "site"): 2}


def test_the_live_registry_stands_at_the_end_as_it_is_at_that_moment(pages: Pages) -> None:
    gauge = Gauge("engagement_test_seconds", "Live.", registry=pages.registry)
    gauge.set(1)
    assert pages.page().endswith("\nengagement_test_seconds 1.0\n")
    gauge.set(2)
    assert pages.page().endswith("\nengagement_test_seconds 2.0\n")
    assert pages.page(Format.OPENMETRICS).endswith("\nengagement_test_seconds 2.0\n# EOF\n")


def full_page(form: Format) -> str:
    pages = Pages()
    pages.publish(SITE, PEOPLE.sample(7))
    pages.publish(OTHER, PEOPLE.sample(8))
    pages.publish(SITE_PLACES, PLACES.sample(3, place="x"), PLACE_INFO.sample(1, place="x", name='"\\\n'))
    return pages.page(form)


@pytest.mark.parametrize(("form", "parse"), [(Format.TEXT, parse_text), (Format.OPENMETRICS, parse_openmetrics)])
def test_both_formats_parse_and_no_family_or_series_comes_twice(form: Format, parse: object) -> None:
    families = list(parse(full_page(form)))  # type: ignore[operator]
    names = [family.name for family in families]
    series = [(sample.name, *sorted(sample.labels.items())) for family in families for sample in family.samples]

    assert len(names) == len(set(names))
    assert len(series) == len(set(series))
    assert {"fake_people", "fake_places"} <= set(names)


def test_sample_lines_are_the_same_bytes_in_both_formats() -> None:
    def lines(form: Format) -> list[str]:
        return [line for line in full_page(form).splitlines() if not line.startswith("#")]

    assert lines(Format.TEXT) == lines(Format.OPENMETRICS)


def test_openmetrics_ends_once_and_at_the_end() -> None:
    page = full_page(Format.OPENMETRICS)

    assert page.endswith("\n# EOF\n")
    assert page.count("# EOF") == 1
    assert "# EOF" not in full_page(Format.TEXT)


class Same(Collector):
    """The same families as prometheus-client's own objects."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = tuple(samples)

    def collect(self) -> Iterator[Metric]:
        for family in sorted(FAMILIES, key=lambda family: family.name):
            own = [sample for sample in self._samples if sample.family is family]
            metric = Metric(family.name.removesuffix("_info"), family.help, family.kind.value)
            for sample in own:
                labels = dict(zip(("target", *family.labels), ("site", *sample.labels), strict=True))
                metric.add_sample(family.name, labels, sample.value)
            if own:
                yield metric


LABEL_VALUES = st.text(max_size=6) | st.sampled_from(
    ['"', "\\", "\n", "\\n", '\\"', "\r\n", "é\u2028", "a\x00b", "{}", "# "]
)
VALUES = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53) | st.booleans()
SAMPLES = st.lists(
    st.builds(PEOPLE.sample, VALUES)
    | st.builds(lambda value, place: PLACES.sample(value, place=place), VALUES, LABEL_VALUES)
    | st.builds(lambda place, name: PLACE_INFO.sample(1, place=place, name=name), LABEL_VALUES, LABEL_VALUES),
    max_size=8,
    unique_by=lambda sample: (sample.family.name, sample.labels),
)


@given(SAMPLES)
def test_a_page_is_byte_for_byte_what_prometheus_client_renders(samples: list[Sample]) -> None:
    assert samples_page("site", samples, Format.TEXT) == generate_latest(Same(samples))
    assert samples_page("site", samples, Format.OPENMETRICS) == openmetrics.generate_latest(Same(samples))  # type: ignore[no-untyped-call]


class WholePage(Collector):
    """What the exposition should show, as the library's own objects: samples, status, then the live families."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def collect(self) -> Iterator[Metric]:
        rows = list(self._rows())
        for family in (*FAMILIES, *self_metrics.FAMILIES):
            metric = Metric(re.sub("_(info|total)$", "", family.name), family.help, family.kind.value)
            for labels in (row for row in rows if row[0] is family):
                metric.add_sample(family.name, *labels[1:])
            if metric.samples:
                yield metric
        yield from self._pages.registry.collect()

    def _rows(self) -> Iterator[tuple[Family, dict[str, str], float]]:
        for entry in self._pages.snapshot:
            samples = entry.published.exposed.values() if entry.published else ()
            for sample in chain.from_iterable(samples):
                yield sample.family, dict(labels_on_the_page(sample, entry.key.target)), sample.value
            for sample in status_samples(entry):
                yield sample.family, dict(zip(sample.family.labels, sample.labels, strict=True)), sample.value
        for target in ("site", "other"):
            states = [entry.state for entry in self._pages.snapshot if entry.key.target == target]
            yield self_metrics.UP, {"target": target, "platform": "fake"}, all(state is State.OK for state in states)


@settings(max_examples=50)
@given(SAMPLES, SAMPLES, st.booleans())
async def test_a_whole_page_with_its_live_part_is_byte_for_byte_the_librarys_plain_and_gzipped(
    one: list[Sample], two: list[Sample], fails: bool
) -> None:
    pages = Pages()
    Gauge("engagement_test_seconds", "Live.", registry=pages.registry).set(0.5)
    Counter("engagement_tests", "Live.", ["name"], registry=pages.registry).labels('"\\\n').inc()
    pages.publish(SITE, *one)
    pages.publish(OTHER, *two)
    if fails:
        pages.publish(SITE, state=State.FORBIDDEN)
    text = generate_latest(WholePage(pages))
    expected = {Format.TEXT: text, Format.OPENMETRICS: openmetrics.generate_latest(WholePage(pages))}  # type: ignore[no-untyped-call]
    for form, page in expected.items():
        assert pages.page(form).encode() == page
        assert gzip.decompress(await pages.gzip_page(form)) == page


def labels_on_the_page(sample: Sample, target: str = "site") -> frozenset[tuple[str, str]]:
    return frozenset({("target", target), *zip(sample.family.labels, sample.labels, strict=True)})


@given(SAMPLES)
def test_a_page_that_is_parsed_gives_the_samples_back(samples: list[Sample]) -> None:
    for form, parse in ((Format.TEXT, parse_text), (Format.OPENMETRICS, parse_openmetrics)):
        page = samples_page("site", samples, form).decode()
        parsed = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in parse(page)
            for sample in family.samples
        }
        assert parsed == {(sample.family.name, labels_on_the_page(sample)): sample.value for sample in samples}


def test_the_page_of_one_run_drops_what_no_page_could_hold() -> None:
    samples = [PLACES.sample(1, place="x"), PLACES.sample(2, place="x"), PLACES.sample(math.inf, place="y")]

    assert samples_page("site", samples, Format.TEXT).decode().splitlines()[2:] == [
        'fake_places{place="x",target="site"} 1.0'
    ]


def test_a_selection_has_the_samples_and_status_of_its_collectors_and_nothing_else(pages: Pages) -> None:
    Gauge("engagement_test_seconds", "Live.", registry=pages.registry).set(1)
    pages.publish(SITE, PEOPLE.sample(7))
    pages.publish(OTHER, PEOPLE.sample(8))
    whole = pages.page()
    for form in Format:
        page = pages.page(form, [OTHER])
        lines = [line for line in page.splitlines() if not line.startswith("#")]

        assert lines == [line for line in whole.splitlines() if 'target="other"' in line]
        assert page.endswith("# EOF\n") is (form is Format.OPENMETRICS)


def test_a_series_that_several_collectors_of_a_target_have_stands_once() -> None:
    """As the first of them says; a page with a series twice would be refused whole."""
    pages = Pages()
    pages.exposition.arrange([PEOPLE, PLACES, PLACES], ())
    pages.publish(SITE_PLACES, PLACES.sample(2, place="a b\r 1"), PLACES.sample(5, place="only"))
    pages.publish(SITE, PLACES.sample(1, place="a b\r 1"))
    pages.publish(OTHER, PLACES.sample(3, place="a b\r 1"))

    lines = [line for line in pages.page().split("\n") if line.startswith("fake_places")]
    assert lines == [
        'fake_places{place="a b\r 1",target="site"} 2.0',
        'fake_places{place="only",target="site"} 5.0',
        'fake_places{place="a b\r 1",target="other"} 3.0',
    ]
    assert pages.page(keys=[SITE]).count("\nfake_places") == 1


async def test_a_selection_is_the_same_gzipped_and_leaves_the_whole_page_alone(pages: Pages) -> None:
    whole = await pages.gzip_page()

    assert gzip.decompress(await pages.gzip_page(keys=[SITE])).decode() == pages.page(keys=[SITE])
    assert gzip.decompress(await pages.gzip_page(keys=[])) == b""
    assert await pages.gzip_page() == whole


async def test_only_the_live_part_is_compressed_again_until_something_is_published(pages: Pages) -> None:
    gauge = Gauge("engagement_test_seconds", "Live.", registry=pages.registry)
    before, _ = await pages.exposition.gzip_page(Format.TEXT)
    gauge.set(2)
    after, rest = await pages.exposition.gzip_page(Format.TEXT)
    assert after is before
    assert gzip.decompress(after + rest).endswith(b"\nengagement_test_seconds 2.0\n")

    pages.publish(SITE, PEOPLE.sample(7))
    published, _ = await pages.exposition.gzip_page(Format.TEXT)
    assert published is not before


def large_result() -> list[Sample]:
    """More than is rendered, and more than is compressed, in the event loop."""
    place = "x" * (LARGE_BYTES // LARGE_SAMPLES)
    return [PLACES.sample(number, place=f"{place}{number}") for number in range(LARGE_SAMPLES)]


async def test_scrapes_at_once_share_one_compression_and_show_what_was_published_before_they_came() -> None:
    pages = Pages(max_series=LARGE_SAMPLES)
    pages.publish(SITE_PLACES, *large_result())
    early = [asyncio.create_task(pages.gzip_page()) for _ in range(3)]
    await asyncio.sleep(0)
    pages.publish(OTHER, PEOPLE.sample(7))
    late = [asyncio.create_task(pages.exposition.gzip_page(Format.TEXT)) for _ in range(3)]

    heads = {id(pieces[0]) for pieces in await asyncio.gather(*late)}
    assert len(heads) == 1
    assert all(b"fake_people" in gzip.decompress(b"".join(task.result())) for task in late)
    await asyncio.gather(*early)


async def test_a_large_result_is_rendered_and_compressed_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def spied(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any) -> Any:
            threads.append(threading.current_thread().name)
            return function(*args)

        return called

    monkeypatch.setattr(exposition, "rendered", spied(rendered))
    monkeypatch.setattr(exposition, "compress_head", spied(compress_head))
    for samples, is_beside in ((large_result(), True), ([PLACES.sample(1, place="x")], False)):
        pages = Pages(max_series=LARGE_SAMPLES)
        entry = pages.snapshot.publish(SITE_PLACES, Result(State.OK, 0.0, 1.0, tuple(samples)))
        pages.exposition.publish(entry, await pages.exposition.render(entry))
        page = await pages.gzip_page()

        assert gzip.decompress(page).decode() == pages.page()
        assert [name != "MainThread" for name in threads] == [is_beside, is_beside]
        threads.clear()


async def test_the_page_of_many_collectors_ends_with_a_live_part_that_is_compressed_beside_the_event_loop() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("engagement_test_seconds", "Live.", registry=registry)
    gauge.set_function(lambda: float(threading.current_thread() is threading.main_thread()))
    many = Exposition(FAMILIES, registry)
    for number in range(LARGE_COLLECTORS):
        many.update_status(Entry(Key(f"site-{number}", "people"), "fake", 60.0, 100.0, 10))

    page = gzip.decompress(b"".join(await many.gzip_page(Format.OPENMETRICS)))

    assert page.endswith(b"\nengagement_test_seconds 0.0\n# EOF\n")


@given(st.lists(st.binary(max_size=6)))
def test_batches_lose_nothing(parts: list[bytes]) -> None:
    assert b"".join(batches(parts)) == b"".join(parts)


def test_a_family_without_samples_has_no_lines() -> None:
    empty = Exposition([Family("fake_nothing", "Nothing.")], CollectorRegistry())

    assert empty.page(Format.TEXT) == [b""]
