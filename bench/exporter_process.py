"""The installed command as an operator starts it, asked over HTTP and watched from outside."""

import http.client
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(sys.executable).with_name("engagement-exporter")
HOST = "127.0.0.1"
RETRY_SECONDS = 0.002
START_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A running exporter; `first_scrape_seconds` passed from the start of the process to the end of its first page."""

    pid: int
    port: int
    first_scrape_seconds: float

    def metrics(self) -> str:
        """Scrape it."""
        return get(self.port, "/metrics")


@contextmanager
def running(configuration: str) -> Iterator[Running]:
    """Start the command with the YAML text given, wait for its first page, and stop it at the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        config_file = Path(folder, "config.yaml")
        config_file.write_text(configuration)
        port = free_port()
        begin = time.perf_counter()
        process = subprocess.Popen(
            [
                COMMAND,
                "run",
                f"--config.file={config_file}",
                f"--storage.path={folder}",
                f"--web.listen-address={HOST}:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for_page(process, port)
            yield Running(process.pid, port, time.perf_counter() - begin)
        finally:
            process.terminate()
            process.wait()


def get(port: int, path: str) -> str:
    """GET a page. Raises OSError while nobody listens, RuntimeError unless the answer is 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=START_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(f"GET {path} answered {response.status}")
    return text


def total(page: str, family: str) -> float:
    """Add up the values of all series of a family on a page of metrics."""
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(f"{family}{{"))


def _wait_for_page(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{COMMAND.name} ended with exit code {process.returncode}")
        try:
            get(port, "/metrics")
        except ConnectionError:
            time.sleep(RETRY_SECONDS)
        else:
            return
    raise TimeoutError(f"no page within {START_TIMEOUT_SECONDS:.0f} s")


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
