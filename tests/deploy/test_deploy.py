"""What is deployed is right by the tools that will read it: Kubernetes' schemas, promtool, our own check."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from config.load import load
from deploy.grafana import generate
from tests.deploy.names import DEPLOY, dashboard_expressions, exposed_metrics, used_metrics
from tests.serve.published import House
from tests.serve.test_http import REVENUE
from tests.servers.programs import program

ROOT = DEPLOY.parent
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
KUBERNETES = ("1.28", "1.31", "1.34")
"""Versions of Kubernetes that the manifests are checked against."""


def manifests() -> list[dict[str, Any]]:
    return [found for file in MANIFESTS for found in YAML(typ="safe", pure=True).load_all(file.read_text())]


def manifest(kind: str) -> dict[str, Any]:
    (found,) = [each for each in manifests() if each["kind"] == kind]
    return found


@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_fit_the_schemas(version: str) -> None:
    assert {each["kind"] for each in manifests()} == {"ConfigMap", "Service", "StatefulSet"}
    for each in manifests():
        kubernetes_validate.validate(each, version, strict=True)


def test_the_deployed_file_is_correct(tmp_path: Path) -> None:
    pod = manifest("StatefulSet")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    file = tmp_path / "headwater.yaml"
    file.write_text(manifest("ConfigMap")["data"]["headwater.yaml"])
    settings = load(file, {variable["name"]: variable["value"] for variable in container["env"]}).settings

    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert container["args"] == ["run", f"{mounts['config']}/headwater.yaml"]
    assert settings.state.startswith(mounts["state"] + "/"), "the state has to lie on the volume"
    assert settings.serve.http == f"0.0.0.0:{container['ports'][0]['containerPort']}"


def test_the_pod_is_locked_down() -> None:
    pod = manifest("StatefulSet")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["resources"]["limits"]["memory"]


def test_names_of_the_manifests_meet() -> None:
    stateful = manifest("StatefulSet")["spec"]
    labels = stateful["template"]["metadata"]["labels"]
    services = {each["metadata"]["name"]: each["spec"] for each in manifests() if each["kind"] == "Service"}
    assert stateful["selector"]["matchLabels"] == labels
    assert services[stateful["serviceName"]]["clusterIP"] == "None"
    assert all(service["selector"] == labels for service in services.values())


def test_the_image_is_built_from_what_exists() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = re.findall(r"^COPY (?!--from)(\S+)", dockerfile, re.MULTILINE)
    assert copied == ["requirements.txt", "."]
    assert all((ROOT / path).exists() for path in copied)
    for room in (
        "config",
        "dataflow",
        "headwater",
        "ingest",
        "planner",
        "serve",
        "sinks",
        "pyproject.toml",
        "LICENSE",
        "README.md",
    ):
        assert room not in ignored
    user = manifest("StatefulSet")["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert f"USER {user}:" in dockerfile
    assert dockerfile.rindex("USER ") > dockerfile.rindex("FROM ")


class TestPrometheus:
    @pytest.fixture
    def promtool(self) -> str:
        """The checker of rules."""
        return program("promtool", "prometheus")

    @pytest.mark.parametrize(
        "arguments",
        [["check", "rules", "alerts.yaml"], ["check", "config", "scrape.yaml"], ["test", "rules", "alerts_test.yaml"]],
    )
    def test_rules(self, promtool: str, arguments: list[str]) -> None:
        run = subprocess.run(
            [promtool, *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr

    def test_queries_of_the_dashboard(self, promtool: str, tmp_path: Path) -> None:
        queries = [expression.replace("$__rate_interval", "1m") for expression in dashboard_expressions()]
        rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
        (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
        run = subprocess.run(
            [promtool, "check", "rules", "rules.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr

    def test_every_alert_is_tested(self) -> None:
        tested = (DEPLOY / "prometheus" / "alerts_test.yaml").read_text()
        for alert in re.findall(r"alert: (\w+)", (DEPLOY / "prometheus" / "alerts.yaml").read_text()):
            silent = rf"\{{eval_time: \w+, alertname: {alert}\}}"
            fires = rf"alertname: {alert}\n\s+exp_alerts:"
            assert re.search(silent, tested), alert
            assert re.search(fires, tested), alert


class TestMetrics:
    def test_the_dashboard_is_the_generators_output(self) -> None:
        assert generate.OUTPUT.read_text() == generate.text(), "run `make generate`"

    def test_everything_asked_for_is_exposed(self) -> None:
        house = House()
        house.publish(REVENUE)
        exposed = exposed_metrics(house.request("/metrics")[2].decode())
        assert used_metrics() <= exposed, used_metrics() - exposed

    def test_the_dashboard_covers_the_house(self) -> None:
        asked = "\n".join(dashboard_expressions())
        for metric in ("freshness", "lag_records", "source_records", "tick_duration", "memory", "errors", "sink_"):
            assert metric in asked
