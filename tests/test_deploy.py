"""What operators deploy with: the unit as systemd reads it, and the manifests by the schemas of Kubernetes."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from exporter.config import load
from exporter.platform import installed
from prometheus.generate import parameters

DEPLOY = Path(__file__).parent.parent / "deploy"
UNIT = DEPLOY / "systemd" / "engagement-exporter.service"
KUBERNETES = DEPLOY / "kubernetes"
KUBERNETES_VERSION = "1.30"
WORST_EXPOSURE = 1.5
"""Of `systemd-analyze security`: 0 is locked in, 10 is free to do all."""


def manifest(name: str) -> Any:
    return yaml.safe_load((KUBERNETES / f"{name}.yaml").read_text(encoding="utf-8"))


def test_the_unit_is_one_that_systemd_accepts(tmp_path: Path) -> None:
    """With the command where it is here, since systemd looks whether it can be run."""
    command = Path(sys.executable).parent / "engagement-exporter"
    unit = tmp_path / UNIT.name
    unit.write_text(
        UNIT.read_text(encoding="utf-8").replace(f"/opt/engagement-exporter/bin/{command.name}", str(command))
    )

    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)

    complaints = [line for line in verified.stderr.splitlines() if UNIT.name in line]
    assert complaints == []


def test_the_unit_is_locked_in() -> None:
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", UNIT], capture_output=True, text=True, check=True
    )

    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert exposure
    assert float(exposure[1]) <= WORST_EXPOSURE


@pytest.mark.parametrize("name", ["namespace", "deployment", "service", "networkpolicy"])
def test_a_manifest_fits_the_schema_of_its_kind(name: str) -> None:
    assert kubernetes_validate.validate(manifest(name), KUBERNETES_VERSION, strict=True)


def test_the_kustomization_names_every_manifest() -> None:
    kustomization = manifest("kustomization")
    files = {file.name for file in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}

    assert set(kustomization["resources"]) | set(kustomization["configMapGenerator"][0]["files"]) == files


def test_the_kustomization_of_the_dashboards_names_each() -> None:
    grafana = DEPLOY.parent / "grafana"
    kustomization = yaml.safe_load((grafana / "kustomization.yaml").read_text(encoding="utf-8"))
    named = [file for generator in kustomization["configMapGenerator"] for file in generator["files"]]

    assert sorted(named) == sorted(f"dashboards/{file.name}" for file in (grafana / "dashboards").glob("*.json"))


def test_the_pod_passes_the_restricted_pod_security_standard() -> None:
    assert manifest("namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = manifest("deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_monitor_service_policy_and_pod_find_each_other() -> None:
    deployment, service, monitor, policy = (
        manifest(name) for name in ("deployment", "service", "servicemonitor", "networkpolicy")
    )
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    [port] = deployment["spec"]["template"]["spec"]["containers"][0]["ports"]

    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    assert monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert port == {"name": "metrics", "containerPort": 10360}
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert policy["spec"]["ingress"][0]["ports"][0]["port"] == port["name"]


def test_the_monitor_gives_the_labels_that_the_rules_ask_for() -> None:
    """And none that change with the pod, since the alerts about use compare with weeks ago."""
    relabelings = manifest("servicemonitor")["spec"]["endpoints"][0]["relabelings"]

    fixed = {rule["targetLabel"]: rule["replacement"] for rule in relabelings if "targetLabel" in rule}
    [dropped] = [rule["regex"] for rule in relabelings if rule.get("action") == "labeldrop"]
    assert fixed == {"job": parameters()["job"].value, "instance": "engagement-exporter"}
    assert all(re.fullmatch(dropped, name) for name in ("pod", "container", "endpoint", "service"))


def test_prometheus_accepts_the_rules_of_the_manifest(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump(manifest("prometheusrule")["spec"]), encoding="utf-8")

    checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr


def test_the_configuration_of_the_manifests_is_valid(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text((KUBERNETES / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "academy.key").write_text("key\n", encoding="utf-8")

    assert load(config, installed()).targets
