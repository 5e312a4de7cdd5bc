"""Faults at random, scrapes, reloads and restarts all at once: what is served is true, and every poll comes back.

The installed command runs night after night; see `tests.nights`. `CHAOS_SEED` repeats the choices of a run that failed,
though not its timing, and `CHAOS_SECONDS` lengthens it.
"""

import asyncio
import os
import random
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from exporter.demo.configuration import configuration
from exporter.demo.faults import faults, slow
from exporter.demo.organisation import organisation
from exporter.demo.server import GENEROUS_LIMITS, Demo, Served, serve
from tests.command import PATIENCE_SECONDS, Running, running_with_log, until, until_ready
from tests.nights import Night, Scrape, night, parsed, resident_bytes, shifted_clock, wrong

SECONDS = float(os.environ.get("CHAOS_SECONDS", "40"))
SEED = int(os.environ.get("CHAOS_SEED", random.SystemRandom().randrange(10**6)))
FIRST_DAY = datetime(2026, 2, 22, tzinfo=UTC)
NIGHTS = 4
"""The last one takes half of the time, since memory can only grow while one process runs."""

SCRAPERS = 3
PAUSE_SECONDS = 0.3
"""Between two scrapes of one of them: parsing takes the CPU that the platforms need."""

GROWTH_BYTES = 16 * 2**20
ACCEPTED = ("text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0")
TARGETS = ("academy", "bridges", "crowd", "learning", "learning-v1")
BROKEN = ("targets: [", "targets: []\n", "defaults: {interval: soon}\n", "- nothing\n")
TOKEN_PATH = "/api/v2/oauth2/token"
LIES = ("wrong total", "repeated page")
"""Faults of a list's paging: the count of VIKTOR's audit events is all that is read of them, so it is believed.

"endless pages" is left out: once it stops, it has put other records into a list that is as long as it should be.
"""

RELOADED_AT = "engagement_config_last_reload_success_timestamp_seconds"


@dataclass(slots=True)
class Chaos:
    """A run: the choices, the nights so far, how far the simulated clock is ahead, and what was done."""

    site: Demo
    folder: Path
    nights: list[Night] = field(default_factory=list)
    choice: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311 - repeatable
    ahead: timedelta = timedelta()
    timeout_seconds: int = 60
    """Of a run; it is shortened to what this machine needs as soon as that is known."""

    done: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[int, int]] = field(default_factory=list)
    """Of each life with two calms, the memory in MB in the first and in the second."""

    is_ending: bool = False

    def now(self) -> datetime:
        """The exporter's time."""
        return datetime.now(UTC) + self.ahead

    @property
    def log(self) -> Path:
        """What all exporters said."""
        return self.folder / "exporter.log"

    def check(self, page: str) -> Scrape:
        """Every scrape parses and is true."""
        scrape = parsed(page)
        assert list(wrong(scrape, self.nights, self.now() + timedelta(seconds=1))) == []
        self.done["scrapes"] += 1
        self.done["values"] += sum(map(len, scrape.series.values()))
        return scrape

    def platforms(self) -> tuple[Served, ...]:
        return (self.site.konstantly, self.site.viktor, self.site.pybossa, self.site.learning360)

    def write_config(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
async def chaos(tmp_path: Path) -> AsyncIterator[Chaos]:
    demo = organisation(7, date(2026, 1, 20))
    nights: list[Night] = []
    async with serve(demo, lambda: nights[-1].at, options=GENEROUS_LIMITS) as site:
        chaos = Chaos(site, tmp_path)
        chaos.nights = nights
        yield chaos


async def test_whatever_happens_what_is_served_is_true_and_every_poll_comes_back(
    chaos: Chaos, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = organisation(7, date(2026, 1, 20))
    known: dict[tuple[str, str], float] = {}
    try:
        for number in range(NIGHTS):
            chaos.nights.append(night(demo, FIRST_DAY + timedelta(days=number), timedelta(seconds=2 * SECONDS)))
            chaos.ahead = chaos.nights[-1].at - datetime.now(UTC)
            if number == 0:
                chaos.timeout_seconds = max(5, round(2 * await first_collection_seconds(chaos)))
            await one_life(chaos, SECONDS / 4 / NIGHTS, known, signal.SIGKILL)
            seconds = SECONDS / 2 if number == NIGHTS - 1 else SECONDS / 4 / NIGHTS
            known = await one_life(chaos, seconds, {}, signal.SIGTERM)
    except BaseException as error:
        error.add_note(f"CHAOS_SEED={SEED}, night {len(chaos.nights)}, so far {dict(chaos.done)}")
        raise
    assert "Traceback" not in chaos.log.read_text(encoding="utf-8")
    with capsys.disabled():
        print(f"\nchaos with CHAOS_SEED={SEED}: {dict(chaos.done)}, MB: {chaos.memory}")  # noqa: T201 - the figures of a long soak


async def first_collection_seconds(chaos: Chaos) -> float:
    """How long an exporter takes for its start and a run of every collector, on this machine now."""
    began_at = asyncio.get_running_loop().time()
    chaos.write_config(whole(chaos))
    files = ("--config.file", chaos.folder / "config.yaml", "--storage.path=")
    async with running_with_log(chaos.log, *files, environment=shifted_clock(chaos.ahead)) as exporter:
        await until_ready(exporter.url)
    return asyncio.get_running_loop().time() - began_at


async def one_life(
    chaos: Chaos, seconds: float, known: dict[tuple[str, str], float], end: signal.Signals
) -> dict[tuple[str, str], float]:
    """Run the exporter through a storm; one that is not killed has a calm, another storm, and another calm.

    What is `known` is served at once; returns when what is known at the end was collected.
    """
    files = ("--config.file", chaos.folder / "config.yaml", "--storage.path", chaos.folder / "data")
    clock = shifted_clock(chaos.ahead)
    chaos.is_ending = False
    chaos.write_config(whole(chaos))
    async with running_with_log(chaos.log, *files, environment=clock) as exporter:
        first = await page(chaos, exporter)
        assert {key: first.collected_at.get(key, 0) >= at for key, at in known.items()} == dict.fromkeys(known, True)
        async with asyncio.TaskGroup() as actors:
            for _ in range(SCRAPERS):
                actors.create_task(scrape(chaos, exporter))
            await storm(chaos, exporter, seconds / 3)
            if end is signal.SIGTERM:
                await calm(chaos, exporter)
                before_bytes = resident_bytes(exporter.process.pid)
                await storm(chaos, exporter, seconds * 2 / 3)
                known = await calm(chaos, exporter)
                grown_bytes = resident_bytes(exporter.process.pid) - before_bytes
                assert grown_bytes < GROWTH_BYTES
                chaos.memory.append((before_bytes // 2**20, (before_bytes + grown_bytes) // 2**20))
            chaos.is_ending = True
            exporter.process.send_signal(end)
            assert await exporter.process.wait() == (0 if end is signal.SIGTERM else -end)
    chaos.done[f"ends by {end.name}"] += 1
    return known


async def storm(chaos: Chaos, exporter: Running, seconds: float) -> None:
    """Let platforms fail and configurations change for so long."""
    ends_at = asyncio.get_running_loop().time() + seconds
    async with asyncio.TaskGroup() as actors:
        actors.create_task(spoil(chaos, ends_at))
        actors.create_task(reload(chaos, exporter, ends_at))


async def calm(chaos: Chaos, exporter: Running) -> dict[tuple[str, str], float]:
    """Every platform well and configured: every collector's next run succeeds; returns when they did."""
    for served in chaos.platforms():
        served.faults.clear()
    chaos.write_config(whole(chaos))
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        assert (await http.post(f"{exporter.url}/-/reload")).status_code == 200
    began_at = chaos.now().timestamp()
    collected_at: dict[tuple[str, str], float] = {}

    async def have_all_run() -> bool:
        await asyncio.sleep(PAUSE_SECONDS)
        collected_at.update((await page(chaos, exporter)).collected_at)
        return not lost()

    def lost() -> list[tuple[str, str]]:
        return [key for key in chaos.nights[-1].truth if collected_at.get(key, 0) <= began_at]

    try:
        await until(have_all_run)
    except TimeoutError:
        raise AssertionError(f"polls lost for ever: {lost()}") from None
    return collected_at


async def spoil(chaos: Chaos, ends_at: float) -> None:
    """Switch faults on and off, now for all requests, now for a few."""
    known = {**faults(chaos.now), "no answer": slow(3600)}
    del known["endless pages"]
    while asyncio.get_running_loop().time() < ends_at:
        served = chaos.choice.choice(chaos.platforms())
        if chaos.choice.random() < 0.4:
            served.faults.clear()
        else:
            name = chaos.choice.choice(sorted(known))
            path = TOKEN_PATH if chaos.choice.random() < 0.1 else "/"
            if served is chaos.site.viktor and name in LIES:
                path = "/api/workspaces/"
            served.faults.set(known[name], path, chaos.choice.choice((None, 1, 5)))
            chaos.done["faults"] += 1
        await asyncio.sleep(chaos.choice.uniform(0, 0.5))


async def reload(chaos: Chaos, exporter: Running, ends_at: float) -> None:
    """Put other configurations in force, and try broken ones; what is served at once is of the one in force."""
    targets = (await page(chaos, exporter)).targets
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        while asyncio.get_running_loop().time() < ends_at:
            if chaos.choice.random() < 0.25:
                chaos.write_config(chaos.choice.choice(BROKEN))
                assert (await http.post(f"{exporter.url}/-/reload")).status_code == 500
                chaos.done["refused reloads"] += 1
            else:
                text, targets = other(chaos)
                chaos.write_config(text)
                if chaos.choice.random() < 0.5:
                    assert (await http.post(f"{exporter.url}/-/reload")).status_code == 200
                else:
                    await hang_up(chaos, exporter)
                chaos.done["reloads"] += 1
            assert (await page(chaos, exporter)).targets == targets
            await asyncio.sleep(chaos.choice.uniform(0, 1))


async def hang_up(chaos: Chaos, exporter: Running) -> None:
    """Reload by signal, and wait until that is done."""
    [before] = [value for (name, _), value in (await page(chaos, exporter)).own.items() if name == RELOADED_AT]
    exporter.process.send_signal(signal.SIGHUP)

    async def is_done() -> bool:
        await asyncio.sleep(PAUSE_SECONDS)
        own = (await page(chaos, exporter)).own
        return own[RELOADED_AT, ()] > before

    await until(is_done)


async def scrape(chaos: Chaos, exporter: Running) -> None:
    """Scrape until the exporter ends, as one of several Prometheuses would: all of it or one target."""
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        while not chaos.is_ending:
            await asyncio.sleep(chaos.choice.uniform(0, 2 * PAUSE_SECONDS))
            target = chaos.choice.choice((None, *TARGETS))
            accept = chaos.choice.choice(ACCEPTED)
            headers = {"Accept": accept, "Accept-Encoding": chaos.choice.choice(("gzip", "identity"))}
            try:
                reply = await http.get(
                    f"{exporter.url}/metrics", params={"target": target} if target else {}, headers=headers
                )
            except httpx.TransportError:
                if chaos.is_ending:
                    return
                raise
            if target and reply.status_code == 400:
                assert "names nothing here" in reply.text  # that target is not configured just now
                continue
            assert reply.status_code == 200
            assert reply.headers["content-type"].startswith(accept.replace(";", "; "))
            targets = chaos.check(reply.text).targets
            assert target is None or targets == {target}


async def page(chaos: Chaos, exporter: Running) -> Scrape:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        return chaos.check((await http.get(f"{exporter.url}/metrics")).text)


def whole(chaos: Chaos) -> str:
    """The configuration with every collector of every platform, polled every two seconds."""
    text = configuration(chaos.site).replace("timeout: 1m", f"timeout: {chaos.timeout_seconds}s, max_age: 60d")
    return re.sub(r"interval: \d+s", "interval: 2s", text)


def other(chaos: Chaos) -> tuple[str, set[str]]:
    """Return a configuration with some targets, each a little changed, and their names."""
    head, *targets = re.split(r"(?=^  - name: )", whole(chaos), flags=re.MULTILINE)
    chosen = chaos.choice.sample(targets, chaos.choice.randint(1, len(targets)))
    texts = [text.replace("second: 50", f"second: {chaos.choice.randint(30, 60)}") for text in chosen]
    texts = [
        re.sub(": on$", lambda _: f": {chaos.choice.choice(('on', 'on', 'off'))}", text, flags=re.M) for text in texts
    ]
    return head + "".join(texts), {re.findall(r"name: (\S+)", text)[0] for text in texts}
