"""The audit log in the admin: found, read, and left alone."""

import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.audit.services import record
from tests.operators import staff, superuser

pytestmark = pytest.mark.once

LIST = reverse("admin:audit_auditentry_changelist")


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


@pytest.fixture
def entry(acme: Organization, alice: User) -> AuditEntry:
    return record(
        organization=acme,
        actor=alice,
        action="job.cancel",
        target="job",
        target_id=uuid.UUID(int=7),
        detail={"files": 3, "name": "<b>Caf\u00e9</b>"},
        reason="The wrong folder. " * 10,
    )


def page_of(entry: AuditEntry) -> str:
    return reverse("admin:audit_auditentry_change", args=[entry.pk])


def found(client: Client, **query: object) -> set[str]:
    """The actions that the list shows for `query`."""
    answer = client.get(LIST, query)
    assert answer.status_code == 200, answer
    return {entry.action for entry in answer.context["cl"].result_list}


def test_the_list_and_the_page_tell_everything(
    operator: Client, acme: Organization, entry: AuditEntry
) -> None:
    html = operator.get(LIST).content.decode()
    for text in ("alice@example.com", "job.cancel", f"job {uuid.UUID(int=7)}", "Acme"):
        assert text in html
    assert "The wrong folder. The" in html
    assert entry.reason not in html

    html = operator.get(page_of(entry)).content.decode()
    assert reverse("admin:accounts_organization_change", args=[acme.pk]) in html
    assert "&lt;b&gt;Caf\u00e9&lt;/b&gt;" in html
    for text in (entry.reason.strip(), entry.hash, entry.previous, str(entry.pk)):
        assert text in html


def test_what_is_gone_is_named_by_what_is_left_of_it(
    operator: Client, acme: Organization, entry: AuditEntry
) -> None:
    pk = str(acme.pk)
    acme.delete()
    User.objects.get(email="alice@example.com").delete()
    record(organization=None, actor=None, action="queue.pause")
    for page in (LIST, page_of(entry)):
        html = operator.get(page).content.decode()
        assert pk in html
        assert "alice@example.com" in html
    assert "system" in operator.get(LIST).content.decode()


def test_entries_are_found(
    operator: Client, acme: Organization, other: Organization, bob: User, entry: AuditEntry
) -> None:
    record(organization=other, actor=bob, action="job.delete")
    record(organization=None, actor=None, action="queue.pause")

    assert found(operator) == {"job.cancel", "job.delete", "queue.pause"}
    assert found(operator, made="hour") == found(operator)
    assert found(operator, action="job.cancel") == {"job.cancel"}
    assert found(operator, action="job") == set()
    assert found(operator, organization__id__exact=other.pk) == {"job.delete"}
    for term in (entry.pk, str(entry.pk)[:-1], acme.pk, uuid.UUID(int=7), " Alice@example.com"):
        assert found(operator, q=term) == {"job.cancel"}, term
    for term in (uuid.UUID(int=8), "nobody@example.com", "job", "wrong folder"):
        assert found(operator, q=term) == set(), term
    assert 'placeholder="Code, such as job.cancel"' in operator.get(LIST).content.decode()


def test_the_list_takes_as_many_queries_for_many_entries_as_for_one(
    operator: Client, acme: Organization, entry: AuditEntry
) -> None:
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert operator.get(LIST).status_code == 200
        counts.append(len(queries))
        for _ in range(10):
            record(organization=acme, actor=None, action="job.delete")
    assert counts[0] == counts[1] <= 8


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"action": "job.cancel"}, "audit_entry_action"),
        ({"organization__id__exact": uuid.UUID(int=1)}, "audit_entry_organization"),
        ({"q": "alice@example.com"}, "audit_entry_actor"),
        ({"q": uuid.UUID(int=7)}, "audit_entry_target"),
    ],
)
def test_whatever_is_looked_for_has_an_index(
    operator: Client, entry: AuditEntry, query: dict[str, object], index: str
) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # it would rather read so short a table whole
            cursor.execute("SET LOCAL enable_seqscan = off")
    with CaptureQueriesContext(connection) as queries:
        assert operator.get(LIST, query).status_code == 200
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    plans = ""
    for each in queries:
        if 'FROM "audit_auditentry"' in each["sql"]:
            with connection.cursor() as cursor:
                cursor.execute(f"{explain} {each['sql']}")
                plans += str(cursor.fetchall())
    assert index in plans
    assert "SCAN audit_auditentry" not in plans
    assert "Seq Scan on audit_auditentry" not in plans


def test_nobody_changes_it(operator: Client, entry: AuditEntry) -> None:
    before = AuditEntry.objects.values().get()
    delete = reverse("admin:audit_auditentry_delete", args=[entry.pk])
    add = reverse("admin:audit_auditentry_add")
    for path in (add, delete, page_of(entry)):
        assert operator.post(path, {"post": "yes", "action": "x"}).status_code == 403, path
    action = {"action": "delete_selected", "_selected_action": entry.pk, "post": "yes"}
    operator.post(LIST, action)
    assert AuditEntry.objects.values().get() == before


def test_staff_read_it_with_the_permission_alone(entry: AuditEntry) -> None:
    client = staff("view_auditentry")
    assert found(client) == {"job.cancel"}
    assert client.get(page_of(entry)).status_code == 200
    User.objects.get(email="staff@example.com").user_permissions.clear()
    assert client.get(LIST).status_code == 403
