"""The servers that the scrape benchmark compares, each in processes of its own and with the same series."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.exporter_process import free_port
from bench.measure import cpu_seconds, live_threads_cpu_seconds, peak_resident_mb
from bench.scrape_client import HOST, Scraper

START_TIMEOUT_SECONDS = 120.0
RETRY_SECONDS = 0.05

NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000;
  types {{}}
  default_type "text/plain; version=0.0.4";
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {host}:{port};
    location = /metrics {{ alias {folder}/page.gz; add_header Content-Encoding gzip; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that holds the series; `process` is the one that was started, which may have made others."""

    name: str
    process: subprocess.Popen[str]
    port: int

    def cpu_seconds(self) -> float:
        """Return the CPU time that it and its children have taken.

        Threads that have ended count in the one source only, the nanoseconds of short scrapes in the other.
        """
        return sum(max(cpu_seconds(pid), live_threads_cpu_seconds(pid)) for pid in self._pids())

    def peak_mb(self) -> float:
        """Return the largest resident memory that it ever had."""
        return max(peak_resident_mb(pid) for pid in self._pids())

    def stalls(self) -> dict[str, float]:
        """Let the exporter publish, and return for how long that held up its event loop at most."""
        self.process.send_signal(signal.SIGUSR1)
        return _line(self.process)

    def _pids(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]


@contextmanager
def servers(series: int, folder: Path) -> Iterator[list[Server]]:
    """Start them all; the exporter's own page is what nginx, the pushgateway and the textfile collector get."""
    folder.chmod(0o755)  # nginx gives up root's rights before it reads its file
    with ExitStack() as stack:
        exporter = stack.enter_context(_python("exporter", "bench.scrape_exporter", series))
        scraper = Scraper(exporter.port)
        (folder / "page.gz").write_bytes(scraper.scrape())
        scraper.close()
        (folder / "page.prom").write_bytes(_plain_series(exporter.port))
        yield [
            exporter,
            stack.enter_context(_nginx(folder)),
            stack.enter_context(_python("prometheus-client", "bench.scrape_library", series)),
            stack.enter_context(_pushgateway(folder)),
            stack.enter_context(_textfile(folder)),
        ]


@contextmanager
def _started(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _python(name: str, module: str, series: int) -> Iterator[Server]:
    with _started(sys.executable, "-m", module, str(series)) as process:
        yield Server(name, process, int(_line(process)["port"]))


@contextmanager
def _nginx(folder: Path) -> Iterator[Server]:
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, host=HOST, port=port))
    with _started("nginx", "-c", str(configuration)) as process:
        yield Server("nginx, gzip file", process, _listening(port))


@contextmanager
def _pushgateway(folder: Path) -> Iterator[Server]:
    port = free_port()
    with _started("prometheus-pushgateway", f"--web.listen-address={HOST}:{port}") as process:
        _listening(port)
        connection = http.client.HTTPConnection(HOST, port, timeout=START_TIMEOUT_SECONDS)
        connection.request("PUT", "/metrics/job/bench", (folder / "page.prom").read_bytes())
        if connection.getresponse().status not in (200, 202):
            raise RuntimeError("the pushgateway refused the series")
        connection.close()
        yield Server("pushgateway", process, port)


@contextmanager
def _textfile(folder: Path) -> Iterator[Server]:
    port = free_port()
    with _started(
        "prometheus-node-exporter",
        f"--web.listen-address={HOST}:{port}",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={folder}",
    ) as process:
        yield Server("node_exporter, textfile", process, _listening(port))


def _plain_series(port: int) -> bytes:
    """Return the exporter's page without what the other servers have of their own: `process_` and `python_`."""
    connection = http.client.HTTPConnection(HOST, port, timeout=START_TIMEOUT_SECONDS)
    connection.request("GET", "/metrics?collect[]=series", headers={"Accept-Encoding": "identity"})
    body = connection.getresponse().read()
    connection.close()
    return body


def _listening(port: int) -> int:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        scraper = Scraper(port)
        try:
            scraper.connect()
        except ConnectionError:
            time.sleep(RETRY_SECONDS)
        else:
            scraper.close()
            return port
    raise TimeoutError(f"nobody listens on port {port}")


def _line(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdout is not None
    values: dict[str, float] = json.loads(process.stdout.readline())
    return values
