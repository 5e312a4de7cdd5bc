"""Only what a Prometheus lacks is filled."""

import re
from collections.abc import Iterable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.backfill.holes import MOMENTS_AT_ONCE, Held, Holes, without
from exporter.errors import BackfillError
from exporter.history import Run, Span
from exporter.metrics import Family

PLACES = Family("fake_places", "Places.", ("place", "floor"))
SPAN = Span(1_700_000_160, 1_700_000_160 + 240 * 99, 240)

ranges = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=6)


def spread(drawn: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in order that neither touch nor overlap."""
    found, begin = [], 0
    for gap, length in drawn:
        begin += gap + 1
        found.append((begin, begin + length))
        begin += length
    return found


@given(ranges, ranges)
def test_what_is_held_is_taken_out_of_the_runs_and_nothing_else(
    runs: list[tuple[int, int]], held: list[tuple[int, int]]
) -> None:
    given_runs = [Run(first, last, float(first)) for first, last in spread(runs)]
    left = list(without(given_runs, spread(held)))

    taken = {position for first, last in spread(held) for position in range(first, last)}
    expected = {
        position: run.value for run in given_runs for position in range(run.first, run.last) if position not in taken
    }
    assert {position: run.value for run in left for position in range(run.first, run.last)} == expected
    assert all(run.first < run.last for run in left)


def scraped(**added: str) -> dict[str, str]:
    """The labels of a series as Prometheus lists it."""
    return {"__name__": "fake_places", "target": "crowd", "place": "a", "floor": "1", **added}


class Server:
    """A Prometheus with some series, and with samples of any of them at some positions of the span."""

    def __init__(self, series: list[dict[str, str]], positions: Iterable[int] = (), span: Span = SPAN) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._series = series
        self._seconds = {span.start_seconds + position * span.step_seconds for position in positions}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = dict(httpx.QueryParams(request.content.decode()))
        self.asked.append((request.url.path, query))
        if request.url.path == "/api/v1/series":
            return httpx.Response(200, json={"status": "success", "data": self._series})
        moments = range(int(query["start"]), int(query["end"]) + 1, int(query["step"]))
        values = [[second, "3"] for second in moments if second in self._seconds]
        result = [{"metric": {}, "values": values}] if values else []
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": result}})


async def held(handler: object, span: Span = SPAN, **labels: str) -> Held:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:  # type: ignore[arg-type]
        holes = Holes(http, "http://prometheus.test/", labels or {"job": "engagement"})
        return await holes.held(PLACES, "crowd", span)


async def test_a_moment_is_held_as_soon_as_one_series_of_the_family_is_there() -> None:
    server = Server([scraped(job="engagement")], (0, 1, 2, 50, 99))

    assert await held(server) == [(0, 3), (50, 51), (99, 100)]
    [(_, labels), (_, samples)] = server.asked
    assert labels == {"match[]": 'fake_places{target="crowd"}', "start": str(SPAN.start_seconds)}
    assert samples["query"] == 'count(present_over_time(fake_places{target="crowd",job="engagement"}[120s]))'
    assert (samples["start"], samples["end"]) == (str(SPAN.start_seconds), str(SPAN.end_seconds))


async def test_a_long_span_is_asked_for_in_pieces_and_put_together() -> None:
    span = Span(SPAN.start_seconds, SPAN.start_seconds + 240 * (2 * MOMENTS_AT_ONCE), 240)

    assert await held(Server([scraped(job="engagement")], range(span.count), span), span) == [(0, span.count)]


@pytest.mark.parametrize(
    ("given_labels", "series", "words"),
    [
        (
            {"job": "engagement"},
            [scraped(job="engagement", instance="here:10360")],
            "with --label=instance=here:10360 --label=job=engagement, and this history would have "
            "--label=job=engagement: other series",
        ),
        ({"job": "engagment"}, [scraped(job="engagement")], "with --label=job=engagement, and"),
        ({"job": "engagement", "env": "prod"}, [scraped(job="engagement")], "with --label=job=engagement, and"),
        (
            {"job": "engagement"},
            [scraped(job="engagement"), scraped(job="engagement", env="prod")],
            "with --label=env=prod --label=job=engagement, and",
        ),
        (
            {"job": "e"},
            [scraped(job="engagement", instance=f"host{number}") for number in range(5)],
            "instance=host2 --label=job=engagement or others, and",
        ),
    ],
    ids=["one more", "another value", "one less", "one more since then", "several"],
)
async def test_labels_that_would_make_other_series_are_refused(
    given_labels: dict[str, str], series: list[dict[str, str]], words: str
) -> None:
    """Everything would seem a gap, and be written again."""
    with pytest.raises(BackfillError, match=re.escape(words)):
        await held(Server(series), **given_labels)


@pytest.mark.parametrize(
    "series",
    [[], [scraped(job="engagement")], [scraped(job="engagement"), scraped(job="staging")]],
    ids=["nothing yet", "the same", "another scrape beside it"],
)
async def test_labels_that_prometheus_has_or_nobody_knows_are_taken(series: list[dict[str, str]]) -> None:
    assert await held(Server(series)) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(503, text="starting"), "answered 503"),
        (httpx.Response(200, html="<h1>Grafana</h1>"), "does not answer as Prometheus does"),
    ],
)
async def test_a_server_that_cannot_tell_is_named(answer: httpx.Response, words: str) -> None:
    with pytest.raises(BackfillError, match=words):
        await held(lambda _: answer)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in</html>",
        b'{"status": "success", "data": {"result": [{"values": [[1732',
        b'{"data": {"result": [{"values": [["yesterday", "1"]]}]}}',
        b'{"data": {"result": [{"values": [[1, "1"], [2, "1"]]}]}}',
        b'{"data": {"result": [{"values": [[1e300, "1"]]}]}}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'"\xff"',
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/series", "/api/v1/query_range"])
async def test_a_damaged_answer_is_one_clear_error(path: str, body: bytes) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body if request.url.path == path else b'{"data": []}')

    with pytest.raises(BackfillError, match=r"--gaps: http://prometheus\S* (does not answer|answered with moments)"):
        await held(answer)


async def test_a_server_that_is_away_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(BackfillError, match=r"no answer from http://prometheus\.test/api/v1/series"):
        await held(refuse)
