"""Which metrics the dashboard and the alerts ask for, and which an exposition has."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "headwater.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"

_METRIC = re.compile(r"\b(?:headwater|process)_[a-z_]+\b")


def dashboard_expressions() -> list[str]:
    """The queries of every panel."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    inner = [panel for row in panels for panel in [row, *row.get("panels", [])]]
    return [target["expr"] for panel in inner for target in panel.get("targets", [])]


def alert_expressions() -> list[str]:
    """The condition of every alert."""
    groups = YAML(typ="safe", pure=True).load(ALERTS)["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def used_metrics() -> set[str]:
    """The sample names that the dashboard and the alerts ask for; `up` is Prometheus's own and left out."""
    expressions = dashboard_expressions() + alert_expressions()
    # What stands in braces or quotes are labels and their values.
    bare = (re.sub(r"\{[^}]*\}|\"[^\"]*\"", "", expression) for expression in expressions)
    return {name for expression in bare for name in _METRIC.findall(expression)}


def exposed_metrics(exposition: str) -> set[str]:
    """The sample names of a text in Prometheus's format."""
    return {sample.name for family in text_string_to_metric_families(exposition) for sample in family.samples}
