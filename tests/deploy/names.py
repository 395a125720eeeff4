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


_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def exposed_metrics(exposition: str) -> set[str]:
    """The sample names of a text in Prometheus's format, those of families without samples so far included."""
    families = list(text_string_to_metric_families(exposition))
    declared = {family.name + suffix for family in families for suffix in _SUFFIXES.get(family.type, ())}
    return declared | {sample.name for family in families for sample in family.samples}
