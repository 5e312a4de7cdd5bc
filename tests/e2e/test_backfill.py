"""The installed command writes a history that a real Prometheus joins with what it scrapes; no kill changes a byte."""

import asyncio
import re
import shutil
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from exporter.demo.configuration import configuration
from exporter.demo.organisation import Organisation
from exporter.demo.server import GENEROUS_LIMITS, Demo, serve
from tests.command import COMMAND, Ended, ended, run, running, start, until, until_ready
from tests.e2e.test_prometheus import KNOWN_ADDRESS, prometheus, query

DAYS = 6
SAMPLE = re.compile(r"^([a-z0-9_]+\{.*\}) (\S+) (\d+)$", re.MULTILINE)
COURSES = "sum by (state) (konstantly_course_learners)"


@pytest.fixture
async def still(half_year_old: Organisation) -> AsyncIterator[Demo]:
    """The four platforms as they are now, however long it takes to ask."""
    now = datetime.now(UTC)
    async with serve(half_year_old, lambda: now, options=GENEROUS_LIMITS) as site:
        yield site


def written_config(site: Demo, folder: Path) -> Path:
    """Polls once, at full speed, with few courses of their own."""
    text = re.sub(r"interval: \d+s", "interval: 2h", configuration(site)).replace("second: 50", "second: 1000")
    file = folder / "config.yaml"
    file.write_text(text.replace("attempts: {", "attempts: {courses: {top: 3}, "), encoding="utf-8")
    return file


def flags(config: Path, output: Path, *more: str) -> tuple[str | Path, ...]:
    begin = datetime.now(UTC) - timedelta(days=DAYS)
    return (
        "backfill",
        f"--config.file={config}",
        f"--from={begin:%Y-%m-%d}",
        f"--output={output}",
        "--label=job=engagement",
        *more,
    )


async def test_killed_at_any_reading_and_repeated_it_gives_the_same_bytes(still: Demo, tmp_path: Path) -> None:
    config = written_config(still, tmp_path)
    more = ("--step=1h", f"--to={datetime.now(UTC) - timedelta(hours=4):%Y-%m-%dT%H:%M:%SZ}")
    whole = await run(*flags(config, tmp_path / "whole.om", *more))
    assert (whole.code, whole.err.count("reading")) == (0, 14), whole.err

    kills = 0
    again = Ended(-1, "", "")
    while again.code != 0:
        process = await start(COMMAND, *flags(config, tmp_path / "h.om", *more))
        assert process.stderr is not None
        for _ in range(3):
            await process.stderr.readline()
        if process.returncode is None and kills < 5:
            kills += 1
            process.kill()
        again = await ended(process)

    assert kills == 5
    assert (tmp_path / "h.om").read_bytes() == (tmp_path / "whole.om").read_bytes()
    assert again.out.splitlines()[0].partition(":")[2] == whole.out.splitlines()[0].partition(":")[2]


async def promtool(output: Path, blocks: Path) -> int:
    """Make blocks as the command says; returns the number of samples in them."""
    made = await run(
        "tsdb",
        "create-blocks-from",
        "--max-block-duration=8760h",
        "openmetrics",
        output,
        blocks,
        program="promtool",
    )
    assert made.code == 0, made.err
    header, *rows = made.out.splitlines()
    column = header.split("  ")
    assert [name.strip() for name in column if name][4] == "NUM SAMPLES"
    return sum(int(row.split()[4]) for row in rows)


async def head_begin(http: httpx.AsyncClient) -> int:
    """When the oldest sample in memory was scraped, in Unix milliseconds."""
    begin: int = (await http.get("/status/tsdb")).json()["data"]["headStats"]["minTime"]
    return begin


async def test_prometheus_shows_the_history_and_the_scrapes_as_one(site: Demo, tmp_path: Path) -> None:
    """Even over a restart of Prometheus; nothing is lost, nothing stands twice, and between them is no hole."""
    config = written_config(site, tmp_path)
    output, data = tmp_path / "h.om", tmp_path / "data"
    async with running("--config.file", config) as exporter:
        await until_ready(exporter.url)
        address = httpx.URL(exporter.url).netloc.decode()

        async def is_scraped() -> bool:
            return bool(await query(http, COURSES))

        async with prometheus(tmp_path, KNOWN_ADDRESS.format(address=address)) as (http, process):
            await until(is_scraped)
            begin_ms = await head_begin(http)
            to = datetime.fromtimestamp(begin_ms // 1000, UTC)
            said = await run(*flags(config, output, f"--label=instance={address}", f"--to={to:%Y-%m-%dT%H:%M:%SZ}"))
            assert said.code == 0, said.err
            assert "prometheus_tsdb_head_min_time_seconds" in said.err
            count = await promtool(output, tmp_path / "blocks")
            shutil.copytree(tmp_path / "blocks", data, dirs_exist_ok=True)
            live = await scrapes(http)
            process.send_signal(signal.SIGTERM)
            await ended(process)
        async with prometheus(tmp_path, KNOWN_ADDRESS.format(address=address)) as (http, process):
            await until(is_scraped)
            assert live[0] * 1000 == begin_ms
            assert set(live) <= set(await scrapes(http))
            await compare(http, output, count)
            await assert_no_hole(http, begin_ms // 1000)


async def scrapes(http: httpx.AsyncClient) -> list[float]:
    """The Unix times of all samples of a series in the last ten minutes."""
    [row] = await query(http, "konstantly_courses[10m]")
    return [second for second, _ in row["values"]]


async def compare(http: httpx.AsyncClient, output: Path, count: int) -> None:
    """Prometheus holds all samples of the file, and at some moments just those."""
    by_moment: defaultdict[int, dict[str, float]] = defaultdict(dict)
    lines = 0
    text = await asyncio.to_thread(output.read_text, "utf-8")
    for series, value, second in SAMPLE.findall(text):
        by_moment[int(second)][series] = float(value)
        lines += 1
    assert lines == count
    last = max(by_moment)
    names = {series.partition("{")[0] for series in by_moment[last]}
    totals = [await query(http, f"sum(count_over_time({name}[{DAYS + 1}d] @ {last}))") for name in names]
    assert sum(int(total["value"][1]) for [total] in totals) == count
    for second in sorted(by_moment)[:: len(by_moment) // 7]:
        held = await query(http, f'{{job="engagement"}} @ {second}')
        assert sorted(float(vector["value"][1]) for vector in held) == sorted(by_moment[second].values()), second


async def assert_no_hole(http: httpx.AsyncClient, begin: int) -> None:
    """From an hour before the first scrape until now every minute shows every state once."""
    now = int(datetime.now(UTC).timestamp())
    parameters = {"query": COURSES, "start": str(begin - 3600), "end": str(now), "step": "60s"}
    rows = (await http.get("/query_range", params=parameters)).json()["data"]["result"]
    assert len(rows) == 4
    assert {len(row["values"]) for row in rows} == {(now - begin + 3600) // 60 + 1}
    window = {"match[]": "konstantly_course_learners", "start": str(begin - 86_400), "end": str(now)}
    series = (await http.get("/series", params=window)).json()["data"]
    assert len(series) == len(await query(http, "konstantly_course_learners"))


async def test_a_platform_that_fails_is_named_and_the_rest_is_kept(site: Demo, tmp_path: Path) -> None:
    config = written_config(site, tmp_path)
    good = config.read_text(encoding="utf-8")
    config.write_text(re.sub(r"token: \S+", "token: wrong", good), encoding="utf-8")

    broken = await run(*flags(config, tmp_path / "h.om", "--step=1h"))
    config.write_text(good, encoding="utf-8")
    mended = await run(*flags(config, tmp_path / "h.om", "--step=1h"))

    assert broken.code == 3
    assert "GET /api/statistics/" in broken.err
    assert "the same command goes on from here" in broken.err
    assert "wrong" not in broken.err + broken.out
    assert mended.code == 0
    assert "konstantly" not in mended.err
