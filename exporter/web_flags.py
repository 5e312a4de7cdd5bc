"""The `--web.*` flags, named as in Prometheus's components: where the endpoints are, and who may read them."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from exporter.web.listen import parse_address
from exporter.web.route_prefix import external_path, parse_prefix

TELEMETRY_PATH = re.compile(r"(?!/-/)(/[A-Za-z0-9._~-]+)+")

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def _checked(parse: Callable[[str], T], value: str) -> T:
    try:
        return parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _addresses(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> list[tuple[str, int]]:
    return [_checked(parse_address, value) for value in values]


def _path(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if not TELEMETRY_PATH.fullmatch(value):
        raise click.BadParameter("write a path such as /metrics; / is the status page, and /-/ is the exporter's own")
    return value


def _external_url(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if value:
        _checked(external_path, value)
    return value


def _prefix(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return _checked(parse_prefix, value) if value is not None else None


def listen_options(default: str) -> Callable[[F], F]:
    """Add --web.listen-address (`addresses`) and --web.telemetry-path."""

    def add(command: F) -> F:
        address = click.option(
            "--web.listen-address",
            "addresses",
            multiple=True,
            default=[default],
            show_default=True,
            callback=_addresses,
            help="Address to listen on; repeat it for several.",
        )
        path = click.option(
            "--web.telemetry-path",
            "telemetry_path",
            default="/metrics",
            show_default=True,
            callback=_path,
            help="Path of the metrics.",
        )
        return address(path(command))

    return add


def web_config_option(command: F) -> F:
    """Add --web.config.file."""
    return click.option(
        "--web.config.file",
        "web_config_file",
        type=click.Path(path_type=Path),
        help="File that says who may read the endpoints: TLS, client certificates, users, headers.",
    )(command)


def systemd_option(command: F) -> F:
    """Add --web.systemd-socket."""
    return click.option(
        "--web.systemd-socket",
        "systemd_socket",
        is_flag=True,
        help="Listen on the sockets that systemd passes instead of --web.listen-address.",
    )(command)


def prefix_options(command: F) -> F:
    """Add --web.external-url (empty for none) and --web.route-prefix (None if it is not given)."""
    url = click.option(
        "--web.external-url",
        "external_url",
        default="",
        callback=_external_url,
        help="URL under which a reverse proxy serves the exporter; its path is the default of --web.route-prefix.",
    )
    prefix = click.option(
        "--web.route-prefix",
        "route_prefix",
        callback=_prefix,
        help="Path below which all endpoints are; / if the proxy strips the path of --web.external-url.",
    )
    return url(prefix(command))
