"""Only what a Prometheus lacks is filled."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.backfill.holes import MOMENTS_AT_ONCE, Holes, held_key, without
from exporter.errors import BackfillError
from exporter.history import Run, Span, Steps
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


def vector(labels: dict[str, str], *positions: int) -> dict[str, object]:
    values = [[SPAN.start_seconds + position * SPAN.step_seconds, "1"] for position in positions]
    return {"metric": {"target": "crowd", "job": "engagement", **labels}, "values": values}


async def held(handler: object, span: Span = SPAN) -> object:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:  # type: ignore[arg-type]
        holes = Holes(http, "http://prometheus.test/", {"job": "engagement"})
        return await holes.held(PLACES, "crowd", span)


async def test_series_are_told_apart_by_their_own_labels() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        result = [vector({"place": "a", "floor": "1"}, 0, 1, 2, 50), vector({"place": "b"}, 99)]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": result}})

    assert await held(answer) == {
        held_key(Steps(PLACES, ("a", "1"))): [(0, 3), (50, 51)],
        held_key(Steps(PLACES, ("b", ""))): [(99, 100)],
    }
    [request] = asked
    query = dict(httpx.QueryParams(request.content.decode()))
    assert query["query"] == 'present_over_time(fake_places{target="crowd",job="engagement"}[120s])'
    assert (query["start"], query["end"]) == (str(SPAN.start_seconds), str(SPAN.end_seconds))


async def test_a_long_span_is_asked_for_in_pieces_and_put_together() -> None:
    span = Span(SPAN.start_seconds, SPAN.start_seconds + 240 * (2 * MOMENTS_AT_ONCE), 240)

    def answer(request: httpx.Request) -> httpx.Response:
        query = dict(httpx.QueryParams(request.content.decode()))
        seconds = range(int(query["start"]), int(query["end"]) + 1, 240)
        values = [[second, "1"] for second in seconds]
        return httpx.Response(200, json={"data": {"result": [{"metric": {"place": "a"}, "values": values}]}})

    assert await held(answer, span) == {frozenset({("place", "a")}): [(0, span.count)]}


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


async def test_a_server_that_is_away_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(BackfillError, match=r"no answer from http://prometheus\.test/api/v1/query_range"):
        await held(refuse)
