"""Writes the documents that are generated from the code; `make docs` runs it."""

import json
from pathlib import Path

from exporter import reference
from exporter.platform import installed
from prometheus import generate as prometheus

REPOSITORY = Path(__file__).resolve().parent.parent


def documents() -> dict[Path, str]:
    """Return what each generated file must hold."""
    platforms = installed().values()
    return {
        REPOSITORY / "docs" / "metrics.md": reference.metrics_markdown(platforms),
        REPOSITORY / "docs" / "history.md": reference.history_markdown(platforms),
        REPOSITORY / "docs" / "configuration.md": reference.configuration_markdown(platforms),
        REPOSITORY / "exporter" / "config.schema.json": json.dumps(reference.configuration_schema(platforms), indent=2)
        + "\n",
        **prometheus.documents(),
    }


if __name__ == "__main__":
    for file, text in documents().items():
        file.write_text(text, encoding="utf-8")
