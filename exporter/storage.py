"""What survives a restart: the last run and the last complete result of every collector, in one SQLite file.

The file is a convenience and never a reason to fail: one that cannot be used is set aside or done without, and a write
that fails is a warning, and tried again. A folder that another exporter uses is refused: each would spoil what the
other knows.
"""

import fcntl
import hashlib
import math
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec
import structlog

from exporter.collection import Result
from exporter.errors import State, StorageInUseError
from exporter.metrics import Family, Sample
from exporter.platform import Collector, collector_settings
from exporter.settings import TargetSettings
from exporter.snapshot import Families, Key, Published, arranged, cut_labels, first_end

logger = structlog.get_logger()

FILE_NAME = "engagement-exporter.db"
LOCK_NAME = "engagement-exporter.lock"
LOCK_PATIENCE_SECONDS = 10.0
"""Longer than a process that was told to end takes to finish its answers."""
LOCK_TRY_SECONDS = 0.1
LONGEST_HOLDER_BYTES = 300
LONGEST_RETRY_SECONDS = 60.0
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
    """The file in `folder`, which one process at a time may use. `load` opens it and comes first.

    What cannot be written is kept and tried again until it is, be the file locked, the disk full or the folder gone.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._file = folder / FILE_NAME
        self._now = now
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._using = threading.Lock()
        self._writer: threading.Thread | None = None
        self._changed = threading.Condition()
        self._pending: dict[Source, Record] = {}
        self._is_closing = False
        self._is_failing = False
        # weakly: what a collector published must not outlive its target here
        self._written: WeakValueDictionary[Source, Published] = WeakValueDictionary()

    def load(self, families: Mapping[Source, Sequence[Family]]) -> dict[Source, Record]:
        """Return what was saved of the sources, in the families given for each and no others.

        Raises StorageInUseError at the first call if another process has the folder and does not end soon.
        """
        with self._changed:
            waiting = {source: self._pending[source] for source in families if source in self._pending}
        try:
            records = self._read(families)
        except (OSError, sqlite3.Error, ValueError, UnusableError) as error:
            self._fail("storage cannot be used, going on without", error)
            records = {}
        if self._writer is None:
            self._writer = threading.Thread(target=self._keep_writing, name="storage", daemon=True)
            self._writer.start()
        return records | waiting

    def save(self, record: Record) -> None:
        """Write the record soon, in a thread of its own; of several that wait for one source, only the last counts."""
        with self._changed:
            self._pending[record.source] = record
            self._changed.notify()

    def close(self) -> None:
        """Write what is still waiting, and close the file."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._writer is not None:
            self._writer.join()
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)

    def _read(self, families: Mapping[Source, Sequence[Family]]) -> dict[Source, Record]:
        with self._using:
            if self._connection is None:
                records = self._open(families, LOCK_PATIENCE_SECONDS if self._writer is None else 0.0)
            else:
                records = read(self._connection, families)
            self._written.update(
                (source, record.published) for source, record in records.items() if record.published is not None
            )
            return records

    def _open(self, families: Mapping[Source, Sequence[Family]], patience_seconds: float) -> dict[Source, Record]:
        if self._lock is None:
            self._lock = lock(self._folder, patience_seconds)
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

    def _keep_writing(self) -> None:
        """Write whenever there is something to write; after a failure later and later, and once more at the end."""
        retry_seconds = 0.0
        is_last = False
        while not is_last:
            is_last = self._wait(retry_seconds)
            is_written = self._try_to_write()
            retry_seconds = 0.0 if is_written else min(2 * retry_seconds or 1.0, LONGEST_RETRY_SECONDS)

    def _wait(self, retry_seconds: float) -> bool:
        """Wait until there is something to write, or for the time given; True if nothing will follow it."""
        with self._changed:
            if retry_seconds:
                self._changed.wait_for(lambda: self._is_closing, retry_seconds)
            else:
                self._changed.wait_for(lambda: self._is_closing or self._pending)
            return self._is_closing

    def _try_to_write(self) -> bool:
        with self._changed:
            records = tuple(self._pending.values())
        if not records:
            return True
        try:
            with self._using:
                if self._connection is None:
                    self._open({}, patience_seconds=0.0)
                assert self._connection is not None  # noqa: S101 - opened
                self._write(self._connection, records)
        except Exception as error:  # nobody awaits this thread, and polling must go on whatever happens in it
            self._disconnect()
            self._fail("results cannot be stored, trying again", error)
            return False
        with self._changed:
            for record in records:
                if self._pending[record.source] is record:
                    del self._pending[record.source]
        if self._is_failing:
            logger.info("results are stored again", file=str(self._file))
        self._is_failing = False
        return True

    def _write(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for record in records:
                connection.execute(SAVE_RUN, run_row(record))
                if record.published is None or self._written.get(record.source) is not record.published:
                    connection.execute(SAVE_SAMPLES, samples_row(record))
        for record in records:
            if record.published is not None:
                self._written[record.source] = record.published

    def _disconnect(self) -> None:
        """Close the file, since a connection that once failed may go on failing; another is made in its place."""
        with self._using:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._written.clear()

    def _fail(self, event: str, error: Exception) -> None:
        if not self._is_failing:
            logger.warning(event, file=str(self._file), error=str(error))
        self._is_failing = True


def lock(folder: Path, patience_seconds: float) -> int:
    """Return a descriptor that keeps other processes out of the folder, made if need be, until it is closed.

    One that is about to end, as in a restart, is waited for. Raises StorageInUseError or OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    give_up_at = time.monotonic() + patience_seconds
    try:
        while not is_locked(descriptor):
            if time.monotonic() >= give_up_at:
                holder = os.pread(descriptor, LONGEST_HOLDER_BYTES, 0).decode(errors="replace").strip()
                raise StorageInUseError(
                    f"{folder} is in use by another exporter, {holder or 'which did not say who it is'}; "
                    "end that one, or give each its own --storage.path"
                )
            time.sleep(LOCK_TRY_SECONDS)
        with suppress(OSError):  # these are only words, for which a full disk has no room
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(descriptor: int) -> bool:
    """Lock the file for this process, unless another has it. Raises OSError where files cannot be locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def connect(file: Path) -> sqlite3.Connection:
    """Open the file, made if need be, for its owner only; its companions take their mode from it.

    Raises OSError or sqlite3.Error.
    """
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
