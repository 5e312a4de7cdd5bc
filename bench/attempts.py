"""One full walk over a million course attempts of 360Learning, beside a loop that only fetches and decodes the pages.

The server is a process of its own with every page prepared, so that reading, decoding and adding up is measured.
"""

import asyncio
import gc
import gzip
import itertools
import os
import random
import statistics
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

import msgspec
from prometheus_client import CollectorRegistry

from bench.measure import in_fresh_process, peak_resident_mb, resident_mb
from bench.platform_server import Replies, content_length, reply, serving
from exporter import collection
from exporter.config import Target
from exporter.errors import State
from exporter.jobs import make_clients
from exporter.platforms.learning360 import PLATFORM
from exporter.platforms.learning360.attempts import ATTEMPTS_COLLECTOR, COURSE_ATTEMPTS
from exporter.platforms.learning360.records import Attempt
from exporter.self_metrics import ApiMetrics

SEED = 360
PAGES = 2_000
PAGE_RECORDS = 500
USERS = 200_000
COURSES = 5_000
MEAN_AGE_DAYS = 120
ROUNDS = 5

DEMAND_PER_SECOND = 100_000
DEMAND_PEAK_MB = 150

STATS = "/api/v2/courses/stats"
GZIP_WINDOW_BITS = 31


@dataclass(frozen=True, slots=True)
class Walk:
    """What one walk took; `peak_mb` is above the idle process."""

    attempts: int
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


def object_ids(count: int, chance: random.Random) -> list[str]:
    """Make random ids of 24 hex digits."""
    return [f"{chance.getrandbits(96):024x}" for _ in range(count)]


def iso(moment: datetime) -> str:
    """Write a time as the API does."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def attempts(now: datetime) -> Iterator[str]:
    """Yield attempts as JSON without end: optional fields are left out as the API does, ages are exponential."""
    chance = random.Random(SEED)
    users, courses = object_ids(USERS, chance), object_ids(COURSES, chance)
    while True:
        record = (
            f'{{"_id":"{chance.getrandbits(96):024x}","courseId":"{chance.choice(courses)}",'
            f'"userId":"{chance.choice(users)}","lang":"en","versionNumber":{chance.randint(1, 9)}'
        )
        if chance.random() < 0.15:
            yield record + ',"timeSpent":0,"progress":0}'
            continue
        started_at = now - timedelta(days=chance.expovariate(1 / MEAN_AGE_DAYS))
        active_at = started_at + (now - started_at) * chance.random() ** 4
        record += f',"firstActivityAt":"{iso(started_at)}","lastActivityAt":"{iso(active_at)}"'
        record += f',"timeSpent":{chance.randint(60_000, 9_999_999)}'
        if chance.random() < 0.7:
            record += f',"progress":100,"score":{chance.randint(40, 100)},"completedAt":"{iso(active_at)}"'
        else:
            record += f',"progress":{chance.randint(1, 99)}'
        if chance.random() < 0.6:
            record += f',"pathId":"{chance.choice(courses)}","pathSessionId":"{chance.choice(courses)}"'
        yield record + "}"


def replies(is_gzip: bool, origin: str) -> Replies:
    """Prepare every page with a link to the next one, a token, and the empty list of courses."""
    records = attempts(datetime.now(UTC))
    prepared = {
        b"/api/v2/oauth2/token": reply(b'{"access_token":"made-up","expires_in":3600}'),
        b"/api/v2/courses": reply(b"[]"),
    }
    for page in range(PAGES):
        body = f"[{','.join(itertools.islice(records, PAGE_RECORDS))}]".encode()
        headers = ["Content-Encoding: gzip"] if is_gzip else []
        if page + 1 < PAGES:
            headers.append(f'Link: <{origin}{STATS}?next={page + 1}>; rel="next"')
        target = f"{STATS}?next={page}" if page else STATS
        prepared[target.encode()] = reply(gzip.compress(body, 6) if is_gzip else body, *headers)
    return prepared


def walk_with_exporter(origin: str) -> Walk:
    """Run the collector once, as the exporter does."""
    settings = PLATFORM.settings.model_validate(
        {
            "name": "academy",
            "platform": "learning360",
            "url": origin,
            "client_id": "bench",
            "client_secret": "bench",
            "requests_per_second": 100_000,
        }
    )
    client = make_clients([Target(settings, PLATFORM)], ApiMetrics(CollectorRegistry()))["academy"]
    gc.collect()
    idle_mb = resident_mb(os.getpid())
    cpu_begin_seconds = time.process_time()
    result = asyncio.run(collection.run(client, ATTEMPTS_COLLECTOR, settings))
    cpu_seconds = time.process_time() - cpu_begin_seconds
    if result.state is not State.OK:
        raise RuntimeError(f"the walk failed: {result.error}")
    count = sum(sample.value for sample in result.samples if sample.family is COURSE_ATTEMPTS)
    return Walk(int(count), result.duration_seconds, cpu_seconds, peak_resident_mb(os.getpid()) - idle_mb)


def walk_by_hand(is_gzip: bool, origin: str) -> Walk:
    """Fetch the same pages over a bare connection and only decode them: as fast as it goes in Python."""
    gc.collect()
    idle_mb = resident_mb(os.getpid())
    cpu_begin_seconds, begin_seconds = time.process_time(), time.perf_counter()
    count = asyncio.run(_decode_pages(is_gzip, origin))
    wall_seconds, cpu_seconds = time.perf_counter() - begin_seconds, time.process_time() - cpu_begin_seconds
    return Walk(count, wall_seconds, cpu_seconds, peak_resident_mb(os.getpid()) - idle_mb)


async def _decode_pages(is_gzip: bool, origin: str) -> int:
    decoder = msgspec.json.Decoder(list[Attempt])
    address = urlsplit(origin)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    count = 0
    target = STATS.encode()
    while target:
        writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: bench\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(content_length(head))
        count += len(decoder.decode(zlib.decompress(body, GZIP_WINDOW_BITS) if is_gzip else body))
        target = head.partition(origin.encode())[2].partition(b">")[0]
    writer.close()
    return count


def median_walk(walks: Sequence[Walk]) -> Walk:
    """Take the median of each figure on its own."""
    counts = {walk.attempts for walk in walks}
    assert counts == {PAGES * PAGE_RECORDS}, f"attempts were lost or counted twice: {counts}"
    return Walk(
        PAGES * PAGE_RECORDS,
        statistics.median(walk.wall_seconds for walk in walks),
        statistics.median(walk.cpu_seconds for walk in walks),
        statistics.median(walk.peak_mb for walk in walks),
    )


def print_walks(encoding: str, rounds: Sequence[tuple[Walk, Walk]]) -> None:
    """Print the medians of the exporter's walks and of those by hand, and their ratio round by round."""
    ours, by_hand = (median_walk(walks) for walks in zip(*rounds, strict=True))
    ratios = sorted(walk.cpu_seconds / limit.cpu_seconds for walk, limit in rounds)
    slowest_seconds = max(walk.wall_seconds for walk, _ in rounds)
    print(
        f"{encoding}: {ours.attempts:,} attempts, medians of {len(rounds)} rounds\n"
        f"  exporter {ours.attempts / ours.wall_seconds:,.0f} attempts/s, slowest round"
        f" {ours.attempts / slowest_seconds:,.0f} (demand {DEMAND_PER_SECOND:,}); wall {ours.wall_seconds:.2f} s,"
        f" CPU {ours.cpu_seconds:.2f} s; peak {ours.peak_mb:.0f} MB above idle (demand {DEMAND_PEAK_MB})\n"
        f"  decoding only {by_hand.attempts / by_hand.wall_seconds:,.0f} attempts/s; wall {by_hand.wall_seconds:.2f} s,"
        f" CPU {by_hand.cpu_seconds:.2f} s\n"
        f"  CPU ratio {statistics.median(ratios):.2f} [{ratios[0]:.2f}..{ratios[-1]:.2f}]",
        flush=True,
    )


def main() -> None:
    """Walk over uncompressed and over compressed pages, the two ways in turn, and print the medians."""
    for encoding, is_gzip in (("identity", False), ("gzip", True)):
        with serving(partial(replies, is_gzip)) as origin:
            rounds = [
                (in_fresh_process(walk_with_exporter, origin), in_fresh_process(walk_by_hand, is_gzip, origin))
                for _ in range(ROUNDS)
            ]
        print_walks(encoding, rounds)


if __name__ == "__main__":
    main()
