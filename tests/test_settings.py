"""Durations, secrets, addresses and TLS files: what is accepted, and that a secret cannot be seen."""

import os
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.settings import Secret, TargetSettings, duration_text, is_loopback, parse_duration, tls_context


class AnySettings(TargetSettings):
    """Settings of no platform in particular."""

    platform: Literal["any"] = "any"


def settings(folder: Path = Path(), **keys: object) -> AnySettings:
    keys = {"name": "one", "url": "https://one.example.org", **keys}
    return AnySettings.model_validate(keys, context={"folder": folder})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("1d", 86_400), ("2w", 1_209_600), ("1500ms", 1.5)],
)
def test_durations_are_those_of_prometheus(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "15", 15, 1.5, True, None, "-1h", "1h 30m", "30m1h", "1.5h", "m", "٣s", "999ms"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"write a duration|must lie between"):
        parse_duration(text)


@given(st.integers(1000, 365 * 86_400_000))
def test_a_duration_written_is_the_duration_read(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)

    assert parse_duration(duration_text(duration)) == duration


def test_durations_are_written_in_the_units_that_operators_use() -> None:
    assert duration_text(timedelta(minutes=90)) == "1h30m"
    assert duration_text(timedelta(days=400)) == "400d"
    assert duration_text(timedelta()) == "0s"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_an_address_loses_only_its_trailing_slashes() -> None:
    assert settings(url="https://one.example.org/crowd//").url == "https://one.example.org/crowd"


@pytest.mark.parametrize(
    ("url", "allow_http", "is_problem"),
    [
        ("http://127.0.0.1:5000", False, False),
        ("http://[::1]:5000", False, False),
        ("http://one.example.org", True, False),
        ("http://one.example.org", False, True),
        ("https://one.example.org", False, False),
    ],
)
def test_plain_http_is_for_this_machine_or_asked_for(url: str, allow_http: bool, is_problem: bool) -> None:
    found = list(settings(url=url, allow_http=allow_http).problems())

    assert [key for key, _ in found] == (["url"] if is_problem else [])


def test_files_are_relative_to_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/operator")

    assert settings(tmp_path, ca_file="tls/ca.pem").ca_file == tmp_path / "tls/ca.pem"
    assert settings(tmp_path, ca_file="/etc/ca.pem").ca_file == Path("/etc/ca.pem")
    assert settings(tmp_path, ca_file="~/ca.pem").ca_file == Path("/home/operator/ca.pem")


def test_a_secret_from_its_value_or_its_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  from-file \r\n")

    assert Secret("from-value").read() == "from-value"
    assert Secret("from-a-variable\n").read() == "from-a-variable"
    assert Secret(path=tmp_path / "key").read() == "from-file"


def replace_content(file: Path, text: str) -> None:
    """Write in place, and move the clock of the file so that even the same size is a change."""
    file.write_text(text)
    os.utime(file, ns=(1, 1))


def replace_file(file: Path, text: str) -> None:
    """Put another file in its place, as a secret manager does."""
    other = file.with_suffix(".new")
    other.write_text(text)
    other.rename(file)


@pytest.mark.parametrize("change", [replace_content, replace_file])
def test_a_secret_file_is_read_again_when_it_changes(tmp_path: Path, change: Callable[[Path, str], None]) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    secret = Secret(path=file)
    assert secret.read() == "old"

    change(file, "new")

    assert secret.read() == "new"


@pytest.mark.parametrize("spoilt", ["", "two\nlines", "snow ☃"])
def test_a_secret_file_that_is_spoilt_later_keeps_its_last_good_value(tmp_path: Path, spoilt: str) -> None:
    file = tmp_path / "key"
    file.write_text("good")
    secret = Secret(path=file)
    secret.read()

    replace_file(file, spoilt)
    assert secret.read() == "good"
    file.unlink()
    assert secret.read() == "good"

    replace_file(file, "renewed")
    assert secret.read() == "renewed"


def test_a_secret_cannot_be_seen() -> None:
    secret = Secret("hunter2")

    assert "hunter2" not in f"{secret} {secret!r}"
    assert "hunter2" not in str(settings(proxy="http://me:hunter2@proxy:3128"))


def test_tls_is_verified_and_trusts_the_given_authority(tmp_path: Path) -> None:
    system = tls_context(settings())
    assert system.verify_mode is ssl.CERT_REQUIRED
    assert system.check_hostname

    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        tls_context(settings(tmp_path, ca_file="ca.pem"))
