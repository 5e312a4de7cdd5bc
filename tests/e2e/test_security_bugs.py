"""A platform module with bugs, installed beside ours: its tracebacks say where it failed and never what it held."""

import os
import sys
from pathlib import Path

import pytest

from tests.command import run, running_with_log, until_ready
from tests.leaks import leaks

KEY = "leaky-k3y"
PERSON = "Ada Abbott"

MODULE = """
from datetime import timedelta

from pydantic import SecretStr

from exporter.api.client import Access
from exporter.metrics import Family
from exporter.platform import Collector, Platform
from exporter.settings import CollectorSettings, CollectorsSettings, TargetSettings


class LeakyCollectors(CollectorsSettings):
    chained: CollectorSettings = CollectorSettings()
    grouped: CollectorSettings = CollectorSettings()


class LeakySettings(TargetSettings):
    api_key: SecretStr
    person: str
    collectors: LeakyCollectors = LeakyCollectors()


async def chained(client, settings, now):
    key = settings.api_key.get_secret_value()
    try:
        return {}[settings.person]
    except KeyError as error:
        raise ValueError(f"{key} of {settings.person}") from error


async def grouped(client, settings, now):
    private = f"{settings.api_key.get_secret_value()} of {settings.person}"
    raise ExceptionGroup(private, [OSError(2, private, private), KeyError(settings.person)])


def collector(name, collect):
    family = Family(f"leaky_{name}", "Never seen.")
    return Collector(name, (family,), timedelta(hours=1), collect, (), lambda _: {}, lambda _: {})


PLATFORM = Platform(
    "leaky",
    LeakySettings,
    lambda settings: Access(settings.url),
    (collector("chained", chained), collector("grouped", grouped)),
    credential="none",
    planned_for="nobody",
)
"""
ENTRY_POINTS = "[engagement_exporter.platforms]\nleaky = leaky_platform:PLATFORM\n"
CONFIG = f"""\
targets:
  - {{name: one, platform: leaky, url: "http://127.0.0.1:9", api_key: {KEY}, person: {PERSON}}}
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which a distribution with the platform is installed."""
    described = tmp_path / "site" / "leaky_platform-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky-platform\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "site" / "leaky_platform.py").write_text(MODULE)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *sys.path])}


@pytest.mark.parametrize("form", ["logfmt", "json"])
async def test_a_bug_is_logged_with_its_place_and_without_what_it_held(
    tmp_path: Path, environment: dict[str, str], form: str
) -> None:
    log = tmp_path / "log"
    flags = ("--config.file", tmp_path / "config.yaml", "--storage.path", tmp_path / "data", "--log.format", form)
    async with running_with_log(log, *flags, "--log.level=debug", environment=environment) as exporter:
        await until_ready(exporter.url)
    said = log.read_text(encoding="utf-8")

    assert "state=internal_error" in said or '"state": "internal_error"' in said
    for place in ("leaky_platform.py", "in chained", "in grouped", "KeyError", "ValueError", "FileNotFoundError"):
        assert place in said
    stored = "".join(file.read_bytes().decode("utf-8", "replace") for file in (tmp_path / "data").iterdir())
    assert leaks(said + stored, [KEY, PERSON]) == []


async def test_a_bug_in_a_single_poll_is_told_without_what_it_held(tmp_path: Path, environment: dict[str, str]) -> None:
    end = await run("poll", "--target", "one", "--config.file", tmp_path / "config.yaml", environment=environment)

    assert "internal_error: a bug in the collector (ValueError)" in end.err
    assert "in chained" in end.err
    assert leaks(end.out + end.err, [KEY, PERSON]) == []
