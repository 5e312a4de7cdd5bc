"""Writes `grafana/dashboards/*.json`; `make dashboards` runs it."""

import json
from pathlib import Path
from typing import Any

from grafana import exporter_health, konstantly, learning360, overview, pybossa, viktor

FOLDER = Path(__file__).resolve().parent / "dashboards"


def dashboards() -> dict[Path, dict[str, Any]]:
    """Return what each file must hold."""
    modules = (overview, konstantly, viktor, pybossa, learning360, exporter_health)
    built = [module.build() for module in modules]
    return {FOLDER / f"{document['uid'].removeprefix('engagement-')}.json": document for document in built}


def text_of(document: dict[str, Any]) -> str:
    """Return the text of a file, the same for the same dashboard."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, document in dashboards().items():
        file.write_text(text_of(document), encoding="utf-8")
