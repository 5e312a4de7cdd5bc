"""A backfill loses no finished unit; given up and begun again, it ends as if it had not been."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest

from exporter.api.client import Client
from exporter.backfill.display import Lines
from exporter.backfill.partial import PartialFile, Progress
from exporter.backfill.run import Job, write
from exporter.backfill.units import units
from exporter.backfill_command import Login, backfill_history
from exporter.config import Config, Target
from exporter.errors import BackfillError, ChoiceError, CollectError, UnauthorizedError
from exporter.history import Fidelity, Known, Span, Steps, Told
from exporter.metrics import Family
from exporter.platform import History, Platform, no_history
from exporter.settings import CollectorSettings, CollectorsSettings, OnOff, TargetSettings
from tests.fakes import NOW_SECONDS, PEOPLE, PLACES, SITE, Clock, make_client, make_collector, ok, status

SPAN = Span(1_700_000_160, 1_700_003_760, 240)
QUEUES = Family("fake_queues", "Queues of the fake platform.")


class FakeCollectors(CollectorsSettings):
    people: Annotated[CollectorSettings, OnOff] = CollectorSettings()
    places: Annotated[CollectorSettings, OnOff] = CollectorSettings(enabled=True)
    queues: Annotated[CollectorSettings, OnOff] = CollectorSettings()


class FakeSettings(TargetSettings):
    collectors: FakeCollectors = FakeCollectors()


async def never(*_: Any) -> Any:
    raise AssertionError("a backfill must not poll")


async def read_people(client: Client, settings: Any, span: Span, _now: Any) -> Told:
    await client.get("/people")
    steps = Steps(PEOPLE, ())
    steps.set(span.start_seconds * 1000, len(settings.name))
    return Told({PEOPLE: [steps]}, [f"{PEOPLE.name}: some"], [f"{PEOPLE.name}: perhaps"])


async def read_places(client: Client, _settings: Any, span: Span, _now: Any) -> Told:
    await client.get("/places")

    def series() -> Iterator[Steps]:
        for place in ("a", "b"):
            steps = Steps(PLACES, (place,))
            for number, second in enumerate(span.moments()):
                steps.set(second * 1000, number)
            yield steps

    return Told({PLACES: series()})


COLLECTORS = (
    make_collector("people", PEOPLE, never),
    make_collector("places", PLACES, never),
    make_collector("queues", QUEUES, never),
)
PLATFORM: Platform[Any] = Platform(
    "fake",
    FakeSettings,
    lambda _: SITE,
    COLLECTORS,
    credential="none",
    planned_for="nobody",
    histories=(
        History(("people",), (Known(PEOPLE, Fidelity.EXACT),), read_people),
        History(("places",), (Known(PLACES, Fidelity.EXACT),), read_places),
        no_history(COLLECTORS[2], "nobody writes it down"),
    ),
)


def config(*names: str) -> Config:
    return Config(
        tuple(Target(FakeSettings(name=name, platform="fake", url="https://site.test"), PLATFORM) for name in names)
    )


@dataclass
class Site:
    """Answers every path, except those that are `down`."""

    down: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api")
        self.asked.append(path)
        return status(401) if path in self.down else ok({})


class Silent:
    def reading(self, unit: str, target: str) -> None: ...

    def read(self, unit: str, target: str, pages: int) -> None: ...

    def waiting(self, unit: str, target: str, seconds: float, endpoint: str) -> None: ...

    def writing(self, unit: str, done: float, samples: int) -> None: ...


def job(output: Path, site: Site, names: Sequence[str] = ("one", "three"), **labels: str) -> Job:
    return Job(
        units(config(*names), (), ()), labels, output, {name: make_client(site) for name in names}, lambda: NOW_SECONDS
    )


async def run(job: Job, end: int | None = None) -> Progress:
    fingerprint = job.fingerprint(SPAN.start_seconds, end, SPAN.step_seconds)
    file = PartialFile(job.output)
    progress = file.load(fingerprint) or Progress(fingerprint, SPAN.end_seconds)
    await write(job, SPAN, file, progress, Silent())
    return progress


async def test_families_stand_in_one_piece_over_all_targets(tmp_path: Path) -> None:
    progress = await run(job(tmp_path / "h.om", Site()))

    lines = (tmp_path / "h.om").read_text().splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# HELP fake_people People of the fake platform.",
        "# TYPE fake_people gauge",
        "# HELP fake_places Visits by place of the fake platform.",
        "# TYPE fake_places gauge",
        "# EOF",
    ]
    assert lines[2] == 'fake_people{target="one"} 3.0 1700000160'
    assert lines[2 + SPAN.count] == 'fake_people{target="three"} 5.0 1700000160'
    assert (progress.series, progress.samples) == (6, 6 * SPAN.count) == (6, len(lines) - 5)
    assert progress.left_out == ["one: fake_people: some", "three: fake_people: some"]
    assert progress.doubts == ["one: fake_people: perhaps", "three: fake_people: perhaps"]


@pytest.mark.parametrize("down", ["/people", "/places"])
async def test_a_run_that_a_platform_broke_off_goes_on_to_the_same_bytes(tmp_path: Path, down: str) -> None:
    await run(job(tmp_path / "whole.om", Site()))
    site = Site(down={down})
    broken = job(tmp_path / "h.om", site)

    with pytest.raises(UnauthorizedError):
        await run(broken)
    assert not (tmp_path / "h.om").exists()
    site.down.clear()
    finished = site.asked.copy()
    await run(broken)

    assert (tmp_path / "h.om").read_bytes() == (tmp_path / "whole.om").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["h.om", "whole.om"]
    assert site.asked[len(finished) :].count("/people") == (2 if down == "/people" else 0)


async def test_what_a_kill_left_half_written_is_cut_off(tmp_path: Path) -> None:
    await run(job(tmp_path / "whole.om", Site()))
    broken = job(tmp_path / "h.om", Site(down={"/places"}))
    with pytest.raises(CollectError):
        await run(broken)
    with (tmp_path / "h.om.partial").open("ab") as partial:
        partial.write(b'fake_places{place="a",target="o')

    await run(job(tmp_path / "h.om", Site()))

    assert (tmp_path / "h.om").read_bytes() == (tmp_path / "whole.om").read_bytes()


async def test_the_end_that_the_first_run_chose_stays(tmp_path: Path) -> None:
    """A default --to moves with the clock; the runs of one file must agree on it."""

    async def command(output: Path, site: Site, now: float) -> None:
        todo = job(output, site)
        todo = replace(todo, now=lambda: now)
        await backfill_history(todo, SPAN.start_seconds, None, SPAN.step_seconds, None, None, Login())

    now = SPAN.end_seconds + 4 * 3600.0
    await command(tmp_path / "whole.om", Site(), now)
    with pytest.raises(CollectError):
        await command(tmp_path / "h.om", Site(down={"/places"}), now)
    await command(tmp_path / "h.om", Site(), now + 86_400)

    assert (tmp_path / "h.om").read_bytes() == (tmp_path / "whole.om").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda output: job(output, Site(), job="other"),
        lambda output: job(output, Site(), names=("one",)),
    ],
    ids=["labels", "targets"],
)
async def test_the_parts_of_another_command_are_refused(tmp_path: Path, change: Callable[[Path], Job]) -> None:
    with pytest.raises(CollectError):
        await run(job(tmp_path / "h.om", Site(down={"/places"})))

    with pytest.raises(BackfillError, match=r"h\.om\.partial was begun by another command"):
        await run(change(tmp_path / "h.om"))
    with pytest.raises(BackfillError):
        await run(job(tmp_path / "h.om", Site()), end=SPAN.end_seconds)


@pytest.mark.parametrize(("progress", "remedy"), [(b"{", "is damaged"), (None, "shorter than its progress says")])
async def test_damaged_parts_are_refused_with_a_remedy(tmp_path: Path, progress: bytes | None, remedy: str) -> None:
    with pytest.raises(CollectError):
        await run(job(tmp_path / "h.om", Site(down={"/places"})))
    if progress is None:
        (tmp_path / "h.om.partial").write_bytes(b"")
    else:
        (tmp_path / "h.om.progress").write_bytes(progress)

    with pytest.raises(BackfillError, match=remedy):
        await run(job(tmp_path / "h.om", Site()))


async def command(todo: Job, start: int, end: int) -> None:
    """The command with a given end."""
    await backfill_history(todo, start, end, SPAN.step_seconds, None, None, Login())


async def test_a_full_disk_names_the_file_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await command(job(tmp_path / "whole.om", Site()), SPAN.start_seconds, SPAN.end_seconds)
    synced: list[int] = []

    def sync(descriptor: int) -> None:
        """Room for the first unit only."""
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", sync)
    site = Site()
    with pytest.raises(
        BackfillError, match=r"h\.om\.partial cannot be written: No space left .* the same command goes on"
    ):
        await command(job(tmp_path / "h.om", site), SPAN.start_seconds, SPAN.end_seconds)
    await command(job(tmp_path / "h.om", site), SPAN.start_seconds, SPAN.end_seconds)

    assert (tmp_path / "h.om").read_bytes() == (tmp_path / "whole.om").read_bytes()
    assert site.asked.count("/people") == 2


async def test_where_nothing_is_written_the_command_fails_and_leaves_the_earlier_file(tmp_path: Path) -> None:
    async def read_nothing(*_: Any) -> Told:
        return Told({}, [f"{PEOPLE.name}: hidden"])

    output = tmp_path / "h.om"
    output.write_text("an earlier history")
    [unit] = units(config("one"), (), ("people",))
    silent = replace(unit, history=replace(unit.history, read=read_nothing))

    with pytest.raises(BackfillError, match=r"nothing was written from 2023-11-14T.* to .*: one: fake_people: hidden"):
        await command(replace(job(output, Site()), units=(silent,)), SPAN.start_seconds, SPAN.end_seconds)

    assert os.listdir(tmp_path) == ["h.om"]
    assert output.read_text() == "an earlier history"


async def test_a_backfill_waits_out_a_pause_that_would_end_a_poll(tmp_path: Path) -> None:
    """PYBOSSA closes its window for up to 15 minutes; beginning the walk again would only close it again."""
    clock = Clock()
    answers = iter([status(429, Retry_After="900"), ok({}), ok({})])
    patient = job(tmp_path / "h.om", Site(), names=("one",))
    patient = replace(patient, clients={"one": make_client(lambda _: next(answers), clock=clock)}, now=clock.now)

    said: list[str] = []
    progress = Progress("", SPAN.end_seconds)
    await write(patient, SPAN, PartialFile(tmp_path / "h.om"), progress, Lines(said.append))

    # of the 15 minutes, up to a second has passed: the random wait before another try
    told = "fake/people: one has asked for a pause of everything, waiting {} s for it to end"
    assert said[1] in (told.format(899), told.format(900))
    assert clock.seconds >= NOW_SECONDS + 900


def test_what_is_named_is_done_and_what_is_enabled_otherwise() -> None:
    def names(*choice: Any) -> list[tuple[str, list[str]]]:
        return [
            (unit.name, [part.target.settings.name for part in unit.parts])
            for unit in units(config("one", "two"), *choice)
        ]

    assert names((), ()) == [("fake/people", ["one", "two"]), ("fake/places", ["one", "two"])]
    assert names(("two",), ("places",)) == [("fake/places", ["two"])]


@pytest.mark.parametrize(
    ("targets", "collectors", "message"),
    [
        (("three",), (), "no target is named three; there are one, two"),
        ((), ("plcaes",), "no collector is named plcaes; there are people, places, queues"),
        ((), ("queues",), "none of these collectors has a history"),
    ],
)
def test_a_choice_of_nothing_names_what_there_is(
    targets: Sequence[str], collectors: Sequence[str], message: str
) -> None:
    with pytest.raises(ChoiceError, match=message):
        units(config("one", "two"), targets, collectors)
