"""What Prometheus' own tool says of the rules, of the queries, and of a scrape."""

import json
import subprocess
from pathlib import Path

import pytest
from django.test import Client, override_settings

from apps.accounts.models import Organization
from tests.batches import submit
from tests.deploy import watching

pytestmark = [pytest.mark.once, pytest.mark.tools]


def promtool(*arguments: str, given: str = "") -> str:
    """What it said. Fails where it is not installed, or not content."""
    done = subprocess.run(
        ["promtool", *arguments],
        cwd=watching.PROMETHEUS,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_configuration_is_one() -> None:
    """Its token is in a file of the machine it is for."""
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", "prometheus.yml")


def test_the_rules_are_some() -> None:
    count = len(watching.alerts())
    assert f"SUCCESS: {count} rules found" in promtool("check", "rules", "alerts.yml")


def test_alerts_are_raised_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yml")


def test_every_query_can_be_read(tmp_path: Path) -> None:
    queries = [*watching.dashboard_queries(), *watching.documented_queries()]
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"SUCCESS: {len(queries)} rules found" in promtool("check", "rules", str(path))


@pytest.mark.django_db(transaction=True)
def test_a_scrape_is_clean(acme: Organization) -> None:
    submit(acme, "one", "two")
    with override_settings(METRICS_TOKEN="t0ken"):
        answer = Client().get("/metrics", HTTP_AUTHORIZATION="Bearer t0ken")
    text = answer.content.decode()
    assert "docmill_jobs_submitted_total" in text
    assert promtool("check", "metrics", given=text) == ""
