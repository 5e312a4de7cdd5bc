"""A Prometheus as far as an exporter can tell: `python -m tests.disturbances.scraper URL [CA_FILE USER PASSWORD]`.

Once a second it scrapes over the connection that it keeps and over a new one, and writes a line of JSON about either to
standard output, until its input ends.
"""

import base64
import gzip
import json
import re
import select
import ssl
import sys
import time
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

INTERVAL_SECONDS = 1.0
TIMEOUT_SECONDS = 10.0
"""As Prometheus's own default."""

TARGETS = ("academy", "bridges", "crowd", "learning")
"""Those whose polls are looked at."""

RUNS = re.compile(
    rb'^engagement_collector_runs_total\{collector="([^"]+)",platform="[^"]+",target="(%s)"\} (\S+)$'
    % "|".join(TARGETS).encode(),
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scrape; `at` and `seconds` are of the monotonic clock, `error` is empty if it was good.

    `runs` are the runs of every collector of TARGETS so far, by target and collector with a blank between them.
    """

    at: float
    seconds: float
    is_new_connection: bool
    error: str = ""
    runs: dict[str, int] = field(default_factory=dict)


class Scraper:
    """Scrapes one exporter."""

    def __init__(self, url: str, ca_file: str = "", user: str = "", password: str = "") -> None:
        self._host = urlsplit(url).netloc
        self._tls = ssl.create_default_context(cafile=ca_file) if ca_file else None
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Accept-Encoding": "gzip"} | ({"Authorization": f"Basic {login}"} if user else {})

    def connect(self) -> HTTPConnection:
        """A connection that will be made when it is used."""
        if self._tls:
            return HTTPSConnection(self._host, timeout=TIMEOUT_SECONDS, context=self._tls)
        return HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)

    def scrape(self, connection: HTTPConnection, is_new: bool) -> Scrape:
        """Scrape once."""
        at = time.monotonic()
        try:
            connection.request("GET", "/metrics", headers=self._headers)
            reply = connection.getresponse()
            body = reply.read()
            seconds = time.monotonic() - at
            if reply.status != 200:
                return Scrape(at, seconds, is_new, f"status {reply.status}")
            page = gzip.decompress(body)
        except (OSError, EOFError, HTTPException) as error:
            connection.close()
            return Scrape(at, time.monotonic() - at, is_new, repr(error))
        runs = {f"{target.decode()} {name.decode()}": int(float(count)) for name, target, count in RUNS.findall(page)}
        return Scrape(at, seconds, is_new, "" if runs else "no runs on the page", runs)


def main() -> None:
    """Scrape until the input ends."""
    scraper = Scraper(*sys.argv[1:])
    kept = scraper.connect()
    due = time.monotonic()
    is_ended = False
    while not is_ended:
        tell(scraper.scrape(kept, is_new=False))
        new = scraper.connect()
        tell(scraper.scrape(new, is_new=True))
        new.close()
        due = max(due + INTERVAL_SECONDS, time.monotonic())
        is_ended, _, _ = map(bool, select.select([sys.stdin], [], [], max(0.0, due - time.monotonic())))


def tell(scrape: Scrape) -> None:
    """Write a line about a scrape."""
    sys.stdout.write(json.dumps(asdict(scrape)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
