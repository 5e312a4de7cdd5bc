"""Draws the pictures in docs/images/dashboards with Grafana's libraries; `make preview` runs it.

The first run takes half an hour, since it simulates two years of the demo organisation. It keeps them in build/, and
the next run takes ten minutes.
"""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.demo.faults import status
from exporter.demo.organisation import Organisation, organisation
from grafana.demo_history import write_history
from grafana.demo_prometheus import LABELS, Stack, stack
from grafana.generate import dashboards

REPOSITORY = Path(__file__).resolve().parent.parent
PICTURES = REPOSITORY / "docs" / "images" / "dashboards"
PREVIEW = Path(__file__).resolve().parent / "preview"
HISTORY = REPOSITORY / "build" / "preview-history.om"

SEED = 1
LIFE = timedelta(days=730)
TARGETS = ["academy", "bridges", "crowd", "learning"]
"""Without the one that polls 360Learning by API v1 beside v2: the same learners twice."""
LABEL_OF = {"job": "Job", "instance": "Instance", "target": "Target"}
AFTERWARDS = timedelta(minutes=8)
WATCHED_SECONDS = 540
FAULT_FROM_SECONDS, FAULT_UNTIL_SECONDS = 180, 300


def last_busy_afternoon(now: datetime) -> datetime:
    """Return 15:00 UTC of the latest working day that is over: at night and on weekends there is little to see."""
    moment = now.replace(hour=15, minute=0, second=0, microsecond=0) - timedelta(days=1)
    while moment.weekday() > 4:
        moment -= timedelta(days=1)
    return moment


def moments(end: datetime) -> Iterator[datetime]:
    """Yield one moment per day, at the same hour, from the organisation's second month to `end`."""
    first_days = timedelta(days=40)
    for days in range((LIFE - first_days).days, -1, -1):
        yield end - timedelta(days=days)


async def main() -> None:
    """Raises RuntimeError when a panel could not be drawn."""
    if not HISTORY.exists():
        end = last_busy_afternoon(datetime.now(UTC))
        HISTORY.parent.mkdir(exist_ok=True)
        partial = HISTORY.with_suffix(".partial")
        await write_history(partial, born(end), moments(end), LABELS)
        partial.rename(HISTORY)
    end = _last_moment(HISTORY)
    with tempfile.TemporaryDirectory() as folder:
        async with stack(Path(folder), born(end), HISTORY, scrape_interval_seconds=5) as running:
            await _watch(running)
            await draw(Path(folder), list(jobs(running.prometheus_url, end)))


def born(end: datetime) -> Organisation:
    """Return the demo organisation that is two years old at `end`."""
    return organisation(SEED, (end - LIFE).date())


def _last_moment(history: Path) -> datetime:
    with history.open("rb") as file:
        file.seek(-1000, 2)
        last_sample = file.read().decode().splitlines()[-2]
    return datetime.fromtimestamp(int(last_sample.rpartition(" ")[2]), UTC)


async def _watch(running: Stack) -> None:
    """Let the exporter poll for a while, with a platform that fails in between, so that its health has a history."""
    await asyncio.sleep(FAULT_FROM_SECONDS)
    running.platforms.viktor.faults.set(status(503))
    await asyncio.sleep(FAULT_UNTIL_SECONDS - FAULT_FROM_SECONDS)
    running.platforms.viktor.faults.clear()
    await asyncio.sleep(WATCHED_SECONDS - FAULT_UNTIL_SECONDS)


def jobs(prometheus_url: str, end: datetime) -> Iterator[dict[str, Any]]:
    """Yield what each picture shows: the month before `end`, and of the exporter itself what was watched."""
    month, life = timedelta(days=30), LIFE - timedelta(days=60)
    now = datetime.now(UTC)
    for file, document in dashboards().items():
        is_of_process = file.stem == "exporter-health"
        to, length = (now, timedelta(seconds=WATCHED_SECONDS)) if is_of_process else (end + AFTERWARDS, month)
        yield _job(prometheus_url, document, file.stem, to, length)
        if file.stem == "overview":
            yield _job(prometheus_url, document, "overview-two-years", end + AFTERWARDS, life)


def _job(prometheus_url: str, document: dict[str, Any], name: str, to: datetime, length: timedelta) -> dict[str, Any]:
    return {
        "picture": str(PICTURES / f"{name}.png"),
        "dashboard": document,
        "prometheus": prometheus_url,
        "from": int((to - length).timestamp()),
        "to": int(to.timestamp()),
        "values": {"job": [".+"], "instance": [".+"], "target": TARGETS},
        "labels": LABEL_OF,
    }


async def draw(folder: Path, pictures: list[dict[str, Any]]) -> None:
    """Draw what `jobs` lists. Raises RuntimeError when a panel or a picture could not be made."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    file = folder / "jobs.json"
    file.write_text(json.dumps(pictures), encoding="utf-8")
    node = await asyncio.create_subprocess_exec("node", "shoot.mjs", file, cwd=PREVIEW)
    if await node.wait() != 0:
        raise RuntimeError("not every panel could be drawn; the lines above say which")
    smaller = ("pngquant", "--force", "--ext=.png", *(picture["picture"] for picture in pictures))
    if await (await asyncio.create_subprocess_exec(*smaller)).wait() != 0:
        raise RuntimeError("pngquant could not make the pictures smaller")


if __name__ == "__main__":
    asyncio.run(main())
