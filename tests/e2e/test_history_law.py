"""The law of history: what a collector tells of the past is what it exposed then, for sixty days of every platform."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from exporter import collection
from exporter.api.client import Client
from exporter.config import Target, parse
from exporter.demo.configuration import configuration
from exporter.demo.organisation import Organisation, organisation
from exporter.demo.server import GENEROUS_LIMITS, serve
from exporter.errors import State
from exporter.history import Fidelity, Known, Past, Span
from exporter.jobs import enabled_collectors, make_clients
from exporter.metrics import Family, Sample
from exporter.platform import History, installed
from exporter.self_metrics import ApiMetrics
from exporter.yaml_document import read

FOUNDED = date(2025, 10, 20)
BEGIN = datetime(2025, 11, 28, 17, 3, 21, tzinfo=UTC)
"""The sixty days hold the turns of two months, of a year, and of its weeks, and the holidays between."""

DAYS = 60
MOMENTS = sorted(
    [BEGIN + timedelta(hours=11, minutes=13, seconds=17) * number for number in range(DAYS * 24 // 11 - 3)]
    + [datetime(2025, 11, 29, tzinfo=UTC) + timedelta(days=4) * number for number in range(DAYS // 4)]
)
EXACT = (Fidelity.EXACT, Fidelity.EXCEPT_DELETED)

USES = {"pybossa_project_task_runs"}
"""The families that tell whether an object has been used."""

Values = dict[tuple[str, tuple[str, ...]], float]


class Clock:
    """The moment that platforms and collectors live in."""

    def __init__(self) -> None:
        self.moment = BEGIN

    def now(self) -> datetime:
        return self.moment

    def unix(self) -> float:
        return self.moment.timestamp()


@dataclass(frozen=True, slots=True)
class World:
    """Every target of the demo with its client, as of the clock."""

    clock: Clock
    targets: tuple[Target, ...]
    clients: Mapping[str, Client]


@asynccontextmanager
async def world(simulated: Organisation, top: int = 100) -> AsyncIterator[World]:
    clock = Clock()
    async with serve(simulated, clock.now, options=GENEROUS_LIMITS) as site:
        text = configuration(site).replace("requests_per_second: 50", "requests_per_second: 100000")
        text = text.replace("attempts: {", f"attempts: {{courses: {{top: {top}}}, ")
        config = parse(read(text, "config.yaml", {}), Path(), installed())
        yield World(
            clock, config.targets, make_clients(config.targets, ApiMetrics(CollectorRegistry()), clock.unix, clock.unix)
        )


def ids_of(values: Values) -> set[str]:
    """The first label values: the ids of the objects that the series are about."""
    return {labels[0] for _, labels in values if labels}


def fidelity(known: Iterable[Known], family: Family, labels: tuple[str, ...]) -> Fidelity:
    """What is promised of a series."""
    given = dict(zip(family.labels, labels, strict=True))
    [found] = {
        one.fidelity
        for one in known
        if one.family is family and (not one.windows or given.get("window") in one.windows)
    }
    return found


def exposed(samples: Iterable[Sample], known: Iterable[Known], wanted: tuple[Fidelity, ...]) -> Values:
    """The samples of that fidelity."""
    return {
        (sample.family.name, sample.labels): sample.value
        for sample in samples
        if fidelity(known, sample.family, sample.labels) in wanted
    }


def told(past: Past, known: Iterable[Known], wanted: tuple[Fidelity, ...], moment: datetime) -> Values:
    """What the history says of the moment, of that fidelity."""
    return {
        (family.name, steps.labels): value
        for family, series in past.items()
        for steps in series
        if (value := steps.at(round(moment.timestamp() * 1000))) is not None
        and fidelity(known, family, steps.labels) in wanted
    }


async def polled(
    world: World, history: History[Any], target: Target, moments: Sequence[datetime] = MOMENTS
) -> dict[datetime, list[Sample]]:
    """What the collectors of the history expose at every moment."""
    polls: dict[datetime, list[Sample]] = {}
    for moment in moments:
        world.clock.moment = moment
        polls[moment] = []
        for collector in enabled_collectors(target):
            if collector.name in history.collectors:
                result = await collection.run(
                    world.clients[target.settings.name], collector, target.settings, world.clock.unix
                )
                assert result.state is State.OK, result.error
                polls[moment] += result.samples
    return polls


async def past_of(world: World, history: History[Any], target: Target) -> Past:
    """The history as the platform tells it after the last poll."""
    assert history.read is not None
    world.clock.moment = MOMENTS[-1] + timedelta(minutes=1)
    span = Span(int(BEGIN.timestamp()), int(MOMENTS[-1].timestamp()), 60)
    client = world.clients[target.settings.name]
    async with client.session():
        answer = await history.read(client, target.settings, span, world.clock.unix)
    assert (list(answer.left_out), list(answer.doubts)) == ([], [])
    return {family: list(series) for family, series in answer.past.items()}


HISTORIES = [
    pytest.param(name, history, id=f"{name}-{history.collectors[0]}")
    for name, platform in (
        ("academy", "konstantly"),
        ("bridges", "viktor"),
        ("crowd", "pybossa"),
        ("learning", "learning360"),
        ("learning-v1", "learning360"),
    )
    for history in installed()[platform].histories
    if history.read is not None and not (name == "learning-v1" and history.collectors != ("attempts",))
]


@pytest.fixture(scope="module")
def simulated() -> Organisation:
    return organisation(5, FOUNDED)


@pytest.mark.parametrize(("name", "history"), HISTORIES)
async def test_the_past_is_what_was_exposed(simulated: Organisation, name: str, history: History[Any]) -> None:
    """Nothing extra and nothing missing, at odd moments and, for what has one number a day, at midnights.

    What has numbers in the history has its name there too.
    """
    async with world(simulated) as site:
        target = next(target for target in site.targets if target.settings.name == name)
        polls = await polled(site, history, target)
        past = await past_of(site, history, target)

    compared = 0
    for moment, samples in polls.items():
        wanted = EXACT if moment.timestamp() % 86_400 else (*EXACT, Fidelity.MIDNIGHT)
        expected = exposed(samples, history.known, wanted)
        assert told(past, history.known, wanted, moment) == expected, moment
        used = told(past, history.known, (Fidelity.FROM_FIRST_USE,), moment)
        shown = exposed(samples, history.known, (Fidelity.FROM_FIRST_USE,))
        assert used == {key: value for key, value in shown.items() if key[1][0] in ids_of(used)}, moment
        assert ids_of(used) == {labels[0] for (name, labels), value in shown.items() if name in USES and value}, moment
        compared += len(expected) + len(used)
        midnight = moment.replace(hour=0, minute=0, second=0)
        daily = told(past, history.known, (Fidelity.MIDNIGHT,), moment)
        assert daily == told(past, history.known, (Fidelity.MIDNIGHT,), midnight), moment
        names = told(past, history.known, (Fidelity.PRESENT,), moment)
        live_names = exposed(samples, history.known, (Fidelity.PRESENT,))
        known_ids = ids_of(told(past, history.known, (*EXACT, Fidelity.MIDNIGHT), moment))
        assert {key for key in live_names if key[1][0] in known_ids} <= names.keys(), moment
    assert compared >= len(MOMENTS)


def over_courses(values: Values) -> dict[tuple[str, tuple[str, ...]], float]:
    """Sums over the first label."""
    sums: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for (name, labels), value in values.items():
        sums[name, labels[1:]] += value  # type: ignore[assignment]
    return dict(sums)


async def test_with_few_courses_of_their_own_the_others_still_make_up_the_whole(simulated: Organisation) -> None:
    """The courses are those that are chosen now, so polls may have chosen others; the sums are what polls exposed."""
    history = next(one for one in installed()["learning360"].histories if one.collectors == ("attempts",))
    async with world(simulated, top=5) as site:
        target = next(target for target in site.targets if target.settings.name == "learning")
        polls = await polled(site, history, target, MOMENTS[::20])
        past = await past_of(site, history, target)

    for moment, samples in polls.items():
        found = told(past, history.known, EXACT, moment)
        assert over_courses(found) == over_courses(exposed(samples, history.known, EXACT)), moment
        assert len({labels[0] for _, labels in found}) <= 6
