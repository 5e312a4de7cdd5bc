"""Reading YAML: plain data, the place of every key, variables, anchors. Mistakes: see test_broken_configurations."""

import pytest

from exporter.errors import ConfigError
from exporter.yaml_document import Document, Path, dotted, read


def data(text: str, **environment: str) -> object:
    return read(text, "config.yaml", environment).data


def test_scalars_keep_their_yaml_types() -> None:
    assert data("{a: 1, b: 1.5, c: on, d: ~, e: text, f: '1', g: [x, {h: off}]}") == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": None,
        "e": "text",
        "f": "1",
        "g": ["x", {"h": False}],
    }


def test_an_empty_text_is_no_data() -> None:
    assert data("") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "crowd"),
        ("a-${NAME}-${NAME}", "a-crowd-crowd"),
        ("${MISSING:-fallback}", "fallback"),
        ("${MISSING:-}", ""),
        ("${EMPTY:-fallback}", "fallback"),
        ("${NAME:-fallback}", "crowd"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("${DOLLARS}", "${NAME}"),
    ],
)
def test_variables_are_replaced_once(text: str, value: str) -> None:
    """What a variable holds is not looked through for further variables."""
    assert data(f"key: '{text}'", NAME="crowd", EMPTY="", DOLLARS="${NAME}") == {"key": value}


def test_variables_in_keys_and_comments_are_left_alone() -> None:
    assert data("${NAME}: value # ${NAME}\n") == {"${NAME}": "value"}


def test_anchors_and_merge_keys_unfold_and_the_own_key_wins() -> None:
    text = """
shared: &shared {interval: 1h, timeout: 5m}
one: {<<: *shared, interval: 2h}
two: {<<: [*shared, {max_age: 3d}]}
again: *shared
"""
    assert data(text) == {
        "shared": {"interval": "1h", "timeout": "5m"},
        "one": {"timeout": "5m", "interval": "2h"},
        "two": {"interval": "1h", "timeout": "5m", "max_age": "3d"},
        "again": {"interval": "1h", "timeout": "5m"},
    }


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ((), (1, 1)),
        (("targets",), (1, 1)),
        (("targets", 0), (2, 5)),
        (("targets", 0, "name"), (2, 5)),
        (("targets", 1), (3, 5)),
        (("targets", 1, "url"), (4, 5)),
    ],
)
def test_every_key_and_item_has_its_line_and_column(path: Path, position: tuple[int, int]) -> None:
    document = read("targets:\n  - name: one\n  - name: two\n    url: x\n", "config.yaml", {})

    assert document.positions[path] == position


def test_a_merged_key_stands_where_it_is_written() -> None:
    document = read("shared: &shared\n  interval: 1h\none:\n  <<: *shared\n", "config.yaml", {})

    assert document.positions["one", "interval"] == (2, 3)


def test_a_problem_with_a_missing_key_points_at_what_should_hold_it() -> None:
    document = read("targets:\n  - name: one\n", "config.yaml", {})

    assert str(document.problem(("targets", 0, "url"), "is missing")) == "config.yaml:2:5: targets[0].url: is missing"
    assert str(Document("config.yaml").problem((), "is empty")) == "config.yaml:1:1: is empty"


def test_dotted_paths() -> None:
    assert dotted(("targets", 2, "collectors", "groups")) == "targets[2].collectors.groups"
    assert dotted(()) == ""


def test_all_unset_variables_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        data("a: ${ONE}\nb:\n- ${TWO}\n")

    assert [(problem.line, problem.key) for problem in caught.value.problems] == [(1, "a"), (3, "b[0]")]


def test_without_an_environment_a_dollar_is_a_character() -> None:
    assert read("hash: $2y$10$abc", "web.yml", None).data == {"hash": "$2y$10$abc"}


@pytest.mark.parametrize("value", ["!s3cret", "!!bool s3cret", "!!timestamp s3cret", "!!int ''", "!!binary s3cret"])
def test_a_tag_that_does_not_fit_is_told_without_the_value(value: str) -> None:
    """A password that begins with an exclamation mark reads as a tag in YAML."""
    with pytest.raises(ConfigError) as refused:
        data(f"key: {value}")

    assert str(refused.value) == "config.yaml:1:6: key: not a value that YAML understands; put it in quotes"
