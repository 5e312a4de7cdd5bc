"""The documents say what the code does: generated ones are current, the example loads, the README has every flag."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml

from docs.generate import documents
from exporter import self_metrics
from exporter.api.client import Client
from exporter.app import Exporter
from exporter.cli import main
from exporter.config import Config, Defaults, load
from exporter.demo.configuration import configuration
from exporter.demo.server import Demo
from exporter.exposition import Format
from exporter.metrics import Family, Sample
from exporter.platform import installed
from exporter.web.status import Reload
from tests.command import run
from tests.fakes import make_target
from tests.shown import Shown, answer, organisation, pending

REPOSITORY = Path(__file__).parent.parent
EXAMPLE = REPOSITORY / "config.example.yaml"
SCHEMA = json.loads((REPOSITORY / "exporter" / "config.schema.json").read_text(encoding="utf-8"))
PLATFORMS = installed()


def problems(document: object) -> list[str]:
    """What the JSON Schema has against a configuration."""
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)]


@pytest.mark.parametrize("file", documents(), ids=lambda file: file.name)
def test_generated_documents_are_what_the_code_gives(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == documents()[file], "run make docs"


def all_families() -> Iterator[Family]:
    for platform in PLATFORMS.values():
        for collector in platform.collectors:
            yield from collector.families
    yield from self_metrics.FAMILIES


def test_the_catalogue_document_has_the_series_of_every_collector() -> None:
    text = (REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8")

    assert sorted(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == sorted(family.name for family in all_families())


def test_the_reference_document_has_every_key_and_collector() -> None:
    text = (REPOSITORY / "docs/configuration.md").read_text(encoding="utf-8")
    for platform in PLATFORMS.values():
        section = text.split(f"## targets: platform `{platform.name}`")[1].split("\n## ")[0]
        for key in platform.settings.model_fields.keys() - {"collectors", "platform"}:
            assert f"| `{key}` |" in text
        for collector in platform.collectors:
            assert f"| `{collector.name}` |" in section


def test_no_key_is_without_a_meaning() -> None:
    text = (REPOSITORY / "docs/configuration.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| `(\w+)` \| [^|]* \|  \|$", text, re.MULTILINE) == []
    assert re.findall(r"`(\w+)`: *[|;]", text) == []


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_accepts_its_own_defaults() -> None:
    """A default that the schema shows in an editor is one that the exporter accepts."""
    defaults = {key: value["default"] for key, value in SCHEMA["properties"]["defaults"]["properties"].items()}

    assert Defaults.model_validate(defaults) == Defaults()


@pytest.mark.parametrize(
    "change",
    [
        {"intervall": "1h"},
        {"interval": 15},
        {"interval": "15"},
        {"platform": "pibossa"},
        {"name": "my server"},
        {"token": "x"},
        {"collectors": {"stats": "15m"}},
        {"collectors": {"stat": True}},
        {"concurrency": 0},
    ],
)
def test_the_schema_refuses_what_the_exporter_refuses(change: dict[str, Any]) -> None:
    target = {"name": "crowd", "platform": "pybossa", "url": "https://crowd.example.org"}

    assert problems({"targets": [target]}) == []
    assert problems({"targets": [{**target, **change}]})


def test_the_schema_accepts_the_example_and_the_demo(site: Demo) -> None:
    assert problems(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))) == []
    assert problems(yaml.safe_load(configuration(site))) == []


def test_the_example_loads_once_its_secrets_are_there(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    copy = tmp_path / "config.yaml"
    copy.write_text(text, encoding="utf-8")
    for secret in re.findall(r"^ +\w+_file: (secrets/\S+)", text, re.MULTILINE):
        (tmp_path / secret).parent.mkdir(exist_ok=True)
        (tmp_path / secret).write_text("s3cret\n")
    variables = dict.fromkeys(re.findall(r"\$\{([A-Z_0-9]+)\}", text), "v4lue")

    config = load(copy, PLATFORMS, variables)

    assert {target.platform.name for target in config.targets} == set(PLATFORMS)


def test_the_example_explains_every_key_and_collector() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for platform in PLATFORMS.values():
        keys = [*platform.settings.model_fields, *(collector.name for collector in platform.collectors)]
        assert [key for key in keys if not re.search(rf"\b{key}:", text)] == []


def commands() -> list[click.Command]:
    return [main, *main.commands.values()]


def test_the_readme_names_every_command_and_flag() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    flags = {flag for command in commands() for parameter in command.params for flag in parameter.opts}

    assert sorted(flag for flag in flags if flag.startswith("--") and flag not in readme) == []
    assert [name for name in main.commands if not re.search(rf"\b{name}\b", readme)] == []


def block(document: str, language: str) -> str:
    """The only block of code in that language."""
    text = (REPOSITORY / "docs" / document).read_text(encoding="utf-8")
    [found] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)


def keys(document: Any) -> set[str]:
    """The path of every key, elements of lists as one."""
    if isinstance(document, list):
        return {path for element in document for path in keys(element)}
    if not isinstance(document, dict):
        return set()
    return {path for key, value in document.items() for path in (key, *(f"{key}.{below}" for below in keys(value)))}


async def nothing(client: Client, settings: Any, now: datetime) -> list[Sample]:
    return []


async def test_the_example_of_the_status_has_its_keys() -> None:
    shown = replace(organisation(time.time()), last_reload=Reload(time.time(), ""))

    assert keys(json.loads(block("endpoints.md", "json"))) == keys((await answer("/api/status", shown)).json())


async def test_prometheus_accepts_the_example_of_discovery(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(block("endpoints.md", "yaml"), encoding="utf-8")

    checked = await run("check", "config", file, program="promtool")

    assert (checked.code, checked.err) == (0, "")


async def test_the_discovery_labels_of_the_document_are_those_of_the_code() -> None:
    text = (REPOSITORY / "docs/endpoints.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`(?:__\w+|instance)`.*?) \|", text, re.MULTILINE)
    documented = {label for row in rows for label in re.findall(r"`(\w+)`", row)}

    [group] = (await answer("/sd", Shown([pending("crowd", "stats")]))).json()

    assert documented == {"__address__", *group["labels"]}


def test_what_belongs_to_no_target_is_kept_by_the_job_of_the_exporter() -> None:
    """What a scrape of every target leaves out is what the second job of the example keeps, and nothing else."""
    jobs = yaml.safe_load(block("endpoints.md", "yaml"))["scrape_configs"]
    kept = re.compile(jobs[1]["metric_relabel_configs"][0]["regex"])
    exporter = Exporter(Config((make_target(nothing, nothing),)))
    keys_of_all = [entry.key for entry in exporter.snapshot]

    of_targets, whole = (
        set(re.findall(r"^# TYPE (\S+)", b"".join(exporter.page(Format.TEXT, keys)).decode(), re.MULTILINE))
        for keys in (keys_of_all, None)
    )

    assert {name for name in whole if kept.fullmatch(name)} == whole - of_targets
