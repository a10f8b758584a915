"""What watches a farm, as it lies in `deploy`: Grafana's dashboard, and Prometheus' rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[1] / "deploy"
PROMETHEUS = DEPLOY / "prometheus" / "prometheus.yaml"
RULES = DEPLOY / "prometheus" / "rules.yaml"
DASHBOARD = DEPLOY / "grafana" / "voicefarm.json"


def rules() -> list[dict[str, Any]]:
    """Give every rule, in the order in which Prometheus evaluates them."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Give the dashboard."""
    return json.loads(DASHBOARD.read_text())


def panels() -> list[dict[str, Any]]:
    """Give those of its panels that show something, which rows do not."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def targets() -> Iterator[dict[str, Any]]:
    """Give every query of the dashboard."""
    for panel in panels():
        yield from panel["targets"]
