"""Every series on the page says what is true of the simulated organisation, and no truth is missing from the page."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from exporter.app import Exporter
from exporter.config import parse
from exporter.demo.configuration import configuration
from exporter.demo.organisation import Organisation, organisation
from exporter.demo.server import GENEROUS_LIMITS, serve
from exporter.exposition import Format
from exporter.platform import installed
from exporter.yaml_document import read
from tests.command import until
from tests.page import Series, series
from tests.truth import konstantly, learning360, pybossa, viktor

MOMENTS = {
    "an ordinary afternoon": datetime(2026, 3, 18, 15, 30, 12, tzinfo=UTC),
    "the first minute of a year": datetime(2026, 1, 1, 0, 0, 40, tzinfo=UTC),
    "the last second of a leap day": datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
}

TRUTHS: dict[str, Callable[[Organisation, datetime], Series]] = {
    "academy": lambda demo, now: konstantly.expected(demo.academy, now),
    "bridges": lambda demo, now: viktor.expected(demo.engineering, now),
    "crowd": lambda demo, now: pybossa.expected(demo.crowd, now),
    "learning": lambda demo, now: learning360.expected(demo.academy, now),
    "learning-v1": lambda demo, now: learning360.expected(demo.academy, now, "v1"),
}

LESS_TOLD_BY_V1 = {"learning360_users", "learning360_courses", "learning360_course_info", "learning360_paths"}
"""Users without their status, courses without their type, paths without their status."""


@pytest.fixture(scope="module", params=MOMENTS.values(), ids=list(MOMENTS))
def now(request: pytest.FixtureRequest) -> datetime:
    moment: datetime = request.param
    return moment


@pytest.fixture(scope="module")
def simulated(now: datetime) -> Organisation:
    return organisation(3, date(now.year - 1, 7, 1))


@pytest.fixture
async def page(simulated: Organisation, now: datetime) -> str:
    """The page after the first run of every collector of every platform, with both clocks stopped at `now`."""
    async with serve(simulated, lambda: now, options=GENEROUS_LIMITS) as site:
        config = parse(read(configuration(site), "config.yaml", {}), Path(), installed())
        exporter = Exporter(config, now.timestamp)
        exporter.start()

        async def is_ready() -> bool:
            return exporter.is_ready()

        await until(is_ready)
        exporter.stop()
        return b"".join(exporter.page(Format.TEXT)).decode()


def platform_series(page: str, target: str) -> Series:
    found = series(page, target=target)
    return {key: value for key, value in found.items() if not key[0].startswith("engagement_")}


async def test_every_series_is_true_and_every_truth_is_a_series(
    page: str, simulated: Organisation, now: datetime
) -> None:
    failed = {key for key, value in series(page, "engagement_collector_up").items() if value != 1}
    assert failed == set()
    for target, expected in TRUTHS.items():
        assert platform_series(page, target) == pytest.approx(expected(simulated, now), rel=1e-9), target


async def test_both_versions_of_360learning_give_the_same_series(page: str) -> None:
    """A customer can run both side by side before switching; only where v1 leaves something open do they differ."""
    new, old = platform_series(page, "learning"), platform_series(page, "learning-v1")

    same = {key: value for key, value in old.items() if key[0] not in LESS_TOLD_BY_V1}
    assert {key: new.get(key) for key in same} == pytest.approx(same)
    assert len(same) > 900
    assert published_courses(new) == published_courses(old)


def published_courses(found: Series) -> float:
    return sum(
        value
        for (name, labels), value in found.items()
        if name == "learning360_courses" and ("status", "published") in labels
    )
