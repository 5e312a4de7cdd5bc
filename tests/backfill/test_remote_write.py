"""Samples sent by remote write arrive whole, in bounded batches, and a server that refuses is quoted with a remedy."""

from collections.abc import Callable
from itertools import pairwise

import cramjam
import httpx
import pytest

from exporter.backfill.remote_write import MAX_TRIES, SAMPLES_PER_REQUEST, RemoteWrite, WriteRequest
from exporter.errors import BackfillError
from exporter.history import Run, Span, Steps
from exporter.metrics import Family
from tests.fakes import Clock

PLACES = Family("fake_places", "Places.", ("place", "floor"))
SPAN = Span(1_700_000_160, 1_700_000_160 + 240 * 30_000, 240)

Sample = tuple[dict[str, str], int, float]


def samples(request: httpx.Request) -> list[Sample]:
    """What a request carries, in its order."""
    message = WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(request.content)))
    return [
        ({label.name: label.value for label in series.labels}, sample.timestamp, sample.value)
        for series in message.timeseries
        for sample in series.samples
    ]


async def send(
    answer: Callable[[httpx.Request], httpx.Response], *runs: Run, clock: Clock | None = None
) -> list[httpx.Request]:
    """Send a series of the target `crowd`; returns the requests."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
        sink = RemoteWrite(
            http,
            "http://prometheus.test/api/v1/write?token=s3cret",
            {"job": "engagement"},
            SPAN,
            (clock or Clock()).sleep,
        )
        await sink.family(PLACES)
        await sink.series("crowd", Steps(PLACES, ("a", "")), runs)
        await sink.close()
    return asked


def good(_: httpx.Request) -> httpx.Response:
    return httpx.Response(204)


async def test_a_sample_carries_its_labels_in_order_its_time_and_its_value() -> None:
    [request] = await send(good, Run(0, 1, 2.5), Run(3, 4, 7.0))

    labels = {"__name__": "fake_places", "job": "engagement", "place": "a", "target": "crowd"}
    assert samples(request) == [
        (labels, 1_700_000_160_000, 2.5),
        (labels, 1_700_000_160_000 + 3 * 240_000, 7.0),
    ]
    assert list(samples(request)[0][0]) == sorted(labels)
    assert request.headers["content-encoding"] == "snappy"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["x-prometheus-remote-write-version"] == "0.1.0"


async def test_requests_are_bounded_and_lose_nothing_between_them() -> None:
    requests = await send(good, Run(0, 2 * SAMPLES_PER_REQUEST + 5, 1.0))

    sent = [samples(request) for request in requests]
    assert [len(batch) for batch in sent] == [SAMPLES_PER_REQUEST, SAMPLES_PER_REQUEST, 5]
    times = [time for batch in sent for _, time, _ in batch]
    assert times == [1_700_000_160_000 + 240_000 * number for number in range(2 * SAMPLES_PER_REQUEST + 5)]
    assert {len(labels) for batch in sent for labels, _, _ in batch} == {4}


async def test_no_request_holds_a_moment_of_a_part_of_a_family() -> None:
    """What an interruption leaves behind is whole at every moment, so that --gaps can tell the rest from it."""
    runs = {
        "a": [Run(0, 9_000, 1.0)],
        "b": [Run(10, 4_000, 1.0), Run(8_999, 9_001, 2.0)],
        "c": [Run(20_000, 20_001, 3)],
    }
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return good(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
        sink = RemoteWrite(http, "http://prometheus.test/api/v1/write", {}, SPAN, Clock().sleep)
        await sink.family(PLACES)
        for place, ranges in runs.items():
            await sink.series("crowd", Steps(PLACES, (place, "1")), ranges)
        await sink.family(PLACES)
        await sink.close()

    sent = [{(labels["place"], time, value) for labels, time, value in samples(request)} for request in requests]
    times = [{time for _, time, _ in batch} for batch in sent]
    assert all(max(before) < min(after) for before, after in pairwise(times))
    assert all(len(batch) <= SAMPLES_PER_REQUEST for batch in sent)
    assert sum(map(len, sent)) == sum(len(samples(request)) for request in requests)
    assert set().union(*sent) == {
        (place, (SPAN.start_seconds + position * SPAN.step_seconds) * 1000, value)
        for place, ranges in runs.items()
        for first, last, value in ranges
        for position in range(first, last)
    }


async def test_nothing_to_say_asks_nothing() -> None:
    assert await send(good) == []


async def test_a_request_is_repeated_as_it_was_until_the_server_takes_it() -> None:
    answers = iter([httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(429), httpx.Response(204)])
    clock = Clock()

    requests = await send(lambda _: next(answers), Run(0, 3, 1.0), clock=clock)

    assert len({request.content for request in requests}) == 1
    assert len(requests) == 3
    assert clock.slept[0] >= 7.0


async def test_a_server_that_stays_away_is_given_up() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(BackfillError, match=f"no answer .ConnectError., {MAX_TRIES} times"):
        await send(refuse, Run(0, 1, 1.0))


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (httpx.Response(400, text="out of bounds"), "out_of_order_time_window"),
        (httpx.Response(401), "--prometheus.username"),
        (httpx.Response(404), "--web.enable-remote-write-receiver"),
        (httpx.Response(400, text="label value bob@example.org"), "look into its log"),
        (httpx.Response(302, headers={"Location": "http://elsewhere.test"}), "look into its log"),
    ],
)
async def test_a_refusal_says_what_to_do_and_does_not_repeat_the_server(answer: httpx.Response, remedy: str) -> None:
    with pytest.raises(BackfillError, match=remedy) as refused:
        await send(lambda _: answer, Run(0, 1, 1.0))

    assert "bob@example.org" not in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "elsewhere" not in str(refused.value)
