"""The command line: flags, commands, and how errors reach the person who typed them."""

import json
import os
import platform as python_platform
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import click
import httpx
from prometheus_client import CollectorRegistry

from exporter import __version__, app, collection, event_loop, jobs, logs, platform, process, reference
from exporter.backfill.run import Job
from exporter.backfill.units import units
from exporter.backfill_command import Login, backfill_history, backfill_options
from exporter.config import Config, Target, load, parse
from exporter.demo import program
from exporter.demo.program import DemoError
from exporter.errors import BackfillError, ChoiceError, CollectError, ConfigError, State, StorageInUseError
from exporter.exposition import Format, samples_page
from exporter.metrics import TARGET_LABEL, Sample
from exporter.plan import lines, plan
from exporter.probe import probe
from exporter.self_metrics import ApiMetrics
from exporter.settings import is_loopback
from exporter.snapshot import Key, Snapshot
from exporter.storage import Storage
from exporter.web.access import Access
from exporter.web.listen import activated, listen
from exporter.web.route_prefix import external_path
from exporter.web_flags import listen_options, prefix_options, systemd_option, web_config_option
from exporter.yaml_document import read

EXIT_CONFIGURATION = 1
EXIT_PLATFORM = 3
"""A platform did not answer as it should; 2 is click's own for wrong usage."""

F = TypeVar("F", bound=Callable[..., Any])


class RunByDefault(click.Group):
    """A group that runs the command `run` when none is named, as components of Prometheus do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")):
            args.insert(0, "run")
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command. What the environment refuses, such as a full disk behind a pipe, is one line and code 1."""
        try:
            with event_loop.ended_by_sigterm():
                return super().main(*args, **kwargs)
        except OSError as error:
            _drop_output()
            where = f" ({error.filename})" if error.filename else ""
            click.echo(f"the system refuses what this command needs: {error.strerror or error}{where}", err=True)
            sys.exit(EXIT_CONFIGURATION)


def _drop_output() -> None:
    """Let what waits for standard output go, or Python would fail once more when it ends."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or not a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def config_option(command: F) -> F:
    """Add --config.file."""
    return click.option(
        "--config.file",
        "config_file",
        type=click.Path(path_type=Path),
        default="config.yaml",
        show_default=True,
        help="The configuration file.",
    )(command)


def log_options(command: F) -> F:
    """Add --log.level and --log.format."""
    level = click.option("--log.level", "log_level", type=click.Choice(logs.LEVELS), default="info", show_default=True)
    form = click.option(
        "--log.format", "log_format", type=click.Choice(logs.FORMATS), default="logfmt", show_default=True
    )
    return level(form(command))


VERSION = (
    f"%(prog)s, version %(version)s (revision: {os.environ.get('ENGAGEMENT_EXPORTER_REVISION') or 'unknown'}, "
    f"python: {python_platform.python_version()})"
)


@click.group(cls=RunByDefault, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="engagement-exporter", message=VERSION)
def main() -> None:
    """Prometheus exporter for the statistics of learning and participation platforms.

    Without a command it runs: it polls the configured platforms and serves their numbers on /metrics.
    """


@main.command()
@config_option
@click.option(
    "--storage.path",
    "storage_path",
    default="./data",
    show_default=True,
    help="Folder that keeps the latest results over a restart; empty for none.",
)
@listen_options(":10360")
@systemd_option
@prefix_options
@web_config_option
@log_options
def run(
    config_file: Path,
    storage_path: str,
    addresses: list[tuple[str, int]],
    telemetry_path: str,
    systemd_socket: bool,
    external_url: str,
    route_prefix: str | None,
    web_config_file: Path | None,
    log_level: str,
    log_format: str,
) -> None:
    """Poll the configured platforms and serve their metrics (the default command)."""
    logs.configure(log_level, log_format)

    def load_config() -> Config:
        return load(config_file, platform.installed())

    storage = Storage(Path(storage_path)) if storage_path else None
    with closing(storage) if storage else nullcontext():
        with process.without_garbage_collection():
            config = _load(config_file)
            guard = _access(web_config_file)
            sockets = _activated() if systemd_socket else _listen(addresses)
            try:  # last, since it opens the storage
                exporter = app.Exporter(config, storage=storage, load_config=load_config)
            except StorageInUseError as error:
                click.echo(f"--storage.path: {error}", err=True)
                sys.exit(EXIT_CONFIGURATION)
            process.allow_many_sockets()
        if route_prefix is None:
            route_prefix = external_path(external_url) if external_url else ""
        event_loop.run(process.serve(exporter, sockets, telemetry_path, route_prefix, guard, external_url))


@main.command()
@config_option
@web_config_option
@click.option("--probe", "with_probe", is_flag=True, help="Call every target once: rights missing, rights in excess.")
@click.option(
    "--plan",
    "with_plan",
    is_flag=True,
    help="Print requests against budget and limit, and series.",
)
def check(config_file: Path, web_config_file: Path | None, with_probe: bool, with_plan: bool) -> None:
    """Check the configuration files; exit code 1 if it is wrong or over budget, 3 if a probe failed."""
    logs.configure("error", "logfmt")
    config = _load(config_file)
    count = sum(len(list(jobs.enabled_collectors(target))) for target in config.targets)
    click.echo(f"{config_file}: ok, {len(config.targets)} targets with {count} collectors")
    if web_config_file:
        _access(web_config_file)
        click.echo(f"{web_config_file}: ok")
    code = 0
    if with_plan and not _print_plan(config):
        code = EXIT_CONFIGURATION
    if with_probe and not event_loop.run(_print_probe(config)):
        code = EXIT_PLATFORM
    sys.exit(code)


def _print_plan(config: Config) -> bool:
    plans = plan(config)
    for target_plan in plans:
        click.echo("\n".join(lines(target_plan)))
    return not any(target_plan.is_over for target_plan in plans)


async def _print_probe(config: Config) -> bool:
    clients = jobs.make_clients(config.targets, ApiMetrics(CollectorRegistry()))
    good = True
    for target in config.targets:
        async for finding in probe(target, clients[target.settings.name]):
            click.echo(str(finding))
            good = good and not finding.is_failure
    return good


@main.command()
@config_option
@click.option("--target", "target_name", required=True, help="Name of the target.")
@click.option("--collector", "collector_name", help="Name of the collector; without it, all that are enabled.")
@click.option("--format", "form", type=click.Choice(["text", "openmetrics", "json"]), default="text", show_default=True)
def poll(config_file: Path, target_name: str, collector_name: str | None, form: str) -> None:
    """Run a target's collectors once and print the samples; exit code 3 if a run failed."""
    logs.configure("error", "logfmt")
    config = _load(config_file)
    target = next((target for target in config.targets if target.settings.name == target_name), None)
    if target is None:
        names = ", ".join(target.settings.name for target in config.targets)
        raise click.BadParameter(f"no target is named {target_name}; there are {names}", param_hint="--target")
    collectors = target.platform.collectors if collector_name else list(jobs.enabled_collectors(target))
    chosen = [collector for collector in collectors if collector_name in (None, collector.name)]
    if not chosen:
        names = ", ".join(collector.name for collector in collectors)
        raise click.BadParameter(f"no collector is named {collector_name}; there are {names}", param_hint="--collector")
    results = event_loop.run(_run_once(target, chosen))
    for collector, result in zip(chosen, results, strict=True):
        if result.state is not State.OK:
            click.echo(f"{target_name}: {collector.name}: {result.state}: {result.error}; {result.remedy}", err=True)
            click.echo(result.traceback, err=True, nl=False)
        for values in result.unreadable:
            click.echo(f"{target_name}: {collector.name}: {values.count} values could not be read: {values}", err=True)
    for entry in _published(target, chosen, results):
        if entry.published and entry.published.left_out:
            names = ", ".join(family.name for family in entry.published.left_out)
            text = f"over max_series ({entry.max_series}), /metrics would be without {names}"
            click.echo(f"{target_name}: {entry.key.collector}: {text}", err=True)
    samples = [sample for result in results for sample in result.samples]
    click.echo(_printed(target_name, samples, form), nl=False)
    sys.exit(0 if all(result.state is State.OK for result in results) else EXIT_PLATFORM)


async def _run_once(target: Target, collectors: Sequence[platform.Collector[Any]]) -> list[collection.Result]:
    clients = jobs.make_clients([target], ApiMetrics(CollectorRegistry()))
    client = clients[target.settings.name]
    return [await collection.run(client, collector, target.settings) for collector in collectors]


def _published(
    target: Target, collectors: Sequence[platform.Collector[Any]], results: Sequence[collection.Result]
) -> Snapshot:
    """Return what a page would have of the results."""
    settings = target.settings
    snapshot = Snapshot(jobs.new_entry(settings, collector) for collector in collectors)
    for collector, result in zip(collectors, results, strict=True):
        snapshot.publish(Key(settings.name, collector.name), result)
    return snapshot


def _printed(target_name: str, samples: list[Sample], form: str) -> str:
    if form != "json":
        return samples_page(target_name, samples, Format[form.upper()]).decode()
    rows = [
        {
            "name": sample.family.name,
            "labels": {TARGET_LABEL: target_name, **dict(zip(sample.family.labels, sample.labels, strict=True))},
            "value": sample.value,
        }
        for sample in dict.fromkeys(samples)  # several collectors may know the same
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


@main.command()
@config_option
@backfill_options
def backfill(
    config_file: Path,
    targets: tuple[str, ...],
    collectors: tuple[str, ...],
    start: int,
    end: int | None,
    step_seconds: int,
    output: Path | None,
    remote_write: str | None,
    gaps: str | None,
    username: str | None,
    password_file: Path | None,
    token_file: Path | None,
    labels: dict[str, str],
) -> None:
    """Write the past of the platforms for promtool, under the series that a scrape has; see docs/backfill.md.

    Interrupted, it goes on where it was when it is given the same flags again; exit code 3 if a platform failed.
    """
    logs.configure("error", "logfmt")
    config = _load(config_file)
    clients = jobs.make_clients(config.targets, ApiMetrics(CollectorRegistry()))
    try:
        job = Job(units(config, targets, collectors), labels, output, clients, time.time)
        login = Login(username, password_file, token_file)
        event_loop.run(backfill_history(job, start, end, step_seconds, remote_write, gaps, login))
    except ChoiceError as error:
        raise click.UsageError(str(error)) from None
    except CollectError as error:
        click.echo(f"{error}; {error.remedy}; the same command goes on from here", err=True)
        sys.exit(EXIT_PLATFORM)
    except BackfillError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_CONFIGURATION)


@main.command()
@click.option("--format", "form", type=click.Choice(["table", "markdown"]), default="table", show_default=True)
def metrics(form: str) -> None:
    """Print the catalogue of all metrics."""
    platforms = platform.installed().values()
    if form == "markdown":
        click.echo(reference.metrics_markdown(platforms), nl=False)
    else:
        click.echo("\n".join(reference.metrics_table(platforms)))


@main.command()
@listen_options("127.0.0.1:10360")
@log_options
def demo(addresses: list[tuple[str, int]], telemetry_path: str, log_level: str, log_format: str) -> None:
    """Run with a simulated organisation instead of real platforms; needs no credentials. Stop it with Ctrl-C."""
    logs.configure(log_level, log_format)
    sockets = _listen(addresses)
    try:
        event_loop.run(_demo(sockets, telemetry_path))
    except DemoError as error:
        click.echo(f"{error}; what it said stands above", err=True)
        sys.exit(EXIT_PLATFORM)


async def _demo(sockets: list[socket.socket], telemetry_path: str) -> None:
    async with program.start() as platforms:
        config = parse(read(platforms.configuration, "demo", {}), Path(), platform.installed())
        for line in _demo_lines(sockets, telemetry_path, config):
            click.echo(line)
        await platforms.outlast(process.serve(app.Exporter(config), sockets, telemetry_path))


def _demo_lines(sockets: list[socket.socket], telemetry_path: str, config: Config) -> Iterator[str]:
    host, port = sockets[0].getsockname()[:2]
    yield f"status page  http://{host}:{port}/"
    yield f"metrics      http://{host}:{port}{telemetry_path}"
    for target in config.targets:
        yield f"{target.settings.name:<12} {target.settings.url}  (simulated {target.platform.name})"
    yield "stop with Ctrl-C"


@main.command()
@click.option("--url", default="http://127.0.0.1:10360/-/healthy", show_default=True, help="Address of /-/healthy.")
@click.option("--username", default="", help="User name, if the exporter asks for one.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File that holds the password.",
)
def healthcheck(url: str, username: str, password_file: Path | None) -> None:
    """Ask a running exporter whether it is healthy; exit code 0 if it is. Made for a container's HEALTHCHECK.

    The certificate of an exporter on this machine is not verified: it is made for another name.
    """
    try:
        login = (username, password_file.read_bytes().strip()) if password_file else None
        response = event_loop.run(_ask(url, login))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        address = re.sub("//[^/]*@", "//", url)  # without a login that somebody put there
        raise click.ClickException(f"no answer from {address} ({type(error).__name__})") from None
    click.echo(response.text, nl=False)
    sys.exit(0 if response.status_code == 200 else 1)


async def _ask(url: str, login: tuple[str, bytes] | None) -> httpx.Response:
    here = is_loopback(httpx.URL(url).host)
    async with httpx.AsyncClient(timeout=5.0, trust_env=False, verify=not here, auth=login) as http:
        return await http.get(url)


def _load(config_file: Path) -> Config:
    try:
        return load(config_file, platform.installed())
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_CONFIGURATION)


def _access(web_config_file: Path | None) -> Access | None:
    try:
        return Access(web_config_file) if web_config_file else None
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_CONFIGURATION)


def _activated() -> list[socket.socket]:
    try:
        return activated(os.environ, os.getpid())
    except ValueError as error:
        click.echo(f"--web.systemd-socket: {error}", err=True)
        sys.exit(EXIT_CONFIGURATION)


def _listen(addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    sockets = []
    for host, port in addresses:
        try:
            sockets.append(listen(host, port))
        except OSError as error:
            click.echo(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another --web.listen-address", err=True
            )
            sys.exit(EXIT_CONFIGURATION)
    return sockets
