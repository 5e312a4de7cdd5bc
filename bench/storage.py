"""What storing costs: restoring ten thousand targets at a start, and saving a result while polling."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

from bench.measure import BYTES_PER_MB, in_fresh_process
from bench.targets import MANY_TARGETS, configuration
from exporter.app import Exporter
from exporter.collection import Result
from exporter.config import Config, load
from exporter.errors import State
from exporter.jobs import enabled_collectors, id_of
from exporter.metrics import Family, Sample
from exporter.platform import installed
from exporter.process import without_garbage_collection
from exporter.snapshot import Key, Published
from exporter.storage import FILE_NAME, Record, Source, Storage

ROUNDS = 5
DEMAND_RESTORE_SECONDS = 1.0
SAVES = 200
SMALL_SAMPLES = 10
LARGE_SAMPLES = 20_000
FAMILY = Family("bench_learners", "Learners of a course.", ("course",))


def configured(folder: Path) -> Config:
    """Load the configuration that lies in the folder."""
    return load(folder / "config.yaml", installed())


def fill(folder: Path) -> None:
    """Publish one result of every target, with every series that its collector may have without labels."""
    config = configured(folder)
    [collector] = enabled_collectors(config.targets[0])
    samples = tuple(Sample(family, ("featured",) * len(family.labels), 7.0) for family in collector.families)

    async def publish() -> None:
        for target in config.targets:
            key = Key(target.settings.name, collector.name)
            await exporter.record(exporter.parts.jobs[id_of(key)], Result(State.OK, time.time(), 0.1, samples))

    with closing(Storage(folder)) as storage:
        exporter = Exporter(config, storage=storage)
        asyncio.run(publish())


def build_seconds(folder: Path, is_restoring: bool) -> float:
    """Return how long building the exporter takes; call it in a fresh process."""
    with without_garbage_collection(), closing(Storage(folder)) as storage:
        config = configured(folder)
        begin_seconds = time.perf_counter()
        exporter = Exporter(config, storage=storage if is_restoring else None)
        took_seconds = time.perf_counter() - begin_seconds
        restored = sum(entry.published is not None for entry in exporter.snapshot)
        assert restored == (MANY_TARGETS if is_restoring else 0)
    return took_seconds


def save_ms(folder: Path, samples: int) -> tuple[float, float]:
    """Save results; returns milliseconds of the caller, and until the last was in the file, per save."""
    published = Published({FAMILY: tuple(Sample(FAMILY, (str(n),), n / 3) for n in range(samples))}, time.time())
    last = Result(State.OK, time.time(), 0.1)
    records = [
        Record(Source(Key(str(n), "courses"), "bench"), time.time(), 0.0, last, time.time(), published)
        for n in range(SAVES)
    ]
    with closing(Storage(folder)) as storage:
        storage.load({})
        begin_seconds = time.perf_counter()
        for record in records:
            storage.save(record)
        saved_seconds = time.perf_counter()
    ended_seconds = time.perf_counter()
    return 1000 * (saved_seconds - begin_seconds) / SAVES, 1000 * (ended_seconds - begin_seconds) / SAVES


def rounds(measure: Callable[[], float]) -> list[float]:
    """Repeat a measurement."""
    return [measure() for _ in range(ROUNDS)]


def print_restore(folder: Path) -> None:
    """Measure and print a start with and without stored results."""
    (folder / "config.yaml").write_text(configuration(MANY_TARGETS, "http://127.0.0.1:9"))
    in_fresh_process(fill, folder)
    size_mb = (folder / FILE_NAME).stat().st_size / BYTES_PER_MB
    bare = rounds(lambda: in_fresh_process(build_seconds, folder, False))
    restored = rounds(lambda: in_fresh_process(build_seconds, folder, True))
    print(
        f"{MANY_TARGETS:,} stored targets, {size_mb:.0f} MB: building takes {median(restored):.2f} s, without storage"
        f" {median(bare):.2f} s: {median(restored) - median(bare):.2f} s on top (demand below"
        f" {DEMAND_RESTORE_SECONDS:.1f})"
    )


def main() -> None:
    """Measure the start and the saves."""
    with tempfile.TemporaryDirectory() as folder:
        print_restore(Path(folder))
    for samples in (SMALL_SAMPLES, LARGE_SAMPLES):
        with tempfile.TemporaryDirectory() as folder:
            loop_ms, file_ms = save_ms(Path(folder), samples)
        print(
            f"a save of {samples:,} samples: {loop_ms:.3f} ms of the caller, {file_ms:.2f} ms until it is in the file"
        )


if __name__ == "__main__":
    main()
