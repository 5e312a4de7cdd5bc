"""Every line of a history says what its series was at one moment, in the words of a scrape."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.backfill.openmetrics import END, MOMENTS_AT_ONCE, Timestamps, heading, series_text
from exporter.exposition import Format, samples_page
from exporter.history import ABSENT, Span, Steps
from exporter.metrics import Family, Sample, info

PLACES = Family("fake_places", 'Visits, by "place".', ("place",))
NAMES = info("fake_place_info", "A place with its name: always 1.", ("place", "name"))
START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
SPAN = Span(START, START + 3600, 240)


def written(span: Span, *series: Steps) -> str:
    """A whole file about the target `crowd`."""
    timestamps = Timestamps(span)
    text = b""
    for family in dict.fromkeys(steps.family for steps in series):
        text += heading(family)
        for steps in series:
            if steps.family is family:
                name = series_text(steps, "crowd", {"job": "engagement"})
                text += b"".join(timestamps.lines(name, steps.runs(span)))
    return (text + END).decode()


@given(
    st.lists(
        st.tuples(st.integers(START * 1000, (START + 4000) * 1000), st.sampled_from([ABSENT, 0.0, 1.5, -3.0, 1e17])),
        max_size=20,
    ),
    st.text(),
)
def test_a_parser_reads_what_the_series_was(changes: list[tuple[int, float]], place: str) -> None:
    steps = Steps(PLACES, (place,))
    for time_ms, value in sorted(changes, key=lambda change: change[0]):
        steps.set(time_ms, value)

    [family] = text_string_to_metric_families(written(SPAN, steps))  # type: ignore[no-untyped-call]

    expected = {second: steps.at(second * 1000) for second in SPAN.moments()}
    read = {int(float(sample.timestamp)): sample.value for sample in family.samples}
    assert read == {second: value for second, value in expected.items() if value is not None}
    assert list(read) == sorted(read)
    assert all(sample.labels == {"job": "engagement", "target": "crowd", "place": place} for sample in family.samples)


def test_a_line_is_that_of_a_scrape_with_prometheus_labels_and_a_time() -> None:
    steps = Steps(NAMES, ("7", 'Brücke "Nord"\n\\'))
    steps.set(START * 1000, 1)
    scrape = samples_page("crowd", [Sample(NAMES, steps.labels, 1)], Format.OPENMETRICS).decode()

    *head, line, _ = scrape.splitlines()
    assert written(Span(START, START, 240), steps).splitlines() == [
        *head,
        line.replace('{name="', '{job="engagement",name="') + f" {START}",
        "# EOF",
    ]


def test_a_long_run_is_whole_over_the_places_where_it_is_cut() -> None:
    span = Span(START, START + 240 * (2 * MOMENTS_AT_ONCE + 1), 240)
    steps = Steps(PLACES, ("a",))
    steps.set(START * 1000, 4)

    lines = written(span, steps).splitlines()[2:-1]

    assert [int(line.rsplit(" ", 1)[1]) for line in lines] == list(span.moments())
    assert {line.rsplit(" ", 1)[0] for line in lines} == {
        'fake_places{job="engagement",place="a",target="crowd"} 4.0',
    }
