"""Writes the documents that are generated from the code; `make docs` runs it."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import yaml

from exporter import reference
from exporter.demo import konstantly, learning360, pybossa, viktor
from exporter.demo.organisation import organisation
from exporter.demo.route import Route
from exporter.evidence import Evidence
from exporter.platform import installed
from prometheus import generate as prometheus

REPOSITORY = Path(__file__).resolve().parent.parent


def simulated() -> Iterator[tuple[str, str, Evidence]]:
    """Yield platform, path and evidence of everything that the demo answers."""
    born = organisation(1, date(2026, 1, 1))
    applications = {
        "konstantly": konstantly.application(born.academy, lambda: datetime.now(UTC)),
        "learning360": learning360.application(born.academy, lambda: datetime.now(UTC)),
        "pybossa": pybossa.application(born.crowd, lambda: datetime.now(UTC)),
        "viktor": viktor.application(born.engineering, lambda: datetime.now(UTC)),
    }
    for name, application in applications.items():
        for route in application.routes:
            if isinstance(route, Route):
                yield name, route.path, route.evidence


def replies() -> Iterator[tuple[str, Evidence, str]]:
    """Yield path, evidence and source of the replies among the tests, as the index in each folder has them."""
    for index in sorted((REPOSITORY / "tests").rglob("evidence.yaml")):
        for group in yaml.safe_load(index.read_text(encoding="utf-8")):
            for name in group["files"]:
                file = (index.parent / name).relative_to(REPOSITORY)
                yield str(file), Evidence(group["evidence"]), group["source"]


def documents() -> dict[Path, str]:
    """Return what each generated file must hold."""
    platforms = installed().values()
    return {
        REPOSITORY / "docs" / "metrics.md": reference.metrics_markdown(platforms),
        REPOSITORY / "docs" / "history.md": reference.history_markdown(platforms),
        REPOSITORY / "docs" / "configuration.md": reference.configuration_markdown(platforms),
        REPOSITORY / "docs" / "evidence.md": reference.evidence_markdown(platforms, simulated(), replies()),
        REPOSITORY / "exporter" / "config.schema.json": json.dumps(reference.configuration_schema(platforms), indent=2)
        + "\n",
        **prometheus.documents(),
    }


if __name__ == "__main__":
    for file, text in documents().items():
        file.write_text(text, encoding="utf-8")
