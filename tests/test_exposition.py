"""The page: what prometheus-client would say of the same families, in both formats, joined from ready parts."""

import math
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, Metric, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from exporter.collection import Result
from exporter.errors import State
from exporter.exposition import Exposition, Format, negotiate, samples_page
from exporter.metrics import Family, Sample, info
from exporter.snapshot import Entry, Key, Snapshot
from tests.fakes import PEOPLE, PLACES

PLACE_INFO = info("fake_place_info", 'A place "with" a \\ and\na line end.', ("place", "name"))
FAMILIES = (PEOPLE, PLACES, PLACE_INFO)

SITE, SITE_PLACES, OTHER = Key("site", "people"), Key("site", "places"), Key("other", "people")


class Pages:
    """A snapshot of three collectors, and its page as series with their values."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(Entry(key, "fake", 60.0, 100.0, 1000) for key in (SITE, SITE_PLACES, OTHER))
        self.registry = CollectorRegistry()
        self.exposition = Exposition(FAMILIES, self.registry)
        for entry in self.snapshot:
            self.exposition.update_status(entry)

    def publish(self, key: Key, *samples: Sample, state: State = State.OK, at: float = 1000.0) -> None:
        self.exposition.publish(self.snapshot.publish(key, Result(state, at - 2.0, 2.0, samples)))

    def page(self, form: Format = Format.TEXT) -> str:
        return self.exposition.page(form, self.snapshot).decode()

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
        pages.exposition.publish(entry)

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


def labels_on_the_page(sample: Sample) -> frozenset[tuple[str, str]]:
    return frozenset({("target", "site"), *zip(sample.family.labels, sample.labels, strict=True)})


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


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (PROMETHEUS, Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("application/openmetrics-text; q=0.5, text/plain; q=0.3", Format.OPENMETRICS),
        ("APPLICATION/OpenMetrics-Text", Format.OPENMETRICS),
        ("application/openmetrics-text,text/plain", Format.OPENMETRICS),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.5", Format.TEXT),
        ("application/openmetrics-text;q=0.3,*/*;q=0.5", Format.TEXT),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("application/openmetrics-text;q=nonsense", Format.TEXT),
        ("application/openmetrics-text;q=nan", Format.TEXT),
        ("text/plain", Format.TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.TEXT),
        ("*/*", Format.TEXT),
        ("application/json", Format.TEXT),
        ("", Format.TEXT),
        (";,;q=,,", Format.TEXT),
    ],
)
def test_openmetrics_is_for_those_who_name_it_and_do_not_like_it_less(accept: str, form: Format) -> None:
    assert negotiate(accept) is form


@given(st.text(alphabet="apliton/xme*-=q.;,01 ", max_size=60))
def test_no_accept_header_breaks_the_page(accept: str) -> None:
    assert negotiate(accept) in Format


def test_a_family_without_samples_has_no_lines() -> None:
    exposition = Exposition([Family("fake_nothing", "Nothing.")], CollectorRegistry())

    assert b"fake_nothing" not in exposition.page(Format.TEXT, Snapshot([]))
