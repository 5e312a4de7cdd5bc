"""Nothing outside reaches a scrape: the installed command under one disturbance after the other.

`tests.disturbances` has the causes, also those that are open, and the demands. It runs in a network and a mount
namespace of its own, with a resolver, a small disk and a port of DNS that are nobody else's.
`DISTURBANCE_ROUND_SECONDS` lengthens it.
"""

import asyncio
import sys
from pathlib import Path

import pytest

UNSHARE = ("unshare", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
"""Whatever is started there ends with it."""


async def test_nothing_outside_reaches_a_scrape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is anything left of a disturbance once it is over."""
    process = await asyncio.create_subprocess_exec(
        *UNSHARE, sys.executable, "-m", "tests.disturbances", tmp_path, stdout=asyncio.subprocess.PIPE
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
    with capsys.disabled():
        print(f"\n{said.decode()}")  # noqa: T201 - the table is what it is for
    assert process.returncode == 0, said.decode()
