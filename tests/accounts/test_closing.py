"""Organizations and accounts end: what goes with them, what stays, and what stands against it."""

import json
import zipfile
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps as installed
from django.db import transaction
from django.db.models import PROTECT
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.belongings import belongings
from apps.accounts.errors import Forbidden, PersonalOrganization, StillBusy
from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import (
    close_organization,
    create_api_key,
    create_organization,
    create_user,
    delete_account,
    invite,
    remove_closed,
    write_account,
)
from apps.audit.models import AuditEntry
from apps.audit.services import record
from apps.audit.verifying import verify_all
from apps.core.errors import InvalidInput, NotFound
from apps.jobs import storage
from apps.jobs.belongings import JobBelongings
from apps.jobs.models import BatchJob, Blob
from apps.queue.models import Pause
from apps.queue.pauses import pause
from apps.webhooks.outbox import publish
from apps.webhooks.services import add_endpoint
from tests.accounts.people import PASSWORD, actor_of, join, membership_of, roles_in
from tests.batches import submit
from tests.concurrency.test_removing import Meanwhile
from tests.jobs.conftest import data_dir
from tests.jobs.exporting import built
from tests.jobs.parts import uploaded
from tests.jobs.runs import read_next

__all__ = ["data_dir"]

pytestmark = pytest.mark.django_db


def read_job(organization: Organization) -> BatchJob:
    job = submit(organization, "text")
    read_next()
    return job


def test_every_table_that_keeps_an_organization_is_somebodys_to_remove() -> None:
    keeping = {
        model
        for model in installed.get_models()
        for field in model._meta.get_fields()
        if getattr(field, "related_model", None) is Organization
        and getattr(getattr(field, "remote_field", None), "on_delete", None) is PROTECT
    }
    assert keeping == {model for each in belongings() for model in each.models}


def test_an_organization_goes_with_all_that_is_in_it(
    acme: Organization,
    alice: User,
    bob: User,
    other: Organization,
    alice_api: APIClient,
    data_dir: Path,
    django_capture_on_commit_callbacks: Any,
) -> None:
    job = read_job(acme)
    built(alice_api, str(job.pk))
    upload = uploaded(alice_api, b"half", "half.txt")
    events = ["batch_job.failed"]
    add_endpoint(actor=actor_of(acme, alice), url="https://acme.example/hook", events=events)
    publish(organization=acme, event=events[0], key="1", data={})
    theirs = read_job(other)
    create_api_key(organization=acme, user=bob, name="ci")
    invite(actor=actor_of(acme, alice), email="new@example.com", role=Role.READER)
    pause(by=alice, organization=acme)
    shelf = storage.blobs() / acme.pk.hex
    assert list(shelf.rglob("*"))

    close_organization(actor=actor_of(acme, alice), name=" Acme ")
    # At once it is there for nobody.
    assert roles_in(acme) == {}
    assert not ApiKey.objects.live().exists()
    assert not acme.invitations.exists()
    assert not Organization.objects.visible_to(alice).filter(pk=acme.pk).exists()
    with django_capture_on_commit_callbacks(execute=True):
        assert remove_closed() == 1
    assert not Organization.objects.filter(pk=acme.pk).exists()
    assert list(BatchJob.objects.all()) == [theirs]
    assert set(Blob.objects.values_list("organization", flat=True)) == {other.pk}
    assert not shelf.exists()
    assert not storage.partial_of(UUID(upload)).exists()
    assert list((storage.blobs() / other.pk.hex).rglob("*"))
    assert not Pause.objects.exists()
    # Its log stays, and is whole.
    entry = AuditEntry.objects.filter(organization_id=acme.pk, action="organization.delete").get()
    assert (entry.actor_name, json.loads(entry.detail)["name"]) == ("alice@example.com", "Acme")
    assert list(verify_all()) == []
    assert remove_closed() == 0


def test_it_is_refused_while_jobs_are_not_finished(
    acme: Organization, alice: User, data_dir: Path
) -> None:
    submit(acme, "text")
    with pytest.raises(StillBusy, match="1 job is not finished"):
        close_organization(actor=actor_of(acme, alice), name="Acme")
    assert roles_in(acme) == {"alice@example.com": Role.OWNER}
    read_next()
    close_organization(actor=actor_of(acme, alice), name="Acme")


def test_it_is_refused_to_whom_it_is_not_given(
    acme: Organization, alice: User, bob: User, other: Organization
) -> None:
    admin = join(acme, "gil", Role.ADMIN)
    for actor in (admin, actor_of(acme, bob)):
        with pytest.raises(Forbidden):
            close_organization(actor=actor, name="Acme")
    for name in ("", "acme", "Acme 2"):
        with pytest.raises(InvalidInput):
            close_organization(actor=actor_of(acme, alice), name=name)
    key, _ = create_api_key(organization=acme, user=alice, name="ci")
    through = type(admin).of_key(key, member_role=Role.OWNER)
    with pytest.raises(Forbidden):
        close_organization(actor=through, name="Acme")
    personal = alice.personal_organization
    with pytest.raises(PersonalOrganization):
        close_organization(actor=actor_of(personal, alice), name=personal.name)
    assert Organization.objects.filter(closed_at=None).count() == Organization.objects.count()


def test_a_job_of_a_closed_organization_is_waited_for(
    acme: Organization, alice: User, data_dir: Path
) -> None:
    with transaction.atomic():
        submit(acme, "text")
        Organization.objects.filter(pk=acme.pk).update(closed_at=timezone.now())
    assert remove_closed() == 0
    assert BatchJob.objects.count() == 1
    read_next()
    assert remove_closed() == 1
    assert not BatchJob.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_what_is_submitted_at_the_same_moment_goes_too(
    acme: Organization, alice: User, data_dir: Path
) -> None:
    actor = actor_of(acme, alice)
    with transaction.atomic():
        submit(acme, "text")
        closing = Meanwhile(lambda: close_organization(actor=actor, name="Acme"))
    closing.join()
    assert closing.errors == []
    assert remove_closed() == 0
    read_next()
    assert remove_closed() == 1
    assert not BatchJob.objects.exists()
    assert not (storage.blobs() / acme.pk.hex).exists()


def test_one_that_cannot_be_removed_yet_holds_up_no_other(
    acme: Organization,
    alice: User,
    other: Organization,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_job(acme)
    now = timezone.now()
    Organization.objects.filter(pk=acme.pk).update(closed_at=now - timedelta(days=1))
    Organization.objects.filter(pk=other.pk).update(closed_at=now)
    remove = JobBelongings.remove

    def broken(self: JobBelongings, organization: Organization) -> None:
        if organization == acme:
            raise OSError(5, "Input/output error")
        remove(self, organization)

    with monkeypatch.context() as patched:
        patched.setattr(JobBelongings, "remove", broken)
        assert remove_closed() == 1
    assert list(Organization.objects.exclude(closed_at=None)) == [acme]
    assert remove_closed() == 1
    assert not BatchJob.objects.exists()


def test_twice_is_not_there(acme: Organization, alice: User) -> None:
    actor = actor_of(acme, alice)
    close_organization(actor=actor, name="Acme")
    with pytest.raises(NotFound):
        close_organization(actor=actor, name="Acme")


# --- accounts -----------------------------------------------------------------------------------


def test_an_account_goes_with_what_is_its_alone(acme: Organization, data_dir: Path) -> None:
    cora = join(acme, "cora", Role.CONTRIBUTOR).user
    alone = create_organization(name="Alone", owner=cora)
    personal = cora.personal_organization
    job = read_job(alone)
    shared = submit(acme, "text")
    BatchJob.objects.filter(pk=shared.pk).update(created_by=cora)
    create_api_key(organization=alone, user=cora, name="ci")

    delete_account(user=cora, email="CORA@example.com")
    assert not User.objects.filter(email="cora@example.com").exists()
    assert roles_in(acme) == {"alice@example.com": Role.OWNER}
    shared.refresh_from_db()
    assert shared.created_by is not None
    assert shared.created_by.email == "alice@example.com"
    assert remove_closed() == 2
    assert not Organization.objects.filter(pk__in=[alone.pk, personal.pk]).exists()
    assert not BatchJob.objects.filter(pk=job.pk).exists()
    entry = AuditEntry.objects.get(action="user.delete")
    assert (entry.organization_id, entry.actor_name) == (None, "cora@example.com")
    assert list(verify_all()) == []


def test_the_only_owner_of_what_others_are_in_passes_it_on_first(
    acme: Organization, alice: User, bob: User
) -> None:
    with pytest.raises(StillBusy, match="the only owner of Acme"):
        delete_account(user=alice, email=alice.email)
    assert User.objects.filter(pk=alice.pk).exists()
    assert alice.personal_organization.closed_at is None
    Membership.objects.filter(user=bob, organization=acme).update(role=Role.OWNER)
    delete_account(user=alice, email="alice@example.com")
    assert roles_in(acme) == {"bob@example.com": Role.OWNER}


def test_an_account_whose_jobs_are_not_finished_stays_whole(
    acme: Organization, alice: User, data_dir: Path
) -> None:
    submit(alice.personal_organization, "text")
    with pytest.raises(StillBusy, match="Alice: 1 job is not finished"):
        delete_account(user=alice, email=alice.email)
    assert roles_in(acme) == {"alice@example.com": Role.OWNER}
    assert not Organization.objects.exclude(closed_at=None).exists()


def test_operators_are_kept_by_their_history(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    alice.refresh_from_db()
    with pytest.raises(StillBusy):
        delete_account(user=alice, email=alice.email)


def test_another_address_is_not_ones_own(alice: User) -> None:
    with pytest.raises(InvalidInput):
        delete_account(user=alice, email="bob@example.com")


# --- taking it along ----------------------------------------------------------------------------


def test_what_is_kept_of_a_person_is_handed_out_and_nothing_of_others(
    acme: Organization, alice: User, bob: User, charlie: User, other: Organization, data_dir: Path
) -> None:
    job = submit(acme, "text")
    submit(other, "theirs")
    _, token = create_api_key(organization=acme, user=alice, name="ci")
    create_api_key(organization=acme, user=bob, name="bob's")
    record(organization=acme, actor=bob, action="bob.did")
    file = BytesIO()
    write_account(user=alice, file=file)

    with zipfile.ZipFile(file) as bundle:
        assert bundle.testzip() is None
        members = {name: bundle.read(name).decode() for name in bundle.namelist()}
    account = json.loads(members["account.json"])
    assert (account["email"], account["name"]) == ("alice@example.com", "Alice")
    assert {each["role"] for each in account["memberships"]} == {"owner"}
    assert [each["name"] for each in account["api_keys"]] == ["ci"]
    jobs = [json.loads(line) for line in members["jobs.ndjson"].splitlines()]
    assert [each["id"] for each in jobs] == [str(job.pk)]
    acts = [json.loads(line)["action"] for line in members["activity.ndjson"].splitlines()]
    assert acts == ["job.submit", "user.export"]
    whole = "".join(members.values())
    for secret in (token, ApiKey.objects.get(name="ci").digest, "argon2", "bob", "charlie"):
        assert secret not in whole


def test_the_hash_of_a_password_is_not_handed_out() -> None:
    user = create_user(email="dana@example.com", password=PASSWORD)
    file = BytesIO()
    write_account(user=user, file=file)
    with zipfile.ZipFile(file) as bundle:
        assert user.password not in "".join(bundle.read(n).decode() for n in bundle.namelist())
    assert membership_of(user.personal_organization, user).role == Role.OWNER
