"""The examples: Prometheus's configurations, Compose and Grafana's provisioning fit their programs and each other."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from prometheus.generate import REPOSITORY, parameters
from tests.test_deploy import DEPLOY

FOLDER = REPOSITORY / "prometheus"
COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROGRAMS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}


def example(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-sd.yml"])
def test_prometheus_accepts_the_example_and_its_rules(name: str) -> None:
    checked = subprocess.run(
        ["promtool", "check", "config", FOLDER / name], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
    assert "6 rule files found" in checked.stdout


@pytest.mark.parametrize("name", ["compose.yaml", "compose.demo.yaml"])
def test_compose_files_fit_their_schema(name: str) -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [checker, "--builtin-schema", "vendor.compose-spec", REPOSITORY / name]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in ("0", "root")
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_is_there(name: str) -> None:
    """`config` is the user's own; what can be written is a volume, for nothing else survives."""
    for mount in SERVICES[name]["volumes"]:
        source, _, mode = mount.split(":") if mount.startswith(".") else (*mount.split(":"), "")
        if source.startswith("./"):
            assert mode == "ro"
            assert source == "./config" or (REPOSITORY / source).exists(), source
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_flags_of_a_service_are_those_of_its_program(name: str) -> None:
    known = subprocess.run([PROGRAMS[name], "--help"], capture_output=True, text=True, check=True)
    flags = [argument.partition("=")[0] for argument in SERVICES[name]["command"]]

    assert [flag for flag in flags if flag not in known.stdout + known.stderr] == []


def test_prometheus_remembers_for_as_long_as_the_alerts_look_back() -> None:
    [retention] = [flag for flag in SERVICES["prometheus"]["command"] if "retention.time" in flag]

    assert retention.endswith("=2y")


def test_services_find_each_other() -> None:
    config = example("prometheus.yml")
    sources = yaml.safe_load(
        (REPOSITORY / "grafana/provisioning/datasources/prometheus.yaml").read_text(encoding="utf-8")
    )["datasources"]
    addresses = [
        *config["scrape_configs"][0]["static_configs"][0]["targets"],
        *config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"],
        *(source["url"].removeprefix("http://") for source in sources),
    ]

    for address in addresses:
        name, port = address.split(":")
        assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert [source["type"] for source in sources if source.get("isDefault")] == ["prometheus"]


def test_grafana_looks_for_dashboards_where_compose_puts_them() -> None:
    [provider] = yaml.safe_load(
        (REPOSITORY / "grafana/provisioning/dashboards/engagement.yaml").read_text(encoding="utf-8")
    )["providers"]

    mounted = {mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]}
    assert provider["options"]["path"] in mounted
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(provider["options"]["path"])


def test_every_way_to_scrape_gives_the_job_that_the_rules_ask_for() -> None:
    job = parameters()["job"].value
    monitor = yaml.safe_load((DEPLOY / "kubernetes" / "servicemonitor.yaml").read_text(encoding="utf-8"))
    [whole] = example("prometheus.yml")["scrape_configs"]
    split, process = example("prometheus-sd.yml")["scrape_configs"]

    assert {whole["job_name"], split["job_name"]} == {job}
    assert {"target_label": "job", "replacement": job} in process["relabel_configs"]
    assert {"targetLabel": "job", "replacement": job} in monitor["spec"]["endpoints"][0]["relabelings"]
