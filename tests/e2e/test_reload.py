"""The installed exporter told to read its configuration again, by signal and over HTTP."""

import re
import signal
from pathlib import Path
from typing import Any

import httpx

from exporter.demo import konstantly
from exporter.demo.server import Demo
from tests.command import PATIENCE_SECONDS, Running, ended, running, until, until_ready
from tests.page import series

APPLIED = "engagement_config_last_reload_successful"


async def page(exporter: Running) -> str:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        return (await http.get(f"{exporter.url}/metrics")).text


async def reload(exporter: Running, method: str = "POST", **params: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        return await http.request(method, f"{exporter.url}/-/reload", params=params)


def edit(file: Path, pattern: str, replacement: str) -> str:
    """Change one place of the file; returns what it was before."""
    before = file.read_text(encoding="utf-8")
    after, count = re.subn(pattern, replacement, before, flags=re.MULTILINE | re.DOTALL)
    assert count == 1
    file.write_text(after, encoding="utf-8")
    return before


def write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def rest(file: Path) -> None:
    """Let no collector be due twice in a day."""
    text = re.sub(r"interval: \d+s", "interval: 1d", file.read_text(encoding="utf-8"))
    file.write_text(text.replace("defaults: {", "defaults: {max_age: 7d, "), encoding="utf-8")


def times(text: str, *targets: str) -> list[float]:
    """Return when the collectors of these targets last succeeded, in the order of the page."""
    name = "engagement_collector_last_success_timestamp_seconds"
    return [moment for target in targets for moment in series(text, name, target=target).values()]


async def test_only_what_changed_is_asked_again(site: Demo, site_config: Path) -> None:
    rest(site_config)
    async with running("--config.file", site_config) as exporter:
        await until_ready(exporter.url)
        platforms = (site.viktor, site.pybossa, site.learning360)
        asked = [len(platform.requests) for platform in platforms]
        before = times(await page(exporter), "bridges", "learning", "learning-v1")
        site.konstantly.requests.clear()
        edit(site_config, r"(name: academy.*?requests_per_second): 50", r"\1: 60")
        edit(site_config, r"  - name: crowd.*(?=  - name: learning\n)", "")

        tried = await reload(exporter, dry_run="1")
        assert "pybossa_users" in await page(exporter)
        applied = await reload(exporter)

        changes: dict[str, Any] = {
            "added": [],
            "changed": {"academy": ["requests_per_second"]},
            "removed": ["crowd"],
            "unchanged": 3,
        }
        assert (tried.status_code, tried.json()) == (200, {"applied": False, **changes})
        assert (applied.status_code, applied.json()) == (200, {"applied": True, **changes})

        async def academy_ran_again() -> bool:
            runs = series(await page(exporter), "engagement_collector_runs_total", target="academy")
            return set(runs.values()) == {2.0}

        await until(academy_ran_again)
        assert len(site.konstantly.requests) > 0
        assert [len(platform.requests) for platform in platforms] == asked
        text = await page(exporter)
        assert 'target="crowd"' not in text
        assert times(text, "bridges", "learning", "learning-v1") == before


async def test_a_wrong_file_is_refused_with_its_place_and_the_old_one_stays(site_config: Path) -> None:
    async with running("--config.file", site_config) as exporter:
        await until_ready(exporter.url)
        good = edit(site_config, f"api_key: {re.escape(konstantly.API_KEY)}", f"api_kee: {konstantly.API_KEY}")

        for dry_run in ("1", "0"):
            refused = await reload(exporter, dry_run=dry_run)
            assert refused.status_code == 500
            assert re.match(rf"{re.escape(str(site_config))}:\d+:\d+: targets\[0\]\.api_kee", refused.text)
            assert "did you mean api_key" in refused.text
            assert konstantly.API_KEY not in refused.text
        text = await page(exporter)
        assert list(series(text, APPLIED).values()) == [0]
        assert "konstantly_users" in text

        write(site_config, good)
        assert (await reload(exporter, "PUT")).status_code == 200
        assert list(series(await page(exporter), APPLIED).values()) == [1]


async def test_only_post_and_put_reload(site_config: Path) -> None:
    async with running("--config.file", site_config) as exporter:
        refused = await reload(exporter, "GET")
        unclear = await reload(exporter, dry_run="maybe")

    assert (refused.status_code, set(refused.headers["Allow"].split(", "))) == (405, {"POST", "PUT"})
    assert unclear.status_code == 400


async def test_the_signal_reloads_and_tells_in_the_log(site_config: Path) -> None:
    async with running("--config.file", site_config) as exporter:
        await until_ready(exporter.url)
        good = edit(site_config, "name: academy", "name: campus")
        exporter.process.send_signal(signal.SIGHUP)

        async def is_there() -> bool:
            return bool(series(await page(exporter), "konstantly_users", target="campus"))

        await until(is_there)
        write(site_config, "targets: []\n")
        exporter.process.send_signal(signal.SIGHUP)

        async def is_refused() -> bool:
            return list(series(await page(exporter), APPLIED).values()) == [0]

        await until(is_refused)
        write(site_config, good)
        exporter.process.terminate()
        end = await ended(exporter.process)

    assert end.code == 0
    assert re.search(r'event="configuration applied" added=1 changed=0 removed=1 unchanged=4', end.err)
    assert 'event="configuration not applied, the old one stays in force"' in end.err
    assert "targets: must be a list of at least one target" in end.err
