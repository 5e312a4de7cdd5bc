"""The committed dashboards are what the code gives, hold nothing that Grafana does not know, and keep all rules."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.contract import NOT_ON_A_DASHBOARD, exposed, selectable
from grafana.generate import FOLDER, dashboards, text_of
from grafana.lint import expressions_of, problems_of_set
from grafana.lint_queries import selected

FILES = dashboards()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_committed_file_is_what_the_code_gives(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == text_of(FILES[file]), "run make dashboards"


def test_the_folder_holds_nothing_else() -> None:
    assert set(FOLDER.iterdir()) == set(FILES)


def paths(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Where every leaf stands, with its value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, f"{path}[{index}]")
    else:
        yield path, value


def dropped_by_grafana(document: dict[str, Any]) -> list[tuple[str, object]]:
    """What Grafana's own types do not know, and so lose."""
    register_default_plugins()
    known = json.loads(json.dumps(Dashboard.from_json(document), cls=JSONEncoder))
    kept = set(paths(known))
    return [leaf for leaf in paths(document) if leaf not in kept and not leaf[0].startswith(".__requires")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_grafanas_types_know_every_key(file: Path) -> None:
    assert dropped_by_grafana(FILES[file]) == []


def test_a_misspelled_key_is_noticed() -> None:
    """That is what the test above relies on."""
    document = json.loads(text_of(next(iter(FILES.values()))))
    document["panels"][1]["options"]["colourMode"] = "value"
    document["panels"][1]["discription"] = "misspelled"

    assert {path for path, _ in dropped_by_grafana(document)} == {
        ".panels[1].options.colourMode",
        ".panels[1].discription",
    }


def test_the_dashboards_keep_every_rule() -> None:
    assert problems_of_set(FILES.values(), selectable()) == []


def test_every_series_is_on_a_dashboard_or_has_a_reason_not_to_be() -> None:
    shown = {
        selector.name for document in FILES.values() for text in expressions_of(document) for selector in selected(text)
    }

    assert sorted(exposed().keys() - shown) == sorted(NOT_ON_A_DASHBOARD)
