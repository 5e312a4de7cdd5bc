"""The catalogue and the reference as text; that the files in the repository are current: see test_documents."""

from exporter import self_metrics
from exporter.platform import installed
from exporter.reference import configuration_markdown, configuration_schema, metrics_markdown, metrics_table

PLATFORMS = installed()


def test_the_table_tells_name_type_and_labels() -> None:
    lines = [line.split(maxsplit=2) for line in metrics_table(PLATFORMS.values())]

    assert ["pybossa_projects", "gauge", "target, status"] in lines
    assert ["konstantly_users", "gauge", "target"] in lines
    assert ["engagement_up", "gauge", "target, platform"] in lines
    assert ["engagement_scheduler_heartbeat_timestamp_seconds", "gauge"] in lines


def test_the_table_has_every_family_of_every_collector() -> None:
    lines = list(metrics_table(PLATFORMS.values()))

    families = [line.split()[0] for line in lines if line.startswith("  ")]
    collectors = [collector for platform in PLATFORMS.values() for collector in platform.collectors]
    declared = [family.name for collector in collectors for family in collector.families]
    assert families == [*declared, *(family.name for family in self_metrics.FAMILIES)]
    assert "pybossa / projects (opt-in, every 1h)" in lines
    assert lines[lines.index("konstantly / statistics (on, every 15m)") + 1].startswith("  konstantly_users ")


def test_a_pipe_in_a_help_text_does_not_break_the_table() -> None:
    rows = [line for line in metrics_markdown(PLATFORMS.values()).splitlines() if line.startswith("| `")]

    assert rows
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}


def test_the_reference_tells_each_platforms_own_defaults() -> None:
    konstantly = configuration_markdown([PLATFORMS["konstantly"]])

    assert "| `requests_per_second` | `1.5` |" in konstantly
    assert "| `requests_per_second` | `2.0` |" in konstantly  # of a platform that does not say otherwise
    assert "| `max_age` | `1d` |" in konstantly
    assert "| `url` | required |" in konstantly
    assert "org_domain" not in konstantly
    assert PLATFORMS["konstantly"].credential in konstantly


def test_the_schema_has_a_branch_for_each_platform() -> None:
    schema = configuration_schema(PLATFORMS.values())

    branches = schema["properties"]["targets"]["items"]["oneOf"]
    assert [branch["properties"]["platform"]["const"] for branch in branches] == list(PLATFORMS)
    assert all(branch["additionalProperties"] is False for branch in branches)
