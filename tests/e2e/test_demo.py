"""The installed exporter against simulated platforms that misbehave, and what it must never do to them or tell."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from exporter.demo import konstantly, learning360, pybossa, viktor
from exporter.demo.configuration import configuration
from exporter.demo.faults import Fault, html, slow, status, truncated
from exporter.demo.organisation import Organisation
from exporter.demo.server import Demo
from tests.command import PATIENCE_SECONDS, Running, ended, running, until, until_ready
from tests.page import series

SECRETS = (
    konstantly.API_KEY,
    viktor.TOKEN,
    pybossa.ADMIN_KEY,
    learning360.CLIENT_SECRET,
    learning360.API_KEY,
)


@pytest.fixture
async def exporter(site: Demo, tmp_path: Path) -> AsyncIterator[Running]:
    """An exporter that polls every collector each second and has done so once."""
    file = tmp_path / "config.yaml"
    file.write_text(re.sub(r"interval: \d+s", "interval: 1s", configuration(site)), encoding="utf-8")
    async with running("--config.file", file) as exporter:
        await until_ready(exporter.url)
        yield exporter


async def page(exporter: Running) -> str:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        return (await http.get(f"{exporter.url}/metrics")).text


async def until_state(exporter: Running, target: str, collector: str, state: str) -> str:
    """Wait until the collector is in the state; returns the page that said so."""
    last = ""

    async def is_there() -> bool:
        nonlocal last
        last = await page(exporter)
        states = series(last, "engagement_collector_state", target=target, collector=collector, state=state)
        return set(states.values()) == {1.0}

    await until(is_there)
    return last


def ups(page: str) -> dict[str, float]:
    """Which targets are up."""
    return {dict(labels)["target"]: value for (_, labels), value in series(page, "engagement_up").items()}


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (status(401), "unauthorized"),
        (status(403), "forbidden"),
        (status(404), "invalid_response"),
        (html(), "invalid_response"),
    ],
    ids=["401", "403", "404", "a web page"],
)
async def test_a_platform_that_fails_keeps_its_numbers_and_harms_no_other(
    exporter: Running, site: Demo, fault: Fault, state: str
) -> None:
    users = series(await page(exporter), "konstantly_users")
    site.konstantly.faults.set(fault)

    failed = await until_state(exporter, "academy", "statistics", state)

    assert users
    assert series(failed, "konstantly_users") == users
    assert ups(failed) == {"academy": 0, "bridges": 1, "crowd": 1, "learning": 1, "learning-v1": 1}


async def test_a_platform_that_asks_for_a_pause_is_left_alone(exporter: Running, site: Demo) -> None:
    """Each of the four collectors meets the limit once, or its run is skipped without a request."""
    site.konstantly.faults.set(status(429, {"Retry-After": "3600"}))

    async def is_left_alone() -> bool:
        said = await page(exporter)
        refused = series(said, "engagement_collector_state", target="academy", state="rate_limited")
        skipped = series(said, "engagement_collector_skipped_runs_total", target="academy", reason="paused")
        return sum(refused.values()) + sum(skipped.values()) == 4

    await until(is_left_alone)
    paused = await page(exporter)
    assert ups(paused) == {"academy": 0, "bridges": 1, "crowd": 1, "learning": 1, "learning-v1": 1}
    [pause] = series(paused, "engagement_api_paused_until_timestamp_seconds", target="academy").values()
    assert 3500 < pause - datetime.now(UTC).timestamp() <= 3600
    refused = series(paused, "engagement_api_requests_total", target="academy", code="429")
    assert 1 <= sum(refused.values()) <= 4


async def test_a_platform_that_recovers_is_up_again(exporter: Running, site: Demo) -> None:
    site.viktor.faults.set(status(403))
    failed = await until_state(exporter, "bridges", "apps", "forbidden")
    site.viktor.faults.clear()

    recovered = await until_state(exporter, "bridges", "apps", "ok")

    key = "engagement_collector_last_success_timestamp_seconds"
    [before], [after] = (series(one, key, target="bridges", collector="apps").values() for one in (failed, recovered))
    assert after > before


async def test_a_list_that_is_cut_off_is_never_counted(exporter: Running, site: Demo) -> None:
    accounts = series(await page(exporter), "learning360_users", target="learning")
    site.learning360.faults.set(truncated(), "/api/v2/users")

    failed = await until_state(exporter, "learning", "users", "invalid_response")

    assert accounts
    assert series(failed, "learning360_users", target="learning") == accounts


async def test_a_scrape_does_not_wait_for_a_platform_that_does_not_answer(exporter: Running, site: Demo) -> None:
    arrived = len(site.pybossa.requests)
    site.pybossa.faults.set(slow(3600))

    async def is_waiting() -> bool:
        return len(site.pybossa.requests) > arrived

    await until(is_waiting)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert ups(await page(exporter))["crowd"] == 1


async def test_platforms_are_only_read_and_no_credential_is_in_an_address(exporter: Running, site: Demo) -> None:
    requests = [*site.konstantly.requests, *site.viktor.requests, *site.pybossa.requests, *site.learning360.requests]

    assert {request.method for request in requests} == {"GET", "POST"}
    assert {request.path for request in requests if request.method == "POST"} == {"/api/v2/oauth2/token"}
    addresses = " ".join(f"{request.path}?{request.query}" for request in requests)
    assert [secret for secret in SECRETS if secret in addresses] == []


async def test_no_person_and_no_secret_is_on_a_page_or_in_the_log(
    exporter: Running, half_year_old: Organisation
) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        paths = ("/metrics", "/", "/api/status", "/config", "/sd")
        pages = [(await http.get(f"{exporter.url}{path}")).text for path in paths]
    exporter.process.send_signal(signal.SIGTERM)
    end = await ended(exporter.process)
    told = "\n".join([*pages, end.out, end.err])

    assert "event=run" in end.err
    assert [private for private in private_texts(half_year_old) if private in told] == []


def private_texts(organisation: Organisation) -> set[str]:
    """Names, mail addresses and secrets."""
    now = datetime.now(UTC)
    learners = organisation.academy.people(now)
    return {
        *SECRETS,
        *(person.mail for person in learners),
        *(f"{person.first_name} {person.last_name}" for person in learners),
        *(text for person in organisation.engineering.people(now) for text in (person.name, person.email)),
        *(user.fullname for user in organisation.crowd.users(now)),
    }
