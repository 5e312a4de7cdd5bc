"""The installed command with the `--web.*` flags: what it refuses, and a protected exporter as its users meet it."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import httpx
import pytest
import trustme
from click.testing import CliRunner, Result

from exporter.cli import main
from tests.command import COMMAND, PATIENCE_SECONDS, ended, run, running
from tests.web.certificates import TLS, hashed, trusting, write_certificate, write_web_config

CONFIG = "targets: [{name: crowd, platform: pybossa, url: 'http://127.0.0.1:9'}]\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose platform is out of reach."""
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    return file


def invoke(*arguments: str | Path) -> Result:
    """Run the command inside this process, for what ends at once."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--web.route-prefix", "engagement"], 2, "write a path such as /engagement, or / for none"),
        (["--web.external-url", "example.org"], 2, "write a URL such as https://monitoring.example.org/engagement"),
        (["--web.systemd-socket", "--storage.path="], 1, "--web.systemd-socket: systemd passed no socket"),
        (["--web.config.file", "gone.yml", "--storage.path="], 1, "gone.yml:1:1: cannot be read: No such file"),
        (["check", "--web.config.file", "gone.yml"], 1, "name the file with --web.config.file"),
        (["healthcheck", "--password-file", "gone"], 2, "'gone' does not exist"),
    ],
)
def test_mistakes_are_told_on_stderr(config: Path, arguments: list[str], code: int, message: str) -> None:
    options = [] if "healthcheck" in arguments else ["--config.file", str(config)]
    result = invoke(*arguments, *options)

    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
    assert isinstance(result.exception, SystemExit)


def test_check_reads_the_web_configuration_too(config: Path, tmp_path: Path) -> None:
    good = write_web_config(tmp_path, f"basic_auth_users: {{alice: '{hashed('s3cret')}'}}\n")
    result = invoke("check", "--config.file", config, "--web.config.file", good)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, f"{good}: ok")

    bad = write_web_config(tmp_path, "basic_auth_users: {alice: hunter2}\n")
    result = invoke("check", "--config.file", config, "--web.config.file", bad)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{bad}:1:20: basic_auth_users.alice: must be a bcrypt hash")
    assert "hunter2" not in result.output


async def test_a_protected_exporter_below_a_path(config: Path, tmp_path: Path) -> None:
    """TLS, users and a path at once; the health check gets through, and the links of the page work."""
    links = ("metrics", "api/status", "config", "sd", "-/healthy", "-/ready")
    ca = trustme.CA()
    write_certificate(tmp_path, ca)
    web = write_web_config(tmp_path, TLS + f"basic_auth_users: {{alice: '{hashed('s3cret')}'}}\n")
    (tmp_path / "password").write_text("s3cret\n")
    flags = ["--web.config.file", web, "--web.external-url", "https://example.org/engagement"]
    async with running("--config.file", config, "--storage.path=", *flags) as exporter:
        url = f"{exporter.url.replace('http:', 'https:')}/engagement"
        health = ["healthcheck", "--url", f"{url}/-/healthy"]
        refused = await run(*health)
        answered = await run(*health, "--username", "alice", "--password-file", tmp_path / "password")
        async with httpx.AsyncClient(verify=trusting(ca), auth=("alice", "s3cret"), timeout=PATIENCE_SECONDS) as http:
            page = await http.get(f"{url}/")
            linked = [await http.get(page.url.join(link)) for link in links]

    assert (refused.code, refused.out) == (1, "Unauthorized\n")
    assert (answered.code, answered.out) == (0, "healthy\n")
    assert [f'href="{link}"' in page.text for link in links] == [True] * len(links)
    assert [response.status_code != 404 for response in linked] == [True] * len(links)


async def test_the_route_prefix_wins_over_the_external_url(config: Path) -> None:
    flags = ["--web.external-url", "https://example.org/engagement", "--web.route-prefix", "/"]
    async with (
        running("--config.file", config, "--storage.path=", *flags) as exporter,
        httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http,
    ):
        assert (await http.get(f"{exporter.url}/metrics")).status_code == 200
        [group] = (await http.get(f"{exporter.url}/sd")).json()

    assert group["targets"] == ["example.org:443"]
    assert group["labels"]["__metrics_path__"] == "/engagement/metrics"


async def test_a_socket_of_systemd_is_served(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        as_systemd = (
            f"import os; os.dup2({listening.fileno()}, 3, inheritable=True);"
            f"os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
            f"os.execl({str(COMMAND)!r}, 'engagement-exporter', '--web.systemd-socket', '--storage.path=',"
            f" '--config.file', {str(config)!r})"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", as_systemd, pass_fds=[listening.fileno()], stdout=PIPE, stderr=PIPE, env=os.environ
        )
        try:
            async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
                assert (await http.get(f"http://127.0.0.1:{port}/metrics")).status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
            stopped = await ended(process)
    assert stopped.code == 0
