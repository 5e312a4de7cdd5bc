"""The example of Alertmanager's configuration: who hears of what, what is held back, and how a message reads."""

import asyncio
import json
import re
import subprocess
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_string
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from prometheus.demo_stack import FOLDER, alertmanager_config
from prometheus.generate import filled_in, rules, sources
from tests.alerting import alertmanager, suppressed
from tests.command import PATIENCE_SECONDS, until

CONFIG = FOLDER / "alertmanager.yml"
ALERTS = {rule.alert: rule for source in sources().values() for rule in rules(filled_in(source)) if rule.alert}


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)


def alert(name: str, **labels: str) -> dict[str, Any]:
    """An alert as Prometheus sends it, with the severity and the annotations of the rules."""
    annotations = {"summary": ALERTS[name].annotations["summary"], "runbook_url": f"https://example.org/{name}.md"}
    return {
        "labels": {"alertname": name, "job": "engagement", "severity": ALERTS[name].labels["severity"], **labels},
        "annotations": {**annotations, "description": "What happened."},
        "startsAt": "2026-01-05T10:00:00Z",
    }


def test_amtool_has_no_complaints() -> None:
    checked = amtool("check-config", CONFIG)

    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr


@pytest.mark.parametrize(
    ("name", "target", "receiver"),
    [
        ("EngagementExporterDown", "", "on-call"),
        ("EngagementExporterAbsent", "", "on-call"),
        ("EngagementSchedulerStuck", "", "on-call"),
        ("EngagementReloadFailed", "", "operators"),
        ("EngagementTargetUnauthorized", "academy", "operators"),
        ("EngagementDataStale", "crowd", "operators"),
        ("EngagementDailyActiveUsersDrop", "academy", "teachers"),
        ("EngagementNoCompletions", "learning", "teachers"),
        ("EngagementBacklogNotShrinking", "crowd", "owners"),
        ("NodeDown", "academy", "operators"),
    ],
)
def test_an_alert_reaches_those_whom_it_concerns(name: str, target: str, receiver: str) -> None:
    severity = ALERTS[name].labels["severity"] if name in ALERTS else "info"
    labels = [f"alertname={name}", f"severity={severity}", f"target={target}"]

    tested = amtool("config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}", *labels)

    assert (tested.returncode, tested.stdout.strip()) == (0, receiver)


def test_alertmanager_remembers_for_as_long_as_it_should_repeat() -> None:
    """It forgets after five days unless told otherwise, and would repeat too soon; it says so when it starts."""
    assert set(re.findall(r"repeat_interval: (\w+)", CONFIG.read_text(encoding="utf-8"))) == {"1d", "2h", "4d"}


def test_inhibition_names_alerts_that_exist() -> None:
    inhibitions = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["inhibit_rules"]
    matchers = [matcher for rule in inhibitions for matcher in (*rule["source_matchers"], *rule["target_matchers"])]

    patterns = [re.fullmatch(r'alertname=~?"(.*)"', matcher) for matcher in matchers if "alertname" in matcher]
    assert len(patterns) == 2 * len(inhibitions)
    for pattern in patterns:
        assert pattern
        for alternative in alternatives(pattern[1]):
            assert any(re.fullmatch(alternative, name) for name in ALERTS), alternative


def alternatives(pattern: str) -> list[str]:
    """`A(b|c)` is `Ab` and `Ac`, `A|B` is `A` and `B`."""
    if group := re.search(r"\((.*)\)", pattern):
        return [pattern[: group.start()] + each + pattern[group.end() :] for each in group[1].split("|")]
    return pattern.split("|")


async def test_one_cause_is_told_once(tmp_path: Path) -> None:
    firing = [
        # the exporter is down: nothing else is said of it
        alert("EngagementExporterDown", instance="down"),
        alert("EngagementTargetUnauthorized", instance="down", target="academy"),
        alert("EngagementNoCompletions", instance="down", target="academy"),
        alert("EngagementReloadFailed", instance="down"),
        # a credential is refused: old numbers and their use are no news, a missing right of another is
        alert("EngagementTargetUnauthorized", instance="up", target="academy"),
        alert("EngagementDataStale", instance="up", target="academy"),
        alert("EngagementNoCompletions", instance="up", target="academy"),
        alert("EngagementCollectorForbidden", instance="up", target="academy"),
        alert("EngagementDataStale", instance="up", target="learning"),
        # users were deleted, so fewer are active
        alert("EngagementUserCountDrop", instance="up", target="crowd"),
        alert("EngagementDailyActiveUsersDrop", instance="up", target="crowd"),
        alert("EngagementBacklogNotShrinking", instance="up", target="crowd"),
        # a platform is gone
        alert("EngagementTargetUnavailable", instance="up", target="bridges"),
        alert("EngagementPlatformDataOld", instance="up", target="bridges"),
        # the scheduler is stuck
        alert("EngagementSchedulerStuck", instance="stuck"),
        alert("EngagementDataStale", instance="stuck", target="academy"),
    ]
    held_back = {
        "EngagementTargetUnauthorized down academy",
        "EngagementNoCompletions down academy",
        "EngagementReloadFailed down",
        "EngagementDataStale up academy",
        "EngagementNoCompletions up academy",
        "EngagementDailyActiveUsersDrop up crowd",
        "EngagementPlatformDataOld up bridges",
        "EngagementDataStale stuck academy",
    }
    async with alertmanager(tmp_path, alertmanager_config()) as address:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            (await http.post(f"http://{address}/api/v2/alerts", json=firing)).raise_for_status()

        async def are_held_back() -> bool:
            return await suppressed(address) >= held_back

        await until(are_held_back)
        assert await suppressed(address) == held_back


@asynccontextmanager
async def post_office() -> AsyncIterator[tuple[str, list[str]]]:
    """A mail server; yields its address and the mails that it got."""
    mails: list[str] = []

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            match line.split()[0].upper():
                case b"DATA":
                    writer.write(b"354 go on\r\n")
                    mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                    writer.write(b"250 taken\r\n")
                case b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                case _:
                    writer.write(b"250 fine\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}", mails


async def test_a_mail_says_what_happened_and_what_to_do(tmp_path: Path) -> None:
    shipped = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    [operators] = [receiver for receiver in shipped["receivers"] if receiver["name"] == "operators"]
    async with post_office() as (smarthost, mails):
        operators["email_configs"][0].update(smarthost=smarthost, require_tls=False)
        config = alertmanager_config({"operators": operators}, wait="1s")
        async with alertmanager(tmp_path, config) as address, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            refused = alert("EngagementTargetUnauthorized", instance="up", target="academy")
            await http.post(f"http://{address}/api/v2/alerts", json=[refused])

            async def has_arrived() -> bool:
                return bool(mails)

            await until(has_arrived)
    mail = message_from_string(mails[0])
    [text] = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_type() == "text/plain"]

    assert mail["Subject"] == "academy: A platform refuses the credential."
    assert isinstance(text, bytes)
    assert text.decode().split("\r\n") == [
        "What happened.",
        "Since 2026-01-05 10:00 UTC, warning",
        "What to do: https://example.org/EngagementTargetUnauthorized.md",
        "",
        "",
    ]


def rendered(template: str, data: dict[str, Any], folder: Path) -> str:
    file = folder / "data.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    text = f'{{{{ template "{template}" . }}}}'
    glob = FOLDER / "templates" / "*.tmpl"
    done = amtool("template", "render", f"--template.glob={glob}", f"--template.text={text}", f"--template.data={file}")
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n") + "\n"


def test_a_message_of_several_alerts_tells_each(tmp_path: Path) -> None:
    one = {"Status": "firing", "Labels": {"severity": "info"}, "StartsAt": "2026-01-05T10:00:00Z"}
    data = {
        "Status": "firing",
        "CommonLabels": {"target": "academy"},
        "CommonAnnotations": {},
        "Alerts": [
            {**one, "Annotations": {"description": "First.", "runbook_url": "https://example.org/1"}},
            {**one, "Annotations": {"description": "Second.", "runbook_url": "https://example.org/2"}},
        ],
    }

    assert rendered("engagement.title", data, tmp_path) == "academy: 2 alerts\n"
    assert rendered("engagement.text", data, tmp_path).split("\n") == [
        "First.", "Since 2026-01-05 10:00 UTC, info", "What to do: https://example.org/1", "",
        "Second.", "Since 2026-01-05 10:00 UTC, info", "What to do: https://example.org/2", "",
    ]  # fmt: skip


def test_a_message_says_when_it_is_over(tmp_path: Path) -> None:
    times = {"StartsAt": "2026-01-05T10:00:00Z", "EndsAt": "2026-01-05T11:30:00Z"}
    texts = {"description": "First.", "runbook_url": "https://example.org/1"}
    data = {
        "Status": "resolved",
        "CommonLabels": {},
        "CommonAnnotations": {"summary": "Prometheus cannot scrape the exporter."},
        "Alerts": [{"Status": "resolved", "Labels": {}, "Annotations": texts, **times}],
    }

    assert rendered("engagement.title", data, tmp_path) == "Resolved: Prometheus cannot scrape the exporter.\n"
    assert rendered("engagement.text", data, tmp_path).split("\n")[1] == "From 2026-01-05 10:00 to 2026-01-05 11:30 UTC"
