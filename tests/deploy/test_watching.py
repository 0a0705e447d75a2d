"""Every name that somebody asks Prometheus for is one of ours, and ours are all documented.

Needs no program: see test_promtool.py for what does.
"""

import re

import pytest

from apps.core.metrics import Defined, defined
from tests.deploy import watching

pytestmark = pytest.mark.once

OF_PROMETHEUS = {"job", "instance"}
QUERIES = [
    *watching.dashboard_queries(),
    *[rule["expr"] for rule in watching.alerts()],
    *watching.documented_queries(),
]


def metric_of(sample: str) -> Defined | None:
    """The metric that has samples of that name."""
    if sample in defined():
        found = defined()[sample]
        return None if found.kind == "histogram" else found
    base = re.sub(r"_(bucket|sum|count)$", "", sample)
    found_by_base = defined().get(base)
    return found_by_base if found_by_base and found_by_base.kind == "histogram" else None


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_asked_for_exists_with_its_labels(query: str) -> None:
    asked = list(watching.selected(query))
    labels: set[str] = set()
    for name, matched in asked:
        metric = metric_of(name)
        assert metric, f"{name} is no metric"
        own = {*metric.labels, *({"le"} if name.endswith("_bucket") else ())}
        assert matched <= own | OF_PROMETHEUS, f"{name} has no such label"
        labels |= own
    assert asked or query.startswith("up{")
    assert watching.grouped_by(query) <= labels | OF_PROMETHEUS


def test_each_metric_is_in_the_table_of_the_docs_as_it_is() -> None:
    page = watching.PAGE.read_text()
    rows = re.findall(r"^\| `(docmill_\w+)` \| (\w+) \| ([^|]*) \| ", page, re.MULTILINE)
    told = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert len(rows) == len(told)
    assert told == {each.name: (each.kind, set(each.labels)) for each in defined().values()}


def test_no_other_name_is_anywhere_in_the_docs() -> None:
    """Of what is named in running text."""
    names = set(re.findall(r"\bdocmill_[a-z_]+\b", watching.PAGE.read_text()))
    assert {name for name in names if not metric_of(name) and name not in defined()} == set()


def test_each_alert_says_where_to_read_what_to_do() -> None:
    headings = re.findall(r"^### (\w+)$", watching.PAGE.read_text(), re.MULTILINE)
    assert headings == [rule["alert"] for rule in watching.alerts()]
    for rule in watching.alerts():
        assert rule["annotations"]["runbook"] == f"docs/metrics.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_each_alert_is_tested_to_be_raised_and_not() -> None:
    told = [
        (each["alertname"], bool(each["exp_alerts"]))
        for test in watching.alert_tests()
        for each in test["alert_rule_test"]
    ]
    names = [rule["alert"] for rule in watching.alerts()]
    assert sorted(told) == sorted((name, does) for name in names for does in (True, False))


def test_the_series_of_the_alert_tests_are_ours() -> None:
    for test in watching.alert_tests():
        for series in test["input_series"]:
            for name, labels in watching.selected(series["series"]):
                metric = metric_of(name)
                assert metric, name
                assert labels - OF_PROMETHEUS - {"le"} <= set(metric.labels), series


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """The parts that an import reads; each panel has its place, and none lies on another."""
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in watching.panels()]
    assert len(ids) == len(set(ids))
    for panel in watching.panels():
        assert panel["type"] in ("row", "stat", "timeseries")
        assert panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["targets"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert {name for query in QUERIES for name, _ in watching.selected(query)} >= {
        name for name, each in defined().items() if each.kind != "histogram"
    }, "a metric that nobody looks at"
