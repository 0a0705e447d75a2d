"""Deleting people and organizations in the admin: nothing is lost that was not named."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db.models.signals import pre_delete
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.admin import OrganizationAdmin, deleting
from apps.accounts.models import ApiKey, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key, create_user
from apps.audit.models import AuditEntry
from tests.batches import submit
from tests.operators import superuser, told


@pytest.fixture
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    return Path(settings.DOCMILL_DATA_DIR)


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def delete(client: Client, row: Any) -> Any:
    page = reverse(f"admin:accounts_{row._meta.model_name}_delete", args=[row.pk])
    asked = client.get(page)
    assert asked.status_code == 200
    return asked.content.decode(), client.post(page, {"post": "yes"}, follow=True)


def test_an_organization_that_owns_jobs_is_not_deleted(
    operator: Client, acme: Organization, data_dir: Path
) -> None:
    submit(acme, "text")
    asked, answer = delete(operator, acme)

    assert "cannot be deleted as it is" in asked
    jobs = reverse("admin:jobs_batchjob_changelist", query={"organization": acme.pk})
    assert f'<a href="{jobs}">batch jobs: 1</a>' in asked
    assert "Acme owns blobs: 1." in asked
    assert answer.status_code == 200
    assert Organization.objects.filter(pk=acme.pk).exists()


def test_what_an_organization_owns_is_not_counted_to_the_end(
    operator: Client, acme: Organization, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "COUNT_LIMIT", 1)
    submit(acme, "one", "two")

    assert "batch files: more than 1" in delete(operator, acme)[0]


def test_an_empty_organization_is_deleted_with_its_members_and_keys(
    operator: Client, alice: User, acme: Organization
) -> None:
    create_api_key(organization=acme, user=alice, name="ci")
    delete(operator, acme)

    assert not Organization.objects.filter(pk=acme.pk).exists()
    assert not ApiKey.objects.exists()
    assert User.objects.filter(pk=alice.pk).exists()


def test_what_goes_along_is_counted_where_it_is_much(
    operator: Client, alice: User, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        create_api_key(organization=acme, user=alice, name=name)
    page = reverse("admin:accounts_organization_delete", args=[acme.pk])

    assert "two" in operator.get(page).content.decode()
    monkeypatch.setattr(deleting, "LISTED", 3)
    asked = operator.get(page).content.decode()
    assert "API keys: 2" in asked
    assert "with all that is counted above" in asked
    assert "two" not in asked


def test_a_personal_organization_goes_with_its_person_only(operator: Client, alice: User) -> None:
    asked, _ = delete(operator, alice.personal_organization)

    assert "goes when they are deleted" in asked
    assert Organization.objects.filter(personal_of=alice).exists()


def test_the_only_owner_of_an_organization_is_not_deleted(
    operator: Client, alice: User, bob: User, acme: Organization
) -> None:
    asked, _ = delete(operator, alice)

    assert "has no other owner" in asked
    assert "enough to make them inactive" in asked
    assert User.objects.filter(pk=alice.pk).exists()
    acme.memberships.filter(user=bob).update(role=Role.OWNER)
    delete(operator, alice)
    assert not User.objects.filter(pk=alice.pk).exists()


def test_a_user_whose_own_organization_owns_jobs_is_not_deleted(
    operator: Client, bob: User, data_dir: Path
) -> None:
    submit(bob.personal_organization, "text")
    asked, _ = delete(operator, bob)

    assert "batch jobs: 1" in asked
    assert User.objects.filter(pk=bob.pk).exists()


def test_jobs_made_for_others_outlive_their_maker_and_this_is_said(
    operator: Client, alice: User, bob: User, acme: Organization, data_dir: Path
) -> None:
    job = submit(acme, "text")
    acme.memberships.filter(user=bob).update(role=Role.OWNER)
    asked, _ = delete(operator, alice)

    assert "<li>Batch jobs: 1</li>" in asked
    assert "passes to the owner" in asked
    job.refresh_from_db()
    assert job.created_by == bob


def test_who_is_taken_out_hands_over_what_they_made(
    operator: Client, alice: User, bob: User, acme: Organization, data_dir: Path
) -> None:
    job = submit(acme, "text")
    key, _ = create_api_key(organization=acme, user=alice, name="ci")
    acme.memberships.filter(user=bob).update(role=Role.OWNER)
    rows = list(acme.memberships.select_related("user").order_by("pk"))
    form: dict[str, object] = {"name": "Acme"}
    for name, count in (("TOTAL", 2), ("INITIAL", 2), ("MIN_NUM", 1), ("MAX_NUM", 1000)):
        form[f"memberships-{name}_FORMS"] = count
    for place, row in enumerate(rows):
        form |= {
            f"memberships-{place}-id": row.pk,
            f"memberships-{place}-organization": str(acme.pk),
            f"memberships-{place}-user": row.user.email,
            f"memberships-{place}-role": row.role,
        }
    form["memberships-0-DELETE"] = "on"
    page = reverse("admin:accounts_organization_change", args=[acme.pk])

    assert operator.post(page, form).status_code == 302
    assert [member.user for member in acme.memberships.all()] == [bob]
    job.refresh_from_db()
    key.refresh_from_db()
    assert job.created_by == bob
    assert key.revoked_at is not None
    assert AuditEntry.objects.get(action="member.remove").actor_name == "root@example.com"


def test_who_is_in_the_history_of_the_admin_stays_in_it(operator: Client, bob: User) -> None:
    somebody = create_user(email="staff@example.com", password=None, is_staff=True)
    LogEntry.objects.log_actions(somebody.pk, [bob], 2, "Changed.")
    asked, _ = delete(operator, somebody)

    assert "history of the admin" in asked
    assert LogEntry.objects.filter(user=somebody).exists()


def test_what_is_added_between_the_question_and_the_answer_is_kept(
    operator: Client, acme: Organization, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(acme, "text")
    monkeypatch.setattr(OrganizationAdmin, "get_deleted_objects", lambda *_: ([], {}, set(), []))
    _, answer = delete(operator, acme)

    assert "Nothing was deleted." in told(answer)[0]
    assert Organization.objects.filter(pk=acme.pk).exists()


def test_nobody_deletes_themselves(operator: Client) -> None:
    root = User.objects.get(email="root@example.com")
    page = reverse("admin:accounts_user_delete", args=[root.pk])

    assert operator.post(page, {"post": "yes"}).status_code == 403


def test_groups_that_could_not_be_deleted_leave_no_entry_that_they_were(operator: Client) -> None:
    groups = [Group.objects.create(name=name) for name in ("one", "two")]

    def refuse(instance: Group, **_: object) -> None:
        if instance.name == "two":
            raise RuntimeError("refused")

    form = {
        "action": "delete_selected",
        "_selected_action": [group.pk for group in groups],
        "post": "yes",
    }
    page = reverse("admin:auth_group_changelist")
    pre_delete.connect(refuse, sender=Group)
    try:
        operator.raise_request_exception = False
        assert operator.post(page, form).status_code == 500
    finally:
        pre_delete.disconnect(refuse, sender=Group)
    assert not AuditEntry.objects.filter(action="admin.delete").exists()
    assert Group.objects.count() == 2
    assert operator.post(page, form).status_code == 302
    assert AuditEntry.objects.filter(action="admin.delete").count() == 2
    assert not Group.objects.exists()
