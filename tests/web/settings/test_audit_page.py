"""The audit log of an organization: its page and its API."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.audit.checkpoints import make_checkpoints
from apps.audit.models import AuditEntry
from apps.audit.services import record
from tests.conftest import ApiFor, ClientFor
from tests.jobs.forms import body

pytestmark = [pytest.mark.once, pytest.mark.django_db]

PAGE, API = "/settings/audit", "/api/audit"


@pytest.fixture
def log(acme: Organization, other: Organization, alice: User) -> None:
    for number in range(55):
        record(
            organization=acme,
            actor=alice,
            action="job.cancel" if number else "job.delete",
            target="job",
            target_id=number,
            reason="=1+1" if number == 0 else "",
            detail={"<b>": number},
        )
    record(organization=other, actor=None, action="job.keep", reason="secret of others")
    record(organization=None, actor=None, action="queue.pause", reason="secret of others")


def shown(browser: Client, path: str = PAGE) -> list[int]:
    answer = browser.get(path)
    assert answer.status_code == 200
    return [entry.number for entry, _ in answer.context["rows"]]


def test_the_page(log: None, alice: User, acme: Organization, client_for: ClientFor) -> None:
    browser = client_for(alice)
    assert shown(browser) == list(range(55, 5, -1))
    html = browser.get(PAGE).content.decode()
    assert "secret of others" not in html
    assert "&lt;b&gt;" in html
    assert "signed within the hour" in html
    older = browser.get(PAGE).context["older"]
    assert shown(browser, f"{PAGE}?{older}") == [5, 4, 3, 2, 1]
    assert shown(browser, f"{PAGE}?action=job.delete") == [1]
    assert shown(browser, f"{PAGE}?actor=%20Alice@example.com&action=job.delete") == [1]
    today = AuditEntry.objects.latest("id").at.date()
    assert len(shown(browser, f"{PAGE}?since={today}&until={today}")) == 50
    assert shown(browser, f"{PAGE}?until=2001-01-01") == []
    html = browser.get(f"{PAGE}?action=nothing").content.decode()
    assert "Nothing matches" in html
    for bad, told in (("since=x", "Enter a valid date"), ("since=2026-02-01&until=2026-01-31", "")):
        html = browser.get(f"{PAGE}?{bad}").content.decode()
        assert (told or "This is before the first day.") in html
        assert "Nothing was looked for" in html
        assert 'aria-describedby="id_' in html
    make_checkpoints()
    assert "Up to entry 55 the log was signed" in browser.get(PAGE).content.decode()
    # What the page offers to download is what it shows.
    url = dict(browser.get(f"{PAGE}?action=job.delete").context["files"])["NDJSON"]
    assert len(body(browser.get(url)).splitlines()) == 1


def test_an_empty_log_says_so(alice: User, acme: Organization, client_for: ClientFor) -> None:
    assert b"Nothing yet" in client_for(alice).get(PAGE).content


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.READER])
def test_others_see_what_they_did_themselves(
    log: None, acme: Organization, role: Role, client_for: ClientFor, api_for: ApiFor
) -> None:
    eve = create_user(email="eve@example.com", password=None, name="Eve")
    add_member(organization=acme, user=eve, role=role)
    browser, api = client_for(eve), api_for(eve)
    assert shown(browser) == []
    assert api.get(API).json()["results"] == []
    own = record(organization=acme, actor=eve, action="job.keep")
    assert shown(browser) == [own.number]
    assert [row["id"] for row in api.get(API).json()["results"]] == [str(own.pk)]
    for path in (f"{API}.csv", f"{API}.ndjson"):
        assert b"alice@example.com" not in body(api.get(path))


def test_the_api(log: None, alice: User, acme: Organization, alice_api: APIClient) -> None:
    with CaptureQueriesContext(connection) as queries:
        page = alice_api.get(API, {"limit": 100}).json()
    assert len(queries) <= 8
    assert [row["number"] for row in page["results"]] == list(range(55, 0, -1))
    assert page["results"][-1]["detail"] == {"<b>": 0}
    first = alice_api.get(API, {"limit": 50}).json()
    rest = alice_api.get(first["next"]).json()
    assert [row["number"] for row in rest["results"]] == [5, 4, 3, 2, 1]
    found = alice_api.get(API, {"action": "job.delete", "actor": "alice@example.com"}).json()
    assert [row["number"] for row in found["results"]] == [1]
    for bad in ({"since": "x"}, {"nothing": "1"}, {"limit": "0"}, {"cursor": "x"}):
        assert alice_api.get(API, bad).status_code == 400


@pytest.mark.parametrize("name", ["ndjson", "csv"])
def test_taken_along(
    log: None, alice: User, acme: Organization, alice_api: APIClient, name: str
) -> None:
    answer = alice_api.get(f"{API}.{name}", {"action": "job.delete"})
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-2')
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    text = body(answer).decode()
    assert "secret of others" not in text
    if name == "csv":
        assert '"\'=1+1"' in text
    else:
        [row] = map(json.loads, text.splitlines())
        entry = AuditEntry.objects.get(action="job.delete")
        told: dict[str, Any] = entry.content()
        assert row == {**told, "previous": entry.previous, "hash": entry.hash}
    noted = AuditEntry.objects.get(action="audit.export")
    assert noted.organization_id == acme.pk
    assert '"action":"job.delete"' in noted.detail
    assert alice_api.get(f"{API}.{name}", {"x": "1"}).status_code == 400
    body(alice_api.get(f"{API}.{name}", {"format": "another"}))
    last = AuditEntry.objects.filter(action="audit.export").latest("number")
    assert json.loads(last.detail) == {"format": name}
