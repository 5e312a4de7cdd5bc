"""Every command under a system that ends it, refuses it files, or does not take its output: one line, no traceback."""

import asyncio
import fcntl
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exporter.event_loop import EXIT_SIGTERM
from tests.command import COMMAND, PATIENCE_SECONDS, ended, listening_at, run, start

PLATFORM = "targets: [{{name: crowd, platform: pybossa, url: '{url}'}}]\n"
PROXY = "targets: [{{name: crowd, platform: pybossa, url: '{url}', allow_http: true, proxy: 'http://me:secret@{address}'}}]\n"
FIRST_OF_A_CONTAINER = ("--pid", "--fork", "--kill-child", "--map-root-user")
"""unshare's flags for a process with the id 1, to which a signal without a handler does nothing."""


@asynccontextmanager
async def server(reply: bytes = b"") -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server at HOST:PORT that answers every request alike, or never; the event tells that it was asked."""
    asked = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        if reply:
            writer.write(reply)
        else:
            await reader.read()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        host, port = listening.sockets[0].getsockname()
        yield f"{host}:{port}", asked


def config(tmp_path: Path, text: str = PLATFORM, url: str = "http://127.0.0.1:9", address: str = "") -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(text.format(url=url, address=address), encoding="utf-8")
    return file


def terminate_inner(outer: Process) -> None:
    """Send SIGTERM to the process that is the first of its namespace; `outer` started it."""
    [inner] = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
    os.kill(int(inner), signal.SIGTERM)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--probe"),
        ("poll", "--target", "crowd"),
        ("backfill", "--from", "2024-11-01", "--output", "history.om"),
        ("healthcheck",),
    ],
    ids=lambda arguments: arguments[0],
)
async def test_sigterm_ends_a_command_that_waits_for_a_server_also_as_process_1(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    async with server() as (address, asked):
        file = config(tmp_path, url=f"http://{address}")
        flags = ("--url", f"http://{address}") if arguments == ("healthcheck",) else ("--config.file", file)
        process = await start("unshare", *FIRST_OF_A_CONTAINER, "--wd", tmp_path, COMMAND, *arguments, *flags)
        waiting = asyncio.create_task(asked.wait())
        await asyncio.wait({waiting, asyncio.create_task(process.wait())}, return_when=asyncio.FIRST_COMPLETED)
        assert asked.is_set(), await ended(process)
        terminate_inner(process)
        end = await ended(process)

    assert end.code == EXIT_SIGTERM, end
    assert "Traceback" not in end.err


async def test_sigterm_ends_metrics_while_nobody_reads_what_it_prints_also_as_process_1() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    try:
        process = await asyncio.create_subprocess_exec(
            "unshare", *FIRST_OF_A_CONTAINER, COMMAND, "metrics", stdout=writing, stderr=asyncio.subprocess.PIPE
        )
        assert await asyncio.to_thread(os.read, reading, 1)
        terminate_inner(process)
        _, err = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    finally:
        os.close(reading)
        os.close(writing)

    assert (process.returncode, err) == (EXIT_SIGTERM, b"")


@pytest.mark.parametrize("command", ["run", "demo"])
async def test_sigterm_ends_what_serves_in_order_also_as_process_1(tmp_path: Path, command: str) -> None:
    flags = ("--config.file", config(tmp_path), "--storage.path=") if command == "run" else ()
    address = ("--web.listen-address", "127.0.0.1:0")
    process = await start("unshare", *FIRST_OF_A_CONTAINER, COMMAND, command, *flags, *address)
    await listening_at(process)
    terminate_inner(process)
    end = await ended(process)

    assert end.code == 0
    assert "Traceback" not in end.err


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "PROMETHEUS_MULTIPROC_DIR", "TMPDIR"])
async def test_folders_that_variables_of_libraries_name_need_not_be_there(tmp_path: Path, variable: str) -> None:
    for arguments in (("poll", "--target", "crowd"), ("check",)):
        plain = await run(*arguments, "--config.file", config(tmp_path))
        result = await run(
            *arguments, "--config.file", config(tmp_path), environment={variable: str(tmp_path / "nowhere" / "x")}
        )

        assert result == plain
        assert "Traceback" not in result.err


@pytest.mark.parametrize("arguments", [("poll", "--target", "crowd"), ("run", "--storage.path=")])
async def test_a_file_that_a_library_cannot_write_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    file = tmp_path / "nowhere" / "keys"

    result = await run(*arguments, "--config.file", config(tmp_path), environment={"SSLKEYLOGFILE": str(file)})

    assert (result.code, result.out) == (1, "")
    assert result.err == f"the system refuses what this command needs: No such file or directory ({file})\n"


@pytest.mark.parametrize(
    ("output", "code", "words"),
    [("/dev/full", 1, "the system refuses what this command needs: No space left on device\n"), ("&-", 0, "")],
)
@pytest.mark.parametrize("arguments", [("metrics",), ("check",), ("--help",), ("--version",)], ids=lambda a: a[0])
async def test_an_output_that_takes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], output: str, code: int, words: str
) -> None:
    flags = ("--config.file", config(tmp_path)) if arguments == ("check",) else ()

    result = await run("-c", f'exec "$0" "$@" >{output}', COMMAND, *arguments, *flags, program="sh")

    assert (result.code, result.out, result.err) == (code, "", words)


async def test_a_reader_that_has_enough_ends_the_command_quietly() -> None:
    result = await run("-c", '{ "$0" metrics; echo $? >&2; } | true', COMMAND, program="sh")

    assert result.err in ("0\n", "1\n")  # the one if all of it went into the pipe before `true` ended


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_asks_for_a_login_is_told_from_the_platform(tmp_path: Path, scheme: str) -> None:
    reply = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with server(reply) as (address, _):
        file = config(tmp_path, PROXY, f"{scheme}://crowd.example.org", address)
        result = await run("poll", "--config.file", file, "--target", "crowd", "--collector", "stats")

    assert result.code == 3
    assert "the proxy asks for a login" in result.err
    assert "407" in result.err
    assert "give the target's proxy a login that it takes" in result.err
    assert "secret" not in result.err
