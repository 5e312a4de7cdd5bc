"""Options of the test suite, and the simulated platforms that several of its files poll."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings

from exporter.demo.configuration import configuration
from exporter.demo.organisation import Organisation, organisation
from exporter.demo.server import GENEROUS_LIMITS, Demo, serve

# how long an example takes depends on who else uses the machine
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files with what the code gives now")


@pytest.fixture(scope="session")
def half_year_old() -> Organisation:
    """A simulated organisation with half a year of life behind it."""
    return organisation(7, datetime.now(UTC).date() - timedelta(days=180))


@pytest.fixture
async def site(half_year_old: Organisation) -> AsyncIterator[Demo]:
    """The four platforms over HTTP on this machine, by the clock on the wall."""
    async with serve(half_year_old, lambda: datetime.now(UTC), options=GENEROUS_LIMITS) as running:
        yield running


@pytest.fixture
def site_config(site: Demo, tmp_path: Path) -> Path:
    """A configuration file with every collector of every platform of `site`."""
    file = tmp_path / "config.yaml"
    file.write_text(configuration(site), encoding="utf-8")
    return file
