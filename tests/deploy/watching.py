"""What the dashboard, the alerts and the docs ask Prometheus for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "deploy/grafana/docmill.json"
PROMETHEUS = ROOT / "deploy/prometheus"
PAGE = ROOT / "docs/metrics.md"

VARIABLES = {"$__rate_interval": "5m", "$job": ".+"}
"""What Grafana puts into queries."""


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def dashboard_queries() -> list[str]:
    """As Grafana asks them."""
    found = []
    for panel in panels():
        for target in panel.get("targets", []):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            found.append(query)
    return found


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def alert_tests() -> list[dict[str, Any]]:
    tests: list[dict[str, Any]] = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())[
        "tests"
    ]
    return tests


def documented_queries() -> list[str]:
    blocks = re.findall(r"```promql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [query.strip() for block in blocks for query in block.strip().split("\n\n")]


SELECTOR = re.compile(r"\b(docmill_\w+)(?:\{([^}]*)\})?")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')


def selected(query: str) -> Iterator[tuple[str, set[str]]]:
    """Each name that a query asks for, with the labels that it is to have."""
    for name, matchers in SELECTOR.findall(query):
        yield name, set(LABEL.findall(matchers))


def grouped_by(query: str) -> set[str]:
    """The labels of all `by` and `on`."""
    found = re.findall(r"\b(?:by|on) \(([^)]*)\)", query)
    return {label.strip() for group in found for label in group.split(",")}
