"""Run an exporter with four targets through every disturbance and print what that did to whom.

The network and the mount namespace are this program's own: it sets the resolver, mounts a small disk, and takes the
port of DNS. Exit code 1 means that something outside has reached a scrape.
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import bcrypt
import httpx
import trustme
import yaml

from exporter.collection import Result
from exporter.config import load
from exporter.errors import State
from exporter.jobs import enabled_collectors
from exporter.metrics import Sample
from exporter.platform import installed
from exporter.snapshot import Published
from exporter.storage import Record, Storage, source_of
from tests.command import until
from tests.disturbances import likeness
from tests.disturbances.causes import CAUSES, OPEN, Cause, set_clock
from tests.disturbances.outcome import HEADINGS, Span, outcome
from tests.disturbances.scene import PASSWORD, USER, Scene, Watched, program, watched
from tests.disturbances.scraper import TARGETS
from tests.nights import shifted_clock
from tests.web.certificates import TLS, trusting, write_certificate, write_web_config

ROUNDS = 3
ROUND_SECONDS = float(os.environ.get("DISTURBANCE_ROUND_SECONDS", "2"))
INTERVAL_SECONDS = 2
COLLECTORS = {
    "academy": ("statistics",),
    "bridges": ("users", "workspaces"),
    "crowd": ("stats", "globalstats", "queues"),
    "learning": ("users", "courses", "groups"),
}
CROWD_TARGETS = 3_000
NEWCOMERS = 100
DISK = "16m"


async def main(folder: Path, names: Sequence[str]) -> int:
    """Print the table of the causes of these names, of CAUSES without any; returns the exit code."""
    prepare(folder)
    chosen = [cause for cause in (*CAUSES, *OPEN) if cause.name in names] if names else CAUSES
    async with scene_in(folder) as scene:
        spans, quiet = [], [await quiet_time(scene) for _ in range(ROUNDS)]
        for cause in chosen:
            span = await disturb(scene, cause)
            rest, logged = await logged_afterwards(scene)
            spans.append(replace(span, wrong=(*span.wrong, *logged)))
            quiet.append(rest)
        twin = scene.twin.scrapes()
        outcomes = [
            outcome(span, quiet, (scene.crowd if cause.on_crowd else scene.disturbed).scrapes(), twin)
            for cause, span in zip(chosen, spans, strict=True)
        ]
    wrong = [line for one in outcomes for line in one.wrong()]
    sys.stdout.write("\n".join([HEADINGS, *map(str, outcomes), *wrong, ""]))
    return 1 if wrong else 0


def prepare(folder: Path) -> None:
    """Make of the namespaces what the disturbances need."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (folder / "data").mkdir()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", folder / "resolv.conf", "/etc/resolv.conf"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "disk", folder / "data"], check=True)


@asynccontextmanager
async def scene_in(folder: Path) -> AsyncIterator[Scene]:
    """Start everything, and end it with the block."""
    ca = trustme.CA()
    write_certificate(folder, ca)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    users = [USER, *(f"newcomer-{number}" for number in range(NEWCOMERS))]
    web = write_web_config(folder, TLS + "basic_auth_users:\n" + "".join(f"  {user}: '{hashed}'\n" for user in users))
    set_clock(folder, "+0s")
    async with AsyncExitStack() as stack:
        text = four_targets(await stack.enter_async_context(program("tests.disturbances.platforms")))
        port = int(await stack.enter_async_context(program("tests.disturbances.hostile")))
        configurations = {
            "config": text,
            "twin": text,
            "one": text + more_targets(text, 1),
            "crowd": text + more_targets(text, CROWD_TARGETS),
        }
        for name, content in configurations.items():
            (folder / f"{name}.yaml").write_text(content)

        store(folder / "one.yaml", folder / "many")
        secure = ("--web.config.file", web)
        crowd, disturbed, twin = [
            await stack.enter_async_context(one)
            for one in (
                watched(folder, "crowd", "--storage.path", folder / "many"),
                watched(folder, "config", "--storage.path", folder / "data", *secure, environment=clock_of(folder)),
                watched(folder, "twin", "--storage.path", folder / "twin", *secure),
            )
        ]
        yield Scene(folder, text, port, disturbed, twin, crowd, trusting(ca))


def clock_of(folder: Path) -> dict[str, str]:
    """Return the environment in which a program's clock on the wall is what `set_clock` says."""
    moved = shifted_clock(timedelta())
    del moved["FAKETIME"]
    return {**moved, "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"), "FAKETIME_NO_CACHE": "1"}


def four_targets(configuration: str) -> str:
    """Return the demo's configuration with a few collectors of four targets, in a form to which targets are added."""
    targets = [target for target in yaml.safe_load(configuration)["targets"] if target["name"] in TARGETS]
    for target in targets:
        target["collectors"] = {name: name in COLLECTORS[target["name"]] for name in target["collectors"]}
    lines = [f"defaults: {{interval: {INTERVAL_SECONDS}s}}", "targets:", *(f"  - {json.dumps(one)}" for one in targets)]
    return "\n".join([*lines, ""])


def more_targets(configuration: str, count: int) -> str:
    """Return more targets, polled once a day."""
    [url] = (target["url"] for target in yaml.safe_load(configuration)["targets"] if target["name"] == "crowd")
    return "".join(
        f"  - {{name: site-{number}, platform: pybossa, url: '{url}', interval: 1d, max_age: 7d,"
        " collectors: {stats: off, projects: off}}\n"
        for number in range(count)
    )


def store(one_file: Path, folder: Path) -> None:
    """Store a result of the many targets, none of which is then due before its interval is over."""
    now = time.time()
    [target] = [target for target in load(one_file, installed()).targets if target.settings.name not in TARGETS]
    [collector] = enabled_collectors(target)
    families = {family: (Sample(family, ("some",) * len(family.labels), 7.0),) for family in collector.families}
    published, result = Published(families, now), Result(State.OK, now, 0.1)
    with closing(Storage(folder)) as storage:
        storage.load({})
        for number in range(CROWD_TARGETS):
            source = source_of(target.settings.model_copy(update={"name": f"site-{number}"}), collector)
            storage.save(Record(source, now, {}, result, now, published))


async def disturb(scene: Scene, cause: Cause) -> Span:
    """Let the cause act for some rounds, then wait until nothing tells of it any more."""
    victim = scene.crowd if cause.on_crowd else scene.disturbed
    victim.forget_peak()
    moments, wrong = [time.monotonic()], []
    try:
        async with cause.acting(scene) as strike:
            for _ in range(ROUNDS):
                await asyncio.gather(strike(), asyncio.sleep(ROUND_SECONDS))
                moments.append(time.monotonic())
            if cause.noticed_seconds:
                await until_polled_again(scene)
    except (AssertionError, OSError, httpx.HTTPError) as error:
        wrong.append(repr(error))
        moments.append(time.monotonic())
    wrong += await remaining_differences(scene)
    return Span(
        cause.name,
        tuple(moments),
        time.monotonic(),
        INTERVAL_SECONDS,
        cause.noticed_seconds,
        victim.peak_mb(),
        not cause.on_crowd,
        tuple(wrong),
    )


async def remaining_differences(scene: Scene) -> list[str]:
    """Wait until every collector has run again and the exporter is like its twin; returns where it stays different."""
    different = ["no collector runs any more, or not every one"]

    async def is_alike() -> bool:
        pages, statuses = [], []
        for one in (scene.disturbed, scene.twin):
            pages.append(likeness.page(await one.text("/metrics")))
            statuses.append(likeness.status(json.loads(await one.text("/api/status"))))
        stored = [likeness.stored(folder, TARGETS) for folder in (scene.folder / "data", scene.folder / "twin")]
        different[:] = [
            *likeness.differences("page", *pages),
            *likeness.differences("status", *statuses),
            *likeness.differences("storage", *stored),
        ]
        return not different

    with suppress(TimeoutError):
        await until_polled_again(scene)
        await until(is_alike)
    return different


async def quiet_time(scene: Scene) -> tuple[float, float]:
    """Let nothing happen until every collector has run again; tells from when to when."""
    begin = time.monotonic()
    await until_polled_again(scene)
    return begin, time.monotonic()


async def logged_afterwards(scene: Scene) -> tuple[tuple[float, float], list[str]]:
    """Let nothing happen likewise; tells also what only one of the twins says in that time."""
    both = (scene.disturbed, scene.twin)
    places_bytes = [one.log.stat().st_size for one in both]
    quiet = await quiet_time(scene)
    ours, theirs = (likeness.events(one.events(place)) for one, place in zip(both, places_bytes, strict=True))
    return quiet, [f"logged afterwards by one only: {line}" for line in sorted(ours ^ theirs)]


async def until_polled_again(scene: Scene) -> None:
    """Wait until every collector of the four targets has ended a run that began after now."""
    for one in (scene.disturbed, scene.twin):
        place_bytes = one.scrapes_file.stat().st_size

        async def is_polled_again(one: Watched = one, place_bytes: int = place_bytes) -> bool:
            scrapes = [scrape for scrape in one.scrapes(place_bytes) if scrape.runs]
            if not scrapes:
                return False
            first, last = scrapes[0].runs, scrapes[-1].runs
            return all(last.get(key, 0) > count for key, count in first.items())

        await until(is_polled_again)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2:])))
