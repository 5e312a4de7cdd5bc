"""The installed exporter whose folder is taken, full or read-only: real processes, locks and file systems."""

import os
import shutil
import signal
import sqlite3
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from exporter.demo import pybossa
from exporter.demo.server import Demo
from exporter.storage import FILE_NAME, LOCK_NAME
from tests.command import (
    COMMAND,
    PATIENCE_SECONDS,
    Running,
    ended,
    listening_at,
    run,
    running,
    start,
    until,
    until_ready,
)
from tests.page import series

CROWD = """
targets:
  - {{name: crowd, platform: pybossa, url: "{url}", api_key: "{key}", collectors: {{stats: {{interval: 10s}}}}}}
"""
FULL_BYTES = 256 * 2**10
LAST_SUCCESS = "SELECT max(last_success_at) FROM collectors WHERE collector = 'stats'"
MOUNT = 'mount -t tmpfs -o "$1" storage "$0" && shift && exec "$@"'
"""A file system of its own at the folder $0 with the options $1, seen by the command after them alone."""


@pytest.fixture
def crowd(site: Demo, tmp_path: Path) -> Path:
    """One target, polled again and again."""
    file = tmp_path / "crowd.yaml"
    file.write_text(CROWD.format(url=site.pybossa.url, key=pybossa.ADMIN_KEY), encoding="utf-8")
    return file


@asynccontextmanager
async def running_on(folder: Path, options: str, config: Path) -> AsyncIterator[tuple[Running, Path]]:
    """Run an exporter that stores on a small file system; yields the folder as it sees it, too."""
    folder.mkdir()  # noqa: ASYNC240 - a folder on this machine
    flags = ("--config.file", config, "--storage.path", folder / "data", "--web.listen-address", "127.0.0.1:0")
    namespace = ("--mount", "--map-root-user", "sh", "-c", MOUNT, folder, options)
    process = await start("unshare", *namespace, COMMAND, *flags)
    try:
        yield Running(process, await listening_at(process)), Path(f"/proc/{process.pid}/root{folder}")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await ended(process)


def has_open(pid: int, name: str) -> bool:
    """True while the process has a file of that name open."""
    with suppress(FileNotFoundError):  # another of its files may be closed meanwhile
        return any(os.readlink(file).endswith(f"/{name}") for file in Path(f"/proc/{pid}/fd").iterdir())
    return False


def fill(file: Path) -> None:
    """Write until there is no room."""
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


async def remount(exporter: Running, folder: Path, options: str) -> None:
    """Change the exporter's own file system, in its namespaces."""
    where = ("--target", str(exporter.process.pid), "--mount", "--user", "--preserve-credentials")
    result = await run(*where, "mount", "-o", f"remount,{options}", folder, program="nsenter")
    assert result.code == 0, result.err


def last_stored(folder: Path) -> float:
    """Return when the target last succeeded, as a copy of its file says; 0.0 for never.

    SQLite follows the link in /proc by its text, and would look for the file in the wrong mount namespace.
    """
    with TemporaryDirectory() as copy:
        for name in (FILE_NAME, f"{FILE_NAME}-wal"):
            with suppress(FileNotFoundError):
                shutil.copy(folder / name, copy)
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(Path(copy) / FILE_NAME)) as connection:
            [moment] = connection.execute(LAST_SUCCESS).fetchone()
            return float(moment or 0.0)
    return 0.0


async def last_success(exporter: Running) -> float:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        page = (await http.get(f"{exporter.url}/metrics")).text
    name = "engagement_collector_last_success_timestamp_seconds"
    return sum(series(page, name, target="crowd", collector="stats").values())


async def until_newer(exporter: Running, moment: float) -> float:
    async def is_newer() -> bool:
        return await last_success(exporter) > moment

    await until(is_newer)
    return await last_success(exporter)


async def until_stored_after(folder: Path, moment: float) -> None:
    async def is_stored() -> bool:
        return last_stored(folder) >= moment

    await until(is_stored)


async def said(process: Process, event: str) -> None:
    """Read the log up to a line that says `event`."""
    assert process.stderr is not None
    lines = []
    async for line in process.stderr:
        lines.append(line.decode())
        if event in lines[-1]:
            return
    raise AssertionError("".join(lines))


async def test_the_second_process_on_a_folder_is_refused_and_told_who_has_it(crowd: Path, tmp_path: Path) -> None:
    flags = ("--config.file", crowd, "--storage.path", tmp_path / "data")
    async with running(*flags) as first:
        second = await run(*flags, "--web.listen-address", "127.0.0.1:0")
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            assert (await http.get(f"{first.url}/-/healthy")).status_code == 200

    assert (second.code, second.out) == (1, "")
    [line] = second.err.splitlines()
    assert line.startswith(f"--storage.path: {tmp_path / 'data'} is in use by another exporter, ")
    assert f"process {first.process.pid} on " in line


async def test_a_process_that_starts_while_the_one_before_ends_waits_for_it(crowd: Path, tmp_path: Path) -> None:
    """As two systemd units or containers overlap in a restart: here the second waits until the first has gone."""
    flags = ("--config.file", crowd, "--storage.path", tmp_path / "data")
    async with running(*flags) as first:
        os.kill(first.process.pid, signal.SIGSTOP)  # so that it surely still has the folder
        second = await start(COMMAND, *flags, "--web.listen-address", "127.0.0.1:0")

        async def is_waiting() -> bool:
            return has_open(second.pid, LOCK_NAME)

        await until(is_waiting)
        first.process.kill()
        url = await listening_at(second)
        await until_ready(url)
        second.send_signal(signal.SIGTERM)
        assert (await ended(second)).code == 0


async def test_a_full_disk_stops_nothing_and_what_it_refused_is_written_when_there_is_room(
    crowd: Path, tmp_path: Path
) -> None:
    async with running_on(tmp_path / "disk", f"size={FULL_BYTES}", crowd) as (exporter, disk):
        await until_stored_after(disk / "data", await until_newer(exporter, 0.0))
        fill(disk / "filler")
        await said(exporter.process, "results cannot be stored, trying again")
        refused = await until_newer(exporter, last_stored(disk / "data"))

        (disk / "filler").unlink()

        await said(exporter.process, "results are stored again")
        assert last_stored(disk / "data") >= refused


async def test_a_disk_that_is_full_at_the_start_is_used_when_there_is_room(crowd: Path, tmp_path: Path) -> None:
    async with running_on(tmp_path / "disk", "nr_inodes=2", crowd) as (exporter, disk):
        await until_newer(exporter, 0.0)

        await remount(exporter, tmp_path / "disk", "nr_inodes=100")

        await until_stored_after(disk / "data", await until_newer(exporter, 0.0))


async def test_a_read_only_file_system_is_used_when_it_can_be_written_to(crowd: Path, tmp_path: Path) -> None:
    async with running_on(tmp_path / "disk", "ro", crowd) as (exporter, disk):
        await until_newer(exporter, 0.0)

        await remount(exporter, tmp_path / "disk", "rw")

        await until_stored_after(disk / "data", await until_newer(exporter, 0.0))
