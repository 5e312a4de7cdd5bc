"""The file that results survive in: what comes back, what does not, and what a file that is no good may not do."""

import asyncio
import gc
import math
import random
import sqlite3
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st

from exporter.collection import Result
from exporter.errors import State
from exporter.metrics import Family, Sample
from exporter.platforms.konstantly import PLATFORM as KONSTANTLY
from exporter.platforms.learning360 import PLATFORM as LEARNING360
from exporter.platforms.viktor import PLATFORM as VIKTOR
from exporter.settings import TargetSettings
from exporter.snapshot import Key, Published, arranged
from exporter.storage import (
    FILE_NAME,
    FORGOTTEN_AFTER_SECONDS,
    LOCK_NAME,
    MIGRATIONS,
    Record,
    Source,
    Storage,
    decode_samples,
    encode_samples,
    source_of,
)
from tests.command import until
from tests.fakes import NOW_SECONDS, PEOPLE, PLACES
from tests.small_sites import SETTINGS

PEOPLE_SOURCE = Source(Key("site", "people"), "a")
PLACES_SOURCE = Source(Key("site", "places"), "a")
FAMILIES = {PEOPLE_SOURCE: (PEOPLE,), PLACES_SOURCE: (PLACES,)}
KILLS = 8

SAVE_FOR_EVER = """
import sys, time
from pathlib import Path
from exporter.collection import Result
from exporter.errors import State
from exporter.metrics import Family, Sample
from exporter.snapshot import Key, Published
from exporter.storage import Record, Source, Storage

places = Family("fake_places", "Visits by place of the fake platform.", ("place",))
storage = Storage(Path(sys.argv[1]))
storage.load({})
number = 0
while True:
    number += 1
    published = Published({places: tuple(Sample(places, (str(n),), number) for n in range(500))}, time.time())
    last = Result(State.OK, time.time(), number)
    storage.save(Record(Source(Key("site", "places"), "a"), time.time(), {}, last, time.time(), published))
    print(number, flush=True)
"""


def record(source: Source = PEOPLE_SOURCE, *samples: Sample, at: float = NOW_SECONDS) -> Record:
    """A complete run that began two seconds before `at` and published one value unless given others."""
    published = Published(arranged(samples or (PEOPLE.sample(7),))[0], at, 3, 2)
    return Record(source, at - 2, {}, Result(State.OK, at - 2, 2.0), at, published)


def stored(folder: Path, families: Any = FAMILIES, now_seconds: float = NOW_SECONDS) -> dict[Source, Record]:
    """Load as the next process does."""
    with closing(Storage(folder, lambda: now_seconds)) as storage:
        return storage.load(families)


def store(folder: Path, *records: Record) -> None:
    """Save as a process does that ends in order."""
    with closing(Storage(folder, lambda: NOW_SECONDS)) as storage:
        storage.load({})
        for one in records:
            storage.save(one)


def change(folder: Path, statement: str) -> None:
    """Change the file behind the back of the exporter."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute(statement)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_comes_back_whole(tmp_path: Path) -> None:
    good = record()
    failed = replace(
        record(PLACES_SOURCE, PLACES.sample(1.5, place='Zürich "1"\n'), PLACES.sample(-2, place="")),
        last=Result(
            State.UNAUTHORIZED, NOW_SECONDS + 50, 0.25, error="GET /things answered 401", remedy="mend the key"
        ),
        begun_at=NOW_SECONDS + 60,
        pauses={"": NOW_SECONDS + 3600.0, "/things": NOW_SECONDS + 60.0},
    )
    store(tmp_path, good, failed)

    assert stored(tmp_path) == {PEOPLE_SOURCE: good, PLACES_SOURCE: failed}


def test_a_run_that_never_ended_comes_back_with_its_start(tmp_path: Path) -> None:
    begun = Record(PEOPLE_SOURCE, NOW_SECONDS, {}, None, None, None)
    store(tmp_path, begun)

    assert stored(tmp_path) == {PEOPLE_SOURCE: begun}


def test_the_last_save_of_a_source_counts_and_an_emptied_result_stays_empty(tmp_path: Path) -> None:
    newest = replace(record(at=NOW_SECONDS + 9), published=None)
    store(tmp_path, record(), record(PEOPLE_SOURCE, PEOPLE.sample(8)), newest)
    assert stored(tmp_path) == {PEOPLE_SOURCE: newest}

    store(tmp_path, record(PEOPLE_SOURCE, PEOPLE.sample(9)))
    assert stored(tmp_path) == {PEOPLE_SOURCE: record(PEOPLE_SOURCE, PEOPLE.sample(9))}


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.floats(allow_nan=False, allow_infinity=False),
            st.sampled_from([math.inf, NOW_SECONDS, NOW_SECONDS + 0.5]),
        )
    )
)
def test_samples_survive_as_they_are(rows: list[tuple[str, float, float]]) -> None:
    samples = [PEOPLE.sample(2**60), *(PLACES.sample(value, ends_at, place=place) for place, value, ends_at in rows)]
    families, _ = arranged(samples)

    assert arranged(decode_samples(encode_samples(families), (PEOPLE, PLACES)))[0] == families


def test_families_that_the_collector_does_not_declare_any_more_are_left_out(tmp_path: Path) -> None:
    moved = Family(PLACES.name, PLACES.help, ("country",))
    store(tmp_path, record(PEOPLE_SOURCE, PEOPLE.sample(7), PLACES.sample(3, place="x")))

    for families, samples in (
        ((PEOPLE, PLACES), (PEOPLE.sample(7), PLACES.sample(3, place="x"))),
        ((PEOPLE,), (PEOPLE.sample(7),)),
        ((moved, PEOPLE), (PEOPLE.sample(7),)),
        ((moved,), ()),
    ):
        [loaded] = stored(tmp_path, {PEOPLE_SOURCE: families}).values()
        assert loaded.published
        assert loaded.published.families == arranged(samples)[0]


def test_values_of_another_source_under_the_same_name_are_not_restored(tmp_path: Path) -> None:
    store(tmp_path, record())
    elsewhere = Source(PEOPLE_SOURCE.key, "b")

    assert stored(tmp_path, {elsewhere: (PEOPLE,)}) == {}
    store(tmp_path, record(elsewhere, PEOPLE.sample(8)))
    assert stored(tmp_path, {elsewhere: (PEOPLE,)}) == {elsewhere: record(elsewhere, PEOPLE.sample(8))}


def test_what_has_not_run_for_a_year_is_forgotten(tmp_path: Path) -> None:
    store(tmp_path, record(), record(PLACES_SOURCE, PLACES.sample(1, place="x"), at=NOW_SECONDS + 100))

    assert set(stored(tmp_path, now_seconds=NOW_SECONDS + FORGOTTEN_AFTER_SECONDS + 50)) == {PLACES_SOURCE}
    assert set(stored(tmp_path)) == {PLACES_SOURCE}


def copied(settings: TargetSettings, **changes: Any) -> TargetSettings:
    return type(settings).model_validate({**settings.model_dump(exclude_unset=True), **changes})


@pytest.mark.parametrize(
    ("site", "collector", "changes"),
    [
        ("konstantly", KONSTANTLY.collectors[0], {"url": "https://other.test"}),
        ("viktor", VIKTOR.collectors[0], {"org_domain": "other"}),
        ("viktor", VIKTOR.collectors[4], {"collectors": {"audit_events": {"event_types": ["USER.LOGOUT"]}}}),
        ("learning360", LEARNING360.collectors[0], {"client_id": "other"}),
        ("learning360", LEARNING360.collectors[3], {"collectors": {"attempts": {"courses": {"top": 5}}}}),
    ],
)
def test_another_site_organisation_or_choice_is_another_source(site: str, collector: Any, changes: Any) -> None:
    settings = SETTINGS[site]

    assert source_of(copied(settings, **changes), collector) != source_of(settings, collector)


@pytest.mark.parametrize(
    "changes",
    [
        {"api_key": "another"},
        {"api_key": None, "api_key_file": "secrets/key"},
        {"interval": "1h"},
        {"requests_per_second": 9},
        {"max_age": "90d"},
        {"max_series": 5},
        {"collectors": {"statistics": {"interval": "1h"}, "groups": False}},
    ],
)
def test_a_change_that_leaves_the_values_what_they_are_leaves_the_source(changes: Any) -> None:
    settings, collector = SETTINGS["konstantly"], KONSTANTLY.collectors[0]

    assert source_of(copied(settings, **changes), collector) == source_of(settings, collector)


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with closing(Storage(folder)) as storage:
        storage.load({})
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert names(folder) == [FILE_NAME, f"{FILE_NAME}-shm", f"{FILE_NAME}-wal", LOCK_NAME]
        assert folder.stat().st_mode & 0o777 == 0o700
    (folder / FILE_NAME).chmod(0o644)
    store(folder, record())
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600


def overwrite(start: int, data: bytes) -> Callable[[Path], None]:
    """Damage the bytes of the file from `start` on."""

    def damage(folder: Path) -> None:
        file = folder / FILE_NAME
        content = file.read_bytes()
        file.write_bytes(content[:start] + data + content[start + len(data) :])

    return damage


def halve(folder: Path) -> None:
    file = folder / FILE_NAME
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def changing(statement: str) -> Callable[[Path], None]:
    return lambda folder: change(folder, statement)


@pytest.mark.parametrize(
    "damage",
    [
        overwrite(0, b"not a database"),
        overwrite(4096, bytes(200)),
        halve,
        changing("DROP TABLE collectors"),
        changing("ALTER TABLE collectors DROP COLUMN samples"),
        changing("UPDATE collectors SET samples = '[[\"fake_people\"'"),
        changing("UPDATE collectors SET state = 'splendid'"),
        changing("UPDATE collectors SET error = CAST(x'ff' AS TEXT)"),
        changing("PRAGMA user_version = -1"),
        changing("PRAGMA user_version = 0"),
    ],
)
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store(tmp_path, record())
    damage(tmp_path)
    content = (tmp_path / FILE_NAME).read_bytes()

    with structlog.testing.capture_logs() as logs:
        assert stored(tmp_path) == {}
    store(tmp_path, record())

    assert [log["event"] for log in logs] == ["storage set aside, starting with a new one"]
    assert stored(tmp_path) == {PEOPLE_SOURCE: record()}
    [aside] = set(tmp_path.iterdir()) - {tmp_path / FILE_NAME, tmp_path / LOCK_NAME}
    assert aside.read_bytes() == content


def test_the_file_of_an_older_exporter_knows_of_no_unreadable_values(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        for statement in MIGRATIONS[:2]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 2")
        connection.execute(
            "INSERT INTO collectors VALUES ('site', 'people', 'a', 1, 0, 'ok', 1, 2, '', '', ?, 3, ?)",
            (NOW_SECONDS, encode_samples(arranged([PEOPLE.sample(7)])[0])),
        )

    published = stored(tmp_path, now_seconds=1.0)[PEOPLE_SOURCE].published
    assert published == Published({PEOPLE: (PEOPLE.sample(7),)}, NOW_SECONDS, 3, 0)


def test_the_pause_of_an_older_exporter_is_one_of_the_whole_target(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        for statement in MIGRATIONS[:3]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 3")
        connection.execute(
            "INSERT INTO collectors (target, collector, fingerprint, begun_at, paused_until) VALUES (?, ?, ?, ?, ?)",
            ("site", "people", "a", NOW_SECONDS, NOW_SECONDS + 90.5),
        )

    assert stored(tmp_path)[PEOPLE_SOURCE].pauses == {"": NOW_SECONDS + 90.5}


def test_the_file_of_a_newer_exporter_is_set_aside_unchanged(tmp_path: Path) -> None:
    store(tmp_path, record())
    change(tmp_path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    content = (tmp_path / FILE_NAME).read_bytes()

    with structlog.testing.capture_logs() as logs:
        assert stored(tmp_path) == {}

    aside = tmp_path / f"{FILE_NAME}.newer-20270115T080000.000000Z"
    assert aside.read_bytes() == content
    assert [(log["reason"], log["file"], log["log_level"]) for log in logs] == [("newer", str(aside), "warning")]


def test_without_a_usable_folder_everything_goes_on_without_storage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with structlog.testing.capture_logs() as logs:
        assert stored(tmp_path / "file") == {}
        store(tmp_path / "file", record())

    assert {(log["event"], log["log_level"]) for log in logs} == {
        ("storage cannot be used, going on without", "warning")
    }
    assert names(tmp_path) == ["file"]


def test_a_file_that_cannot_be_opened_now_stays_for_the_next_start(tmp_path: Path) -> None:
    """Access that fails is no damage; here, something stands in the place of the write-ahead log."""
    store(tmp_path, record())
    (tmp_path / f"{FILE_NAME}-wal").mkdir()

    with structlog.testing.capture_logs() as logs:
        assert stored(tmp_path) == {}
    (tmp_path / f"{FILE_NAME}-wal").rmdir()

    assert [log["event"] for log in logs] == ["storage cannot be used, going on without"]
    assert stored(tmp_path) == {PEOPLE_SOURCE: record()}


def in_file(folder: Path) -> list[str]:
    """Return the names of the targets in the file that another process has open."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as connection:
        return [target for (target,) in connection.execute("SELECT target FROM collectors ORDER BY target")]


async def until_said(logs: Sequence[Mapping[str, Any]], event: str) -> None:
    async def is_said() -> bool:
        return event in [log["event"] for log in logs]

    await until(is_said)


async def test_what_a_locked_file_refused_is_written_when_it_is_free_again(tmp_path: Path) -> None:
    """The lock outlasts SQLite's own patience of 5 s; all that fails meanwhile is one warning."""
    others = [record(Source(Key(f"site {number}", "people"), "a")) for number in range(3)]
    with structlog.testing.capture_logs() as logs, closing(Storage(tmp_path, lambda: NOW_SECONDS)) as storage:
        storage.load({})
        with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            storage.save(record())
            await until_said(logs, "results cannot be stored, trying again")
            for one in others:
                storage.save(one)
            other.execute("COMMIT")
        await until_said(logs, "results are stored again")

        assert in_file(tmp_path) == ["site", "site 0", "site 1", "site 2"]

    assert [log["log_level"] for log in logs] == ["warning", "info"]
    assert stored(tmp_path) == {PEOPLE_SOURCE: record()}


async def test_a_file_that_was_locked_at_the_start_is_used_when_it_is_free(tmp_path: Path) -> None:
    store(tmp_path, record())
    with structlog.testing.capture_logs() as logs, closing(Storage(tmp_path, lambda: NOW_SECONDS)) as storage:
        with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            assert await asyncio.to_thread(storage.load, FAMILIES) == {}
        storage.save(record(PLACES_SOURCE, PLACES.sample(1, place="x")))
        await until_said(logs, "results are stored again")

    assert [log["event"] for log in logs] == ["storage cannot be used, going on without", "results are stored again"]
    assert set(stored(tmp_path)) == {PEOPLE_SOURCE, PLACES_SOURCE}


async def test_what_could_not_be_written_yet_is_there_for_a_target_that_comes_back(tmp_path: Path) -> None:
    store(tmp_path, record())
    newer = record(PEOPLE_SOURCE, PEOPLE.sample(8))
    with structlog.testing.capture_logs() as logs, closing(Storage(tmp_path, lambda: NOW_SECONDS)) as storage:
        storage.load({})
        with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            storage.save(newer)
            await until_said(logs, "results cannot be stored, trying again")
            assert await asyncio.to_thread(storage.load, FAMILIES) == {PEOPLE_SOURCE: newer}


async def test_a_file_that_is_damaged_while_it_is_used_is_set_aside(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs, closing(Storage(tmp_path, lambda: NOW_SECONDS)) as storage:
        storage.load({})
        change(tmp_path, "DROP TABLE collectors")
        storage.save(record())
        await until_said(logs, "results are stored again")

    assert "storage set aside, starting with a new one" in [log["event"] for log in logs]
    assert stored(tmp_path) == {PEOPLE_SOURCE: record()}


async def test_what_a_removed_target_published_does_not_stay_in_memory(tmp_path: Path) -> None:
    gone = record(PEOPLE_SOURCE)
    published = weakref.ref(gone.published)
    with closing(Storage(tmp_path, lambda: NOW_SECONDS)) as storage:
        storage.load({})
        storage.save(gone)
        del gone

        async def is_forgotten() -> bool:
            gc.collect()
            return published() is None

        await until(is_forgotten)
        storage.save(replace(record(), published=None))  # what the file has is not taken for this one
    assert stored(tmp_path) == {PEOPLE_SOURCE: replace(record(), published=None)}


def test_a_kill_at_any_moment_leaves_a_readable_file(tmp_path: Path) -> None:
    """After each kill, what is stored of the run and of its values, which bear its number, stem from one save."""
    moments = random.Random(1)  # noqa: S311 - when to kill
    for _ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", SAVE_FOR_EVER, tmp_path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(moments.randint(1, 60)):
                process.stdout.readline()
            process.kill()

        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for loaded in stored(tmp_path, now_seconds=time.time()).values():
            assert loaded.published
            [samples] = loaded.published.families.values()
            assert len(samples) == 500
            assert loaded.last
            assert {sample.value for sample in samples} == {loaded.last.duration_seconds}
    assert names(tmp_path) == [FILE_NAME, LOCK_NAME]


async def test_saving_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    """While the writer is held up, saves return, and what they brought is written afterwards."""
    with closing(Storage(tmp_path)) as storage:
        storage.load({})
        with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(1000):
                storage.save(record(PEOPLE_SOURCE, PEOPLE.sample(number)))
            await asyncio.sleep(0)
            other.execute("COMMIT")

    assert stored(tmp_path) == {PEOPLE_SOURCE: record(PEOPLE_SOURCE, PEOPLE.sample(999))}
