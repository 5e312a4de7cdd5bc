"""One run of one collector: whatever happens, a Result comes out, and only cancellation gets past it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from exporter.collection import Result, run
from exporter.errors import CollectError, ForbiddenError, IncompleteError, State
from exporter.metrics import Family, Sample
from exporter.platform import Collect
from tests.fakes import (
    NOW_SECONDS,
    PEOPLE,
    PLACES,
    Clock,
    Handler,
    Script,
    make_client,
    make_collector,
    make_settings,
    ok,
    status,
)


async def outcome(collect: Collect[Any], handler: Handler | None = None, **keys: Any) -> Result:
    client = make_client(handler or Script(ok(7)))
    return await run(client, make_collector("people", PEOPLE, collect), make_settings(**keys), Clock().now)


async def read(client: Any, settings: Any, now: datetime) -> list[Sample]:
    return [PEOPLE.sample(await client.get_as(int, "/people"))]


async def hang(client: Any, settings: Any, now: datetime) -> list[Sample]:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_complete_run_has_its_samples_and_times() -> None:
    result = await outcome(read)

    assert result.state is State.OK
    assert result.samples == (Sample(PEOPLE, (), 7),)
    assert (result.error, result.remedy) == ("", "")
    assert result.started_at == NOW_SECONDS
    assert 0 < result.duration_seconds < 5
    assert result.finished_at == NOW_SECONDS + result.duration_seconds


async def test_the_collector_gets_its_settings_and_the_utc_time_of_the_run() -> None:
    got: list[Any] = []

    async def collect(client: Any, settings: Any, now: datetime) -> list[Sample]:
        got.extend([settings.name, now])
        return []

    await outcome(collect)

    assert got == ["site", datetime(2027, 1, 15, 8, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("handler", "state"),
    [
        (Script(status(401)), State.UNAUTHORIZED),
        (Script(status(403)), State.FORBIDDEN),
        (Script(status(404)), State.INVALID_RESPONSE),
        (Script(status(302)), State.INVALID_RESPONSE),
        (Script(status(429)), State.RATE_LIMITED),
        (Script(status(500)), State.SERVER_ERROR),
        (Script(httpx.ReadTimeout("")), State.TIMEOUT),
        (Script(httpx.ConnectError("")), State.UNREACHABLE),
        (Script(status(200)), State.INVALID_RESPONSE),
        (Script(ok("seven")), State.INVALID_RESPONSE),
    ],
)
async def test_a_failed_request_is_the_state_of_the_run_with_a_message_and_a_remedy(
    handler: Handler, state: State
) -> None:
    result = await outcome(read, handler)

    assert (result.state, result.samples) == (state, ())
    assert "GET /people" in result.error
    assert result.remedy


@pytest.mark.parametrize("error", [ForbiddenError("no scope"), IncompleteError("3 of 4", remedy="wait")])
async def test_an_error_that_the_collector_raises_keeps_its_words(error: CollectError) -> None:
    async def collect(client: Any, settings: Any, now: datetime) -> list[Sample]:
        raise error

    result = await outcome(collect)

    assert (result.state, result.error, result.remedy) == (error.state, str(error), error.remedy)


async def test_a_run_ends_at_its_deadline() -> None:
    result = await outcome(hang, timeout=timedelta(milliseconds=1))

    assert result.state is State.TIMEOUT
    assert "did not end within its timeout of 1ms" in result.error


async def test_the_deadline_bounds_the_waits_between_tries_too() -> None:
    """A request that hangs is cut by the run's own deadline, long before httpx would give up."""

    async def handler(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert (await outcome(read, handler, timeout=timedelta(milliseconds=5))).state is State.TIMEOUT


@pytest.mark.parametrize(
    "bug",
    [KeyError("name of a person"), TimeoutError(), RecursionError(), ZeroDivisionError(), httpx.ReadError("x")],
)
async def test_a_bug_is_an_internal_error_with_its_traceback(bug: Exception) -> None:
    """Neither the message nor the traceback repeats what the exception holds; its TimeoutError is no deadline."""

    async def collect(client: Any, settings: Any, now: datetime) -> list[Sample]:
        raise bug

    result = await outcome(collect)

    assert result.state is State.INTERNAL_ERROR
    assert type(bug).__name__ in result.error
    assert "person" not in result.error
    assert "in collect\n    raise bug\n" in result.traceback
    assert result.traceback.endswith(f"\n{type(bug).__name__}")
    assert "person" not in result.traceback


@pytest.mark.parametrize("samples", [None, 7, [None], ["fake_people 7"]])
async def test_something_else_than_samples_is_a_bug_too(samples: Any) -> None:
    async def collect(client: Any, settings: Any, now: datetime) -> Any:
        return samples

    assert (await outcome(collect)).state is State.INTERNAL_ERROR


async def test_samples_of_undeclared_families_are_refused_as_a_whole() -> None:
    async def collect(client: Any, settings: Any, now: datetime) -> list[Sample]:
        return [PEOPLE.sample(1), PLACES.sample(2, place="x"), Family("other_people", "x").sample(3)]

    result = await outcome(collect)

    assert (result.state, result.samples) == (State.INTERNAL_ERROR, ())
    assert "ValueError" in result.error


async def test_cancellation_passes_through() -> None:
    task = asyncio.create_task(outcome(hang))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_after_any_failure_the_same_client_works_again() -> None:
    client = make_client(Script(status(403), ok(8)))
    collector = make_collector("people", PEOPLE, read)
    first = await run(client, collector, make_settings())
    second = await run(client, collector, make_settings())

    assert (first.state, second.state) == (State.FORBIDDEN, State.OK)
    assert second.samples == (Sample(PEOPLE, (), 8),)


async def test_a_run_has_an_id_of_its_own_and_counts_the_pages_that_it_read() -> None:
    """Requests of tasks that the collector starts are the run's too; refused ones and repeated ones are no pages."""

    async def collect(client: Any, settings: Any, now: datetime) -> list[Sample]:
        await client.concurrently(client.get(f"/people/{number}") for number in range(3))
        return await read(client, settings, now)

    script = Script(status(503), ok(1), ok(2), ok(3), ok(4), status(403))
    client = make_client(script)
    collector = make_collector("people", PEOPLE, collect)
    first = await run(client, collector, make_settings())
    second = await run(client, collector, make_settings())

    assert (first.state, first.pages) == (State.OK, 4)
    assert (second.state, second.pages) == (State.FORBIDDEN, 0)
    ids = [request.headers["x-request-id"] for request in script.requests]
    assert ids[:5] == [f"{first.run_id}-{number}" for number in range(1, 6)]
    assert {text.partition("-")[0] for text in ids[5:]} == {second.run_id}
    assert first.run_id != second.run_id
