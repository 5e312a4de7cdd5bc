"""A good configuration file becomes settings: defaults filled in, every way of writing a value accepted."""

from datetime import timedelta
from pathlib import Path

import pytest

from exporter.config import Config, load, parse
from exporter.platform import installed, interval, is_enabled
from exporter.platforms.learning360.settings import Learning360Settings
from exporter.platforms.viktor.settings import ViktorSettings
from exporter.yaml_document import read

PLATFORMS = installed()


def config(text: str, folder: Path = Path(), **environment: str) -> Config:
    return parse(read(text, "config.yaml", environment), folder, PLATFORMS)


def crowd(*lines: str) -> str:
    """A configuration with one PYBOSSA server and further keys of it."""
    start = ("targets:", "  - name: crowd", "    platform: pybossa", "    url: https://crowd.example.org")
    return "\n".join([*start, *(f"    {line}" for line in lines)])


def test_the_smallest_configuration() -> None:
    [target] = config(crowd()).targets

    assert (target.platform.name, target.settings.name, target.settings.url) == (
        "pybossa",
        "crowd",
        "https://crowd.example.org",
    )
    assert target.settings.timeout == timedelta(minutes=5)
    assert target.settings.max_age == timedelta(hours=24)
    assert target.settings.max_series == 20_000
    assert (target.settings.requests_per_second, target.settings.concurrency) == (2.0, 2)


def test_every_platform_has_its_own_pace() -> None:
    text = """
targets:
- {name: a, platform: konstantly, url: "https://a", api_key: k}
- {name: b, platform: viktor, url: "https://b", token: k}
- {name: c, platform: pybossa, url: "https://c"}
- {name: d, platform: learning360, url: "https://d", client_id: i, client_secret: k}
"""
    paces = [(one.settings.requests_per_second, one.settings.concurrency) for one in config(text).targets]

    assert paces == [(1.5, 2), (2.0, 2), (2.0, 2), (5.0, 4)]


def test_defaults_are_for_the_targets_that_do_not_give_their_own() -> None:
    text = "defaults: {interval: 1h, timeout: 10m, max_age: 2d, max_series: 7}\n" + crowd("timeout: 1m")
    settings = config(text).targets[0].settings

    assert (settings.interval, settings.timeout) == (timedelta(hours=1), timedelta(minutes=1))
    assert (settings.max_age, settings.max_series) == (timedelta(days=2), 7)


@pytest.mark.parametrize(
    ("defaults", "own", "stats", "projects"),
    [
        ("", (), timedelta(minutes=15), timedelta(hours=1)),
        ("defaults: {interval: 2h}", (), timedelta(hours=2), timedelta(hours=2)),
        ("defaults: {interval: 2h}", ("interval: 3h",), timedelta(hours=3), timedelta(hours=3)),
        ("", ("interval: 3h", "collectors: {stats: {interval: 4h}}"), timedelta(hours=4), timedelta(hours=3)),
    ],
)
def test_the_nearest_interval_counts(
    defaults: str, own: tuple[str, ...], stats: timedelta, projects: timedelta
) -> None:
    """The collector's, else the target's, else the default, else the platform's."""
    target = config(f"{defaults}\n{crowd(*own)}").targets[0]

    intervals = {one.name: interval(target.settings, one) for one in target.platform.collectors}
    assert (intervals["stats"], intervals["projects"]) == (stats, projects)


@pytest.mark.parametrize(
    ("written", "enabled"),
    [
        ("stats: on", True),
        ("stats: off", False),
        ("projects: on", True),
        ("projects: {interval: 2h}", True),
        ("projects: {}", True),
        ("projects: {enabled: false, interval: 2h}", False),
        ("stats: {enabled: off}", False),
    ],
)
def test_a_collector_is_on_or_off_or_a_mapping_which_turns_it_on(written: str, enabled: bool) -> None:
    target = config(crowd(f"collectors: {{{written}}}")).targets[0]
    [collector] = [one for one in target.platform.collectors if one.name == written.partition(":")[0]]

    assert is_enabled(target.settings, collector) is enabled


def test_collectors_that_are_not_mentioned_keep_their_own_default() -> None:
    target = config(crowd("collectors: {globalstats: off}")).targets[0]

    enabled = {one.name: is_enabled(target.settings, one) for one in target.platform.collectors}
    assert enabled == {"stats": True, "globalstats": False, "projects": False, "queues": False}


def test_keys_of_collectors() -> None:
    text = """
targets:
- name: bridges
  platform: viktor
  url: https://bridges.viktor.ai
  token: t
  collectors: {workspaces: {types: [TEST]}, audit_events: {event_types: [EDITOR.COMPUTE]}}
- name: learning
  platform: learning360
  url: https://app.360learning.com
  api_version: v1
  company_id: c
  api_key: k
  collectors: {attempts: {courses: {ids: [a1, b2]}}}
"""
    bridges, learning = (target.settings for target in config(text).targets)

    assert isinstance(bridges, ViktorSettings)
    assert bridges.collectors.workspaces.types == ("TEST",)
    assert bridges.collectors.audit_events.event_types == ("EDITOR.COMPUTE",)
    assert isinstance(learning, Learning360Settings)
    assert learning.collectors.attempts.courses.ids == ("a1", "b2")


def test_anchors_share_keys_between_targets() -> None:
    text = """
targets:
- &first {name: a, platform: pybossa, url: "https://a", interval: 1h}
- {<<: *first, name: b, url: "https://b"}
"""
    first, second = (target.settings for target in config(text).targets)

    assert (second.name, second.url, second.interval) == ("b", "https://b", first.interval)


def test_variables_and_secret_files_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/crowd.key").write_text("from-file\n")
    file = tmp_path / "config.yaml"
    file.write_text(crowd("api_key_file: secrets/crowd.key").replace("https://crowd", "https://${SITE:-crowd}"))

    settings = load(file, PLATFORMS, {"SITE": "people"}).targets[0].settings

    assert settings.url == "https://people.example.org"
    assert settings.required_secret("api_key").read() == "from-file"


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"%YAML 1.1\n---\n", b"# comment\r\n"])
def test_a_byte_order_mark_a_directive_and_windows_line_ends_are_accepted(tmp_path: Path, start: bytes) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(start + crowd().replace("\n", "\r\n").encode())

    assert load(file, PLATFORMS, {}).targets[0].settings.name == "crowd"


def test_no_secret_is_in_the_settings_text() -> None:
    shown = repr(config(crowd("api_key: ${KEY}", "proxy: http://me:${KEY}@proxy:3128"), KEY="hunter2"))

    assert "hunter2" not in shown
