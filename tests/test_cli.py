"""The installed command as an operator meets it: output, exit codes, signals, and mistakes told without a traceback."""

import json
import re
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from prometheus_client import CONTENT_TYPE_LATEST

from exporter import __version__
from exporter.cli import main
from exporter.demo import pybossa
from exporter.demo.configuration import configuration
from exporter.demo.server import Demo
from tests.command import COMMAND, PATIENCE_SECONDS, ended, run, running, start, until_ready
from tests.page import families, series

CROWD = "targets: [{name: crowd, platform: pybossa, url: 'https://crowd.example.org'}]\n"


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """A configuration whose platform is out of reach."""
    return written(tmp_path / "crowd.yaml", CROWD.replace("https://crowd.example.org", "http://127.0.0.1:9"))


def written(file: Path, text: str) -> Path:
    """Write a configuration file."""
    file.write_text(text, encoding="utf-8")
    return file


def invoke(*arguments: str | Path) -> Result:
    """Run the command inside this process, for what ends at once."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_version() -> None:
    result = invoke("--version")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"engagement-exporter, version {__version__} (revision: unknown, python: 3.")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([name, "--help"] for name in main.commands)])
def test_help(arguments: list[str]) -> None:
    result = invoke(*arguments)

    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


async def test_the_package_is_the_command() -> None:
    as_module = await run("-m", "exporter", "--version", program=sys.executable)

    assert as_module == await run("--version")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--config.file", "nowhere.yaml"], 1, "nowhere.yaml:1:1: cannot be read: No such file or directory"),
        (["--config.file", "/"], 1, "/:1:1: cannot be read: Is a directory"),
        (["check", "--config.file", "nowhere.yaml"], 1, "name the file with --config.file"),
        (["poll", "--config.file", "nowhere.yaml", "--target", "crowd"], 1, "nowhere.yaml:1:1: cannot be read"),
        (["--config.fil", "x.yaml"], 2, "No such option '--config.fil'"),
        (["--log.level", "loud"], 2, "'loud' is not one of 'debug', 'info', 'warn', 'error'"),
        (["--log.format", "xml"], 2, "'xml' is not one of 'logfmt', 'json'"),
        (["--web.listen-address", "localhost"], 2, "write HOST:PORT or :PORT, such as 127.0.0.1:10360"),
        (["--web.listen-address", ":70000"], 2, "write HOST:PORT or :PORT"),
        (["--web.telemetry-path", "metrics"], 2, "write a path such as /metrics"),
        (["--web.telemetry-path", "/"], 2, "/ is the status page"),
        (["--web.telemetry-path", "/-/healthy"], 2, "/-/ is the exporter's own"),
        (["--web.telemetry-path", "/{x}"], 2, "write a path such as /metrics"),
        (["demo", "--web.telemetry-path", ""], 2, "write a path such as /metrics"),
        (["fly"], 2, "No such command 'fly'"),
        (["poll"], 2, "Missing option '--target'"),
        (["metrics", "--format", "xml"], 2, "'xml' is not one of 'table', 'markdown'"),
        (["healthcheck", "--url", "http://127.0.0.1:9"], 1, "no answer from http://127.0.0.1:9 (ConnectError)"),
        (
            ["healthcheck", "--url", "http://me:secret@127.0.0.1:9"],
            1,
            "no answer from http://127.0.0.1:9 (ConnectError)",
        ),
        (["healthcheck", "--url", "127.0.0.1"], 1, "no answer from 127.0.0.1 (UnsupportedProtocol)"),
    ],
)
def test_mistakes_are_told_on_stderr(arguments: list[str], code: int, message: str) -> None:
    result = invoke(*arguments)

    assert (result.exit_code, result.stdout) == (code, "")
    assert message in " ".join(result.stderr.split())
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "crowds"], "no target is named crowds; there are crowd"),
        (["--target", "crowd", "--collector", "stat"], "no collector is named stat; there are stats, globalstats"),
    ],
)
def test_unknown_names_are_told_with_the_known_ones(crowd: Path, arguments: list[str], message: str) -> None:
    result = invoke("poll", "--config.file", crowd, *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.split())


async def test_a_mistake_in_the_file_is_all_that_the_process_says(tmp_path: Path) -> None:
    file = written(tmp_path / "config.yaml", CROWD.replace("url:", "uri:"))

    for arguments in ((), ("run",), ("check",), ("poll", "--target", "crowd")):
        result = await run(*arguments, "--config.file", file)

        assert (result.code, result.out) == (1, "")
        assert result.err.splitlines() == [
            f"{file}:1:11: targets[0].url: is missing; add it",
            f"{file}:1:44: targets[0].uri: unknown key; did you mean url?",
        ]


@pytest.mark.parametrize("command", ["run", "demo"])
async def test_a_port_in_use(crowd: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = ("--config.file", crowd) if command == "run" else ()
        result = await run(command, *config, "--web.listen-address", address)

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"cannot listen on {address}: Address already in use")
    assert result.err.endswith("; choose another --web.listen-address\n")
    assert result.err.count("\n") == 1


def test_check_counts_targets_and_collectors(crowd: Path) -> None:
    result = invoke("check", "--config.file", crowd)

    assert (result.exit_code, result.stdout) == (0, f"{crowd}: ok, 1 targets with 2 collectors\n")


def test_check_plan(crowd: Path) -> None:
    within = invoke("check", "--plan", "--config.file", crowd)
    crowd.write_text(crowd.read_text().replace("}", ", requests_per_second: 0.001}"))
    over = invoke("check", "--plan", "--config.file", crowd)

    assert (within.exit_code, over.exit_code) == (0, 1)
    assert "16 an hour, 0% of the 7200 that requests_per_second allows: ok\n" in within.stdout
    assert within.stdout.endswith("  120 series, max_series is 20000: ok\n")
    assert "OVER BUDGET" in over.stdout


async def test_check_probe_of_good_credentials(site_config: Path) -> None:
    result = await run("check", "--probe", "--config.file", site_config)

    assert (result.code, result.err) == (0, "")
    assert "academy: statistics: ok\n" in result.out
    assert "learning-v1: credential: v2: an administrator makes" in result.out


async def test_check_probe_of_a_missing_right_and_one_in_excess(site: Demo, site_config: Path) -> None:
    text = configuration(site).replace(pybossa.ADMIN_KEY, pybossa.MEMBER_KEY).replace("skills: on", "skills: off")

    result = await run("check", "--probe", "--config.file", written(site_config, text))

    assert (result.code, result.err) == (3, "")
    assert "crowd: queues: FAILED: unauthorized: GET /admin/rq/queues.json answered 401; give the API key" in result.out
    assert (
        "learning: skills:read: right in excess: only collectors that are off need it, such as skills\n" in result.out
    )


async def test_poll_as_text_and_openmetrics(site_config: Path) -> None:
    arguments = ("poll", "--config.file", site_config, "--target", "academy", "--collector", "statistics")
    text = await run(*arguments)
    openmetrics = await run(*arguments, "--format", "openmetrics")

    assert (text.code, text.err, openmetrics.code, openmetrics.err) == (0, "", 0, "")
    assert openmetrics.out.endswith("# EOF\n")
    assert series(text.out) == series(openmetrics.out)
    assert ("konstantly_users", (("target", "academy"),)) in series(text.out)


async def test_poll_as_json(site_config: Path) -> None:
    result = await run(
        "poll", "--config.file", site_config, "--target", "crowd", "--collector", "queues", "--format", "json"
    )

    rows = json.loads(result.out)
    assert result.code == 0
    assert {row["name"] for row in rows} == {"pybossa_queue_jobs"}
    assert all(row["labels"].keys() == {"target", "queue"} and row["value"] >= 0 for row in rows)


async def test_a_series_that_several_collectors_know_is_one_row(site_config: Path) -> None:
    result = await run("poll", "--config.file", site_config, "--target", "bridges", "--format", "json")

    rows = [(row["name"], tuple(row["labels"].items())) for row in json.loads(result.out)]
    starts = [row for row in rows if row[0] == "viktor_window_start_timestamp_seconds"]
    assert len(set(rows)) == len(rows)
    assert len(starts) == 6


async def test_poll_runs_all_collectors_that_are_enabled(site_config: Path) -> None:
    result = await run("poll", "--config.file", site_config, "--target", "bridges")

    names = {family.name for family in families(result.out)}
    assert {"viktor_users", "viktor_developers", "viktor_workspaces", "viktor_apps", "viktor_audit_events"} <= names


async def test_poll_prints_what_it_got_when_one_collector_fails(site: Demo, site_config: Path) -> None:
    config = written(site_config, configuration(site).replace(pybossa.ADMIN_KEY, pybossa.MEMBER_KEY))

    result = await run("poll", "--config.file", config, "--target", "crowd")

    assert result.code == 3
    assert re.fullmatch(r"crowd: queues: unauthorized: GET /admin/rq/queues.json .+\n", result.err)
    assert ("pybossa_tasks", (("target", "crowd"),)) in series(result.out)


async def test_poll_names_the_families_that_max_series_leaves_out(site: Demo, site_config: Path) -> None:
    text = configuration(site).replace("platform: pybossa", "platform: pybossa\n    max_series: 5")
    config = written(site_config, text)

    result = await run("poll", "--config.file", config, "--target", "crowd", "--collector", "stats")

    assert result.code == 0
    assert result.err.startswith("crowd: stats: over max_series (5), /metrics would be without pybossa_task")
    assert ("pybossa_tasks", (("target", "crowd"),)) in series(result.out)  # what the platform said is printed whole


async def test_poll_of_a_platform_out_of_reach(crowd: Path) -> None:
    result = await run("poll", "--config.file", crowd, "--target", "crowd", "--collector", "stats")

    assert (result.code, result.out) == (3, "")
    assert result.err.startswith("crowd: stats: unreachable: GET /stats/: no reply (ConnectError: ")


@pytest.mark.parametrize(
    ("form", "line"),
    [("table", "  pybossa_tasks  "), ("markdown", "| `pybossa_tasks` | gauge | `target` |")],
)
def test_metrics(form: str, line: str) -> None:
    result = invoke("metrics", "--format", form)

    assert result.exit_code == 0
    assert line in result.stdout


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_at_once_with_code_0_although_a_scraper_keeps_its_connection(
    crowd: Path, stop: signal.Signals
) -> None:
    async with running("--config.file", crowd) as exporter, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        assert (await http.get(f"{exporter.url}/metrics")).status_code == 200
        exporter.process.send_signal(stop)
        end = await ended(exporter.process)  # which is less patient than a connection that is kept

    assert (end.code, end.out) == (0, "")
    assert "event=stopped" in end.err
    assert "Traceback" not in end.err


async def test_it_runs_without_naming_a_command_and_serves_its_page(site_config: Path) -> None:
    async with running("--config.file", site_config, "--web.telemetry-path", "/numbers") as exporter:
        await until_ready(exporter.url)
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            page = await http.get(f"{exporter.url}/numbers")
            status = await http.get(exporter.url)
        health = await run("healthcheck", "--url", f"{exporter.url}/-/healthy")

    assert page.headers["content-type"] == CONTENT_TYPE_LATEST.replace("1.0.0", "0.0.4")
    assert set(series(page.text, "engagement_up").values()) == {1.0}
    assert status.text.count("Up to date") == len(series(page.text, "engagement_collector_up"))
    assert (health.code, health.out, health.err) == (0, "healthy\n", "")


async def test_several_addresses_each_told_in_the_log(crowd: Path) -> None:
    addresses = ("--web.listen-address", "127.0.0.1:0", "--web.listen-address", "127.0.0.2:0")
    process = await start(COMMAND, "--config.file", crowd, "--storage.path=", "--log.format", "json", *addresses)
    assert process.stderr is not None
    told = [json.loads(await process.stderr.readline()) for _ in range(2)]
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        answers = [await http.get(f"http://{one['host']}:{one['port']}/-/healthy") for one in told]
    process.send_signal(signal.SIGTERM)
    end = await ended(process)

    assert [(one["event"], one["host"]) for one in told] == [("listening", "127.0.0.1"), ("listening", "127.0.0.2")]
    assert [answer.text for answer in answers] == ["healthy\n"] * 2
    assert json.loads(end.err.splitlines()[-1])["event"] == "stopped"


async def test_demo_prints_its_addresses_serves_and_stops_on_ctrl_c() -> None:
    async with running("demo") as exporter:
        await until_ready(exporter.url)
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            page = (await http.get(f"{exporter.url}/metrics")).text
        exporter.process.send_signal(signal.SIGINT)
        end = await ended(exporter.process)

    assert end.code == 0
    assert f"metrics      {exporter.url}/metrics\n" in end.out
    assert re.search(r"^learning-v1  http://127\.0\.0\.1:\d+  \(simulated learning360\)$", end.out, re.MULTILINE)
    assert end.out.endswith("stop with Ctrl-C\n")
    assert "Traceback" not in end.err
    assert len(series(page, "engagement_up")) == 5
    assert set(series(page, "engagement_collector_up").values()) == {1.0}
