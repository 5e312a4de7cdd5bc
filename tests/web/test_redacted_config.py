"""`/config`: all settings in force, and no secret among them, whatever its key is called."""

from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import AnyUrl, BaseModel, Secret, SecretBytes, SecretStr

from exporter.config import Config, Target, load
from exporter.demo.configuration import configuration
from exporter.demo.server import Demo
from exporter.errors import State
from exporter.platform import installed
from exporter.settings import Settings, TargetSettings
from exporter.web.redacted_config import SECRET, redacted, redacted_yaml
from tests.small_sites import SETTINGS

PLATFORMS = installed()
HIDDEN = "tell-nobody"


def shown(settings: TargetSettings) -> dict[str, Any]:
    """What the page says of a target with these settings."""
    [target] = yaml.safe_load(redacted_yaml(Config((Target(settings, PLATFORMS[settings.platform]),))))["targets"]
    return dict(target)


def is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(is_secret(part) for part in get_args(annotation))


@pytest.mark.parametrize(
    ("platform", "key"),
    [
        (name, key)
        for name, platform in PLATFORMS.items()
        for key, field in platform.settings.model_fields.items()
        if is_secret(field.annotation)
    ],
)
def test_every_secret_key_of_every_platform_is_hidden(platform: str, key: str) -> None:
    """The keys are found by their type, so that one that is added later is tried as well."""
    secret = SecretStr(f"http://user:{HIDDEN}@proxy:3128")
    settings = SETTINGS[platform].model_copy(update={key: secret})

    assert shown(settings)[key] == SECRET
    assert HIDDEN not in redacted_yaml(Config((Target(settings, PLATFORMS[platform]),)))


def test_there_are_secret_keys_to_try() -> None:
    """The parameters above come from annotations; were they not found, nothing would be tried."""
    for platform in PLATFORMS.values():
        found = {key for key, field in platform.settings.model_fields.items() if is_secret(field.annotation)}
        assert found == {*platform.settings.credentials, "proxy"}


class Odd(Settings):
    """Settings of a kind that no platform of ours has."""

    pin: SecretBytes
    code: Secret[int]
    nested: dict[str, list[SecretStr]]
    address: AnyUrl


def test_secrets_of_other_types_and_places_are_hidden_and_so_is_what_nobody_knows() -> None:
    url = AnyUrl(f"https://user:{HIDDEN}@example.org")
    odd = Odd(pin=b"1234", code=Secret(1234), nested={"keys": [SecretStr(HIDDEN)]}, address=url)

    assert redacted(odd) == {"pin": SECRET, "code": SECRET, "nested": {"keys": [SECRET]}, "address": SECRET}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (timedelta(minutes=90), "1h30m"),
        (Path("secrets/academy.key"), "secrets/academy.key"),
        (State.OK, "ok"),
        (("a", 1, 2.5, True), ["a", 1, 2.5, True]),
    ],
)
def test_settings_are_written_as_the_file_has_them(value: object, expected: object) -> None:
    assert redacted(value) == expected
    assert yaml.safe_load(yaml.dump(redacted(value), Dumper=yaml.CSafeDumper)) == expected


def test_defaults_are_filled_in_and_unset_keys_left_out() -> None:
    academy = shown(SETTINGS["konstantly"])

    assert (academy["timeout"], academy["max_age"], academy["requests_per_second"]) == ("5m", "1d", 1.5)
    assert academy["collectors"]["statistics"] == {"enabled": True, "interval": "15m"}
    assert academy["collectors"]["courses"] == {"enabled": False, "interval": "1h"}
    assert "proxy" not in academy
    assert "api_key_file" not in academy


def models(model: type[BaseModel]) -> set[str]:
    """The names of a model's keys."""
    return set(model.model_fields)


@pytest.mark.parametrize("site", SETTINGS)
def test_every_key_that_is_set_is_shown(site: str) -> None:
    settings = SETTINGS[site]

    keys = shown(settings).keys()

    assert keys == {key for key in models(type(settings)) if getattr(settings, key) is not None}
    assert list(shown(settings))[-1] == "collectors"


def test_what_is_shown_is_a_configuration(site: Demo, tmp_path: Path) -> None:
    """With the secrets put back, the file means the same as the one that was loaded."""
    file, again = tmp_path / "config.yaml", tmp_path / "again.yaml"
    file.write_text(configuration(site), encoding="utf-8")
    before = load(file, PLATFORMS)
    again.write_text(redacted_yaml(before).replace(SECRET, "a-secret"), encoding="utf-8")

    after = load(again, PLATFORMS)

    assert redacted_yaml(after) == redacted_yaml(before)
    assert len(after.targets) == 5
