"""`/sd`: the targets as Prometheus's http_sd_config reads them, each to be scraped on its own with `?target=`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from exporter.config import Config
from exporter.snapshot import Entry

HOST = re.compile(r"(\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?")
DEFAULT_PORTS = {"http": 80, "https": 443}

TargetGroup = dict[str, list[str] | dict[str, str]]


def asked_url(scheme: str, host: str, prefix: str) -> str:
    """Return the URL of the exporter that a request used: its scheme, its Host header, the path that it is below.

    Raises ValueError, with the remedy, for what could not be scraped.
    """
    match = HOST.fullmatch(host)
    if not match or not 0 < int(match["port"] or DEFAULT_PORTS["http"]) <= 65535 or not _is_ipv6(match["ipv6"]):
        raise ValueError("the request has no Host header that could be scraped; set --web.external-url")
    if scheme not in DEFAULT_PORTS:
        raise ValueError("a proxy says that the request was neither http nor https; set --web.external-url")
    return f"{scheme}://{host}{prefix}"


def _is_ipv6(text: str | None) -> bool:
    try:
        return text is None or bool(IPv6Address(text))
    except ValueError:
        return False


def target_groups(config: Config, entries_of: Mapping[str, Sequence[Entry]], url: str) -> list[TargetGroup]:
    """Return a group per target that has a collector, in the order of the configuration; `url` is that of the metrics.

    `entries_of` are the entries by the name of their target. `instance` is the target's name, since all targets share
    one address: without it their `up` would be one series.
    """
    parts = urlsplit(url)
    address = parts.netloc if parts.port else f"{parts.netloc}:{DEFAULT_PORTS[parts.scheme]}"
    return [
        {
            "targets": [address],
            "labels": {
                "__scheme__": parts.scheme,
                "__metrics_path__": parts.path,
                "__param_target": target.settings.name,
                "instance": target.settings.name,
                "__meta_engagement_target": target.settings.name,
                "__meta_engagement_platform": target.platform.name,
                "__meta_engagement_url": target.settings.url,
                "__meta_engagement_collectors": _joined(entry.key.collector for entry in own),
                "__meta_engagement_interval_seconds": f"{min(entry.interval_seconds for entry in own):.0f}",
            },
        }
        for target in config.targets
        if (own := entries_of.get(target.settings.name))
    ]


def _joined(names: Iterable[str]) -> str:
    """Join as Prometheus's own discoveries do, with commas around each, so that `.*,users,.*` matches one whole."""
    return f",{','.join(names)},"
