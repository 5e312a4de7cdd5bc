"""The installed exporter killed and started again: nothing asked twice, nothing lost, nothing private in its file."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from exporter.demo.configuration import configuration
from exporter.demo.faults import slow, status
from exporter.demo.organisation import Organisation
from exporter.demo.server import Demo
from exporter.storage import FILE_NAME
from tests.command import PATIENCE_SECONDS, Running, ended, running, until, until_ready
from tests.e2e.test_demo import private_texts
from tests.page import series

RESTARTS = 20
MARKER = "  - {{name: marker, platform: pybossa, url: '{url}', collectors: {{projects: off, globalstats: off}}}}\n"
MARKER_REQUESTS = 2
"""The totals of its server, and what no cache of it holds."""


@pytest.fixture
def config_file(site: Demo, tmp_path: Path) -> Path:
    """Every collector of the demo, none of which is due twice in a day."""
    file = tmp_path / "config.yaml"
    text = re.sub(r"interval: \d+s", "interval: 1d", configuration(site))
    file.write_text(text.replace("defaults: {", "defaults: {max_age: 7d, "), encoding="utf-8")
    return file


def with_marker(config_file: Path, site: Demo) -> Path:
    """Add a target that was never polled: its first run comes after those of all others that are due."""
    file = config_file.with_name("marked.yaml")
    file.write_text(config_file.read_text(encoding="utf-8") + MARKER.format(url=site.pybossa.url), encoding="utf-8")
    return file


def requests(site: Demo) -> int:
    return sum(len(platform.requests) for platform in (site.konstantly, site.viktor, site.pybossa, site.learning360))


async def page(exporter: Running) -> str:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        return (await http.get(f"{exporter.url}/metrics")).text


async def kill(exporter: Running) -> None:
    exporter.process.kill()
    await exporter.process.communicate()


async def until_marker_ran(exporter: Running) -> None:
    async def has_run() -> bool:
        return bool(series(await page(exporter), "pybossa_task_runs", target="marker"))

    await until(has_run)


def platform_lines(page: str) -> list[str]:
    """Return the lines of all series that come from platforms, and when they were collected, sorted."""
    names = ("konstantly_", "viktor_", "pybossa_", "learning360_", "engagement_collector_last_success")
    return sorted(line for line in page.splitlines() if line.startswith(names))


async def until_stored(exporter: Running, folder: Path, column: str) -> None:
    """Wait until the column has a value for every collector."""
    collectors = len(series(await page(exporter), "engagement_collector_up"))

    async def are_stored() -> bool:
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            [count] = connection.execute(f"SELECT count({column}) FROM collectors").fetchone()  # noqa: S608
        return bool(count == collectors)

    await until(are_stored)


async def test_a_crash_loop_asks_the_platforms_nothing_and_serves_what_was_known(
    site: Demo, config_file: Path, tmp_path: Path
) -> None:
    storage = ("--storage.path", tmp_path / "data")
    async with running("--config.file", config_file, *storage) as exporter:
        await until_ready(exporter.url)
        await until_stored(exporter, tmp_path / "data", "samples")
        known = platform_lines(await page(exporter))
        await kill(exporter)
    asked = requests(site)
    assert asked > 0

    for _ in range(RESTARTS):
        async with running("--config.file", config_file, *storage) as exporter:
            assert platform_lines(await page(exporter)) == known
            await kill(exporter)
    assert requests(site) == asked

    async with running("--config.file", with_marker(config_file, site), *storage) as exporter:
        await until_marker_ran(exporter)
    assert requests(site) == asked + MARKER_REQUESTS


async def test_runs_that_a_kill_ended_are_not_begun_again(site: Demo, config_file: Path, tmp_path: Path) -> None:
    """As when one run needs more memory than there is: it must not be repeated at each restart."""
    storage = ("--storage.path", tmp_path / "data")
    for platform in (site.konstantly, site.viktor, site.pybossa, site.learning360):
        platform.faults.set(slow(3600))
    async with running("--config.file", config_file, *storage) as exporter:
        await until_stored(exporter, tmp_path / "data", "begun_at")
        await kill(exporter)
    for platform in (site.konstantly, site.viktor, site.pybossa, site.learning360):
        platform.faults.clear()
    asked = requests(site)

    async with running("--config.file", with_marker(config_file, site), *storage) as exporter:
        await until_marker_ran(exporter)

    assert requests(site) == asked + MARKER_REQUESTS


async def test_a_pause_survives_a_kill(site: Demo, config_file: Path, tmp_path: Path) -> None:
    storage = ("--storage.path", tmp_path / "data")
    site.konstantly.faults.set(status(429, {"Retry-After": "3600"}))
    async with running("--config.file", config_file, *storage) as exporter:
        await until_paused(exporter)
        paused_until = await paused_until_seconds(exporter)
        await until_rate_limited_is_stored(tmp_path / "data")
        await kill(exporter)
    asked = len(site.konstantly.requests)

    async with running("--config.file", with_marker(config_file, site), *storage) as exporter:
        assert await paused_until_seconds(exporter) == pytest.approx(paused_until, abs=1)
        await until_marker_ran(exporter)

    assert len(site.konstantly.requests) == asked


async def paused_until_seconds(exporter: Running) -> float:
    [seconds] = series(await page(exporter), "engagement_api_paused_until_timestamp_seconds", target="academy").values()
    return seconds


async def until_paused(exporter: Running) -> None:
    """Wait until no collector of the target that is limited still runs: each met the limit or was held back by it."""

    async def is_paused() -> bool:
        said = await page(exporter)
        limited = series(said, "engagement_collector_state", target="academy", state="rate_limited")
        skipped = series(said, "engagement_collector_skipped_runs_total", target="academy", reason="paused")
        return sum(limited.values()) + sum(skipped.values()) == len(limited)

    await until(is_paused)


async def until_rate_limited_is_stored(folder: Path) -> None:
    async def is_stored() -> bool:
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            statement = "SELECT count(*) FROM collectors WHERE state = 'rate_limited' AND pauses != '{}'"
            [count] = connection.execute(statement).fetchone()
        return bool(count)

    await until(is_stored)


async def test_no_person_and_no_secret_is_in_the_file(
    config_file: Path, tmp_path: Path, half_year_old: Organisation
) -> None:
    folder = tmp_path / "data"
    async with running("--config.file", config_file, "--storage.path", folder) as exporter:
        await until_ready(exporter.url)
        await until_stored(exporter, folder, "samples")
        content = b"".join(file.read_bytes() for file in sorted(folder.iterdir()))
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}

    assert b"learning360_active_learners" in content
    assert [private for private in private_texts(half_year_old) if private.encode() in content] == []


async def test_an_empty_path_means_no_storage(site: Demo, config_file: Path) -> None:
    for _ in range(2):
        site.konstantly.requests.clear()
        async with running("--config.file", config_file, "--storage.path=") as exporter:
            await until_ready(exporter.url)
        assert len(site.konstantly.requests) > 0


async def test_a_path_that_cannot_be_used_stops_nothing(config_file: Path) -> None:
    """Here a file stands where the folder should be."""
    async with running("--config.file", config_file, "--storage.path", config_file) as exporter:
        await until_ready(exporter.url)
        exporter.process.terminate()
        end = await ended(exporter.process)

    assert end.code == 0
    assert "Traceback" not in end.err
