"""What survives a restart: the last run and the last complete result of every collector, in one SQLite file.

The file is a convenience and never a reason to fail: one that cannot be used is set aside or done without, and a write
that fails is a warning.
"""

import hashlib
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import structlog

from exporter.collection import Result
from exporter.errors import State
from exporter.metrics import Family, Sample
from exporter.platform import Collector, collector_settings
from exporter.settings import TargetSettings
from exporter.snapshot import Families, Key, Published, arranged, cut_labels, first_end

logger = structlog.get_logger()

FILE_NAME = "engagement-exporter.db"
FORGOTTEN_AFTER_SECONDS = 31_536_000.0
"""No `max_age` is longer than a year, so that nobody misses what is older."""

MIGRATIONS = (
    """
    CREATE TABLE collectors (
        target TEXT NOT NULL,
        collector TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        begun_at REAL,
        paused_until REAL NOT NULL,
        state TEXT,
        started_at REAL,
        duration_seconds REAL,
        error TEXT,
        remedy TEXT,
        last_success_at REAL,
        series_dropped INTEGER,
        samples BLOB,
        PRIMARY KEY (target, collector, fingerprint)
    )
    """,
    "ALTER TABLE collectors RENAME COLUMN series_dropped TO illegal",
    "ALTER TABLE collectors ADD COLUMN unreadable INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE collectors ADD COLUMN pauses TEXT NOT NULL DEFAULT '{}'",
    """UPDATE collectors SET pauses = printf('{"":%.3f}', paused_until)""",
    "ALTER TABLE collectors DROP COLUMN paused_until",
    "ALTER TABLE collectors ADD COLUMN cut_off INTEGER NOT NULL DEFAULT 0",
)
"""The statement that leads to each version of the schema, the first to version 1; `PRAGMA user_version` counts them."""

LOAD = "SELECT * FROM collectors WHERE target = ? AND collector = ? AND fingerprint = ?"
SAVE_RUN = """
    INSERT INTO collectors (target, collector, fingerprint, begun_at, cut_off, pauses,
                            state, started_at, duration_seconds, error, remedy, last_success_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET begun_at = excluded.begun_at, cut_off = excluded.cut_off, pauses = excluded.pauses,
        state = excluded.state, started_at = excluded.started_at, duration_seconds = excluded.duration_seconds,
        error = excluded.error, remedy = excluded.remedy, last_success_at = excluded.last_success_at
"""
SAVE_SAMPLES = """
    UPDATE collectors SET illegal = ?, unreadable = ?, samples = ?
    WHERE target = ? AND collector = ? AND fingerprint = ?
"""

DAMAGED = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""SQLite's codes for a file that is not what it should be; SQLITE_ERROR is a table or column that is not there."""


class Rows(msgspec.Struct, frozen=True, array_like=True):
    """Samples of one family that end at one time, None for those that do not end."""

    family: str
    labels: tuple[str, ...]
    rows: list[tuple[tuple[str, ...], float]]
    ends_at: float | None = None


_pauses_decoder = msgspec.json.Decoder(dict[str, float])
_samples_decoder = msgspec.json.Decoder(list[Rows])


@dataclass(frozen=True, slots=True)
class Source:
    """Where values come from: a collector, and a hash of the settings that decide what its values mean."""

    key: Key
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored of one collector. Times are Unix seconds; `begun_at` is also that of a run that never ended.

    `pauses` are the ends of those that hold it up, by endpoint; `cut_off` counts the runs in a row that never ended,
    one under way included.
    """

    source: Source
    begun_at: float | None
    pauses: Mapping[str, float]
    last: Result | None
    last_success_at: float | None
    published: Published | None
    cut_off: int = 0


class UnusableError(Exception):
    """The file cannot be read; `reason` (corrupt or newer) becomes part of the name under which it is set aside."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def source_of(settings: TargetSettings, collector: Collector[Any]) -> Source:
    """Tell the source of a collector's values; another site, organisation or choice of what to collect is another."""
    secrets = {key for name in settings.credentials for key in (name, f"{name}_file")}
    own = set(type(settings).model_fields) - set(TargetSettings.model_fields) - secrets
    site = settings.model_dump_json(include={"platform", "url", *own})
    choice = collector_settings(settings, collector).model_dump_json(exclude={"enabled", "interval"})
    digest = hashlib.sha256(f"{site}\n{choice}".encode()).hexdigest()
    return Source(Key(settings.name, collector.name), digest)


class Storage:
    """The file in `folder`. `load` opens it and comes first; without a usable file, everything else does nothing."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._file = folder / FILE_NAME
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._writer = ThreadPoolExecutor(1, "storage")
        self._lock = threading.Lock()
        self._pending: dict[Source, Record] = {}
        self._written: dict[Source, Published | None] = {}
        self._is_failing = False

    def load(self, families: Mapping[Source, Sequence[Family]]) -> dict[Source, Record]:
        """Return what is stored of the sources, in the families given for each and no others.

        The first call opens the file; later ones wait until everything saved before them is written.
        """
        try:
            if self._connection is not None:
                records = self._writer.submit(read, self._connection, families).result()
            else:
                records = self._open(families)
        except (OSError, sqlite3.Error, ValueError, UnusableError) as error:
            logger.warning("storage cannot be used, going on without", file=str(self._file), error=str(error))
            return {}
        self._written |= {source: record.published for source, record in records.items()}
        return records

    def save(self, record: Record) -> None:
        """Write the record soon, in a thread of its own; of several that wait for one source, only the last counts."""
        if self._connection is None:
            return
        with self._lock:
            is_writer_told = bool(self._pending)
            self._pending[record.source] = record
        if not is_writer_told:
            self._writer.submit(self._write_pending, self._connection)

    def close(self) -> None:
        """Write what is still waiting, and close the file."""
        self._writer.shutdown()
        if self._connection is not None:
            self._connection.close()

    def _open(self, families: Mapping[Source, Sequence[Family]]) -> dict[Source, Record]:
        try:
            return self._open_once(families)
        except UnusableError as error:
            set_aside(self._file, error.reason, self._now())
            return self._open_once(families)

    def _open_once(self, families: Mapping[Source, Sequence[Family]]) -> dict[Source, Record]:
        connection = connect(self._file)
        try:
            migrate(connection)
            check_and_prune(connection, self._now() - FORGOTTEN_AFTER_SECONDS)
            records = read(connection, families)
        except Exception as error:
            connection.close()
            if is_damage(error):
                raise UnusableError("corrupt") from error
            raise
        self._connection = connection
        return records

    def _write_pending(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            records, self._pending = tuple(self._pending.values()), {}
        try:
            self._write(connection, records)
        except Exception as error:  # nobody awaits this thread, and polling must go on whatever happens in it
            if not self._is_failing:
                logger.warning("results cannot be stored", file=str(self._file), error=str(error))
            self._is_failing = True
        else:
            self._is_failing = False

    def _write(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for record in records:
                connection.execute(SAVE_RUN, run_row(record))
                if self._written.get(record.source) is not record.published:
                    connection.execute(SAVE_SAMPLES, samples_row(record))
        self._written.update((record.source, record.published) for record in records)


def connect(file: Path) -> sqlite3.Connection:
    """Open the file, made if need be, for its owner only; its companions take their mode from it.

    Raises OSError or sqlite3.Error.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    file.chmod(0o600)
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date. Raises UnusableError for a file of a newer exporter, sqlite3.Error for a bad one."""
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= len(MIGRATIONS):
        raise UnusableError("newer")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # a commit survives the process; a power cut may take the last
    for number, statement in enumerate(MIGRATIONS[version:], version + 1):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


def check_and_prune(connection: sqlite3.Connection, oldest_at: float) -> None:
    """Delete what last ran before `oldest_at`. Raises ValueError for a damaged file."""
    [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise ValueError(verdict)
    connection.execute("DELETE FROM collectors WHERE coalesce(begun_at < ?, NOT cut_off)", (oldest_at,))


def read(connection: sqlite3.Connection, families: Mapping[Source, Sequence[Family]]) -> dict[Source, Record]:
    """Read the records of the sources given. Raises ValueError or msgspec.DecodeError for what no exporter wrote."""
    records = {}
    with closing(connection.cursor()) as cursor:
        cursor.row_factory = sqlite3.Row
        for source, known in families.items():
            name = (source.key.target, source.key.collector, source.fingerprint)
            if row := cursor.execute(LOAD, name).fetchone():
                records[source] = record_of(source, row, known)
    return records


def record_of(source: Source, row: sqlite3.Row, families: Sequence[Family]) -> Record:
    """Turn a row into a record. Raises ValueError or msgspec.DecodeError for what was never written like that."""
    last = None
    if row["state"] is not None:
        last = Result(
            State(row["state"]),
            row["started_at"],
            row["duration_seconds"],
            error=row["error"],
            remedy=row["remedy"],
        )
    published = None
    if row["samples"] is not None:
        stored, _ = arranged(decode_samples(row["samples"], families))
        ends_at = first_end(stored)
        dropped = (row["illegal"], row["unreadable"], ())
        published = Published(stored, row["last_success_at"], *dropped, ends_at, cut_labels(stored))
    pauses = _pauses_decoder.decode(row["pauses"])
    return Record(source, row["begun_at"], pauses, last, row["last_success_at"], published, row["cut_off"])


def run_row(record: Record) -> tuple[object, ...]:
    """Return the parameters of SAVE_RUN."""
    key, last = record.source.key, record.last
    told = (str(last.state), last.started_at, last.duration_seconds, last.error, last.remedy) if last else (None,) * 5
    pauses = msgspec.json.encode(record.pauses).decode()
    run = (record.begun_at, record.cut_off, pauses, *told, record.last_success_at)
    return (key.target, key.collector, record.source.fingerprint, *run)


def samples_row(record: Record) -> tuple[object, ...]:
    """Return the parameters of SAVE_SAMPLES."""
    published = record.published
    name = (record.source.key.target, record.source.key.collector, record.source.fingerprint)
    if published is None:
        return (None, 0, None, *name)
    return (published.illegal, published.unreadable, encode_samples(published.families), *name)


def encode_samples(families: Families) -> bytes:
    """Write samples as JSON."""
    return msgspec.json.encode(
        [
            Rows(
                family.name,
                family.labels,
                [(sample.labels, float(sample.value)) for sample in group],
                ends_at if ends_at < math.inf else None,
            )
            for family, samples in families.items()
            for ends_at, group in groupby(samples, key=attrgetter("ends_at"))
        ]
    )


def decode_samples(data: bytes, families: Sequence[Family]) -> Iterator[Sample]:
    """Read what `encode_samples` wrote; leaves out families that are not among those given, or have other labels now.

    Raises msgspec.DecodeError.
    """
    known = {family.name: family for family in families}
    for stored in _samples_decoder.decode(data):
        family = known.get(stored.family)
        if family and family.labels == stored.labels:
            ends_at = math.inf if stored.ends_at is None else stored.ends_at
            for values, value in stored.rows:
                yield Sample(family, values, value, ends_at)


def is_damage(error: Exception) -> bool:
    """True if the file is broken, False if it is newer or only the access to it fails (rights, locks, a full disk)."""
    if isinstance(error, sqlite3.Error):
        code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # absent for text that is no UTF-8
        return code & 0xFF in DAMAGED
    return not isinstance(error, UnusableError)


def set_aside(file: Path, reason: str, now: float) -> None:
    """Rename the file and its companions, so that a new one can take its place and nothing is lost. Raises OSError."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = f"{file}.{reason}-{moment}"
    for ending in ("-wal", "-shm", ""):  # the file last: a log left behind would be taken for that of the next file
        if os.path.exists(f"{file}{ending}"):
            os.rename(f"{file}{ending}", f"{aside}{ending}")
    logger.warning("storage set aside, starting with a new one", file=aside, reason=reason)
