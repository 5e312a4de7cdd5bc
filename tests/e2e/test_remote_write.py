"""The same history by remote write: Prometheus with an out-of-order window and VictoriaMetrics say the same.

VictoriaMetrics keeps numbers in decimal, to about fifteen digits.
"""

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from exporter.demo.server import Demo
from tests.command import PATIENCE_SECONDS, Ended, ended, run, start, until
from tests.e2e.test_backfill import SAMPLE, still, written_config  # noqa: F401 - a fixture
from tests.e2e.test_prometheus import free_port

END = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=4)
BEGIN = END - timedelta(days=3)
MIDDLE = END - timedelta(days=1)

TARGETS = ("--target=academy", "--target=learning")
OUT_OF_ORDER = "storage: {tsdb: {out_of_order_time_window: 30d}}\n"

Values = dict[int, dict[str, float]]
Server = Callable[[Path], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def prometheus(folder: Path) -> AsyncIterator[str]:
    """A Prometheus that takes old samples and scrapes nothing; yields its address."""
    config, url = folder / "prometheus.yml", f"http://127.0.0.1:{free_port()}"
    config.write_text(OUT_OF_ORDER, encoding="utf-8")
    async with running(
        url,
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--web.enable-remote-write-receiver",
        "--log.level=warn",
    ):
        yield url


@asynccontextmanager
async def victoria_metrics(folder: Path) -> AsyncIterator[str]:
    """A VictoriaMetrics; yields its address."""
    url = f"http://127.0.0.1:{free_port()}"
    async with running(
        url,
        "victoria-metrics",
        f"-storageDataPath={folder / 'victoria'}",
        "-retentionPeriod=1y",
        f"-httpListenAddr={url.removeprefix('http://')}",
        "-search.latencyOffset=0s",
        "-loggerLevel=ERROR",
    ):
        yield url


@asynccontextmanager
async def running(url: str, program: str, *arguments: str) -> AsyncIterator[None]:
    process = await start(program, *arguments)
    try:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:

            async def is_ready() -> bool:
                try:
                    return (await http.get(f"{url}/-/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(is_ready)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await ended(process)


async def backfill(config: Path, *arguments: str, end: datetime = END, code: int = 0) -> Ended:
    done = await run(
        "backfill",
        f"--config.file={config}",
        f"--from={BEGIN:%Y-%m-%dT%H:%M:%SZ}",
        f"--to={end:%Y-%m-%dT%H:%M:%SZ}",
        *(() if any(argument.startswith("--target=") for argument in arguments) else TARGETS),
        "--label=job=engagement",
        "--label=instance=here:10360",
        *arguments,
    )
    assert done.code == code, done.err
    return done


async def samples(output: Path) -> Values:
    """What a file holds, by moment and series."""
    by_moment: Values = defaultdict(dict)
    for series, value, second in SAMPLE.findall(await asyncio.to_thread(output.read_text, "utf-8")):
        by_moment[int(second)][series] = float(value)
    return by_moment


async def flush(url: str) -> None:
    """Let VictoriaMetrics show what it took; to Prometheus the address means nothing."""
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        await http.get(f"{url}/internal/force_flush")


async def held(url: str, names: set[str], moment: int) -> tuple[int, list[float]]:
    """How many samples a server has until a moment, and the values that it shows at it."""
    count, values = 0, []
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=PATIENCE_SECONDS) as http:
        for name in sorted(names):
            for query in (f"sum(count_over_time({name}[4d]))", name):
                answer = (await http.get("/query", params={"query": query, "time": str(moment)})).json()
                assert answer["status"] == "success", answer
                found = [float(vector["value"][1]) for vector in answer["data"]["result"]]
                if query == name:
                    values += found
                else:
                    count += int(sum(found))
    return count, sorted(values)


@pytest.mark.parametrize("server", [prometheus, victoria_metrics])
async def test_a_server_holds_what_the_file_holds(still: Demo, tmp_path: Path, server: Server) -> None:  # noqa: F811
    """And after an outage, only the hole is sent: nothing stands twice."""
    config, output = written_config(still, tmp_path), tmp_path / "h.om"
    path = "/api/v1/write"
    await backfill(config, f"--output={output}")
    expected = await samples(output)
    names = {series.partition("{")[0] for values in expected.values() for series in values}
    async with server(tmp_path) as url:
        first = await backfill(config, f"--remote-write={url}{path}", end=MIDDLE)
        await flush(url)
        assert (await held(url, names, int(MIDDLE.timestamp())))[0] == count_until(expected, MIDDLE)
        second = await backfill(config, f"--remote-write={url}{path}", f"--gaps={url}")
        await flush(url)
        assert (await held(url, names, int(END.timestamp())))[0] == count_until(expected, END)
        for moment in list(expected)[:: len(expected) // 5]:
            values = (await held(url, names, moment))[1]
            assert values == pytest.approx(sorted(expected[moment].values()), rel=1e-11), moment

    assert f"{count_until(expected, MIDDLE):,} samples" in first.out
    assert f"{count_until(expected, END) - count_until(expected, MIDDLE):,} samples" in second.out


def count_until(expected: Values, end: datetime) -> int:
    return sum(len(values) for moment, values in expected.items() if moment <= end.timestamp())


async def test_a_file_of_the_gaps_holds_only_these(still: Demo, tmp_path: Path) -> None:  # noqa: F811
    config, whole, rest = written_config(still, tmp_path), tmp_path / "whole.om", tmp_path / "rest.om"
    await backfill(config, f"--output={whole}")
    async with prometheus(tmp_path) as url:
        await backfill(config, f"--remote-write={url}/api/v1/write", end=MIDDLE)
        await backfill(config, f"--output={rest}", f"--gaps={url}")

    expected = {moment: values for moment, values in (await samples(whole)).items() if moment > MIDDLE.timestamp()}
    assert await samples(rest) == expected


async def test_a_course_that_was_inside_other_is_no_gap(still: Demo, tmp_path: Path) -> None:  # noqa: F811
    """A scrape shows a family whole: a course that has no series is counted in `other`, and must not count twice."""
    config = written_config(still, tmp_path)
    text = await asyncio.to_thread(config.read_text, "utf-8")
    more = tmp_path / "more.yaml"
    more.write_text(text.replace("courses: {top: 3}", "courses: {top: 100}"), encoding="utf-8")
    only = ("--target=learning", "--collector=attempts")
    async with prometheus(tmp_path) as url:
        await backfill(config, f"--remote-write={url}/api/v1/write", *only, end=MIDDLE)
        before = await held(url, {"learning360_course_attempts"}, int(MIDDLE.timestamp()))
        again = await backfill(more, f"--remote-write={url}/api/v1/write", f"--gaps={url}", *only, end=MIDDLE, code=1)
        after = await held(url, {"learning360_course_attempts"}, int(MIDDLE.timestamp()))
        wrong = await backfill(
            config, f"--remote-write={url}/api/v1/write", f"--gaps={url}", "--label=env=prod", *only, code=1
        )

    assert before == after
    assert "nothing was written" in again.err
    assert "the server has samples of every moment" in again.err
    assert "other series" in wrong.err
