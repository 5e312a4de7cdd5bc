"""Every mistake in a configuration is told with file, line, column, key and remedy, and never repeats a secret."""

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.config import Config, load, parse
from exporter.errors import ConfigError
from exporter.platform import installed
from exporter.yaml_document import read
from tests.broken_configurations import BROKEN, Broken

SECRET = "hunter2-never-to-be-seen"
ENVIRONMENT = {"SECRET": SECRET, "EMPTY": ""}
PLATFORMS = installed()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with secret files of every kind."""
    (tmp_path / "good.key").write_text(f"{SECRET}\n")
    (tmp_path / "empty.key").write_text("\n")
    (tmp_path / "two_lines.key").write_text(f"{SECRET}\n{SECRET}\n")
    os.mkfifo(tmp_path / "pipe.key")
    (tmp_path / "bytes.key").write_bytes(b"\xff\xfe" + SECRET.encode())
    return tmp_path


def refused(file: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(file, PLATFORMS, ENVIRONMENT)
    return caught.value


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_mistake_is_told_with_its_place_and_remedy(broken: Broken, folder: Path) -> None:
    file = folder / "config.yaml"
    file.write_text(broken.text)

    error = refused(file)

    line, column = (int(number) for number in broken.position.split(":"))
    told = [(one.file, one.line, one.column, one.key) for one in error.problems if broken.message in one.message]
    assert (str(file), line, column, broken.key) in told, str(error)
    assert SECRET not in f"{error} {error!r} {error.problems!r}"


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(folder: Path) -> None:
    file = folder / "config.yaml"
    file.write_text(
        "defaults: {timeout: 5}\ntargets:\n- {name: a b}\n- {name: c, platform: pybossa, url: d}\nextra: 1\n"
    )

    assert [problem.key for problem in refused(file).problems] == [
        "defaults.timeout",
        "targets[0].platform",
        "targets[1].url",
        "extra",
    ]


def test_a_file_that_is_missing_a_folder_or_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"targets: \xe9\n")

    assert "cannot be read: No such file or directory" in str(refused(tmp_path / "nowhere.yaml"))
    assert "cannot be read: Is a directory" in str(refused(tmp_path))
    assert f"{tmp_path / 'latin.yaml'}:1:1: is not UTF-8 text; save it as UTF-8" in str(
        refused(tmp_path / "latin.yaml")
    )


def loads_or_refuses(text: str) -> None:
    """Only a Config or a ConfigError comes out, and neither shows the secret."""
    outcome: Config | ConfigError
    try:
        outcome = parse(read(text, "config.yaml", ENVIRONMENT), Path(), PLATFORMS)
    except ConfigError as error:
        outcome = error
    assert SECRET not in f"{outcome} {outcome!r}"


@given(st.text())
@example("\x00")
@example("? {a: b}\n: c")
@example("!!python/object:os.system {}")
@example("a: !!binary x")
@example("a: !!int x")
@example("a: !!set [x]")
def test_no_text_makes_anything_but_a_config_error(text: str) -> None:
    loads_or_refuses(text)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["${SECRET}", "https://one.example.org", "http://[", "15m", "one", *PLATFORMS]),
)
KEYS = st.sampled_from(
    sorted({key for platform in PLATFORMS.values() for key in platform.settings.model_fields} | {"enabled", "other"})
)
VALUES_OF_ANY_SHAPE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
TARGETS = st.builds(
    lambda platform, others: {"name": "one", "platform": platform, "url": "https://one.example.org", **others},
    st.sampled_from([*PLATFORMS]),
    st.dictionaries(KEYS, VALUES_OF_ANY_SHAPE, max_size=5),
)


@given(st.fixed_dictionaries({"targets": st.lists(TARGETS, max_size=3)}, optional={"defaults": VALUES_OF_ANY_SHAPE}))
def test_no_value_of_any_key_makes_anything_but_a_config_error(document: object) -> None:
    loads_or_refuses(yaml.safe_dump(document))
